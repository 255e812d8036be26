"""The register of communications of a clinic, for its administrators: when data about patients left it, to whom, and for what.

What left by Relais is read from the audit, the one truth (`domain.communications` says whose communication an act is); what left
otherwise is entered by hand. Nothing of a patient stands in it but the number of the request. See docs/decisions/registers.md.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from domain import texts
from domain.audit import Act
from domain.calendar import day_of, midnight
from domain.communications import ByHand, ByHandOnRecord, Flow, Recipient, flow
from domain.requests import Role
from records import audit, communications, incidents, people
from records.audit import first_id_of
from records.communications import Entered, Told
from translations import Language, gettext_for
from translations.acts import act_words
from translations.registers import NATURES, PURPOSES, RECIPIENTS
from use_cases import policy
from use_cases.accesses import by
from use_cases.caller import Caller
from use_cases.names import Names, PersonView
from use_cases.problems import FieldFault, Problem
from use_cases.services import Services
from use_cases.views import View

PAGE = 50

FOUND_AT_ONCE = 500
"""So many acts one query gives at most."""

STEPS_OF_A_PAGE = 5
"""So many stretches of the audit one page is looked for in, see `records.communications.STEP`."""

BY_HAND_AT_ONCE = 500
"""So many entries by hand are looked through for one page, the newest day first."""


class Communication(View):
    """Data left the clinic by Relais, as the audit tells it."""

    id: UUID
    at: datetime
    request_id: UUID
    number: str = Field(description="Of the request.")
    nature: str = Field(description="What left, in words.")
    recipient: str = Field(
        description="Who got it: a person or system with its clinic, a clinic, or the person concerned."
    )
    purpose: str = Field(description="For what, in words, as far as it was noted.")
    given_by: str | None = Field(description="Who of the clinic gave it; null where others came for it.")


class Communications(View):
    """A part of the register, the newest first."""

    items: list[Communication]
    next: UUID | None = Field(
        description="Go on from here (`before`), also where no item stands: so far was looked. Null where nothing is older."
    )


class EntryView(View):
    """What left the clinic outside of Relais, as it was entered by hand."""

    id: UUID
    given_on: date
    entry: ByHand | None = Field(description="What was written; null where it does not open.")
    request_id: UUID | None
    number: str | None = Field(description="Of the request from which it came.")
    replaces: UUID | None = Field(description="The entry in whose place it stands.")
    written_by: PersonView | None
    written_at: datetime


class Entries(View):
    """A part of what was entered by hand, the newest day first."""

    items: list[EntryView]
    next: UUID | None = Field(
        description="Go on from here (`before`), also where no item stands: so far was looked. Null where nothing is older."
    )


@dataclass(frozen=True)
class Asked:
    """What of the register is asked for: days, both included, where the clinic is; words of who got it; one request."""

    since: date | None = None
    until: date | None = None
    recipient: str = ""
    request_id: UUID | None = None


async def list_communications(
    services: Services, caller: Caller, asked: Asked, before: UUID | None, language: Language
) -> Communications:
    """A page of what left by Relais. Raises Problem `forbidden` or `invalid_input`."""
    policy.must_have_role(caller, Role.CLINIC_ADMINISTRATOR)
    check_days(asked)
    items: list[Communication] = []
    async with services.database.session() as session:
        at, steps = before, 0
        async for found, at in _steps(session, caller.clinic_id, asked, before, language):  # noqa: B007 - at is told
            items += found
            steps += 1
            if len(items) > PAGE or steps == STEPS_OF_A_PAGE:
                break
    if len(items) > PAGE:
        return Communications(items=items[:PAGE], next=items[PAGE - 1].id)
    return Communications(items=items, next=at)


async def every_communication(
    session: AsyncSession, clinic_id: UUID, asked: Asked, language: Language, *, most: int, most_steps: int
) -> list[Communication] | None:
    """All of them, the newest first; None where these are more than `most`, or lie behind more than `most_steps` stretches."""
    items: list[Communication] = []
    steps = 0
    async for found, at in _steps(session, clinic_id, asked, None, language):
        items += found
        steps += 1
        if len(items) > most or (steps == most_steps and at is not None):
            return None
    return items


def check_days(asked: Asked) -> None:
    """Raise Problem `invalid_input` where the last day lies before the first."""
    if asked.since and asked.until and asked.until < asked.since:
        raise Problem("invalid_input", [FieldFault("until", "before_it_begins")])


async def find_numbered(services: Services, caller: Caller, number: str) -> UUID:
    """The request of that number with which the clinic had to do. Raises Problem `forbidden` or `invalid_input`."""
    policy.must_have_role(caller, Role.CLINIC_ADMINISTRATOR)
    async with services.database.session() as session:
        request_id = await policy.numbered_of_clinic(session, caller, number)
    if request_id is None:
        raise Problem("invalid_input", [FieldFault("number", "unknown_request")])
    return request_id


# From the audit


async def _steps(
    session: AsyncSession, clinic_id: UUID, asked: Asked, before: UUID | None, language: Language
) -> AsyncIterator[tuple[list[Communication], UUID | None]]:
    """What each stretch of the audit has, and from where the next goes on."""
    zone = await people.zone_of(session, clinic_id)
    since = midnight(asked.since, zone) if asked.since else None
    until = midnight(asked.until + timedelta(days=1), zone) if asked.until else None
    newest = first_id_of(until or datetime.now(UTC) + timedelta(days=1))
    at: UUID | None = min(before or newest, newest)
    while at is not None:
        found, at = await communications.step(
            session, clinic_id, since, at, request_id=asked.request_id, limit=FOUND_AT_ONCE
        )
        flows = [(act, flow_of(act)) for act in found]
        ours = [(act, one) for act, one in flows if one is not None and one.of == clinic_id]
        told = await _told(session, ours, language)
        yield [one for one in told if _is_meant(one.recipient, asked.recipient)], at


def flow_of(act: Told) -> Flow | None:
    """How data left with it, by the rule."""
    return flow(act.kind, act.name, act.role, asked=act.asked, by=act.by, written_by=act.written_by)


async def _told(session: AsyncSession, found: Sequence[tuple[Told, Flow]], language: Language) -> list[Communication]:
    named = [id_ for act, _ in found for id_ in (act.account_id, act.for_account_id)]
    names = await Names.load(session, named, [id_ for act, _ in found for id_ in (act.asked, act.by)])
    return [
        Communication(
            id=act.id,
            at=act.at,
            request_id=act.request_id,
            number=act.number,
            nature=_nature(act, language),
            recipient=_recipient(act, one, names, language),
            purpose=_purpose(act, one, language),
            given_by=None if one.to is Recipient.READER else _named(act, names, language),
        )
        for act, one in found
    ]


def _nature(act: Told, language: Language) -> str:
    words = NATURES.get(act.name or "") if act.kind in (Act.COMMAND, Act.JOURNAL) else None
    return gettext_for(language)(words) if words else act_words(act.kind, act.name, language)


def _recipient(act: Told, one: Flow, names: Names, language: Language) -> str:
    if words := RECIPIENTS.get(one.to):
        return gettext_for(language)(words)
    if one.to is Recipient.ASKING_CLINIC:
        return names.clinic(act.asked) or ""
    if act.role is Role.OPERATOR:
        return _named(act, names, language)  # for no clinic
    if act.account_id is None:
        return names.clinic(act.by) or _named(act, names, language)  # Relais sent it there
    return ", ".join(filter(None, (_named(act, names, language), names.clinic(act.by))))


def _named(act: Told, names: Names, language: Language) -> str:
    """Who acted, as the register names them: a person with their profession, a system with the person for whom it did."""
    _ = gettext_for(language)
    who, person = names.person(act.account_id), names.person(act.for_account_id)
    if act.role is Role.OPERATOR:
        return _("Operation of the service")
    if who is None:
        return _("Relais, by itself")
    if not names.is_system(act.account_id):
        return ", ".join(filter(None, (who.name, who.profession)))
    system = _("Computer system “{name}”").format(name=who.name)
    return _("{system}, for {name}").format(system=system, name=person.name) if person else system


def _purpose(act: Told, one: Flow, language: Language) -> str:
    _ = gettext_for(language)
    if one.to is Recipient.PERSON:
        return _("Request of the person for the accesses to what is on file about them")
    if one.to is Recipient.ASKING_CLINIC:
        return _("Care: teleconsultation")
    return _(PURPOSES[act.purpose]) if act.purpose else ""


def _is_meant(recipient: str, asked: str) -> bool:
    return texts.plain(asked) in texts.plain(recipient)


# By hand


async def list_entries(services: Services, caller: Caller, asked: Asked, before: UUID | None) -> Entries:
    """A page of what was entered by hand of these days. Raises Problem `forbidden` or `invalid_input`."""
    policy.must_have_role(caller, Role.CLINIC_ADMINISTRATOR)
    check_days(asked)
    async with services.database.session() as session:
        return await _entries(session, caller.clinic_id, asked, before)


async def every_entry(
    session: AsyncSession, clinic_id: UUID, asked: Asked, *, most: int, most_steps: int
) -> list[EntryView] | None:
    """All of them, the newest day first; None where these are more than `most`, or lie behind more than `most_steps` pages."""
    items: list[EntryView] = []
    at: UUID | None = None
    for _step in range(most_steps):
        found = await _entries(session, clinic_id, asked, at)
        items += found.items
        at = found.next
        if len(items) > most:
            return None
        if at is None:
            return items
    return None


async def _entries(session: AsyncSession, clinic_id: UUID, asked: Asked, before: UUID | None) -> Entries:
    """Who got it is sealed, so it is looked for in what was found; what does not open may be meant."""
    rows = await communications.entered(
        *(session, clinic_id, asked.since, asked.until, before),
        request_id=asked.request_id,
        limit=BY_HAND_AT_ONCE + 1,
    )
    views = await _views(session, rows[:BY_HAND_AT_ONCE])
    return Entries(
        items=[view for view in views if view.entry is None or _is_meant(view.entry.recipient, asked.recipient)],
        next=views[-1].id if len(rows) > BY_HAND_AT_ONCE else None,
    )


async def read_entry(services: Services, caller: Caller, entry_id: UUID) -> EntryView:
    """An entry of the caller's clinic. Raises Problem `forbidden` or `not_found`."""
    policy.must_have_role(caller, Role.CLINIC_ADMINISTRATOR)
    async with services.database.session() as session:
        return (await _views(session, [await _own(session, caller, entry_id)]))[0]


