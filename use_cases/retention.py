"""How long a clinic keeps what is over, for its administrators: the policy, holds, and lists to approve. Operators look on.

See docs/decisions/retention.md; what follows an approval is in `use_cases.destruction`.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import structlog
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError

from domain.accounts import AccountEventKind, LetterKind
from domain.audit import Act
from domain.model import Frozen, Said, Sha256
from domain.requests import Role
from domain.retention import DESTROYED_AFTER, EntryOutcome, KeptBecause, ListState, RetentionPolicy, kept_until
from domain.same_patient import is_same_patient
from records import account_events, audit, destruction, failures, forms, people, requests, restrictions, retention
from records.account_events import Hand
from records.account_letters import write_to, write_to_administrators
from records.audit import By
from records.canonical import canonical_json
from records.database import Database
from records.ids import new_id
from records.models import Account, Clinic, RequestRecord, RetentionEntry, RetentionHold, RetentionList, Side
from records.sealed import NOT_OPENED, tell_not_opened
from records.visibility import Viewer, all_shut_to
from use_cases import policy
from use_cases.accesses import by
from use_cases.account_letters import send
from use_cases.administrators import Administrator, hand_of, shut_to_each, who_sees
from use_cases.caller import Caller
from use_cases.gate import Starting
from use_cases.names import Names, PersonView
from use_cases.people import clinic_of
from use_cases.problems import Problem
from use_cases.restrictions import by_operator, named_at_the_machine, operator_named
from use_cases.services import Services
from use_cases.views import View
from workflows.contract import DESTRUCTION, LOOK_AGAIN, destruction_workflow_id

LISTS_SHOWN = 100

log = structlog.get_logger(__name__)


class NewHold(Frozen):
    """Why a request is kept beyond its time."""

    reason: Said = Field(examples=["Plainte en cours"])
    whole_patient: bool = Field(
        False,
        description="Also every other request that is probably about the same patient, and with which the clinic had to do.",
    )


class Approval(Frozen):
    """The list as somebody has seen it."""

    sha256: Sha256 = Field(description="As the list gives it.", examples=["0" * 64])


class HoldView(View):
    """A request that is kept until the hold is lifted."""

    id: UUID
    request_id: UUID
    number: str
    whole_patient: bool
    reason: str | None = Field(description="Null for operators, and where it does not open.")
    set_by: PersonView | None
    set_at: datetime


class HoldOfClinic(View):
    """A hold, as operators see it on the command line: without its reason. `number`: of the request at which it was set."""

    id: UUID
    number: str
    clinic: str | None
    whole_patient: bool
    set_at: datetime


class ToHold(View):
    """A request that may be put on hold: nothing of its chart."""

    id: UUID
    number: str


class EntryView(View):
    """A request on a list, and what became of it."""

    request_id: UUID
    number: str
    offering: str
    last_entry_at: datetime
    kept_until: date = Field(description="The last day on which it was to be kept.")
    held: bool = Field(description="It is held by now, and will be kept.")
    needs_second: bool = Field(
        description="It is restricted within the clinic, or was since the approval, or an operator has lifted a hold of it; and "
        "nobody but the approver has approved it since: it is kept unless another administrator of the clinic approves the list, "
        "too. False of what is on hold, or settled."
    )
    seconded_by: PersonView | None = Field(description="Who else approved it, where that counts.")
    outcome: EntryOutcome | None
    kept_because: KeptBecause | None


class ListView(View):
    """A list of requests whose time is over, as lists of lists show it."""

    id: UUID
    clinic_id: UUID
    state: ListState
    policy: RetentionPolicy
    made_at: datetime
    requests: int
    approved_by: PersonView | None
    approved_at: datetime | None
    destroyed_from: datetime | None = Field(
        description="From then on what stands on it is destroyed; until then any administrator of the clinic takes it back."
    )


class WholeList(ListView):
    """A list with everything on it."""

    entries: list[EntryView]
    sha256: str = Field(
        description="Of what stands on the list, and of who has approved it: an approval names it. What was to be the first "
        "approval is not taken for the second."
    )


class Retention(View):
    """How a clinic keeps what is over."""

    clinic_id: UUID
    policy: RetentionPolicy
    version: int = Field(description="The clinic's, for If-Match.")
    holds: list[HoldView]
    lists: list[ListView]


async def read_retention(database: Database, administrator: Administrator, clinic_id: UUID) -> Retention:
    """Policy, holds and lists of a clinic. Raises Problem `not_found`."""
    async with database.session() as session:
        clinic = await clinic_of(session, administrator, clinic_id)
        lists = await retention.lists_of(session, clinic_id, limit=LISTS_SHOWN)
        shut = await all_shut_to(session, administrator.viewer)
        counts = await retention.counts_of(session, [one.id for one in lists], shut)
        holds = await retention.holds_of(session, clinic_id, shut)
        people_named = [hold.set_by for hold, _ in holds] + [one.approved_by for one in lists if one.approved_by]
        names = await Names.load(session, people_named, [])
        return Retention(
            clinic_id=clinic_id,
            policy=retention.policy_of(clinic),
            version=clinic.version,
            holds=[
                _hold_view(
                    hold,
                    number,
                    names,
                    reason=None if administrator.is_operator else await retention.reason_of(session, hold.id),
                )
                for hold, number in holds
            ],
            lists=[_list_view(one, counts[one.id], names) for one in lists if one.id in counts],
        )


async def change_policy(
    services: Starting, caller: Caller, clinic_id: UUID, wanted: RetentionPolicy, expected_version: int | None
) -> Retention:
    """Set how long the clinic keeps what is over. Raises Problem `forbidden`, `not_found` or `clinic_changed`."""
    _must_administer(caller, clinic_id)
    letters: Sequence[UUID] = ()
    async with services.database.session() as session:
        clinic = await people.lock_clinic(session, clinic_id)
        if clinic is None:
            raise Problem("not_found")
        if retention.policy_of(clinic) != wanted:
            if expected_version not in (None, clinic.version):
                raise Problem("clinic_changed")
            now, before = datetime.now(UTC), retention.policy_of(clinic)
            clinic.retention = wanted.model_dump()
            clinic.version += 1
            ends = [
                (name, str(getattr(before, name)), str(getattr(wanted, name))) for name in RetentionPolicy.model_fields
            ]
            changed = {f"retention_{name}": [old, new] for name, old, new in ends if old != new}
            account_events.note(session, AccountEventKind.CLINIC_CHANGED, clinic, hand_of(caller), now, changed)
            if wanted.is_shorter_than(before):
                letters = await write_to_administrators(session, LetterKind.RETENTION_SHORTENED, clinic_id, now)
    await send(services, letters)
    return await read_retention(services.database, Administrator.of(caller), clinic_id)


async def set_hold(services: Services, caller: Caller, request_id: UUID, new: NewHold) -> HoldView:
    """Keep a request beyond its time, in the name of the caller's clinic. The same a second time is the hold that there is.

    Raises Problem `not_found`, `request_destroyed` or `forbidden`.
    """
    async with services.database.session() as session:
        await _check_may_hold(session, caller, request_id)
        row = await requests.lock_request(session, request_id)
        hold = await _there_already(session, caller, row, new)
        if hold is None:
            now = datetime.now(UTC)
            said = {"reason": new.reason, "whole_patient": new.whole_patient}
            hold = RetentionHold(
                id=new_id(), request_id=row.id, clinic_id=caller.clinic_id, set_by=caller.id, set_at=now, **said
            )
            session.add(hold)
            audit.add(session, Act.CHANGE, by(caller), now, name="hold_set", request_id=row.id, object_id=hold.id)
            await session.flush()
        return _hold_view(hold, row.number, await Names.load(session, [hold.set_by], []), reason=new.reason)


async def to_hold(services: Services, caller: Caller, request_id: UUID) -> ToHold:
    """The request that the caller may hold. Raises as `set_hold`."""
    async with services.database.session() as session:
        row = await _check_may_hold(session, caller, request_id)
        return ToHold(id=row.id, number=row.number)


async def to_hold_numbered(services: Services, caller: Caller, number: str) -> UUID:
    """The request of that number, for who may hold it. Raises Problem `not_found` or `forbidden`."""
    policy.must_have_role(caller, Role.CLINIC_ADMINISTRATOR)
    async with services.database.session() as session:
        request_id = await requests.id_of_number(session, number)
        if request_id is None:
            raise Problem("not_found")
        return (await _check_may_hold(session, caller, request_id)).id


async def _check_may_hold(session: AsyncSession, caller: Caller, request_id: UUID) -> RequestRecord:
    """The request, for who administers a clinic that ever had to do with it. Nobody destroys it until the transaction ends.

    Who has signed a report holds nothing any more, and may have to answer for it.
    """
    row = await policy.request_of_clinic(session, caller, request_id)
    if not await requests.keep_while_named(session, request_id):
        raise await policy.not_there(session, caller, request_id)
    return row


async def lift_hold(services: Starting, caller: Caller, hold_id: UUID) -> None:
    """The request is not kept for this reason any more; a second time changes nothing.

    Raises Problem `not_found` or `forbidden`.
    """
    policy.must_have_role(caller, Role.CLINIC_ADMINISTRATOR)
    async with services.database.session() as session:
        hold = await retention.lock_hold(session, hold_id)
        if hold is None or hold.clinic_id != caller.clinic_id:
            raise Problem("not_found")
        if hold.request_id in await all_shut_to(session, caller.viewer):
            raise Problem("not_found")
        _lift(session, hold, by(caller), Role.CLINIC_ADMINISTRATOR)


def _lift(session: AsyncSession, hold: RetentionHold, who: By, role: Role) -> None:
    if hold.lifted_at is not None:
        return
    now = datetime.now(UTC)
    hold.lifted_by, hold.lifted_at, hold.lifted_side = who.account_id, now, who.side
    audit.add(
        *(session, Act.CHANGE, who, now),
        name="hold_lifted",
        role=role,
        request_id=hold.request_id,
        object_id=hold.id,
    )


# On the command line, where the request is shut to everybody who could lift it


async def holds_at_the_machine(database: Database, number: str, username: str) -> list[HoldOfClinic]:
    """What keeps the request of that number, for the operator of that username, to whom it is not shut; the audit says that they
    were shown it. Raises Problem `not_found`, or `forbidden` for somebody else.
    """
    async with database.session() as session:
        row, account = await named_at_the_machine(session, number, username)
        now, who = datetime.now(UTC), by_operator(account)
        audit.add(session, Act.LOOK, who, now, name="holds", role=Role.OPERATOR, request_id=row.id)
        holds = [(hold, row.number) for hold in await retention.holds_on(session, row.id)]
        holds += await _holds_elsewhere(session, row, account)
        names = await Names.load(session, [], [hold.clinic_id for hold, _ in holds])
        return [
            HoldOfClinic(
                id=hold.id,
                number=set_at,
                clinic=names.clinic(hold.clinic_id),
                whole_patient=hold.whole_patient,
                set_at=hold.set_at,
            )
            for hold, set_at in holds
        ]


async def _holds_elsewhere(
    session: AsyncSession, row: RequestRecord, account: Account
) -> list[tuple[RetentionHold, str]]:
    """What keeps it as its patient is held at another request that is not shut to the operator; each with that one's number."""
    found, known, patients = list[tuple[RetentionHold, str]](), HeldPatients(), await patients_of(session, row.id)
    for clinic_id in await destruction.involved_clinics(session, row.id):
        for hold, number in await retention.holds_of(session, clinic_id, {row.id}):
            is_theirs = hold.whole_patient and (
                patients is None or await known.has_one_of(session, patients, {hold.request_id})
            )
            if is_theirs and not await restrictions.shuts_out(session, hold.request_id, account.id):
                found.append((hold, number))
    return found


