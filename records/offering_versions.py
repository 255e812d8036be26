"""The versions of the service offerings that were ever in force. None ever changes, so a request keeps the meaning that it has.

    await put_in_force(session, offerings, now)     # at the start of a process
    versions = OfferingVersions(offerings)
    (await versions.of(session, row)).form          # the form that the request was made with

What is in force is what the files say; the records know what was in force before. A file may go back to a version that they
know (somebody undid a change), never say something else under a number that was given.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any, TypeVar

import structlog
from pydantic import ValidationError
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.offerings import AttachmentSlot, FieldKind, FormField, Localized, ServiceOffering
from records.canonical import content_sha256
from records.models import OfferingVersion, RequestRecord
from translations import gettext_for
from translations import gettext_noop as _

_Named = TypeVar("_Named", FormField, AttachmentSlot)

Place = tuple[str | int, ...]
"""The way from the top of an offering's content to a value: keys, and positions in lists."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Objection:
    """Why an offering can't be in force beside what the records know of its code, and what in it stands in the way."""

    code: str
    place: Place
    reason: str


class ObjectionError(Exception):
    """Offerings can't be in force, or be kept, beside what the records know of them."""

    def __init__(self, *objections: Objection) -> None:
        super().__init__(*objections)
        self.objections = objections


async def put_in_force(session: AsyncSession, offerings: Mapping[str, ServiceOffering], now: datetime) -> None:
    """Add those versions of the `offerings` (by code) to the records that they do not know yet.

    Processes that start at the same time pass one after the other. Raises `ObjectionError` when an offering says something else
    than the records under a version that they know, or has a number that was passed over.
    """
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended("offering_versions", 0))))
    if wrong := await objections(session, offerings):
        raise ObjectionError(*wrong)
    known = await _known(session, offerings)
    for code, offering in offerings.items():
        if offering.version not in known.get(code, {}):
            session.add(_row(offering, now))
            log.info("offering in force", code=code, version=offering.version)
    await session.flush()


async def objections(session: AsyncSession, offerings: Mapping[str, ServiceOffering]) -> list[Objection]:
    """Why the offerings can't be in force beside what the records know; empty when they can."""
    known = await _known(session, offerings)
    found = (_objection(offering, known.get(code, {})) for code, offering in offerings.items())
    return [objection for objection in found if objection]


async def keep_earlier(session: AsyncSession, offering: ServiceOffering, now: datetime) -> None:
    """Add a version that was in force before versions were kept, so that the requests made with it have their words.

    A version that the records know already is as good. Raises `ObjectionError` when it is not the same, or newer than all known.
    """
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended("offering_versions", 0))))
    known = (await _known(session, [offering.code])).get(offering.code, {})
    if offering.version in known:
        if objection := _objection(offering, known):
            raise ObjectionError(objection)
    elif not known or offering.version > max(known):
        reason = "only a version before the newest known one can be added; a new one comes into force at a start"
        raise ObjectionError(Objection(offering.code, ("version",), reason))
    else:
        session.add(_row(offering, now))
        await session.flush()


async def known_codes(session: AsyncSession) -> set[str]:
    """The codes of the offerings that were ever in force."""
    return set(await session.scalars(select(OfferingVersion.code).distinct()))


class OfferingVersions:
    """Every version of every offering, kept in memory once it was asked for."""

    def __init__(self, in_force: Mapping[str, ServiceOffering]) -> None:
        self._in_force = in_force
        self._read = {(offering.code, offering.version): offering for offering in in_force.values()}

    async def of(self, session: AsyncSession, row: RequestRecord) -> ServiceOffering:
        """The offering as it was when the request was made; of a draft, as it was when the draft was opened last."""
        terms = row.process["terms"]
        return await self.version(session, terms["offering"], terms["offering_version"])

    async def version(self, session: AsyncSession, code: str, version: int) -> ServiceOffering:
        """That version of the offering; `stand_in` for one that the records do not know."""
        return await self.find(session, code, version) or stand_in(code, version, self._in_force.get(code))

    async def is_kept(self, session: AsyncSession, offering: ServiceOffering) -> bool:
        """Whether the records know that version, and nothing stands in for it."""
        return await self.find(session, offering.code, offering.version) is not None

    async def newest(self, session: AsyncSession) -> Mapping[str, ServiceOffering]:
        """The newest version of every offering that ever was, by code; the one in force where there is one."""
        query = select(OfferingVersion.code, func.max(OfferingVersion.version)).group_by(OfferingVersion.code)
        gone = [(code, version) for code, version in await session.execute(query) if code not in self._in_force]
        return {
            **self._in_force,
            **{code: await self.version(session, code, version) for code, version in sorted(gone)},
        }

    async def legend(self, session: AsyncSession, offering: ServiceOffering) -> ServiceOffering:
        """The offering with what its other versions asked and it does not: the newest words for every name that ever was.

        For labels only; nobody fills it in.
        """
        query = select(OfferingVersion.version).where(OfferingVersion.code == offering.code)
        numbers = await session.scalars(query.order_by(OfferingVersion.version.desc()))
        others = [other for number in numbers if (other := await self.find(session, offering.code, number))]
        return offering.model_copy(
            update={
                "form": _named(offering.form, *(other.form for other in others)),
                "attachments": _named(offering.attachments, *(other.attachments for other in others)),
            }
        )

    def in_force(self, code: str) -> ServiceOffering | None:
        """The version that new requests are made with; None when there are to be no more."""
        return self._in_force.get(code)

    async def find(self, session: AsyncSession, code: str, version: int) -> ServiceOffering | None:
        """That version of the offering, if the records know it."""
        if (code, version) not in self._read:
            row = await session.get(OfferingVersion, (code, version))
            if row is None:
                return None
            self._read[code, version] = ServiceOffering.model_validate(row.content)
        return self._read[code, version]


