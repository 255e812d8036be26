"""Clinics, accounts and bearer tokens. Passwords are hashed and checked by the API, not here."""

import secrets
import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, DateTime, and_, bindparam, delete, func, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.clinic_calendar import ClinicCalendar
from domain.notices import NoticeMode
from domain.requests import Role
from domain.texts import composed
from records.ids import new_id
from records.models import NO_PASSWORD, Account, AccountKind, Clinic, FailedLogins, Token

CHANNEL = "relais_accounts"
"""The channel of notifications on which every process hears that an account's sessions have ended, or that it has other roles."""

USE_NOTED_EVERY = timedelta(minutes=10)
"""How exactly the last use of an account is known: most calls need not write it down."""

# Clinics


async def add_clinic(
    session: AsyncSession,
    *,
    code: str,
    name: str,
    address_lines: Iterable[str] = (),
    phone: str = "",
    routes_to: Iterable[uuid.UUID] = (),
) -> Clinic:
    """A new clinic. `routes_to` are the other clinics that its dispatchers may assign requests to."""
    clinic = Clinic(
        id=new_id(),
        code=code,
        name=name,
        address_lines=list(address_lines),
        phone=phone,
        routes_to=list(routes_to),
    )
    session.add(clinic)
    await session.flush()
    return clinic


async def load_clinic(session: AsyncSession, clinic_id: uuid.UUID) -> Clinic | None:
    return await session.get(Clinic, clinic_id)


async def find_clinic(session: AsyncSession, code: str) -> Clinic | None:
    return await session.scalar(select(Clinic).where(Clinic.code == code))


async def calendar_of(session: AsyncSession, clinic_id: uuid.UUID) -> ClinicCalendar:
    """When a clinic works, as it has set it; the default for one that is not there."""
    clinic = await load_clinic(session, clinic_id)
    return ClinicCalendar.model_validate(clinic.calendar if clinic else {})


async def zone_of(session: AsyncSession, clinic_id: uuid.UUID) -> ZoneInfo:
    """The time zone in which a clinic works."""
    return ZoneInfo((await calendar_of(session, clinic_id)).time_zone)


async def list_clinics(session: AsyncSession) -> list[Clinic]:
    """All clinics, by code."""
    return list(await session.scalars(select(Clinic).order_by(Clinic.code)))


async def clinics_by_id(session: AsyncSession, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Clinic]:
    """Those of `ids` that exist."""
    if not ids:
        return {}
    rows = await session.scalars(select(Clinic).where(Clinic.id.in_(ids)))
    return {clinic.id: clinic for clinic in rows}


# Accounts


async def add_account(
    session: AsyncSession,
    *,
    clinic_id: uuid.UUID,
    username: str,
    password_hash: str,
    roles: Iterable[Role],
    given_name: str,
    family_name: str,
    email: str,
    now: datetime,
    title: str = "",
    profession: str = "",
    licence_number: str = "",
    language: str = "fr",
    notice_mode: NoticeMode = NoticeMode.AT_ONCE,
    active: bool = True,
    offerings: Iterable[str] | None = None,
) -> Account:
    """A new account. Raises ValueError for the role of Relais itself, which nobody can have."""
    roles = sorted(set(roles))
    if Role.SYSTEM in roles:
        raise ValueError("nobody logs in as the system")
    account = Account(
        id=new_id(),
        clinic_id=clinic_id,
        username=username.strip().lower(),
        password_hash=password_hash,
        roles=[role.value for role in roles],
        given_name=given_name,
        family_name=family_name,
        title=title,
        profession=profession,
        licence_number=licence_number,
        email=email,
        language=language,
        notice_mode=notice_mode,
        active=active,
        created_at=now,
        offerings=said_to_serve(offerings),
    )
    session.add(account)
    await session.flush()
    return account


async def load_account(session: AsyncSession, account_id: uuid.UUID) -> Account | None:
    """The account of a person; None where there is none, or it is a system's (`records.service_accounts`)."""
    account = await session.get(Account, account_id)
    return account if account is not None and account.kind is AccountKind.PERSON else None


