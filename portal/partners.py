"""The terms of a partner, for administrators of its clinic: how its messages are taken, where it is told, and how that goes."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import Response
from starlette.datastructures import FormData

from domain.messages import ONTARIO
from domain.refusals import Refusal
from domain.service_accounts import Scope, ServiceAccountState
from domain.told_partners import NO_ANSWER, NOT_READY, Authorization, Documents, MessageState
from portal import pages
from portal.errors import done, fields_of, links_to, summary
from portal.pages import Visit, VisitOf
from portal.webhooks import ERRORS, REASONS, REPLAY_DAYS, STATES, days_in
from translations import gettext_noop as _
from translations.problems import FIELD_PROBLEMS
from translations.words import LOST_MESSAGES
from use_cases import partner_endpoints, partners, service_accounts
from use_cases.administrators import Administrator
from use_cases.catalogue import newest_offerings
from use_cases.lost_messages import SEES_LOST
from use_cases.partner_endpoints import EndpointView, ToldMessageView
from use_cases.partner_sender import NO_TOKEN, NOT_MADE
from use_cases.partners import MOST_NAMES, PartnerTerms, PartnerView, as_matched
from use_cases.problems import FieldFault, Problem
from use_cases.service_accounts import ServiceAccountView

router = APIRouter(include_in_schema=False)

MESSAGES: Mapping[MessageState, str] = {
    MessageState.PENDING: _("On its way"),
    MessageState.DELIVERED: _("Delivered"),
    MessageState.REFUSED: _("Refused by the partner"),
    MessageState.FAILED: _("Failed"),
    MessageState.DROPPED: _("Not sent: the partner might not be told any more"),
}

COUNTS: Mapping[MessageState, str] = {
    MessageState.PENDING: _("On their way: %(count)d"),
    MessageState.REFUSED: _("Refused by the partner: %(count)d"),
    MessageState.FAILED: _("Failed: %(count)d"),
    MessageState.DROPPED: _("Not sent, as the partner might not be told any more: %(count)d"),
}
"""How many there are of what has not arrived."""

FAULTS: Mapping[str, str] = {
    **ERRORS,
    **{code: FIELD_PROBLEMS[code] for code in ("port_not_allowed", "not_https", "not_a_web_address")},
    "timeout": _("It did not answer within a minute."),
    NO_TOKEN: _("No token was given: look at the token address, the client id and the secret or the key."),
    NOT_MADE: _("The message can’t be made here: whoever runs Relais can say why."),
    NOT_READY: _("Its files are still being examined."),
    NO_ANSWER: _("What came back answers no message: look at the address."),
}
"""Why a call had no answer to its message."""

NOT_BELIEVED = _("It does not believe that it is Relais who calls: look at how it knows that.")
NOT_THERE = _("There is nothing at this address that takes messages.")
BROKEN = _("Its system fails just now, or has too much to do.")
TURNED_DOWN = _("Its system does not take this message.")
NOT_TRIED = _("Nothing has gone there: that was turned off, or the system might not be told.")

AUTHORIZATIONS: Mapping[Authorization, str] = {
    Authorization.CLIENT_SECRET: _("By a token that Relais gets with a client’s secret (OAuth 2.0)"),
    Authorization.CLIENT_ASSERTION: _("By a token that Relais gets with a key of its own (SMART Backend Services)"),
    Authorization.SIGNATURE: _("Relais signs each message with a secret, as webhooks (Standard Webhooks)"),
}

DOCUMENTS: Mapping[Documents, str] = {
    Documents.INSIDE: _("Within the message"),
    Documents.BY_ADDRESS: _("The message says where they are, and its system fetches them"),
}

TERMS: Mapping[str, str] = {
    "liaison_id": _("Who asks where the author has no account here"),
    "dispatch_clinic_id": _("Clinic that dispatches its requests"),
    "default_offering": _("Service offering of what names no known service"),
    "offerings": _("What the partner calls each service offering"),
    "language": _("Language of the answers"),
    "licence_systems": _("Identifiers that are licence numbers"),
    "event_system": _("System of the event codes"),
    "performs": _("Answers requests"),
    "url": _("Address"),
    "documents": _("Signed documents"),
    "authorization": _("How the partner knows that it is Relais"),
    "token_url": _("Token address"),
    "client_id": _("Client id"),
    "token_scope": _("Scope"),
    "secret": _("Secret"),
    "public_key": _("Public key of Relais"),
    "enabled": _("Whether messages go there"),
}
"""Each of the terms, by its name in the API: what a field asks for, and what a history says that is new."""

_PLACES = {
    "unknown_clinic": "dispatch_clinic_id",
    "clinic_not_routed": "dispatch_clinic_id",
    "clinic_has_providers": "performs",
    "clinic_has_requests": "performs",
    "partner_has_requests": "performs",
}
_OF_OFFERINGS = "offerings."
_SECRET = "endpoint.secret"  # noqa: S105 - the name of a field
_OF_PLACES = frozenset({"same_name", "too_many"})
"""What the form itself says of its places: a place may be named as something that the partner calls otherwise."""

_IS_NOT_TOLD = _("A partner that answers requests is told of them by messages: say where, or uncheck this.")
_TYPE_IT_AGAIN = _("What was typed here is not kept in a page: type it again.")
_A_DAY = timedelta(days=1)


@router.get("/service-accounts/{account_id}/partner")
async def partner_page(account_id: UUID, visit: VisitOf) -> Response:
    """How messages of a system are taken, where it is told, and what became of what it was told."""
    return await _one(visit, account_id)


@router.post("/service-accounts/{account_id}/partner")
async def keep(account_id: UUID, visit: VisitOf) -> Response:
    """Say the terms; all of them, in the place of what was said before."""
    form = await visit.form()

    async def do() -> None:
        by, version = Administrator.of(visit.caller), pages.number_in(form, "version")
        await partners.keep_partner(visit.services, by, account_id, _terms(form), version)

    return await _done(visit, account_id, form, do, "partner_saved")


@router.post("/service-accounts/{account_id}/partner/on")
async def turn_on(account_id: UUID, visit: VisitOf) -> Response:
    """Messages go there again."""
    return await _turn(visit, account_id, True, "partner_on")


@router.post("/service-accounts/{account_id}/partner/off")
async def turn_off(account_id: UUID, visit: VisitOf) -> Response:
    """Nothing goes there any more."""
    return await _turn(visit, account_id, False, "partner_off")


async def _turn(visit: Visit, account_id: UUID, on: bool, sentence: str) -> Response:
    form, by = await visit.form(), Administrator.of(visit.caller)
    return await _done(
        visit, account_id, form, lambda: partners.turn_endpoint(visit.services, by, account_id, on=on), sentence
    )


@router.post("/service-accounts/{account_id}/partner/replay")
async def replay(account_id: UUID, visit: VisitOf) -> Response:
    """Send all once more that did not arrive, of so many days."""
    form, by = await visit.form(), Administrator.of(visit.caller)
    since = datetime.now(UTC) - days_in(form) * _A_DAY
    return await _done(
        visit,
        account_id,
        form,
        lambda: partner_endpoints.replay_since(visit.services, by, account_id, since),
        "partner_replayed",
    )


@router.post("/service-accounts/{account_id}/partner/messages/{message_id}/replay")
async def replay_message(account_id: UUID, message_id: UUID, visit: VisitOf) -> Response:
    """Send one once more, with what failed of its request."""
    form, by = await visit.form(), Administrator.of(visit.caller)
    return await _done(
        visit,
        account_id,
        form,
        lambda: partner_endpoints.replay_message(visit.services, by, account_id, message_id),
        "partner_replayed",
    )


async def _done(
    visit: Visit, account_id: UUID, form: FormData, do: Callable[[], Awaitable[object]], sentence: str
) -> Response:
    there = f"/service-accounts/{account_id}/partner"
    return await done(visit, do, there, sentence, partial(_one, visit, account_id, form))


async def _one(
    visit: Visit, account_id: UUID, form: FormData | None = None, error: Problem | Refusal | None = None
) -> Response:
    by = Administrator.of(visit.caller)
    system = await service_accounts.read_service_account(visit.services, by, account_id)
    terms = await partners.find_partner(visit.services, by, account_id)
    choices = await partners.list_choices(visit.services, by, account_id)
    state = _state_in(visit.request.query_params.get("status"))
    told = await partner_endpoints.list_messages(
        visit.services, by, account_id, state=state, before=pages.id_in(visit.request.query_params.get("before"))
    )
    is_written = form is not None and "licence_systems" in form
    shown = pages.written(form) if is_written else _as_written(terms, visit.language)
    told_wrong = _wrong(visit, form if is_written else None, error)
    wrong = {**_untold_secret(visit, form if is_written else None, error), **told_wrong}
    return visit.page(
        "partner",
        because=error,
        system=system,
        version=_version(form if is_written else None, error) or system.version,
        terms=terms,
        messages_address=f"{visit.services.settings.public_url}/fhir/$process-message",
        hindrance=hindrance_of(system),
        sees_lost=not visit.caller.roles.isdisjoint(SEES_LOST),
        liaisons={str(id_): name for id_, name in choices.liaisons.items()},
        clinics={str(id_): name for id_, name in choices.clinics.items()},
        offering_titles=await _titles(visit, shown),
        in_force=visit.services.offerings,
        counted=_counted(terms),
        told=[(one, *why(one)) for one in told.items],
        older=told.next,
        chosen_state=state,
        fault=_fault(terms),
        event_words=LOST_MESSAGES,
        message_words=MESSAGES,
        states=STATES,
        reasons=REASONS,
        term_words=TERMS,
        authorizations=AUTHORIZATIONS,
        document_ways=DOCUMENTS,
        replay_days=REPLAY_DAYS,
        form=shown,
        wrong=pages.written(wrong),
        notice=replace(summary(error, told_wrong, visit.language), items=links_to(wrong))
        if error
        else pages.done_notice(visit.request, visit.language),
    )


def _version(form: FormData | None, error: Problem | Refusal | None) -> int | None:
    """The version in which what is written was seen, for a correction overwrites no more than the form would have; the newest
    one for whoever was told that somebody was faster.
    """
    is_told = error is not None and error.code == "account_changed"
    return None if form is None or is_told else pages.number_in(form, "version")


# What the page shows


def hindrance_of(system: ServiceAccountView) -> str:
    """Why nothing comes from a system, or goes to it, whatever its terms are; empty where nothing does."""
    if system.state is not ServiceAccountState.ACTIVE:
        return _("The system is locked, or its last day is over: nothing is taken from it, and nothing goes there.")
    if Scope.MESSAGES_SEND not in system.scopes:
        return _("The system may not send messages: on its page, say first that it may.")
    return ""


def why(message: ToldMessageView) -> tuple[str, str]:
    """Why a message has not arrived, in words and as it was told; empty for one that has, or was not tried."""
    if message.state in (MessageState.DELIVERED, MessageState.DROPPED):
        return "", ""
    if message.last_error is not None:
        return _of_error(message.last_error, message)
    if message.last_status is None and message.answered is None:
        return (NOT_TRIED, "") if message.state is MessageState.FAILED else ("", "")
    return _of_answer(message), message.answered or _http(message)


def _of_error(code: str, message: ToldMessageView) -> tuple[str, str]:
    if code == NOT_READY and message.state is MessageState.FAILED:
        return NOT_TRIED, ""
    return FAULTS.get(code, BROKEN), _http(message)


def _http(message: ToldMessageView) -> str:
    return "" if message.last_status is None else f"HTTP {message.last_status}"


def _of_answer(message: ToldMessageView) -> str:
    """What an answer means. One to the message that was not final asks for another try."""
    status = message.last_status or 0
    if message.answered is not None or 200 <= status < 300:
        return TURNED_DOWN if message.state is MessageState.REFUSED else BROKEN
    if status in (401, 403):
        return NOT_BELIEVED
    if status in (404, 405, 410) or 300 <= status < 400:
        return NOT_THERE
    return BROKEN if status >= 500 or status in (408, 425, 429) else TURNED_DOWN


def _fault(terms: PartnerView | None) -> tuple[ToldMessageView, str, str] | None:
    """The newest message that has not arrived, and why."""
    last = terms.endpoint.last_fault if terms and terms.endpoint else None
    return (last, *why(last)) if last else None


def _counted(terms: PartnerView | None) -> list[tuple[MessageState, str, int]]:
    """What has not arrived, as far as there is any, with how many."""
    counts = terms.endpoint.messages if terms and terms.endpoint else {}
    return [(state, words, counts[state]) for state, words in COUNTS.items() if counts.get(state)]


def _state_in(text: str | None) -> MessageState | None:
    return next((state for state in MessageState if state == text), None)


async def _titles(visit: Visit, shown: Mapping[str, str]) -> dict[str, str]:
    """The service offerings that there are, and those that the terms still name, by code."""
    known = await newest_offerings(visit.services)
    named = {
        name.removeprefix(_OF_OFFERINGS) for name, text in shown.items() if name.startswith(_OF_OFFERINGS) and text
    }
    gone = {*named, shown["default_offering"]} - visit.services.offerings.keys() - {""}
    codes = (*visit.services.offerings, *sorted(gone))
    return {code: getattr(known[code].title, visit.language) if code in known else code for code in codes}


def _wrong(visit: Visit, form: FormData | None, error: Problem | Refusal | None) -> Mapping[str, str]:
    """What is wrong, by field of the page."""
    if form is None or error is None:
        return {}
    wrong: dict[str, str] = {}
    named = list(_named(form))
    faults = error.errors if isinstance(error, Problem) else ()
    places = {fault.field for fault in faults if fault.code in _OF_PLACES}
    for field, sentence in fields_of(error, visit.language, _PLACES).items():
        wrong.setdefault(field if field in places else _field_of(field, named), sentence)
    return wrong


def _untold_secret(visit: Visit, form: FormData | None, error: Problem | Refusal | None) -> Mapping[str, str]:
    """That a secret is to be typed again, where there may have been one: it stands in no page, whatever the form was not taken
    for.
    """
    if form is None or error is None or form.get("told") != "yes":
        return {}
    is_taken = form.get("endpoint.authorization") != Authorization.CLIENT_ASSERTION
    may_be_typed = form.get(_SECRET) or error.code == "sent_too_late"
    return {_SECRET: visit.say(_TYPE_IT_AGAIN)} if is_taken and may_be_typed else {}


def _field_of(field: str, named: Sequence[tuple[str, str]]) -> str:
    """The field of the page for a place in the terms: names of services, and systems of licences, stand in one text."""
    if field.startswith("licence_systems."):
        return "licence_systems"
    if field == "endpoint":
        return "told"
    if not field.startswith(_OF_OFFERINGS):
        return field
    said = field.removeprefix(_OF_OFFERINGS)
    places = [(name, place) for place, name in named if said == name or said.startswith(f"{name}.")]
    return max(places)[1] if places else field


# What the form says


def _terms(form: FormData) -> PartnerTerms:
    """The terms, as the form says them. Raises ValidationError, Problem `invalid_input`."""
    texts = _texts(form, "liaison_id", "dispatch_clinic_id", "language", "default_offering", "event_system")
    faults = [*_of_names(list(_named(form)))]
    if form.get("told") not in ("yes", "no"):
        faults.append(FieldFault("told", "required"))
    if form.get("told") == "no" and form.get("performs") == "yes":
        faults.append(FieldFault("performs", "not_an_option", _IS_NOT_TOLD))
    if "dispatch_clinic_id" not in texts:
        faults.append(FieldFault("dispatch_clinic_id", "required"))
    if faults:
        raise Problem("invalid_input", faults)
    said: dict[str, Any] = {
        **texts,
        "licence_systems": _lines(form, "licence_systems"),
        "offerings": {name: place.removeprefix(_OF_OFFERINGS) for place, name in _named(form)},
        "performs": form.get("performs") == "yes",
        "endpoint": _endpoint(form) if form.get("told") == "yes" else None,
    }
    return PartnerTerms.model_validate(said)


def _endpoint(form: FormData) -> dict[str, Any]:
    """Whether it is turned on is said apart."""
    names = ("url", "documents", "authorization", "token_url", "client_id", "token_scope", "secret")
    texts = _texts(form, *(f"endpoint.{name}" for name in names))
    return {"enabled": None, **{name.removeprefix("endpoint."): text for name, text in texts.items()}}


def _texts(form: FormData, *names: str) -> dict[str, str]:
    """Those fields of the form; what holds nothing but blanks is left out."""
    return {name: text for name, text in pages.said_in(form, *names).items() if text.strip()}


def _named(form: FormData) -> Iterator[tuple[str, str]]:
    """The field, and what in it the partner calls that service offering; each name of it once."""
    for place in form:
        if place.startswith(_OF_OFFERINGS):
            yield from ((place, name) for name in dict.fromkeys(_lines(form, place)))


def _of_names(named: Sequence[tuple[str, str]]) -> Iterator[FieldFault]:
    """What two service offerings are called by means neither; and how many names there may be."""
    if len(named) > MOST_NAMES:
        [(place, _count)] = Counter(place for place, _name in named).most_common(1)
        yield FieldFault(place, "too_many", limit=MOST_NAMES)
        return
    each = {(place, as_matched(name)) for place, name in named}
    times = Counter(name for _place, name in each)
    places = {place: 0 for place, name in named if times[as_matched(name)] > 1}
    yield from (FieldFault(place, "same_name") for place in places)


def _lines(form: FormData, name: str) -> list[str]:
    return [line.strip() for line in str(form.get(name, "")).splitlines() if line.strip()]


def _as_written(terms: PartnerView | None, language: str) -> Mapping[str, str]:
    """The terms, as the form has them."""
    if terms is None:
        return pages.written(event_system=ONTARIO, language=language)
    named = {f"{_OF_OFFERINGS}{code}": _names_of(terms, code) for code in terms.offerings.values()}
    return pages.written(
        {f"endpoint.{name}": value for name, value in _endpoint_as_written(terms.endpoint).items()},
        liaison_id=str(terms.liaison_id),
        dispatch_clinic_id=str(terms.dispatch_clinic_id),
        language=terms.language,
        default_offering=terms.default_offering or "",
        event_system=terms.event_system,
        licence_systems="\n".join(terms.licence_systems),
        performs="yes" if terms.performs else "",
        told="no" if terms.endpoint is None else "yes",
        **named,
    )


def _names_of(terms: PartnerView, code: str) -> str:
    return "\n".join(name for name, meant in terms.offerings.items() if meant == code)


def _endpoint_as_written(endpoint: EndpointView | None) -> Mapping[str, str]:
    names = {"url", "documents", "authorization", "token_url", "client_id", "token_scope"}
    said = endpoint.model_dump(mode="json", include=names) if endpoint else {}
    return {name: value or "" for name, value in said.items()}
