"""What partners send by `$process-message`: each message is read, done once, and answered as a message.

What can't be read is an error of HTTP with an OperationOutcome, as everywhere; what was read and can't be done is answered with
`fatal-error` and 200; what can be done later with `transient-error` and 503.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from uuid import UUID

import structlog
from fastapi import Request
from fastapi.responses import Response

from domain.messages import MessageEvent
from domain.refusals import Refusal, RefusalCode
from fhir.addresses import Server
from fhir.asked import order_system
from fhir.elements import CodeableConcept, Coding
from fhir.formats import format_wanted, received
from fhir.incoming import Message, Parsed, header_id, is_known, parsed, read_message, unread_of
from fhir.outcomes import NotTaken
from fhir.replies import Code, Json, reply, sent_again
from fhir.requests import placer, tasks
from fhir.resources import Issue, OperationOutcome, Task
from records.models import Partner
from translations import gettext_for, language_named
from translations import gettext_noop as _
from translations.problems import problem_sentence
from use_cases import partner_answers, partner_messages, partner_requests
from use_cases.attended import Attended
from use_cases.caller import Caller
from use_cases.cases import Behind, read_case
from use_cases.partner_messages import InHand, OtherContentError, Unheard
from use_cases.partner_requests import Done
from use_cases.partners import partner_of
from use_cases.performed import Performed, Unread
from use_cases.problems import Problem, passing_problem
from use_cases.services import Services
from web.observe import tell
from web.problems import headers_of, status_of

log = structlog.get_logger(__name__)

NO_ASYNC = _("Messages are answered at once: “async” is not supported.")
NOT_FOR_BODY = _("A message has a body of the type application/fhir+json.")
OTHER_CONTENT = _("A message with this id came before, and said something else.")
NOT_SUPPORTED = _("Messages of this event are not acted on here.")
_TYPES = ("application/fhir+json", "application/json", "application/json+fhir")
_CORRELATION = "X-Correlation-ID"
_LONGEST_NAME = 200


async def process(request: Request, services: Services, caller: Caller, attended: Attended) -> Response:
    """The answer to a message. Raises NotTaken; Problem for who may not send any, or where there is no place now.

    A message is read when it is its turn, for it is held whole.
    """
    wanted = format_wanted(request)
    correlation = request.headers.get(_CORRELATION, "")
    if 0 < len(correlation) <= _LONGEST_NAME and correlation.isprintable() and correlation.isascii():
        tell(request, {_CORRELATION: correlation})
    if caller.system is None:
        raise Problem("insufficient_scope")
    async with services.messages.place_for(caller.actual_id):
        body = await received(request)
        partner, message = await _read(request, services, caller, body)
        server = _server_for(services, partner)
        answer = await _Work(services, caller, partner, server, message).done(body, attended)
    sent = json.dumps(sent_again(answer.message), ensure_ascii=False, separators=(",", ":")).encode()
    return Response(sent, answer.status, answer.headers, f"{wanted}; charset=utf-8")


async def _read(request: Request, services: Services, caller: Caller, body: bytes) -> tuple[Partner, Message]:
    """The partner and its message. What is refused is kept. Raises NotTaken; Problem `forbidden` where no terms are said."""
    came: Parsed | None = None
    partner: Partner | None = None
    try:
        _must_be_taken(request)
        partner = await partner_of(services, caller)
        came = await asyncio.to_thread(parsed, body)
        language = language_named(partner.language)
        performs = await partner_answers.may_speak(services, partner)
        return partner, await asyncio.to_thread(read_message, came, language, performs=performs)
    except (NotTaken, Problem) as error:
        id_, digest = (header_id(came.value), came.digest) if came is not None else (None, "")
        unheard = None
        if partner is not None and came is not None:
            unread = await asyncio.to_thread(unread_of, came)
            unheard = await _unheard(services, partner, _server_for(services, partner), unread)
        await partner_messages.keep_refused(services, caller.actual_id, id_, body, error.code, digest, unheard)
        raise


def _server_for(services: Services, partner: Partner) -> Server:
    """As it speaks to that partner."""
    return Server.of(services.settings, language_named(partner.language))


async def _unheard(
    services: Services, partner: Partner, server: Server, said: Unread | Performed | None
) -> Unheard | None:
    """What is lost of what a performer says where the message is not even taken in hand; None where it is about nothing that the
    partner was asked.
    """
    if said is None:
        return None
    request_id = await partner_answers.request_spoken_of(services, partner, said.names, order_system(server))
    return Unheard(said.event, request_id, said.has_report) if request_id is not None else None


def _must_be_taken(request: Request) -> None:
    """Raises NotTaken for what is asked in a way that there is not."""
    if request.query_params.get("async", "false").casefold() == "true":
        raise NotTaken(NO_ASYNC, code="not-supported", about="async")
    if request.headers.get("content-type", "").partition(";")[0].strip().casefold() not in _TYPES:
        raise NotTaken(NOT_FOR_BODY, status=415, code="not-supported")


@dataclass(frozen=True)
class _Answer:
    message: Json
    status: int
    headers: dict[str, str]


@dataclass(frozen=True)
class _Work:
    services: Services
    caller: Caller
    partner: Partner
    server: Server
    message: Message

    async def done(self, body: bytes, attended: Attended) -> _Answer:
        """The message done, or the answer that it had."""
        id_, event = self.partner.account_id, self.message.event
        try:
            async with partner_messages.in_hand(
                self.services, id_, self.message.id, event, self.message.digest, body
            ) as taken:
                if taken.answer is not None:
                    return _Answer(taken.answer, HTTPStatus.OK, {})
                return await self._do(taken, attended)
        except OtherContentError:
            digest = self.message.digest
            unheard = await _unheard(self.services, self.partner, self.server, self.message.performed)
            await partner_messages.keep_refused(self.services, id_, self.message.id, body, "duplicate", digest, unheard)
            return _Answer(self._reply("fatal-error", self._issue("duplicate", OTHER_CONTENT)), HTTPStatus.CONFLICT, {})
        except Exception as error:
            passing = error if isinstance(error, Problem | Refusal) else passing_problem(error)
            if passing is None:
                raise
            return self._later(passing)

    async def _do(self, taken: InHand, attended: Attended) -> _Answer:
        """Raises Problem or Refusal for what can be done later."""
        problem: str | None = None
        try:
            answer, about = await self._act(taken.tries, attended)
        except (Problem, Refusal) as error:
            if _passes(error):
                raise
            problem = error.code
            log.warning("a message of a partner can't be done", account_id=str(self.partner.account_id), code=problem)
            answer, about = self._reply("fatal-error", self._outcome(error)), await self._spoken_of()
        performed = self.message.performed
        has_report = performed is not None and performed.has_report
        await partner_messages.answered(self.services, taken, answer, about, problem, has_report=has_report)
        return _Answer(answer, HTTPStatus.OK, {})

    async def _act(self, tries: int, attended: Attended) -> tuple[Json, UUID | None]:
        """What the message says, done: the answer, and the request. Raises Problem or Refusal for what can't be done (now)."""
        message, who = self.message, (self.services, self.caller, self.partner)
        if message.performed is not None:
            done = await partner_answers.act(*who, message.performed, order_system(self.server), attended)
            return self._reply("ok", None), done.request_id
        if message.said is not None:
            done = await partner_requests.act(*who, message.said, attended, tries)
            return await self._with_task(done), done.request_id
        is_taken = is_known(message.event) and "response" not in message.header
        outcome = None if is_taken else self._issue("not-supported", NOT_SUPPORTED)
        return self._reply("ok" if is_taken else "fatal-error", outcome), None

    async def _spoken_of(self) -> UUID | None:
        """The request that a message is about which can't be done, where it can be told."""
        said, performed = self.message.said, self.message.performed
        if performed is not None:
            system = order_system(self.server)
            return await partner_answers.request_spoken_of(self.services, self.partner, performed.names, system)
        return await partner_requests.request_spoken_of(self.services, self.caller, said) if said is not None else None

    async def _with_task(self, done: Done) -> Json:
        """The answer with the Task as it is now."""
        behind = Behind(report=True)
        case = await read_case(self.services, done.caller, done.request_id, behind)
        *_, newest = tasks(case, self.server)
        return self._reply("ok", None, task=newest, known_as=self._known_as())

    def _known_as(self) -> Json | None:
        """How the partner calls the request, by its own identifier."""
        name = next(iter(self.message.said.names), None) if self.message.said else None
        if name is None:
            return None
        return placer(name.system, name.value).as_json()

    def _later(self, problem: Problem | Refusal) -> _Answer:
        log.warning("a message of a partner waits", account_id=str(self.partner.account_id), code=problem.code)
        wait = str(_WAITS.get(problem.code, 2))
        headers = {"Retry-After": wait, **headers_of(problem)}
        status = status_of(problem) if status_of(problem) == HTTPStatus.TOO_MANY_REQUESTS else 503
        return _Answer(self._reply("transient-error", self._outcome(problem)), status, headers)

    def _reply(
        self, code: Code, outcome: OperationOutcome | None, task: Task | None = None, known_as: Json | None = None
    ) -> Json:
        return reply(
            to=self.message.header,
            event=self.message.event,
            event_system=self.partner.event_system,
            code=code,
            server=self.server,
            outcome=outcome,
            task=task,
            known_as=known_as,
        )

    def _issue(self, code: str, sentence: str) -> OperationOutcome:
        text = gettext_for(self.server.language)(sentence)
        return OperationOutcome(
            issue=(Issue(severity="error", code=code, details=CodeableConcept(text=text), expression=_AT.get(code)),)
        )

    def _outcome(self, error: Problem | Refusal) -> OperationOutcome:
        return why_not_done(error, self.message.event, self.server)


