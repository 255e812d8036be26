"""The people of a clinic, for who administers them: seen, changed, locked, opened again, let go, and looked at each year.

Each change is one transaction with the note of it (`records.account_events`). What ends sessions does so in every process when
the transaction ends: tokens are asked of the records at each call, and open pages are told (`records.feed`).
"""

import itertools
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import structlog
from pydantic import Field, StringConstraints
from sqlalchemy.ext.asyncio import AsyncSession

from domain.accounts import AccountEventKind, AccountState, LetterKind, ReviewReason, due_for_review, may_sign
from domain.addresses import AddressError, checked_address
from domain.model import COMPOSED, ONE_LINE, SAYS_SOMETHING, Frozen
from domain.offerings import Code
from domain.requests import Role
from records import (
    account_events,
    account_letters,
    load,
    one_time_links,
    partners,
    people,
    second_factors,
    webhooks,
)
from records.asked_for import can_ask
from records.models import Account, AccountEvent, AccountKind, Clinic, Side
from records.offering_versions import known_codes
from settings import Settings
from translations import LANGUAGES, Language
from use_cases import asked_for, shut_holders
from use_cases.account_letters import send
from use_cases.administrators import Administrator
from use_cases.asked_for import AskedForView
from use_cases.caller import Caller
from use_cases.gate import Starting
from use_cases.hand_over import MAY_HAND_OVER, HandOver, hand_over
from use_cases.names import Names, full_name
from use_cases.orders import SomebodyElse, check_takes_over
from use_cases.policy import must_have_role
from use_cases.problems import FieldFault, Problem
from use_cases.services import Services
from use_cases.several import MOST_AT_ONCE, PartReceipt
from use_cases.views import View

Line = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200), COMPOSED, ONE_LINE]
Name = Annotated[Line, SAYS_SOMETHING]

EVENTS_SHOWN = 100

log = structlog.get_logger(__name__)


class PersonFields(Frozen):
    """What administrators say of somebody."""

    given_name: Name = Field(examples=["Amélie"])
    family_name: Name = Field(examples=["Roy"])
    title: Line = Field("", examples=["Dre"])
    profession: Line = Field("", description="Printed under reports.", examples=["Dermatologue"])
    licence_number: Line = Field(
        "", description="Of the professional order; printed under reports.", examples=["12345"]
    )
    email: Line = Field(examples=["amelie.roy@clinique.example.com"])
    language: str = Field("fr", pattern=f"^({'|'.join(LANGUAGES)})$", examples=["fr"])
    roles: Annotated[list[Role], Field(min_length=1, max_length=10)] = Field(examples=[["requester"]])
    offerings: Annotated[list[Code], Field(min_length=1, max_length=200)] | None = Field(
        None, description="Codes of the service offerings that a provider serves; null for all.", examples=[None]
    )


class PersonChange(Frozen):
    """What is to be changed of somebody; what is left out stays as it is."""

    given_name: Name | None = Field(None, examples=["Amélie"])
    family_name: Name | None = Field(None, examples=["Roy-Gagnon"])
    title: Line | None = None
    profession: Line | None = None
    licence_number: Line | None = None
    email: Line | None = Field(None, description="The old and the new address are told.")
    language: str | None = Field(None, pattern=f"^({'|'.join(LANGUAGES)})$")
    roles: Annotated[list[Role], Field(min_length=1, max_length=10)] | None = None
    offerings: Annotated[list[Code], Field(min_length=1, max_length=200)] | None = Field(
        None, description="Codes of the service offerings that a provider serves; null for all."
    )

    def said(self) -> dict[str, Any]:
        """The fields that were named. Only of offerings, null is something to say."""
        named = self.model_dump(mode="json", include=self.model_fields_set)
        return {name: value for name, value in named.items() if value is not None or name == "offerings"}


