"""The offering files of Relais are whole and complete, and a broken file is told of by file, line, place and reason."""

import re
from pathlib import Path

import pytest

from domain.offerings import (
    DEFAULT_DEADLINES,
    NOT_NAMED,
    CalledFor,
    DeadlineName,
    FieldKind,
    FormField,
    Localized,
    Option,
    ServiceOffering,
    calling_choices,
    calls_of,
    check_answers,
    check_attachments,
)
from domain.priority import Priority
from settings import PROJECT_ROOT
from use_cases.offering_files import OfferingError, load_offerings

OFFERINGS = load_offerings(PROJECT_ROOT / "offerings")

GOOD = """\
code: burns
version: 1
title: { fr: "Brûlures", en: "Burns" }
description:
  fr: "Avis sur une brûlure."
  en: "Advice about a burn."
dispatch: manual
form:
  - name: question
    label: { fr: "Question", en: "Question" }
    kind: long_text
    required: true
  - name: first_aid
    label: { fr: "Premiers soins", en: "First aid" }
    kind: choice
    options:
      - { value: yes, label: { fr: "Oui", en: "Yes" } }
      - { value: no, label: { fr: "Non", en: "No" } }
attachments:
  - name: photos
    label: { fr: "Photos", en: "Photos" }
    minimum: 1
    maximum: 5
report:
  - name: findings
    label: { fr: "Observations", en: "Findings" }
    kind: long_text
    required: true
deadlines:
  dispatch:
    limit: { asap: 1h, urgent: 2h, routine: 1bd }
    remind_at: [0.5, 1h]
    repeat: 1d
"""