async def lift_at_the_machine(database: Database, number: str, hold_id: UUID, username: str) -> None:
    """The same as `lift_hold`, by that operator, for a clinic of whose administrators none sees the request. They are told that a
    hold of theirs was lifted, and not which: and what was held is not destroyed by one person alone.

    Raises Problem `not_found`, or `forbidden` for somebody else, where somebody of the clinic lifts it themselves, and for an
    operator of the clinic that asked, or who has shut the request to anybody.
    """
    async with database.session() as session:
        row, account = await named_at_the_machine(session, number, username)
        hold = await retention.lock_hold(session, hold_id)
        if hold is None or hold.request_id != row.id:
            raise Problem("not_found")
        if await restrictions.is_open_to_one(session, row.id, hold.clinic_id, Role.CLINIC_ADMINISTRATOR):
            raise Problem("forbidden")
        is_asker = account.clinic_id == row.requester_clinic_id
        if is_asker or await restrictions.was_set_by(session, row.id, account.id):
            raise Problem("forbidden")
        if hold.lifted_at is None:
            now, clinic = datetime.now(UTC), await session.get_one(Clinic, hold.clinic_id)
            hand = Hand(account.id, Side.COMMAND_LINE)
            account_events.note(session, AccountEventKind.HOLD_LIFTED, clinic, hand, now)
            await write_to_administrators(session, LetterKind.HOLD_LIFTED, clinic.id, now)
        _lift(session, hold, by_operator(account), Role.OPERATOR)