class PersonOnFile(View):
    """Somebody's account as administrators see it."""

    id: UUID
    username: str
    name: str = Field(examples=["Dre Amélie Roy"])
    given_name: str
    family_name: str
    title: str
    profession: str
    licence_number: str
    email: str
    language: str
    roles: list[Role]
    clinic_id: UUID
    clinic: str
    offerings: list[str] | None
    state: AccountState
    version: int = Field(description="For If-Match: grows with each change by an administrator.")
    created_at: datetime
    last_used_at: datetime | None = Field(description="Right to some minutes; null for never.")
    reviewed_at: datetime | None
    left_at: datetime | None
    review: ReviewReason | None = Field(description="Why the account is to be looked at now.")
    second_factor: bool = Field(description="Whether this person signs in with a code, too.")
    holds: int = Field(description="Requests that this person holds as a provider; see `GET /requests?holder=`.")
    asked_for: AskedForView | None = Field(
        None, description="What this person asked for, and whether that stands still; null in lists."
    )
    may_change: bool = Field(description="Whether the caller may change this account.")


class PersonEvent(View):
    """Something that was done about an account."""

    id: UUID
    kind: AccountEventKind
    at: datetime
    by: str | None = Field(description="Who did it; null on the command line, or by who followed a link of an e-mail.")
    side: Side
    address: str | None = Field(description="Address of the network from which it was done.")
    changes: dict[str, Any] = Field(
        description="The changed fields: of roles and addresses what they were before and after, of others null."
    )


class Leaving(Frozen):
    """Somebody leaves. What they hold must be handed over first, or here: to whom, and why."""

    hand_over: SomebodyElse | None = Field(None, examples=[None])


class Left(View):
    """Somebody has left; what became of each request that was handed over."""

    person: PersonOnFile
    handed_over: list[PartReceipt]


# Seeing


async def list_people(services: Starting, by: Administrator, clinic_id: UUID) -> list[PersonOnFile]:
    """Everybody of a clinic, also who has left, by name. Raises Problem `not_found`."""
    async with services.database.session() as session:
        clinic = await clinic_of(session, by, clinic_id)
        accounts = await people.list_accounts(session, clinic_id=clinic.id, active=None)
        found = await _on_file(session, by, accounts, {clinic.id: clinic})
    return sorted(found, key=lambda person: (person.family_name.casefold(), person.given_name.casefold()))


async def read_person(services: Starting, by: Administrator, account_id: UUID) -> PersonOnFile:
    """Somebody's account. Raises Problem `not_found`."""
    async with services.database.session() as session:
        return await one_on_file(session, by, await account_to_see(session, by, account_id))


async def list_events(services: Starting, by: Administrator, account_id: UUID) -> list[PersonEvent]:
    """What was done about an account, the newest first, as far as a page shows it. Raises Problem `not_found`."""
    async with services.database.session() as session:
        await account_to_see(session, by, account_id)
        found = await account_events.list_events(session, account_id, limit=EVENTS_SHOWN)
        names = await Names.load(session, [event.actor_id for event in found], [])
    return event_views(found, names)


async def account_to_see(session: AsyncSession, by: Administrator, account_id: UUID) -> Account:
    """Somebody's account, for who administers their clinic. Raises Problem `not_found`."""
    account = await people.load_account(session, account_id)
    if account is None:
        raise Problem("not_found")
    by.check_sees(account.clinic_id)
    return account


async def list_due_for_review(services: Starting, by: Administrator, clinic_id: UUID) -> list[PersonOnFile]:
    """The accounts of a clinic that are to be looked at. Raises Problem `not_found`."""
    return [person for person in await list_people(services, by, clinic_id) if person.review]


# What all changes have in common


@dataclass
class Changing:
    """An account that is being changed, in one transaction, with what becomes of it."""

    session: AsyncSession
    by: Administrator
    account: Account
    now: datetime
    letters: list[UUID]
    is_welcomed: bool = False

    @property
    def is_ones_own(self) -> bool:
        """Whether who changes it is its person."""
        return self.by.hand.account_id == self.account.id

    def note(self, kind: AccountEventKind, changes: Mapping[str, Any] | None = None) -> None:
        """Write the change down; whoever saw the account before has seen an earlier version."""
        self.account.version += 1
        account_events.note(self.session, kind, self.account, self.by.hand, self.now, changes)


