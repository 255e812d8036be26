"""The choices that a request offers: a page each, that says what will happen, asks what must be said, and does it once.

Which of them a person has, and whether a choice is legal, the use cases decide; the table here holds only words and fields.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import Response
from starlette.datastructures import FormData

from domain.lifecycle import TAKEN_BACK_WITHIN
from domain.refusals import Refusal, RefusalCode
from portal import pages
from portal.errors import NOT_TAKEN, as_problem, fields_of, summary
from portal.pages import Visit, VisitOf
from portal.providers import destination, to_choose
from translations import gettext_noop as _
from translations.words import REFUSALS
from use_cases import orders
from use_cases.commands import Order, carry_out
from use_cases.problems import Problem
from use_cases.requests import RequestView
from use_cases.snippets import UsedFor, offered

router = APIRouter(include_in_schema=False)

_ASK_FOR_SOMEBODY = ("transfer", "assign", "reassign")

_WITH_SNIPPETS = {"question": UsedFor.QUESTION, "return": UsedFor.RETURN}
"""Where texts that are used again are offered, by what is asked for."""


@dataclass(frozen=True)
class Choice:
    """One choice. `effect` says what will happen, `brief` the same in a few words; `fields` names the part of the template
    that asks for the rest.
    """

    command: str
    address: str
    label: str
    brief: str
    effect: str
    fields: str
    order: type[Order]
    look: str = "secondary"
    """Of the button: primary, secondary, or danger where it can't be taken back."""
    at_once: bool = False
    """Nothing must be said and it can be taken back: the button on the request's page does it."""


_ALL = (
    Choice(
        "accept",
        "accept",
        _("Accept"),
        _("It becomes yours: you write the report."),
        _("The request becomes yours: you write the report. You can still ask, transfer or give it back."),
        "",
        orders.Accept,
        look="primary",
        at_once=True,
    ),
    Choice(
        "request_information",
        "request-information",
        _("Add: ask for information"),
        _("By e-mail; the deadline is paused meanwhile."),
        _("The requester gets your question by e-mail. The deadline is paused until they answer."),
        "question",
        orders.QuestionBody,
    ),
    Choice(
        "take_back",
        "take-back",
        _("Take back"),
        _("Everything is as it was before."),
        _("Everything is as it was before. Possible for some seconds only, and while nothing else has happened."),
        "",
        orders.TakeBack,
        at_once=True,
    ),
    Choice(
        "transfer",
        "transfer",
        _("Transfer to a colleague"),
        _("With everything in it, and your draft."),
        _("The colleague gets the request with everything in it, and your draft of the report if there is one."),
        "transfer",
        orders.TransferBody,
    ),
    Choice(
        "return_to_requester",
        "return-to-requester",
        _("Return to the requester"),
        _("To be completed and submitted to you again."),
        _(
            "The requester is notified of your reason. They can complete the request and submit it to you again, or cancel it."
        ),
        "return",
        orders.ReturnToRequesterBody,
    ),
    Choice(
        "return_to_dispatch",
        "return-to-dispatch",
        _("Return to dispatch"),
        _("The dispatchers find somebody else."),
        _("The dispatchers read your comment and find somebody else. The request leaves your worklist."),
        "comment",
        orders.CommentBody,
    ),
    Choice(
        "assign",
        "assign",
        _("Assign"),
        _("To a provider, or to all of a clinic."),
        _("The provider, or every provider of the clinic, is notified and can accept the request."),
        "assign",
        orders.AssignBody,
        look="primary",
    ),
    Choice(
        "reassign",
        "reassign",
        _("Hand to somebody else"),
        _("For when whoever has it is away."),
        _(
            "For when whoever has the request is away; they are notified. "
            "The report's draft, open questions and deadlines go along."
        ),
        "reassign",
        orders.ReassignBody,
    ),
    Choice(
        "withdraw_information_request",
        "withdraw-information-request",
        _("Withdraw the question"),
        _("No answer is needed any longer."),
        _("The requester is notified that no answer is needed any longer. The deadline resumes."),
        "withdraw",
        orders.WithdrawBody,
    ),
    Choice(
        "change_priority",
        "change-priority",
        _("Change the priority"),
        _("The deadline restarts."),
        _("The deadline restarts with the limit of the new priority; the reason is written in the history."),
        "priority",
        orders.PriorityBody,
    ),
    Choice(
        "acknowledge",
        "acknowledge",
        _("Acknowledge the report"),
        _("The request is closed."),
        _("The request is closed. The specialist sees what you answer below; every answer is optional."),
        "outcome",
        orders.AcknowledgeBody,
        look="primary",
    ),
    Choice(
        "ask_follow_up",
        "ask-follow-up",
        _("Ask about the report"),
        _("To whoever signed it; the report stays as it is."),
        _(
            "Whoever signed the report gets your question by e-mail and has 3 business days to answer. The report stays as it is."
        ),
        "follow_up",
        orders.FollowUpBody,
    ),
    Choice(
        "answer_follow_up",
        "answer-follow-up",
        _("Answer about the report"),
        _("The report stays as it is."),
        _("The requester reads your answer in Relais. The report stays as it is."),
        "follow_up_answer",
        orders.FollowUpAnswerBody,
        look="primary",
    ),
    Choice(
        "withdraw_follow_up",
        "withdraw-follow-up",
        _("Withdraw the question about the report"),
        _("No answer is needed; you can ask another."),
        _("The person asked is notified that no answer is needed. The question does not count: you can ask another."),
        "withdraw_follow_up",
        orders.WithdrawFollowUpBody,
    ),
    Choice(
        "confirm_reading",
        "confirm-reading",
        _("I have read the report, and act on it"),
        _("No more reminders are sent about it."),
        _("No more reminders are sent about it. The request stays as it is."),
        "",
        orders.ConfirmReading,
        look="primary",
        at_once=True,
    ),
    Choice(
        "read_for_requester",
        "read-for-requester",
        _("I have read the report for my colleague"),
        _("They are notified that you see to it."),
        _("Whoever asked is notified that you have read the report and see to it. The request stays as it is."),
        "",
        orders.ReadForRequester,
        look="primary",
        at_once=True,
    ),
    Choice(
        "cancel",
        "cancel",
        _("Cancel the request"),
        _("Ends without a report; can’t be undone."),
        _("The request ends without a report, and the person who holds it is notified. This can't be undone."),
        "reason",
        orders.ReasonBody,
        look="danger",
    ),
)

