"""Restrictions at the wish of the person whom a request is about: to whom it is shut, whatever else would open it to them.

Whether it is shut is one condition for each side: `shut_to` of somebody who looks, `is_shut_out` of accounts that are to be told
of the request, or to be given it. Who wrote a request is never shut out of it.
"""

import uuid
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    ColumnExpressionArgument,
    Exists,
    Select,
    Uuid,
    and_,
    any_,
    bindparam,
    exists,
    false,
    func,
    or_,
    select,
    text,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from domain.requests import Holder, HolderKind, Role
from records import absences, partners
from records.ids import as_array, new_id
from records.models import (
    Account,
    AccountKind,
    Json,
    Participant,
    PartnerEndpoint,
    RequestRecord,
    RequestRestriction,
    RestrictionEnd,
    ServiceKey,
    ServiceSecret,
    WebhookEndpoint,
)
from records.sealed import NOT_OPENED, tell_not_opened, unread
from records.straight import Straight

_SOMEBODY, _ASKED = aliased(Account), aliased(RequestRecord)
"""The tables by another name. They are named once: to name one with so many columns takes a millisecond, and each look asks."""


def shut_to(
    account_id: uuid.UUID,
    clinic_id: uuid.UUID,
    roles: frozenset[Role],
    had_roles: frozenset[Role] | None = None,
    *,
    system_id: uuid.UUID | None = None,
) -> Select[uuid.UUID]:
    """The ids of the requests that are shut to who looks in these roles. They are few, and looked up once by who asks of many.

    Whatever else the account is counts as well: who looks in fewer roles than they have, as a system does for them, sees no more.
    With `had_roles`, as it was while the account had these.
    Where a clinic's system looks (`system_id`), what is shut to those who can come in as that system is shut to it, whoever wrote
    it: they would read on through it.
    """
    return _both(_shut_to(account_id, clinic_id, roles, had_roles), _shut_to_keepers(system_id))


def _both(ours: Select[uuid.UUID], of_keepers: Select[uuid.UUID] | None) -> Select[uuid.UUID]:
    """Two selects, each with an index of its own."""
    return ours if of_keepers is None else select(union_all(ours, of_keepers).subquery().c.request_id)


def _shut_to(
    account_id: uuid.UUID, clinic_id: uuid.UUID, roles: frozenset[Role], had_roles: frozenset[Role] | None = None
) -> Select[uuid.UUID]:
    has_role: ColumnElement[bool] = exists().where(
        _SOMEBODY.id == account_id, RequestRestriction.role == any_(_SOMEBODY.roles)
    )
    if had_roles is not None:
        roles, has_role = roles | had_roles, false()
    of_role = or_(RequestRestriction.role.in_(sorted(roles)) if roles else false(), has_role)
    theirs = or_(RequestRestriction.account_id == account_id, and_(RequestRestriction.clinic_id == clinic_id, of_role))
    return select(RequestRestriction.request_id).where(theirs, holds(), ~_wrote_it(account_id))


def _wrote_it(account_id: ColumnExpressionArgument[uuid.UUID] | uuid.UUID) -> Exists:
    return exists().where(_ASKED.id == RequestRestriction.request_id, _ASKED.requester_id == account_id)


def _made_it(system: type[Account]) -> Exists:
    """Whether it is the system that has made the request for who asked. Apart from them: lists are planned by that alone."""
    made = exists().where(_ASKED.id == RequestRestriction.request_id, _ASKED.system_id == system.id)
    return made.correlate(RequestRestriction, system)


def _means(account: type[Account]) -> ColumnElement[bool]:
    """Whether a restriction means somebody, by name or by role."""
    return or_(
        RequestRestriction.account_id == account.id,
        and_(RequestRestriction.clinic_id == account.clinic_id, RequestRestriction.role == any_(account.roles)),
    )


def _shut_to_keepers(system_id: uuid.UUID | None) -> Select[uuid.UUID] | None:
    if system_id is None:
        return None
    kept = _to_people(RequestRestriction.request_id).join(_GIVEN, _GIVEN.c.given_by == Account.id)
    return kept.where(_GIVEN.c.kept_id == system_id)