BROKEN = {
    "a word that is no choice": (
        "dispatch: manual",
        "dispatch: by hand",
        7,
        "dispatch",
        "'manual' or 'automatic', not",
    ),
    "a language that is missing": (', en: "Burns"', "", 3, "title.en", "this is missing"),
    "a key that is missing": ("code: burns\n", "", 1, "code", "this is missing"),
    "a key that nobody knows": ("    minimum: 1", "    minimun: 1", 22, "attachments.photos.minimun", "no such key"),
    "a number written as a text": ("version: 1", 'version: "1"', 2, "version", "should be a valid integer, not '1'"),
    "a text where true belongs": (
        "required: true\n  - name",
        "required: yes\n  - name",
        12,
        "form.question.required",
        "",
    ),
    "a text that is empty": ('fr: "Photos"', 'fr: ""', 21, "attachments.photos.label.fr", "at least 1 character"),
    "a kind that does not exist": ("kind: choice", "kind: radio", 15, "form.first_aid.kind", "should be 'text'"),
    "a name with a capital": ("name: findings", "name: Findings", 25, "report.Findings.name", "'Findings' is no name"),
    "a choice without options": (
        "kind: long_text\n    required: true\n  -",
        "kind: choice\n  -",
        9,
        "form.question",
        "need",
    ),
    "a field that stands twice": ("name: first_aid", "name: question", 13, "form.question.name", "stands twice"),
    "an option that stands twice": ("value: no", "value: yes", 18, "form.first_aid.options.yes.value", "stands twice"),
    "more photos than it takes": (
        "maximum: 5",
        "maximum: 0",
        23,
        "attachments.photos.maximum",
        "greater than or equal",
    ),
    "a minimum above the maximum": ("minimum: 1", "minimum: 6", 22, "attachments.photos.minimum", "more than it takes"),
    "a report that needs nothing": ("required: true\ndead", "required: false\ndead", 24, "report", "at least one"),
    "a report that asks for consent": (
        "kind: long_text\n    required: true\ndead",
        "kind: consent\n    required: true\ndead",
        27,
        "report.findings.kind",
        "not in the report",
    ),
    "a form that calls for something": (
        "value: no,",
        "value: no, calls_for: new_photos,",
        16,
        "form.first_aid.options",
        "in the report only",
    ),
    "a span that is none": ("asap: 1h", "asap: 1 hour", 31, "deadlines.dispatch.limit.asap", "is written 2h"),
    "a reminder that is none": ("[0.5, 1h]", "[0.5, 1.5]", 32, "deadlines.dispatch.remind_at.2", "is written 2h"),
    "a reminder that is a word": (
        "[0.5, 1h]",
        "[soon]",
        32,
        "deadlines.dispatch.remind_at.1",
        "a valid number, not 'soon', or",
    ),
    "a span that is a number": ("asap: 1h", "asap: 1", 31, "deadlines.dispatch.limit.asap", "is written 2h"),
    "a form without fields": (
        GOOD[GOOD.index("form:") : GOOD.index("attach")],
        "form: []\n",
        8,
        "form",
        "at least one item",
    ),
    "a priority without a limit": (", routine: 1bd", "", 31, "deadlines.dispatch.limit", "no limit for routine"),
    "a deadline that falls silent": ("    repeat: 1d\n", "", 30, "deadlines.dispatch", "must repeat"),
    "a deadline that nobody knows": ("  dispatch:\n", "  dispatching:\n", 30, "deadlines.dispatching", "'dispatch', "),
    "a list where a group belongs": (
        '{ fr: "Question", en: "Question" }',
        "[]",
        10,
        "form.question.label",
        "a group of",
    ),
    "a key that stands twice": ("version: 1\n", "version: 1\nversion: 2\n", 3, "", "the key 'version' stands twice"),
    "a key that is a list": ("version: 1\n", "version: 1\n[a]: 2\n", 3, "", "a key must be a text"),
    "a value that holds itself": ("dispatch: manual", "dispatch: &self [*self]", 7, "dispatch.1", "holds itself"),
    "a tag": ("version: 1", "version: !!timestamp 2026", 2, "version", "can't read the tag"),
    "a tab": ("version: 1", "\tversion: 1", 2, "", "this is not YAML"),
    "a bracket that never closes": ("[0.5, 1h]", "[0.5, 1h", 33, "", "this is not YAML"),
    "two documents": ("dispatch: manual", "---\ndispatch: manual", 7, "", "this is not YAML"),
    "an anchor that is missing": ("dispatch: manual", "dispatch: *mode", 7, "", "this is not YAML"),
    "a control character": ("dispatch: manual", "dispatch: \x07", 7, "", "control character"),
    "another code than the file's": (
        "code: burns",
        "code: scalds",
        1,
        "code",
        "differs from the name of the file, 'burns'",
    ),
}

UNITS = {"mm", "cm", "kg", "%", "mm Hg"}
SAME_IN_BOTH = (
    UNITS
    | {"Photos", "Stable", "Infection", "Type 1", "Type 2", "Pus", "Granulation"}
    | {
        "Incontinence",
        "Immunosuppression",
    }
)


def load(folder: Path, content: str | bytes, name: str = "burns.yaml") -> ServiceOffering:
    data = content.encode() if isinstance(content, str) else content
    (folder / name).write_bytes(data)
    return load_offerings(folder)["burns"]


def test_the_offerings_of_relais() -> None:
    assert {code: offering.dispatch for code, offering in OFFERINGS.items()} == {
        "teledermatology": "manual",
        "teleophthalmology": "automatic",
        "wound_care": "manual",
    }, "a new offering is named here, with how its requests are dispatched"


