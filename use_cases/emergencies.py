"""Access in an emergency: who would not see a request reads it for some hours, by its number, with a reason and a proof of who
they are; and administrators hear of it at once.

Whether there is such a request shows to nobody before that: until then, everything depends on who asks alone. What shows by it,
and what does not, stands in docs/decisions/emergency-access.md.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from math import ceil
from typing import Annotated
from uuid import UUID, uuid5

import structlog
from pydantic import AfterValidator, ConfigDict, Field, StringConstraints
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from domain import emergencies as rules
from domain.accounts import LetterKind
from domain.audit import Act, EmergencyStep, Purpose
from domain.model import Discreet, Said, storable
from domain.requests import Role
from records import account_letters, audit, emergencies, people, requests, used_keys, visibility
from records.canonical import content_sha256
from records.errors import NotFoundError
from records.models import Account, AuditEntry, EmergencyOpening, LetterStatus, RequestRecord
from records.used_keys import Use
from use_cases import guessing, step_up
from use_cases.accesses import by
from use_cases.account_letters import send, send_after
from use_cases.attempts import Begun
from use_cases.caller import Caller
from use_cases.guessing import Counter
from use_cases.names import Names, PersonView
from use_cases.problems import Problem
from use_cases.proofs import Proof, proved_by
from use_cases.services import Services
from use_cases.views import View

log = structlog.get_logger(__name__)

MAX_NUMBER = 40

MOST_SHOWN = 200

PROVED_FOR = UUID("0193a5c8-6c1e-7d8a-9b1f-5b0e6f9a7c24")
"""In place of the request in what a proof is for: whether there is one is not known yet."""

_REFUSALS = frozenset({"nothing_to_open", "opening_ended"})
"""What is written down as refused."""


class Wanted(Discreet):
    """Which request somebody must see in an emergency, and why."""

    model_config = ConfigDict(extra="forbid")

    number: Annotated[
        str,
        StringConstraints(strip_whitespace=True, to_upper=True, min_length=1, max_length=MAX_NUMBER),
        AfterValidator(storable),
    ] = Field(description="The number of the request, in full.", examples=["TC-2026-000123"])
    reason: Said = Field(examples=["La personne est inconsciente à l’urgence; son traitement n’est pas connu."])


class NewOpening(Proof, Wanted):
    """The same, with the second proof of identity, as for a signature."""


class OpeningState(StrEnum):
    """Whether it goes on."""

    OPEN = "open"
    ENDED = "ended"  # by hand
    OVER = "over"  # its time is over, or something by which it was possible does not hold any more


class OpeningView(View):
    """A request that somebody opened in an emergency."""

    id: UUID
    request_id: UUID
    number: str
    person: PersonView | None
    role: Role
    clinic: str | None
    reason: str | None = Field(description="Null where it does not open.")
    told: int = Field(
        description="To how many people an e-mail was written of it: administrators of both clinics, and operators where one of "
        "them has none but who reads."
    )
    begun_at: datetime
    ends_at: datetime
    state: OpeningState
    ended_at: datetime | None = Field(description="When it was ended by hand.")
    ended_by: PersonView | None
    held_until: datetime | None = Field(
        description="Until when who opened it can’t open it anew, because somebody else has ended it."
    )
    may_end: bool = Field(
        description="Whether it changes anything that the caller ends it: while it lasts, of others also for a day from its "
        "beginning, as who opened it can’t open it anew then."
    )
    yours: bool


def used_for(command_id: str, wanted: Wanted | None = None) -> str:
    """What a proof of identity is for: what that command opens; `wanted` says of which number and why."""
    return str(uuid5(PROVED_FOR, f"{command_id} {_matter(wanted)}" if wanted else command_id))


async def is_possible(services: Services, caller: Caller) -> bool:
    """Whether the caller may open anything at all in an emergency."""
    if caller.system is not None or rules.opens_as(caller.roles) is None:
        return False
    return await _is_on(services, caller)


async def open_in_emergency(services: Services, caller: Caller, new: NewOpening, key: str | None) -> OpeningView:
    """Let the caller read that request from now on, for some hours; opened once already, it is what there is.

    A key opens once: sent again, it gives what it has opened, or was answered with, also where that is over.

    Raises Problem `forbidden` for who treats nobody, `emergency_not_for_operators`, `emergency_off`, `too_many_attempts`;
    `wrong_password`, `code_needed`, `wrong_code`, `wrong_passkey`, `second_factor_missing`, `step_up_needed` or `invalid_input`
    without a proof; then `seen_anyway`, `nothing_to_open` whether there is no such request or no right to it, `opening_ended` for
    some hours after somebody else has ended it, and `idempotency_key_reused` for a key that has opened something else.
    """
    role = await _role_to_open(services, caller)
    await guessing.count(services.database, _tries(caller))
    command_id = caller.command_id(key)
    await _prove(services, caller, new, command_id)
    try:
        view, letters = await _open_once(services, caller, role, new, UUID(command_id))
    except Problem as problem:
        if problem.code in _REFUSALS:
            await send(services, await _note_refused(services, caller, role))
        raise
    await send(services, letters)
    return view


async def confirm(
    services: Services, caller: Caller, wanted: Wanted, key: str, said: Mapping[str, str], cookie: str | None
) -> Begun:
    """On to the caller's provider, to confirm that it is they who must see it. Whether there is such a request is not looked at.

    Raises as `open_in_emergency` does before any proof, and as `step_up.begin`.
    """
    await _role_to_open(services, caller)
    await guessing.check(services.database, _tries(caller))
    return await step_up.begin(services, caller, used_for(caller.command_id(key)), _matter(wanted), said, cookie)


async def end(services: Services, caller: Caller, opening_id: UUID) -> OpeningView:
    """It does not hold any more; a second time changes nothing. For who opened it, and for whom `list_openings` shows it.

    Who ends what somebody else opened says also that they can't open it anew for a day, whatever became of it meanwhile; that is
    told to others who would (`_tell_of_end`). Raises Problem `not_found`.
    """
    letters: dict[UUID, timedelta] = {}
    async with services.database.session() as session:
        found = await emergencies.load(session, opening_id)
        if found is None or not await _is_shown(session, caller, found):
            raise Problem("not_found")
        try:
            row = await requests.lock_for_anybody(session, found.request_id)
        except NotFoundError:  # it was destroyed meanwhile
            raise Problem("not_found") from None
        if found.account_id != caller.id:
            await people.count_by_account(session, caller.id)  # so that each end knows of those before it
        now = datetime.now(UTC)  # after what orders them
        course = (await emergencies.courses_of(session, [found]))[found.id]
        if course.ends_by(caller.id, now):
            await emergencies.end(session, found, ended_by=caller.id, now=now)
            role = Role(found.role) if found.account_id == caller.id else Role.CLINIC_ADMINISTRATOR
            entry = _note(session, caller, role, EmergencyStep.ENDED, now, found)
            if found.account_id != caller.id:
                letters = await _tell_of_end(session, entry, found, row.requester_clinic_id)
            await requests.announce(session, row)
        [view] = await _views(session, caller, [found])
    await send_after(services, letters)
    return view


async def goes_on(services: Services, caller: Caller, opening_id: UUID) -> bool:
    """Whether the caller reads something just now by what they opened there."""
    async with services.database.session() as session:
        found = await emergencies.load(session, opening_id)
        if caller.system is not None or found is None or found.account_id != caller.id:
            return False
        return found.id in await emergencies.going_on(session, [found.id], datetime.now(UTC))


async def list_openings(services: Services, caller: Caller) -> list[OpeningView]:
    """What the caller opened; for administrators also what others of their clinic did, and others still of what it asked for.

    The newest first.
    """
    async with services.database.session() as session:
        found = list(await emergencies.opened_by(session, caller.id, MOST_SHOWN))
        if Role.CLINIC_ADMINISTRATOR in caller.roles:
            found += await emergencies.of_clinic(session, caller.viewer, MOST_SHOWN)
        newest = sorted({one.id: one for one in found}.values(), key=lambda one: one.id, reverse=True)
        return await _views(session, caller, newest[:MOST_SHOWN])


async def tell_open_pages(session: AsyncSession, clinic_id: UUID) -> None:
    """A clinic has turned it on or off: pages that are open by it ask for themselves anew."""
    for row in await emergencies.going_on_in(session, clinic_id, datetime.now(UTC)):
        await requests.announce(session, row)


# Who may


async def _is_on(services: Services, caller: Caller) -> bool:
    """Whether the caller's clinic has turned it on."""
    async with services.database.session() as session:
        clinic = await people.load_clinic(session, caller.clinic_id)
    return clinic is not None and clinic.emergency