_LIVES = or_(ServiceSecret.ends_at.is_(None), ServiceSecret.ends_at > func.now())
_GIVEN = union_all(
    select(ServiceSecret.account_id.label("kept_id"), ServiceSecret.given_by).where(_LIVES),
    select(ServiceKey.account_id, ServiceKey.given_by).where(ServiceKey.ended_at.is_(None)),
    select(WebhookEndpoint.id, WebhookEndpoint.given_by).where(WebhookEndpoint.account_id.is_(None)),
    select(PartnerEndpoint.account_id, PartnerEndpoint.given_by).where(
        partners.answers_or_did(PartnerEndpoint.account_id)
    ),
).subquery("given")
"""Who can come in as a system, or hears what a webhook is told: they were given a secret of it that lives, said a key by which it
signs, or where the webhook is; or where the partner is that is sent what its clinic is given.
"""


def _to_people(*columns: Any) -> Select[*tuple[Any, ...]]:
    """Of each restriction that holds, whom of all accounts it shuts out."""
    found = select(*columns).select_from(RequestRestriction).join(Account, _means(Account))
    return found.where(holds(), ~_wrote_it(Account.id))


async def shut_to_each(session: AsyncSession, account_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, set[uuid.UUID]]:
    """To each of these accounts, the requests that are shut to them."""
    found: dict[uuid.UUID, set[uuid.UUID]] = {id_: set() for id_ in account_ids}
    query = _to_people(Account.id, RequestRestriction.request_id).where(Account.id.in_(account_ids))
    for account_id, request_id in await session.execute(query) if found else ():
        found[account_id].add(request_id)
    return found


async def keepers_of(session: AsyncSession, system_id: uuid.UUID) -> Sequence[Account]:
    """Who can come in as that system."""
    given = select(_GIVEN.c.given_by).where(_GIVEN.c.kept_id == system_id)
    return (await session.scalars(select(Account).where(Account.id.in_(given)))).all()


async def is_shut_to(
    session: AsyncSession,
    account_id: uuid.UUID,
    clinic_id: uuid.UUID,
    roles: frozenset[Role],
    request_id: uuid.UUID,
    system_id: uuid.UUID | None = None,
) -> bool:
    """Whether this request is shut to who looks."""
    is_it = RequestRestriction.request_id == request_id
    of_keepers = _shut_to_keepers(system_id)
    query = _both(
        _shut_to(account_id, clinic_id, roles).where(is_it),
        None if of_keepers is None else of_keepers.where(is_it),
    )
    return await session.scalar(query.limit(1)) is not None


def is_shut_out(request_id: ColumnExpressionArgument[uuid.UUID] | uuid.UUID) -> ColumnElement[bool]:
    """Of rows of `Account`: whether this request is shut to them; beside rows of `RequestRecord`, whether each of these is."""
    names = _names(Account).where(RequestRestriction.request_id == request_id)
    return names.correlate(Account, RequestRecord)


def is_shut_to_account(
    account_id: ColumnExpressionArgument[uuid.UUID | None] | uuid.UUID,
    request_id: ColumnExpressionArgument[uuid.UUID] | uuid.UUID = RequestRecord.id,
) -> ColumnElement[bool]:
    """Whether the request is shut to that account; of rows of `RequestRecord`, each of them."""
    names = _names(_SOMEBODY).where(RequestRestriction.request_id == request_id)
    named = names.correlate(_SOMEBODY, RequestRecord)
    return exists().where(_SOMEBODY.id == account_id, named).correlate(RequestRecord)


def _names(account: type[Account]) -> Exists:
    """Restrictions that hold and shut somebody out, or a system; of which request is still to be said."""
    wrote_it = _wrote_it(account.id).correlate(RequestRestriction, account)
    of_system = or_(and_(_means_system(account), ~_made_it(account)), _means_keeper(account))
    means = or_(and_(_means(account), ~wrote_it), and_(account.kind == AccountKind.SERVICE, of_system))
    return exists().where(holds(), means)


def _means_system(account: type[Account]) -> ColumnElement[bool]:
    """Whether a restriction means a clinic's system: with its administrators, or the providers for whom it answers or did."""
    answers = partners.answers_or_did(account.id)
    of_role = or_(
        RequestRestriction.role == Role.CLINIC_ADMINISTRATOR, and_(RequestRestriction.role == Role.PROVIDER, answers)
    )
    return and_(RequestRestriction.clinic_id == account.clinic_id, of_role)


def _means_keeper(account: type[Account]) -> ColumnElement[bool]:
    """Whether a restriction shuts out somebody who can come in as that system."""
    keeper = aliased(Account)
    wrote_it = _wrote_it(keeper.id).correlate(RequestRestriction, keeper)
    keepers = select(keeper.id).join(_GIVEN, _GIVEN.c.given_by == keeper.id)
    means = keepers.where(_GIVEN.c.kept_id == account.id, _means(keeper), ~wrote_it)
    return means.correlate(RequestRestriction, account).exists()


