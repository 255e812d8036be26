"""The systems of a clinic, for its administrators: the list, a new one, one with everything that can be done, its new secret."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import Response
from starlette.datastructures import FormData

from domain.calendar import day_of
from domain.refusals import Refusal
from domain.service_accounts import OLDER_SECRET_LASTS, Scope, ServiceAccountState
from domain.typed_dates import as_date
from portal import pages
from portal.errors import NOT_TAKEN, as_problem, done, fields_of, summary
from portal.pages import Visit, VisitOf
from portal.partners import TERMS, hindrance_of
from portal.people import EVENTS, FIELDS, SIDES
from portal.webhooks import STATES as ENDPOINT_STATES
from translations import gettext_noop as _
from use_cases import partners, service_accounts, service_keys
from use_cases.administrators import Administrator
from use_cases.client_credentials import OF_FHIR, OF_THE_API
from use_cases.problems import Problem
from use_cases.public_keys import pasted
from use_cases.service_accounts import (
    GivenSecret,
    NewServiceAccount,
    Rotation,
    ServiceAccountChange,
    ServiceAccountView,
)
from use_cases.service_keys import NewKey

router = APIRouter(include_in_schema=False)

SCOPES: Mapping[Scope, str] = {
    Scope.CATALOGUE_READ: _("Read the service offerings and their forms, the clinics and their providers"),
    Scope.REQUESTS_READ: _("Read the requests that concern the clinic, with patient, form and history"),
    Scope.ATTACHMENTS_READ: _("Read their photos, videos and documents"),
    Scope.DOCUMENTS_READ: _("Read their signed reports"),
    Scope.DRAFTS_WRITE: _("Write drafts for a person of the clinic, whom it names"),
    Scope.REQUESTS_SUBMIT: _("Submit requests for a person of the clinic, whom it names"),
    Scope.PEOPLE_PROVISION: _(
        "Keep the people of the clinic as the organization’s directory has them: make, change and lock accounts"
    ),
    Scope.MESSAGES_SEND: _("Send requests as messages (FHIR), and what their requesters say about them"),
    Scope.SUBSCRIPTIONS_WRITE: _(
        "Subscribe (FHIR): say at which address it is told of what happens to what it may read"
    ),
}
"""What a system may do, as pages name it."""

STATES: Mapping[ServiceAccountState, str] = {
    ServiceAccountState.ACTIVE: _("May come in"),
    ServiceAccountState.LOCKED: _("Locked"),
    ServiceAccountState.EXPIRED: _("Expired"),
}

SYSTEM_FIELDS: Mapping[str, str] = {
    **FIELDS,
    "name": _("Name"),
    "purpose": _("Purpose"),
    "scopes": _("What it may do"),
    "expires_on": _("Last day"),
    "secret": _("Secret"),
    "key": _("Public key"),
    "partner": _("How its messages are taken"),
    "endpoint": _("Where it is told of its requests"),
    "endpoint_terms": _("What of it is new"),
    "partner_terms": _("What of the terms is new"),
    "performs": _("Answers requests"),
    "messages": _("Messages"),
}

_PLACES = {"service_account_name_taken": "name"}
_HALF_A_YEAR = timedelta(days=182)
_A_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)

OLDER_ENDS: Mapping[int, str] = {
    0: _("at once"),
    _A_DAY // _HOUR: _("in a day"),
    OLDER_SECRET_LASTS // _HOUR: _("in a week"),
    30 * _A_DAY // _HOUR: _("in 30 days"),
}
"""When the older secret ends, in hours."""


@router.get("/service-accounts")
async def service_accounts_page(visit: VisitOf) -> Response:
    """The systems of the clinic."""
    by = Administrator.of(visit.caller)
    return visit.page(
        "service_accounts",
        there=await service_accounts.list_service_accounts(visit.services, by, visit.caller.clinic_id),
        states=STATES,
        scope_words=SCOPES,
        notice=pages.done_notice(visit.request, visit.language),
    )


@router.get("/service-accounts/new")
async def new_page(visit: VisitOf) -> Response:
    """What a new one is to be."""
    Administrator.of(visit.caller)
    return _new(visit)


@router.post("/service-accounts/new")
async def make(visit: VisitOf) -> Response:
    """Make it, and show its first secret, once; or say why not, with everything that was written still there."""
    form = await visit.form()
    try:
        visit.check_is_sent()
        new = NewServiceAccount.model_validate({**_said(form), "language": visit.language})
        by = Administrator.of(visit.caller)
        given = await service_accounts.add_service_account(visit.services, by, visit.caller.clinic_id, new)
    except NOT_TAKEN as error:
        return _new(visit, form, as_problem(error))
    return _secret(visit, given)


@router.get("/service-accounts/{account_id}")
async def service_account_page(account_id: UUID, visit: VisitOf) -> Response:
    """One of them, with everything that can be done about it, and what was."""
    return await _one(visit, account_id)


@router.post("/service-accounts/{account_id}")
async def change(account_id: UUID, visit: VisitOf) -> Response:
    """Change what it is called, is for and may do, and until when."""
    form = await visit.form()

    async def do() -> None:
        by, version = Administrator.of(visit.caller), pages.number_in(form, "version")
        said = ServiceAccountChange.model_validate(_said(form))
        await service_accounts.change_service_account(visit.services, by, account_id, said, version)

    return await _done(visit, account_id, form, do, "system_saved")


@router.post("/service-accounts/{account_id}/secrets")
async def rotate(account_id: UUID, visit: VisitOf) -> Response:
    """Another secret, shown once; the one before goes on for as long as was chosen."""
    form = await visit.form()
    try:
        visit.check_is_sent()
        rotation = Rotation(older_ends_in_hours=pages.number_in(form, "older") or 0)
        given = await service_accounts.rotate(visit.services, Administrator.of(visit.caller), account_id, rotation)
    except NOT_TAKEN as error:
        return await _one(visit, account_id, form, as_problem(error))
    return _secret(visit, given)


@router.post("/service-accounts/{account_id}/secrets/{secret_id}/end")
async def end_secret(account_id: UUID, secret_id: UUID, visit: VisitOf) -> Response:
    """Nobody comes in by that secret any more."""
    form = await visit.form()
    by = Administrator.of(visit.caller)

    async def do() -> None:
        await service_accounts.end_secret(visit.services, by, account_id, secret_id)

    return await _done(visit, account_id, form, do, "secret_ended")


@router.post("/service-accounts/{account_id}/keys")
async def add_key(account_id: UUID, visit: VisitOf) -> Response:
    """Register a public key, as it was pasted."""
    form = await visit.form()

    async def do() -> None:
        new = NewKey(jwk=pasted(str(form.get("jwk", ""))))
        await service_keys.add_key(visit.services, Administrator.of(visit.caller), account_id, new)

    return await _done(visit, account_id, form, do, "key_added")


@router.post("/service-accounts/{account_id}/keys/{key_id}/end")
async def end_key(account_id: UUID, key_id: UUID, visit: VisitOf) -> Response:
    """Nobody comes in by that key any more."""
    form = await visit.form()
    by = Administrator.of(visit.caller)
    return await _done(
        visit, account_id, form, lambda: service_keys.end_key(visit.services, by, account_id, key_id), "key_ended"
    )


@router.post("/service-accounts/{account_id}/lock")
async def lock(account_id: UUID, visit: VisitOf) -> Response:
    """Lock it at once."""
    form, by = await visit.form(), Administrator.of(visit.caller)
    return await _done(
        visit, account_id, form, lambda: service_accounts.lock(visit.services, by, account_id), "system_locked"
    )


@router.post("/service-accounts/{account_id}/reopen")
async def reopen(account_id: UUID, visit: VisitOf) -> Response:
    """Open it again."""
    form, by = await visit.form(), Administrator.of(visit.caller)
    return await _done(
        visit, account_id, form, lambda: service_accounts.reopen(visit.services, by, account_id), "system_reopened"
    )


async def _done(
    visit: Visit, account_id: UUID, form: FormData, do: Callable[[], Awaitable[object]], sentence: str
) -> Response:
    return await done(visit, do, f"/service-accounts/{account_id}", sentence, partial(_one, visit, account_id, form))


def _new(visit: Visit, form: FormData | None = None, error: Problem | Refusal | None = None) -> Response:
    wrong = fields_of(error, visit.language, _PLACES)
    suggested = pages.written(name="", purpose="", expires_on=str(day_of(datetime.now(UTC) + _HALF_A_YEAR)))
    return visit.page(
        "service_account_new",
        because=error,
        scope_words=SCOPES,
        chosen_scopes=form.getlist("scopes") if form is not None else [],
        form=pages.written(form) if form is not None else suggested,
        wrong=pages.written(wrong),
        notice=summary(error, wrong, visit.language) if error else None,
    )


async def _one(
    visit: Visit, account_id: UUID, form: FormData | None = None, error: Problem | Refusal | None = None
) -> Response:
    by = Administrator.of(visit.caller)
    system = await service_accounts.read_service_account(visit.services, by, account_id)
    is_written = form is not None and "purpose" in form
    wrong = fields_of(error, visit.language, _PLACES if is_written else None)
    return visit.page(
        "service_account",
        because=error,
        system=system,
        events=await service_accounts.list_events(visit.services, by, account_id),
        event_words=EVENTS,
        sides=SIDES,
        field_words=SYSTEM_FIELDS,
        term_words=TERMS,
        partner=await partners.summarize_partner(visit.services, by, account_id),
        hindrance=hindrance_of(system),
        endpoint_states=ENDPOINT_STATES,
        states=STATES,
        scope_words=SCOPES,
        older_ends=OLDER_ENDS,
        token_address=OF_THE_API.address(visit.services.settings),
        token_address_for_fhir=OF_FHIR.address(visit.services.settings),
        jwk="" if form is None else str(form.get("jwk", "")),
        chosen_scopes=form.getlist("scopes") if form is not None and is_written else system.scopes,
        form=pages.written(form) if is_written else _as_written(system),
        wrong=pages.written(wrong),
        notice=summary(error, wrong, visit.language) if error else pages.done_notice(visit.request, visit.language),
    )


def _secret(visit: Visit, given: GivenSecret) -> Response:
    return visit.page("service_account_secret", system=given.service_account, secret=given.secret)


def _said(form: FormData) -> dict[str, Any]:
    """What the form says of a system."""
    texts = {name: str(form.get(name, "")) for name in ("name", "purpose")}
    return {**texts, "expires_on": as_date(str(form.get("expires_on", ""))), "scopes": form.getlist("scopes")}


def _as_written(system: ServiceAccountView) -> Mapping[str, str]:
    return pages.written(name=system.name, purpose=system.purpose, expires_on=str(system.expires_on))