async def second_at_the_machine(database: Database, number: str, username: str) -> list[str]:
    """Approve as well that the request of that number, which stands on an approved list, is destroyed; by the operator of that
    username, to whom it is not shut. For clinics that have no second administrator who sees it. What was approved, by number.

    Raises Problem `not_found`, `destruction_begun`, `not_a_second_person`, also for who has approved the list, `needs_no_second`;
    or `forbidden` for somebody else, or where somebody of the clinic approves it themselves.
    """
    async with database.session() as session:
        row, account = await named_at_the_machine(session, number, username)
        found = await retention.lock_approved_with(session, row.id)
        entry = await retention.lock_entry(session, found.id, row.id) if found else None
        if found is None or entry is None:
            raise Problem("not_found")
        return await _second_at_the_machine(session, found, [entry], account)


async def second_list_at_the_machine(database: Database, list_id: UUID, username: str) -> list[str]:
    """The same of all that stands on that approved list and is for that operator to approve. Raises as the one before."""
    async with database.session() as session:
        account = await operator_named(session, username)
        found = await retention.load_list(session, list_id, locked=True)
        if found is None or found.state is not ListState.APPROVED:
            raise Problem("not_found")
        shown = await shown_of(session, Viewer.of(account), list_id)
        return await _second_at_the_machine(session, found, shown, account)


