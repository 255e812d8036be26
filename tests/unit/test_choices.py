"""What can be done with a request has its place on the pages: a button with its words and its fields, or a page of its own."""

import pytest

from domain.commands import PUBLIC_COMMANDS
from portal.choices import CHOICES
from portal.help_places import STEPS
from portal.pages import SENTENCES
from settings import PROJECT_ROOT

PAGES_OF_THEIR_OWN = {"submit", "resubmit", "answer_information", "add_information", "sign_report", "add_addendum"}
FOR_PROGRAMS = {"deadline_reached"}


@pytest.mark.parametrize("command", sorted(PUBLIC_COMMANDS.keys() - PAGES_OF_THEIR_OWN - FOR_PROGRAMS))
def test_a_command_has_its_button(command: str) -> None:
    assert command in CHOICES, f"'{command}' is missing in portal/choices.py, or among the pages of their own here"
    choice = CHOICES[command]
    assert choice.order.command is PUBLIC_COMMANDS[command]
    if choice.fields:
        assert (PROJECT_ROOT / "portal/templates/choice" / f"{choice.fields}.html.j2").is_file()
    assert choice.address in STEPS, f"'{choice.address}' has no step of the guide in portal/help_places.py"
    assert command in SENTENCES, f"'{command}' has no sentence in portal/pages.py that says that it is done"


def test_a_button_is_of_a_command() -> None:
    assert CHOICES.keys() <= PUBLIC_COMMANDS.keys()