def stand_in(code: str, version: int, in_force: ServiceOffering | None) -> ServiceOffering:
    """What serves the requests of a version whose content nobody wrote down, left by a Relais that kept no versions.

    It is what is in force today: what that does not ask shows under its name. Where nothing is in force, it is the least with
    which a request can be answered.
    """
    instead = in_force or ServiceOffering(
        code=code,
        version=version,
        title=Localized(fr=code, en=code),
        description=Localized(fr=code, en=code),
        dispatch="manual",
        form=(_ANSWER,),
        report=(_ANSWER,),
        attachments=(_FILES,),
    )
    if in_force is None:  # nobody knows what it asked
        instead = instead.model_copy(update={"form": ()})
    return instead.model_copy(update={"version": version})


def _named(*groups: Iterable[_Named]) -> tuple[_Named, ...]:
    """The first of every name."""
    found: dict[str, _Named] = {}
    for item in chain.from_iterable(groups):
        found.setdefault(item.name, item)
    return tuple(found.values())


def _in_both(text: str) -> Localized:
    return Localized(fr=gettext_for("fr")(text), en=gettext_for("en")(text))


_ANSWER = FormField(
    name="answer", label=_in_both(_("Answer")), kind=FieldKind.LONG_TEXT, required=True, max_length=20_000
)


_FILES = AttachmentSlot(name="files", label=_in_both(_("Photos and videos")), accepts=("photo", "video"), maximum=50)


def _row(offering: ServiceOffering, now: datetime) -> OfferingVersion:
    content = offering.model_dump(mode="json")
    return OfferingVersion(
        code=offering.code, version=offering.version, content=content, sha256=content_sha256(content), since=now
    )


async def _known(session: AsyncSession, codes: Iterable[str]) -> dict[str, dict[int, OfferingVersion]]:
    found: dict[str, dict[int, OfferingVersion]] = {}
    for row in await session.scalars(select(OfferingVersion).where(OfferingVersion.code.in_(list(codes)))):
        found.setdefault(row.code, {})[row.version] = row
    return found


def _objection(offering: ServiceOffering, known: Mapping[int, OfferingVersion]) -> Objection | None:
    """Why an offering can't be in force beside what the records know of its code; None when it can."""
    number = offering.version
    if row := known.get(number):
        place = _first_difference(row, offering)
        if place is None:
            return None
        was, is_ = (_at(content, place) for content in (row.content, offering.model_dump(mode="json")))
        return Objection(
            offering.code,
            place,
            f"version {number} was in force with {_told(was)} here, not {_told(is_)}, and a version never changes: "
            "raise `version`",
        )
    if known and number < max(known):
        newest = max(known)
        return Objection(
            offering.code,
            ("version",),
            f"version {newest} was in force already, and version {number} never was: raise `version` to {newest + 1}",
        )
    return None


def _first_difference(row: OfferingVersion, offering: ServiceOffering) -> Place | None:
    """The first place at which the offering says something else; None where both mean the same.

    They are held against each other as this code reads them: a key that it has learned since has its default in both.
    """
    try:
        before = ServiceOffering.model_validate(row.content).model_dump(mode="json")
    except ValidationError:  # written by a newer Relais
        before = row.content
    return _differs(before, offering.model_dump(mode="json"))


def _differs(before: Any, now: Any, place: Place = ()) -> Place | None:
    if isinstance(before, dict) and isinstance(now, dict):
        parts: Iterable[str | int] = [*now, *(key for key in before if key not in now)]
    elif isinstance(before, list) and isinstance(now, list):
        parts = range(max(len(before), len(now)))
    else:
        return None if before == now else place
    found = (_differs(_at(before, (part,)), _at(now, (part,)), (*place, part)) for part in parts)
    return next((place for place in found if place is not None), None)


def _at(content: Any, place: Place) -> Any:
    """What stands at `place`; None where there is no such place."""
    for part in place:
        try:
            content = content[part]
        except (KeyError, IndexError):
            return None
    return content


def _told(value: Any) -> str:
    if value is None:
        return "nothing"
    return "other content" if isinstance(value, dict | list) else f"'{value}'"
