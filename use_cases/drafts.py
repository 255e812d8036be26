"""Drafts: a request before its submission, and its form while it is returned."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError
from sqlalchemy.ext.asyncio import AsyncSession

from domain.audit import Act
from domain.calendar import day_of
from domain.drafts import OutdatedAnswer, carry_over
from domain.model import Discreet
from domain.offerings import Code, FieldKind, ServiceOffering, Version, check_answers, composed
from domain.priority import Priority
from domain.refusals import Refusal, RefusalCode
from domain.requests import Person, Role, Status
from records import destruction, people, requests
from records.drafts import decide, given_answers, open_form
from records.errors import NotEditableError, NotFoundError, StaleVersionError, SubmissionUnderWayError
from records.models import Json, RequestRecord
from translations import Language
from translations.problems import FIELD_PROBLEMS
from use_cases import policy
from use_cases.accesses import log_access
from use_cases.caller import Caller
from use_cases.patients import Patient
from use_cases.problems import Problem, field_faults
from use_cases.references import Reference, give
from use_cases.requests import RequestView, request_view, submitted_form
from use_cases.scans import scan_rule
from use_cases.services import Services


def _storable(answers: Json) -> Json:
    """Python reads numbers that JSON does not know (NaN, and what is too large for a float), and nothing can store them."""
    try:
        json.dumps(answers, allow_nan=False)
    except ValueError:
        raise PydanticCustomError("not_a_number", FIELD_PROBLEMS["not_a_number"]) from None
    return answers


Answers = Annotated[
    dict[Annotated[str, Field(max_length=100)], Any],
    Field(max_length=200),
    AfterValidator(composed),
    AfterValidator(_storable),
]
"""Answers of a form or a report, by the names of its fields; `domain.offerings.check_answers` holds them against it."""


_OF_ANSWERS = (
    "The form's answers by field name. One of kind `consent` is an object: `given_by` (patient, parent, legal_representative or "
    "other), `name` unless it is the patient, and `date`, which is not in the future."
)


class NewDraft(Discreet):
    """A new draft. Everything but the offering can be filled in later."""

    model_config = ConfigDict(extra="forbid")

    offering: Code = Field(examples=["teledermatology"])
    clinic: UUID | None = Field(
        None, description="The clinic whose dispatchers route the request; the caller's own if empty."
    )
    priority: Priority = Field(Priority.ROUTINE, description="How soon an answer is needed (FHIR request-priority).")
    patient: Patient = Patient()
    answers: Answers = Field({}, description=_OF_ANSWERS, examples=[{"question": "Mélanome ?"}])
    reference: Reference | None = Field(
        None,
        description="For systems: what the system calls the request by itself, such as an order's number; each once. It may be a "
        "chart's number, for it is kept as the chart is.",
        examples=[None],
    )
    earlier_id: UUID | None = Field(
        None, description="A request that was submitted before, and that this one follows.", examples=[None]
    )
    copy_form: bool = Field(
        False,
        description="Begin with the patient of the earlier request, and with its answers as far as they stand in the form of "
        "today; what is given here comes first. Photos, videos and a consent stay where they are.",
    )


class DraftChanges(Discreet):
    """Changes of the form: each part that is given replaces the one before."""

    model_config = ConfigDict(extra="forbid")

    priority: Priority | None = None
    patient: Patient | None = None
    answers: Answers | None = None
    offering_version: Version | None = Field(
        None,
        description="The version of the form that `answers` are given to; the one that the request has if empty. "
        "Answers to an earlier one that do not stand in the form any more become `outdated_answers`.",
    )
    drop_outdated: list[Annotated[str, Field(max_length=100)]] = Field(
        [], max_length=200, description="The fields whose `outdated_answers` are not needed any more."
    )


async def create_draft(
    services: Services, caller: Caller, draft: NewDraft, key: str | None, language: Language
) -> RequestView:
    """Begin a request; under the same `key` of the caller it is the same one.

    Raises Problem `forbidden`, `unknown_offering`, `form_invalid`, `unknown_clinic`, `clinic_not_routed`, `reference_taken`, and
    `idempotency_key_reused`; Refusal `stat_refused`; of the earlier request `not_found`, `forbidden` or `earlier_is_draft`.
    """
    policy.must_have_role(caller, Role.REQUESTER)
    async with services.database.session() as session:
        # What was made under this key is answered as it was, whatever became of its offering since.
        row = await requests.find_created(session, caller.id, key)
        if row is None:
            row = await _create(session, services, caller, draft, key=key)
        if not _is_the_one_asked_for(row, draft, draft.clinic or caller.clinic_id):
            raise Problem("idempotency_key_reused")
        return await request_view(session, caller, row, "chart", language, scan_rule(services.settings))


async def draft_to_begin(
    services: Services, caller: Caller, request_id: UUID, draft: NewDraft, language: Language
) -> RequestView | None:
    """How a draft would look that is not begun before something is written into it; None when it is begun.

    Nothing is made: a form that was only looked at leaves nothing behind. Raises as `create_draft` does.
    """
    policy.must_have_role(caller, Role.REQUESTER)
    async with services.database.session() as session:
        if await requests.load_request(session, request_id) is not None:
            return None
        async with session.begin_nested() as trial:
            row = await _create(session, services, caller, draft, request_id=request_id)
            view = await request_view(session, caller, row, "chart", language, scan_rule(services.settings))
            await trial.rollback()
        if draft.earlier_id is not None:
            await _earlier(session, caller, draft.earlier_id)  # what was shown of it stays written down
        return view


async def begin_draft(services: Services, caller: Caller, request_id: UUID, draft: NewDraft) -> None:
    """Make the draft of `draft_to_begin`, unless it is there. Raises as `create_draft` does, and Problem `not_found`."""
    policy.must_have_role(caller, Role.REQUESTER)
    async with services.database.session() as session:
        row = await requests.load_request(session, request_id)
        if row is None:
            if await destruction.find_destroyed(session, request_id):
                raise await policy.not_there(session, caller, request_id)
            key = caller.command_id(str(request_id))
            row = await _create(session, services, caller, draft, key=key, request_id=request_id)
        if row.created_by != caller.id:
            raise Problem("not_found")


async def change_draft(
    services: Services,
    caller: Caller,
    request_id: UUID,
    changes: DraftChanges,
    expected_version: int | None,
    language: Language,
) -> RequestView:
    """Save the form as it stands, unless it has another version than the expected one; it need not be complete.

    Raises what `policy.own_form_to_edit` does; Problem `form_invalid` or `unknown_offering_version`; Refusal
    `version_conflict` or `stat_refused`.
    """
    async with services.database.session() as session:
        row = await policy.own_form_to_edit(session, caller, request_id)
        _no_emergency(changes.priority)
        given = await _as_given(session, services, row, changes)
        try:
            row = await requests.edit_draft(
                session,
                request_id,
                now=datetime.now(UTC),
                expected_version=expected_version,
                patient=changes.patient.model_dump(mode="json") if changes.patient else None,
                answers=given.answers,
                priority=changes.priority,
            )
            await decide(session, row, replaced=given.replaced, outdated=given.outdated, dropped=changes.drop_outdated)
        except StaleVersionError as error:
            raise Refusal(RefusalCode.VERSION_CONFLICT, str(error)) from None
        except NotEditableError as error:
            raise policy.closed(error) from None
        except NotFoundError:  # removed in the meantime
            raise Problem("not_found") from None
        return await request_view(session, caller, row, "chart", language, scan_rule(services.settings))


async def remove_draft(services: Services, caller: Caller, request_id: UUID, expected_version: int | None) -> None:
    """Remove a draft of the caller's own, with its photos and videos, for good.

    Raises what `policy.draft_to_remove` does; Problem `not_a_draft` or `submission_under_way`; Refusal `version_conflict`.
    """
    async with services.database.session() as session:
        await policy.draft_to_remove(session, caller, request_id)
        try:
            unused = await requests.remove_draft(session, request_id, expected_version=expected_version)
        except NotFoundError:  # somebody was faster
            raise Problem("not_found") from None
        except SubmissionUnderWayError as error:
            raise policy.closed(error) from None
        except NotEditableError:
            raise Problem("not_a_draft") from None
        except StaleVersionError as error:
            raise Refusal(RefusalCode.VERSION_CONFLICT, str(error)) from None
    await services.store.delete(unused)


async def _create(
    session: AsyncSession,
    services: Services,
    caller: Caller,
    draft: NewDraft,
    *,
    key: str | None = None,
    request_id: UUID | None = None,
) -> RequestRecord:
    offering = services.offering(draft.offering)
    _no_emergency(draft.priority)
    _check_answers(offering, draft.answers)
    own = await people.load_clinic(session, caller.clinic_id)
    wanted = await people.load_clinic(session, draft.clinic or caller.clinic_id)
    if wanted is None:
        raise Problem("unknown_clinic")
    if own is None or not policy.may_route_to(own, wanted.id):
        raise Problem("clinic_not_routed")
    patient, answers = draft.patient.model_dump(mode="json"), draft.answers
    if draft.earlier_id is not None:
        earlier = await _earlier(session, caller, draft.earlier_id)
        if draft.copy_form:
            before = await submitted_form(session, earlier)
            patient = patient if draft.patient != Patient() else before["patient"]
            answers = {**await _answers_of(session, services, earlier, before["answers"], offering), **answers}
    row = await requests.create_draft(
        session,
        requester=Person(id=caller.id, clinic_id=caller.clinic_id),
        dispatch_clinic_id=wanted.id,
        terms=offering.terms,
        priority=draft.priority,
        patient=patient,
        answers=answers,
        now=datetime.now(UTC),
        request_id=request_id,
        creation_key=key,
        earlier_id=draft.earlier_id,
        system_id=caller.system.account.id if caller.system else None,
    )
    if draft.reference is not None:
        await give(session, caller, row, draft.reference)
    return row


async def _earlier(session: AsyncSession, caller: Caller, earlier_id: UUID) -> RequestRecord:
    """The request that another is to follow; the look is written down."""
    row = await policy.chart_to_see(session, caller, earlier_id)
    if row.status is Status.DRAFT:
        raise Problem("earlier_is_draft")
    if not await requests.keep_while_named(session, earlier_id):  # it was destroyed in this moment
        raise await policy.not_there(session, caller, earlier_id)
    await log_access(session, caller, row, Act.REQUEST)
    return row


async def _answers_of(
    session: AsyncSession, services: Services, earlier: RequestRecord, answers: Json, offering: ServiceOffering
) -> Json:
    """Those that still mean the same, where the offering is the same. A consent was given to that request, and not to another."""
    if earlier.offering != offering.code:
        return {}
    standing, _ = carry_over(answers, await services.versions.of(session, earlier), offering)
    consents = {field.name for field in offering.form if field.kind is FieldKind.CONSENT}
    return {name: answer for name, answer in standing.items() if name not in consents}


def _is_the_one_asked_for(row: RequestRecord, draft: NewDraft, clinic_id: UUID) -> bool:
    """Whether a draft, made now or before under the same key, is what is asked for, as far as one can still see."""
    if (row.offering, row.dispatch_clinic_id, row.earlier_id) != (draft.offering, clinic_id, draft.earlier_id):
        return False
    if draft.copy_form:
        return True
    asked = (draft.patient.model_dump(mode="json"), draft.answers, draft.priority)
    untouched = row.status is Status.DRAFT and row.edits == 0
    return not untouched or (row.form["patient"], given_answers(row), row.form_priority) == asked


@dataclass(frozen=True)
class _Given:
    """Answers, if there are any: what of them stands in the form, and what of an earlier version of it (`replaced`) does not."""

    answers: Json | None = None
    replaced: int | None = None
    outdated: Sequence[OutdatedAnswer] = ()


async def _as_given(session: AsyncSession, services: Services, row: RequestRecord, changes: DraftChanges) -> _Given:
    """The answers as they count in the form of the request.

    A client that read the form before its offering changed answers that form, whether it says so or not.
    """
    given_to = changes.offering_version or row.process["terms"]["offering_version"]
    offering = await open_form(session, services.versions, row)
    before = await services.versions.find(session, offering.code, given_to)
    if given_to != offering.version and (before is None or row.status is not Status.DRAFT):
        if changes.offering_version is not None:
            raise Problem("unknown_offering_version")
        before = None
    if changes.answers is None:
        return _Given()
    if before is None or before.version == offering.version:
        _check_answers(offering, changes.answers)
        return _Given(changes.answers)
    _check_answers(before, changes.answers)
    answers, outdated = carry_over(changes.answers, before, offering)
    return _Given(answers, before.version, outdated)


def _no_emergency(priority: Priority | None) -> None:
    if priority is Priority.STAT:
        raise Refusal(RefusalCode.STAT_REFUSED, "a draft can't be an emergency")


def _check_answers(offering: ServiceOffering, answers: Json) -> None:
    """A draft may lack answers, but holds none that is wrong."""
    if problems := check_answers(offering.form, answers, complete=False, today=day_of(datetime.now(UTC))):
        raise Problem("form_invalid", field_faults(problems))
