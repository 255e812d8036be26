"""The person's journal: who has seen the requests about somebody, for the administrators of a clinic that had to do with one.

The person is whoever a request is about: there is no register of patients. Others are told of as probably about the same person,
and whoever asks says which are. See docs/decisions/persons-journal.md; the paper itself is made in `use_cases.journal_paper`.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from pydantic import ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from activities.contract import JournalOrder, JournalRequest, MadeJournal
from domain.audit import Act
from domain.model import Discreet
from domain.requests import Role
from domain.same_patient import is_same_patient
from records import audit, journals, requests
from records.errors import NotFoundError
from records.ids import new_id
from records.models import FrozenForm, Json, RequestRecord
from records.store import journal_key
from records.visibility import Viewer, all_shut_to, may_see
from translations import Language
from use_cases import papers_under_way, policy
from use_cases.accesses import by, log_lines
from use_cases.caller import Caller
from use_cases.patients import RecordedPatient, WrittenDate
from use_cases.problems import FieldFault, Problem
from use_cases.services import Services
from use_cases.views import View
from workflows.contract import JOURNAL, journal_workflow_id

MOST_REQUESTS = 500
"""Of one person, in one journal."""

ASKED, TAKEN = "asked", "taken"
"""What of a journal an entry of the audit is about (`translations.acts` has the words)."""


class JournalState(StrEnum):
    """How far a journal is."""

    MAKING = "making"
    READY = "ready"
    TOO_LONG = "too_long"  # ask for fewer days
    FAILED = "failed"  # ask for another; or it was here for seven days


class AboutPerson(View):
    """A request that is probably about the person."""

    id: UUID
    number: str
    submitted_at: datetime | None
    whole: bool = Field(
        description="Whether the journal tells what everybody did with it; else only what people of your clinic did, for it is "
        "with others now."
    )
    patient: RecordedPatient | None = Field(description="Whom its form names now, where your clinic sees it.")
    renamed: bool = Field(description="Not all forms that were submitted of it say the same of the person.")


class JournalOffer(View):
    """The requests of which a journal can tell."""

    request_id: UUID
    requests: list[AboutPerson]


class JournalBody(Discreet):
    """What a journal is to tell of."""

    model_config = ConfigDict(extra="forbid")

    since: WrittenDate | None = Field(
        None,
        description="The first day, in the clinic's time zone; from the beginning if empty.",
        examples=["2026-01-01"],
    )
    until: WrittenDate | None = Field(None, description="The last day; until now if empty.", examples=["2026-12-31"])
    language: Language | None = Field(None, description="Of the paper; your own if empty.")
    request_ids: list[UUID] = Field(
        [],
        max_length=MOST_REQUESTS,
        description="Those of the offered ones that are about the same person, as somebody has judged who compared them. This "
        "request is always among them.",
        examples=[[]],
    )


class JournalView(View):
    """A journal that was asked for. Its file is there once it is `ready`, for seven days."""

    id: UUID
    request_id: UUID
    state: JournalState
    asked_at: datetime
    lines: int | None = Field(description="How many lines it has, as long as that is known.")


async def offer_journal(services: Services, caller: Caller, request_id: UUID) -> JournalOffer:
    """The requests that are probably about the person of this one, with which the clinic ever had to do. They are written down.

    Raises Problem `forbidden`, `not_found` or `request_destroyed`.
    """
    async with services.database.session() as session:
        row = await policy.request_of_clinic(session, caller, request_id)
        found = [_about_person(caller, *one) for one in await _about_the_person_of(session, caller, row)]
        await log_lines(session, caller, [one.id for one in found])
    return JournalOffer(request_id=row.id, requests=found)


async def find_numbered(services: Services, caller: Caller, number: str) -> UUID:
    """The request of that number, for a clinic that has no other way to it. Raises as `offer_journal`."""
    policy.must_have_role(caller, Role.CLINIC_ADMINISTRATOR)
    async with services.database.session() as session:
        request_id = await requests.id_of_number(session, number)
        if request_id is None:
            raise Problem("not_found")
        return (await policy.request_of_clinic(session, caller, request_id)).id


async def ask_for_journal(services: Services, caller: Caller, request_id: UUID, body: JournalBody) -> JournalView:
    """Have the journal made. That it was asked for is written down first, and stands in it.

    Raises as `offer_journal`, and Problem `invalid_input` or `engine_unreachable`.
    """
    if body.since and body.until and body.until < body.since:
        raise Problem("invalid_input", [FieldFault("until", "before_it_begins")])
    now, journal_id = datetime.now(UTC), new_id()
    async with services.database.session() as session:
        row = await policy.request_of_clinic(session, caller, request_id)
        told = _chosen(await _about_the_person_of(session, caller, row), row.id, body.request_ids)
        order = JournalOrder(
            id=journal_id,
            about=row.id,
            clinic_id=caller.clinic_id,
            asked_by=caller.id,
            before=now + timedelta(microseconds=1),
            since=body.since,
            until=body.until,
            language=body.language or caller.language,
            requests=tuple(_told(caller, one, forms, patient) for one, forms, patient in told),
        )
        _note(session, caller, ASKED, row, journal_id, [one for one, _, _ in told], now)
    await papers_under_way.begin(services, JOURNAL, order, journal_workflow_id(order.id), what="a journal")
    return JournalView(id=journal_id, request_id=row.id, state=JournalState.MAKING, asked_at=now, lines=None)


async def read_journal(services: Services, caller: Caller, request_id: UUID, journal_id: UUID) -> JournalView:
    """How far a journal is that somebody of the clinic has asked for. Raises as `offer_journal`."""
    async with services.database.session() as session:
        await policy.request_of_clinic(session, caller, request_id)
        asked = await journals.load_asked(session, request_id, caller.clinic_id, journal_id, ASKED)
    if asked is None:
        raise Problem("not_found")
    key = journal_key(request_id, caller.clinic_id, journal_id)
    progress = await papers_under_way.progress_of(services, journal_workflow_id(journal_id), key, MadeJournal)
    state = JournalState.FAILED if progress.state == "unknown" else JournalState(progress.state)
    return JournalView(id=journal_id, request_id=request_id, state=state, asked_at=asked.at, lines=progress.lines)


async def take_journal(services: Services, caller: Caller, request_id: UUID, journal_id: UUID) -> bytes:
    """The sealed file; that it was taken along is written down.

    Raises as `offer_journal`, and Problem `not_found` while it is not there.
    """
    async with services.database.session() as session:
        row = await policy.request_of_clinic(session, caller, request_id)
        asked = await journals.load_asked(session, request_id, caller.clinic_id, journal_id, ASKED)
    if asked is None:
        raise Problem("not_found")
    try:
        pdf = await services.store.get(journal_key(request_id, caller.clinic_id, journal_id))
    except NotFoundError:
        raise Problem("not_found") from None
    async with services.database.session() as session:
        told = await journals.rows_of(session, asked.shown or ())
        if {one.id for one in told} & await all_shut_to(session, caller.viewer):
            raise Problem("not_found")  # a colleague asked for it, to whom it is open
        _note(session, caller, TAKEN, row, journal_id, told, datetime.now(UTC))
    return pdf


# Who may, and of which requests


_Named = tuple[RequestRecord, Sequence[FrozenForm], Json]
"""A request, its forms, and the person of whom the journal tells."""


async def _about_the_person_of(session: AsyncSession, caller: Caller, row: RequestRecord) -> list[_Named]:
    """This request, and those of which one form names the same person, the one in force or an earlier one; the oldest first.

    Only forms that the clinic sees are held against each other: whom a request names that is with others now, they do not know.
    """
    forms = (await journals.forms_of(session, [row]))[row.id]
    if not forms or not _is_whole(caller, row):
        return [(row, (), {})]
    patient: Json = forms[-1].content["patient"]
    found: dict[UUID, _Named] = {row.id: (row, forms, patient)}
    shut = await all_shut_to(session, caller.viewer)

    async def add(ids: Collection[UUID]) -> None:
        rows = await journals.rows_of(session, set(ids) - found.keys() - shut)
        others = [other for other in rows if _is_whole(caller, other)]
        forms_of = await journals.forms_of(session, others)
        for other in others:
            if any(is_same_patient(patient, form.content["patient"]) for form in forms_of[other.id]):
                found[other.id] = (other, forms_of[other.id], patient)

    await add(await journals.probably_about(session, _as_administrator(caller), patient))
    async for ids in journals.submitted_again(session, caller.clinic_id):
        await add(ids)
    newest = [id_ for id_ in sorted(found) if id_ != row.id][1 - MOST_REQUESTS :]
    return [found[id_] for id_ in sorted({*newest, row.id})]


def _chosen(found: Sequence[_Named], about: UUID, wanted: Collection[UUID]) -> Sequence[_Named]:
    """What was chosen of what was found; the request with which one began says who the person is, and is always among it."""
    if not {row.id for row, _, _ in found}.issuperset(wanted):
        raise Problem("invalid_input", [FieldFault("request_ids", "not_an_option")])
    return [one for one in found if one[0].id in {*wanted, about}]


def _as_administrator(caller: Caller) -> Viewer:
    """What somebody else sees as well, who is also a provider there, is not their clinic's to give out."""
    return Viewer(caller.id, caller.clinic_id, frozenset({Role.CLINIC_ADMINISTRATOR}))


