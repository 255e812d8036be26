"""The paper of a person's journal: its words, its lines, and what names of any kind do to it."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from pypdf import PdfReader

from activities.contract import JournalOrder
from documents.journal import render_journal
from documents.journal_content import JournalContent, Line
from domain.audit import Act
from domain.commands import PUBLIC_COMMANDS
from records.models import FrozenForm
from tests.unit.test_routes import routes
from translations import LANGUAGES, Language
from translations.acts import NO_WORDS, act_words, is_named
from use_cases.journal_paper import MOST_LINES, Done, lines_of, span_of
from use_cases.journals import ASKED, TAKEN, other_person_at
from use_cases.verification import MAX_FILE_BYTES

TORONTO = ZoneInfo("America/Toronto")
CARE = "Care · Provider"


def act(at: datetime, what: str = "Opening of the request", who: str = "Dre Anne Roy", *numbers: str) -> Done:
    return Done(at, (who, "Clinique du Fleuve"), what, CARE, numbers or ("TC-2026-000001",))


def content(*lines: Line, **more: object) -> JournalContent:
    given: dict[str, object] = {
        "language": "en",
        "title": "Journal of accesses",
        "number": "01a21e6a-87f7-7449-b67e-e04bf74fc654",
        "made_at": datetime(2026, 11, 27, 12, 0, tzinfo=UTC),
        "running_head": ["Wilhelmina Zed", "1931"],
        "facts": [("Person", [["", "Wilhelmina Zed"]]), ("Clinic", [["", "Clinique"]]), ("Period", [["", "All"]])],
        "said": ("Each line says who.",),
        "requests_title": "Requests",
        "requests": (("TC-2026-000001",),),
        "lines_title": "What was done",
        "columns": ("When", "Who", "What", "Request"),
        "lines": lines,
        "nothing": "Nothing was done.",
        "foot": "Clinique",
        "page_of": "Page {page} of {pages}",
    }
    return JournalContent.model_validate({**given, **more})


def text_of(pdf: bytes) -> str:
    return " ".join(" ".join(page.extract_text() for page in PdfReader(BytesIO(pdf)).pages).split())


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_act_has_plain_words(language: Language) -> None:
    named = [
        *((kind, None) for kind in Act if kind not in NO_WORDS),
        *((Act.COMMAND, name) for name in PUBLIC_COMMANDS),
        *((kind, route.name) for route in routes() for kind in (Act.LOOK, Act.CHANGE)),
        *((Act.REFUSED, f"{route.name} {status}") for route in routes() for status in (404, 409)),
    ]
    for kind, name in named:
        words = act_words(kind, name, language)
        assert words
        assert "_" not in words, (kind, name)
        assert "%" not in words, (kind, name)
    journals = {act_words(Act.JOURNAL, name, language) for name in (None, ASKED, TAKEN)}
    assert len(journals) == 3
    commands = {act_words(Act.COMMAND, name, language) for name in PUBLIC_COMMANDS}
    assert len(commands) == len(PUBLIC_COMMANDS), "each command is told apart from the others"


def test_every_address_of_a_request_has_words_of_its_own() -> None:
    of_requests = {route.name for route in routes() if "{request_id}" in route.path}
    of_pictures = {route.name for route in routes() if route.endpoint.__module__ == "api.renditions"}
    assert {name for name in of_requests | of_pictures if not is_named(name)} == set()


def test_what_one_person_does_within_a_minute_is_one_line() -> None:
    at = datetime(2026, 11, 27, 14, 5, 10, tzinfo=UTC)
    picture = "Viewing of a photo"
    done = [
        act(at),
        act(at + timedelta(seconds=5), picture),
        act(at + timedelta(seconds=6), picture),
        act(at + timedelta(seconds=7), who="Dr Guy Côté"),
        act(at + timedelta(seconds=8)),
        act(at + timedelta(seconds=55)),
        act(at + timedelta(seconds=56), "Opening of the request", "Dre Anne Roy", "TC-2026-000001", "TC-2026-000002"),
    ]
    lines = list(lines_of(done, "en", TORONTO))
    assert [(line.who[0], line.what, line.request) for line in lines] == [
        ("Dre Anne Roy", ("Opening of the request; Viewing of a photo (× 2)", CARE), "TC-2026-000001"),
        ("Dr Guy Côté", ("Opening of the request", CARE), "TC-2026-000001"),
        ("Dre Anne Roy", ("Opening of the request", CARE), "TC-2026-000001"),
        ("Dre Anne Roy", ("Opening of the request", CARE), "TC-2026-000001"),
        ("Dre Anne Roy", ("Opening of the request", CARE), "TC-2026-000001, TC-2026-000002"),
    ]
    assert lines[0].when.replace("\N{NO-BREAK SPACE}", " ") == "November 27, 2026 at 9:05 am (EST)"


def test_the_hour_that_comes_twice_is_told_apart() -> None:
    twice = [datetime(2026, 11, 1, hour, 30, tzinfo=UTC) for hour in (5, 6)]
    lines = list(lines_of([act(at) for at in twice], "fr", TORONTO))
    assert [line.when[-5:] for line in lines] == ["(HAE)", "(HNE)"]
    (there,) = lines_of([act(twice[0])], "fr", ZoneInfo("America/Vancouver"))
    assert there.when.startswith("31"), "the day is that of the clinic"


def hostile() -> Iterator[Line]:
    for name in (
        '#eval("1+1") $x$ @label <tag> *bold* _under_ `raw` \\ " // /*',
        "‮ desrever",
        "שרה כהן",
        "محمد Émile‑Zoé",
        "A" * 300,
        "李小龍 🙂",
    ):
        yield Line(when="November 27, 2026", who=(name, name), what=(name,), request="TC-2026-000001")


def test_names_of_any_kind_are_printed_as_they_are() -> None:
    text = text_of(render_journal(content(*hostile())))
    assert '#eval("1+1")' in text
    assert "李小龍" in text
    assert "‮" not in text


def test_an_empty_one_says_so() -> None:
    assert "Nothing was done." in text_of(render_journal(content()))


def test_a_long_one_has_pages_and_can_still_be_checked() -> None:
    line = Line(
        when="November 27, 2026 at 10:05 am (EST)",
        who=("Dre Anne-Sophie Tremblay-Bouchard, Médecin de famille", "Clinique du Fleuve"),
        what=("Opening of the request; Viewing of a photo, a video or a document that was sent (× 3)", CARE),
        request="TC-2026-000123",
    )
    short, long = (render_journal(content(*[line] * count)) for count in (100, 500))
    assert "Page 20 of" in text_of(long)
    per_line = (len(long) - len(short)) / 400
    assert len(short) + per_line * MOST_LINES < MAX_FILE_BYTES * 0.95


@pytest.mark.parametrize(
    ("since", "until", "hours"),
    [
        ("2026-11-01", "2026-11-01", 25),  # the day on which an hour comes twice
        ("2026-03-08", "2026-03-08", 23),
        ("2026-11-27", "9999-12-31", 7),  # up to the moment at which it was asked for
    ],
)
def test_days_are_those_of_the_clinic(since: str, until: str, hours: int) -> None:
    order = JournalOrder(
        id=uuid4(),
        about=uuid4(),
        clinic_id=uuid4(),
        asked_by=uuid4(),
        before=datetime(2026, 11, 27, 12, tzinfo=UTC),
        since=date.fromisoformat(since),
        until=date.fromisoformat(until),
        language="fr",
        requests=(),
    )
    first, last = span_of(order, TORONTO)
    assert first is not None
    assert last - first == timedelta(hours=hours)


def test_a_form_that_names_somebody_else_in_between_is_left_out() -> None:
    """By the number of the card: two letters of a name make nobody else."""
    one, other = {"health_insurance_number": "TREJ58541412"}, {"health_insurance_number": "ROYA31550714"}
    begun = datetime(2026, 11, 1, 12, tzinfo=UTC)
    days = [begun + timedelta(days=count) for count in range(4)]
    for named, changes in (
        ((one, one), ()),
        ((one, other, one), (days[1], days[2])),
        ((other, one, other), (begun, days[1], days[2])),
        ((other,), (begun,)),
    ):
        forms = [
            FrozenForm(content={"patient": patient}, frozen_at=at) for patient, at in zip(named, days, strict=False)
        ]
        assert other_person_at(begun, forms, one) == changes


def test_a_line_of_very_many_requests_is_printed_whole() -> None:
    numbers = [f"TC-2026-{count:06}" for count in range(500)]
    line = Line(when="November 27, 2026", who=("Dre Anne Roy",), what=("A line",), request=", ".join(numbers))
    text = text_of(render_journal(content(line)))
    assert [number for number in numbers if number not in text] == []
