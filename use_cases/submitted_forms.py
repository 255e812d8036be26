"""The form of a request as it was submitted, time after time."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from domain.audit import Act
from domain.forms import FormChange, changes
from domain.offerings import FileKind
from domain.photos import PhotoView
from domain.priority import Priority
from domain.requests import Request
from records import forms
from records.models import FrozenForm, Json, RequestRecord
from use_cases import policy
from use_cases.accesses import log_access
from use_cases.caller import Caller
from use_cases.names import Names, PersonView
from use_cases.problems import Problem
from use_cases.services import Services
from use_cases.views import View


class FormVersionView(View):
    """A form as it was submitted."""

    number: int
    submitted_at: datetime
    submitted_by: PersonView | None
    sha256: str


class SubmittedAttachment(View):
    """An attachment that a submitted form names."""

    id: UUID
    slot: str
    kind: FileKind
    sha256: str
    caption: str = ""
    view: PhotoView = ""


class FormView(FormVersionView):
    """What a submitted form says, in the words of that version of its offering. `changes` are against the one before it."""

    offering_version: int
    priority: Priority
    patient: Json
    answers: Json
    attachments: list[SubmittedAttachment]
    changes: list[FormChange]


async def list_forms(services: Services, caller: Caller, request_id: UUID) -> list[FormVersionView]:
    """Every submission of the request's form, oldest first. Raises Problem `not_found`, `forbidden` or `not_yet`."""
    async with services.database.session() as session:
        found, names = await _forms_to_see(session, caller, request_id)
    return [_form_version_view(form, names) for form in found]


async def read_form(services: Services, caller: Caller, request_id: UUID, number: int) -> FormView:
    """What one submission said, and what had changed since the one before it. Raises as `list_forms` does."""
    async with services.database.session() as session:
        found, names = await _forms_to_see(session, caller, request_id)
    for before, form in zip([None, *found], found, strict=False):
        if form.number == number:
            return _form_view(form, before, names)
    raise Problem("not_found")


async def _forms_to_see(session: AsyncSession, caller: Caller, request_id: UUID) -> tuple[list[FrozenForm], Names]:
    row = await policy.chart_to_see(session, caller, request_id)
    await log_access(session, caller, row, Act.REQUEST)
    found = await forms.submitted_forms(session, row.id)
    return found, await Names.load(session, [form.frozen_by for form in found], [])


async def form_in_force(session: AsyncSession, row: RequestRecord, process: Request) -> FrozenForm | None:
    """The form as it was submitted last; None for a draft that never was."""
    return await forms.load_form(session, row.id, process.form.number) if process.form else None


def _form_version_view(form: FrozenForm, names: Names) -> FormVersionView:
    return FormVersionView(
        number=form.number,
        submitted_at=form.frozen_at,
        submitted_by=names.person(form.frozen_by),
        sha256=form.sha256,
    )


def _form_view(form: FrozenForm, before: FrozenForm | None, names: Names) -> FormView:
    content = form.content
    return FormView(
        **dict(_form_version_view(form, names)),
        offering_version=content["offering_version"],
        priority=Priority(content["priority"]),
        patient=content["patient"],
        answers=content["answers"],
        attachments=[SubmittedAttachment.model_validate(attachment) for attachment in content["attachments"]],
        changes=changes(before.content, content) if before else [],
    )