async def lock_account(session: AsyncSession, account_id: uuid.UUID) -> Account | None:
    """A person's account as it is now, kept from others until the transaction ends."""
    query = select(Account).where(Account.id == account_id, Account.kind == AccountKind.PERSON).with_for_update()
    return await session.scalar(query.execution_options(populate_existing=True))


async def lock_accounts(session: AsyncSession, ids: Collection[uuid.UUID]) -> list[Account]:
    """Those of `ids` that are people's, as they are now, which nobody else changes until the transaction ends; meanwhile they
    sign in, and what is written may point to them.
    """
    query = select(Account).where(Account.id.in_(ids), Account.kind == AccountKind.PERSON).order_by(Account.id)
    return list(await session.scalars(query.with_for_update(key_share=True).execution_options(populate_existing=True)))


async def count_by_account(session: AsyncSession, account_id: uuid.UUID) -> None:
    """Keep others from counting of that account until the transaction ends. Rows that name it are written meanwhile."""
    await session.execute(select(Account.id).where(Account.id == account_id).with_for_update(key_share=True))


async def hold_account(session: AsyncSession, account_id: uuid.UUID) -> Account | None:
    """The account as it is now, which nobody changes until the transaction ends; others may hold it as well."""
    query = select(Account).where(Account.id == account_id).with_for_update(read=True)
    return await session.scalar(query.execution_options(populate_existing=True))


async def lock_clinic(session: AsyncSession, clinic_id: uuid.UUID) -> Clinic | None:
    """The clinic as it is now, once nobody else changes it, or who runs it; kept so until the transaction ends."""
    query = select(Clinic).where(Clinic.id == clinic_id).with_for_update(key_share=True)
    return await session.scalar(query.execution_options(populate_existing=True))


async def find_accounts(session: AsyncSession, typed: str) -> list[Account]:
    """The active accounts that somebody may mean who types a user name or an e-mail address, in whatever case."""
    typed = composed(typed).strip().lower()
    is_meant = or_(Account.username == typed, func.lower(Account.email) == typed)
    query = select(Account).where(Account.active, Account.kind == AccountKind.PERSON, is_meant)
    return list(await session.scalars(query.order_by(Account.username)))


def needs_a_note_of_use(account: Account, now: datetime) -> bool:
    """Whether it is so long that the account was seen in use that it is worth a note."""
    return account.last_used_at is None or account.last_used_at < now - USE_NOTED_EVERY


async def note_use(session: AsyncSession, account_id: uuid.UUID, now: datetime) -> None:
    """The account is in use now. Nothing is written where somebody else has just said so."""
    before = or_(Account.last_used_at.is_(None), Account.last_used_at < now - USE_NOTED_EVERY)
    await session.execute(update(Account).where(Account.id == account_id, before).values(last_used_at=now))


def no_password() -> str:
    """A hash that no password fits, different for each account."""
    return f"{NO_PASSWORD}{secrets.token_hex(32)}"


async def change_password(session: AsyncSession, account: Account, password_hash: str) -> bool:
    """Replace the hash by which the account's password is known; False, and nothing, when it is another than `account` has.

    Its tokens stay, see `revoke_tokens_of`.
    """
    as_it_was = Account.id == account.id, Account.active, Account.password_hash == account.password_hash
    changed = update(Account).where(*as_it_was).values(password_hash=password_hash).returning(Account.id)
    return await session.scalar(changed.execution_options(synchronize_session=False)) is not None


def username_as_kept(username: str) -> str:
    """A user name as it was typed, in the form in which it is kept and compared."""
    return composed(username).strip().lower()


async def find_account(session: AsyncSession, username: str) -> Account | None:
    """The account of the person of that username, in whatever case it was typed; also one that is no longer active."""
    query = select(Account).where(Account.username == username_as_kept(username), Account.kind == AccountKind.PERSON)
    return await session.scalar(query)


