"""Service accounts, for who administers a clinic: its systems that call by themselves, what each may do, and their secrets.

Each change is one transaction with the note of it (`records.account_events`). Every call asks the records anew, so a lock and
the end of a secret count in every process when their transaction ends. How a system calls is in `service_callers`.
"""

import secrets
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from domain.accounts import AccountEventKind, LetterKind
from domain.calendar import day_of, midnight
from domain.model import Frozen, KeptName
from domain.service_accounts import (
    LASTS_AT_MOST,
    MOST_SECRETS,
    MOST_SERVICE_ACCOUNTS,
    OLDER_SECRET_LASTS,
    OLDER_SECRET_LASTS_AT_MOST,
    Scope,
    ServiceAccountState,
    ends_soon,
    known_scopes,
    state_of,
)
from records import account_events, account_letters, people, service_accounts, service_keys, webhooks
from records.hidden import hidden
from records.models import Account, Clinic, ServiceKey, ServiceSecret
from records.service_accounts import Found
from translations import LANGUAGES
from use_cases.administrators import Administrator
from use_cases.gate import Starting
from use_cases.names import Names
from use_cases.people import EVENTS_SHOWN, Name, PersonEvent, clinic_of, event_views
from use_cases.problems import FieldFault, Problem
from use_cases.service_callers import SECRET_PREFIX
from use_cases.views import View

SHOWN_OF_A_SECRET = 4
"""So many of its last characters tell people which one it is."""

_HOUR = timedelta(hours=1)

Scopes = Annotated[list[Scope], Field(max_length=len(Scope))]


class NewServiceAccount(Frozen):
    """A system of a clinic that is to call by itself."""

    name: KeptName = Field(description="Of the system, as histories show it.", examples=["Dossier Fleuve"])
    purpose: Name = Field(
        description="What it is for, for who looks at it in a year.", examples=["Reports into the records"]
    )
    scopes: Scopes = Field(description="What it may do; nothing else.", examples=[["requests:read", "documents:read"]])
    expires_on: date = Field(
        description="The last day on which it may come in (America/Toronto), within a year.", examples=["2027-10-31"]
    )
    language: str = Field(
        "fr",
        pattern=f"^({'|'.join(LANGUAGES)})$",
        description="Of what it is told, where it names none.",
        examples=["fr"],
    )
    clinic_id: UUID | None = Field(None, description="The caller's own when empty.", examples=[None])


class ServiceAccountChange(Frozen):
    """What is to be changed; what is left out stays as it is."""

    name: KeptName | None = Field(None, examples=["Dossier Fleuve"])
    purpose: Name | None = None
    scopes: Scopes | None = Field(None, description="All that it may do from now on.")
    expires_on: date | None = Field(None, description="The last day on which it may come in, within a year.")

    def said(self) -> dict[str, Any]:
        """The fields that were named."""
        return {name: value for name, value in self.model_dump().items() if value is not None}


class Rotation(Frozen):
    """Another secret is given out; how long the one before goes on."""

    older_ends_in_hours: int = Field(
        OLDER_SECRET_LASTS // _HOUR,
        ge=0,
        le=OLDER_SECRET_LASTS_AT_MOST // _HOUR,
        description="0: it ends now.",
        examples=[24],
    )


class SecretView(View):
    """A secret, as far as anybody can still see it."""

    id: UUID
    ending: str = Field(description="Its last characters.", examples=["x7Qa"])
    created_at: datetime
    ends_at: datetime | None = Field(description="When it ends, where another has replaced it.")
    last_used_at: datetime | None = Field(description="Right to some minutes; null for never.")


class KeyView(View):
    """A public key of a system."""

    id: UUID
    kid: str = Field(description="The system's own name for it.", examples=["2027-a"])
    algorithm: str = Field(examples=["ES384"])
    created_at: datetime
    last_used_at: datetime | None = Field(description="When it got an access token last; null for never.")


