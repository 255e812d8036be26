"""Access in an emergency: who would not see a request reads it for some hours, by its number, with a reason and a proof of who
they are; and administrators hear of it at once.

Whether there is such a request shows to nobody before that: until then, everything depends on who asks alone. What shows by it,
and what does not, stands in docs/decisions/emergency-access.md.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID, uuid5

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints
from sqlalchemy.ext.asyncio import AsyncSession

from domain import emergencies as rules
from domain.accounts import LetterKind
from domain.audit import Act, EmergencyStep, Purpose
from domain.model import Discreet, Said, storable
from domain.requests import Role
from records import account_letters, audit, emergencies, people, requests, visibility
from records.canonical import content_sha256
from records.errors import NotFoundError
from records.models import EmergencyOpening, RequestRecord
from use_cases import guessing, step_up
from use_cases.accesses import by
from use_cases.account_letters import send
from use_cases.attempts import Begun
from use_cases.caller import Caller
from use_cases.guessing import Counter
from use_cases.names import Names, PersonView
from use_cases.passkey_answers import MAX_ANSWER
from use_cases.passwords import MAX_PASSWORD
from use_cases.problems import FieldFault, Problem
from use_cases.second_factor import check_again
from use_cases.services import Services
from use_cases.sign_in import MAX_CODE, proves_again
from use_cases.views import View
from use_cases.ways_in import proves_by_password

MAX_NUMBER = 40

MOST_SHOWN = 200

PROVED_FOR = UUID("0193a5c8-6c1e-7d8a-9b1f-5b0e6f9a7c24")
"""In place of the request in what a proof is for: whether there is one is not known yet."""


class Wanted(Discreet):
    """Which request somebody must see in an emergency, and why."""

    model_config = ConfigDict(extra="forbid")

    number: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_NUMBER), AfterValidator(storable)
    ] = Field(description="The number of the request, in full.", examples=["TC-2026-000123"])
    reason: Said = Field(examples=["La personne est inconsciente à l’urgence; son traitement n’est pas connu."])


class NewOpening(Wanted):
    """The same, with the second proof of identity, as for a signature."""

    password: Annotated[str, StringConstraints(min_length=1, max_length=MAX_PASSWORD)] | None = Field(
        None,
        repr=False,
        description="Needed, but for who signs in through their organization only, and has just confirmed there, in the portal, "
        "that it is they.",
        examples=["correct horse battery staple"],
    )
    code: Annotated[str, StringConstraints(min_length=1, max_length=MAX_CODE)] | None = Field(
        None,
        repr=False,
        description="A code of the second factor, or a recovery code, where they have one.",
        examples=[None],
    )
    passkey: Annotated[str, StringConstraints(min_length=1, max_length=MAX_ANSWER)] | None = Field(
        None,
        repr=False,
        description="Instead of a code, what a passkey answered, as a browser gives it (JSON).",
        examples=[None],
    )


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
    begun_at: datetime
    ends_at: datetime
    state: OpeningState
    ended_at: datetime | None = Field(description="When it was ended by hand.")
    ended_by: PersonView | None
    yours: bool


def used_for(caller: Caller, key: str | None) -> str:
    """What a proof of identity is for: what the form with this key opens."""
    return str(uuid5(PROVED_FOR, caller.command_id(key)))


async def is_possible(services: Services, caller: Caller) -> bool:
    """Whether the caller may open anything at all in an emergency."""
    if caller.system is not None or rules.opens_as(caller.roles) is None:
        return False
    async with services.database.session() as session:
        clinic = await people.load_clinic(session, caller.clinic_id)
    return clinic is not None and clinic.emergency


async def open_in_emergency(services: Services, caller: Caller, new: NewOpening, key: str | None) -> OpeningView:
    """Let the caller read that request from now on, for some hours; opened once already, it is what there is.

    Raises Problem `forbidden` for who treats nobody, `emergency_off`, `too_many_attempts`; `wrong_password`, `code_needed`,
    `wrong_code`, `wrong_passkey`, `second_factor_missing`, `step_up_needed` or `invalid_input` without a proof; then
    `nothing_to_open` whether there is no such request or no right to it, and `seen_anyway`.
    """
    role = await _role_to_open(services, caller)
    await guessing.count(services.database, _tries(caller))
    await _prove(services, caller, new, used_for(caller, key))
    now = datetime.now(UTC)
    async with services.database.session() as session:
        row = await _to_open(session, caller, new.number)
        if row is None:
            _note(session, caller, role, EmergencyStep.REFUSED, now)
        else:
            found, letters = await _opened(session, caller, role, row, new.reason, now)
            [view] = await _views(session, caller, [found])
    if row is None:
        raise Problem("nothing_to_open")
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
    return await step_up.begin(services, caller, used_for(caller, key), _matter(wanted), said, cookie)


async def end(services: Services, caller: Caller, opening_id: UUID) -> OpeningView:
    """It does not hold any more; a second time changes nothing. For who opened it, and for whom `list_openings` shows it.

    Raises Problem `not_found`.
    """
    async with services.database.session() as session:
        found = await emergencies.load(session, opening_id)
        if found is None or not await _is_shown(session, caller, found):
            raise Problem("not_found")
        try:
            row = await requests.lock_request(session, found.request_id)
        except NotFoundError:  # it was destroyed meanwhile
            raise Problem("not_found") from None
        now = datetime.now(UTC)
        if found.ends_at > now and await emergencies.find_end(session, found.id) is None:
            await emergencies.end(session, found, ended_by=caller.id, now=now)
            role = Role(found.role) if found.account_id == caller.id else Role.CLINIC_ADMINISTRATOR
            _note(session, caller, role, EmergencyStep.ENDED, now, found)
            await requests.announce(session, row)
        [view] = await _views(session, caller, [found])
        return view


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


async def _role_to_open(services: Services, caller: Caller) -> Role:
    """Raises Problem `forbidden` or `emergency_off`: by who asks alone."""
    role = rules.opens_as(caller.roles)
    if caller.system is not None or role is None:
        raise Problem("forbidden")
    if not await is_possible(services, caller):
        raise Problem("emergency_off")
    return role


def _tries(caller: Caller) -> tuple[Counter, ...]:
    return (Counter(f"emergency: {caller.id}", rules.TRIES),)


async def _prove(services: Services, caller: Caller, new: NewOpening, what: str) -> None:
    if not await proves_by_password(services, caller.account):
        confirmed = await step_up.spend(services, caller, what)
        if confirmed.matter_sha256 != _matter(new):
            raise Problem("step_up_needed")
        return
    if new.password is None:
        raise Problem("invalid_input", [FieldFault("password", "required")])
    if not await proves_again(services, caller, new.password):
        raise Problem("wrong_password")
    await check_again(services, caller, new.code, new.passkey, what)


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


async def _opened(
    session: AsyncSession, caller: Caller, role: Role, row: RequestRecord, reason: str, now: datetime
) -> tuple[EmergencyOpening, list[UUID]]:
    """By what the caller reads the request, which is locked, and the e-mails that tell of it where it is new.

    Raises Problem `seen_anyway`.
    """
    found = await emergencies.holding(session, caller.viewer, row.id, now)
    if found is not None:
        return found, []
    if await visibility.access(session, caller.viewer, row) == "chart":
        raise Problem("seen_anyway", request_id=str(row.id))
    opening = await emergencies.add(
        *(session, row.id, caller.viewer, role), reason=reason, begun_at=now, ends_at=now + rules.LASTS
    )
    _note(session, caller, role, EmergencyStep.OPENED, now, opening)
    return opening, await _tell_administrators(session, row, opening, now)


async def _tell_administrators(
    session: AsyncSession, row: RequestRecord, opening: EmergencyOpening, now: datetime
) -> list[UUID]:
    """E-mails to the administrators of both clinics."""
    clinic_ids = sorted({opening.clinic_id, row.requester_clinic_id})
    told = await emergencies.administrators_to_tell(session, row.id, clinic_ids)
    return [
        await account_letters.write_about(session, LetterKind.OPENED_IN_EMERGENCY, one, opening.id, now) for one in told
    ]


def _note(
    session: AsyncSession,
    caller: Caller,
    role: Role,
    step: EmergencyStep,
    now: datetime,
    opening: EmergencyOpening | None = None,
) -> None:
    audit.add(
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
        return True
    row = await requests.load_process(session, opening.request_id)
    is_theirs = row is not None and caller.clinic_id in (opening.clinic_id, row.requester_clinic_id)
    if row is None or not is_theirs or Role.CLINIC_ADMINISTRATOR not in caller.roles:
        return False
    return not await visibility.is_shut_to(session, caller.viewer, row)


async def _views(session: AsyncSession, caller: Caller, found: Sequence[EmergencyOpening]) -> list[OpeningView]:
    ends = {one.id: await emergencies.find_end(session, one.id) for one in found}
    named = [*(one.account_id for one in found), *(end.ended_by for end in ends.values() if end)]
    names = await Names.load(session, named, [one.clinic_id for one in found])
    numbers = await requests.numbers_of(session, [one.request_id for one in found])
    going_on = await emergencies.going_on(session, [one.id for one in found], datetime.now(UTC))
    views = []
    for one in found:
        ended = ends[one.id]
        over = OpeningState.OPEN if one.id in going_on else OpeningState.OVER
        views.append(
            OpeningView(
                id=one.id,
                request_id=one.request_id,
                number=numbers[one.request_id],
                person=names.person(one.account_id),
                role=Role(one.role),
                clinic=names.clinic(one.clinic_id),
                reason=await emergencies.reason_of(session, one.id),
                begun_at=one.begun_at,
                ends_at=one.ends_at,
                state=OpeningState.ENDED if ended else over,
                ended_at=ended.ended_at if ended else None,
                ended_by=names.person(ended.ended_by) if ended else None,
                yours=one.account_id == caller.id,
            )
        )
    return views
