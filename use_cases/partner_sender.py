"""The sender of messages to partners: takes up what is due, makes each message of the request as it was, and sends it.

It works as the sender of webhooks does (`sending.py`). Whether a partner may be told is asked when the message goes, in the
transaction that writes into the audit that it went. What a message says, and what an answer means, is FHIR's (`Words`). See
docs/decisions/messages-to-partners.md.
"""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from documents.verification import document_hash
from domain.accounts import AccountEventKind, LetterKind
from domain.asked_partners import SENT
from domain.audit import Act
from domain.fhir_course import tasks_of
from domain.messages import MessageEvent
from domain.requests import Role
from domain.told_partners import (
    MOST_READ,
    NOT_READY,
    PATIENCE,
    Authorization,
    Documents,
    Heard,
    Outcome,
    judge,
    message_id,
)
from domain.webhooks import WITH_DOCUMENT, DisabledReason, EndpointState, Tried, is_given_up, signature
from outgoing.calls import Answer, CallError, Calls
from records import (
    account_events,
    account_letters,
    attachments,
    audit,
    cases,
    partner_outbox,
    partner_queue,
    partners,
    people,
    reports,
)
from records.audit import By
from records.database import Database
from records.errors import ContentDiffersError, NotFoundError
from records.models import (
    Account,
    Attachment,
    Clinic,
    EventRecord,
    Partner,
    PartnerEndpoint,
    Side,
    StoredDocument,
    ToldMessage,
)
from records.offering_versions import OfferingVersions
from records.partner_queue import Taken, Told
from records.store import DocumentStore
from settings import Settings
from use_cases.asked_files import AskedFile, NotReadyError, files_named, read_files
from use_cases.cases import Case, case_as_it_was, submitted
from use_cases.known_people import Person
from use_cases.partner_endpoints import signing_secret
from use_cases.partner_tokens import NoTokenError, Tokens
from use_cases.sending import BY_ITSELF, Sending
from use_cases.webhooks import walls_of

USER_AGENT = "Relais-Messages/1"
FHIR = "application/fhir+json"

NOT_MADE = "not_made"
"""The code of a message that can't be made now: something of the request does not open, or its document is not there. Whatever
else goes wrong with one has this code, too: it is tried again like the rest, and others go on."""

READY_AFTER = timedelta(seconds=30)
"""After so long it is looked again whether the files of a message are ready; that is no try of it."""

KNOWN_FOR = timedelta(days=3)
"""So long somebody's answer says who hears messages at an address: later, or once something has failed there since, somebody has
to answer again before a chart goes. Addresses change owners."""

NO_TOKEN = "no_token"  # noqa: S105 - the name of a fault
"""The code of a call before which no token was given: nothing was sent."""

log = structlog.get_logger(__name__)


def calls_for(settings: Settings) -> Calls:
    """Calls within the walls that the settings draw, as webhooks go."""
    return Calls(walls_of(settings), patience=PATIENCE, most_read=MOST_READ)


@dataclass(frozen=True)
class Giving:
    """With which event the partner was asked for a request, and which of the request's Tasks began or went on with it."""

    sequence: int
    task: int


@dataclass(frozen=True)
class Telling:
    """All that a message is made of. `called` is what the partner calls the request: a system, and a value. `pdf` is the document
    with which the event came, where it goes inside. Of what is asked, `given` says as which order, and `files` go along.
    `is_shut`: nobody's words or name go.
    """

    settings: Settings
    message: ToldMessage
    event: EventRecord
    partner: Partner
    endpoint: PartnerEndpoint
    case: Case
    people: Mapping[UUID, Person]
    clinics: Mapping[UUID, Clinic]
    called: tuple[str, str] | None
    pdf: bytes | None = field(default=None, repr=False)
    given: Giving | None = None
    files: tuple[AskedFile, ...] = ()
    is_shut: bool = False


