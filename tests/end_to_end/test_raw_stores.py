"""What who has the data folder, and not the keys, can read of patients in it: nothing."""

import asyncio
import base64
import json
import os
import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import select, text

from records.database import Database
from records.models import Account, Base, EventRecord, FrozenForm, FrozenReport, ReportDraft, RequestRecord
from records.sealed_files import HEAD_BYTES, is_sealed
from settings import Settings
from tests.end_to_end.running import REQUESTER, RunningRelais

NOT_STORES = ("secrets", "demo")
"""In the data folder: the keys, and the papers that `relais demo` fetched for whoever plays it."""

OPEN_BY_DESIGN = ("accounts", "clinics", "offering_versions", "snippets", "absences")
"""Tables of which the chart repeats words that are no patient's: who signs, from which clinic, what a form asks."""

LEAST = 6
"""Letters of a name or a number that are looked for: shorter ones come by chance in so many bytes."""

LEAST_OF_BASE64 = 7
"""Letters of Base64 that are looked for: what is random stands in it, too, and there are but 64."""


async def test_no_name_number_or_sentence_of_a_patient_is_in_any_store(relais: RunningRelais, tmp_path: Path) -> None:
    """In the database's files and dump, in Temporal's, in documents, e-mails and logs, in whatever way it may be written."""
    given = relais.runtime.settings
    database = Database.from_settings(
        Settings(database_url=given["database_url"], encryption_keys=given["encryption_keys"])
    )
    try:
        words = await _what_nobody_may_read(database)
        (tmp_path / "dump").write_text(await _dump(database))
    finally:
        await database.close()
    a_name = max(word for word in words if word.isalpha())
    assert any(word[:4].isupper() and word[4:].isdigit() for word in words), "they have numbers"
    assert any(re.fullmatch(r"\d{4}-\d\d-\d\d", word) for word in words), "and days of birth"
    assert sum(" " in word for word in words) > 20, "and something to say"
    assert (await relais.cast.send(REQUESTER, "GET", "/requests", params={"q": a_name})).is_success
    assert any("é" in word for word in words)

    patterns = {way: word for word in words for way in _ways_to_write(word)}
    (tmp_path / "patterns").write_bytes(b"\n".join(patterns))
    (tmp_path / "planted").write_bytes(b"\0" * 99 + max(words).encode("utf-16-le"))
    assert await asyncio.to_thread(_found, tmp_path / "planted", tmp_path / "patterns"), "what is there is found"

    stores = [path for path in relais.data_dir.iterdir() if path.name not in NOT_STORES]
    files = [file for path in stores for file in ([path] if path.is_file() else _files_below(path))]
    for part in ("postgres", "temporal", "documents", "mail", "logs"):
        assert any(part in file.relative_to(relais.data_dir).parts for file in files), part
    kept = [file for place in ("attachments", "documents") for file in files if f"/documents/{place}/" in str(file)]
    assert kept
    assert [file for file in kept if not is_sealed(file.read_bytes()[:HEAD_BYTES])] == []
    for file in (tmp_path / "dump", *files):
        hits = await asyncio.to_thread(_found, file, tmp_path / "patterns")
        assert not hits, (file, [patterns[hit] for hit in hits if hit in patterns])


async def _what_nobody_may_read(database: Database) -> set[str]:
    """Names, numbers and sentences, as the records have them; not the names and addresses of people who work there."""
    async with database.session() as session:
        people = [(a.given_name, a.family_name, a.title) for a in await session.scalars(select(Account))]
        staff = {name for given, family, title in people for name in (given, family, f"{title} {given} {family}")}
        patients = [row.form["patient"] for row in await session.scalars(select(RequestRecord))]
        said: list[Any] = [row.form["answers"] for row in await session.scalars(select(RequestRecord))]
        said += [form.content for form in await session.scalars(select(FrozenForm))]
        said += [event.command for event in await session.scalars(select(EventRecord))]
        said += [report.content for report in await session.scalars(select(FrozenReport))]
        said += [draft.answers for draft in await session.scalars(select(ReportDraft))]
        open_by_design = " UNION ALL ".join(f"SELECT t::text FROM {name} AS t" for name in OPEN_BY_DESIGN)  # noqa: S608
        kept = "\n".join([row or "" for row in await session.scalars(text(open_by_design))])
    names = {
        value for patient in patients for name, value in patient.items() if name != "sex" and isinstance(value, str)
    }
    names |= {name.replace(" ", "") for name in names}
    sentences = {one for one in _texts(said) if " " in one and len(one) > 20}
    return {
        word
        for word in (name for name in names | sentences if name not in staff)
        if len(word) >= LEAST and "\n" not in word and word not in kept and json.dumps(word)[1:-1] not in kept
    }


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)


def _ways_to_write(word: str) -> Iterable[bytes]:
    """UTF-8; UTF-16 as it is without its NULs; escaped in JSON; in Base64 from each of the three places where it may begin.

    Of the letters of Base64, those that nothing but the word decides, if they are so many that chance writes them nowhere.
    """
    plain = word.encode()
    yield from {plain, word.encode("latin-1", errors="ignore"), json.dumps(word)[1:-1].encode()}
    for before in range(3):
        first, end = (before * 8 + 5) // 6, (before + len(plain)) * 8 // 6
        if end - first >= LEAST_OF_BASE64:
            yield base64.b64encode(b"\0" * before + plain)[first:end]


def _files_below(folder: Path) -> Iterator[Path]:
    """Whatever comes and goes meanwhile."""
    for place, _, names in os.walk(folder):
        yield from (file for name in names if (file := Path(place, name)).is_file())


def _found(file: Path, patterns: Path) -> list[bytes]:
    """The patterns that are in a file, once its NULs are taken out; none, where its program has removed it meanwhile."""
    try:
        content = file.open("rb")
    except FileNotFoundError:
        return []
    with content, subprocess.Popen(["tr", "-d", "\\000"], stdin=content, stdout=subprocess.PIPE) as plain:
        looked = subprocess.run(
            ["grep", "-aoFf", patterns],
            stdin=plain.stdout,
            stdout=subprocess.PIPE,
            env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
        )
    return looked.stdout.splitlines()


async def _dump(database: Database) -> str:
    """Every row of every table, as text."""
    async with database.session() as session:
        tables = [f"SELECT t::text FROM {table.name} AS t" for table in Base.metadata.sorted_tables]  # noqa: S608
        return "\n".join([row or "" for row in await session.scalars(text(" UNION ALL ".join(tables)))])
