"""What holds of every route of the faces."""

from collections.abc import Iterator
from importlib import import_module
from inspect import isasyncgenfunction, iscoroutinefunction, isfunction
from pkgutil import iter_modules
from typing import cast

from fastapi import APIRouter
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts

import api
import fhir
import portal
from api.parameters import known_parameters_only
from api.server import create_app
from settings import Settings
from use_cases.services import Services
from web import session
from web.rates import Limited


def test_no_call_waits_for_a_thread() -> None:
    """Plain functions among routes and dependencies would run in threads, of which there are few: a hop for every call."""
    called = {one for route in routes() for one in functions(route.dependant)}
    assert len(called) > 100
    assert {one for one in called if not iscoroutinefunction(one) and not isasyncgenfunction(one)} == set()


COSTLY = {
    "searches": {
        "api.requests.get_worklist",
        "api.requests.get_same_patient",
        "api.journals.get_journal_offer",
        "portal.journals.find_request",
        "portal.journals.journal_page",
        "portal.journals.ask_for_journal",
        "api.communications.list_communications",
        "portal.communications.communications_page",
        "portal.worklist.worklist",
        "portal.patients.patient_page",
        *("portal.launches.patient_page", "portal.launches.begin_request"),
        "fhir.server.find",
    },
    "pictures": {f"api.renditions.{what}" for what in ("original", "preview", "thumbnail", "full", "page", "video")},
    "documents": {
        *(f"api.reports.{what}" for what in ("preview_report", "get_document", "verify_document")),
        "api.requests.get_whole_case",
        "api.journals.ask_journal",
        "api.journals.get_journal_pdf",
        "portal.journals.ask_for_journal",
        "portal.journals.journal_file",
        *(f"api.communications.{what}" for what in ("get_communications_csv", "ask_register_paper")),
        "api.communications.get_register_paper_pdf",
        "api.incidents.get_incidents_csv",
        *(f"api.access_reviews.{what}" for what in ("get_access_year", "get_access_year_csv")),
        *(f"portal.access_reviews.{what}" for what in ("access_year_page", "access_year_file")),
        "portal.communications.communications_file",
        *(f"portal.incidents.{what}" for what in ("incidents_file", "ask_for_paper", "paper_file")),
        "portal.reports.preview",
        "portal.reports.document_page",
        "fhir.server.binary",
    },
    "uploads": {
        "api.attachments.upload",
        "api.uploads.begin_upload",
        "api.uploads.continue_upload",
        "portal.drafts.add_files",
    },
    "streams": {"portal.live.events"},
    "messages": {"fhir.server.process_message"},
    "subscriptions": {f"fhir.subscription_routes.{what}" for what in ("create", "change", "remove")},
}
"""Every route that costs much, by the limit for which it counts."""


def test_everything_costly_has_its_limit() -> None:
    found: dict[str, set[str]] = {}
    for route in routes():
        for limit in (below.call for below in route.dependant.dependencies if isinstance(below.call, Limited)):
            where = f"{route.endpoint.__module__}.{route.endpoint.__name__}"
            found.setdefault(limit.name, set()).add(where)
    assert found == COSTLY


def test_whoever_is_known_is_asked_whether_they_may_call_there() -> None:
    """To know who calls is not enough: a route is for people, or says by which scope it is open to systems."""
    known = [(route, set(functions(route.dependant))) for route in routes()]
    asked = [called for _, called in known if session.identified in called]
    assert len(asked) > 150
    for route, called in known:
        opened = {one for one in called if getattr(one, "__qualname__", "").startswith(session.opened_by.__name__)}
        if session.identified in called:
            assert session.person in called or opened, route.path
        assert not (opened and route.endpoint.__module__.startswith("portal.")), route.path


def test_pages_are_no_part_of_the_description_of_the_api() -> None:
    pages = [route for route in routes() if route.endpoint.__module__.startswith("portal.")]
    assert len(pages) > 100
    assert [route.path for route in pages if route.include_in_schema] == []


def test_every_address_of_the_api_refuses_what_it_does_not_know() -> None:
    app = create_app(Settings(), cast(Services, None))
    asked = {
        (one.path, known_parameters_only in functions(one.dependant))
        for one in iter_route_contexts(app.routes)
        if one.path and one.path.startswith("/api/v1/")
    }
    assert len(asked) > 100
    assert {path for path, is_asked in asked if not is_asked} == {"/api/v1/oauth/token"}, "RFC 6749 has it ignore them"


def routes() -> Iterator[APIRoute]:
    for package in (api, fhir, portal):
        for found in iter_modules(package.__path__):
            for value in vars(import_module(f"{package.__name__}.{found.name}")).values():
                if isinstance(value, APIRouter):
                    yield from (route for route in value.routes if isinstance(route, APIRoute))


def functions(dependant: Dependant) -> Iterator[object]:
    """What is called for a route: itself, and all on which it depends; of an object, its method."""
    call = dependant.call
    assert call is not None
    yield call if isfunction(call) else type(call).__call__
    for below in dependant.dependencies:
        yield from functions(below)
