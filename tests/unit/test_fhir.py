"""How FHIR's resources are named and opened: every id leads back, every type has what it takes, a scope opens what it says."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.fhir_course import BusinessStatus
from domain.service_accounts import Scope
from domain.smart_scopes import OPENED_BY, SmartScope
from fhir.addresses import code_in, offering_id, part_of, questionnaire_id, request_in, version_in
from fhir.elements import ID, CodeableConcept, Element
from fhir.kinds import BESIDE, OF_REQUESTS
from fhir.outcomes import _CODES
from translations.words import BUSINESS_STATUSES
from web.problems import STATUSES

CODES = st.from_regex(r"\A[a-z][a-z0-9_-]{1,40}\Z")


@given(st.uuids(), st.integers(1, 999_999_999))
def test_the_id_of_a_part_leads_to_its_request(request_id: UUID, number: int) -> None:
    id_ = part_of(request_id, number)
    assert ID.fullmatch(id_)
    assert request_in(id_) == request_in(str(request_id)) == request_id


@given(CODES, st.integers(1, 2_000_000_000))
def test_the_id_of_a_form_leads_to_its_version(code: str, version: int) -> None:
    id_ = questionnaire_id(code, version)
    assert ID.fullmatch(id_)
    assert version_in(id_) == (code, version)
    assert code_in(offering_id(code)) == code


@pytest.mark.parametrize("id_", ["", "x", ".1", "{}.x", "{}.", "{}.1.2", "urn:uuid:{}", "{}.0000000001"])
def test_what_is_no_id_of_a_part_leads_nowhere(id_: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        request_in(id_.replace("{}", "01a20528-2326-771d-b244-f33a25c63e64"))


@given(st.text())
def test_texts_are_such_as_fhir_can_hold(text: str) -> None:
    written = CodeableConcept(text=text).text
    assert written is None or (written.strip() and not any(c < " " and c not in "\t\r\n" for c in written))


def test_every_type_is_served_and_opened() -> None:
    assert set(OPENED_BY) == {*OF_REQUESTS, *BESIDE, "Binary"}
    assert set(BUSINESS_STATUSES) == set(BusinessStatus)
    assert set(STATUSES.values()) - {408, 410, 416} <= set(_CODES)
    assert Element(**{}).as_json() == {}


@pytest.mark.parametrize(
    ("written", "kind", "may"),
    [
        ("system/Task.rs", "Task", "rs"),
        ("system/Task.read", "Task", "rs"),
        ("system/*.r", None, "r"),
        ("system/Patient.s", "Patient", "s"),
        ("system/Subscription.cruds", "Subscription", "cruds"),
        ("system/Subscription.read", "Subscription", "rs"),
        ("system/Subscription.write", "Subscription", "cud"),
    ],
)
def test_a_scope_is_read(written: str, kind: str | None, may: str) -> None:
    scope = SmartScope.read(written)
    assert scope == SmartScope(kind, may)
    assert [scope.covers("Task", what) for what in "rs"] == [kind in (None, "Task") and what in may for what in "rs"]


@pytest.mark.parametrize(
    "written",
    [
        "",
        "system/Task",
        "system/Task.",
        "system/Task.sr",
        "system/Task.crs",
        "patient/Task.rs",
        "system/Foo.rs",
        "system/Task.cruds",
        "system/*.cruds",
        "system/Bundle.cu",
        "system/Subscription.",
        "system/Subscription.sd",
        "launch",
    ],
)
def test_what_is_no_scope_is_none(written: str) -> None:
    assert SmartScope.read(written) is None


def test_a_scope_for_every_type_is_for_who_has_all_that_they_take() -> None:
    every = SmartScope(None, "rs")
    reading = frozenset({Scope.REQUESTS_READ, Scope.DOCUMENTS_READ, Scope.CATALOGUE_READ})
    assert every.is_had_by(reading)
    assert not any(every.is_had_by(reading - {one}) for one in reading)
    assert SmartScope("Organization", "r").is_had_by(frozenset({Scope.CATALOGUE_READ}))
    assert not SmartScope("Task", "r").is_had_by(frozenset({Scope.CATALOGUE_READ}))


def test_subscriptions_are_named_or_not_opened() -> None:
    """An account that could ask for all there was before still can, and gets no more by it."""
    assert not SmartScope(None, "rs").covers("Subscription", "r")
    own = SmartScope("Subscription", "cr")
    assert [own.covers("Subscription", what) for what in "cruds"] == [True, True, False, False, False]
    assert not own.covers("Task", "r")
    assert own.is_had_by(frozenset({Scope.SUBSCRIPTIONS_WRITE}))
    assert not own.is_had_by(frozenset(Scope) - {Scope.SUBSCRIPTIONS_WRITE})