def test_teledermatology_asks_for_three_photos_and_what_the_guide_asks_for() -> None:
    offering = OFFERINGS["teledermatology"]
    form = {field.name: field.required for field in offering.form}
    assert [name for name, required in form.items() if required] == ["question", "body_sites", "duration"]
    assert form.keys() >= {
        "evolution",
        "symptoms",
        "personal_skin_cancer",
        "family_skin_cancer",
        "medication",
        "allergies",
        "treatments_tried",
        "immunosuppression",
        "pregnancy",
    }
    report = {field.name: field.required for field in offering.report}
    assert [name for name, needed in report.items() if needed] == [
        "findings",
        "diagnostic_impression",
        "recommendations",
    ]
    assert report.keys() >= {"treatment_plan", "follow_up", "urgency_reassessment"}
    assert [problem.code for problem in check_attachments(offering, {"photos": 2})] == ["too_few_attachments"]
    assert check_attachments(offering, {"photos": 3}) == ()
    answers = {"question": "Quel traitement?", "body_sites": ["face", "hands"], "duration": "weeks-1-to-4"}
    assert check_answers(offering.form, answers, complete=True) == ()
    assert [(p.field, p.code) for p in check_answers(offering.form, {}, complete=True)] == [
        ("question", "required"),
        ("body_sites", "required"),
        ("duration", "required"),
    ]


def test_deadlines_are_the_defaults_unless_the_file_says_otherwise() -> None:
    terms = OFFERINGS["teledermatology"].terms
    assert {name: terms.of_deadline(name) for name in DeadlineName} == DEFAULT_DEADLINES
    assert terms.deadlines.keys() >= set(DeadlineName) - NOT_NAMED.keys()
    own = OFFERINGS["wound_care"].terms.deadlines
    assert own[DeadlineName.ACKNOWLEDGEMENT] == DEFAULT_DEADLINES[DeadlineName.ACKNOWLEDGEMENT]
    for name in OFFERINGS["wound_care"].deadlines:
        for priority in (Priority.ASAP, Priority.URGENT, Priority.ROUTINE):
            ours, usual = own[name].limit[priority], DEFAULT_DEADLINES[name].limit[priority]
            assert (ours.business, ours.length) <= (usual.business, usual.length)


@pytest.mark.parametrize("offering", OFFERINGS.values(), ids=lambda offering: offering.code)
def test_texts_are_french_and_english(offering: ServiceOffering) -> None:
    """Each language has its own words, and only numbers, units and a few words are written the same in both."""
    texts = [offering.title, offering.description, *labels_of(offering)]
    same = {text.fr for text in texts if text.fr == text.en}
    assert same <= SAME_IN_BOTH
    assert not [text for text in texts if re.search(r"\s[?!;]|'", text.fr)], "Québec's usage: no space, and the sign ’"
    assert not [text for text in texts if text.fr != text.fr.strip() or text.en != text.en.strip()]


def labels_of(offering: ServiceOffering) -> list[Localized]:
    fields = (*offering.form, *offering.report)
    found = [text for field in fields for text in (field.label, field.help, field.unit) if text]
    found += [option.label for field in fields for option in field.options]
    return found + [text for slot in offering.attachments for text in (slot.label, slot.help) if text]


@pytest.mark.parametrize("offering", OFFERINGS.values(), ids=lambda offering: offering.code)
def test_limits_belong_to_numbers(offering: ServiceOffering) -> None:
    for field in (*offering.form, *offering.report):
        bounded = field.minimum is not None or field.maximum is not None
        assert bounded == (field.kind is FieldKind.NUMBER), field.name


def test_a_good_file_is_read_as_it_stands(tmp_path: Path) -> None:
    offering = load(tmp_path, GOOD)
    assert [option.value for option in offering.form[1].options] == ["yes", "no"]
    terms = offering.terms.deadlines[DeadlineName.DISPATCH]
    assert [str(terms.limit[priority]) for priority in (Priority.ASAP, Priority.URGENT, Priority.ROUTINE)] == [
        "1h",
        "2h",
        "1bd",
    ]
    assert terms.remind_at[0] == 0.5
    assert offering.title.fr == "Brûlures"


