"""What a partner is answered that asks for what can't be done, and whose number is a licence."""

import uuid

import pytest

from domain.messages import MessageEvent
from domain.refusals import Refusal, RefusalCode
from fhir.addresses import Server
from fhir.messages import _passes, why_not_done
from records.models import Account, Partner
from use_cases.partners import _counts, _may_be_called
from use_cases.problems import FieldFault, Problem
from use_cases.said import Licence

SERVER = Server("https://relais.test/fhir", "fr")
ADD, SAID = MessageEvent.ADD_REQUEST, MessageEvent.SAID_BY_REQUESTER


@pytest.mark.parametrize(
    ("error", "event", "told"),
    [
        (Problem("not_found"), SAID, ("not-found", "Communication.basedOn")),
        (Problem("not_found"), ADD, ("not-found", "ServiceRequest.identifier")),
        (Problem("several_requests"), SAID, ("multiple-matches", "Communication.basedOn")),
        (Problem("other_patient"), ADD, ("conflict", "Patient")),
        (
            Problem("invalid_input", [FieldFault("payload", "required")]),
            SAID,
            ("business-rule", "Communication.payload"),
        ),
        (Problem("invalid_input", [FieldFault("payload", "required")]), ADD, ("business-rule", None)),
        (Problem("form_invalid", [FieldFault("question", "not_a_text")]), ADD, ("business-rule", None)),
        (Problem("too_many_at_once", retry_after=1), ADD, ("throttled", None)),
        (Problem("unknown_person"), ADD, ("transient", None)),
        (Problem("answer_under_way"), SAID, ("transient", None)),
        (Problem("storage_full"), ADD, ("transient", None)),
        (Refusal(RefusalCode.REPORT_BEING_SIGNED, ""), SAID, ("transient", None)),
        (Refusal(RefusalCode.NO_SUCH_QUESTION, ""), SAID, ("business-rule", "Communication.inResponseTo")),
    ],
)
def test_each_reason_has_its_code_and_names_what_is_in_the_message(
    error: Problem | Refusal, event: MessageEvent, told: tuple[str, str | None]
) -> None:
    (issue,) = why_not_done(error, event, SERVER).issue
    assert (issue.code, (issue.expression or (None,))[0]) == told
    assert issue.details is not None
    assert issue.details.text


@pytest.mark.parametrize("code", ["answer_under_way", "submission_under_way", "unknown_person", "not_yet", "busy"])
def test_what_ends_by_itself_is_never_final(code: str) -> None:
    assert _passes(Problem(code))
    assert not _passes(Problem("not_found"))
    assert not _passes(Refusal(RefusalCode.NOT_ALLOWED_IN_STATUS, ""))


def partner(*systems: str) -> Partner:
    return Partner(account_id=uuid.uuid4(), licence_systems=[*systems])


def test_what_counts_as_a_licence() -> None:
    typed, phone = Licence("12345", "https://college.test", is_typed=True), Licence("12345", "urn:phone")
    assert (_counts(typed, partner()), _counts(phone, partner())) == (True, False)
    named = partner("https://college.qc.test")
    assert not _counts(typed, named), "another province's"
    assert _counts(Licence("12345", "https://college.qc.test"), named)


def test_a_number_is_nobodys_whose_name_the_author_does_not_have() -> None:
    doctor = Account(family_name="Tremblay-Côté")
    assert _may_be_called(doctor, "Dre Anne TREMBLAY-COTE")
    assert _may_be_called(doctor, "Anne Tremblay Côté")
    assert _may_be_called(doctor, "")
    assert not _may_be_called(doctor, "Dr Jean Roy")