@asynccontextmanager
async def changing(services: Starting, by: Administrator, account_id: UUID) -> AsyncIterator[Changing]:
    """The account, for who may change it, one after the other; what is shut to its person then, they do not hold any longer. The
    letters go when it is changed.

    Raises Problem `not_found` or `operators_only`.
    """
    async with _changing(services, by, account_id) as at:
        before, could_ask = _standing(at.account), can_ask(at.account)
        yield at
        await _tell_what_was_asked([at], {account_id} if could_ask else ())
    await send(services, at.letters)
    if _standing(at.account) != before or not at.account.active:  # a second time, too: the first may have broken off
        await shut_holders.follow(services, account_id, by)


@asynccontextmanager
async def changing_several(
    services: Starting, by: Administrator, clinic_id: UUID, account_ids: Collection[UUID]
) -> AsyncIterator[tuple[AsyncSession, list[Changing]]]:
    """Accounts of one clinic in one transaction: all are changed, or none. Whom `by` may not change there is not among them.

    Then the letters go, and what is shut to each is followed, whatever becomes of others: it is done, and the repair tries again.
    """
    async with services.database.session() as session:
        await people.lock_clinic(session, clinic_id)  # as for one: nobody else changes any of the clinic meanwhile
        locked = await people.lock_accounts(session, account_ids)
        accounts = [account for account in locked if account.clinic_id == clinic_id and by.may_change(account)]
        before = {account.id: _standing(account) for account in accounts}
        could_ask = {account.id for account in accounts if can_ask(account)}
        now = datetime.now(UTC)
        found = [Changing(session, by, account, now, []) for account in accounts]
        yield session, found
        await _tell_what_was_asked(found, could_ask)
    await send(services, [letter for at in found for letter in at.letters])
    for account in accounts:
        if _standing(account) != before[account.id] or not account.active:
            await _follow_later_if_not_now(services, account.id, by)


async def _tell_what_was_asked(changed: Sequence[Changing], could_ask: Collection[UUID]) -> None:
    """Others are told, where the change leaves what people asked for to nobody; `could_ask` says who could go on before."""
    gone = [at for at in changed if at.account.id in could_ask and not can_ask(at.account)]
    for at in gone[:1]:  # all are of one clinic, and changed by one hand
        accounts = [one.account for one in gone]
        at.letters += await asked_for.tell_others(at.session, accounts, at.by.hand.account_id, at.now)


async def _follow_later_if_not_now(services: Starting, account_id: UUID, by: Administrator) -> None:
    """What was changed stands, and is answered so."""
    try:
        await shut_holders.follow(services, account_id, by)
    except Exception as error:
        log.error("what is shut to somebody is taken later", account_id=str(account_id), error=type(error).__name__)


@asynccontextmanager
async def _changing(services: Starting, by: Administrator, account_id: UUID) -> AsyncIterator[Changing]:
    async with services.database.session() as session:
        seen = await people.load_account(session, account_id)
        if seen is None:
            raise Problem("not_found")
        by.check_changes(seen)
        await people.lock_clinic(session, seen.clinic_id)  # two administrators must not each lock the other out
        account = await people.lock_account(session, account_id)
        if account is None:
            raise Problem("not_found")
        by.check_changes(account)
        yield Changing(session, by, account, datetime.now(UTC), [])


def _standing(account: Account) -> tuple[frozenset[str], bool, bool]:
    """By what somebody sees requests, and works on them."""
    return frozenset(account.roles), account.active, account.left_at is not None


# Changing