class ServiceAccountView(View):
    """A service account, as administrators see it."""

    id: UUID = Field(description="Also its client id, where it signs with a key.")
    name: str
    purpose: str
    clinic_id: UUID
    clinic: str
    scopes: list[Scope]
    state: ServiceAccountState
    expires_on: date = Field(description="The last day on which it may come in (America/Toronto).")
    ends_soon: bool = Field(description="It ends within 30 days.")
    created_at: datetime
    last_used_at: datetime | None = Field(description="Right to some minutes; null for never.")
    last_address: str | None = Field(description="The address of the network from which it was used last.")
    secrets: list[SecretView] = Field(description="Those that have not ended, the newest first; two at most.")
    keys: list[KeyView] = Field(description="Its public keys that have not ended, the newest first.")
    version: int = Field(description="For If-Match: grows with each change.")


class GivenSecret(View):
    """A service account, and a new secret of it: it is shown here once, and known to nobody after that."""

    service_account: ServiceAccountView
    secret: str = Field(repr=False, examples=["relais_sk_…"])


# Seeing


async def list_service_accounts(services: Starting, by: Administrator, clinic_id: UUID) -> list[ServiceAccountView]:
    """Those of a clinic, by name. Raises Problem `not_found`."""
    async with services.database.session() as session:
        clinic = await clinic_of(session, by, clinic_id)
        return await _views(session, await service_accounts.list_of(session, clinic.id), {clinic.id: clinic})


async def read_service_account(services: Starting, by: Administrator, account_id: UUID) -> ServiceAccountView:
    """One of them. Raises Problem `not_found`."""
    async with services.database.session() as session:
        return await view_of(session, await system_to_see(session, by, account_id))


async def list_events(services: Starting, by: Administrator, account_id: UUID) -> list[PersonEvent]:
    """What was done about it, the newest first, as far as a page shows it. Raises Problem `not_found`."""
    async with services.database.session() as session:
        await system_to_see(session, by, account_id)
        found = await account_events.list_events(session, account_id, limit=EVENTS_SHOWN)
        return event_views(found, await Names.load(session, [event.actor_id for event in found], []))


async def system_to_see(session: AsyncSession, by: Administrator, account_id: UUID) -> Found:
    """A service account, for who administers its clinic. Raises Problem `not_found`."""
    found = await service_accounts.load(session, account_id)
    if found is None:
        raise Problem("not_found")
    by.check_sees(found.account.clinic_id)
    return found


# Changing


async def add_service_account(
    services: Starting, by: Administrator, clinic_id: UUID, new: NewServiceAccount
) -> GivenSecret:
    """A new service account with its first secret.

    Raises Problem `not_found`, `service_account_name_taken`, `too_many_service_accounts`, or what is wrong with a field.
    """
    now = datetime.now(UTC)
    expires_at = _end_of(new.expires_on, now)
    async with services.database.session() as session:
        await clinic_of(session, by, clinic_id)
        await people.lock_clinic(session, clinic_id)
        there = await service_accounts.list_of(session, clinic_id)
        _check_name(there, new.name)
        if len(there) >= MOST_SERVICE_ACCOUNTS:
            raise Problem("too_many_service_accounts", limit=MOST_SERVICE_ACCOUNTS)
        found = await service_accounts.add(
            session,
            clinic_id=clinic_id,
            name=new.name,
            purpose=new.purpose,
            scopes=new.scopes,
            language=new.language,
            expires_at=expires_at,
            now=now,
        )
        at = Changing(session, by, found, now)
        at.note(
            AccountEventKind.SERVICE_ACCOUNT_ADDED,
            {"scopes": [[], found.service.scopes], "expires_on": [None, str(new.expires_on)]},
        )
        return await _give_secret(at)


async def change_service_account(
    services: Starting,
    by: Administrator,
    account_id: UUID,
    change: ServiceAccountChange,
    expected_version: int | None,
) -> ServiceAccountView:
    """Change what it is called, is for, and may do, and until when. The same change a second time changes nothing.

    Raises Problem `not_found`, `account_changed`, `service_account_name_taken`, or what is wrong with a field.
    """
    async with changing(services, by, account_id) as at:
        changed = _changed(at, change)
        if not changed:
            return await view_of(at.session, at.found)
        if expected_version not in (None, at.account.version):
            raise Problem("account_changed")
        if "name" in changed:
            there = await service_accounts.list_of(at.session, at.account.clinic_id)
            _check_name([one for one in there if one.account.id != account_id], changed["name"][1])
            at.account.given_name = changed["name"][1]
        if "expires_on" in changed:
            at.found.service.expires_at = _end_of(changed["expires_on"][1], at.now)
            at.found.service.warned_at = None
        for name in changed.keys() & {"purpose", "scopes"}:
            setattr(at.found.service, name, changed[name][1])
        at.note(AccountEventKind.CHANGED, {name: _told(name, *ends) for name, ends in changed.items()})
        return await view_of(at.session, at.found)