async def _second_at_the_machine(
    session: AsyncSession, found: RetentionList, entries: Sequence[RetentionEntry], account: Account
) -> list[str]:
    seen_there: set[UUID] = set()
    ids = [entry.request_id for entry in entries]
    for one, seen in who_sees(await shut_to_each(session, found.clinic_id), ids):
        if one.id != account.id and await _may_second(session, found, one):
            seen_there |= seen
    theirs = [entry for entry in entries if entry.request_id not in seen_there]
    seconded = await _second(session, found, theirs, account, by_operator(account), Role.OPERATOR)
    if not seconded:
        is_for_the_clinic = await needs_second(session, found, entries) & seen_there
        raise Problem("forbidden" if is_for_the_clinic else "needs_no_second")
    return seconded


async def read_list(services: Starting, administrator: Administrator, list_id: UUID) -> WholeList:
    """A list with everything on it that is not shut to them. Raises Problem `not_found`, also where that is nothing."""
    async with services.database.session() as session:
        found = await list_to_see(session, administrator, list_id)
        entries = await shown_of(session, administrator.viewer, list_id)
        is_done = found.state is ListState.DONE
        held = await _held_now(session, entries) if not is_done else set()
        one_sided = await needs_second(session, found, entries) if not is_done else set()
        names = await Names.load(session, {found.approved_by, *(entry.seconded_by for entry in entries)}, [])
        return WholeList(
            **dict(_list_view(found, len(entries), names)),
            entries=[
                _entry_view(
                    entry,
                    held=entry.request_id in held,
                    needs_second=entry.request_id in one_sided - held,
                    seconded_by=names.person(None if entry.request_id in one_sided else entry.seconded_by),
                )
                for entry in entries
            ],
            sha256=digest_of(entries, found.approved_by),
        )