async def change_person(
    services: Starting, by: Administrator, account_id: UUID, change: PersonChange, expected_version: int | None
) -> PersonOnFile:
    """Change what is known of somebody, and what they may do. The same change a second time changes nothing.

    Raises Problem `not_found`, `operators_only`, `account_changed` when somebody else was faster, `last_administrator`,
    `still_holds_requests` when a provider is to be none any more, `clinic_has_partner` where nobody is to be one,
    `not_for_oneself` to who would let themself sign, or what is wrong with a field.
    """
    async with changing(services, by, account_id) as at:
        await take_over(services, at, change, expected_version)
        return await one_on_file(at.session, by, at.account)


async def take_over(
    services: Starting,
    at: Changing,
    change: PersonChange,
    expected_version: int | None = None,
    *,
    hands_over: bool = False,
) -> None:
    """Take what was said of somebody over into their account, if anything is new. With `hands_over`, what they hold is seen to.

    Raises as `change_person` does.
    """
    said = change.said()
    if said.get("email", at.account.email) != at.account.email:
        said["email"] = usable_address(services.settings, said["email"])
    before, wanted = _of(at.account, said), _as_kept(said)
    changed = {name: value for name, value in wanted.items() if before[name] != value}
    if not changed:
        return
    if expected_version not in (None, at.account.version):
        raise Problem("account_changed")
    _check_signs_by_others(at, before, changed)
    if "roles" in changed:
        at.by.check_gives([Role(role) for role in changed["roles"]])
        await _check_may_lose(at, changed["roles"], hands_over=hands_over)
        await check_answers_itself(at.session, at.account.clinic_id, set(changed["roles"]) - set(before["roles"]))
    await check_offerings(at.session, changed.get("offerings"))
    for name, value in changed.items():
        setattr(at.account, name, value)
    at.note(AccountEventKind.CHANGED, {name: _told(name, before[name], value) for name, value in changed.items()})
    await _tell_about(at, changed, before)


async def lock(services: Starting, by: Administrator, account_id: UUID) -> PersonOnFile:
    """Nobody comes in with that account any more, at once. What its person holds stays and is told (`holds`), but for what is
    shut to who locks them: that goes back to dispatch.

    Raises Problem `not_found`, `operators_only` or `last_administrator`.
    """
    async with changing(services, by, account_id) as at:
        if at.account.active:
            await close(at)
        elif not await is_closed_by_a_person(at.session, account_id):
            at.note(AccountEventKind.LOCKED)  # so that no directory opens it
        return await one_on_file(at.session, by, at.account)


async def is_closed_by_a_person(session: AsyncSession, account_id: UUID) -> bool:
    """Whether somebody other than a clinic's system has closed the account since it was last opened."""
    kinds = (AccountEventKind.LOCKED, AccountEventKind.LEFT, AccountEventKind.REOPENED)
    done = await account_events.newest(session, account_id, kinds, limit=EVENTS_SHOWN)
    closed = list(itertools.takewhile(lambda event: event.kind is not AccountEventKind.REOPENED, done))
    closers = await people.accounts_by_id(session, {event.actor_id for event in closed if event.actor_id is not None})
    return any(event.actor_id is None or closers[event.actor_id].kind is not AccountKind.SERVICE for event in closed)


async def close(at: Changing) -> None:
    """Lock the account, unless that was done. Raises Problem `last_administrator`."""
    if at.account.active:
        await _check_may_lose(at, (), hands_over=True)
        await _close(at)
        at.note(AccountEventKind.LOCKED)


