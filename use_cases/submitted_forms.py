"""The form of a request as it was submitted, time after time."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from domain.forms import FormChange, changes
from domain.priority import Priority
from records.models import FrozenForm
from use_cases.names import Names, PersonView
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
    kind: Literal["photo", "video"]
    sha256: str


class FormView(FormVersionView):
    """What a submitted form says, in the words of that version of its offering. `changes` are against the one before it."""

    offering_version: int
    priority: Priority
    patient: dict[str, Any]
    answers: dict[str, Any]
    attachments: list[SubmittedAttachment]
    changes: list[FormChange]


def form_version_view(form: FrozenForm, names: Names) -> FormVersionView:
    """Which submitted form this is."""
    return FormVersionView(
        number=form.number,
        submitted_at=form.frozen_at,
        submitted_by=names.person(form.frozen_by),
        sha256=form.sha256,
    )


def form_view(form: FrozenForm, before: FrozenForm | None, names: Names) -> FormView:
    """A submitted form, held against the one `before` it, if there is one."""
    content = form.content
    return FormView(
        **dict(form_version_view(form, names)),
        offering_version=content["offering_version"],
        priority=Priority(content["priority"]),
        patient=content["patient"],
        answers=content["answers"],
        attachments=[SubmittedAttachment.model_validate(attachment) for attachment in content["attachments"]],
        changes=changes(before.content, content) if before else [],
    )
