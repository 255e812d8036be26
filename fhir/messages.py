"""What partners send by `$process-message`: each message is read, done once, and answered as a message.

What can't be read is an error of HTTP with an OperationOutcome, as everywhere; what was read and can't be done is answered with
`fatal-error` and 200; what can be done later with `transient-error` and 503.
"""

import json
from dataclasses import dataclass
from http import HTTPStatus

from fastapi import Request
from fastapi.responses import Response

from domain.refusals import Refusal
from fhir.addresses import Server
from fhir.elements import CodeableConcept, Coding, Identifier, concept
from fhir.formats import format_wanted
from fhir.incoming import Message, header_id, is_known, read_message
from fhir.outcomes import NotTaken
from fhir.replies import Code, Json, reply, sent_again
from fhir.requests import tasks
from fhir.resources import Issue, OperationOutcome, Task
from records.models import Partner
from translations import gettext_for, language_named
from translations import gettext_noop as _
from translations.problems import problem_sentence
from use_cases import partner_messages, partner_requests
from use_cases.attended import Attended
from use_cases.caller import Caller
from use_cases.cases import Behind, Case, read_case
from use_cases.partner_messages import InHand, OtherContentError
from use_cases.partner_requests import Done
from use_cases.partners import partner_of
from use_cases.problems import Problem, passing_problem
from use_cases.services import Services
from web.observe import tell
from web.problems import headers_of, status_of

NO_ASYNC = _("Messages are answered at once: “async” is not supported.")
NOT_FOR_BODY = _("A message has a body of the type application/fhir+json.")
OTHER_CONTENT = _("A message with this id came before, and said something else.")
NOT_SUPPORTED = _("Messages of this event are not acted on here.")
_TYPES = ("application/fhir+json", "application/json", "application/json+fhir")
_CORRELATION = "X-Correlation-ID"
_LONGEST_NAME = 200


async def process(request: Request, services: Services, caller: Caller, attended: Attended) -> Response:
    """The answer to a message. Raises NotTaken; Problem for who may not send any."""
    wanted = format_wanted(request)
    correlation = request.headers.get(_CORRELATION, "")
    if 0 < len(correlation) <= _LONGEST_NAME and correlation.isprintable() and correlation.isascii():
        tell(request, {_CORRELATION: correlation})
    if request.query_params.get("async", "false").casefold() == "true":
        raise NotTaken(NO_ASYNC, code="not-supported", about="async")
    if request.headers.get("content-type", "").partition(";")[0].strip().casefold() not in _TYPES:
        raise NotTaken(NOT_FOR_BODY, status=415, code="not-supported")
    partner = await partner_of(services, caller)
    language, body = language_named(partner.language), await request.body()
    try:
        message = read_message(body, language)
    except NotTaken:
        await partner_messages.keep_refused(services, partner.account_id, header_id(body), body)
        raise
    work = _Work(services, caller, partner, Server.of(services.settings, language), message)
    answer = await work.done(body, attended)
    sent = json.dumps(sent_again(answer.message), ensure_ascii=False, separators=(",", ":")).encode()
    return Response(sent, answer.status, answer.headers, f"{wanted}; charset=utf-8")


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
            await partner_messages.keep_refused(self.services, id_, self.message.id, body)
            return _Answer(self._reply("fatal-error", self._issue("duplicate", OTHER_CONTENT)), HTTPStatus.CONFLICT, {})
        except Exception as error:
            passing = error if isinstance(error, Problem) else passing_problem(error)
            if passing is None:
                raise
            return self._later(passing)

    async def _do(self, taken: InHand, attended: Attended) -> _Answer:
        done: Done | None = None
        if self.message.said is None:
            is_taken = is_known(self.message.event) and "response" not in self.message.header
            outcome = None if is_taken else self._issue("not-supported", NOT_SUPPORTED)
            answer = self._reply("ok" if is_taken else "fatal-error", outcome)
        else:
            try:
                done = await partner_requests.act(self.services, self.caller, self.partner, self.message.said, attended)
                answer = await self._with_task(done)
            except (Problem, Refusal) as error:
                if isinstance(error, Problem) and _passes(error):
                    raise
                answer = self._reply("fatal-error", self._outcome(error))
        await partner_messages.answered(self.services, taken, answer, done.request_id if done else None)
        return _Answer(answer, HTTPStatus.OK, {})

    async def _with_task(self, done: Done) -> Json:
        """The answer with the Task as it is now."""
        behind = Behind(report=True, references=True)
        case = await read_case(self.services, done.caller, done.request_id, behind)
        *_, newest = tasks(case, self.server)
        return self._reply("ok", None, task=newest, known_as=_known_as(case, self.server))

    def _later(self, problem: Problem) -> _Answer:
        headers = {"Retry-After": "2", **headers_of(problem)}
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
        """Why it can't be done: FHIR's code, ours beside it, and what is wrong with which part."""
        language = self.server.language
        own = (Coding(system=self.server.codes("problem"), code=error.code),)
        told = error.told(language) if isinstance(error, Problem) else problem_sentence(error.code, language)
        faults = [(fault.told(language), fault.field) for fault in error.errors] if isinstance(error, Problem) else []
        code = _CODES.get(error.code) or _BY_STATUS.get(status_of(error), "business-rule")
        return OperationOutcome(
            issue=tuple(
                Issue(
                    severity="error",
                    code=code,
                    details=CodeableConcept(coding=own, text=text),
                    expression=(f"ServiceRequest.{place}",) if place else _AT_CODE.get(error.code),
                )
                for text, place in (faults or [(told, "")])
            )
        )


_CODES = {
    "reference_taken": "duplicate",
    "unknown_offering": "not-found",
    "not_found": "not-found",
    "forbidden": "forbidden",
    "unknown_person": "forbidden",
    "insufficient_scope": "forbidden",
}
_BY_STATUS = {403: "forbidden", 404: "not-found", 409: "conflict", 412: "conflict", 429: "throttled", 503: "transient"}
_AT = {"duplicate": ("MessageHeader.id",), "not-supported": ("MessageHeader.event",)}
_AT_CODE = {
    "reference_taken": ("ServiceRequest.identifier",),
    "unknown_offering": ("ServiceRequest.performer",),
    "stat_refused": ("ServiceRequest.priority",),
    "not_found": ("ServiceRequest.identifier",),
}


def _passes(problem: Problem) -> bool:
    """Whether the same message may well be done later."""
    return status_of(problem) >= HTTPStatus.INTERNAL_SERVER_ERROR or status_of(problem) == HTTPStatus.TOO_MANY_REQUESTS


def _known_as(case: Case, server: Server) -> Json | None:
    """How the partner calls the request."""
    for one in case.references:
        type_ = concept("http://terminology.hl7.org/CodeSystem/v2-0203", "PLAC", "Placer Identifier")
        return Identifier(type=type_, system=f"{server.references}/{one.system_id}", value=one.value).as_json()
    return None
