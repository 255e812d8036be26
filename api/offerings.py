"""The service offerings for who keeps them: `relais offerings`."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from domain.offerings import ServiceOffering
from records.database import Database
from records.offering_use import VersionUse, offering_use
from settings import Settings
from use_cases import offering_files
from use_cases.offering_files import OfferingError, load_offerings


async def print_offerings(settings: Settings, console: Console) -> None:
    """Every version with its requests, and what the files would put in force, or why they can't be.

    Raises OfferingError when the files can't be taken as they are; the list is printed before.
    """
    files: Mapping[str, ServiceOffering] = {}
    wrong: OfferingError | None = None
    try:
        files = load_offerings(settings.offerings_dir)
    except OfferingError as error:
        wrong = error
    database = Database.from_settings(settings)
    try:
        async with database.session() as session:
            used = await offering_use(session)
            wrong = wrong or await offering_files.objection(session, settings.offerings_dir, files)
    finally:
        await database.close()
    console.print(_table(used, files))
    for sentence in _remarks(used, files):
        console.print(sentence, markup=False)
    console.print(f"Files: {settings.offerings_dir}", markup=False)
    if wrong is not None:
        raise wrong


async def keep_earlier(settings: Settings, file: Path) -> ServiceOffering:
    """Add a version that was in force before versions were kept. Raises OfferingError when it can't be that."""
    database = Database.from_settings(settings)
    try:
        async with database.session() as session:
            return await offering_files.keep_earlier(session, file, datetime.now(UTC))
    finally:
        await database.close()


def _table(used: list[VersionUse], files: Mapping[str, ServiceOffering]) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("OFFERING", "VERSION", "IN FORCE", "KEPT SINCE", "DRAFTS", "OPEN", "ENDED"):
        table.add_column(
            title, no_wrap=True, justify="right" if title in ("VERSION", "DRAFTS", "OPEN", "ENDED") else "left"
        )
    for one in used:
        in_force = files.get(one.code)
        table.add_row(
            one.code,
            str(one.version),
            "yes" if in_force and in_force.version == one.version else "",
            f"{one.since:%Y-%m-%d %H:%M}" if one.since else "unknown",
            *(str(count) for count in (one.drafts, one.open, one.ended)),
        )
    return table


def _remarks(used: list[VersionUse], files: Mapping[str, ServiceOffering]) -> list[str]:
    known = {(one.code, one.version) for one in used if one.since}
    remarks = [
        f"{code} version {offering.version} is in its file and comes into force at the next start of the API."
        for code, offering in files.items()
        if (code, offering.version) not in known
    ]
    for one in used:
        if one.since is None:
            remarks.append(
                f"{one.code} version {one.version} was never kept: its requests show the words of today's version. "
                f"Add it from an old copy of its file: relais offerings --add {one.code}.yaml"
            )
    withdrawn = sorted({one.code for one in used} - files.keys())
    return remarks + [f"{code} has no file any more: it takes no new requests." for code in withdrawn]