async def rotate(services: Starting, by: Administrator, account_id: UUID, rotation: Rotation) -> GivenSecret:
    """Another secret; the one before goes on for so long, and one from before that ends. Raises Problem `not_found`."""
    async with changing(services, by, account_id) as at:
        living = (await service_accounts.secrets_of(at.session, [account_id], at.now)).get(account_id, [])
        until = at.now + timedelta(hours=rotation.older_ends_in_hours)
        for older in living[: MOST_SECRETS - 1]:
            older.ends_at = min(older.ends_at or until, until)
        for oldest in living[MOST_SECRETS - 1 :]:
            oldest.ends_at = at.now
        for ended in living:
            if ended.ends_at is not None and ended.ends_at <= at.now:
                at.note(AccountEventKind.SECRET_ENDED, {"secret": [ended.ending, None]})
        return await _give_secret(at)


async def end_secret(services: Starting, by: Administrator, account_id: UUID, secret_id: UUID) -> ServiceAccountView:
    """Nobody comes in by that secret any more, at once. Raises Problem `not_found`."""
    async with changing(services, by, account_id) as at:
        living = (await service_accounts.secrets_of(at.session, [account_id], at.now)).get(account_id, [])
        secret = next((one for one in living if one.id == secret_id), None)
        if secret is None:
            raise Problem("not_found")
        secret.ends_at = at.now
        await at.session.flush()
        at.note(AccountEventKind.SECRET_ENDED, {"secret": [secret.ending, None]})
        return await view_of(at.session, at.found)


async def lock(services: Starting, by: Administrator, account_id: UUID) -> ServiceAccountView:
    """The system does not come in any more, by no secret, at once. Raises Problem `not_found`."""
    async with changing(services, by, account_id) as at:
        if at.account.active:
            at.account.active = False
            at.note(AccountEventKind.LOCKED)
            await webhooks.tell_locked(at.session, at.account, at.now)
        return await view_of(at.session, at.found)


async def reopen(services: Starting, by: Administrator, account_id: UUID) -> ServiceAccountView:
    """The system may come in again, by the secrets that have not ended. Raises Problem `not_found`."""
    async with changing(services, by, account_id) as at:
        if not at.account.active:
            at.account.active = True
            at.note(AccountEventKind.REOPENED)
        return await view_of(at.session, at.found)


async def tell_of_ends(services: Starting) -> None:
    """Write the letters to the administrators of clinics whose service accounts end soon, once for each account.

    They go as others do that nobody looks after (`use_cases.repair`).
    """
    now = datetime.now(UTC)
    async with services.database.session() as session:
        ending = await service_accounts.take_those_that_end(session, now)
        for clinic_id in {found.account.clinic_id for found in ending}:
            await account_letters.write_to_administrators(session, LetterKind.SERVICE_ACCOUNT_ENDS, clinic_id, now)


# What all changes have in common


@dataclass(frozen=True)
class Changing:
    """A service account that is being changed, in one transaction."""

    session: AsyncSession
    by: Administrator
    found: Found
    now: datetime

    @property
    def account(self) -> Account:
        return self.found.account

    def note(self, kind: AccountEventKind, changes: Mapping[str, Any] | None = None) -> None:
        """Write the change down; whoever saw the account before has seen an earlier version."""
        self.account.version += 1
        account_events.note(self.session, kind, self.account, self.by.hand, self.now, changes)


@asynccontextmanager
async def changing(services: Starting, by: Administrator, account_id: UUID) -> AsyncIterator[Changing]:
    """The service account, for who administers its clinic, one after the other. Raises Problem `not_found`."""
    async with services.database.session() as session:
        seen = await system_to_see(session, by, account_id)
        await people.lock_clinic(session, seen.account.clinic_id)  # names stay different
        found = await service_accounts.lock(session, account_id)
        if found is None:
            raise Problem("not_found")
        yield Changing(session, by, found, datetime.now(UTC))


