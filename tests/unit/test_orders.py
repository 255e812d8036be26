"""What people order: each command has its order, and the same order once more is known again."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from pydantic import ValidationError

from domain import commands as c
from domain.commands import PUBLIC_COMMANDS
from domain.model import Said
from domain.requests import Actor, Person, Role
from use_cases import orders, signing
from use_cases.commands import Head, Order

SOMEBODY, CLINIC, ELSEWHERE = uuid4(), uuid4(), uuid4()
HEAD = Head(
    id="key",
    actor=Actor(id=uuid4(), role=Role.DISPATCHER, clinic_id=CLINIC),
    sent_at=datetime.now(UTC),
    expected_version=None,
    outside=None,
)


MODULES = (orders, signing)
"""Where orders are."""

BY_MESSAGES = ("use_cases.partner_answers", "use_cases.outside_reports")
"""What partners say that answer requests: the same commands in a stranger's words."""


def kinds(of: type[Order] = Order) -> list[type[Order]]:
    return [kind for direct in of.__subclasses__() for kind in (direct, *kinds(direct))]


@pytest.mark.parametrize("name", PUBLIC_COMMANDS)
def test_a_command_has_one_order(name: str) -> None:
    found = [kind for kind in kinds() if kind.command is PUBLIC_COMMANDS[name] and kind.__module__ not in BY_MESSAGES]
    assert len(found) == 1, f"'{name}' needs one Order: see use_cases/orders.py"
    assert found[0].__module__ in {module.__name__ for module in MODULES}


def test_a_password_is_not_in_what_is_printed_of_an_order() -> None:
    body = signing.AddendumBody(password="correct horse battery staple", text="The culture is negative.")
    assert "horse" not in repr(body)


@pytest.mark.parametrize("kind", kinds())
def test_an_order_takes_nothing_that_it_does_not_know(kind: type[Order]) -> None:
    with pytest.raises(ValidationError):
        kind.model_validate({"unheard_of": 1})


def test_the_same_words_are_the_same_order() -> None:
    before = c.Cancel(**HEAD, reason="Healed.")
    assert orders.ReasonBody(reason="Healed.").repeats(before)
    assert not orders.ReasonBody(reason="Gone.").repeats(before)
    assert not orders.CommentBody(comment="Healed.").repeats(before)
    assert not orders.ReasonBody(reason="Healed.").repeats(c.ReturnToDispatch(**HEAD, comment="Healed."))


def test_a_question_that_is_not_named_is_the_one_that_was_open() -> None:
    before = c.AnswerInformation(**HEAD, question_id=SOMEBODY, text="Since May.")
    assert orders.AnswerBody(text="Since May.").repeats(before)
    assert orders.AnswerBody(text="Since May.", question_id=SOMEBODY).repeats(before)
    assert not orders.AnswerBody(text="Since May.", question_id=CLINIC).repeats(before)
    assert not orders.AnswerBody(text="Since May.", attachment_ids=(CLINIC,)).repeats(before)


@pytest.mark.parametrize(
    ("said", "to", "is_same"),
    [
        ({"provider_id": SOMEBODY}, Person(id=SOMEBODY, clinic_id=CLINIC), True),
        ({"provider_id": CLINIC}, Person(id=SOMEBODY, clinic_id=CLINIC), False),
        ({"clinic_id": CLINIC}, Person(id=SOMEBODY, clinic_id=CLINIC), False),
        ({"clinic_id": CLINIC}, c.Pool(clinic_id=CLINIC), True),
        ({"clinic_id": ELSEWHERE}, c.Pool(clinic_id=CLINIC), False),
        ({"provider_id": SOMEBODY}, c.Pool(clinic_id=CLINIC), False),
        ({"clinic_id": CLINIC, "comment": "Urgent."}, c.Pool(clinic_id=CLINIC), False),
    ],
)
def test_to_assign_to_the_same_is_the_same_order(
    said: dict[str, UUID | Said], to: Person | c.Pool, is_same: bool
) -> None:
    assert orders.AssignBody.model_validate(said).repeats(c.Assign(**HEAD, to=to)) is is_same


def test_a_transfer_to_the_same_colleague_is_the_same_order() -> None:
    before = c.Transfer(**HEAD, to=Person(id=SOMEBODY, clinic_id=CLINIC), comment="On leave.")
    assert orders.TransferBody(provider_id=SOMEBODY, comment="On leave.").repeats(before)
    assert not orders.TransferBody(provider_id=CLINIC, comment="On leave.").repeats(before)
    assert not orders.TransferBody(provider_id=SOMEBODY).repeats(before)


def test_an_outcome_that_says_nothing_is_as_good_as_none() -> None:
    nothing = orders.AcknowledgeBody(outcome=orders.OutcomeBody())
    assert nothing.repeats(c.Acknowledge(**HEAD))
    advice = orders.AcknowledgeBody(outcome=orders.OutcomeBody(advice_followed="yes"))
    assert not advice.repeats(c.Acknowledge(**HEAD))
    assert advice.repeats(c.Acknowledge(**HEAD, outcome=c.Outcome(advice_followed="yes")))