async def enter(
    services: Services, caller: Caller, wanted: ByHand, replaces: UUID | None, key: str | None
) -> EntryView:
    """Enter what left outside of Relais; or correct an entry by another that stands in its place. The same `key` enters one.

    Raises Problem `forbidden`, `not_found` (of what it replaces), `communication_replaced`, `invalid_input` or
    `idempotency_key_reused`.
    """
    policy.must_have_role(caller, Role.CLINIC_ADMINISTRATOR)
    now, content = datetime.now(UTC), wanted.model_dump(mode="json", include={"nature", "recipient", "purpose"})
    async with services.database.session() as session:
        await people.lock_clinic(session, caller.clinic_id)
        row = await communications.find_entered(session, caller.id, key) if key else None
        if row is None:
            await _check(session, caller, wanted, replaces, now)
            row = await communications.enter(
                session,
                caller.clinic_id,
                content,
                given_on=wanted.given_on,
                request_id=wanted.request_id,
                replaces=replaces,
                written_by=caller.id,
                now=now,
                creation_key=key,
            )
            audit.add(
                *(session, Act.CHANGE, by(caller), now),
                name="communication_entered",
                request_id=row.request_id,
                object_id=row.id,
            )
        elif (row.content, row.given_on, row.request_id, row.replaces) != (
            *(content, wanted.given_on, wanted.request_id, replaces),
        ):
            raise Problem("idempotency_key_reused")
        return (await _views(session, [row]))[0]