async def _give_secret(at: Changing) -> GivenSecret:
    text = SECRET_PREFIX + secrets.token_urlsafe(32)
    ending = text[-SHOWN_OF_A_SECRET:]
    await service_accounts.add_secret(
        *(at.session, at.account.id), sha256=hidden(text), ending=ending, given_by=at.by.hand.account_id, now=at.now
    )
    at.note(AccountEventKind.SECRET_ADDED, {"secret": [None, ending]})
    await at.session.flush()
    return GivenSecret(service_account=await view_of(at.session, at.found), secret=text)


def _changed(at: Changing, change: ServiceAccountChange) -> dict[str, tuple[Any, Any]]:
    """What is to be another than it is: before and after."""
    service = at.found.service
    before = {
        "name": at.account.given_name,
        "purpose": service.purpose,
        "scopes": service.scopes,
        "expires_on": last_day(service.expires_at),
    }
    said = change.said()
    if "scopes" in said:
        said["scopes"] = sorted({scope.value for scope in said["scopes"]})
    return {name: (before[name], value) for name, value in said.items() if before[name] != value}


def _told(name: str, before: object, after: object) -> object:
    """What is kept of a change: of the purpose that there was one, of the others both ends."""
    if name == "purpose":
        return None
    return [str(before), str(after)] if name == "expires_on" else [before, after]


def _check_name(others: Collection[Found], name: str) -> None:
    """Histories name systems: two of a clinic must not be taken for each other."""
    if name.casefold() in {found.account.given_name.casefold() for found in others}:
        raise Problem("service_account_name_taken")


def _end_of(day: date, now: datetime) -> datetime:
    """The end of that day. Raises Problem `invalid_input` when it is not within a year from now."""
    latest = day_of(now + LASTS_AT_MOST)
    if not day_of(now) <= day <= latest:
        code = "not_within_a_year"
        raise Problem("invalid_input", [FieldFault("expires_on", code)])
    return midnight(day + timedelta(days=1))


def last_day(expires_at: datetime) -> date:
    """The last day before that moment."""
    return day_of(expires_at - timedelta(microseconds=1))


# As it is shown


async def view_of(session: AsyncSession, found: Found) -> ServiceAccountView:
    [view] = await _views(session, [found], await people.clinics_by_id(session, [found.account.clinic_id]))
    return view


async def _views(
    session: AsyncSession, found: Sequence[Found], clinics: Mapping[UUID, Clinic]
) -> list[ServiceAccountView]:
    now = datetime.now(UTC)
    ids = [one.account.id for one in found]
    living, keys = await service_accounts.secrets_of(session, ids, now), await service_keys.keys_of(session, ids)
    return [
        _shown(one, clinics[one.account.clinic_id], living.get(one.account.id, []), keys.get(one.account.id, []), now)
        for one in found
    ]


def _shown(
    found: Found, clinic: Clinic, living: Sequence[ServiceSecret], keys: Sequence[ServiceKey], now: datetime
) -> ServiceAccountView:
    account, service = found.account, found.service
    return ServiceAccountView(
        id=account.id,
        name=account.given_name,
        purpose=service.purpose,
        clinic_id=clinic.id,
        clinic=clinic.name,
        scopes=sorted(known_scopes(service.scopes), key=list(Scope).index),
        state=state_of(active=account.active, expires_at=service.expires_at, now=now),
        expires_on=last_day(service.expires_at),
        ends_soon=account.active and ends_soon(service.expires_at, now),
        created_at=account.created_at,
        last_used_at=account.last_used_at,
        last_address=service.last_address,
        secrets=[
            SecretView(
                id=secret.id,
                ending=secret.ending,
                created_at=secret.created_at,
                ends_at=secret.ends_at,
                last_used_at=secret.last_used_at,
            )
            for secret in living
        ],
        keys=[
            KeyView(
                id=key.id,
                kid=key.kid,
                algorithm=key.algorithm,
                created_at=key.created_at,
                last_used_at=key.last_used_at,
            )
            for key in keys
        ],
        version=account.version,
    )