async def find_by_external_id(session: AsyncSession, clinic_id: uuid.UUID, external_id: str | None) -> Account | None:
    """Whom the directory of the clinic's organization calls so; also who has left."""
    if external_id is None:
        return None
    return await session.scalar(
        select(Account).where(Account.clinic_id == clinic_id, Account.external_id == external_id)
    )


async def accounts_by_id(session: AsyncSession, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Account]:
    """Those of `ids` that exist, active or not: for the names in a timeline or a worklist."""
    if not ids:
        return {}
    rows = await session.scalars(select(Account).where(Account.id.in_(ids)))
    return {account.id: account for account in rows}


async def list_accounts(
    session: AsyncSession, *, clinic_id: uuid.UUID | None = None, role: Role | None = None, active: bool | None = True
) -> list[Account]:
    """People's accounts by username, of one clinic and of one role where those are given; `active` None gives all."""
    query = select(Account).where(Account.kind == AccountKind.PERSON).order_by(Account.username)
    if clinic_id is not None:
        query = query.where(Account.clinic_id == clinic_id)
    if role is not None:
        query = query.where(Account.roles.contains([role.value]))
    if active is not None:
        query = query.where(Account.active.is_(active))
    return list(await session.scalars(query))


async def list_providers(session: AsyncSession, clinic_id: uuid.UUID) -> list[Account]:
    """The active providers of a clinic: the members of its pool, and each other's colleagues."""
    return await list_accounts(session, clinic_id=clinic_id, role=Role.PROVIDER)


def serves(offerings: Collection[str] | None, offering: str) -> bool:
    """Whether a provider of whom these `offerings` are said serves that one; of whom nothing is said (None), serves all."""
    return offerings is None or offering in offerings


def said_to_serve(offerings: Iterable[str] | None) -> list[str] | None:
    """The codes as they are kept: each once, in order."""
    return None if offerings is None else sorted(set(offerings))


async def is_served(
    session: AsyncSession, offering: str, *, provider_id: uuid.UUID | None, clinic_id: uuid.UUID
) -> bool:
    """Whether that provider serves the service offering; of a clinic's pool (no provider), whether one of its providers does."""
    if provider_id is None:
        return any(serves(provider.offerings, offering) for provider in await list_providers(session, clinic_id))
    provider = await load_account(session, provider_id)
    return provider is not None and serves(provider.offerings, offering)


# Bearer tokens


@dataclass(frozen=True)
class SignedInElsewhere:
    """As whom somebody signed in at a provider, in which session there, and what they proved when; see `Token`."""

    idp_issuer: str
    idp_subject: str
    idp_sid: str | None
    auth_time: datetime | None
    acr: str | None
    amr: list[str]
    sealed_id_token: bytes | None = field(repr=False)


IDLE_GRACE = timedelta(minutes=2)
"""Somebody's presence is told, and noted, to the minute: who came back in time must not find the session ended."""


async def add_token(
    session: AsyncSession,
    *,
    token_sha256: str,
    account_id: uuid.UUID,
    now: datetime,
    expires_at: datetime,
    idle_minutes: int | None = None,
    address: str | None = None,
    program: str | None = None,
    elsewhere: SignedInElsewhere | None = None,
) -> None:
    """Write down a token that was given out. Its text stays with the person. It ends when unused for `idle_minutes`, if given.

    `address` and `program` are from where and with what its person signed in; `elsewhere` is how at a provider, if they did.
    """
    session.add(
        Token(
            sha256=token_sha256,
            account_id=account_id,
            created_at=now,
            expires_at=expires_at,
            idle_minutes=idle_minutes,
            address=address,
            program=program,
            seen_at=now,
            **(asdict(elsewhere) if elsewhere else {}),
        )
    )
    await session.flush()


async def load_token(session: AsyncSession, token_sha256: str) -> Token | None:
    """What is known of a token, ended or not."""
    return await session.get(Token, token_sha256)