def holds() -> ColumnElement[bool]:
    """Of rows of `RequestRestriction`: whether they have not ended."""
    return ~exists().where(RestrictionEnd.restriction_id == RequestRestriction.id)


_THERE = Straight(
    select(exists().where(RequestRestriction.request_id == bindparam("request_id", type_=Uuid()), holds()))
)


async def are_there(session: AsyncSession, request_id: uuid.UUID) -> bool:
    """Whether any restriction of that request holds."""
    return bool(await _THERE.value(session, {"request_id": request_id}))


def restricted_ids() -> Select[uuid.UUID]:
    """The ids of all requests of which a restriction holds."""
    return select(RequestRestriction.request_id).where(holds())


async def shuts_out(session: AsyncSession, request_id: uuid.UUID, account_id: uuid.UUID) -> bool:
    """Whether this request is shut to that account."""
    query = select(Account.id).where(Account.id == account_id, is_shut_out(request_id))
    return await session.scalar(query) is not None


async def is_away(session: AsyncSession, request_id: uuid.UUID, provider_id: uuid.UUID) -> bool:
    """Whether nothing of the request waits for that provider now: away, no provider any more, or it is shut to them."""
    return await absences.is_away(session, provider_id) or await shuts_out(session, request_id, provider_id)


async def is_open_to_one(session: AsyncSession, request_id: uuid.UUID, clinic_id: uuid.UUID, role: Role) -> bool:
    """Whether anybody who is active has that role at the clinic and may see this request; a partner's system counts as one of the
    providers for whom it answers, while it can be asked.
    """
    return await _is_one(session, clinic_id, role, ~is_shut_out(request_id))


async def is_shut_to_one(session: AsyncSession, request_id: uuid.UUID, clinic_id: uuid.UUID, role: Role) -> bool:
    """Whether anybody who is active and has that role at the clinic is shut out of this request."""
    return await _is_one(session, clinic_id, role, is_shut_out(request_id))


async def _is_one(session: AsyncSession, clinic_id: uuid.UUID, role: Role, which: ColumnElement[bool]) -> bool:
    has_role: ColumnElement[bool] = Account.roles.contains([role.value])
    if role is Role.PROVIDER:
        has_role = or_(has_role, partners.answers_now())
    of_clinic = and_(Account.clinic_id == clinic_id, Account.active, has_role)
    return await session.scalar(select(Account.id).where(of_clinic, which).limit(1)) is not None


async def is_shut_to_all(session: AsyncSession, request_id: uuid.UUID, clinic_id: uuid.UUID, role: Role) -> bool:
    """Whether nobody who is active and has that role at the clinic may see this request, and that is by a restriction.

    A pool of nobody is another matter.
    """
    if not await is_shut_to_one(session, request_id, clinic_id, role):
        return False
    return not await is_open_to_one(session, request_id, clinic_id, role)


async def is_shut_to_holder(session: AsyncSession, request_id: uuid.UUID, holder: Holder) -> bool:
    """Whether the holder is a provider, or a pool of them, and none of these may see the request. The pool of a clinic for which
    a partner's system answers is that system's, whether it can be asked now or not.
    """
    if holder.kind is HolderKind.PROVIDER and holder.id is not None:
        return await shuts_out(session, request_id, holder.id)
    if holder.kind is HolderKind.POOL and holder.clinic_id is not None:
        if not await are_there(session, request_id):
            return False
        partner_id = await partners.that_performs(session, holder.clinic_id)
        if partner_id is not None:
            return await shuts_out(session, request_id, partner_id)
        return await is_shut_to_all(session, request_id, holder.clinic_id, Role.PROVIDER)
    return False


async def shut_to_listeners(
    session: AsyncSession, request_ids: Collection[uuid.UUID]
) -> set[tuple[uuid.UUID, uuid.UUID]]:
    """Of these requests, those that are shut to who listens, each with whom: the clinic whose administrators are shut out, and so
    its systems; the account of a system, or the webhook, of which somebody who is shut out is a keeper.

    Of what nobody has restricted it is one look by an index.
    """
    is_one = RequestRestriction.request_id == any_(as_array(request_ids))
    query = select(RequestRestriction).where(is_one, holds()).options(*unread(RequestRestriction))
    restricted = (await session.scalars(query)).all() if request_ids else ()
    if not restricted:
        return set()
    shut = {
        (one.request_id, one.clinic_id)
        for one in restricted
        if one.clinic_id is not None and one.role == Role.CLINIC_ADMINISTRATOR
    }
    ids = as_array({one.request_id for one in restricted})
    to_keepers = _to_people(RequestRestriction.request_id, _GIVEN.c.kept_id)
    to_keepers = to_keepers.join(_GIVEN, _GIVEN.c.given_by == Account.id)
    kept = await session.execute(to_keepers.where(RequestRestriction.request_id == any_(ids)))
    return shut | {(request_id, kept_id) for request_id, kept_id in kept}