CHOICES = {choice.command: choice for choice in _ALL}
"""By command, in the order in which a page offers them."""

_BY_ADDRESS = {choice.address: choice for choice in _ALL}


@dataclass(frozen=True)
class Offer:
    """A choice as the page of a request offers it: a button that does it (`at_once`), or a link to where the rest is asked.

    What has a `form` opens in the page where scripts run.
    """

    address: str
    label: str
    brief: str
    look: str = "secondary"
    at_once: bool = False
    form: bool = False
    key: str = ""
    """With which it is pressed, where there is a keyboard."""


@dataclass(frozen=True)
class TakingBack:
    """What was just done, and can be taken back with one press: where that is sent to, and of which question it is said."""

    address: str
    question_id: UUID | None = None


def taking_back(view: RequestView, caller_id: UUID, now: datetime) -> TakingBack | None:
    """For whoever has just accepted, assigned or asked."""
    if "take_back" in view.allowed_commands:
        return TakingBack("take-back")
    just_asked = [
        question.id
        for question in view.questions or ()
        if question.state == "open" and question.asked_by and question.asked_by.id == caller_id
        if now - question.asked_at <= TAKEN_BACK_WITHIN
    ]
    if just_asked and "withdraw_information_request" in view.allowed_commands:
        return TakingBack("withdraw-information-request", just_asked[-1])
    return None


_KEYS = {"accept": "a"}

_IN_A_NOTICE = frozenset({"confirm_reading", "read_for_requester", "take_back"})
"""What stands beside what it is about, on top of the page."""

_FIRST = ("accept", "answer_follow_up", "assign", "acknowledge")
"""What is waited for, before what can be done besides."""


def offers(view: RequestView, *, is_requester: bool) -> list[Offer]:
    """What the page of a request offers: first what it waits for, last what can't be taken back."""
    allowed = [choice for name, choice in CHOICES.items() if name in view.allowed_commands and name not in _IN_A_NOTICE]
    first = sorted((c for c in allowed if c.command in _FIRST), key=lambda c: _FIRST.index(c.command))
    besides = [choice for choice in allowed if choice.command not in _FIRST]
    found = [
        *_pages_first(view, is_requester=is_requester),
        *(_offer(choice) for choice in first),
        *_pages_besides(view),
        *(_offer(choice) for choice in besides),
    ]
    return [
        replace(offer, look="primary" if n == 0 and offer.look != "danger" else offer.look)
        for n, offer in enumerate(found)
    ]


def _offer(choice: Choice) -> Offer:
    look = choice.look if choice.look == "danger" else "secondary"
    return Offer(
        choice.address,
        choice.label,
        choice.brief,
        look,
        choice.at_once,
        not choice.at_once,
        _KEYS.get(choice.command, ""),
    )