async def leave(services: Services, caller: Caller, account_id: UUID, leaving: Leaving, language: Language) -> Left:
    """Somebody goes (`let_go`), and what they hold is handed over in the same go: what became of each request is told.

    Raises as `let_go` does, Problem `forbidden` to who may hand over nothing, and what is wrong with whom it is to go to; then
    the account is as it was.
    """
    by, wanted = Administrator.of(caller), leaving.hand_over
    if wanted is not None:
        must_have_role(caller, *MAY_HAND_OVER)
        async with services.database.session() as session:
            await check_takes_over(session, wanted, caller, account_id)
    held = await let_go(services, by, account_id, hands_over=wanted is not None)
    receipts: list[PartReceipt] = []
    if wanted is not None and held:
        order = HandOver(**wanted.model_dump(), request_ids=held)
        gone = await read_person(services, by, account_id)
        key = f"leaving/{account_id}/{gone.version}"  # who comes back and leaves again hands over anew
        receipts = await hand_over(services, caller, account_id, order, key, language)
    return Left(person=await read_person(services, by, account_id), handed_over=receipts)


async def let_go(services: Starting, by: Administrator, account_id: UUID, *, hands_over: bool = False) -> list[UUID]:
    """Somebody has left: the same as locked, and kept apart in lists. Gives the requests that they hold and `by` may see.

    Raises as `lock` does, and Problem `still_holds_requests` when these are not handed over now.
    """
    async with changing(services, by, account_id) as at:
        await close_for_good(at, hands_over=hands_over)
        return await held_by(at, limit=MOST_AT_ONCE)


async def close_for_good(at: Changing, *, hands_over: bool = False) -> None:
    """Its person has left, unless they had. Raises Problem `last_administrator` or `still_holds_requests`."""
    if at.account.left_at is None:
        await _check_may_lose(at, (), hands_over=hands_over)
        if at.account.active:
            await _close(at)
        at.account.left_at = at.now
        at.note(AccountEventKind.LEFT)


async def reopen(services: Starting, by: Administrator, account_id: UUID) -> PersonOnFile:
    """Somebody may come in again, with the password and the roles that they had; no earlier session goes on.

    Raises Problem `not_found`, `operators_only` or `clinic_has_partner`.
    """
    async with changing(services, by, account_id) as at:
        await open_again(at)
        return await one_on_file(at.session, by, at.account)


async def open_again(at: Changing) -> None:
    """Open the account, unless it is open. Raises Problem `clinic_has_partner`."""
    if not at.account.active:
        await check_answers_itself(at.session, at.account.clinic_id, at.account.roles)
        at.account.active, at.account.left_at = True, None
        await people.revoke_tokens_of(at.session, at.account.id, at.now)
        at.note(AccountEventKind.REOPENED)


async def reset_second_factor(services: Starting, by: Administrator, account_id: UUID) -> PersonOnFile:
    """Remove the second factor of somebody who has lost device and recovery codes: the password is enough again.

    Their sessions end: whoever found the device may be in one.
    Raises Problem `not_found`, `operators_only`, or `not_for_oneself`: one's own is removed with proof (`second_factor.remove`).
    """
    async with changing(services, by, account_id) as at:
        if at.is_ones_own:
            raise Problem("not_for_oneself")
        if await second_factors.remove(at.session, account_id):
            await people.revoke_tokens_of(at.session, account_id, at.now)
            at.note(AccountEventKind.SECOND_FACTOR_REMOVED)
            at.letters.append(
                await account_letters.write_to(at.session, LetterKind.SECOND_FACTOR_RESET, at.account, at.now)
            )
        return await one_on_file(at.session, by, at.account)


async def confirm(services: Starting, by: Administrator, account_id: UUID) -> PersonOnFile:
    """The account was looked at and is right as it is: its person still works here, in these roles.

    Raises Problem `not_found`, `operators_only`, or `account_not_active`.
    """
    async with changing(services, by, account_id) as at:
        if not at.account.active:
            raise Problem("account_not_active")
        if _review(at.account, at.now) is not None:
            at.account.reviewed_at = at.now
            at.note(AccountEventKind.REVIEWED)
        return await one_on_file(at.session, by, at.account)


# What is asked before, and done after