async def shut_within(
    session: AsyncSession, request_ids: Collection[uuid.UUID], clinic_id: uuid.UUID, since: datetime
) -> dict[uuid.UUID, datetime]:
    """Of these requests, those that a restriction which holds, or held at some time since then, shuts to somebody of the clinic,
    each with when the newest of these was set.

    Whoever of the clinic is named counts, and each of its roles, whether that is an administrator now or not: roles are given
    and taken by those against whom this is asked.
    """
    if not request_ids:
        return {}
    is_of_clinic = exists().where(Account.id == RequestRestriction.account_id, Account.clinic_id == clinic_id)
    query = _since(RequestRestriction.request_id, func.max(RequestRestriction.set_at), of=request_ids, since=since)
    query = query.where(or_(RequestRestriction.clinic_id == clinic_id, is_of_clinic))
    found = await session.execute(query.group_by(RequestRestriction.request_id))
    return {request_id: set_at for request_id, set_at in found}  # noqa: C416


async def shut_since(session: AsyncSession, request_ids: Collection[uuid.UUID], since: datetime) -> set[uuid.UUID]:
    """Of these requests, those that a restriction which holds, or held at some time since then, shuts to anybody."""
    return set(await session.scalars(_since(RequestRestriction.request_id, of=request_ids, since=since)))


def _since(*columns: Any, of: Collection[uuid.UUID], since: datetime) -> Select[*tuple[Any, ...]]:
    ended_before = exists().where(
        RestrictionEnd.restriction_id == RequestRestriction.id, RestrictionEnd.ended_at < since
    )
    is_one = RequestRestriction.request_id == any_(as_array(of))
    return select(*columns).where(is_one, ~ended_before)


async def was_set_by(session: AsyncSession, request_id: uuid.UUID, account_id: uuid.UUID) -> bool:
    """Whether that account ever set a restriction of the request, also one that has ended."""
    query = select(RequestRestriction.id).where(
        RequestRestriction.request_id == request_id, RequestRestriction.set_by == account_id
    )
    return await session.scalar(query.limit(1)) is not None


async def set_by(session: AsyncSession, account_id: uuid.UUID) -> set[uuid.UUID]:
    """The requests that somebody has shut to others, by restrictions that hold."""
    query = select(RequestRestriction.request_id).where(RequestRestriction.set_by == account_id, holds())
    return set(await session.scalars(query))


# Set and ended


async def holding(session: AsyncSession, request_id: uuid.UUID) -> Sequence[RequestRestriction]:
    """The restrictions of the request that hold, the newest first; without their reasons."""
    query = select(RequestRestriction).where(RequestRestriction.request_id == request_id, holds())
    return (
        await session.scalars(query.order_by(RequestRestriction.id.desc()).options(*unread(RequestRestriction)))
    ).all()


async def reason_of(session: AsyncSession, restriction_id: uuid.UUID) -> str | None:
    """Why it was set; None where that does not open."""
    try:
        query = select(RequestRestriction.reason).where(RequestRestriction.id == restriction_id)
        reason: Json | None = await session.scalar(query)
    except NOT_OPENED as error:
        tell_not_opened("request_restrictions.reason", str(restriction_id), error)
        return None
    return reason["text"] if reason else None


async def add(
    session: AsyncSession,
    request_id: uuid.UUID,
    account_id: uuid.UUID | None,
    category: tuple[uuid.UUID, Role] | None,
    *,
    reason: str,
    set_by: uuid.UUID,
    now: datetime,
) -> RequestRestriction:
    """Shut the request, whose row is locked, to that account, or to everybody of a clinic in a role."""
    clinic_id, role = category or (None, None)
    restriction = RequestRestriction(
        id=new_id(),
        request_id=request_id,
        account_id=account_id,
        clinic_id=clinic_id,
        role=role,
        reason={"text": reason},
        set_by=set_by,
        set_at=now,
    )
    session.add(restriction)
    await session.flush()
    return restriction


