"""What was said about a request, as Communications: questions and answers, what was told unasked, why it was returned."""

from collections.abc import Iterator, Mapping
from uuid import UUID

from domain.fhir_course import tasks_of
from domain.requests import EventName
from domain.subscriptions import COMMUNICATIONS
from fhir.addresses import Server, part_of
from fhir.elements import Reference, concept, reference_to, some, words
from fhir.requests import holder_of, meta_of, patient_of, questions_of, request_of, role_of, said_by, signed_by
from fhir.resources import Communication, Payload
from records.models import EventRecord
from translations import gettext_for
from translations import gettext_noop as _
from use_cases.cases import Case

_SAID: Mapping[EventName, str] = {
    EventName.INFORMATION_REQUESTED: _("Question from the provider"),
    EventName.INFORMATION_ANSWERED: _("Answer from the requester"),
    EventName.INFORMATION_ADDED: _("Information added by the requester"),
    EventName.WORSENING_REPORTED: _("The requester says that it gets worse"),
    EventName.RETURNED_TO_REQUESTER: _("Why the request was returned"),
    EventName.FOLLOW_UP_ASKED: _("Question about the report"),
    EventName.FOLLOW_UP_ANSWERED: _("Answer to a question about the report"),
}
"""What is told to the other side, with words; what dispatchers and colleagues tell each other is not."""


def communications(case: Case, server: Server) -> Iterator[Communication]:
    """Oldest first; the id of each tells with which event it was said."""
    asked = questions_of(case)
    course = tasks_of(case.events)
    for event in case.events:
        code = COMMUNICATIONS.get(event.name)
        if code is None:
            continue
        task = next((one for one in reversed(course) if one.began <= event.version), None)
        yield Communication(
            id=part_of(case.id, event.version),
            meta=meta_of(case),
            language=server.language,
            based_on=(request_of(case, server),),
            in_response_to=_answered(case, event, asked),
            category=(concept(server.codes("communication"), code, gettext_for(server.language)(_SAID[event.name])),),
            subject=patient_of(case),
            about=(reference_to("Task", part_of(case.id, task.number)),) if task else None,
            sent=event.at,
            sender=said_by(event, server),
            recipient=some([_told(case, event, asked, server)]),
            payload=_payload(event),
        )


_BY_REQUESTER = (
    EventName.INFORMATION_ANSWERED,
    EventName.INFORMATION_ADDED,
    EventName.WORSENING_REPORTED,
    EventName.FOLLOW_UP_ASKED,
)


def _question_of(event: EventRecord, asked: Mapping[UUID, EventRecord]) -> EventRecord | None:
    named = event.command.get("question_id") or event.command.get("follow_up_id")
    return asked.get(UUID(named)) if named else None


def _answered(case: Case, event: EventRecord, asked: Mapping[UUID, EventRecord]) -> tuple[Reference, ...] | None:
    question = _question_of(event, asked)
    return (reference_to("Communication", part_of(case.id, question.version)),) if question else None


def _told(case: Case, event: EventRecord, asked: Mapping[UUID, EventRecord], server: Server) -> Reference | None:
    """To whom it was said: the requester, or whoever had the request then or had asked."""
    if event.name not in _BY_REQUESTER:
        return role_of(case.row.requester_id)
    question = _question_of(event, asked)
    if question is not None and question.actor_id is not None:
        return said_by(question, server)
    if event.name is EventName.FOLLOW_UP_ASKED and case.process.final_report is not None:
        return signed_by(case, case.process.final_report.report_id, case.process.final_report.signer.id, server)
    return holder_of(case, event.holder)


def _payload(event: EventRecord) -> tuple[Payload, ...] | None:
    text = event.command.get("text")
    return (Payload(content_string=text),) if isinstance(text, str) and words(text) else None
