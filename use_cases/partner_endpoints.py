"""Where partners are told of their requests, for who administers the clinic; and what became of each message.

Messages go out in `partner_sender`; nothing is called here.
"""

import json
import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hmac import compare_digest
from typing import Annotated, Any
from urllib.parse import urlsplit
from uuid import UUID

from joserfc.jwk import ECKey
from prometheus_client import Gauge
from pydantic import Field, StringConstraints
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from domain.accounts import AccountEventKind
from domain.messages import MessageEvent
from domain.model import ONE_LINE, Frozen
from domain.told_partners import Authorization, Documents, MessageState, message_id
from domain.webhooks import SECRET_PREFIX, DisabledReason, EndpointState, secret_bytes
from engine.client import key_ring
from key_ring import EncryptionError, open_sealed, seal, sealed_anew
from outgoing.destinations import LONGEST_URL, ForbiddenError, destination_of
from records import partner_outbox
from records.database import Database
from records.ids import new_id
from records.models import PartnerEndpoint
from records.partner_outbox import REPLAYED, Listed
from records.visibility import all_shut_to
from settings import Settings
from use_cases.administrators import Administrator
from use_cases.gate import Starting
from use_cases.problems import FieldFault, Problem
from use_cases.service_accounts import changing, system_to_see
from use_cases.views import View
from use_cases.webhooks import Replayed, walls_of

WAITING = Gauge("relais_told_messages_waiting", "Messages to partners that should have gone by now")
OLDEST = Gauge("relais_oldest_waiting_told_message_seconds", "How long the oldest of them waits")

MESSAGES_SHOWN = 50

Url = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_URL), ONE_LINE]
Word = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1_000), ONE_LINE]

_SIGNING = re.compile(rf"{SECRET_PREFIX}[A-Za-z0-9+/]+={{0,2}}")


class _Where(Frozen):
    """Where a partner is told of its requests, and how it knows that it is Relais."""

    url: Url = Field(
        description="Where messages are sent (`$process-message`); https only.",
        examples=["https://records.example.ca/fhir/$process-message"],
    )
    documents: Documents = Field(
        Documents.INSIDE, description="Whether signed documents lie in the message, or it says where they are here."
    )
    authorization: Authorization = Field(
        description="`client_secret` and `client_assertion`: by a token from `token_url` (client_credentials). "
        "`signature`: each message is signed as webhooks are (Standard Webhooks)."
    )
    token_url: Url | None = Field(
        None, description="Where a token is asked for; https only.", examples=["https://records.example.ca/token"]
    )
    client_id: Word | None = Field(None, description="As which client Relais asks for a token.", examples=["relais"])
    token_scope: Word | None = Field(None, description="What is asked for with it.", examples=["system/Bundle.c"])


class EndpointTerms(_Where):
    """Where a partner is told of its requests. It replaces what was said before."""

    enabled: bool | None = Field(
        True,
        description="Whether messages go there; null leaves that as it is. What happens meanwhile has failed, and can be sent.",
    )
    secret: Word | None = Field(
        None,
        repr=False,
        description="The client’s secret, or for `signature` one of Standard Webhooks (`whsec_…`, 24 to 64 bytes). It is never "
        "shown. What was given before stays when it is left out; a client’s not where `token_url`, `client_id` or the origin of "
        "`url` are others.",
        json_schema_extra={"writeOnly": True},
    )


class ToldMessageView(View):
    """A message to a partner, and what became of it. What it says is not kept."""

    id: UUID
    message_id: UUID = Field(description="Its `MessageHeader.id`, of each try the same.")
    event: MessageEvent
    at: datetime = Field(description="When what it tells happened.")
    request_id: UUID
    number: str
    sequence: int = Field(description="Which row of the request's timeline it tells.")
    state: MessageState = Field(
        description="`refused`: by the partner's answer. `failed`: nobody answered for three days, or nothing goes there any "
        "more. `dropped`: when it was to go, the partner might not be told."
    )
    attempts: int = Field(description="Since it was written, or replayed.")
    next_attempt: datetime | None
    last_status: int | None
    last_error: str | None = Field(description="Why the last call had no answer to the message.")
    answered: str | None = Field(description="FHIR's code of why the partner did not take it.")
    told_to: str | None = Field(description="The host to which it went.")
    settled_at: datetime | None