async def _check(session: AsyncSession, caller: Caller, wanted: ByHand, replaces: UUID | None, now: datetime) -> None:
    if wanted.given_on > day_of(now):
        raise Problem("invalid_input", [FieldFault("given_on", "in_the_future")])
    before = await _own(session, caller, replaces) if replaces else None
    if before and await communications.is_replaced(session, before.id):
        raise Problem("communication_replaced")
    known = before.request_id if before else None
    if wanted.request_id and wanted.request_id != known:
        try:
            await policy.request_of_clinic(session, caller, wanted.request_id)
        except Problem:
            raise Problem("invalid_input", [FieldFault("request_id", "unknown_request")]) from None


async def _own(session: AsyncSession, caller: Caller, entry_id: UUID) -> Entered:
    row = await communications.load_entry(session, caller.clinic_id, entry_id)
    if row is None:
        raise Problem("not_found")
    return row


def _read(row: Entered) -> ByHand | None:
    if row.content is None:
        return None
    return ByHandOnRecord.model_validate({**row.content, "given_on": row.given_on, "request_id": row.request_id})


async def _views(session: AsyncSession, rows: Sequence[Entered]) -> list[EntryView]:
    names = await Names.load(session, [row.written_by for row in rows], [])
    numbers = await incidents.numbers_of(session, {row.request_id for row in rows if row.request_id})
    return [
        EntryView(
            id=row.id,
            given_on=row.given_on,
            entry=_read(row),
            request_id=row.request_id,
            number=numbers.get(row.request_id) if row.request_id else None,
            replaces=row.replaces,
            written_by=names.person(row.written_by),
            written_at=row.written_at,
        )
        for row in rows
    ]