async def account_of_token(session: AsyncSession, token_sha256: str, now: datetime) -> Account | None:
    """The active account that a token speaks for; None when it is unknown or ended, by whatever."""
    return await session.scalar(_BEARER, {"sha256": token_sha256, "now": now})


def token_lives(now: datetime | ColumnElement[datetime]) -> ColumnElement[bool]:
    """The condition that a token has not ended: by its time, by revocation, or because nobody was there."""
    idle_for = now - func.coalesce(Token.seen_at, Token.created_at)
    return and_(
        Token.expires_at > now,
        Token.revoked_at.is_(None),
        or_(Token.idle_minutes.is_(None), idle_for - IDLE_GRACE < Token.idle_minutes * text("interval '1 minute'")),
    )


_BEARER = (
    select(Account)
    .join(Token, Token.account_id == Account.id)
    .where(
        Token.sha256 == bindparam("sha256"),
        token_lives(bindparam("now", type_=DateTime(timezone=True))),
        Account.active,
    )
)
"""Made once, as in `records.requests`: every call asks it."""


async def list_tokens(session: AsyncSession, account_id: uuid.UUID, now: datetime, limit: int) -> Sequence[Token]:
    """The tokens that speak for an account now, the newest first."""
    found = select(Token).where(Token.account_id == account_id, token_lives(now))
    return (await session.scalars(found.order_by(Token.created_at.desc(), Token.id).limit(limit))).all()


async def revoke_token_of(session: AsyncSession, account_id: uuid.UUID, token_id: uuid.UUID, now: datetime) -> bool:
    """End one token of an account; False when it has none of that name, or it has ended. Every process hears of it."""
    one = update(Token).where(Token.account_id == account_id, Token.id == token_id, token_lives(now))
    ended = await session.scalar(one.values(revoked_at=now).returning(Token.id))
    if ended is not None:
        await tell_changed(session, account_id)
    return ended is not None


async def note_seen(session: AsyncSession, token_sha256: str, now: datetime) -> None:
    """Somebody is there, by that token; to the minute."""
    earlier = Token.seen_at < now - timedelta(minutes=1)
    seen = update(Token).where(Token.sha256 == token_sha256, Token.idle_minutes.is_not(None), earlier)
    await session.execute(seen.values(seen_at=now))


async def revoke_token(session: AsyncSession, token_sha256: str, now: datetime) -> None:
    """End one token; nothing happens when there is none or it has ended."""
    await session.execute(
        update(Token).where(Token.sha256 == token_sha256, Token.revoked_at.is_(None)).values(revoked_at=now)
    )


async def revoke_tokens_of(
    session: AsyncSession, account_id: uuid.UUID, now: datetime, *, but: str | None = None
) -> None:
    """End all tokens of an account, e.g. when its password changes; `but` is the SHA-256 of one that stays.

    Every process hears of it when the transaction ends.
    """
    ended = update(Token).where(Token.account_id == account_id, Token.revoked_at.is_(None))
    if but is not None:
        ended = ended.where(Token.sha256 != but)
    await session.execute(ended.values(revoked_at=now))
    await tell_changed(session, account_id)


async def tell_changed(session: AsyncSession, account_id: uuid.UUID) -> None:
    """Every process hears, when the transaction ends, that who speaks for this account must be asked anew who they are."""
    await session.execute(select(func.pg_notify(CHANNEL, str(account_id))))


async def forget_expired_tokens(session: AsyncSession, before: datetime) -> int:
    """Remove the tokens that expired before that moment; gives how many."""
    forgotten = await session.scalars(delete(Token).where(Token.expires_at < before).returning(Token.sha256))
    return len(forgotten.all())


async def forget_failed_logins(session: AsyncSession, before: datetime) -> int:
    """Remove what the version before counted until that moment; gives how many rows."""
    ended = delete(FailedLogins).where(FailedLogins.last_at < before).returning(FailedLogins.username_sha256)
    return len((await session.scalars(ended)).all())
