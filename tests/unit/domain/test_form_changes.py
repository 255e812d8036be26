"""What changed between two submitted forms."""

from typing import Any, cast

import pytest

from domain.forms import FormChange, FormContent, FrozenAttachment, changes

FORM: FormContent = {
    "offering": "teledermatology",
    "offering_version": 1,
    "priority": "routine",
    "patient": {"given_name": "Jeanne", "family_name": "Tremblay", "sex": None},
    "answers": {"question": "Mélanome?", "body_sites": ["face"], "weight": 1, "consent": True},
    "attachments": [
        {"id": "a", "slot": "photos", "kind": "photo", "sha256": "1"},
        {"id": "b", "slot": "photos", "kind": "photo", "sha256": "2"},
    ],
}


def changed(**parts: Any) -> list[tuple[str, str, Any, Any]]:
    return [(c.part, c.field, c.before, c.after) for c in changes(FORM, cast(FormContent, {**FORM, **parts}))]


def test_nothing_changed() -> None:
    assert changes(FORM, FORM) == []
    assert changed(offering_version=2) == []


@pytest.mark.parametrize(
    ("part", "value", "expected"),
    [
        ("priority", "urgent", [("priority", "routine", "urgent")]),
        ("patient", {"given_name": "Jeanne", "family_name": "Roy", "sex": "female"}, None),
        ("answers", {**FORM["answers"], "weight": True}, [("weight", 1, True)]),
        ("answers", {**FORM["answers"], "weight": 1.0}, []),
        ("answers", {**FORM["answers"], "body_sites": ["face", "back"]}, [("body_sites", ["face"], ["face", "back"])]),
        ("answers", {**FORM["answers"], "question": ""}, [("question", "Mélanome?", None)]),
        ("answers", {**FORM["answers"], "body_sites": []}, [("body_sites", ["face"], None)]),
        ("answers", {**FORM["answers"], "consent": False}, [("consent", True, False)]),
        ("answers", {**FORM["answers"], "medication": ""}, []),
        ("attachments", FORM["attachments"][::-1], []),
    ],
)
def test_one_part(part: str, value: Any, expected: list[tuple[str, Any, Any]] | None) -> None:
    if expected is None:
        expected = [("family_name", "Tremblay", "Roy"), ("sex", None, "female")]
    assert changed(**{part: value}) == [(part, *change) for change in expected]


def test_attachments_come_and_go_by_their_id() -> None:
    new: FrozenAttachment = {"id": "c", "slot": "dermoscopy", "kind": "photo", "sha256": "3"}
    assert changed(attachments=[FORM["attachments"][1], new]) == [
        ("attachments", "c", None, "dermoscopy"),
        ("attachments", "a", "photos", None),
    ]


def test_captions_and_the_order_of_what_is_in_both() -> None:
    one, two = FORM["attachments"]
    new: FrozenAttachment = {"id": "c", "slot": "photos", "kind": "photo", "sha256": "3", "caption": "Dos"}
    before = cast(FormContent, {**FORM, "ordered": True, "attachments": [one, {**two, "caption": "Bras"}]})
    after = cast(FormContent, {**FORM, "ordered": True, "attachments": [two, new, {**one, "caption": "Main"}]})
    found = [(c.part, c.field, c.before, c.after) for c in changes(before, after)]
    assert found == [
        ("attachments", "c", None, "photos"),
        ("captions", two["id"], "Bras", None),
        ("captions", one["id"], None, "Main"),
        ("order", "attachments", [one["id"], two["id"]], [two["id"], one["id"]]),
    ]
    assert changes(after, after) == []


def test_a_form_from_before_there_was_an_order_has_none() -> None:
    turned = cast(FormContent, {**FORM, "ordered": True, "attachments": FORM["attachments"][::-1]})
    assert changes(FORM, turned) == []


def test_the_order_and_the_way_back() -> None:
    after: FormContent = {
        **FORM,
        "priority": "asap",
        "patient": {"family_name": "Roy"},
        "answers": {"new": "x", "question": "Nævus?"},
        "attachments": [],
    }
    forth, back = changes(FORM, after), changes(after, FORM)
    assert [c.part for c in forth] == sorted(
        [c.part for c in forth], key=["priority", "patient", "answers", "attachments"].index
    )
    mirrored = [FormChange(part=c.part, field=c.field, before=c.after, after=c.before) for c in back]
    assert {str(c) for c in forth} == {str(c) for c in mirrored}