async def approve(services: Starting, caller: Caller, list_id: UUID, approval: Approval) -> WholeList:
    """Approve the list as it was seen: what stands on it, and may go, is destroyed after `DESTROYED_AFTER`, and nothing brings it
    back then. The administrators of the clinic who see anything of it are told. What is shut to the caller was not seen: it
    leaves the list, and stands on the next one.

    What is restricted within the clinic, or was let go by operators, is destroyed only where another administrator does the same
    while the list is approved: nobody alone has destroyed what they have shut to the others. Else the same a second time changes
    nothing. Raises Problem `forbidden`, `not_found`, `retention_list_changed`, and for a second approval `destruction_begun` or
    `not_a_second_person`.
    """
    letters: Sequence[UUID] = ()
    async with services.database.session() as session:
        found = await _own_list(session, caller, list_id)
        shown = await shown_of(session, caller.viewer, list_id)
        _check_was_seen(found, shown, caller, approval)
        if found.state is ListState.WAITING:
            await retention.keep_only(session, list_id, [one.request_id for one in shown])
            await retention.second_no_more(session, list_id)  # which the version before left, when it was taken back
            now = datetime.now(UTC)
            found.state, found.approved_by, found.approved_at = ListState.APPROVED, caller.id, now
            clinic = await session.get_one(Clinic, found.clinic_id)
            account_events.note(session, AccountEventKind.RETENTION_APPROVED, clinic, hand_of(caller), now)
            letters = await _tell_who_sees(session, found, shown, now)
        elif found.approved_by != caller.id:
            await _second(session, found, shown, caller.account, by(caller), Role.CLINIC_ADMINISTRATOR)
    await begin_destruction(services, list_id)
    await send(services, letters)
    return await read_list(services, Administrator.of(caller), list_id)


def _check_was_seen(found: RetentionList, shown: Sequence[RetentionEntry], caller: Caller, approval: Approval) -> None:
    """Raises Problem `retention_list_changed` unless the approval names what is there: what was to be the first approval is no
    second one. Who has approved may say it again.
    """
    repeated = {digest_of(shown)} if found.approved_by == caller.id else set()
    if approval.sha256 not in {digest_of(shown, found.approved_by), *repeated}:
        raise Problem("retention_list_changed")


async def _second(
    session: AsyncSession,
    found: RetentionList,
    entries: Sequence[RetentionEntry],
    account: Account,
    who: By,
    role: Role,
) -> list[str]:
    """Somebody else than who approved the list, which is locked, approves those of these entries as well that need it; gives
    their numbers. Raises Problem `destruction_begun` or `not_a_second_person`.
    """
    if await _has_begun(session, found):
        raise Problem("destruction_begun")
    if not await _may_second(session, found, account):
        raise Problem("not_a_second_person")
    now = datetime.now(UTC)
    waiting = await needs_second(session, found, entries) - await _held_now(session, entries)
    await retention.second(session, found.id, waiting, account.id, now)
    for request_id in sorted(waiting):
        audit.add(
            *(session, Act.CHANGE, who, now),
            name="destruction_seconded",
            role=role,
            request_id=request_id,
            object_id=found.id,
        )
    return [one.number for one in entries if one.request_id in waiting]


async def _may_second(session: AsyncSession, found: RetentionList, account: Account) -> bool:
    """Whether that is somebody else than who approved, as far as one can tell: no account that became what it is, or into which
    they helped somebody, since the list was made.
    """
    if account.id == found.approved_by:
        return False
    return await account_events.is_apart_since(session, account, found.made_at, of=found.approved_by)


async def needs_second(session: AsyncSession, found: RetentionList, entries: Sequence[RetentionEntry]) -> set[UUID]:
    """Those of the list's requests that are kept unless somebody else approves, too, after all that asks for it."""
    left = [one for one in entries if one.outcome is None]
    ids, since = [one.request_id for one in left], found.approved_at or datetime.now(UTC)
    asked = await asks_for_second(session, ids, found.clinic_id, since)
    return {
        one.request_id
        for one in left
        if one.request_id in asked and not _is_seconded(one, found, asked[one.request_id])
    }