def why_not_done(error: Problem | Refusal, event: MessageEvent, server: Server) -> OperationOutcome:
    """Why a message of that event can't be done: FHIR's code, ours beside it, and what is wrong with which part."""
    own = (Coding(system=server.codes("problem"), code=error.code),)
    told = error.told(server.language) if isinstance(error, Problem) else problem_sentence(error.code, server.language)
    faults = (
        [(fault.told(server.language), fault.field) for fault in error.errors] if isinstance(error, Problem) else []
    )
    elements = _ELEMENTS.get(event, _OF_REQUESTS)
    return OperationOutcome(
        issue=tuple(
            Issue(
                severity="error",
                code=_code(error),
                details=CodeableConcept(coding=own, text=text),
                expression=elements.get(place) or elements.get(error.code),
            )
            for text, place in (faults or [(told, "")])
        )
    )


def _code(error: Problem | Refusal) -> str:
    if error.code in _PASSING:
        return "transient"
    usual = "transient" if _passes(error) else "business-rule"
    return _CODES.get(error.code) or _BY_STATUS.get(status_of(error), usual)


_CODES = {
    "reference_taken": "duplicate",
    "unknown_offering": "not-found",
    "not_found": "not-found",
    "forbidden": "forbidden",
    "insufficient_scope": "forbidden",
    "several_requests": "multiple-matches",
    "several_documents": "multiple-matches",
}
_BY_STATUS = {403: "forbidden", 404: "not-found", 409: "conflict", 412: "conflict", 429: "throttled", 503: "transient"}
_AT = {"duplicate": ("MessageHeader.id",), "not-supported": ("MessageHeader.event",)}
_OF_BOTH: Mapping[str, tuple[str, ...]] = {
    "other_patient": ("Patient",),
    "test_differs": ("MessageHeader.meta.security",),
}
_OF_WORDS = {
    **_OF_BOTH,
    "stat_refused": ("Communication.priority",),
    "not_found": ("Communication.basedOn",),
    "several_requests": ("Communication.basedOn",),
    "no_such_question": ("Communication.inResponseTo",),
    "payload": ("Communication.payload",),
}
_OF_REQUESTS = {
    **_OF_BOTH,
    "reference_taken": ("ServiceRequest.identifier",),
    "reference": ("ServiceRequest.identifier",),
    "unknown_offering": ("ServiceRequest.performer",),
    "stat_refused": ("ServiceRequest.priority",),
    "not_found": ("ServiceRequest.identifier",),
    "patient.birth_date": ("Patient.birthDate",),
    "patient.given_name": ("Patient.name",),
    "patient.family_name": ("Patient.name",),
    "patient.health_insurance_number": ("Patient.identifier",),
    "patient.chart_number": ("Patient.identifier",),
}
_OF_TASKS = {
    **_OF_BOTH,
    "not_found": ("Task.basedOn",),
    "several_requests": ("Task.basedOn",),
    "document": ("Task.output",),
    "several_documents": ("Task.output",),
    "unsupported_media": ("DocumentReference.content",),
}
_ELEMENTS: Mapping[MessageEvent, Mapping[str, tuple[str, ...]]] = {
    MessageEvent.SAID_BY_REQUESTER: _OF_WORDS,
    MessageEvent.SAID_BY_PROVIDER: _OF_WORDS,
    MessageEvent.ADD_PROCESS: _OF_TASKS,
    MessageEvent.UPDATE_PROCESS: _OF_TASKS,
}
"""Of our codes and fields, the elements of R4 that the message has; of others none is told, for there is none of that name."""

_PASSING = frozenset(
    {
        *("answer_under_way", "submission_under_way", "unknown_person"),
        *(RefusalCode.REPORT_BEING_SIGNED, RefusalCode.VERSION_CONFLICT),
    }
)
"""What ends by itself, or by what people here do: commands on their way; a liaison who is locked, or has another role now."""

_WAITS = {"unknown_person": 600}
"""Seconds after which the same may well be possible, where that is not in a moment."""


def _passes(problem: Problem | Refusal) -> bool:
    """Whether the same message may well be done later."""
    status = status_of(problem)
    return (
        problem.code in _PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS
    )
