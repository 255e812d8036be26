"""Work of unknown cost, such as on a stranger's file: in processes of its own, with limits on time, memory and disk.

A `ForkServer` is a process that has loaded one module and does nothing but fork. So each task gets a process that nothing else
ran in, for a few milliseconds instead of the second that loading takes, and gives all its memory back to the system when it
ends. Task and caller share a folder, with what the task reads and the files it makes; and a few words, which never touch a disk.
"""

import asyncio
import ctypes
import gc
import importlib
import json
import os
import resource
import selectors
import signal
import socket
import struct
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import memory

FAULT = "fault"
"""File in the task's folder that names the exception which the task did not catch."""

_NO_MEMORY = 3
_FAILED = 4
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of Linux
_LENGTH = struct.Struct(">H")
_GRACE_SECONDS = 15
"""How much later than the system the caller gives up by itself."""
_ENDING_SECONDS = 1
"""How long a server has to end by itself, with what it runs."""
_PRIORITY = 5
"""Server and tasks are nicer than the API and the worker, which must answer meanwhile."""
_YOUNG_OBJECTS = 50_000
"""A task is short: so many objects are made before it looks for garbage (`memory.py`)."""


class ConfinedError(Exception):
    """The task did not come to its end; the text says why."""


class NoVerdictError(ConfinedError):
    """It was ended for a reason that says nothing of the task: the server went away, or the machine had no time for it."""


class OutOfTimeError(ConfinedError):
    """It took more time of a processor than it may."""


class OutOfMemoryError(ConfinedError):
    """It wanted more memory than it may have."""


@dataclass(frozen=True)
class Limits:
    """What one task may use: seconds of a processor, seconds by the clock, bytes of memory, and bytes of each file it writes.

    On macOS, which can't limit the memory of a process, the other limits alone hold.
    """

    cpu_seconds: int
    seconds: int
    memory_bytes: int
    file_bytes: int


class ForkServer:
    """Runs functions of one module on folders, each call in a process of its own.

    What all calls need, a function `prepare` of the module loads once, before the first of them: it must leave no thread behind.
    The server starts with the first call or `start`, and again after it was ended. It ends when the process that started it
    does, however that ends, and with it everything that it runs.
    """

    def __init__(self, module: str, limits: Limits) -> None:
        self._module = module
        self._limits = limits
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    async def start(self) -> None:
        """Begin to load the module, so that the first call need not wait for it; should that fail, the first call tries again."""
        with suppress(OSError):
            await asyncio.to_thread(self._start)

    async def run(self, task: str, folder: Path, *words: str) -> None:
        """Call the module's function `task` with `folder`, to read from and write to, and `words`, which are kept in memory only.

        When this is cancelled, the process ends.

        Raises OutOfTimeError, OutOfMemoryError, or ConfinedError when the task failed or its process was ended; NoVerdictError
        when that was not for the task's sake, so that it may be tried again.
        """
        connection = await asyncio.to_thread(self._begin, task, folder, words)
        try:
            async with asyncio.timeout(self._limits.seconds + _GRACE_SECONDS):
                ended = await _read_all(connection)
        except TimeoutError:
            await asyncio.to_thread(self.end)
            raise NoVerdictError("the fork server does not answer") from None
        except asyncio.CancelledError:
            with suppress(OSError, TimeoutError):
                connection.shutdown(socket.SHUT_WR)  # for the server, the sign to kill; it answers when that is done
                async with asyncio.timeout(_GRACE_SECONDS):
                    await _read_all(connection)
            raise
        finally:
            connection.close()
        if not ended:
            raise NoVerdictError("the fork server was ended")
        _check(os.waitstatus_to_exitcode(int(ended)), folder)

    def end(self) -> None:
        """End the server, and with it what it runs."""
        with self._lock:
            self._end()

    def _start(self) -> None:
        with self._lock:
            self._running()

    def _begin(self, task: str, folder: Path, words: tuple[str, ...]) -> socket.socket:
        """Have the task begun; the connection on which its end will be told."""
        mine, theirs = socket.socketpair()
        job = json.dumps([task, str(folder), *words]).encode()
        try:
            with self._lock, theirs:
                self._give(job, theirs)
        except OSError as error:
            mine.close()
            raise NoVerdictError("the fork server does not start") from error
        mine.setblocking(False)
        return mine

    def _give(self, job: bytes, connection: socket.socket) -> None:
        try:
            self._send(job, connection)
        except OSError:  # it was ended since
            self._end()
            self._send(job, connection)

    def _send(self, job: bytes, connection: socket.socket) -> None:
        socket.send_fds(self._running(), [_LENGTH.pack(len(job)) + job], [connection.fileno()])

    def _running(self) -> socket.socket:
        if self._process is None or self._control is None or self._process.poll() is not None:
            self._end()
            mine, theirs = socket.socketpair()
            with theirs:
                limits = (
                    self._limits.cpu_seconds,
                    self._limits.seconds,
                    self._limits.memory_bytes,
                    self._limits.file_bytes,
                )
                self._process = subprocess.Popen(  # noqa: S603 - our own program
                    [sys.executable, "-P", "-s", "-m", __name__, self._module, str(theirs.fileno()), *map(str, limits)],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    env=_environment(),
                    cwd="/",
                )
            self._control = mine
        return self._control

    def _end(self) -> None:
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_ENDING_SECONDS)
            self._process.kill()
            self._process.wait()
        self._process = self._control = None


