"""A form as it was submitted, and what changed from one to the next."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypedDict

from pydantic import Field

from domain.model import Frozen


class FrozenAttachment(TypedDict):
    """A photo or a video as a form was submitted with it. `sha256` is that of the file as it was uploaded, in hexadecimal."""

    id: str
    slot: str
    kind: str
    sha256: str


class WrittenForm(TypedDict):
    """What was written, by field."""

    patient: dict[str, Any]
    answers: dict[str, Any]


class WholeForm(WrittenForm):
    """All of a form in which two may differ."""

    priority: str
    attachments: list[FrozenAttachment]


class FormContent(WholeForm):
    """What is frozen when a form is submitted, as JSON, with the offering by whose questions it is read."""

    offering: str
    offering_version: int


class FormChange(Frozen):
    """One difference. What is not there, or empty, is None."""

    part: Literal["priority", "patient", "answers", "attachments"]
    field: str = Field(
        description="The name of the field, of the patient's or of the form's; of an attachment, its id.",
        examples=["medication"],
    )
    before: Any = Field(None, description="What it was; of an attachment that was removed, its slot.")
    after: Any = Field(None, description="What it is now; of an attachment that was added, its slot.")


def changes(before: WholeForm, after: WholeForm) -> list[FormChange]:
    """Field by field what differs between two forms.

    The order is the priority, the patient, the answers, the attachments; within a part, as the newer form has them and then
    what it has no more. An empty answer and none are the same.
    """
    return [
        *_differences("priority", {"priority": before["priority"]}, {"priority": after["priority"]}),
        *_differences("patient", before["patient"], after["patient"]),
        *_differences("answers", before["answers"], after["answers"]),
        *_differences("attachments", _slots(before), _slots(after)),
    ]


def _differences(
    part: Literal["priority", "patient", "answers", "attachments"], before: Mapping[str, Any], after: Mapping[str, Any]
) -> Iterator[FormChange]:
    for field in dict.fromkeys((*after, *before)):
        old, new = _or_none(before.get(field)), _or_none(after.get(field))
        if (type(old) is bool) is not (type(new) is bool) or old != new:  # True is not 1
            yield FormChange(part=part, field=field, before=old, after=new)


def _or_none(value: Any) -> Any:
    return None if value in ("", [], {}) else value


def _slots(form: WholeForm) -> dict[str, str]:
    return {attachment["id"]: attachment["slot"] for attachment in form["attachments"]}