async def end(
    session: AsyncSession, restriction: RequestRestriction, *, reason: str, ended_by: uuid.UUID, now: datetime
) -> None:
    """From now on it does not hold. The request's row is locked."""
    session.add(
        RestrictionEnd(
            restriction_id=restriction.id,
            request_id=restriction.request_id,
            reason={"text": reason},
            ended_by=ended_by,
            ended_at=now,
        )
    )
    await session.flush()


async def load(session: AsyncSession, request_id: uuid.UUID, restriction_id: uuid.UUID) -> RequestRestriction | None:
    """That restriction of the request, whether it holds or not; without its reason."""
    query = select(RequestRestriction).where(
        RequestRestriction.id == restriction_id, RequestRestriction.request_id == request_id
    )
    return await session.scalar(query.options(*unread(RequestRestriction)))


async def accounts_named(
    session: AsyncSession, account_id: uuid.UUID | None, category: tuple[uuid.UUID, Role] | None
) -> Sequence[Account]:
    """That account, or those of the category who are active; with administrators also the systems of their clinic."""
    whom = _whom(account_id, category)
    if category is not None and category[1] is Role.CLINIC_ADMINISTRATOR:
        whom = or_(whom, and_(Account.clinic_id == category[0], Account.kind == AccountKind.SERVICE))
    return (await session.scalars(select(Account).where(whom, Account.active).order_by(Account.id))).all()


async def kept_by(
    session: AsyncSession, row: RequestRecord, account_id: uuid.UUID | None, category: tuple[uuid.UUID, Role] | None
) -> tuple[Sequence[Account], Sequence[WebhookEndpoint]]:
    """The systems, and the webhooks, of which that account, or somebody of the category, is a keeper: what is shut to these is
    shut to them. Who wrote the request shuts nothing. Also systems that are locked: they may come in again.
    """
    kept = select(_GIVEN.c.kept_id).join(Account, Account.id == _GIVEN.c.given_by)
    whom = _whom(account_id, category), Account.id != row.requester_id
    ids = (await session.scalars(kept.where(*whom))).all()
    if not ids:
        return (), ()
    systems = select(Account).where(Account.id.in_(ids)).order_by(Account.given_name, Account.id)
    webhooks = select(WebhookEndpoint).where(WebhookEndpoint.id.in_(ids)).order_by(WebhookEndpoint.id)
    return (await session.scalars(systems)).all(), (await session.scalars(webhooks)).all()


def _whom(account_id: uuid.UUID | None, category: tuple[uuid.UUID, Role] | None) -> ColumnElement[bool]:
    """Of rows of `Account`: that one, or everybody of the category."""
    if category is None:
        return Account.id == account_id
    clinic_id, role = category
    return and_(Account.clinic_id == clinic_id, Account.roles.contains([role.value]))


async def tell(
    session: AsyncSession, row: RequestRecord, account_ids: Collection[uuid.UUID], now: datetime, *, is_gone: bool
) -> None:
    """Note for the feed of changes that these do not see the request any more, or see it again."""
    for account_id in account_ids:
        values = {
            "kind": "gone" if is_gone else "seen",
            "request_id": row.id,
            "version": row.version,
            "at": now,
            "account_id": account_id,
        }
        await session.execute(_NOTED, values)


_NOTED = text("SELECT note_change(:kind, :request_id, NULL, :version, NULL, :at, NULL, :account_id, NULL)")


# Whom it may name


async def acted_on(session: AsyncSession, row: RequestRecord) -> Sequence[Account]:
    """The people who ever acted on the request, or hold it, without its requester."""
    acted = exists().where(Participant.request_id == row.id, Participant.account_id == Account.id)
    return await _people(session, or_(acted, Account.id == row.holder_id), Account.id != row.requester_id)


async def people_of(session: AsyncSession, clinic_ids: Collection[uuid.UUID]) -> Sequence[Account]:
    """The people of these clinics, and operators, of whatever clinic."""
    return await _people(session, or_(Account.clinic_id.in_(clinic_ids), Account.roles.contains([Role.OPERATOR.value])))


async def _people(session: AsyncSession, *which: ColumnElement[bool]) -> Sequence[Account]:
    query = select(Account).where(*which, Account.active, Account.kind != AccountKind.SERVICE)
    return (await session.scalars(query.order_by(Account.family_name, Account.given_name, Account.id))).all()