class EndpointView(_Where, View):
    """Where a partner is told of its requests, and how that goes."""

    enabled: bool = Field(description="Whether messages go there. What happens meanwhile has failed, and can be sent.")
    state: EndpointState = Field(
        description="`unverified`: nobody there has answered a message yet; until then one alone is tried."
    )
    disabled_reason: DisabledReason | None
    verified_at: datetime | None = Field(description="When somebody there answered a message last.")
    failing_since: datetime | None = Field(description="Since when every call has failed.")
    paused_until: datetime | None = Field(description="Until when it asked to be left alone.")
    public_key: dict[str, str] | None = Field(
        description="For `client_assertion`: the key (JWK) that the partner registers for the client. It is another one where "
        "the origin of `url` is."
    )
    messages: dict[MessageState, int] = Field(
        description="How many messages wait, or did not arrive, by what became of them."
    )
    last_fault: ToldMessageView | None = Field(
        description="The newest message that has not arrived, with why; null where there is none."
    )


class EndpointSummary(View):
    """Where a partner is told, and whether that goes."""

    url: str
    state: EndpointState
    failing_since: datetime | None


class ToldMessagePage(View):
    """Messages to a partner, the newest first."""

    items: list[ToldMessageView]
    next: UUID | None = Field(description="For `before`, to go on; null at the end.")


# Seeing


async def view_of(session: AsyncSession, by: Administrator, partner_id: UUID) -> EndpointView | None:
    """Where a partner is told; None where its terms name nothing. What is shut to who asks is not counted."""
    endpoint = await partner_outbox.load(session, partner_id)
    if endpoint is None:
        return None
    now, counted = datetime.now(UTC), sorted({MessageState.PENDING, *REPLAYED})
    shut = await all_shut_to(session, by.viewer)
    fault = await partner_outbox.newest_fault(session, partner_id, shut)
    return EndpointView(
        url=endpoint.url,
        documents=endpoint.documents,
        authorization=endpoint.authorization,
        token_url=endpoint.token_url,
        client_id=endpoint.client_id,
        token_scope=endpoint.token_scope,
        enabled=endpoint.state is not EndpointState.DISABLED,
        state=endpoint.state,
        disabled_reason=endpoint.disabled_reason,
        verified_at=endpoint.verified_at,
        failing_since=endpoint.failing_since,
        paused_until=endpoint.paused_until if endpoint.paused_until and endpoint.paused_until > now else None,
        public_key=endpoint.public_key,
        messages=await partner_outbox.count_by_state(session, partner_id, counted, shut),
        last_fault=_shown(fault) if fault is not None else None,
    )


async def summary_of(session: AsyncSession, partner_id: UUID) -> EndpointSummary | None:
    """The same in short; no message is looked at."""
    endpoint = await partner_outbox.load(session, partner_id)
    if endpoint is None:
        return None
    return EndpointSummary(url=endpoint.url, state=endpoint.state, failing_since=endpoint.failing_since)


async def list_messages(
    services: Starting,
    by: Administrator,
    account_id: UUID,
    *,
    state: MessageState | None = None,
    before: UUID | None = None,
    limit: int = MESSAGES_SHOWN,
) -> ToldMessagePage:
    """What a partner was told, or is to be told, the newest first. Raises Problem `not_found`."""
    async with services.database.session() as session:
        await system_to_see(session, by, account_id)
        shut = await all_shut_to(session, by.viewer)
        listed = await partner_outbox.list_messages(
            session, account_id, state=state, before=before, limit=limit + 1, without=shut
        )
    shown = listed[:limit]
    return ToldMessagePage(
        items=[_shown(one) for one in shown], next=shown[-1].message.id if len(listed) > limit else None
    )


