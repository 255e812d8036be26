"""The words by which a patient is found, kept as keyed hashes beside the form: whoever has the database alone can't read them.

`domain.search` says which words; here they are hashed, kept with the form that they stand in, and looked for. The keys come from
`RELAIS_ENCRYPTION_KEYS`: the first hashes what is written, every one finds.
"""

import hashlib
import hmac
import uuid
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal, Self

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Uuid,
    and_,
    any_,
    bindparam,
    delete,
    exists,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from domain.requests import Status
from domain.search import words_of_patient
from records.models import FrozenForm, Json, PatientWord, RequestRecord, table_of
from records.sealed import NOT_OPENED, tell_not_opened
from records.straight import Straight
from settings import Settings

_KEPT = "kept 2"
"""The word that every request has: it shows that its words are there, under the key that hashed it. Another one where
`domain.search` makes other words of a patient than before, so that `fill_words` makes them anew."""

_WORDS = table_of(PatientWord)

# Made once, as in `records.requests`.

_ADDED = {
    form: Straight(insert(_WORDS).on_conflict_do_update(constraint=_WORDS.primary_key, set_={form: True}))
    for form in ("written", "submitted")
}
_SHARED = Straight(select(func.share_patient_words(bindparam("request_id", type_=Uuid()))))

IN_SESSION = "search_keys"
"""Under this name a session's `info` has the keys of its database."""


@dataclass(frozen=True)
class SearchKeys:
    """The keys of the hashes. Without any, no word is kept and nobody is found by one."""

    keys: tuple[bytes, ...] = field(default=(), repr=False)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The keys of these settings, in the order of the key ring."""
        ring = settings.encryption_keys.get_secret_value() if settings.encryption_keys else ""
        secrets = [entry.strip().partition(":")[2] for entry in ring.split(",")]
        return cls(tuple(_keyed(secret.encode(), "relais words of patients") for secret in secrets if secret))

    def written(self, word: str) -> int:
        """The hash under which a word is kept."""
        return _hash(self.keys[0], word)

    def for_hashes_of(self, what: str) -> tuple[bytes, ...]:
        """The keys of the hashes of something else, in the same order. Without a ring all stands in clear, and one is for all."""
        return tuple(_keyed(key, f"relais {what}") for key in self.keys) or (what.encode(),)

    def looked_for(self, words: Collection[str]) -> list[int]:
        """Every hash under which one of these words may be kept."""
        return [_hash(key, word) for key in self.keys for word in words]


def keys_of(session: AsyncSession) -> SearchKeys:
    """The keys of the database that the session is of."""
    keys = session.info.get(IN_SESSION)
    return keys if isinstance(keys, SearchKeys) else SearchKeys()


async def keep_written(session: AsyncSession, row: RequestRecord) -> None:
    """Keep the words of the form as it stands in the editor, instead of those it had: only its requester finds by them."""
    await _keep(session, row, row.form["patient"], "written")


async def keep_submitted(session: AsyncSession, row: RequestRecord) -> None:
    """Keep the words of the form that is in force: all find by them who see the chart, each in their clinic."""
    await _keep(session, row, await _submitted_patient(session, row), "submitted")
    if keys_of(session).keys:
        await _SHARED.run(session, {"request_id": row.id})


async def forget_words(session: AsyncSession, request_id: uuid.UUID) -> None:
    """Of a draft that is removed."""
    await session.execute(delete(_WORDS).where(_WORDS.c.request_id == request_id))


async def fill_words(session: AsyncSession, after: uuid.UUID, limit: int) -> uuid.UUID | None:
    """Keep the words of the next requests that have none under the present key: at most so many, in the order of their ids.

    One whose form does not open is passed over. Returns the last one's id, or None when there were no more.
    """
    keys = keys_of(session)
    if not keys.keys:
        return None
    has_them = exists().where(
        PatientWord.clinic_id == RequestRecord.requester_clinic_id,
        PatientWord.request_id == RequestRecord.id,
        PatientWord.hash == keys.written(_KEPT),
    )
    query = select(RequestRecord.id).where(RequestRecord.id > after, not_(has_them)).order_by(RequestRecord.id)
    ids = (await session.scalars(query.limit(limit).with_for_update(key_share=True))).all()
    for id_ in ids:
        try:
            async with session.begin_nested():
                row = await session.get_one(RequestRecord, id_, populate_existing=True)
                await forget_words(session, id_)
                await keep_written(session, row)
                if row.status is not Status.DRAFT:
                    await keep_submitted(session, row)
        except NOT_OPENED as error:
            tell_not_opened("requests.form", str(id_), error)
    return ids[-1] if ids else None


def may_name(session: AsyncSession, words: Collection[str]) -> ColumnElement[bool]:
    """Of a request that was submitted, in SQL: whether a form of it may have one of these words: that which is written, that in
    force or one before. What was submitted again may, as no words of earlier forms are kept; and what has none under these keys.
    """
    keys = keys_of(session)
    kept = keys.looked_for([_KEPT])
    has_all = and_(_has_word(kept, PatientWord.submitted), _has_word(kept, PatientWord.written))
    again = exists().where(FrozenForm.request_id == RequestRecord.id, FrozenForm.number == 2)
    return or_(_has_word(keys.looked_for(words)), not_(has_all), again)


def _has_word(hashes: Collection[int], *of_form: InstrumentedAttribute[bool]) -> ColumnElement[bool]:
    """Whether one of these is kept of it in its requester's clinic, where all are: a look into the index for each."""
    look = select(true()).where(
        PatientWord.clinic_id == RequestRecord.requester_clinic_id,
        PatientWord.hash == any_(literal(sorted(hashes), ARRAY(BigInteger()))),
        PatientWord.request_id == RequestRecord.id,
        *of_form,
    )
    return func.coalesce(look.limit(1).correlate(RequestRecord).scalar_subquery(), false())


async def _submitted_patient(session: AsyncSession, row: RequestRecord) -> Json:
    form = row.process.get("form")
    frozen = await session.get(FrozenForm, (row.id, form["number"])) if form else None
    return frozen.content["patient"] if frozen else row.form["patient"]


async def _keep(
    session: AsyncSession, row: RequestRecord, patient: Json, of_form: Literal["written", "submitted"]
) -> None:
    """Make these the words of one of the two forms in the requester's clinic, and leave those of the other."""
    keys = keys_of(session)
    if not keys.keys:
        return
    wanted = {keys.written(word) for word in (*words_of_patient(patient), _KEPT)}
    clinic_id, request_id = row.requester_clinic_id, row.id
    ours = and_(_WORDS.c.clinic_id == clinic_id, _WORDS.c.request_id == request_id)
    column, other = _WORDS.c[of_form], _WORDS.c.submitted if of_form == "written" else _WORDS.c.written
    there = set(await session.scalars(select(_WORDS.c.hash).where(ours, column)))
    if lost := there - wanted:
        gone = and_(ours, _WORDS.c.hash.in_(lost))
        await session.execute(delete(_WORDS).where(gone, not_(other)))
        await session.execute(update(_WORDS).where(gone).values({column: False}))
    if new := wanted - there:
        whose = {"clinic_id": clinic_id, "request_id": request_id}
        added = [{**whose, "hash": word, column.name: True, other.name: False} for word in sorted(new)]
        await _ADDED[of_form].run_for_each(session, added)


def _keyed(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), hashlib.sha256)


def _hash(key: bytes, word: str) -> int:
    """The first eight bytes, as PostgreSQL keeps a number of that size."""
    return int.from_bytes(_keyed(key, word)[:8], "big", signed=True)