def _check_signs_by_others(at: Changing, before: Mapping[str, Any], changed: Mapping[str, Any]) -> None:
    """Raise Problem `not_for_oneself` to who would let themself sign, or sign under another licence number."""
    signs_newly = may_sign(changed.get("roles", ())) and not may_sign(before.get("roles", ()))
    if at.is_ones_own and (signs_newly or "licence_number" in changed):
        raise Problem("not_for_oneself")


async def _check_may_lose(at: Changing, roles: Collection[str], *, hands_over: bool = False) -> None:
    """Whether the account may have only these `roles` left: a clinic keeps an administrator, a request a provider.

    Raises Problem `last_administrator` or `still_holds_requests`.
    """
    lost = set(at.account.roles) - set(roles) if at.account.active else set()
    if Role.CLINIC_ADMINISTRATOR in lost and not at.by.is_operator:
        others = await people.list_accounts(at.session, clinic_id=at.account.clinic_id, role=Role.CLINIC_ADMINISTRATOR)
        if not any(other.id != at.account.id for other in others):
            raise Problem("last_administrator")
    if not hands_over and Role.PROVIDER in set(at.account.roles) - set(roles):
        held = await held_by(at, limit=MOST_AT_ONCE)
        if held:
            raise Problem("still_holds_requests", count=len(held))


async def held_by(at: Changing, *, limit: int) -> list[UUID]:
    """What the person holds, without what is shut to who changes the account: that goes back to dispatch by itself."""
    looks = shut_holders.as_administrator(at.by, at.account.clinic_id)
    return await load.held_by(at.session, at.account.id, looks, limit=limit)


async def _close(at: Changing) -> None:
    at.account.active = False
    await webhooks.tell_locked(at.session, at.account, at.now)
    await people.revoke_tokens_of(at.session, at.account.id, at.now)
    await one_time_links.end_resets_of(at.session, at.account.id, at.now)
    for invitation in await one_time_links.end_invitations_by(at.session, at.account.id, at.now):
        account_events.note(at.session, AccountEventKind.INVITATION_REVOKED, invitation, at.by.hand, at.now)