# Changing


async def keep(
    session: AsyncSession,
    settings: Settings,
    account_id: UUID,
    terms: EndpointTerms | None,
    now: datetime,
    *,
    by: UUID | None,
) -> Mapping[str, Any]:
    """Say where a partner is told, in the transaction of its terms; gives what is noted of the change: hosts, and which
    terms are others. `by` is who says so (None on the command line).

    Another address has to answer before more than one message goes there. Raises Problem `invalid_input`.
    """
    before = await partner_outbox.lock(session, account_id)
    host = _host(before)
    if terms is None:
        if before is not None:
            await partner_outbox.remove(session, before, now)
        return {"endpoint": [host, None]} if before is not None else {}
    _check(settings, terms)
    sealed, public = _secret(settings, account_id, terms, before)
    is_new = before is None or before.url != terms.url
    endpoint = before or PartnerEndpoint(account_id=account_id, state=EndpointState.UNVERIFIED)
    was_on = before is not None and before.state is not EndpointState.DISABLED
    off_as = before.disabled_reason if before is not None and terms.enabled is None else None
    said = {**_terms(terms), "sealed_secret": sealed, "public_key": public}
    others = {name for name, value in said.items() if before is None or getattr(before, name) != value}
    for name, value in said.items():
        setattr(endpoint, name, value)
    endpoint.version = new_id()
    if is_new:
        endpoint.given_by = by
    wanted = _is_wanted(terms, before)
    if is_new:
        _begin_anew(endpoint)
    session.add(endpoint)
    await session.flush()
    await _turn(session, endpoint, now, on=wanted, off_as=off_as or DisabledReason.BY_HAND)
    others |= {"enabled"} if was_on is not wanted else set()
    named = sorted(others - {"sealed_secret"} | ({"secret"} if "sealed_secret" in others else set()))
    return _noted(host, endpoint, named)


async def turn(session: AsyncSession, account_id: UUID, now: datetime, *, on: bool) -> Mapping[str, Any]:
    """Let messages go to where a partner is told, or nothing any more, in the transaction of whoever says so; all else stays.

    Gives what is noted of the change: nothing where it is so already. Raises Problem `partner_not_told` without an address.
    """
    endpoint = await partner_outbox.lock(session, account_id)
    if endpoint is None:
        raise Problem("partner_not_told")
    if on is (endpoint.state is not EndpointState.DISABLED):
        return {}
    await _turn(session, endpoint, now, on=on)
    return _noted(_host(endpoint), endpoint, ["enabled"])


async def says_the_same(
    session: AsyncSession, settings: Settings, account_id: UUID, terms: EndpointTerms | None
) -> bool:
    """Whether all of it is as these terms say already. They are kept from others who change them until the transaction ends."""
    before = await partner_outbox.lock(session, account_id)
    if before is None or terms is None:
        return before is None and terms is None
    if any(getattr(before, name) != value for name, value in _terms(terms).items()):
        return False
    if _is_wanted(terms, before) is (before.state is EndpointState.DISABLED):
        return False
    if terms.secret is None or terms.authorization is Authorization.CLIENT_ASSERTION:
        return True
    try:
        return compare_digest(kept_secret(settings, before).encode(), terms.secret.encode())
    except EncryptionError:  # this one is there to take its place
        return False


def _terms(terms: EndpointTerms) -> Mapping[str, Any]:
    """What of the terms is kept as it is said."""
    return terms.model_dump(include={"url", "documents", "authorization", "token_url", "client_id", "token_scope"})