@dataclass(frozen=True)
class _Ready:
    """A message that may go, without the bytes that go in it: of which files, or of which document, it is made."""

    telling: Telling
    files: Sequence[Attachment] = ()
    document: StoredDocument | None = None


@dataclass(frozen=True)
class Words:
    """How a message is written, and what an answer (its status and body) says of the message with that id; and how the message
    with that id is written that is about nobody, by which it is found out whether anybody hears messages there.
    """

    write: Callable[[Telling], bytes]
    heard: Callable[[int, bytes, UUID], Heard]
    knock: Callable[[Telling, UUID], bytes]


@dataclass(frozen=True)
class Done:
    """What was done about a message: where it was sent, if it was; how that went; what was answered."""

    called: PartnerEndpoint | None
    tried: Tried
    heard: Heard = field(default_factory=Heard)


class PartnerSender(Sending[Taken]):
    """The sender. `clock` and `chance` (from 0 to 1, for the pauses) are others in tests."""

    WHAT = "messages to partners"
    CHANNEL = partner_outbox.CHANNEL
    AT_ONCE = 100
    """Each holds a document at most, of which there is little; charts are fewer (`CHARTS_AT_ONCE`)."""
    CHARTS_AT_ONCE = 8
    """So many messages with files of requests are made and under way at once: each holds some 18 MB of files, and its text."""
    PATIENCE = 3 * PATIENCE  # a token and what is about nobody come first

    def __init__(
        self,
        settings: Settings,
        database: Database,
        store: DocumentStore,
        calls: Calls,
        words: Words,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        chance: Callable[[], float] = random.random,
    ) -> None:
        super().__init__(database)
        self._settings = settings
        self._store = store
        self._calls = calls
        self._words = words
        self._clock = clock
        self._chance = chance
        self._tokens = Tokens(settings, calls)
        self._versions = OfferingVersions({})
        self._charts = asyncio.Semaphore(self.CHARTS_AT_ONCE)

    async def _take_up(self, most: int) -> list[Taken]:
        async with self._database.session() as session:
            return await partner_queue.take_up(session, self._number, self._clock(), most)

    async def _send(self, taken: Taken) -> None:
        try:
            done = await self._done(taken)
        except (SQLAlchemyError, OSError):  # the database is away: nothing was done
            raise
        except NotReadyError:
            async with self._database.session() as session:
                await partner_queue.put_off(session, taken, self._clock() + READY_AFTER, NOT_READY)
            return
        except Exception as error:  # one that can't be made must not hold up those of others
            log.error("a message to a partner can't be made", message_id=str(taken.id), error=type(error).__name__)
            done = Done(None, Tried(self._clock(), error=NOT_MADE))
        if done is not None:
            await self._settle(taken, done.called, done.tried, done.heard)

    async def _done(self, taken: Taken) -> Done | None:
        """Make it and send it. None for what may not go (any more). Raises what stands in the way of making it."""
        ready = await self._ready(taken)
        if ready is None:
            return None
        message, answer, error = ready.telling.message, None, None
        id_ = message_id(message.request_id, message.sequence, message.event)
        try:
            answer = await self._call(taken, ready, id_)
            if answer is None:
                return None
        except CallError as failed:
            error = failed.code
        except NoTokenError:
            error = NO_TOKEN
        heard = self._words.heard(answer.status, answer.start, id_) if answer else Heard()
        status, retry_after = (answer.status, answer.retry_after) if answer else (None, None)
        return Done(ready.telling.endpoint, Tried(self._clock(), status, retry_after, error), heard)

    # What it says

    async def _ready(self, taken: Taken) -> _Ready | None:
        """What the message is made of; None where the partner may not be told. Raises what a request that does not open does,
        NotFoundError.
        """
        async with self._database.session() as session:
            told = await partner_queue.to_tell(session, taken, self._clock())
            if told is None:
                return None
            telling = await self._made_of(session, told)
            if told.message.event in SENT:
                return _Ready(*await _asked(session, telling))
            return _Ready(telling, document=await _document_of(session, telling))

    async def _written(self, ready: _Ready) -> bytes:
        """The message itself. No connection of the database is held meanwhile.

        Raises NotFoundError, NotReadyError, ContentDiffersError, StoreError.
        """
        telling, document = ready.telling, ready.document
        if telling.given is not None:
            files = await read_files(self._settings, self._store, ready.files)
            return self._words.write(replace(telling, files=files))
        if document is None:
            return self._words.write(telling)
        pdf = await self._store.get(document.object_key)
        if document_hash(pdf) != document.pdf_sha256:
            raise ContentDiffersError
        return self._words.write(replace(telling, pdf=pdf))

    async def _made_of(self, session: AsyncSession, told: Told) -> Telling:
        row, through = told.row, told.through
        case = await case_as_it_was(session, self._versions, row, through.sequence, through.version)
        event = next(one for one in case.events if one.version == told.message.sequence)
        received = await partners.received(session, row.id)
        name = received.content["identifier"] if received is not None else None
        known = await _known(session, case)
        return Telling(
            settings=self._settings,
            message=told.message,
            event=event,
            partner=told.partner,
            endpoint=told.endpoint,
            case=case,
            people=known[0],
            clinics=known[1],
            called=(name["system"], name["value"]) if name and name["value"] else None,
            is_shut=told.is_shut,
        )

    # The call

    async def _call(self, taken: Taken, ready: _Ready, id_: UUID) -> Answer | None:
        """Make it and send it, if it still may go. None where it may not. Raises CallError, NoTokenError, and as `_written`."""
        telling = ready.telling
        if telling.given is not None and not _is_known(telling.endpoint, self._clock()):
            knocked = await self._knocked(telling)
            if knocked is not None:
                return knocked
            await self._note_there(telling.endpoint)
        if not ready.files:
            return await self._made_and_sent(taken, ready, id_)
        async with self._charts:
            return await self._made_and_sent(taken, ready, id_)

    async def _made_and_sent(self, taken: Taken, ready: _Ready, id_: UUID) -> Answer | None:
        body, endpoint = await self._written(ready), ready.telling.endpoint
        headers = await self._headers(endpoint, id_, body)
        if not await self._may_go(taken, ready.telling):
            return None
        return await self._post(endpoint, body, headers)

    async def _knocked(self, telling: Telling) -> Answer | None:
        """Whether somebody hears messages there who did not lately: asked by one about nobody, before anybody's chart goes.

        Gives what came back where it is no answer to a message. Raises CallError, NoTokenError.
        """
        id_ = uuid4()
        body = self._words.knock(telling, id_)
        answer = await self._post(telling.endpoint, body, await self._headers(telling.endpoint, id_, body))
        return answer if self._words.heard(answer.status, answer.start, id_).code is None else None

    async def _note_there(self, endpoint: PartnerEndpoint) -> None:
        """Somebody there has answered: that stands from now on, whatever becomes of the chart that comes next."""
        now = self._clock()
        async with self._database.session() as session:
            there = await partner_outbox.lock(session, endpoint.account_id)
            if there is not None and there.version == endpoint.version and there.state is not EndpointState.DISABLED:
                await _note_heard(session, there, now)

    async def _post(self, endpoint: PartnerEndpoint, body: bytes, headers: Mapping[str, str]) -> Answer:
        answer = await self._calls.post(endpoint.url, body, headers)
        if answer.status == 401:
            self._tokens.forget(endpoint)
        return answer

    async def _headers(self, endpoint: PartnerEndpoint, id_: UUID, body: bytes) -> Mapping[str, str]:
        return {
            "Content-Type": f"{FHIR}; charset=utf-8",
            "Accept": FHIR,
            "User-Agent": USER_AGENT,
            "X-Request-ID": str(uuid4()),
            **await self._authorized(endpoint, id_, body),
        }

    async def _authorized(self, endpoint: PartnerEndpoint, id_: UUID, body: bytes) -> Mapping[str, str]:
        if endpoint.authorization is not Authorization.SIGNATURE:
            return {"Authorization": f"Bearer {await self._tokens.token_of(endpoint)}"}
        timestamp = int(self._clock().timestamp())
        secret = signing_secret(self._settings, endpoint)
        return {
            "webhook-id": str(id_),
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature([secret], str(id_), timestamp, body),
        }

    async def _may_go(self, taken: Taken, telling: Telling) -> bool:
        """Whether it may still go, right before it does, to where it was made for; that it goes there is written down, once."""
        now = self._clock()
        async with self._database.session() as session:
            told = await partner_queue.to_tell(session, taken, now)
            if told is None:
                return False
            endpoint = telling.endpoint
            if (told.endpoint.version, told.is_shut) != (endpoint.version, telling.is_shut):
                told.message.claimed_by = None  # the terms are others now, or it was shut meanwhile: it is made anew
                return False
            host = urlsplit(endpoint.url).hostname or ""
            if await partner_queue.note_told_to(session, told.message, host):
                _note_told(session, told, host, now)
        return True

    # What came of it

    async def _settle(self, taken: Taken, called: PartnerEndpoint | None, tried: Tried, heard: Heard) -> None:
        """Write down what became of it. What came from where the partner was says nothing of where it is now."""
        async with self._database.session() as session:
            found = await partner_outbox.lock(session, taken.partner_id)
            endpoint = found if found is not None and called is not None and found.version == called.version else None
            message = await session.get(ToldMessage, taken.id, populate_existing=True)
            if message is None:
                return
            is_known = endpoint is not None and endpoint.verified_at is not None
            if endpoint is not None and message.event in SENT:  # what came back may be of who was asked about nobody
                is_known = _is_known(endpoint, self._clock())
            outcome = judge(tried, heard, message.attempts, self._chance(), is_known=is_known)
            if await partner_queue.settle(session, taken, tried, heard.why, outcome) and endpoint is not None:
                await _follow(session, endpoint, tried, outcome)
        log.info(
            "message to a partner",
            message_id=str(taken.id),
            account_id=str(taken.partner_id),
            status=outcome.state.value,
            code=tried.error or heard.why,
        )