def _environment() -> dict[str, str]:
    """Where the code is, and nothing of ours besides: secrets least of all."""
    code = os.pathsep.join(filter(None, (str(Path(__file__).parent), *sys.path)))
    return {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "PYTHONPATH": code, "MALLOC_ARENA_MAX": "2"}


async def _read_all(connection: socket.socket) -> bytes:
    loop = asyncio.get_running_loop()
    read = b""
    while chunk := await loop.sock_recv(connection, 1024):
        read += chunk
    return read


def _check(code: int, folder: Path) -> None:
    """Raise what an exit code (a signal's number, negated, when one ended the process) says."""
    if code == -signal.SIGXCPU:
        raise OutOfTimeError("out of time")
    if code == -signal.SIGALRM:  # without its time of a processor: others had it
        raise NoVerdictError("out of time by the clock")
    if code in (_NO_MEMORY, -signal.SIGKILL):  # nobody but the system kills here, and only for memory
        raise OutOfMemoryError("out of memory")
    if code:
        with suppress(OSError):
            raise ConfinedError((folder / FAULT).read_text(errors="replace"))
        raise ConfinedError(f"exit code {code}")


# From here on: what runs in the server, and in the processes that it forks


class _Server:
    def __init__(self, module: str, control: socket.socket, limits: Limits) -> None:
        with memory.loading():
            self._module = importlib.import_module(module)
        self._system = ctypes.CDLL(None)
        self._control = control
        self._limits = limits
        self._running: dict[int, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        self._woken, waking = os.pipe()
        os.set_blocking(waking, False)
        signal.set_wakeup_fd(waking)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._selector.register(control, selectors.EVENT_READ, self._take)
        self._selector.register(self._woken, selectors.EVENT_READ, self._reap)

    def serve(self) -> None:
        """Fork as long as somebody is there who may ask for it."""
        if prepare := getattr(self._module, "prepare", None):
            with memory.loading():
                prepare()
        gc.set_threshold(_YOUNG_OBJECTS)
        try:
            with suppress(EOFError):
                while True:
                    for key, _ in self._selector.select():
                        key.data()
        finally:
            for pid in self._running:
                os.kill(pid, signal.SIGKILL)

    def _take(self) -> None:
        head, descriptors, _, _ = socket.recv_fds(self._control, _LENGTH.size, 1)
        if not descriptors:
            raise EOFError
        connection = socket.socket(fileno=descriptors[0])
        task, folder, *words = json.loads(_read_exactly(self._control, _LENGTH.unpack(head)[0]))
        try:
            pid = os.fork()
        except OSError:  # the machine has no room for one more; who asked sees the connection end
            connection.close()
            return
        if pid == 0:
            self._run(task, Path(folder), words)
        self._running[pid] = connection
        self._selector.register(connection, selectors.EVENT_READ, lambda: self._kill(pid))

    def _kill(self, pid: int) -> None:
        """Who asked for it has gone away."""
        if connection := self._running.get(pid):  # it may have ended at the same moment
            self._selector.unregister(connection)
            os.kill(pid, signal.SIGKILL)

    def _reap(self) -> None:
        os.read(self._woken, 512)
        with suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    return
                with self._running.pop(pid) as connection:
                    with suppress(KeyError):
                        self._selector.unregister(connection)
                    with suppress(OSError):
                        connection.sendall(str(status).encode())

    def _run(self, task: str, folder: Path, words: list[str]) -> NoReturn:
        """The life of one process: the task within its limits, and the end."""
        code = _FAILED
        try:
            self._die_with_the_server()
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            silence = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silence, 2)  # decoders talk
            os.closerange(3, 1024)
            os.chdir(folder)
            _limit(self._limits)
            getattr(self._module, task)(folder, *words)
            code = 0
        except MemoryError:
            code = _NO_MEMORY
        except BaseException as error:
            with suppress(Exception):
                (folder / FAULT).write_text(_place_of(error))
        finally:
            os._exit(code)

    def _die_with_the_server(self) -> None:
        """Also when the server is killed, and can end nothing any more. Elsewhere than on Linux, the limits end what it ran."""
        if sys.platform == "linux":
            self._system.prctl(_DIE_WITH_PARENT, int(signal.SIGKILL), 0, 0, 0)


def _read_exactly(source: socket.socket, size: int) -> bytes:
    read = b""
    while len(read) < size:
        chunk = source.recv(size - len(read))
        if not chunk:
            raise EOFError
        read += chunk
    return read


def _limit(limits: Limits) -> None:
    signal.setitimer(signal.ITIMER_REAL, limits.seconds)  # SIGALRM ends the process
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_seconds, limits.cpu_seconds + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limits.file_bytes, limits.file_bytes))
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))


def _place_of(error: BaseException) -> str:
    """The kind of an error and where it was raised. What it says may hold something of a patient."""
    trace: Any = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else "?"
    return f"{type(error).__name__} at {place}"


def _main() -> None:
    module, descriptor, *limits = sys.argv[1:]
    os.nice(_PRIORITY)
    for number in (signal.SIGINT, signal.SIGTERM):  # its caller ends it, after the calls that are under way
        signal.signal(number, signal.SIG_IGN)
    _Server(module, socket.socket(fileno=int(descriptor)), Limits(*map(int, limits))).serve()


if __name__ == "__main__":
    _main()
