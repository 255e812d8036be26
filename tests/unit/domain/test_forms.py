"""What a form or a report is checked for: every kind of field, required fields, and the number of attachments."""

from datetime import date
from typing import Any

import pytest

from domain.offerings import (
    AttachmentSlot,
    FieldKind,
    FormField,
    Localized,
    Option,
    ServiceOffering,
    check_answers,
    check_attachments,
)

LABEL = Localized(fr="Champ", en="Field")
OPTIONS = tuple(Option(value=value, label=LABEL) for value in ("left", "right"))


def field(kind: FieldKind, **more: Any) -> FormField:
    options = OPTIONS if kind in (FieldKind.CHOICE, FieldKind.CHOICES) else ()
    return FormField(name="field", label=LABEL, kind=kind, options=options, **more)


ANSWERS: dict[FieldKind, tuple[list[Any], list[tuple[Any, str]]]] = {
    FieldKind.TEXT: (
        ["a", "x" * 10, "é 🩺"],
        [("x" * 11, "too_long"), (1, "not_a_text"), (["a"], "not_a_text"), ("nul \x00", "not_storable")],
    ),
    FieldKind.LONG_TEXT: (["a\nb"], [("x" * 11, "too_long"), (True, "not_a_text"), ("half \ud800", "not_storable")]),
    FieldKind.CHOICE: (["left"], [("up", "not_an_option"), (["left"], "not_an_option"), (1, "not_an_option")]),
    FieldKind.CHOICES: (
        [["left"], ["right", "left"]],
        [("left", "not_a_list"), (["up"], "not_an_option"), (["left", ["right"]], "not_an_option")],
    ),
    FieldKind.NUMBER: (
        [0, 0.5, 10],
        [
            (-1, "too_small"),
            (10.1, "too_large"),
            ("5", "not_a_number"),
            (True, "not_a_number"),
            (float("nan"), "not_a_number"),
            (float("inf"), "not_a_number"),
        ],
    ),
    FieldKind.DATE: (
        ["2026-11-22", "2024-02-29"],
        [
            ("22/11/2026", "not_a_date"),
            ("2026-02-29", "not_a_date"),
            ("20261122", "not_a_date"),
            ("2026-W47-7", "not_a_date"),
            (20261122, "not_a_date"),
        ],
    ),
    FieldKind.CONSENT: (
        [
            {"given_by": "patient", "date": "2026-11-22"},
            {"given_by": "patient", "date": "2026-11-22", "name": ""},
            {"given_by": "parent", "name": "Marie Roy", "date": "2026-11-22"},
        ],
        [(True, "not_a_consent"), ("yes", "not_a_consent"), (["patient"], "not_a_consent")],
    ),
    FieldKind.YES_NO: ([True, False], [("yes", "not_a_yes_or_no"), (1, "not_a_yes_or_no")]),
}
LIMITS = {
    FieldKind.TEXT: {"max_length": 10},
    FieldKind.LONG_TEXT: {"max_length": 10},
    FieldKind.NUMBER: {"minimum": 0, "maximum": 10},
}


@pytest.mark.parametrize("kind", FieldKind)
@pytest.mark.parametrize("complete", [True, False])
def test_answers_of_every_kind(kind: FieldKind, complete: bool) -> None:
    """A draft may lack answers, but may hold none that is wrong."""
    good, bad = ANSWERS[kind]
    asked = [field(kind, required=True, **LIMITS.get(kind, {}))]
    for answer in good:
        assert check_answers(asked, {"field": answer}, complete=complete) == ()
    for answer, code in bad:
        problems = check_answers(asked, {"field": answer}, complete=complete)
        assert [(problem.field, problem.code) for problem in problems] == [("field", code)], answer


@pytest.mark.parametrize("kind", FieldKind)
@pytest.mark.parametrize("answers", [{}, {"field": None}, {"field": ""}, {"field": " \n"}, {"field": []}])
def test_a_required_field_is_asked_for_when_the_form_is_to_be_complete(
    kind: FieldKind, answers: dict[str, Any]
) -> None:
    required, optional = [field(kind, required=True)], [field(kind)]
    assert [problem.code for problem in check_answers(required, answers, complete=True)] == ["required"]
    assert check_answers(required, answers, complete=False) == ()
    assert check_answers(optional, answers, complete=True) == ()


TODAY = date(2026, 11, 26)
PATIENT: dict[str, Any] = {"given_by": "patient", "date": "2026-11-22"}


