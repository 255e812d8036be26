"""A new command is met by the API and by the words of its users, or a test here says where it is missing.

CONTRIBUTING.md lists the places of a new command.
"""

import pytest

from domain.commands import PUBLIC_COMMANDS
from domain.lifecycle import roles_for
from domain.offerings import FieldProblem
from domain.refusals import Refusal, RefusalCode
from domain.requests import Role, Status
from tests.api.conftest import Shelf
from tests.api.test_commands import DEADLINE_ROWS, ROWS
from tests.journeys import IN_STATUS
from tests.system import System
from translations import gettext_for
from translations.problems import FIELD_PROBLEMS, INPUT_CODES, PROBLEMS
from translations.words import EVENTS, REFUSALS, ROLES, STATUSES
from use_cases import policy
from use_cases.problems import FieldFault
from web.problems import STATUSES as STATUSES_IN_HTTP

ADDRESSES = {
    "sign_report": "report/sign",
    "add_addendum": "report/addenda",
    "deadline_reached": "deadlines/{name}",
}
"""The commands whose address is not their name with hyphens."""


def address_of(command: str) -> str:
    return f"/api/v1/requests/{{request_id}}/{ADDRESSES.get(command, command.replace('_', '-'))}"


@pytest.mark.parametrize("command", PUBLIC_COMMANDS)
def test_a_command_has_its_address(system: System, command: str) -> None:
    found = system.app.openapi()["paths"].get(address_of(command), {})
    assert "post" in found, f"'{command}' has no route: add one to api/commands.py"


def test_every_address_is_of_a_command(system: System) -> None:
    """Whatever is posted to a request and is no command, is known by name here."""
    posted = {path for path, methods in system.app.openapi()["paths"].items() if "post" in methods}
    of_requests = {path for path in posted if path.startswith("/api/v1/requests/{request_id}/")}
    assert of_requests - {address_of(name) for name in PUBLIC_COMMANDS} == {
        "/api/v1/requests/{request_id}/attachments",
        "/api/v1/requests/{request_id}/attachments/{attachment_id}/marks",
        "/api/v1/requests/{request_id}/holds",
        "/api/v1/requests/{request_id}/journals",
        "/api/v1/requests/{request_id}/phone-link",
        "/api/v1/requests/{request_id}/restrictions",
        "/api/v1/requests/{request_id}/restrictions/{restriction_id}/end",
        "/api/v1/requests/{request_id}/uploads",
    }


@pytest.mark.parametrize("command", PUBLIC_COMMANDS)
def test_a_command_is_tested_through_http(command: str) -> None:
    assert command in {row.name for row in (*ROWS, *DEADLINE_ROWS)}, (
        f"'{command}' is missing in tests/api/test_commands.py"
    )


def test_every_status_is_reached_through_http(shelf: Shelf) -> None:
    assert set(shelf.by_status) == set(IN_STATUS) == {status.value for status in Status}


@pytest.mark.parametrize("status", Status)
async def test_what_is_offered_is_what_is_allowed(system: System, shelf: Shelf, status: Status) -> None:
    """`allowed_commands` names nothing that the caller's role never gives."""
    for name in ("requester", "dispatcher", "provider", "operator"):
        who = system.people[name]
        answer = await who.get(f"/requests/{shelf.by_status[status]}")
        if answer.status_code == 404:
            continue
        for command in answer.json()["allowed_commands"]:
            assert Role(name) in roles_for(PUBLIC_COMMANDS[command])
            assert (PUBLIC_COMMANDS[command], Role(name)) not in policy._ENGINE_ONLY


def test_every_problem_has_its_words_in_both_languages() -> None:
    french = gettext_for("fr")
    sentences = [*PROBLEMS.values(), *FIELD_PROBLEMS.values()]
    names = [*STATUSES.values(), *EVENTS.values(), *REFUSALS.values(), *ROLES.values()]
    same_in_both = {"Relais"}
    for text in (*sentences, *names):
        assert french(text) != text or text in same_in_both, f"'{text}' has no French words"


def test_every_refusal_and_field_problem_has_an_answer() -> None:
    assert {Refusal(code, "").kind for code in RefusalCode} == {"forbidden", "conflict", "stale", "invalid"}
    assert set(RefusalCode) == set(REFUSALS)
    codes = set(FieldProblem.model_json_schema()["properties"]["code"]["enum"])
    assert codes | set(INPUT_CODES.values()) <= set(FIELD_PROBLEMS), (
        "a code has no sentence in translations/problems.py"
    )
    assert all(FieldFault("field", code).sentence for code in FIELD_PROBLEMS)
    assert not set(PROBLEMS) & {code.value for code in RefusalCode}, "a code means one thing"


def test_problem_statuses_are_errors() -> None:
    assert STATUSES_IN_HTTP.keys() == PROBLEMS.keys()
    assert all(400 <= status < 600 for status in STATUSES_IN_HTTP.values())