def _is_known(endpoint: PartnerEndpoint, now: datetime) -> bool:
    """Whether somebody there has answered lately, and nothing has failed since."""
    verified_at = endpoint.verified_at
    return verified_at is not None and endpoint.failing_since is None and now - verified_at < KNOWN_FOR


async def _asked(session: AsyncSession, telling: Telling) -> tuple[Telling, list[Attachment]]:
    """The same as it is asked: as which order, with the form of then and the files that go along."""
    case, message = telling.case, telling.message
    forms = submitted((await cases.forms_of(session, [case.id]))[case.id], case.events)
    is_new = message.event is MessageEvent.ADD_REQUEST
    of_partner = (session, message.partner_id, case.id)
    given = message.sequence if is_new else await partner_outbox.giving_of(*of_partner, before=message.sequence)
    if given is None:
        raise NotFoundError
    task = tasks_of(event for event in case.events if event.version <= given)[-1].number
    named = files_named(message.event, telling.event, case.events, forms[-1])
    there = await attachments.list_attachments(session, case.id, with_removed=True)
    made = replace(telling, case=replace(case, forms=forms), given=Giving(given, task))
    return made, [one for one in there if one.id in named]


async def _document_of(session: AsyncSession, telling: Telling) -> StoredDocument | None:
    """The document that goes inside the message. Raises NotFoundError."""
    event = telling.event
    if event.name not in WITH_DOCUMENT or telling.endpoint.documents is not Documents.INSIDE:
        return None
    document = await reports.find_document(session, UUID(event.command["report_id"]))
    if document is None or document.request_id != event.request_id:
        raise NotFoundError
    return document