async def _role_to_open(services: Services, caller: Caller) -> Role:
    """Raises Problem `forbidden`, `emergency_not_for_operators` or `emergency_off`: by who asks alone."""
    role = rules.opens_as(caller.roles)
    if caller.system is None and Role.OPERATOR in caller.roles:
        raise Problem("emergency_not_for_operators")
    if caller.system is not None or role is None:
        raise Problem("forbidden")
    if not await _is_on(services, caller):
        raise Problem("emergency_off")
    return role


def _tries(caller: Caller) -> tuple[Counter, ...]:
    return (Counter(f"emergency: {caller.id}", rules.TRIES),)


async def _prove(services: Services, caller: Caller, new: NewOpening, command_id: str) -> None:
    """A proof is for this command, this number and this reason alone; sent again with them, it is good."""
    confirmed_for, answered_for = used_for(command_id), used_for(command_id, new)
    proved = await proved_by(
        services, caller, new, confirmed_for=confirmed_for, answered_for=answered_for, whoever=True
    )
    proved.must_be_for(_matter(new))


def _matter(wanted: Wanted) -> str:
    return content_sha256({"number": wanted.number, "reason": wanted.reason})


async def _to_open(session: AsyncSession, caller: Caller, number: str) -> RequestRecord | None:
    """The request, locked, if the caller may open it: looked at again then, as somebody may just have ended that."""
    request_id = await emergencies.may_be_opened(session, caller.id, caller.clinic_id, number)
    if request_id is None:
        return None
    try:
        row = await requests.lock_request(session, request_id)
    except NotFoundError:
        return None
    still = await emergencies.may_be_opened(session, caller.id, caller.clinic_id, number)
    return row if still is not None else None


