"""Nothing is forgotten: a new command, status, event, refusal or deadline is met wherever it has to be, or a test here names it.

CONTRIBUTING.md lists the places of a new command; what of them a test can look at, these look at.
"""

import re
from collections.abc import Iterable, Iterator
from typing import get_args

import pytest

from domain import commands, requests
from domain.commands import ANY_COMMAND, PUBLIC_COMMANDS, BaseCommand, ReturnReason
from domain.lifecycle import roles_for, table
from domain.notices import MATRIX
from domain.offerings import DEFAULT_DEADLINES, DeadlineName
from domain.priority import Priority
from domain.refusals import Refusal, RefusalCode, RefusalKind
from domain.requests import DocumentKind, EventName, HolderKind, Role, Status
from domain.rules import RULES
from domain.sex import Sex
from tests.unit.domain.scenes import every_event
from translations import words


def all_below(model: type[BaseCommand]) -> Iterator[type[BaseCommand]]:
    for below in model.__subclasses__():
        if below.__module__ == commands.__name__:
            yield below
        yield from all_below(below)


COMMANDS = {str(command.model_fields["type"].default): command for command in all_below(BaseCommand)}
OF_RELAIS_ALONE = {"issue_document", "fail_signing", "renew_rules"}


def missing(wanted: Iterable[object], found: Iterable[object]) -> list[str]:
    """What is wanted and not found, by name."""
    return sorted(str(each) for each in set(wanted) - set(found))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_read_from_its_json(name: str) -> None:
    known = set(ANY_COMMAND.json_schema()["discriminator"]["mapping"])
    assert name in known, f"'{name}' is missing in domain.commands.AnyCommand"


def test_every_command_is_public_but_those_of_relais_alone() -> None:
    assert missing(COMMANDS.keys() - OF_RELAIS_ALONE, PUBLIC_COMMANDS) == [], "missing in domain.commands.PublicCommand"
    assert PUBLIC_COMMANDS.keys() & OF_RELAIS_ALONE == set()


@pytest.mark.parametrize(("name", "command"), COMMANDS.items(), ids=COMMANDS.keys())
def test_a_command_has_one_row_and_says_what_it_does(name: str, command: type[BaseCommand]) -> None:
    for version in RULES:
        rows = [row.command for row in table(version)].count(command)
        assert rows == 1, f"'{name}' needs one row in domain.lifecycle.TABLE that counts in version {version}"
    assert re.sub(r"(?<!^)(?=[A-Z])", "_", command.__name__).lower() == name
    assert command.__doc__
    assert roles_for(command)


def test_only_relais_gives_its_own_commands() -> None:
    for name in OF_RELAIS_ALONE:
        assert roles_for(COMMANDS[name]) == {Role.SYSTEM}
    assert {name for name, command in COMMANDS.items() if Role.SYSTEM in roles_for(command)} == {
        *OF_RELAIS_ALONE,
        "deadline_reached",
        "reassign",  # from a holder to whom a restriction shuts the request
    }


def test_every_event_can_happen() -> None:
    names = {event.name for event in every_event()} | {EventName.DISPATCH_REMINDER}
    assert missing(EventName, names) == [], "nothing in domain.lifecycle makes this event happen"


def test_every_command_makes_something_happen() -> None:
    assert missing(COMMANDS, {event.command.type for event in every_event()}) == []


def test_every_status_is_entered() -> None:
    assert missing(Status, {event.status for event in every_event()}) == [Status.DRAFT]


def test_every_holder_holds() -> None:
    assert missing(HolderKind, {event.holder.kind for event in every_event()}) == []


def test_every_event_is_told() -> None:
    assert missing(EventName, MATRIX) == [], "missing in domain.notices.MATRIX"


def test_every_deadline_has_its_default() -> None:
    assert missing(DeadlineName, DEFAULT_DEADLINES) == []
    for name, terms in DEFAULT_DEADLINES.items():
        assert missing(set(Priority) - {Priority.STAT}, terms.limit) == [], name


@pytest.mark.parametrize("code", RefusalCode)
def test_every_refusal_has_a_kind_and_a_use(code: RefusalCode) -> None:
    assert Refusal(code, "why").kind in get_args(RefusalKind)
    assert str(Refusal(code, "why")) == f"{code.value}: why"


def test_every_kind_of_refusal_is_used() -> None:
    assert {Refusal(code, "").kind for code in RefusalCode} == set(get_args(RefusalKind))


def test_every_name_has_its_words() -> None:
    """The words that users see; translations/fr has the French ones, and another test holds it complete."""
    assert missing(Status, words.STATUSES) == [], "missing in translations.words.STATUSES"
    assert missing(EventName, words.EVENTS) == [], "missing in translations.words.EVENTS"
    assert missing(RefusalCode, words.REFUSALS) == [], "missing in translations.words.REFUSALS"
    assert missing(Role, words.ROLES) == [], "missing in translations.words.ROLES"
    assert missing(set(Priority) - {Priority.STAT}, words.PRIORITIES) == [], "missing in translations.words.PRIORITIES"
    assert missing(get_args(Sex), words.SEXES) == [], "missing in translations.words.SEXES"
    assert missing(DocumentKind, words.DOCUMENTS) == [], "missing in translations.words.DOCUMENTS"
    assert missing(DeadlineName, words.LATE) == [], "missing in translations.words.LATE"
    assert missing(ReturnReason, words.RETURN_REASONS) == [], "missing in translations.words.RETURN_REASONS"


def test_the_statuses_and_which_of_them_are_final_or_open() -> None:
    assert [status.value for status in requests.Status] == [
        "draft",
        "awaiting_dispatch",
        "awaiting_acceptance",
        "accepted",
        "returned",
        "reported",
        "closed",
        "cancelled",
        "abandoned",
    ]
    assert [status for status in Status if status.is_final] == [Status.CLOSED, Status.CANCELLED, Status.ABANDONED]
    assert [status for status in Status if not status.is_open] == [
        Status.DRAFT,
        Status.CLOSED,
        Status.CANCELLED,
        Status.ABANDONED,
    ]