@pytest.mark.parametrize(("old", "new", "line", "where", "reason"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_file(tmp_path: Path, old: str, new: str, line: int, where: str, reason: str) -> None:
    assert GOOD.count(old) >= 1
    with pytest.raises(OfferingError) as caught:
        load(tmp_path, GOOD.replace(old, new, 1))
    sentence = str(caught.value)
    assert len(sentence.splitlines()) == 1
    assert sentence.startswith(f"{tmp_path / 'burns.yaml'}, line {line}: {where}{': ' if where else ''}"), sentence
    assert reason in sentence
    assert sentence.endswith(".")


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        (b"", 1, "the file is empty"),
        (b"# only a comment\n", 1, "the file is empty"),
        (b"just a text\n", 1, "this should be a group of keys and values"),
        (GOOD.encode("latin-1"), 3, "a character is not written in UTF-8"),
    ],
)
def test_a_file_that_is_no_offering(tmp_path: Path, content: bytes, line: int, reason: str) -> None:
    with pytest.raises(OfferingError) as caught:
        load(tmp_path, content)
    assert str(caught.value) == f"{tmp_path / 'burns.yaml'}, line {line}: {reason}."


def test_every_problem_is_told_in_the_order_of_files_and_lines(tmp_path: Path) -> None:
    (tmp_path / "acne.yaml").write_text("- nothing\n")
    with pytest.raises(OfferingError) as caught:
        load(tmp_path, GOOD.replace("maximum: 5", "maximum: many").replace("version: 1", "version: first"))
    places = re.findall(r"(\w+)\.yaml, line (\d+): ", str(caught.value))
    assert places == [("acne", "1"), ("burns", "2"), ("burns", "23")]


def test_a_folder_without_files(tmp_path: Path) -> None:
    with pytest.raises(OfferingError, match="there is no service offering here"):
        load_offerings(tmp_path)
    with pytest.raises(OfferingError, match="there is no service offering here"):
        load_offerings(tmp_path / "absent")


REPORT = OFFERINGS["teledermatology"].report


@pytest.mark.parametrize(
    ("answers", "calls"),
    [
        ({"photo_quality": "insufficient"}, {CalledFor.NEW_PHOTOS}),
        ({"urgency_reassessment": "emergency"}, {CalledFor.READING_WITHOUT_DELAY}),
        ({"photo_quality": "insufficient", "urgency_reassessment": "emergency"}, set(CalledFor)),
        ({"photo_quality": "limited", "urgency_reassessment": "visit-2-weeks", "findings": "insufficient"}, set()),
        ({"photo_quality": ["insufficient"], "biopsy": None, "unasked": {"a": 1}}, {CalledFor.NEW_PHOTOS}),
        ({}, set()),
    ],
)
def test_what_is_chosen_in_a_report_calls_for_what_follows(answers: dict[str, object], calls: set[CalledFor]) -> None:
    assert calls_of(REPORT, answers) == calls
    assert calls_of(_without_calls(REPORT), answers) == calls, "a template of before says the same by its names"


def test_a_template_that_says_what_calls_for_what_is_taken_at_its_word() -> None:
    """Another name may call for it, and the usual one for nothing."""
    yes = Option(value="yes", label=Localized(fr="Oui", en="Yes"), calls_for=CalledFor.NEW_PHOTOS)
    blurred = FormField(name="blurred", label=yes.label, kind=FieldKind.CHOICES, options=(yes,))
    template = (*_without_calls(REPORT), blurred)
    assert calls_of(template, {"blurred": ["yes"]}) == {CalledFor.NEW_PHOTOS}
    assert calls_of(template, {"photo_quality": "insufficient", "urgency_reassessment": "emergency"}) == set()


def _without_calls(report: tuple[FormField, ...]) -> tuple[FormField, ...]:
    return tuple(
        field.model_copy(
            update={"options": tuple(option.model_copy(update={"calls_for": None}) for option in field.options)}
        )
        for field in report
    )


@pytest.mark.parametrize("offering", OFFERINGS.values(), ids=lambda offering: offering.code)
def test_what_a_shipped_report_calls_for_stands_in_its_file(offering: ServiceOffering) -> None:
    """The names alone would mean the same; a file that says one must say all, and say no more."""
    assert calling_choices(offering.report) == calling_choices(_without_calls(offering.report))