def _is_seconded(entry: RetentionEntry, found: RetentionList, after: datetime) -> bool:
    is_by_another = entry.seconded_by not in (None, found.approved_by)
    return is_by_another and entry.seconded_at is not None and entry.seconded_at > after


async def asks_for_second(
    session: AsyncSession, request_ids: Collection[UUID], clinic_id: UUID, since: datetime
) -> Mapping[UUID, datetime]:
    """Those of that clinic's requests that nobody destroys alone, each with when that came to be, the last time: since then
    somebody of the clinic does not see them, and so can neither hold them nor take the approval back; or operators have lifted a
    hold that nobody else could lift.
    """
    asked = await restrictions.shut_within(session, request_ids, clinic_id, since)
    for request_id, lifted_at in (await _let_go_at_the_machine(session, request_ids)).items():
        asked[request_id] = max(lifted_at, asked.get(request_id, lifted_at))
    return asked


async def _let_go_at_the_machine(session: AsyncSession, request_ids: Collection[UUID]) -> dict[UUID, datetime]:
    """Those of the requests that were held, or whose patients were, until operators lifted that; each with the last time. Where
    the request is destroyed at which a patient was held, it was passed on (`use_cases.let_go`).
    """
    let_go = dict(await retention.lifted_at_machine(session, request_ids))
    for request_id, lifted_at in (await retention.passed_on_to(session, request_ids)).items():
        let_go[request_id] = max(lifted_at, let_go.get(request_id, lifted_at))
    involved = await destruction.involved_with(session, request_ids)
    by_clinic = await retention.patients_let_go(session, {id_ for clinics in involved.values() for id_ in clinics})
    for request_id in await _with_patients_of(session, involved, by_clinic):
        moments = [at for clinic_id in involved[request_id] for at in by_clinic.get(clinic_id, {}).values()]
        let_go[request_id] = max([*moments, *([let_go[request_id]] if request_id in let_go else [])])
    return let_go


async def _tell_who_sees(
    session: AsyncSession, found: RetentionList, entries: Sequence[RetentionEntry], now: datetime
) -> list[UUID]:
    """The letters to the administrators who see anything of what was approved; they ask some of them to approve as well."""
    restricted, letters = await needs_second(session, found, entries), []
    shut = await shut_to_each(session, found.clinic_id)
    for one, seen in who_sees(shut, [entry.request_id for entry in entries]):
        is_asked = one.id != found.approved_by and not seen.isdisjoint(restricted)
        kind = LetterKind.RETENTION_SECOND if is_asked else LetterKind.RETENTION_APPROVED
        letters.append(await write_to(session, kind, one, now))
    return letters


async def take_back(services: Starting, caller: Caller, list_id: UUID) -> WholeList:
    """Take the approval back, whoever of the clinic has given it: the list waits again, in place of a newer one that waits.

    A second time changes nothing. Raises Problem `forbidden`, `not_found`, or `destruction_begun`.
    """
    async with services.database.session() as session:
        found = await _own_list(session, caller, list_id)
        await shown_of(session, caller.viewer, list_id)
        if found.state is not ListState.WAITING:
            if await _has_begun(session, found):
                raise Problem("destruction_begun")
            now = datetime.now(UTC)
            await retention.drop_waiting(session, found.clinic_id)
            found.state, found.approved_by, found.approved_at = ListState.WAITING, None, None
            await retention.second_no_more(session, list_id)
            clinic = await session.get_one(Clinic, found.clinic_id)
            account_events.note(session, AccountEventKind.RETENTION_TAKEN_BACK, clinic, hand_of(caller), now)
    await begin_destruction(services, list_id)
    return await read_list(services, Administrator.of(caller), list_id)


async def shown_of(session: AsyncSession, viewer: Viewer | None, list_id: UUID) -> Sequence[RetentionEntry]:
    """What stands on the list and is not shut to the viewer. Raises Problem `not_found` where that is nothing."""
    shown = await retention.entries_of(session, list_id, await all_shut_to(session, viewer))
    if not shown:
        raise Problem("not_found")
    return shown


