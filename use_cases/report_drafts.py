"""The report while it is written: its draft, which only its writer sees, and how it would look signed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

import structlog
from pydantic import ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from documents.bounded import draw_report
from documents.length import pages_of
from domain.audit import Act
from domain.drafts import unasked
from domain.model import Discreet
from domain.offerings import CalledFor, FieldProblem, FormField, calls_of, check_answers
from domain.refusals import Refusal, RefusalCode
from domain.requests import DocumentKind, Status
from records import commands, reports, requests
from records.errors import BeingSignedError, StaleVersionError
from records.models import Json, RequestRecord
from records.models import ReportDraft as DraftRecord
from translations import Language
from use_cases import policy
from use_cases.accesses import log_access
from use_cases.attended import Attended
from use_cases.caller import Caller
from use_cases.drafts import Answers
from use_cases.drawing import drawn
from use_cases.paper import paper
from use_cases.printable import check_gaps, check_length, check_printable, written
from use_cases.problems import FieldFault, Problem, field_faults
from use_cases.services import Services

log = structlog.get_logger(__name__)


class ReportDraftBody(Discreet):
    """The whole report so far; it need not be complete."""

    model_config = ConfigDict(extra="forbid")

    answers: Answers = Field(examples=[{"findings": "Nævus banal.", "recommendations": "Aucun suivi requis."}])


@dataclass(frozen=True)
class ReportDraft:
    """The report as it is being written, of about `pages` printed pages.

    `missing` says what signing would still ask for, `calls_for` what the report would ask of whoever gets it.
    """

    revision: int
    answers: Json
    fields: Sequence[FormField]
    missing: Sequence[FieldFault]
    calls_for: frozenset[CalledFor]
    pages: int
    updated_at: datetime | None


async def read_draft(services: Services, caller: Caller, request_id: UUID) -> ReportDraft:
    """For the provider who has accepted the request; the look is written down.

    Raises Problem `not_found`, `forbidden` or `not_yet`; Refusal for who does not write the report.
    """
    async with services.database.session() as session:
        row = await _report_to_write(session, caller, request_id)
        await log_access(session, caller, row, Act.REPORT_DRAFT)
        return await _draft(session, services, row)


async def save_draft(
    services: Services, caller: Caller, request_id: UUID, body: ReportDraftBody, expected_revision: int | None
) -> ReportDraft:
    """Save the report so far.

    Raises as `read_draft` does; Problem `report_invalid`; Refusal `version_conflict` when another save overtook this one, or
    `report_being_signed`.
    """
    async with services.database.session() as session:
        row = await _report_to_change(session, caller, request_id)
        template = await template_of(session, services, row, await reports.load_report_draft(session, row.id))
        if problems := check_answers(template, body.answers, complete=False):
            raise Problem("report_invalid", field_faults(problems))
        try:
            await reports.save_report_draft(
                session,
                request_id,
                body.answers,
                expected_revision=expected_revision,
                account_id=caller.id,
                now=datetime.now(UTC),
            )
        except BeingSignedError:
            raise Refusal(RefusalCode.REPORT_BEING_SIGNED, "its signature is on its way") from None
        except StaleVersionError as error:
            raise Refusal(RefusalCode.VERSION_CONFLICT, str(error)) from None
        return await _draft(session, services, row)


@dataclass(frozen=True)
class Preview:
    """A PDF that is not signed, and a name for the file."""

    pdf: bytes
    filename: str


async def preview(
    services: Services,
    caller: Caller,
    request_id: UUID,
    attended: Attended,
    *,
    kind: DocumentKind = DocumentKind.FINAL,
    language: Language | None = None,
) -> Preview:
    """The saved draft as it would look signed, in `language` or the caller's own; nothing of it is kept.

    What is required and empty shows as such. Raises as `read_draft` does, and Problem `report_not_drawn` or what
    `services.places` does.
    """
    async with services.database.session() as session:
        row = await _report_to_write(session, caller, request_id)
        await log_access(session, caller, row, Act.REPORT_DRAFT)
        draft = await reports.load_report_draft(session, row.id)
        page = await paper(
            session,
            offering=await services.versions.of(session, row),
            row=row,
            signer=caller.account,
            document_id=row.id,
            kind=kind,
            template=await template_of(session, services, row, draft),
            answers=draft.answers if draft else {},
            language=language or caller.language,
            at=datetime.now(UTC),
            with_missing=True,
        )
    draw = partial(draw_report, page, preview=True)
    return Preview(await attended(drawn(services, caller, "a preview", draw)), f"{row.number}-preview.pdf")


async def _report_to_write(session: AsyncSession, caller: Caller, request_id: UUID) -> RequestRecord:
    row = await policy.chart_to_see(session, caller, request_id)
    await _check_writer(session, caller, row)
    return row


async def _report_to_change(session: AsyncSession, caller: Caller, request_id: UUID) -> RequestRecord:
    """The same, with the row locked: nobody else becomes the writer before the change is saved."""
    row = await policy.chart_to_see(session, caller, request_id)
    row = await requests.lock_request(session, row.id)
    await _check_writer(session, caller, row)
    return row


async def _check_writer(session: AsyncSession, caller: Caller, row: RequestRecord) -> None:
    """Raises Refusal for who does not write the report, or Problem `not_yet` for who will by what is on its way."""
    if policy.may_write_report(caller, requests.process_of(row)):
        return
    expected = await commands.expected_state(session, row, datetime.now(UTC))
    if expected is not None and policy.may_write_report(caller, expected):
        raise policy.not_yet()
    if row.status is not Status.ACCEPTED:
        raise Refusal(RefusalCode.NOT_ALLOWED_IN_STATUS, f"not in the status {row.status}")
    raise Refusal(RefusalCode.NOT_THE_HOLDER, "only the provider who holds it")


async def _draft(session: AsyncSession, services: Services, row: RequestRecord) -> ReportDraft:
    draft = await reports.load_report_draft(session, row.id)
    template = await template_of(session, services, row, draft)
    answers = draft.answers if draft else {}
    return ReportDraft(
        revision=draft.revision if draft else 0,
        answers=answers,
        fields=template,
        missing=field_faults(obstacles(template, answers)),
        calls_for=calls_of(template, answers),
        pages=pages_of(written(template, answers).values()),
        updated_at=draft.updated_at if draft else None,
    )


def obstacles(template: Iterable[FormField], answers: Mapping[str, object]) -> tuple[FieldProblem, ...]:
    """What stands in the way of signing: what is missing or wrong, what can't be printed, and a length that nobody reads."""
    template = tuple(template)
    return (
        *check_answers(template, answers, complete=True),
        *check_printable(template, answers),
        *check_length(written(template, answers)),
        *check_gaps(written(template, answers)),
    )


async def template_of(
    session: AsyncSession, services: Services, row: RequestRecord, draft: DraftRecord | None
) -> tuple[FormField, ...]:
    """What the report is made of: the template of the request's own version, and what a draft holds beside it.

    A draft holds something beside it only where nobody kept that version, and another stands in for it.
    """
    asked = (await services.versions.of(session, row)).report
    return (*asked, *unasked(draft.answers if draft else {}, asked))