def _is_wanted(terms: EndpointTerms, before: PartnerEndpoint | None) -> bool:
    """Whether messages are to go there from now on."""
    if terms.enabled is None:
        return before is None or before.state is not EndpointState.DISABLED
    return terms.enabled


async def _turn(
    session: AsyncSession,
    endpoint: PartnerEndpoint,
    now: datetime,
    *,
    on: bool,
    off_as: DisabledReason = DisabledReason.BY_HAND,
) -> None:
    """What was off has to answer once more before more than one message goes there."""
    is_off = endpoint.state is EndpointState.DISABLED
    if on and is_off:
        _begin_anew(endpoint)
        endpoint.version = new_id()
        await session.flush()
    elif not on and not is_off:
        await partner_outbox.disable(session, endpoint, off_as, now)


def _begin_anew(endpoint: PartnerEndpoint) -> None:
    endpoint.state, endpoint.disabled_reason = EndpointState.UNVERIFIED, None
    endpoint.verified_at = endpoint.failing_since = endpoint.paused_until = None


def _noted(host: str | None, endpoint: PartnerEndpoint, terms: Sequence[str]) -> Mapping[str, Any]:
    """Of addresses only the hosts: in the rest may be what is secret."""
    return {"endpoint": [host, _host(endpoint)], "endpoint_terms": [None, ", ".join(terms)]}


async def replay_message(services: Starting, by: Administrator, account_id: UUID, id_: UUID) -> ToldMessageView:
    """Send a message once more that did not arrive, under the same id; what failed of its request goes with it, in its order.

    Raises Problem `not_found`, `partner_not_told`, `message_not_replayable`.
    """
    async with changing(services, by, account_id) as at:
        await _must_be_on(at.session, account_id)
        shut = await all_shut_to(at.session, by.viewer)
        found = await partner_outbox.load_message(at.session, account_id, id_, shut)
        if found is None:
            raise Problem("not_found")
        if found.message.state not in REPLAYED:
            raise Problem("message_not_replayable")
        count = await partner_outbox.replay(at.session, found.message)
        at.note(AccountEventKind.PARTNER_REPLAYED, {"messages": [None, str(count)]})
        again = await partner_outbox.load_message(at.session, account_id, id_)
        return _shown(again or found)


async def replay_since(services: Starting, by: Administrator, account_id: UUID, since: datetime) -> Replayed:
    """Send all once more that did not arrive and happened since then. Raises Problem `not_found`, `partner_not_told`."""
    async with changing(services, by, account_id) as at:
        await _must_be_on(at.session, account_id)
        count = await partner_outbox.replay_since(at.session, account_id, since)
        at.note(AccountEventKind.PARTNER_REPLAYED, {"messages": [None, str(count)]})
        return Replayed(messages=count)


async def _must_be_on(session: AsyncSession, account_id: UUID) -> None:
    endpoint = await partner_outbox.lock(session, account_id)
    if endpoint is None or endpoint.state is EndpointState.DISABLED:
        raise Problem("partner_not_told")


# Secrets


def kept_secret(settings: Settings, endpoint: PartnerEndpoint) -> str:
    """What the partner has given, or the private key (JWK)."""
    return open_sealed(key_ring(settings), endpoint.sealed_secret, _place_of(endpoint.account_id)).decode()


def signing_secret(settings: Settings, endpoint: PartnerEndpoint) -> bytes:
    """With what messages are signed."""
    return secret_bytes(kept_secret(settings, endpoint))


async def seal_anew(settings: Settings) -> int:
    """Seal with the first key of the ring what was sealed with another, before that one goes; gives for how many partners."""
    ring = key_ring(settings)
    async with Database.opened(settings) as database, database.session() as session:
        endpoints = await partner_outbox.all_endpoints(session)
        for endpoint in endpoints:
            endpoint.sealed_secret = sealed_anew(ring, endpoint.sealed_secret, _place_of(endpoint.account_id))
        return sum(map(session.is_modified, endpoints))