# What follows


async def _open_once(
    services: Services, caller: Caller, role: Role, new: NewOpening, command_id: UUID
) -> tuple[OpeningView, list[UUID]]:
    """What is open by it, and the e-mails that tell of it where it is new.

    Raises Problem as `open_in_emergency` after the proof.
    """
    async with services.database.session() as session:
        row = await _to_open(session, caller, new.number)
        opening = await _answered_before(session, caller, row, new, command_id)
        letters: list[UUID] = []
        if opening is None:
            if row is None:
                raise await _not_to_open(session, caller, new.number)
            opening, letters = await _opened(session, caller, role, row, new, command_id)
        for view in await _views(session, caller, [opening]):
            return view, letters
    raise Problem("nothing_to_open")  # it was destroyed meanwhile


async def _not_to_open(session: AsyncSession, caller: Caller, number: str) -> Problem:
    """Why there is nothing: they see it anyway, whatever the clinics have set; or it is not said why."""
    request_id = await emergencies.seen_anyway(session, caller.viewer, number)
    if request_id is None:
        return Problem("nothing_to_open")
    return Problem("seen_anyway", request_id=str(request_id))


async def _answered_before(
    session: AsyncSession, caller: Caller, row: RequestRecord | None, new: NewOpening, command_id: UUID
) -> EmergencyOpening | None:
    """What the command has opened; or, where it was answered with what another had opened, the newest of that. It opens nothing
    later either.

    Raises Problem `idempotency_key_reused`.
    """
    opening = await emergencies.opened_by_command(session, command_id)
    if opening is not None:
        await _must_be_the_same(session, opening, new)
        return opening
    if row is None:
        return None
    is_same = await used_keys.same_meaning(session, _use_of(caller, command_id, new))
    if is_same is False:
        raise Problem("idempotency_key_reused")
    return await emergencies.newest_opened(session, caller.id, row.id) if is_same else None


def _use_of(caller: Caller, command_id: UUID, new: Wanted) -> Use:
    """What a command means that was answered with what another had opened."""
    return Use(caller.id, f"emergency {command_id}", _matter(new).encode())


