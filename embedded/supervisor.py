"""Starts parts in order, each as a child process, keeps them running, and stops them in reverse order.

It knows nothing of what the parts do: a `Part` says how to start it, how to see that it is ready and that it lives, and how to
stop it. A part that dies is started again, after a pause that grows with each failure; so is one that lives and no longer
answers. A file ``<part>.stop`` in the control folder keeps a part stopped for as long as it is there: an order from another
terminal cannot be missed, and may be given twice.
"""

import asyncio
import os
import signal
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from embedded.child import RunAs, wrap
from embedded.errors import StartError
from embedded.runtime import PartState, PartStatus

LOOK_EVERY_SECONDS = 0.2
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
SETTLED_SECONDS = 60.0
"""A part that ran for so long was well: its next failure is the first one again."""

READY_WITHIN_SECONDS = 180.0
FAILED_STARTS_ALLOWED = 3
ROTATE_LOG_AT_BYTES = 20 * 1024**2
LONGEST_QUOTE = 200
"""Characters of a log's last line that are shown."""


@dataclass(frozen=True)
class Part:
    """One process to keep running.

    `ready` tells whether the process, started at the given time, does its work, `alive` whether it would, if the parts that it
    needs were there (as `ready`, when not given). They are asked again and again; an exception means no. `grace_seconds` is what
    the part gets between `stop_signal` and being killed.
    """

    name: str
    title: str
    command: Sequence[str]
    ready: Callable[[datetime], Awaitable[bool]]
    environment: Mapping[str, str]
    alive: Callable[[datetime], Awaitable[bool]] | None = None
    address: str = ""
    stop_signal: signal.Signals = signal.SIGTERM
    grace_seconds: float = 10.0
    run_as: RunAs = RunAs.SELF


@dataclass(frozen=True)
class Patience:
    """How a part that lives is asked whether it still answers, in seconds; generous, for a machine may be busy."""

    ask_every: float = 5.0
    answer_within: float = 10.0
    noticed_after: float = 30.0
    """It has been silent for so long: it is said to be not answering."""

    restarted_after: float = 120.0
    waits_after: float = 5.0
    """It has lived for so long without being ready: it is said to be waiting for another part."""


@dataclass(frozen=True)
class Step:
    """One process that must come to its end before the next stage starts: a good one, unless the step is `optional`."""

    name: str
    title: str
    command: Sequence[str]
    environment: Mapping[str, str]
    optional: bool = False


@dataclass(frozen=True)
class Watcher:
    """Who wants to know: `say` gets lines for the user, `changed` the state of all parts after each change. Neither may raise."""

    say: Callable[[str], None]
    changed: Callable[[Mapping[str, PartStatus]], None]