async def _has_begun(session: AsyncSession, found: RetentionList) -> bool:
    """Whether what stands on the list, which somebody has approved, is being destroyed by now, or was."""
    due = destroyed_from(found)
    is_over = found.state is ListState.DONE or due is None or due <= datetime.now(UTC)
    return is_over or await retention.has_begun(session, found.id)


def destroyed_from(found: RetentionList) -> datetime | None:
    """From when on what stands on the list is destroyed, and nobody takes it back any more; None before it is approved."""
    return found.approved_at + DESTROYED_AFTER if found.approved_at else None


async def _own_list(session: AsyncSession, caller: Caller, list_id: UUID) -> RetentionList:
    """The list, locked, for who may decide on it. Raises Problem `forbidden` or `not_found`."""
    policy.must_have_role(caller, Role.CLINIC_ADMINISTRATOR)
    found = await retention.load_list(session, list_id, locked=True)
    if found is None or found.clinic_id != caller.clinic_id:
        raise Problem("not_found")
    return found


async def begin_destruction(services: Starting, list_id: UUID) -> None:
    """Have a workflow go along the list, or look at it again. Where the engine is away, the nightly round begins it."""
    try:
        await services.engine.start_workflow(
            DESTRUCTION,
            list_id,
            id=destruction_workflow_id(list_id),
            task_queue=services.settings.task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            start_signal=LOOK_AGAIN,
        )
    except RPCError as error:
        name = destruction_workflow_id(list_id)
        log.warning("a destruction could not begin yet", workflow_id=name, error=type(error).__name__)


def digest_of(entries: Sequence[RetentionEntry], approved_by: UUID | None = None) -> str:
    """The SHA-256 of what stands on a list, and of who has approved it."""
    told = [[str(entry.list_id), str(entry.request_id), entry.number, str(entry.kept_until)] for entry in entries]
    told += [[str(approved_by)]] if approved_by else []
    return hashlib.sha256(canonical_json(told)).hexdigest()


async def why_kept(session: AsyncSession, row: RequestRecord, today: date, held: "HeldPatients") -> date | KeptBecause:
    """Why the request may not be destroyed today; or, where it may, until when it was to be kept. Raises what does not open."""
    is_over = row.status.is_final and row.follow_up_signer_id is None and row.process.get("signing") is None
    is_on_its_way = row.submission_id or row.signature_id or await retention.has_commands_under_way(session, row.id)
    if not is_over or is_on_its_way or await failures.list_failures(session, request_id=row.id):
        return KeptBecause.OPEN
    if await requests.later_requests(session, row.id):
        return KeptBecause.FOLLOWED  # its reports are shown to who answers that one
    clinics = await destruction.involved_clinics(session, row.id)
    patients = await forms.patients_named(session, row)
    policies = await retention.policies_of(session, clinics)
    until = kept_until(policies, row.updated_at, [patient.get("birth_date") for patient in patients])
    if today <= until:
        return KeptBecause.YOUNGER
    if await retention.holds_on(session, row.id):
        return KeptBecause.HELD
    by_clinic = await retention.holds_on_patients(session, clinics)
    held_at = {id_ for ids in by_clinic.values() for id_ in ids}
    return KeptBecause.HELD if await held.has_one_of(session, patients, held_at) else until


class HeldPatients:
    """The patients whom clinics hold. The request at which a hold was set says who it is, and is read once."""

    def __init__(self) -> None:
        self._read: dict[UUID, Sequence[Mapping[str, Any]] | None] = {}

    async def has_one_of(
        self, session: AsyncSession, patients: Sequence[Mapping[str, Any]], held_at: Collection[UUID]
    ) -> bool:
        """Whether one of the patients is probably held at one of these requests. One that does not open holds everybody."""
        for request_id in held_at:
            theirs = await self._patients(session, request_id)
            if theirs is None or any(is_same_patient(one, other) for one in patients for other in theirs):
                return True
        return False

    async def _patients(self, session: AsyncSession, request_id: UUID) -> Sequence[Mapping[str, Any]] | None:
        if request_id not in self._read:
            self._read[request_id] = await patients_of(session, request_id)
        return self._read[request_id]