@pytest.mark.parametrize(
    ("consent", "wrong"),
    [
        ({**PATIENT, "date": "2026-11-26"}, {}),
        ({**PATIENT, "date": "2026-11-27"}, {"date": "not_a_day_of_consent"}),
        ({**PATIENT, "date": "1899-12-31"}, {"date": "not_a_day_of_consent"}),
        ({**PATIENT, "date": "2026-11"}, {"date": "not_a_date"}),
        ({**PATIENT, "date": 20261122}, {"date": "not_a_date"}),
        ({**PATIENT, "given_by": "mother"}, {"given_by": "not_an_option", "name": "required"}),
        ({**PATIENT, "given_by": ["patient"]}, {"given_by": "not_an_option", "name": "required"}),
        ({**PATIENT, "name": 7}, {"name": "not_a_text"}),
        ({**PATIENT, "name": "x" * 201}, {"name": "too_long"}),
        ({**PATIENT, "name": "two\nlines"}, {"name": "not_one_line"}),
        ({**PATIENT, "name": "\x00"}, {"name": "not_storable"}),
        ({**PATIENT, "witness": "Léa"}, {"witness": "unknown_field"}),
        ({"given_by": "parent"}, {"name": "required", "date": "required"}),
        ({"given_by": "legal_representative", "name": "\u200b", "date": "2026-11-22"}, {"name": "required"}),
        ({"name": "Léa"}, {"given_by": "required", "date": "required"}),
        ({"date": "2026-11-22"}, {"given_by": "required"}),
    ],
)
def test_a_consent_says_who_and_when(consent: dict[str, Any], wrong: dict[str, str]) -> None:
    asked = [field(FieldKind.CONSENT)]
    found = check_answers(asked, {"field": consent}, complete=True, today=TODAY)
    assert {problem.field: problem.code for problem in found} == {f"field.{part}": code for part, code in wrong.items()}
    in_draft = check_answers(asked, {"field": consent}, complete=False, today=TODAY)
    assert {problem.code for problem in in_draft} == set(wrong.values()) - {"required"}


def test_a_consent_of_which_nothing_is_said_is_none() -> None:
    nothing: dict[str, Any] = {"given_by": "", "name": " ", "date": None}
    assert check_answers([field(FieldKind.CONSENT)], {"field": nothing}, complete=True) == ()
    (problem,) = check_answers([field(FieldKind.CONSENT, required=True)], {"field": nothing}, complete=True)
    assert (problem.field, problem.code) == ("field", "required")


def test_a_limit_is_told_with_the_problem() -> None:
    asked = [field(FieldKind.NUMBER, minimum=1, maximum=9)]
    assert check_answers(asked, {"field": 0}, complete=False)[0].limit == 1
    assert check_answers(asked, {"field": 10}, complete=False)[0].limit == 9
    assert check_answers([field(FieldKind.TEXT, max_length=2)], {"field": "abc"}, complete=False)[0].limit == 2


def test_an_answer_to_no_field_is_told() -> None:
    problems = check_answers([field(FieldKind.TEXT)], {"other": "x", "y" * 500: 1}, complete=False)
    assert [(problem.field, problem.code) for problem in problems] == [
        ("other", "unknown_field"),
        ("y" * 100, "unknown_field"),
    ]


@pytest.mark.parametrize(
    ("counts", "problems"),
    [
        ({"photos": 3}, []),
        ({"photos": 5, "videos": 1}, []),
        ({}, [("photos", "too_few_attachments", 3)]),
        ({"photos": 2}, [("photos", "too_few_attachments", 3)]),
        ({"photos": 6}, [("photos", "too_many_attachments", 5)]),
        ({"photos": 3, "videos": 2}, [("videos", "too_many_attachments", 1)]),
    ],
)
def test_the_number_of_attachments(counts: dict[str, int], problems: list[tuple[str, str, float]]) -> None:
    offering = ServiceOffering(
        code="burns",
        version=1,
        title=LABEL,
        description=LABEL,
        dispatch="manual",
        form=(field(FieldKind.TEXT),),
        attachments=(
            AttachmentSlot(name="photos", label=LABEL, minimum=3, maximum=5),
            AttachmentSlot(name="videos", label=LABEL, accepts=("video",), maximum=1),
        ),
        report=(field(FieldKind.LONG_TEXT, required=True),),
    )
    found = check_attachments(offering, counts)
    assert [(problem.field, problem.code, problem.limit) for problem in found] == problems