async def _must_be_the_same(session: AsyncSession, opening: EmergencyOpening, new: NewOpening) -> None:
    """Raise Problem `idempotency_key_reused` where a command has opened another request, or for another reason."""
    numbers = await requests.numbers_of(session, [opening.request_id])
    reasons = await emergencies.reasons_of(session, [opening.id])
    if (numbers.get(opening.request_id), reasons.get(opening.id)) != (new.number, new.reason):
        raise Problem("idempotency_key_reused")


async def _opened(
    session: AsyncSession, caller: Caller, role: Role, row: RequestRecord, new: NewOpening, command_id: UUID
) -> tuple[EmergencyOpening, list[UUID]]:
    """By what the caller reads the request, which is locked, and the e-mails that tell of it where it is new.

    Raises Problem `seen_anyway`, `opening_ended`, `idempotency_key_reused`.
    """
    now = datetime.now(UTC)
    found = await emergencies.holding(session, caller.viewer, row.id, now)
    if found is not None:
        await used_keys.keep(session, _use_of(caller, command_id, new), now)
        return found, []
    if await visibility.access(session, caller.viewer, row) == "chart":
        raise Problem("seen_anyway", request_id=str(row.id))
    ended_at = await emergencies.ended_by_another(session, caller.id, row.id, now - rules.END_HOLDS)
    if ended_at is not None:
        raise Problem("opening_ended", hours=ceil((ended_at + rules.END_HOLDS - now) / timedelta(hours=1)))
    clinic_ids = {caller.clinic_id, row.requester_clinic_id}
    told = await emergencies.to_tell(session, {caller.id}, clinic_ids, row.id)
    try:
        async with session.begin_nested():
            opening = await emergencies.add(
                *(session, row.id, caller.viewer, role),
                reason=new.reason,
                command_id=command_id,
                told=len(told),
                begun_at=now,
                ends_at=now + rules.LASTS,
            )
    except IntegrityError:  # by the same key something else was opened in this moment
        raise Problem("idempotency_key_reused") from None
    entry = _note(session, caller, role, EmergencyStep.OPENED, now, opening)
    kinds = LetterKind.OPENED_IN_EMERGENCY, LetterKind.OPENED_UNWATCHED
    return opening, await _tell(session, entry, _letters(told, clinic_ids, *kinds))


async def _tell_of_end(
    session: AsyncSession, entry: AuditEntry, opening: EmergencyOpening, asked_for_by: UUID
) -> dict[UUID, timedelta]:
    """The e-mails that tell of an end by somebody else, as of an opening: nobody denies it to somebody in silence. To operators
    as well where the same person has ended what several opened; they get one for all of an hour. Each with how long it waits.
    Others wait meanwhile to count of who ended it (`people.count_by_account`).
    """
    ender, clinic_ids = entry.account_id or opening.account_id, {opening.clinic_id, asked_for_by}
    readers = await emergencies.readers_ended_by(session, ender, entry.at - rules.A_DAY)
    told = await emergencies.to_tell(
        *(session, {ender, opening.account_id}, clinic_ids, opening.request_id),
        operators=len(readers) >= rules.ENDS_TOLD_AT,
    )
    kinds = LetterKind.ENDED_IN_EMERGENCY, LetterKind.ENDED_UNWATCHED
    letters = _letters(told, clinic_ids, *kinds)
    waits = {one: await _waits(session, ender, kind, one, entry.at) for one, kind in letters.items()}
    due = {one: wait for one, wait in waits.items() if wait is not None}
    if letters and not due:
        return {}  # an e-mail that waits tells of it
    written = await _tell(session, entry, {one: letters[one] for one in due})
    return dict(zip(written, due.values(), strict=True))


async def _waits(session: AsyncSession, ender: UUID, kind: LetterKind, to: Account, now: datetime) -> timedelta | None:
    """How long an e-mail of that kind, about what that person has ended, waits for others; None where one that waits tells it."""
    if kind is not LetterKind.ENDED_UNWATCHED:
        return timedelta()
    before = await emergencies.letters_about_ends_by(session, ender, kind, to.id, now - rules.A_DAY)
    last_waits = bool(before) and before[-1][1] is LetterStatus.QUEUED
    goes_at = rules.goes_at([at for at, _ in before], now, last_waits=last_waits)
    return None if goes_at is None else goes_at - now


