"""Every page of the portal is looked at for barriers: in the table of `tests/portal/test_every_page.py`, or where this says."""

import re
from types import SimpleNamespace

import pytest
from fastapi import Request
from fastapi.routing import APIRoute

from portal import pages
from portal.choices import CHOICES, Choice
from portal.server import PAGES
from settings import PROJECT_ROOT
from tests.portal.test_every_page import PAGES as LOOKED_AT

IN_A_FILE_OF_ITS_OWN = {
    "/access-reviews/{review_id}": "tests/portal/test_access_reviews.py",
    "/access-reviews/{review_id}/findings/{finding_id}": "tests/portal/test_access_reviews.py",
    "/launch": "tests/sign_on/test_record_system.py",
    "/launched/{key}": "tests/sign_on/test_record_system.py",
    "/launched/{key}/patient": "tests/sign_on/test_record_system.py",
    "/new-password/{code}": "tests/portal/test_people.py",
    "/requests/{request_id}/journals/{journal_id}": "tests/portal/test_journals.py",
    "/incidents/{incident_id}": "tests/portal/test_registers.py",
    "/incidents/{incident_id}/edit": "tests/portal/test_registers.py",
    "/incidents/{incident_id}/drafts/{draft}": "tests/portal/test_registers.py",
    "/registers/papers/{paper_id}": "tests/portal/test_registers.py",
    "/phone": "tests/portal/test_phone_links.py",
    "/phone/{code}": "tests/portal/test_phone_links.py",
    "/requests/{request_id}/phone-link": "tests/portal/test_phone_links.py",
    "/requests/{request_id}/restrictions/{restriction_id}/end": "tests/portal/test_restrictions.py",
    "/retention/lists/{list_id}": "tests/portal/test_retention.py",
    "/retention/lists/{list_id}/approve": "tests/portal/test_retention.py",
    "/service-accounts/{account_id}": "tests/portal/test_service_accounts.py",
    "/service-accounts/{account_id}/partner": "tests/portal/test_partners.py",
    "/sign-on/{code}/return": "tests/sign_on/test_certified_provider.py",
    "/webhooks/{webhook_id}": "tests/portal/test_webhooks.py",
    "/webhooks/{webhook_id}/messages/{message_id}": "tests/portal/test_webhooks.py",
}

NO_PAGE = {
    *(
        "/",
        "/assignments",
        "/assignments/take-back",
        "/sign-on/{code}",
        "/sign-on/signed-out",
        "/launch/{code}/return",
    ),  # lead on
    *("/assignments/menu/{request_id}", "/requests/{request_id}/edit/check"),  # parts of pages
    *(f"/requests/{{request_id}}/{form}/files" for form in ("add-information", "answer", "edit")),
    *("/events", "/emergency/{opening_id}", "/manifest-{language}.webmanifest"),
    "/requests/{request_id}/report/preview.pdf",
    "/retention/lists/{list_id}/certificate.pdf",
    "/requests/{request_id}/journals/{journal_id}.pdf",
    *("/incidents.csv", "/communications.csv", "/access-years/{year}.csv", "/registers/papers/{paper_id}.pdf"),
}

ROUTES = [
    route
    for page in PAGES
    for route in page.router.routes
    if isinstance(route, APIRoute) and "GET" in (route.methods or ())
]


def pattern_of(address: str) -> str | None:
    """The pattern of the page at that address: the first that fits, as when it is asked for."""
    path = re.sub(r"\{\w+\}", "x", address.partition("?")[0])
    return next((route.path for route in ROUTES if route.path_regex.match(path)), None)


ADDRESSES = {address for *_, address in LOOKED_AT}


@pytest.mark.parametrize("path", sorted({route.path for route in ROUTES} - NO_PAGE - IN_A_FILE_OF_ITS_OWN.keys()))
def test_a_page_is_looked_at(path: str) -> None:
    assert path in {pattern_of(address) for address in ADDRESSES}, (
        f"add {path} to PAGES in tests/portal/test_every_page.py"
    )


@pytest.mark.parametrize(
    "choice", [choice for choice in CHOICES.values() if not choice.at_once], ids=lambda one: one.command
)
def test_the_page_of_a_choice_is_looked_at(choice: Choice) -> None:
    address = f"/requests/{{id}}/{choice.address}"
    assert address in ADDRESSES, f"add {address} to PAGES in tests/portal/test_every_page.py"


def test_what_is_named_here_is_there() -> None:
    assert (NO_PAGE | IN_A_FILE_OF_ITS_OWN.keys()) - {route.path for route in ROUTES} == set()
    for file in IN_A_FILE_OF_ITS_OWN.values():
        assert "barriers(" in (PROJECT_ROOT / file).read_text(), file


def test_no_value_of_a_page_hides_what_every_page_has() -> None:
    request = Request(
        {"type": "http", "app": SimpleNamespace(state=SimpleNamespace(services=SimpleNamespace(settings=None)))}
    )
    with pytest.raises(ValueError, match="now"):
        pages.render(request, "guide", "fr", now=2026)
