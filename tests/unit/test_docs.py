"""What the documents say of the code is so, wherever that can be looked up: states, commands, settings, rooms, links."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import cli
from domain.commands import PUBLIC_COMMANDS
from domain.events import Event
from domain.lifecycle import TABLE
from domain.offerings import DEFAULT_DEADLINES, DeadlineName
from domain.priority import Priority
from domain.requests import Role, Status
from settings import PROJECT_ROOT, Settings
from tests.unit import settings_table
from tests.unit.domain.scenes import DISPATCHER, Story, draft, every_event

DOCUMENTS = [
    *PROJECT_ROOT.glob("*.md"),
    *PROJECT_ROOT.glob("docs/**/*.md"),
]
README = (PROJECT_ROOT / "README.md").read_text()
REQUIREMENTS = (PROJECT_ROOT / "docs/requirements.md").read_text()
ARCHITECTURE = (PROJECT_ROOT / "docs/architecture.md").read_text()
OPERATIONS = (PROJECT_ROOT / "docs/operations.md").read_text()
PROJECT = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())


def rows(document: str, head: str) -> Iterator[list[str]]:
    """The cells of each row of the table whose head begins so."""
    body = document.split(f"\n| {head} |", 1)[1].split("\n\n", 1)[0]
    for line in body.splitlines()[2:]:
        yield [cell.strip() for cell in line.strip("|").split("|")]


# The life of a request


def rarer_events() -> list[Event]:
    """What the scenes have no part for: automatic dispatch, and a request that no provider had when it was returned."""
    story = Story(draft())
    story.submit()
    story.return_to_requester(DISPATCHER)
    return [Story(draft("automatic")).submit(), story.resubmit()]


def test_the_state_diagram_shows_every_step_and_no_other() -> None:
    drawn = set(re.findall(r"^    (\w+) --> (\w+)", README, re.MULTILINE))
    happens = {(str(event.status_before), str(event.status)) for event in (*every_event(), *rarer_events())}
    changes = {(before, after) for before, after in happens if before != after}
    assert {step for step in drawn if step[0] != step[1]} == changes
    assert drawn <= happens


@pytest.mark.parametrize("document", [README, REQUIREMENTS], ids=["README", "requirements"])
def test_every_status_stands_in_the_table(document: str) -> None:
    named = [name for cells in rows(document, "status") for name in re.findall(r"`(\w+)`", cells[0])]
    assert named == [status.value for status in Status]


def test_the_requirements_tell_every_command_as_the_rules_have_it() -> None:
    open_statuses = {str(status) for status in Status if status.is_open}
    told = {
        cells[0].strip("`"): (
            set().union(*(open_statuses if one == "every open status" else {one} for one in cells[1].split(", "))),
            {"system" if role == "Relais" else role for role in cells[2].split(", ")},
        )
        for cells in rows(REQUIREMENTS, "command")
    }
    ruled = {
        str(row.command.model_fields["type"].default): (
            {str(status) for status in row.allowed_in},
            {str(party.role) for party in row.by},
        )
        for row in TABLE
        if {party.role for party in row.by} != {Role.SYSTEM}
    }
    assert told == ruled, "the table of commands in docs/requirements.md, against the one of domain/lifecycle.py"


def test_the_requirements_tell_the_default_deadlines() -> None:
    def told(name: DeadlineName) -> str:
        spans = [DEFAULT_DEADLINES[name].limit[p] for p in (Priority.ASAP, Priority.URGENT, Priority.ROUTINE)]
        units = {"h": ("h", "h"), "d": ("d", "d"), "bd": ("business day", "business days")}
        words = [f"{span.amount} {units[span.unit][span.amount > 1]}" for span in spans]
        return words[0] if len(set(words)) == 1 else " / ".join(words)

    written = {cells[0]: cells[2] for cells in rows(REQUIREMENTS, "deadline")}
    assert written == {str(name): told(name) for name in DeadlineName}, "the table of deadlines in docs/requirements.md"


def test_operations_names_every_signal() -> None:
    named = [name for cells in rows(OPERATIONS, "Signal") for name in re.findall(r"`(\w+)`", cells[0])]
    assert sorted(named) == sorted(PUBLIC_COMMANDS), "the table of Signals in docs/operations.md"


# Settings


def test_every_setting_has_its_meaning() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
    written = settings_table.DOCUMENT.read_text()
    assert settings_table.text_with(written) == written, "write the table: python -m tests.unit.settings_table"


def test_no_document_names_a_setting_that_is_none() -> None:
    ports = {"RELAIS_TEMPORAL_PORT", "RELAIS_TEMPORAL_UI_PORT", "RELAIS_TEMPORAL_HTTP_PORT"}
    embedded_alone = ports | {"RELAIS_TEMPORAL_METRICS_PORT", "RELAIS_MAIL_PAGE_PORT"}
    known = {f"RELAIS_{name.upper()}" for name in Settings.model_fields} | embedded_alone
    named = {name for document in DOCUMENTS for name in re.findall(r"\bRELAIS_[A-Z_]*[A-Z]\b", document.read_text())}
    named -= {"RELAIS_SMTP"}  # RELAIS_SMTP_…, all of them
    assert named - known == set()


def test_every_command_line_that_is_named_exists() -> None:
    known = {command.name or str(getattr(command.callback, "__name__", "")) for command in cli.app.registered_commands}
    known |= {str(group.name) for group in cli.app.registered_groups}
    written = "".join(document.read_text() for document in DOCUMENTS)
    assert set(re.findall(r"`relais ([a-z-]+)", written)) - known == set()


# Rooms and floors


def test_every_room_is_drawn_and_every_drawn_file_exists() -> None:
    drawing = ARCHITECTURE.split("## The rooms", 1)[1].split("```")[1]
    rooms: set[str] = set()
    room = PROJECT_ROOT
    for line in drawing.splitlines():
        if found := re.match(r"(\w+)/ ", line):
            room = PROJECT_ROOT / found[1]
            rooms.add(found[1])
        elif line[:1].strip():
            room = PROJECT_ROOT
        missing = [name for name in re.findall(r"\b\w+\.py\b", line) if not (room / name).is_file()]
        assert missing == [], f"{room.name} has no such file"
    assert all((PROJECT_ROOT / name).is_dir() for name in rooms)
    assert set(PROJECT["tool"]["importlinter"]["root_packages"]) <= rooms


@pytest.mark.parametrize("room", ["domain", "use_cases"])
def test_the_drawing_names_every_file_of_the_rooms_it_draws_in_full(room: str) -> None:
    drawing = ARCHITECTURE.split("## The rooms", 1)[1].split("```")[1]
    drawn = re.split(r"^(?=\w)", drawing, flags=re.MULTILINE)
    shown = next(part for part in drawn if part.startswith(f"{room}/"))
    files = {path.name for path in (PROJECT_ROOT / room).glob("*.py")} - {"__init__.py"}
    assert set(re.findall(r"\w+\.py", shown)) == files


def test_the_floors_are_told_as_they_are_held() -> None:
    told = ARCHITECTURE.split("**Floors**", 1)[1].split("\n\n", 1)[0]
    (layers,) = (c["layers"] for c in PROJECT["tool"]["importlinter"]["contracts"] if c["type"] == "layers")
    for layer in layers:
        for name in re.findall(r"\w+", layer):
            assert f"`{name}`" in told, f"{name} is on no floor"
    places = [min(told.index(f"`{name}`") for name in re.findall(r"\w+", layer)) for layer in layers]
    assert places == sorted(places, reverse=True), "the floors are told from the ground"


# Documents among each other


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(PROJECT_ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", document.read_text())
    targets = [link.partition("#")[0] for link in links if not re.match(r"[a-z]+:|#", link)]
    assert [target for target in targets if not (document.parent / target).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(PROJECT_ROOT)))
def test_files_that_are_named_exist(document: Path) -> None:
    """A name in backquotes with a folder in it is a file of the project; ``*`` and ``{}`` stand for several."""
    named = re.findall(r"`((?:\w+/)+[\w.]+\.(?:py|md|po|yaml|toml|j2))`", document.read_text())
    assert sorted({name for name in named if not (PROJECT_ROOT / name).exists() and not name.startswith("old/")}) == []


def test_the_index_of_decisions_names_each_with_its_date() -> None:
    folder = PROJECT_ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text()
    for file in folder.glob("*.md"):
        if file.name != "README.md":
            (date,) = re.findall(r"^Date: (\d{4}-\d{2}-\d{2})$", file.read_text(), re.MULTILINE)
            row = rf"^\| {date} \| \[.+\]\({re.escape(file.name)}\) \|$"
            assert re.search(row, index, re.MULTILINE), file.name