def _letters(
    told: Sequence[Account], clinic_ids: Collection[UUID], to_administrators: LetterKind, to_operators: LetterKind
) -> dict[Account, LetterKind]:
    """Which e-mail each of them gets."""
    return {
        one: to_administrators
        if one.clinic_id in clinic_ids and Role.CLINIC_ADMINISTRATOR in one.roles
        else to_operators
        for one in told
    }


async def _note_refused(services: Services, caller: Caller, role: Role) -> list[UUID]:
    """Write it down, and the e-mails that tell of it, where so many were refused within a day that somebody has to look."""
    now = datetime.now(UTC)
    async with services.database.session() as session:
        await people.count_by_account(session, caller.id)  # so that each knows of those before it
        entry = _note(session, caller, role, EmergencyStep.REFUSED, now)
        await session.flush()
        tried = await audit.ids_of(session, caller.id, Act.EMERGENCY, EmergencyStep.REFUSED, since=now - rules.A_DAY)
        if len(tried) < rules.TOLD_AT or await account_letters.are_about(session, tried):
            return []
        told = await emergencies.to_tell(session, {caller.id}, {caller.clinic_id})
        return await _tell(session, entry, dict.fromkeys(told, LetterKind.REFUSED_IN_EMERGENCY))


async def _tell(session: AsyncSession, entry: AuditEntry, whom: Mapping[Account, LetterKind]) -> list[UUID]:
    """E-mails of what that entry says."""
    if not whom:
        log.error("nobody can be told of an access in an emergency", name=entry.name)
    return [await account_letters.write_about(session, kind, one, entry.id, entry.at) for one, kind in whom.items()]


def _note(
    session: AsyncSession,
    caller: Caller,
    role: Role,
    step: EmergencyStep,
    now: datetime,
    opening: EmergencyOpening | None = None,
) -> AuditEntry:
    return audit.add(
        *(session, Act.EMERGENCY, by(caller), now),
        name=step,
        role=role,
        purpose=Purpose.EMERGENCY if step is not EmergencyStep.ENDED else None,
        request_id=opening.request_id if opening else None,
        object_id=opening.id if opening else None,
    )


# What is shown


async def _is_shown(session: AsyncSession, caller: Caller, opening: EmergencyOpening) -> bool:
    if caller.system is not None:
        return False
    if opening.account_id == caller.id:
        return await emergencies.shows_to_reader(session, opening)
    row = await requests.load_process(session, opening.request_id)
    is_theirs = row is not None and caller.clinic_id in (opening.clinic_id, row.requester_clinic_id)
    if row is None or not is_theirs or Role.CLINIC_ADMINISTRATOR not in caller.roles:
        return False
    return not await visibility.is_shut_to(session, caller.viewer, row)


async def _views(session: AsyncSession, caller: Caller, found: Sequence[EmergencyOpening]) -> list[OpeningView]:
    """Those of them whose request is still there."""
    ids, now = [one.id for one in found], datetime.now(UTC)
    courses = await emergencies.courses_of(session, found)
    named = [*(one.account_id for one in found), *(course.end.by for course in courses.values() if course.end)]
    names = await Names.load(session, named, [one.clinic_id for one in found])
    numbers = await requests.numbers_of(session, [one.request_id for one in found])
    reasons = await emergencies.reasons_of(session, ids)
    going_on = await emergencies.going_on(session, ids, now)
    views = []
    for one in found:
        if one.request_id not in numbers:
            continue
        course = courses[one.id]
        ended, held_until = course.end, course.held_until
        over = OpeningState.OPEN if one.id in going_on else OpeningState.OVER
        views.append(
            OpeningView(
                id=one.id,
                request_id=one.request_id,
                number=numbers[one.request_id],
                person=names.person(one.account_id),
                role=Role(one.role),
                clinic=names.clinic(one.clinic_id),
                reason=reasons.get(one.id),
                told=one.told,
                begun_at=one.begun_at,
                ends_at=one.ends_at,
                state=OpeningState.ENDED if ended else over,
                ended_at=ended.at if ended else None,
                ended_by=names.person(ended.by) if ended else None,
                held_until=held_until if held_until and held_until > now else None,
                may_end=course.ends_by(caller.id, now),
                yours=one.account_id == caller.id,
            )
        )
    return views