async def _tell_about(at: Changing, changed: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    """Whom a change concerns: both addresses by e-mail, and open pages, whose person has other roles now."""
    if "email" in changed:
        for kind, address in ((LetterKind.ADDRESS_LEFT, before["email"]), (LetterKind.ADDRESS_TAKEN, changed["email"])):
            at.letters.append(await account_letters.write_to(at.session, kind, at.account, at.now, address=address))
        await one_time_links.end_resets_of(at.session, at.account.id, at.now)  # whose links went to the old one
    if "roles" in changed:
        await people.tell_changed(at.session, at.account.id)
        if not before["roles"] and not await _knows_how_to_come_in(at):
            await welcome(at)


async def welcome(at: Changing) -> None:
    """Tell the person whom a directory keeps how they come in, once they may, and may do something there; once in a change."""
    if at.account.active and at.account.roles and not at.is_welcomed:
        at.letters.append(await account_letters.write_to(at.session, LetterKind.PROVISIONED, at.account, at.now))
        at.is_welcomed = True


async def _knows_how_to_come_in(at: Changing) -> bool:
    """Whether the person has a password, or came in or was told how since the account was made, or since they came again."""
    account = at.account
    left = await account_events.newest(at.session, account.id, [AccountEventKind.LEFT], limit=1)
    since = left[0].at if left else account.created_at - timedelta(microseconds=1)  # told as it was made
    if account.has_password or (account.last_used_at is not None and account.last_used_at > since):
        return True
    return await account_letters.count_since(at.session, account.id, LetterKind.PROVISIONED, since) > 0


def _of(account: Account, names: Collection[str]) -> dict[str, Any]:
    return {name: getattr(account, name) for name in names}


def _as_kept(said: Mapping[str, Any]) -> dict[str, Any]:
    kept = dict(said)
    if "roles" in kept:
        kept["roles"] = sorted(set(kept["roles"]))
    if "offerings" in kept:
        kept["offerings"] = people.said_to_serve(kept["offerings"])
    return kept


def _told(name: str, before: object, after: object) -> object:
    """What is kept of a change: of roles and addresses both ends, of others that there was one."""
    return [before, after] if name in ("roles", "email") else None


def usable_address(settings: Settings, email: str) -> str:
    """The e-mail address as it is kept. Raises Problem `invalid_input` for what reaches nobody."""
    try:
        return checked_address(email, reachable=not settings.embedded)
    except AddressError:
        raise Problem("invalid_input", [FieldFault("email", "not_an_address")]) from None


async def check_offerings(session: AsyncSession, codes: Sequence[str] | None) -> None:
    """Raise Problem `unknown_offering` for a code that no service offering ever had."""
    if codes:
        known = await known_codes(session)
        if not known >= set(codes):
            raise Problem("unknown_offering", offerings=sorted(known))


async def check_answers_itself(session: AsyncSession, clinic_id: UUID, roles: Collection[str]) -> None:
    """Nobody becomes a provider of a clinic for which a partner's system answers: what it is given is all the partner's.

    Raises Problem `clinic_has_partner`.
    """
    if Role.PROVIDER in set(roles) and await partners.performs_from_now_on(session, clinic_id):
        raise Problem("clinic_has_partner")


async def clinic_of(session: AsyncSession, by: Administrator, clinic_id: UUID) -> Clinic:
    """The clinic, for who administers it. Raises Problem `not_found`."""
    by.check_sees(clinic_id)
    clinic = await people.load_clinic(session, clinic_id)
    if clinic is None:
        raise Problem("not_found")
    return clinic


# As it is shown


async def one_on_file(session: AsyncSession, by: Administrator, account: Account) -> PersonOnFile:
    """The account as administrators see it."""
    clinics = await people.clinics_by_id(session, [account.clinic_id])
    [view] = await _on_file(session, by, [account], clinics)
    return view.model_copy(update={"asked_for": await asked_for.view_of(session, account, by.viewer)})


async def _on_file(
    session: AsyncSession, by: Administrator, accounts: Sequence[Account], clinics: Mapping[UUID, Clinic]
) -> list[PersonOnFile]:
    ids = [account.id for account in accounts]
    loads = await load.loads_of(session, ids, by.viewer)
    with_codes = await second_factors.in_force_of(session, ids)
    now = datetime.now(UTC)
    return [
        PersonOnFile(
            **_of(account, _SHOWN_AS_KEPT),
            name=full_name(account),
            roles=sorted(Role(role) for role in account.roles),
            clinic=clinics[account.clinic_id].name,
            state=_state(account),
            review=_review(account, now),
            second_factor=account.id in with_codes,
            holds=held.waiting + held.in_progress if (held := loads.get(account.id)) else 0,
            may_change=by.may_change(account),
        )
        for account in accounts
    ]


_SHOWN_AS_KEPT = (
    *("id", "username", "given_name", "family_name", "title", "profession", "licence_number", "email", "language"),
    *("clinic_id", "offerings", "version", "created_at", "last_used_at", "reviewed_at", "left_at"),
)


def _state(account: Account) -> AccountState:
    if account.active:
        return AccountState.ACTIVE
    return AccountState.LEFT if account.left_at else AccountState.LOCKED


def _review(account: Account, now: datetime) -> ReviewReason | None:
    if not account.active:
        return None
    return due_for_review(
        created_at=account.created_at, reviewed_at=account.reviewed_at, last_used_at=account.last_used_at, now=now
    )


def event_views(events: Sequence[AccountEvent], names: Names) -> list[PersonEvent]:
    """What was done, as it is shown."""
    return [_event(event, names) for event in events]


def _event(event: AccountEvent, names: Names) -> PersonEvent:
    by = names.person(event.actor_id)
    return PersonEvent(
        id=event.id,
        kind=event.kind,
        at=event.at,
        by=by.name if by else None,
        side=event.side,
        address=event.address,
        changes=event.changes,
    )