async def patients_of(session: AsyncSession, request_id: UUID) -> Sequence[Mapping[str, Any]] | None:
    """Whom a request is about; nobody where it is not there, and None where it does not open."""
    try:
        row = await requests.load_request(session, request_id)
        return await forms.patients_named(session, row) if row else []
    except NOT_OPENED as error:
        tell_not_opened("requests.form", str(request_id), error)
        return None


async def _held_now(session: AsyncSession, entries: Sequence[RetentionEntry]) -> set[UUID]:
    """Those of the list that are held. A form is opened only where a clinic that had to do with it holds a patient."""
    ids = [entry.request_id for entry in entries]
    held, involved = await retention.held_among(session, ids), await destruction.involved_with(session, ids)
    by_clinic = await retention.holds_on_patients(session, {id_ for clinics in involved.values() for id_ in clinics})
    others = {request_id: clinics for request_id, clinics in involved.items() if request_id not in held}
    return held | await _with_patients_of(session, others, by_clinic)


async def _with_patients_of(
    session: AsyncSession,
    involved: Mapping[UUID, Collection[UUID]],
    by_clinic: Mapping[UUID, Collection[UUID]],
) -> set[UUID]:
    """Those of the requests, each with the clinics that had to do with it, that are probably about a patient of one of the
    requests that these clinics name.
    """
    known, found = HeldPatients(), set[UUID]()
    for request_id, clinics in involved.items():
        named = {id_ for clinic_id in clinics for id_ in by_clinic.get(clinic_id, ())}
        if named:
            patients = await patients_of(session, request_id)
            if patients is None or await known.has_one_of(session, patients, named):
                found.add(request_id)
    return found


async def _there_already(
    session: AsyncSession, caller: Caller, row: RequestRecord, new: NewHold
) -> RetentionHold | None:
    for hold in await retention.holds_on(session, row.id):
        same = (hold.clinic_id, hold.whole_patient) == (caller.clinic_id, new.whole_patient)
        if same and await retention.reason_of(session, hold.id) == new.reason:
            return hold
    return None


async def list_to_see(session: AsyncSession, administrator: Administrator, list_id: UUID) -> RetentionList:
    """The list, for who administers its clinic. Raises Problem `not_found`."""
    found = await retention.load_list(session, list_id)
    if found is None:
        raise Problem("not_found")
    administrator.check_sees(found.clinic_id)
    return found


def _must_administer(caller: Caller, clinic_id: UUID) -> None:
    """Raise Problem `forbidden` unless the caller administers a clinic, and `not_found` for another one."""
    policy.must_have_role(caller, Role.CLINIC_ADMINISTRATOR)
    if caller.clinic_id != clinic_id:
        raise Problem("not_found")


def _hold_view(hold: RetentionHold, number: str, names: Names, *, reason: str | None) -> HoldView:
    return HoldView(
        id=hold.id,
        request_id=hold.request_id,
        number=number,
        whole_patient=hold.whole_patient,
        reason=reason,
        set_by=names.person(hold.set_by),
        set_at=hold.set_at,
    )


def _list_view(found: RetentionList, number: int, names: Names) -> ListView:
    return ListView(
        id=found.id,
        clinic_id=found.clinic_id,
        state=found.state,
        policy=RetentionPolicy.model_validate(found.policy),
        made_at=found.made_at,
        requests=number,
        approved_by=names.person(found.approved_by),
        approved_at=found.approved_at,
        destroyed_from=destroyed_from(found),
    )


def _entry_view(entry: RetentionEntry, *, held: bool, needs_second: bool, seconded_by: PersonView | None) -> EntryView:
    return EntryView(
        request_id=entry.request_id,
        number=entry.number,
        offering=entry.offering,
        last_entry_at=entry.last_entry_at,
        kept_until=entry.kept_until,
        held=held,
        needs_second=needs_second,
        seconded_by=seconded_by,
        outcome=entry.outcome,
        kept_because=entry.kept_because,
    )