def _pages_first(view: RequestView, *, is_requester: bool) -> Iterator[Offer]:
    """The pages where somebody goes on with what waits for them."""
    if view.editable:
        label = _("Continue the draft") if view.status == "draft" else _("Change and submit again")
        yield Offer("edit", label, _("Saved as you write; sent once you submit it."))
    is_open = [question for question in view.questions or () if question.state == "open"]
    if is_requester and is_open and "answer_information" in view.allowed_commands:
        question = f"?question={is_open[0].id}" if len(is_open) > 1 else ""
        yield Offer(f"answer{question}", _("Answer the question"), _("With photos, if they help."))
    if view.report_editable:
        yield Offer("report", _("Write the report"), _("Saved as you write; sent once you sign."), key="r")


def _pages_besides(view: RequestView) -> Iterator[Offer]:
    if "add_addendum" in view.allowed_commands:
        yield Offer("addendum", _("Add an addendum"), _("A signed document beside the final report."))
    if "add_information" in view.allowed_commands:
        yield Offer(
            "add-information", _("Add information"), _("Unasked, or because the patient is getting worse; with photos.")
        )


@router.get("/requests/{request_id}/{address}")
async def choice_page(request_id: UUID, address: str, visit: VisitOf) -> Response:
    """Says what will happen, and asks for what must be said."""
    choice = _choice(address)
    about = visit.request.query_params.get("about", "")
    if choice.command == "request_information" and about in _SUGGESTED:
        return await _page(visit, request_id, choice, FormData({"text": visit.say(_SUGGESTED[about])}))
    return await _page(visit, request_id, choice)


_SUGGESTED = {
    "new-photos": _(
        "The photos are not sufficient to answer your question. Could you send new ones, as sharp as you can?"
    )
}
"""Questions that are written already, for whoever asks them to change, by what they are about."""


@router.post("/requests/{request_id}/{address}")
async def choose(request_id: UUID, address: str, visit: VisitOf) -> Response:
    """Does it, and goes back to the request; or says why not, with everything that was written still there."""
    choice = _choice(address)
    form = await visit.form()
    try:
        call = visit.call(request_id, form)
        order = choice.order.model_validate(_said(choice, form))
        receipt = await carry_out(visit.services, call, order)
    except NOT_TAKEN as error:
        return await _page(visit, request_id, choice, form, as_problem(error))
    done = "queued" if receipt.state == "queued" else choice.command
    return visit.on_to(await _next_page(visit, request_id, choice), done)


async def _next_page(visit: Visit, request_id: UUID, choice: Choice) -> str:
    """The request; the worklist for who has handed it to where they see nothing more of it."""
    if choice.command == "reassign":
        try:
            await visit.look_at(request_id)
        except Problem:
            return "/worklist"
    return f"/requests/{request_id}"


def _choice(address: str) -> Choice:
    if address not in _BY_ADDRESS:
        raise Problem("not_found")
    return _BY_ADDRESS[address]


async def _page(
    visit: Visit, request_id: UUID, choice: Choice, form: FormData | None = None, error: Problem | Refusal | None = None
) -> Response:
    view = await visit.look_at(request_id)
    wrong = fields_of(error, visit.language)
    return visit.page(
        "choice",
        because=error,
        choice=choice,
        view=view,
        is_possible=choice.command in view.allowed_commands,
        not_yet=_not_yet(view, choice),
        form=pages.written(form),
        wrong=pages.written(wrong),
        notice=summary(error, wrong, visit.language) if error else None,
        **await _around(visit, view, choice),
    )


def _not_yet(view: RequestView, choice: Choice) -> str | None:
    """Why it can't be done now but later, in English; None where it can, or never again."""
    waits = choice.command == "cancel" and view.urgent_report_unread and view.status != "reported"
    return REFUSALS[RefusalCode.URGENT_REPORT_UNREAD] if waits else None


async def _around(visit: Visit, view: RequestView, choice: Choice) -> dict[str, Any]:
    """What the fields of the choice need besides the request."""
    if choice.fields in _ASK_FOR_SOMEBODY:
        return dict(await to_choose(visit, view, choice.command))
    if choice.fields in _WITH_SNIPPETS:
        found = await offered(
            visit.services, visit.caller, _WITH_SNIPPETS[choice.fields], view.offering, visit.language
        )
        return {"snippets": found}
    if choice.fields == "priority":
        return {"offerings": {view.offering: await visit.offering_of(view)}}
    return {}


def _said(choice: Choice, form: FormData) -> Mapping[str, object]:
    """The fields of the form, under the names of the order's. What was left empty is left out."""
    hidden = {"key", "version"}
    said = {name: value for name, value in form.items() if name not in hidden and isinstance(value, str) and value}
    said = {name: value.replace("\r\n", "\n") for name, value in said.items()}
    if choice.fields in ("assign", "reassign"):
        to = destination(said.pop("to", ""))
        return {**said, **to}
    if choice.fields == "outcome":
        avoided = {"visit_avoided": said["visit_avoided"] == "yes"} if "visit_avoided" in said else {}
        return {"outcome": {**said, **avoided}} if said else {}
    return said
