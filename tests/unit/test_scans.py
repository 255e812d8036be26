"""To whom files are given out after what a scanner said; who may read them at all; and how scanners that answer badly are met."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

import cli
from domain.scans import LONGEST_PAUSE, MOST_TRIES, Hold, ScanRule, ScanState, pause_after
from outgoing.clamd import (
    Clamd,
    ScanFailedError,
    ScannerAwayError,
    TooLargeForScannerError,
    database_made_at,
)
from records.errors import NotOpenError, StoreError
from settings import PROJECT_ROOT, Settings
from tests.scanner import EICAR, MARKER, needs_clamd, running_scanner
from use_cases.scanning import Scanned
from web.problems import STATUSES

Meet = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

ALL = ScanRule(has_scanner=True, is_required=True)
SOME = ScanRule(has_scanner=True, is_required=False)
NO_SCANNER = ScanRule(has_scanner=False, is_required=True)

HELD = {
    # rule, state: held from others; what its sender sees of it
    (ALL, ScanState.CLEAN): (None, None),
    (ALL, ScanState.PENDING): (Hold.BEING_CHECKED, None),
    (ALL, ScanState.NOT_SCANNED): (Hold.NOT_SCANNED, None),
    (ALL, ScanState.INFECTED): (Hold.INFECTED, Hold.INFECTED),
    (SOME, ScanState.CLEAN): (None, None),
    (SOME, ScanState.PENDING): (None, None),
    (SOME, ScanState.NOT_SCANNED): (None, None),
    (SOME, ScanState.INFECTED): (Hold.INFECTED, Hold.INFECTED),
    (NO_SCANNER, ScanState.CLEAN): (None, None),
    (NO_SCANNER, ScanState.PENDING): (None, None),
    (NO_SCANNER, ScanState.NOT_SCANNED): (None, None),
    (NO_SCANNER, ScanState.INFECTED): (Hold.INFECTED, Hold.INFECTED),
}


def test_to_whom_files_are_given_out() -> None:
    assert {state for _, state in HELD} == set(ScanState)
    for (rule, state), (file, picture) in HELD.items():
        assert rule.hold(state) is file, (rule, state)
        assert rule.hold(state, shows_sender=True) is picture, (rule, state)


def test_every_hold_is_a_problem() -> None:
    assert {hold.value for hold in Hold} <= STATUSES.keys()


def test_how_long_a_scan_that_fails_is_tried() -> None:
    pauses = [pause_after(failed) for failed in range(1, MOST_TRIES)]
    assert pauses[:4] == [timedelta(seconds=1), timedelta(seconds=2), timedelta(seconds=4), timedelta(seconds=8)]
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE == timedelta(hours=1)
    assert timedelta(hours=24) < sum(pauses, timedelta()) < timedelta(hours=25)


def test_what_a_round_could_not_do() -> None:
    assert Scanned(Counter({ScanState.CLEAN: 2, ScanState.INFECTED: 1})).all_could_be
    assert not Scanned(Counter({ScanState.CLEAN: 2, ScanState.NOT_SCANNED: 1})).all_could_be
    assert not Scanned(failed=1).all_could_be


def test_a_store_that_fails_is_told_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def fails(*_: object, **__: object) -> Scanned:
        raise StoreError("PermissionError")

    monkeypatch.setattr("use_cases.scanning.scan_files", fails)
    monkeypatch.setattr("settings.get_settings", lambda: Settings(clamd_url="tcp://127.0.0.1:1"))
    monkeypatch.setattr("sys.argv", ["relais", "scan-files"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    assert capsys.readouterr().err == (
        "relais: The document store can't be read (PermissionError): see to it, then try again.\n"
    )


READERS = {
    "use_cases/asked_files.py": "sends them to partners that are asked, after ScanRule.hold",
    "use_cases/attachments.py": "whether there is a picture that the reader gets",
    "use_cases/marks.py": "how large a page is on which somebody draws: no byte of it goes out",
    "use_cases/new_attachments.py": "keeps them",
    "use_cases/renditions.py": "gives them out, after check_given_out",
    "use_cases/scanning.py": "gives them to the scanner",
    "use_cases/whole_case.py": "draws them, after Viewer.hold",
    "use_cases/documents.py": "signed documents: ours",
    "use_cases/partner_messages.py": "messages as they came: given out to nobody",
    "activities/media.py": "makes the copy of a video",
    "activities/reports.py": "signed documents: ours",
    "use_cases/partner_sender.py": "signed documents, for partners: ours",
    "use_cases/partner_answers.py": "whether what came is a file that went there: shown to nobody",
}
"""The modules above the records that know where a file lies. A new one asks `use_cases.scans` before it shows one to somebody."""


def test_who_knows_where_files_lie() -> None:
    keys = re.compile(r"\b(object_key|preview_key|thumbnail_key|full_key|playable_key|page_keys)\b")
    folders = ("use_cases", "activities", "web", "api", "fhir", "portal", "scim", "workflows")
    found = {
        path.relative_to(PROJECT_ROOT).as_posix()
        for folder in folders
        for path in (PROJECT_ROOT / folder).rglob("*.py")
        if keys.search(path.read_text())
    }
    assert found == READERS.keys()


def test_the_address_of_a_scanner() -> None:
    for good in ("tcp://clamd:3310", "tcp://127.0.0.1:3310", "unix:///run/clamav/clamd.ctl"):
        assert Settings(clamd_url=good).clamd_url == good
        assert Clamd(good, timedelta(seconds=1))
    for bad in (
        "clamd:3310",
        "http://clamd:3310",
        "tcp://clamd",
        "unix://run/clamd",
        "tcp:///x:1",
        "tcp://h:99999",
        "tcp://h:0",
    ):
        with pytest.raises(ValidationError):
            Settings(clamd_url=bad)
        with pytest.raises(ValueError, match=r"is expected|out of range"):
            Clamd(bad, timedelta(seconds=1))


def test_how_old_a_database_is() -> None:
    said = "ClamAV 1.4.3/27831/Thu Nov 26 09:45:12 2026"
    assert database_made_at(said) == datetime(2026, 11, 26, 9, 45, 12, tzinfo=UTC)
    for other in ("ClamAV 1.4.3", "ClamAV 1.4.3/27831", "ClamAV 1.4.3/27831/yesterday", ""):
        assert database_made_at(other) is None


async def of(content: bytes, pieces: int = 1) -> AsyncIterator[bytes]:
    for _ in range(pieces):
        yield content


@asynccontextmanager
async def scanner_that(meets: Meet) -> AsyncIterator[Clamd]:
    """Something that listens as a scanner does, and goes about it in its own way."""

    async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await meets(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(met, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield Clamd(f"tcp://127.0.0.1:{port}", timedelta(seconds=0.5))
    finally:
        server.close()


def that_says(answer: bytes) -> Meet:
    async def meets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(answer)
        await writer.drain()

    return meets


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", ScanFailedError),
        (b"stream: OK", ScanFailedError),  # broken off before its end
        (b"stream: \0", ScanFailedError),
        (b"FOUND\0", ScanFailedError),
        (b"stream: OKAY\0", ScanFailedError),
        (b"stream: Can't allocate memory ERROR\0", ScanFailedError),
        (b"x" * 10_000, ScanFailedError),
        (b"INSTREAM size limit exceeded. ERROR\0", TooLargeForScannerError),
        (b"stream: Heuristics.Limits.Exceeded.MaxFileSize FOUND\0", TooLargeForScannerError),
    ],
)
async def test_what_is_no_verdict_is_none(answer: bytes, error: type[Exception]) -> None:
    async with scanner_that(that_says(answer)) as scanner:
        with pytest.raises(error) as raised:
            await scanner.scan(of(b"x" * 1000, 100))
    assert type(raised.value) is error


async def test_who_says_nothing_is_waited_for_as_long_as_was_said() -> None:
    async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with scanner_that(silent) as scanner:
        with pytest.raises(ScanFailedError):
            await scanner.scan(of(b"x"))


async def test_nobody_listens() -> None:
    away = Clamd("tcp://127.0.0.1:1", timedelta(seconds=1))
    with pytest.raises(ScannerAwayError):
        await away.version()
    with pytest.raises(ScannerAwayError):
        await away.scan(of(b"x"))
    with pytest.raises(ScannerAwayError):
        await Clamd("unix:///nowhere/clamd.ctl", timedelta(seconds=1)).version()


async def test_what_the_content_raises_comes_through() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x"
        raise KeyError("gone")

    async def patient(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with scanner_that(patient) as scanner:
        with pytest.raises(KeyError):
            await scanner.scan(broken())


@pytest.mark.parametrize("error", [ConnectionError, NotOpenError, TimeoutError, ValueError])
async def test_what_the_content_raises_is_not_taken_for_the_scanner_s(error: type[Exception]) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x"
        raise error

    async def takes_all_and_is_content(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"x")
        writer.write(b"stream: OK\0")
        await reader.read()

    async with scanner_that(takes_all_and_is_content) as scanner:
        with pytest.raises(error) as raised:
            await scanner.scan(broken())
    assert type(raised.value) is error


@pytest.mark.parametrize("hangs_up", [True, False])
async def test_nothing_found_in_a_part_is_no_verdict(*, hangs_up: bool) -> None:
    async def hasty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"stream: OK\0")
        await writer.drain()
        if not hangs_up:
            await asyncio.Event().wait()

    async with scanner_that(hasty) as scanner:
        with pytest.raises(ScanFailedError):
            await scanner.scan(of(b"x" * 1_000_000, 100))


async def test_what_is_found_in_a_part_counts() -> None:
    async with scanner_that(that_says(b"stream: Eicar FOUND\0")) as scanner:
        assert await scanner.scan(of(b"x" * 1_000_000, 100)) == "Eicar"


@needs_clamd
@pytest.mark.long
async def test_a_real_scanner() -> None:
    async with running_scanner(stream_max="1M") as running:
        scanner = Clamd(running.url, timedelta(seconds=60))
        assert (await scanner.version()).startswith("ClamAV ")
        for content, name in ((b"hello", None), (EICAR, "Eicar"), (b"\0" * 500_000 + MARKER, "Marker")):
            found = await scanner.scan(of(content))
            assert found == (name and f"Relais.Test.{name}.UNOFFICIAL")
        assert await scanner.scan(of(b"")) is None
        with pytest.raises(TooLargeForScannerError):
            await scanner.scan(of(b"x" * 100_000, 200))
