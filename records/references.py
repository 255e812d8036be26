"""What clinics' systems call requests by themselves: each reference once for each system, found by a keyed hash.

A reference may be a chart's number, by which a patient is known: it is sealed as the chart is, and found as words of patients are
(`records.patient_words`).
"""

import hashlib
import hmac
import uuid
from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Select, delete, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from records.errors import ReferenceTakenError
from records.models import Account, RequestReference
from records.patient_words import keys_of
from records.sealed import NOT_OPENED, tell_not_opened, unread

Place = tuple[uuid.UUID, uuid.UUID]
"""A request and a system: where a reference stands."""


async def refer(session: AsyncSession, request_id: uuid.UUID, system_id: uuid.UUID, reference: str | None) -> None:
    """From now on that system calls the request so; None for not any more. Raises ReferenceTakenError."""
    if reference is None:
        of_system = RequestReference.request_id == request_id, RequestReference.system_id == system_id
        await session.execute(delete(RequestReference).where(*of_system))
        return
    key, *older = keys_of(session).for_hashes_of("references")
    hash_ = _hash(key, reference)
    name = f"reference:{system_id}:{hash_.hex()}"
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))
    hashes = [hash_, *(_hash(old, reference) for old in older)]
    taken = select(RequestReference.request_id).where(
        RequestReference.system_id == system_id,
        RequestReference.hash.in_(hashes),
        RequestReference.request_id != request_id,
    )
    if await session.scalar(taken) is not None:
        raise ReferenceTakenError
    there = await session.get(RequestReference, (request_id, system_id), options=unread(RequestReference))
    if there is None:
        there = RequestReference(request_id=request_id, system_id=system_id)
        session.add(there)
    there.value, there.hash, there.hashed_with = reference, hash_, _mark(key)
    await session.flush()


async def references_to(
    session: AsyncSession, request_id: uuid.UUID, clinic_id: uuid.UUID
) -> Sequence[RequestReference]:
    """How systems of that clinic call the request."""
    query = (
        select(RequestReference)
        .join(Account, Account.id == RequestReference.system_id)
        .where(RequestReference.request_id == request_id, Account.clinic_id == clinic_id)
        .order_by(RequestReference.system_id)
    )
    return (await session.scalars(query)).all()


async def references_by_request(
    session: AsyncSession, request_ids: Collection[uuid.UUID], clinic_id: uuid.UUID
) -> Mapping[uuid.UUID, Sequence[RequestReference]]:
    """The same of each of these requests."""
    query = (
        select(RequestReference)
        .join(Account, Account.id == RequestReference.system_id)
        .where(RequestReference.request_id.in_(request_ids), Account.clinic_id == clinic_id)
        .order_by(RequestReference.system_id)
    )
    found: dict[uuid.UUID, list[RequestReference]] = {id_: [] for id_ in request_ids}
    for one in await session.scalars(query) if request_ids else ():
        found[one.request_id].append(one)
    return found


def referred_to(
    session: AsyncSession, reference: str, clinic_id: uuid.UUID, system_id: uuid.UUID | None
) -> Select[uuid.UUID]:
    """The requests that a system of that clinic, or just that one, calls so."""
    hashes = [_hash(key, reference) for key in keys_of(session).for_hashes_of("references")]
    query = (
        select(RequestReference.request_id)
        .join(Account, Account.id == RequestReference.system_id)
        .where(RequestReference.hash.in_(hashes), Account.clinic_id == clinic_id)
    )
    return query if system_id is None else query.where(RequestReference.system_id == system_id)


async def hash_anew(session: AsyncSession, after: Place, limit: int) -> Place | None:
    """Hash references with the present key where they are not, at most so many, in the order of their ids.

    One that does not open is passed over. Returns the place of the last one, or None when there were no more.
    """
    key = keys_of(session).for_hashes_of("references")[0]
    place = tuple_(RequestReference.request_id, RequestReference.system_id)
    query = select(RequestReference.request_id, RequestReference.system_id).where(
        RequestReference.hashed_with != _mark(key), place > tuple_(*after)
    )
    ids = (await session.execute(query.order_by(place).limit(limit).with_for_update())).all()
    for request_id, system_id in ids:
        try:
            async with session.begin_nested():
                row = await session.get_one(RequestReference, (request_id, system_id))
                row.hash, row.hashed_with = _hash(key, row.value), _mark(key)
        except NOT_OPENED as error:
            tell_not_opened("request_references.value", str(request_id), error)
    return (ids[-1].request_id, ids[-1].system_id) if ids else None


def _hash(key: bytes, reference: str) -> bytes:
    return hmac.digest(key, reference.encode(), hashlib.sha256)


def _mark(key: bytes) -> bytes:
    """What tells keys apart, and says nothing of them."""
    return _hash(key, "")[:8]
