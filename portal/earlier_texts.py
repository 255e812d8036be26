"""Texts of earlier reports, put into the next one by a press: by a script where one writes (static/snippets.js), else here."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from starlette.datastructures import FormData

from documents.content import Entry
from domain.offerings import FieldKind, FormField
from portal.pages import Visit
from use_cases.earlier_reports import EarlierReport, earlier_reports

FIELD = "insert"
"""The name of the buttons."""


@dataclass(frozen=True)
class Text:
    """One text of a report, what its button sends, and the field into which it goes."""

    entry: Entry
    value: str
    into: str


Offered = Sequence[tuple[EarlierReport, Sequence[Text]]]


async def offered(visit: Visit, request_id: UUID, fields: Sequence[FormField] = ()) -> Offered:
    """For a report with these fields, each text for the one of its name, else the first; for an addendum, without any, `text`."""
    found = await earlier_reports(visit.services, visit.caller, request_id)
    return [
        (
            report,
            [
                Text(entry, f"{report.report_id}/{number}", _into(entry, report, fields))
                for number, entry in enumerate(report.texts)
            ],
        )
        for report in found
    ]


def _into(entry: Entry, report: EarlierReport, fields: Sequence[FormField]) -> str:
    written = [field for field in fields if field.kind is FieldKind.LONG_TEXT]
    fitting = [field for field in written if getattr(field.label, report.language) == entry.label]
    return next((f"answers.{field.name}" for field in (*fitting, *written)), "text")


async def with_inserted(visit: Visit, request_id: UUID, form: FormData, fields: Sequence[FormField] = ()) -> FormData:
    """The form with the text whose button was pressed after what stands in its field."""
    pressed = form.get(FIELD)
    if pressed is None:
        return form
    there = await offered(visit, request_id, fields)
    text = next((text for _, texts in there for text in texts if text.value == pressed), None)
    if text is None:  # the report was not to be seen any more
        return form
    before = str(form.get(text.into, "")).rstrip()
    others = [(name, value) for name, value in form.multi_items() if name != text.into]
    return FormData([*others, (text.into, "\n\n".join(filter(None, (before, text.entry.value))))])