def _is_whole(caller: Caller, row: RequestRecord) -> bool:
    """Of a request that is not shut to them, whether the clinic's administrators see the chart."""
    return may_see(_as_administrator(caller), row, participants=(), pools=(), holders=(), is_shut=False) == "chart"


def _about_person(caller: Caller, row: RequestRecord, forms: Sequence[FrozenForm], patient: Json) -> AboutPerson:
    whole = _is_whole(caller, row)
    return AboutPerson(
        id=row.id,
        number=row.number,
        submitted_at=row.submitted_at,
        whole=whole,
        patient=RecordedPatient.model_validate(forms[-1].content["patient"]) if whole and forms else None,
        renamed=not all(_names(patient, forms)),
    )


def _told(caller: Caller, row: RequestRecord, forms: Sequence[FrozenForm], patient: Json) -> JournalRequest:
    changes = other_person_at(row.created_at, forms, patient)
    return JournalRequest(request_id=row.id, whole=_is_whole(caller, row), other_person_at=changes)


def other_person_at(begun: datetime, forms: Sequence[FrozenForm], patient: Json) -> tuple[datetime, ...]:
    """When the forms of a request that was begun then turned from this person to somebody else, back, and so on."""
    names = _names(patient, forms)
    since = [begun, *(form.frozen_at for form in forms[1:])]  # before it was submitted, the first form was a draft
    return tuple(at for at, is_named, was in zip(since, names, [True, *names], strict=False) if is_named != was)


def _names(patient: Json, forms: Iterable[FrozenForm]) -> list[bool]:
    shown = (form.content["patient"] for form in forms)
    return [other == patient or is_same_patient(patient, other) for other in shown]


def _note(
    session: AsyncSession,
    caller: Caller,
    name: str,
    about: RequestRecord,
    journal_id: UUID,
    told: Iterable[RequestRecord],
    now: datetime,
) -> None:
    """An entry of each request that is told of, for who asks who looked at that one; the first of them names all."""
    others = [row for row in told if row.id != about.id]
    for row in (about, *others):
        audit.add(
            *(session, Act.JOURNAL, by(caller), now),
            name=name,
            role=Role.CLINIC_ADMINISTRATOR,
            request_id=row.id,
            object_id=journal_id,
            version=row.process_version,
            shown=[about.id, *(other.id for other in others)] if row is about else (),
        )
