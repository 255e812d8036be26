"""The service offerings for who keeps them: their versions, who has them, and what the files would put in force."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from domain.offerings import ServiceOffering
from records.database import Database
from records.offering_use import VersionUse, offering_use
from settings import Settings
from use_cases import offering_files
from use_cases.offering_files import OfferingError, load_offerings


@dataclass(frozen=True)
class Offerings:
    """Every version with its requests, and the offerings of the files by code; `wrong` says why these can't be put in force."""

    used: Sequence[VersionUse]
    files: Mapping[str, ServiceOffering]
    wrong: OfferingError | None

    def remarks(self) -> list[str]:
        """What somebody should know or do."""
        used, files = self.used, self.files
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


async def look_at_offerings(settings: Settings) -> Offerings:
    """What the records know, and what the files say."""
    files: Mapping[str, ServiceOffering] = {}
    wrong: OfferingError | None = None
    try:
        files = load_offerings(settings.offerings_dir)
    except OfferingError as error:
        wrong = error
    async with Database.opened(settings) as database, database.session() as session:
        used = await offering_use(session)
        wrong = wrong or await offering_files.objection(session, settings.offerings_dir, files)
    return Offerings(used, files, wrong)


async def keep_earlier(settings: Settings, file: Path) -> ServiceOffering:
    """Add a version that was in force before versions were kept. Raises OfferingError when it can't be that."""
    async with Database.opened(settings) as database, database.session() as session:
        return await offering_files.keep_earlier(session, file, datetime.now(UTC))