class Supervisor:
    """Runs the given stages until it is told to stop, by SIGINT, SIGTERM or SIGHUP; a second signal hurries."""

    def __init__(
        self,
        stages: Sequence[Part | Step],
        *,
        logs: Path,
        control: Path,
        watcher: Watcher,
        patience: Patience = Patience(),
    ) -> None:
        self._patience = patience
        self._stages = stages
        self._logs = logs
        self._control = control
        self._watcher = watcher
        self._keepers: dict[str, Keeper] = {}
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()

    async def run(self, when_ready: Callable[[], None]) -> None:
        """Starts everything, calls `when_ready` once all of it works, keeps it so, and returns when everything is stopped.

        Raises StartError, with everything stopped again, when a stage does not start.
        """
        for order in self._control.glob("*.stop"):
            order.unlink()
        loop = asyncio.get_running_loop()
        for signal_number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(signal_number, self._on_signal)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # under nohup, we outlive the terminal
            loop.add_signal_handler(signal.SIGHUP, self._on_signal)
        starting = asyncio.create_task(self._start_all())
        obeying = asyncio.create_task(self._obey_orders())
        stop_asked = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({starting, stop_asked}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                await starting
                when_ready()
                await asyncio.wait({stop_asked, obeying}, return_when=asyncio.FIRST_COMPLETED)
                if obeying.done():
                    await obeying  # which never ends by itself: raises what went wrong
        finally:
            for task in (starting, obeying, stop_asked):
                await _cancel(task)
            await self._stop_all()

    def _on_signal(self) -> None:
        if self._stop.is_set():
            self._watcher.say("Killing what is left.")
            self._hurry.set()
        else:
            self._watcher.say("Stopping (again to hurry) …")
            self._stop.set()

    async def _start_all(self) -> None:
        for stage in self._stages:
            if isinstance(stage, Step):
                if not await self._take(stage):
                    continue
            else:
                keeper = Keeper(
                    stage, self._log(stage.name), self._hurry, self._watcher.say, self._tell, self._patience
                )
                self._keepers[stage.name] = keeper
                keeper.begin()
                await keeper.started()
            self._watcher.say(f"✓ {stage.title:<20}{stage.address if isinstance(stage, Part) else ''}".rstrip())

    async def _take(self, step: Step) -> bool:
        """Whether the step came to a good end. Raises StartError when it had to and did not."""
        log = self._log(step.name)
        process = await spawn(step.command, step.environment, log)
        try:
            code = await process.wait()
        finally:
            _kill_group(process.pid)
            await process.wait()
        if code != 0:
            failure = f"The step “{step.title}” failed: {_last_words(log)}"
            if not step.optional:
                raise StartError(failure)
            self._watcher.say(f"! {failure}")
        return code == 0

    async def _stop_all(self) -> None:
        for name, keeper in reversed(self._keepers.items()):
            await keeper.finish()
            self._watcher.say(f"  {name} stopped")

    async def _obey_orders(self) -> None:
        while True:
            ordered_to_stop = {order.stem for order in self._control.glob("*.stop")}
            for name, keeper in self._keepers.items():
                keeper.want(name not in ordered_to_stop)
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    def _tell(self) -> None:
        self._watcher.changed({name: keeper.status for name, keeper in self._keepers.items()})

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"


@dataclass
class Keeper:
    """Keeps one part running for as long as it is wanted."""

    part: Part
    log: Path
    hurry: asyncio.Event
    say: Callable[[str], None]
    changed: Callable[[], None]
    patience: Patience
    _state: PartState = PartState.STARTING
    _pid: int | None = None
    _restarts: int = 0
    _failures: int = 0
    _was_ready: bool = False
    _doubt: str = ""
    _wanted: asyncio.Event = field(default_factory=asyncio.Event)
    _unwanted: asyncio.Event = field(default_factory=asyncio.Event)
    _moved: asyncio.Condition = field(default_factory=asyncio.Condition)
    _task: asyncio.Task[None] | None = None

    @property
    def status(self) -> PartStatus:
        return PartStatus(
            state=self._state,
            pid=self._pid,
            address=self.part.address,
            restarts=self._restarts,
            command=tuple(self.part.command),
            stop_signal=int(self.part.stop_signal),
        )

    def want(self, wanted: bool) -> None:
        """Says whether the part shall run. Asking for what is so already changes nothing."""
        if wanted == self._wanted.is_set():
            return
        new, old = (self._wanted, self._unwanted) if wanted else (self._unwanted, self._wanted)
        old.clear()
        new.set()

    def begin(self) -> None:
        self.want(True)
        self._task = asyncio.create_task(self._keep())

    async def started(self) -> None:
        """Waits until the part was ready once, or was stopped on purpose. Raises StartError when it does not start."""
        async with self._moved:
            try:
                await asyncio.wait_for(
                    self._moved.wait_for(
                        lambda: (
                            self._was_ready
                            or self._state is PartState.STOPPED
                            or self._failures >= FAILED_STARTS_ALLOWED
                        )
                    ),
                    READY_WITHIN_SECONDS,
                )
            except TimeoutError:
                raise StartError(
                    f"The {self.part.title} runs but does not answer{self._doubt}: {_last_words(self.log)}"
                ) from None
        if not self._was_ready and self._state is not PartState.STOPPED:
            raise StartError(f"The {self.part.title} does not start: {_last_words(self.log)}")

    async def finish(self) -> None:
        """Stops the part for good."""
        self.want(False)
        stopped = asyncio.create_task(self._stopped())
        task = self._task or stopped
        await asyncio.wait({stopped, task}, return_when=asyncio.FIRST_COMPLETED)
        await _cancel(stopped)
        await _cancel(task)

    async def _stopped(self) -> None:
        async with self._moved:
            await self._moved.wait_for(lambda: self._state is PartState.STOPPED)

    async def _keep(self) -> None:
        while True:
            await self._wanted.wait()
            born = datetime.now(UTC)
            ending = await self._live(born)
            if ending is None:
                self._failures = 0
                await self._move(PartState.STOPPED, None)
                continue
            lived = (datetime.now(UTC) - born).total_seconds()
            self._failures = 1 if lived > SETTLED_SECONDS else self._failures + 1
            self._restarts += 1
            pause = min(FIRST_PAUSE_SECONDS * 2 ** (self._failures - 1), LONGEST_PAUSE_SECONDS)
            await self._move(PartState.RESTARTING, None)
            self.say(f"! {self.part.title} {ending}; starting it again in {pause:.0f} s")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._unwanted.wait(), pause)
                await self._move(PartState.STOPPED, None)

    async def _live(self, born: datetime) -> str | None:
        """One life of the process. Gives how it ended, as the end of a sentence, or None when it was stopped on purpose."""
        part = self.part
        try:
            process = await spawn(part.command, part.environment, self.log, part.run_as, part.stop_signal)
        except OSError as error:
            return f"can't be started ({error})"
        ended = asyncio.create_task(process.wait())
        unwanted = asyncio.create_task(self._unwanted.wait())
        silent = asyncio.create_task(self._silent_for_too_long(born))
        try:
            await self._move(PartState.STARTING, process.pid)
            await asyncio.wait({ended, unwanted, silent}, return_when=asyncio.FIRST_COMPLETED)
            by_itself = ended.done()
            on_purpose = unwanted.done() and not by_itself
            if not by_itself:
                await self._end(process, ended)
        finally:
            await _cancel(silent)
            await _cancel(unwanted)
            _kill_group(process.pid)  # what the process left behind, or all of it when we are cancelled ourselves
            await ended
        if on_purpose:
            return None
        return f"ended by itself ({_ending(process)})" if by_itself else "was ended because it did not answer"

    async def _silent_for_too_long(self, born: datetime) -> None:
        """Follow the process from its start on, by asking it. Returns when it lived and has not answered for too long."""
        was_ready = False
        first_heard = heard = None
        while True:
            now = time.monotonic()
            now_ready = not was_ready and await self._says(self.part.ready, born)
            was_ready = was_ready or now_ready
            self._was_ready = self._was_ready or was_ready
            if now_ready or await self._says(self.part.alive or self.part.ready, born):
                heard = now
                first_heard = first_heard or now
                if was_ready or now - first_heard > self.patience.waits_after:
                    await self._answers(PartState.RUNNING if was_ready else PartState.WAITING)
            elif heard is not None and now - heard > self.patience.restarted_after:
                return
            elif heard is not None and now - heard > self.patience.noticed_after:
                await self._does_not_answer()
            await asyncio.sleep(self.patience.ask_every if was_ready else LOOK_EVERY_SECONDS)

    async def _says(self, question: Callable[[datetime], Awaitable[bool]], born: datetime) -> bool:
        try:
            async with asyncio.timeout(self.patience.answer_within):
                answer = await question(born)
        except Exception as error:  # whatever it is, that is no yes; the reason shows when it lasts
            self._doubt = f" ({error})"
            return False
        self._doubt = ""
        return answer

    async def _answers(self, state: PartState) -> None:
        before = self._state
        if before is not state:
            await self._move(state, self._pid)
        if before is PartState.NOT_ANSWERING:
            self.say(f"✓ {self.part.title} answers again")

    async def _does_not_answer(self) -> None:
        if self._state is not PartState.NOT_ANSWERING:
            await self._move(PartState.NOT_ANSWERING, self._pid)
            self.say(f"! {self.part.title} does not answer; if that lasts, it will be started again")

    async def _end(self, process: asyncio.subprocess.Process, ended: asyncio.Task[int]) -> None:
        with suppress(ProcessLookupError):
            process.send_signal(self.part.stop_signal)
        hurry = asyncio.create_task(self.hurry.wait())
        await asyncio.wait({ended, hurry}, timeout=self.part.grace_seconds, return_when=asyncio.FIRST_COMPLETED)
        await _cancel(hurry)
        if not ended.done():
            self.say(f"! {self.part.title} did not stop when asked; killing it")
            _kill_group(process.pid)
            await ended

    async def _move(self, state: PartState, pid: int | None) -> None:
        self._state, self._pid = state, pid
        self.changed()
        async with self._moved:
            self._moved.notify_all()


async def spawn(
    command: Sequence[str],
    environment: Mapping[str, str],
    log: Path,
    run_as: RunAs = RunAs.SELF,
    death_signal: signal.Signals = signal.SIGTERM,
) -> asyncio.subprocess.Process:
    """Starts a child in a session of its own, out of reach of the terminal's Ctrl-C, with its output added to `log`."""
    with _open_log(log) as output:
        return await asyncio.create_subprocess_exec(
            *wrap(command, run_as=run_as, death_signal=death_signal),
            env=dict(environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def _open_log(log: Path) -> BinaryIO:
    if log.exists() and log.stat().st_size > ROTATE_LOG_AT_BYTES:
        log.replace(log.with_suffix(".log.1"))
    return log.open("ab")


def _kill_group(leader: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def _ending(process: asyncio.subprocess.Process) -> str:
    code = process.returncode or 0
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name


def _last_words(log: Path) -> str:
    with log.open(errors="replace") as lines:
        last = deque((line.strip() for line in lines if line.strip()), maxlen=1)
    return f"see {log} (last line: {last[0][:LONGEST_QUOTE].rstrip('.')})." if last else f"see {log}."


async def _cancel(task: asyncio.Task[object]) -> None:
    task.cancel()
    await asyncio.wait({task})
