"""What counts as text, and what a field of one line takes."""

import unicodedata
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import StringConstraints, TypeAdapter, ValidationError

from domain.model import COMPOSED, ONE_LINE, Said
from domain.offerings import FieldKind, FormField, Localized, check_answers, composed, leads
from domain.texts import code_points, is_invisible, misplaced_in_line, says_something

LINE: TypeAdapter[str] = TypeAdapter(Annotated[str, StringConstraints(strip_whitespace=True), COMPOSED, ONE_LINE])
SAID: TypeAdapter[str] = TypeAdapter(Said)
NOTHING = ["", " ", "\u200b", "\ufeff\u200d", "\u202e\u202c", "\u3164", "\u2800", "\u00a0\u3000", "\u0301", "\ufe0f"]
OF_SEVERAL_LINES = ["a\nb", "a\r\nBcc: b", "a\x0bb", "a\x0cb", "a\x85b", "a\u2028b", "a\u2029b"]
HIDDEN = [
    "\u202egnol",
    "a\u202eb",
    "a\u200bb",
    "a\ufeffb",
    "a\tb",
    "a\x07b",
    "a\x7fb",
    "a\u2066b",
    "a\u00adb",
    "a\U000e0041b",
]


def test_what_can_not_be_seen_says_nothing() -> None:
    assert [text for text in NOTHING if says_something(text)] == []
    for text in ("a", "·", "5", "é", "\u200bé", "ᐃ", "الله", "🙂", "\ue000", "\u06dd"):
        assert says_something(text), text


@pytest.mark.parametrize("text", OF_SEVERAL_LINES + HIDDEN)
def test_a_line_takes_neither_breaks_nor_what_nobody_sees(text: str) -> None:
    with pytest.raises(ValidationError) as refused:
        LINE.validate_python(text)
    (error,) = refused.value.errors()
    assert error["type"] == "not_one_line"
    assert error["ctx"]["characters"] == code_points(misplaced_in_line(text))
    assert error["ctx"]["characters"].startswith("U+")


def test_joiners_spell_and_are_nothing_alone() -> None:
    for name in ("می\u200cخواهم", "क्\u200dष", "श\u200d्री"):
        assert LINE.validate_python(name) == name
    for name in ("a\u200d", "\u200cب", "a\u200d b", "5\u200d6"):
        assert misplaced_in_line(name)


def test_a_text_is_composed_and_says_something() -> None:
    assert SAID.validate_python(" Cafe\u0301\r\n5\u202fmg ") == "Café\r\n5\u202fmg"
    for text in NOTHING:
        with pytest.raises(ValidationError) as refused:
            SAID.validate_python(text)
        assert refused.value.errors()[0]["type"] == "string_too_short"


def field(kind: FieldKind, **more: Any) -> FormField:
    return FormField(name="field", label=Localized(fr="Champ", en="Field"), kind=kind, **more)


def test_answers_that_say_nothing_are_missing() -> None:
    for kind in (FieldKind.TEXT, FieldKind.LONG_TEXT):
        for text in NOTHING:
            (problem,) = check_answers([field(kind, required=True)], {"field": text}, complete=True)
            assert (problem.field, problem.code) == ("field", "required")
    (problem,) = check_answers([field(FieldKind.LONG_TEXT)], {"field": "\x00"}, complete=False)
    assert problem.code == "not_storable"


def test_answers_of_one_line_are_one() -> None:
    for text in OF_SEVERAL_LINES + HIDDEN:
        (problem,) = check_answers([field(FieldKind.TEXT)], {"field": text}, complete=False)
        assert (problem.code, problem.characters) == ("not_one_line", code_points(misplaced_in_line(text)))
        assert check_answers([field(FieldKind.LONG_TEXT)], {"field": text}, complete=True) == ()
    assert check_answers([field(FieldKind.TEXT)], {"field": " 12\u202f500 UI \n"}, complete=True) == ()


def test_answers_are_composed() -> None:
    assert composed({"a": "e\u0301", "b": ["e\u0301", 1], "c": None, "d": 2}) == {
        "a": "é",
        "b": ["é", 1],
        "c": None,
        "d": 2,
    }


def test_what_leads_a_report() -> None:
    def named(name: str, kind: FieldKind = FieldKind.LONG_TEXT, **more: Any) -> FormField:
        return field(kind, **more).model_copy(update={"name": name})

    assert leads(named("follow_up"))
    assert leads(named("opinion", required=True))
    assert leads(named("grade", FieldKind.NUMBER))
    assert not leads(named("findings_left", required=True))
    assert not leads(named("patient_information"))


@given(st.text())
def test_a_line_that_is_taken_is_what_is_seen(text: str) -> None:
    try:
        taken = LINE.validate_python(text)
    except ValidationError:
        return
    assert taken == LINE.validate_python(taken) == unicodedata.normalize("NFC", taken)
    assert taken == "" or says_something(taken)
    assert len(taken.splitlines()) <= 1
    assert not any(is_invisible(character) for character in taken if character not in "\u200c\u200d")