def _place_of(account_id: UUID) -> str:
    return f"partner {account_id}"


def _secret(
    settings: Settings, account_id: UUID, terms: EndpointTerms, before: PartnerEndpoint | None
) -> tuple[str, dict[str, str] | None]:
    """What is kept sealed, and the public key that belongs to it. Raises Problem `invalid_input`."""
    stays = before is not None and before.authorization is terms.authorization
    is_elsewhere = before is not None and _origin(before.url) != _origin(terms.url)  # tokens would go to somebody else
    if terms.authorization is Authorization.CLIENT_ASSERTION:
        if stays and before is not None and not is_elsewhere:
            return before.sealed_secret, before.public_key
        key = ECKey.generate_key("P-384", private=True)
        public = {**key.as_dict(private=False), "alg": "ES384", "use": "sig", "kid": key.thumbprint()}
        text = json.dumps(key.as_dict(private=True))
        return seal(key_ring(settings), text.encode(), _place_of(account_id)), {k: str(v) for k, v in public.items()}
    if terms.secret is not None:
        if terms.authorization is Authorization.SIGNATURE and not _signs(terms.secret):
            raise _fault("secret", "not_a_signing_secret")
        return seal(key_ring(settings), terms.secret.encode(), _place_of(account_id)), None
    is_sent = terms.authorization is Authorization.CLIENT_SECRET
    if before is None or not stays:
        raise _fault("secret", "required")
    if is_sent and (is_elsewhere or (before.token_url, before.client_id) != (terms.token_url, terms.client_id)):
        raise _fault("secret", "required")  # it, or what it gets, would go to somebody who did not have it
    return before.sealed_secret, None


def _origin(url: str) -> tuple[str, str | None, int]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or 443


def _signs(secret: str) -> bool:
    if not _SIGNING.fullmatch(secret):
        return False
    try:
        return 24 <= len(b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)) <= 64
    except ValueError:
        return False


def _check(settings: Settings, terms: EndpointTerms) -> None:
    """Raises Problem `invalid_input` for an address to which nothing may go, and what a token needs."""
    faults = []
    is_token = terms.authorization is not Authorization.SIGNATURE
    for name in ("token_url", "client_id") if is_token else ():
        if getattr(terms, name) is None:
            faults.append(FieldFault(f"endpoint.{name}", "required"))
    for name in ("url", "token_url"):
        url = getattr(terms, name)
        try:
            if url is not None:
                destination_of(url, walls_of(settings))
        except ForbiddenError as error:
            faults.append(FieldFault(f"endpoint.{name}", error.code))
    if faults:
        raise Problem("invalid_input", faults)


def _fault(name: str, code: str) -> Problem:
    return Problem("invalid_input", [FieldFault(f"endpoint.{name}", code)])


def _host(endpoint: PartnerEndpoint | None) -> str | None:
    return urlsplit(endpoint.url).hostname if endpoint is not None else None


# For those who keep it running


async def measure(services: Starting) -> None:
    """Set the gauges; while the database is away, they stay as they are."""
    now = datetime.now(UTC)
    try:
        async with services.database.session() as session:
            count, since = await partner_outbox.waiting(session, now)
    except (SQLAlchemyError, OSError):
        return
    WAITING.set(count)
    OLDEST.set((now - since).total_seconds() if since else 0)


def _shown(found: Listed) -> ToldMessageView:
    message = found.message
    return ToldMessageView(
        id=message.id,
        message_id=message_id(message.request_id, message.sequence, message.event),
        event=message.event,
        at=message.at,
        request_id=message.request_id,
        number=found.number,
        sequence=message.sequence,
        state=message.state,
        attempts=message.attempts,
        next_attempt=message.next_attempt if message.state is MessageState.PENDING else None,
        last_status=message.last_status,
        last_error=message.last_error,
        answered=message.answered,
        told_to=message.told_to,
        settled_at=message.settled_at,
    )