async def _known(session: AsyncSession, case: Case) -> tuple[Mapping[UUID, Person], Mapping[UUID, Clinic]]:
    """The people and clinics that the request has had to do with."""
    account_ids, clinic_ids = {case.row.requester_id}, {case.row.requester_clinic_id, case.row.dispatch_clinic_id}
    account_ids.update(one.signer_id for one in case.documents)
    clinic_ids.update(signed.signer.clinic_id for signed in case.process.documents)
    for event in case.events:
        account_ids.update(id_ for id_ in (event.actor_id, _uuid(event.holder["id"])) if id_)
        clinic_ids.update(id_ for id_ in (_uuid(event.holder["clinic_id"]),) if id_)
    accounts = [one for id_ in sorted(account_ids) if (one := await people.load_account(session, id_))]
    clinic_ids.update(account.clinic_id for account in accounts)
    clinics = {id_: found for id_ in sorted(clinic_ids) if (found := await people.load_clinic(session, id_))}
    return {account.id: Person(account, clinics[account.clinic_id]) for account in accounts}, clinics


def _uuid(text: str | None) -> UUID | None:
    return UUID(text) if text else None


def _note_told(session: AsyncSession, told: Told, host: str, now: datetime) -> None:
    """A communication of somebody's data: to whose system, about which request, what, and where to."""
    account, message = told.system.account, told.message
    is_asked = message.event in SENT
    by = By(account.id, Side.SYSTEM, None, account.clinic_id, None if is_asked else told.row.requester_id)
    audit.add(
        session,
        Act.MESSAGE,
        by,
        now,
        name=message.event.value,
        role=Role.PROVIDER if is_asked else Role.REQUESTER,
        request_id=message.request_id,
        object_id=message.id,
        version=told.through.sequence,
        content={"to": host},
    )


