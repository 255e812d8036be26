"""Becomes another program, as a child that cannot outlive its supervisor and need not be root.

    python child.py RUN_AS DEATH_SIGNAL PARENT_PID -- COMMAND ...

Run as a script (``wrap`` writes the line), it changes who it is, asks the kernel for a signal at the parent's death, and then
replaces itself by COMMAND under the same process id. Doing so after the fork, in a process of its own, keeps the supervisor free
of code between fork and exec, which is not safe in a program with threads.

Who the program runs as matters for PostgreSQL only, which refuses root:

- ``self``: as whoever started it;
- ``namespace``: in a user namespace where our own user id has the number of `nobody`. Files stay ours, so a clone in a private
  folder of root works as it is;
- ``nobody``: as the user `nobody`, that keeps, where the system lets it, the one capability to pass through private folders. The
  files that it writes must belong to `nobody`.
"""

import ctypes
import os
import pwd
import signal
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

# numbers of the Linux interface, from its headers sched.h, prctl.h, securebits.h and capability.h
CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_SET_SECUREBITS = 28
PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 47, 2
SECBIT_NO_SETUID_FIXUP = 1 << 2
CAPABILITY_VERSION_3 = 0x20080522
CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2

EXIT_CANNOT_BECOME = 77
EXIT_CANNOT_RUN = 126


class RunAs(StrEnum):
    """Who a child runs as; see the head of this file."""

    SELF = "self"
    NAMESPACE = "namespace"
    NOBODY = "nobody"


def wrap(
    command: Sequence[str], *, run_as: RunAs = RunAs.SELF, death_signal: signal.Signals = signal.SIGTERM
) -> list[str]:
    """The command line that starts `command` as a child of this process. Start it from the main thread: the kernel sends the
    death signal at the end of the thread that made the child."""
    return [
        sys.executable,
        *("-I", "-S", __file__),
        *(run_as, str(int(death_signal)), str(os.getpid()), "--"),
        *command,
    ]


def main() -> None:
    run_as, death_signal, parent, _, *command = sys.argv[1:]
    try:
        if run_as == RunAs.NAMESPACE:
            _enter_namespace()
        elif run_as == RunAs.NOBODY:
            _become_nobody()
    except (OSError, KeyError, AttributeError) as error:
        print(f"cannot run as {run_as}: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(EXIT_CANNOT_BECOME)
    for ignored in (signal.SIGPIPE, signal.SIGINT, signal.SIGHUP, signal.SIGTERM):  # exec would keep what is ignored
        signal.signal(ignored, signal.SIG_DFL)
    _die_with(int(parent), int(death_signal))
    try:
        os.execvp(command[0], command)  # noqa: S606
    except OSError as error:
        print(f"cannot run {command[0]}: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(EXIT_CANNOT_RUN)


def _die_with(parent: int, death_signal: int) -> None:
    """Must come last: the kernel forgets the request when the user changes. Other systems rely on the next start, which
    ends what it finds."""
    if sys.platform == "linux":
        _system_call("prctl", PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
        if os.getppid() != parent:  # it died before we asked
            sys.exit(0)


def _enter_namespace() -> None:
    user = pwd.getpwnam("nobody")  # a number that has a name: initdb looks it up
    outer_uid, outer_gid = os.geteuid(), os.getegid()
    _system_call("unshare", CLONE_NEWUSER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user.pw_uid} {outer_uid} 1")
    Path("/proc/self/gid_map").write_text(f"{user.pw_gid} {outer_gid} 1")


def _become_nobody() -> None:
    user = pwd.getpwnam("nobody")
    passing = sys.platform == "linux" and _prepare_passing()
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    if passing:
        _keep_passing()


def _prepare_passing() -> bool:
    """Lets capabilities outlive the change of user, and count for access(2), by which PostgreSQL looks for its own files."""
    try:
        _system_call("prctl", PR_SET_KEEPCAPS, 1, 0, 0, 0)
        _system_call("prctl", PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
    except OSError:
        return False
    return True


def _keep_passing() -> None:
    """Keeps the weakest capability that passes through private folders and drops all others. Containers often have only the
    stronger one."""
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    for capability in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE):
        mask = 1 << capability
        sets = (ctypes.c_uint32 * 6)(
            mask, mask, mask, 0, 0, 0
        )  # effective, permitted, inheritable; then the upper halves
        try:
            _system_call("capset", header, sets)
            _system_call("prctl", PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0)
        except OSError:
            continue
        return


def _system_call(name: str, *arguments: object) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, name)(*arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")


if __name__ == "__main__":
    main()
