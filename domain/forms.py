"""A form as it was submitted, and what changed from one to the next."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NotRequired, TypedDict

from pydantic import Field

from domain.model import Frozen
from domain.photos import Description, PhotoView


class FrozenAttachment(TypedDict):
    """A photo or a video as a form was submitted with it. `sha256` is that of the file as it was uploaded, in hexadecimal.

    The caption, and whether it is an overview or a close-up, are left out where nothing is said of them.
    """

    id: str
    slot: str
    kind: str
    sha256: str
    caption: NotRequired[str]
    view: NotRequired[PhotoView]


class WrittenForm(TypedDict):
    """What was written, by field."""

    patient: dict[str, Any]
    answers: dict[str, Any]


class WholeForm(WrittenForm):
    """All of a form in which two may differ."""

    priority: str
    attachments: list[FrozenAttachment]
    ordered: NotRequired[bool]
    """Whether the attachments stand in their writer's order; in forms from before there was one, they stand in any."""


class FormContent(WholeForm):
    """What is frozen when a form is submitted, as JSON, with the offering by whose questions it is read."""

    offering: str
    offering_version: int


Part = Literal["priority", "patient", "answers", "attachments", "captions", "views", "order"]
"""Of a form: where something differs."""


class FormChange(Frozen):
    """One difference. What is not there, or empty, is None."""

    part: Part
    field: str = Field(
        description="The name of the field, of the patient's or of the form's; of an attachment, its caption or view, the "
        "attachment's id; of the order, `attachments`.",
        examples=["medication"],
    )
    before: Any = Field(
        None,
        description="What it was; of an attachment that was removed, its slot; of the order, the ids that are in both.",
    )
    after: Any = Field(
        None, description="What it is now; of an attachment that was added, its slot; of the order, the ids."
    )


def changes(before: WholeForm, after: WholeForm) -> list[FormChange]:
    """Field by field what differs between two forms.

    The order is the priority, the patient, the answers, the attachments, their captions, views and order; within a part, as the
    newer form has them and then what it has no more. An empty answer and none are the same.
    """
    return [
        *_differences("priority", {"priority": before["priority"]}, {"priority": after["priority"]}),
        *_differences("patient", before["patient"], after["patient"]),
        *_differences("answers", before["answers"], after["answers"]),
        *_differences("attachments", _slots(before), _slots(after)),
        *_differences("captions", *_said_of_both(before, after, lambda said: said.caption)),
        *_differences("views", *_said_of_both(before, after, lambda said: said.view)),
        *_differences("order", *_orders_of_both(before, after)),
    ]


def _differences(part: Part, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[FormChange]:
    for field in dict.fromkeys((*after, *before)):
        old, new = _or_none(before.get(field)), _or_none(after.get(field))
        if (type(old) is bool) is not (type(new) is bool) or old != new:  # True is not 1
            yield FormChange(part=part, field=field, before=old, after=new)


def _or_none(value: Any) -> Any:
    return None if value in ("", [], {}) else value


def _slots(form: WholeForm) -> dict[str, str]:
    return {attachment["id"]: attachment["slot"] for attachment in form["attachments"]}


def descriptions(form: WholeForm) -> dict[str, Description]:
    """What a form says of its attachments, by their ids."""
    return {
        attachment["id"]: Description(caption=attachment.get("caption", ""), view=attachment.get("view", ""))
        for attachment in form["attachments"]
    }


def _said_of_both(
    before: WholeForm, after: WholeForm, said: Callable[[Description], str]
) -> tuple[dict[str, str], dict[str, str]]:
    """What is said of each that is in both: one that was removed or added is a change by itself."""
    old, new = descriptions(before), descriptions(after)
    return {id_: said(old[id_]) for id_ in new if id_ in old}, {id_: said(new[id_]) for id_ in new if id_ in old}


def _orders_of_both(before: WholeForm, after: WholeForm) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """The ids of what is in both, as each of the forms has them; nothing where one of them has no order."""
    if not (before.get("ordered") and after.get("ordered")):
        return {}, {}
    old, new = _slots(before), _slots(after)
    return {"attachments": [id_ for id_ in old if id_ in new]}, {"attachments": [id_ for id_ in new if id_ in old]}