async def _follow(session: AsyncSession, endpoint: PartnerEndpoint, tried: Tried, outcome: Outcome) -> None:
    """What a call says of the partner's endpoint: somebody is there, it wants to be left alone for some time, or for ever."""
    if endpoint.state is EndpointState.DISABLED:
        return
    if outcome.paused_until is not None:
        endpoint.paused_until = max(outcome.paused_until, endpoint.paused_until or outcome.paused_until)
    if outcome.was_heard:
        await _note_heard(session, endpoint, tried.at)
        return
    endpoint.failing_since = endpoint.failing_since or tried.at
    if outcome.is_gone:
        await _give_up(session, endpoint, DisabledReason.GONE, tried.at)
    elif is_given_up(endpoint.failing_since, tried.at):
        await _give_up(session, endpoint, DisabledReason.FAILING, tried.at)


async def _note_heard(session: AsyncSession, endpoint: PartnerEndpoint, now: datetime) -> None:
    """Whoever hears messages there has answered one."""
    endpoint.failing_since = None
    endpoint.verified_at = now
    if endpoint.state is EndpointState.UNVERIFIED:
        endpoint.state = EndpointState.ACTIVE
        await _note(session, AccountEventKind.PARTNER_VERIFIED, endpoint, now)


async def _give_up(session: AsyncSession, endpoint: PartnerEndpoint, reason: DisabledReason, now: datetime) -> None:
    """Nothing goes there any more, and the clinic's administrators are told, as of webhooks."""
    await partner_outbox.disable(session, endpoint, reason, now)
    account = await _note(session, AccountEventKind.PARTNER_DISABLED, endpoint, now)
    await account_letters.write_to_administrators(session, LetterKind.PARTNER_DISABLED, account.clinic_id, now)
    log.warning("an endpoint of a partner is given up", account_id=str(endpoint.account_id), code=reason.value)


async def _note(session: AsyncSession, kind: AccountEventKind, endpoint: PartnerEndpoint, now: datetime) -> Account:
    account = await session.get_one(Account, endpoint.account_id)
    account_events.note(session, kind, account, BY_ITSELF, now, {"endpoint": [None, urlsplit(endpoint.url).hostname]})
    return account
