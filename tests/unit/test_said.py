"""What people say with a command is shown to those who read the request: in its history, on paper, as FHIR tells it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from domain.commands import ANY_COMMAND, PUBLIC_COMMANDS, BaseCommand, ReturnReason
from domain.model import MAX_SHORT_TEXT
from domain.requests import EventName, HolderKind
from fhir.exchange import _SAID as TOLD_BY_FHIR
from tests.unit.domain.scenes import every_event
from translations.words import RETURN_REASONS
from use_cases.names import HolderView
from use_cases.timeline import SAID, TOLD_ELSEWHERE, TimelineEntry
from use_cases.whole_case import _happened

EVENTS = every_event()

SHOWN_APART = {
    *("to", "priority", "worse", "attachment_ids", "described", "outcome", "urgent", "new_photos", "kind"),
    *("question_id", "follow_up_id", "clocks"),
}
"""What the request's page shows in another way than as words in its history."""

FOR_NOBODY = {
    *("type", "form", "report_id", "content_sha256", "pdf_sha256", "provider_away", "signer_away", "name", "signer"),
    *("code", "rules", "rules_before", "calendar", "move_clocks"),
}
"""What only the rules and operators need."""

AMONG_THEMSELVES: set[EventName] = set()
"""With these a `text` is said that is for dispatchers and providers alone; FHIR does not tell it."""


def is_free_text(schema: dict[str, Any]) -> bool:
    return any(one.get("maxLength") == MAX_SHORT_TEXT for one in (schema, *schema.get("anyOf", ())))


def free_texts(command: type[BaseCommand]) -> set[str]:
    return {name for name, schema in command.model_json_schema()["properties"].items() if is_free_text(schema)}


@pytest.mark.parametrize("name", PUBLIC_COMMANDS)
def test_a_field_of_a_command_is_shown(name: str) -> None:
    command = PUBLIC_COMMANDS[name]
    forgotten = command.model_fields.keys() - BaseCommand.model_fields.keys() - {*SAID, *SHOWN_APART, *FOR_NOBODY}
    assert forgotten == set(), (
        f"show it of '{name}' in portal/templates/request/history.html.j2 and use_cases/whole_case.py, then name it here"
    )


@pytest.mark.parametrize("name", PUBLIC_COMMANDS)
def test_own_words_are_shown(name: str) -> None:
    assert free_texts(PUBLIC_COMMANDS[name]) <= set(SAID), f"words of '{name}': SAID in use_cases/timeline.py"


@pytest.mark.parametrize("name", sorted({event.name for event in EVENTS if free_texts(type(event.command)) & {"text"}}))
def test_what_is_told_to_the_other_side_is_told_by_fhir(name: EventName) -> None:
    assert name in {*TOLD_BY_FHIR, *AMONG_THEMSELVES}, (
        f"what is said with '{name}' is a Communication, _SAID in fhir/exchange.py; or it is AMONG_THEMSELVES, in this file"
    )


@pytest.mark.parametrize("event", {event.name: event for event in EVENTS}.values(), ids=lambda event: event.name)
def test_own_words_stand_on_paper(event: Any) -> None:
    details = {
        name: value for name, value in ANY_COMMAND.dump_python(event.command, mode="json").items() if value is not None
    }
    entry = TimelineEntry(
        version=event.version,
        name=event.name,
        label=event.name,
        at=datetime.now(UTC),
        by=None,
        role=event.command.actor.role,
        source=event.source,
        status_before=event.status_before,
        status=event.status,
        holder=HolderView(kind=HolderKind.NOBODY, person=None, clinic=None),
        details=details,
    )
    printed = _happened(entry, "en").text
    for said in (details.get(name) for name in free_texts(type(event.command))):
        assert said is None or said in printed or event.name in TOLD_ELSEWHERE
    if (reason := details.get("reason")) in set(ReturnReason):
        assert RETURN_REASONS[reason] in printed
