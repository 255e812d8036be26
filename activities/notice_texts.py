"""What the e-mails say: for every event and every recipient of the matrix a subject, what happened, and what is to be done.

No text has a place for anything that a person wrote: an e-mail never holds a reason, a comment or a question, only that there
is one to be read in Relais.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from domain.notices import NEW_PHOTOS, UNREAD_REPORT, URGENT_REPORT, About, Recipient
from domain.requests import EventName as E
from domain.requests import Status
from translations import gettext_noop as _

REQUESTER_CLINIC, REQUESTER_COLLEAGUES = Recipient.REQUESTER_CLINIC, Recipient.REQUESTER_COLLEAGUES
REQUESTER, HOLDER, BEFORE = Recipient.REQUESTER, Recipient.HOLDER, Recipient.PREVIOUS_HOLDER
DISPATCHERS, SIGNER, SIGNING_PROVIDER = Recipient.DISPATCHERS, Recipient.SIGNER, Recipient.SIGNING_PROVIDER
SIGNER_COVER, REQUESTER_COVER = Recipient.SIGNER_COVER, Recipient.REQUESTER_COVER


@dataclass(frozen=True)
class NoticeText:
    """One notice in English, to be translated by gettext.

    `subject` ends the subject line and is the heading of the e-mail, `happened` says it in a sentence or two, `to_do` what is
    expected of a recipient who must act. Where the holder's `to_do` is None, it follows from the request's status (`TO_DO`).
    """

    subject: str
    happened: str
    to_do: str | None = None


TO_DO: Mapping[Status, str] = {
    Status.AWAITING_DISPATCH: _("Assign the request to a provider or to a clinic, or return it to its requester."),
    Status.AWAITING_ACCEPTANCE: _("Accept the request, transfer it to a colleague, or return it."),
    Status.ACCEPTED: _("Continue with the request, and write and sign its report."),
    Status.RETURNED: _("Read the reason, then change the request and submit it again, or cancel it."),
    Status.REPORTED: _("Read the report, then acknowledge it: this closes the request."),
}
"""What a status expects of the holder."""

_CORRECT, _ACKNOWLEDGE = TO_DO[Status.RETURNED], TO_DO[Status.REPORTED]
_ANSWER = _("Read the question in the request and answer it. The provider is waiting for your answer.")
_EXPLAIN = _("Read the question in the request and answer it, by a text or by an addendum.")
_COVER = _("Read the question in the request and answer it for your colleague.")
_NOTHING_TO_DO = _("The request has been cancelled. You have nothing more to do.")
_TO_BE_READ = _("The requester has added something to the request that must be read without delay.")
_UNREAD = _("A report that must be read without delay was not read in time.")
_READ = _("Read the report now, act on it, and confirm in Relais that you have read it.")
_REACH = _("Reach the requester now, or read the report yourself, act on it, and confirm in Relais that it was read.")
_LIES_UNREAD = _("A colleague has not read the report of a request of your clinic, or is away.")
_READ_FOR_THEM = _(
    "Read the report for your colleague, see to what it asks for, and say in Relais that you have read it."
)
_HAVE_IT_READ = _(
    "Have the report read: colleagues of its requester see the request now as well, and can say that they have."
)
_TAKEN_BACK = _("What we have just told you of the request has been taken back: it stands as it did before.")
_NEW_PRIORITY = _("The priority of the request has changed, and its time limit with it.")
_GO_ON = _(
    "Give the person the role back, or open the account again, until this request is done; or have a colleague of theirs ask "
    "anew."
)
_NOBODY_ANSWERS = NoticeText(
    _("a question that nobody can answer"),
    _(
        "A provider needs additional information about the request of somebody of your clinic who is no requester any more, or "
        "whose account is closed. Nobody else can answer."
    ),
    _GO_ON,
)
_NOBODY_SUBMITS = NoticeText(
    _("returned, and nobody can submit it again"),
    _(
        "The request was returned to somebody of your clinic who is no requester any more, or whose account is closed. Nobody "
        "else can submit it again, and after a while it is abandoned."
    ),
    _GO_ON,
)
_NOBODY_READS = NoticeText(
    _("to be read without delay"),
    _(
        "A report that must be read without delay is on the request of somebody of your clinic who is no requester any more, or "
        "whose account is closed. They were not told of it."
    ),
    _(
        "Read the report now, or have it read by who treats the patient; act on it, and confirm in Relais that it was read."
    ),
)
_RETURNED = NoticeText(_("returned to the requester"), _("The request has been returned to its requester."))

TEXTS: Mapping[About, Mapping[Recipient, NoticeText]] = {
    E.SUBMITTED: {
        HOLDER: NoticeText(_("new request"), _("A new request has been submitted.")),
        REQUESTER: NoticeText(
            _("submitted"), _("Your request has been submitted. You will be notified when a provider accepts it.")
        ),
    },
    E.ASSIGNED: {
        HOLDER: NoticeText(_("assigned to you"), _("The request has been assigned to you or to your clinic.")),
        BEFORE: NoticeText(
            _("assigned"), _("The request has been assigned to a provider or to a clinic. You have nothing more to do.")
        ),
        REQUESTER: NoticeText(
            _("assigned"), _("Your request has been assigned to a provider or to a clinic and waits to be accepted.")
        ),
    },
    E.REASSIGNED: {
        HOLDER: NoticeText(
            _("handed to you"), _("The request has been handed to you, to your clinic or to dispatch, with a reason.")
        ),
        BEFORE: NoticeText(
            _("taken over"), _("The request has been handed to somebody else. You have nothing more to do.")
        ),
        REQUESTER: NoticeText(
            _("handed on"), _("Your request has been handed on, so that it does not wait for somebody who is away.")
        ),
        DISPATCHERS: NoticeText(
            _("handed on"), _("The request has been handed on, so that it does not wait for somebody who is away.")
        ),
    },
    E.ACCEPTED: {
        REQUESTER: NoticeText(_("accepted"), _("A provider has accepted your request and is working on it.")),
        DISPATCHERS: NoticeText(_("accepted"), _("A provider has accepted the request.")),
    },
    E.TAKEN_BACK: {
        HOLDER: NoticeText(
            _("taken back, it waits for you"),
            _(
                "What was done with the request a moment ago has been taken back: it waits for you or your clinic again."
            ),
        ),
        **dict.fromkeys((BEFORE, REQUESTER, DISPATCHERS), NoticeText(_("taken back"), _TAKEN_BACK)),
    },
    E.TRANSFERRED: {
        HOLDER: NoticeText(_("transferred to you"), _("A colleague has transferred the request to you.")),
        REQUESTER: NoticeText(
            _("transferred"),
            _("Your request has been transferred to another provider of the same clinic and waits to be accepted."),
        ),
        DISPATCHERS: NoticeText(
            _("transferred"), _("The request has been transferred to another provider of the same clinic.")
        ),
    },
    E.INFORMATION_REQUESTED: {
        REQUESTER_COVER: _NOBODY_ANSWERS,
        REQUESTER: NoticeText(
            _("additional information requested"),
            _("A provider needs additional information to deal with your request."),
            _ANSWER,
        ),
    },
    E.INFORMATION_ANSWERED: {
        HOLDER: NoticeText(
            _("additional information received"), _("The requester has answered a request for additional information.")
        ),
    },
    E.INFORMATION_ADDED: {
        HOLDER: NoticeText(
            _("the requester tells more"), _("The requester has added information to the request without being asked.")
        ),
    },
    E.WORSENING_REPORTED: {
        HOLDER: NoticeText(_("to be read without delay"), _TO_BE_READ),
        DISPATCHERS: NoticeText(
            _("to be read without delay"),
            _TO_BE_READ,
            _("Look at the request, and see whether its priority must change."),
        ),
    },
    E.INFORMATION_REQUEST_WITHDRAWN: {
        REQUESTER_COVER: NoticeText(
            _("additional information no longer needed"),
            _("A provider has withdrawn a request for additional information that nobody of your clinic could answer."),
        ),
        REQUESTER: NoticeText(
            _("additional information no longer needed"),
            _("A provider has withdrawn a request for additional information. You do not have to answer it."),
        ),
    },
    E.RETURNED_TO_REQUESTER: {
        REQUESTER_COVER: _NOBODY_SUBMITS,
        REQUESTER: NoticeText(_("returned to you"), _("Your request has been returned to you."), _CORRECT),
        BEFORE: _RETURNED,
        DISPATCHERS: _RETURNED,
    },
    E.RETURNED_TO_DISPATCH: {
        HOLDER: NoticeText(
            _("returned to dispatch"),
            _("A provider has returned the request to dispatch. The comment for you is in the request."),
        ),
        REQUESTER: NoticeText(
            _("returned to dispatch"),
            _("Your request has been returned to dispatch, which looks for another provider."),
        ),
    },
    E.RESUBMITTED: {
        HOLDER: NoticeText(_("submitted again"), _("The requester has changed the request and submitted it again.")),
    },
    E.CANCELLED: {
        BEFORE: NoticeText(_("cancelled"), _NOTHING_TO_DO),
        REQUESTER: NoticeText(_("cancelled"), _("Your request has been cancelled. The reason is in the request.")),
    },
    E.PRIORITY_CHANGED: {
        HOLDER: NoticeText(_("priority changed"), _NEW_PRIORITY),
        REQUESTER: NoticeText(
            _("priority changed"), _("The priority of your request has changed, and its time limit with it.")
        ),
        DISPATCHERS: NoticeText(_("priority changed"), _NEW_PRIORITY),
    },
    E.PRELIMINARY_REPORT_ISSUED: {
        REQUESTER: NoticeText(
            _("preliminary report available"),
            _("A preliminary report on your request is available. The final report will follow."),
        ),
    },
    E.FINAL_REPORT_ISSUED: {
        REQUESTER: NoticeText(
            _("final report available"), _("The final report on your request is available."), _ACKNOWLEDGE
        ),
        DISPATCHERS: NoticeText(_("final report sent"), _("The final report has been sent to the requester.")),
    },
    E.ADDENDUM_ISSUED: {
        REQUESTER: NoticeText(
            _("addendum available"),
            _("The provider has completed the final report with an addendum."),
            _("Read the addendum in the request."),
        ),
    },
    E.SIGNING_FAILED: {
        SIGNING_PROVIDER: NoticeText(
            _("signed document not produced"),
            _("The signed document could not be produced. Nothing was sent to the requester."),
            _("Sign the document again. If that fails too, contact the support service."),
        ),
        DISPATCHERS: NoticeText(
            _("signed document not produced"),
            _(
                "The signed document could not be produced. Nothing was sent to the requester; the signer has been notified."
            ),
        ),
    },
    E.ACKNOWLEDGED: {
        SIGNER: NoticeText(
            _("report acknowledged"),
            _(
                "The requester has acknowledged your report, and the request is closed. The outcome, where it was given, is "
                "in the request."
            ),
        ),
    },
    E.DISPATCH_REMINDER: {
        HOLDER: NoticeText(_("reminder, to be dispatched"), _("The request still waits to be dispatched.")),
    },
    E.DISPATCH_OVERDUE: {
        HOLDER: NoticeText(_("dispatch overdue"), _("The request was not dispatched in time.")),
    },
    E.ACCEPTANCE_REMINDER: {
        HOLDER: NoticeText(_("reminder, to be accepted"), _("The request still waits to be accepted.")),
    },
    E.ACCEPTANCE_EXPIRED: {
        HOLDER: NoticeText(
            _("not accepted in time"), _("The request was not accepted in time and has come back to dispatch.")
        ),
        BEFORE: NoticeText(
            _("not accepted in time"),
            _("The request was not accepted in time and has gone back to dispatch. You have nothing more to do."),
        ),
        REQUESTER: NoticeText(
            _("not accepted in time"),
            _("Your request was not accepted in time. It is back in dispatch, which looks for another provider."),
        ),
    },
    E.REPORT_REMINDER: {
        HOLDER: NoticeText(_("reminder, report expected"), _("The report on the request is expected soon.")),
    },
    E.REPORT_OVERDUE: {
        HOLDER: NoticeText(_("report overdue"), _("The report on the request was not sent in time.")),
        DISPATCHERS: NoticeText(
            _("report overdue"),
            _("The report on the request was not sent in time."),
            _("Find out when the report can be expected, or hand the request to somebody else."),
        ),
    },
    E.INFORMATION_REMINDER: {
        REQUESTER_COVER: _NOBODY_ANSWERS,
        REQUESTER: NoticeText(
            _("reminder, additional information requested"),
            _("A provider still waits for additional information to deal with your request."),
            _ANSWER,
        ),
    },
    E.INFORMATION_EXPIRED: {
        REQUESTER_COVER: _NOBODY_ANSWERS,
        HOLDER: NoticeText(
            _("additional information overdue"),
            _("A request for additional information was not answered in time. It stays open."),
            _("Decide how to go on: wait for the answer, withdraw the question, or return the request."),
        ),
        REQUESTER: NoticeText(
            _("additional information overdue"),
            _("You have not answered a request for additional information in time. You still can."),
            _ANSWER,
        ),
    },
    E.RESUBMISSION_REMINDER: {
        REQUESTER_COVER: _NOBODY_SUBMITS,
        HOLDER: NoticeText(
            _("reminder, returned to you"),
            _("The request that was returned to you still waits. Without an answer in time it will be abandoned."),
        ),
    },
    E.ABANDONED: {
        REQUESTER_COVER: NoticeText(
            _("abandoned"),
            _(
                "The request of somebody of your clinic who is no requester any more, or whose account is closed, was not "
                "submitted again in time and has been abandoned."
            ),
        ),
        REQUESTER: NoticeText(
            _("abandoned"), _("Your request was not submitted again in time and has been abandoned.")
        ),
        DISPATCHERS: NoticeText(
            _("abandoned"), _("The returned request was not submitted again in time and has been abandoned.")
        ),
    },
    E.ACKNOWLEDGEMENT_REMINDER: {
        HOLDER: NoticeText(
            _("reminder, report to be acknowledged"),
            _("The final report on your request still waits to be acknowledged."),
        ),
    },
    URGENT_REPORT: {  # in words that say nothing of it
        REQUESTER_COVER: _NOBODY_READS,
        REQUESTER: NoticeText(
            _("to be read without delay"),
            _("A report on your request is available and must be read without delay."),
            _READ,
        ),
        DISPATCHERS: NoticeText(
            _("to be read without delay"),
            _(
                "A report that must be read without delay has been sent to the requester. "
                "You will be notified if it is not read in time."
            ),
        ),
        REQUESTER_CLINIC: NoticeText(
            _("to be read without delay"),
            _(
                "A report that must be read without delay was sent to someone of your clinic. "
                "You will be notified if it is not read in time."
            ),
        ),
    },
    NEW_PHOTOS: {
        REQUESTER: NoticeText(
            _("report available, new photos needed"),
            _("A report on your request is available. It says that the photos were not sufficient."),
            _("Read the report. Then take new photos: the page of the request says how, and where to send them."),
        ),
        DISPATCHERS: NoticeText(
            _("report sent, new photos needed"),
            _("A report has been sent to the requester. It says that the photos were not sufficient."),
        ),
    },
    E.URGENT_REPORT_REMINDER: {
        REQUESTER_COVER: _NOBODY_READS,
        REQUESTER: NoticeText(
            _("to be read without delay"), _("A report that must be read without delay still waits."), _READ
        ),
    },
    E.URGENT_REPORT_UNREAD: {
        REQUESTER: NoticeText(_("not read in time"), _UNREAD, _READ),
        REQUESTER_CLINIC: NoticeText(_("not read in time"), _UNREAD, _REACH),
        DISPATCHERS: NoticeText(_("not read in time"), _UNREAD, _REACH),
    },
    E.READING_CONFIRMED: {
        recipient: NoticeText(
            _("read"), _("Somebody has read the report that had to be read without delay, and has confirmed it.")
        )
        for recipient in (REQUESTER, DISPATCHERS, REQUESTER_CLINIC)
    },
    UNREAD_REPORT: {
        REQUESTER_COLLEAGUES: NoticeText(_("a colleague’s report is unread"), _LIES_UNREAD, _READ_FOR_THEM),
        REQUESTER_CLINIC: NoticeText(_("a report is unread"), _LIES_UNREAD, _HAVE_IT_READ),
    },
    E.READ_FOR_REQUESTER: {
        REQUESTER: NoticeText(
            _("report read for you"),
            _(
                "Somebody of your clinic has read the report in your place, and sees to it. You can still read it yourself."
            ),
        ),
        **dict.fromkeys(
            (REQUESTER_COLLEAGUES, REQUESTER_CLINIC),
            NoticeText(_("read"), _("Somebody of your clinic has read the report for a colleague, and sees to it.")),
        ),
    },
    E.FOLLOW_UP_ASKED: {
        SIGNER: NoticeText(
            _("question about your report"),
            _("The requester has a question about the report that you signed."),
            _EXPLAIN,
        ),
        SIGNER_COVER: NoticeText(
            _("question about a colleague’s report"),
            _("The requester has a question about a report. The colleague who signed it is away."),
            _COVER,
        ),
        DISPATCHERS: NoticeText(
            _("question about the report"),
            _("The requester has a question about the report. Whoever signed it was notified."),
        ),
    },
    E.FOLLOW_UP_ANSWERED: {
        REQUESTER_COVER: NoticeText(
            _("an answer that nobody reads"),
            _(
                "A question about the report is answered. Somebody of your clinic had asked it who is no requester any more, or "
                "whose account is closed."
            ),
            _(
                "Give the person the role back, or open the account again, so that they read it; or ask who has signed the "
                "report."
            ),
        ),
        REQUESTER: NoticeText(
            _("your question is answered"),
            _("Your question about the report is answered."),
            _("Read the answer in Relais."),
        ),
        SIGNER: NoticeText(
            _("question about your report answered"),
            _("A colleague has answered a question about the report that you signed, while you are away."),
        ),
    },
    E.FOLLOW_UP_WITHDRAWN: {
        recipient: NoticeText(
            _("question about the report withdrawn"),
            _("The requester has withdrawn a question about the report. Nobody has to answer it."),
        )
        for recipient in (SIGNER, SIGNER_COVER, DISPATCHERS)
    },
    E.FOLLOW_UP_REMINDER: {
        SIGNER: NoticeText(
            _("reminder, question about your report"),
            _("A question about the report that you signed still waits for an answer."),
            _EXPLAIN,
        ),
        SIGNER_COVER: NoticeText(
            _("reminder, question about a colleague’s report"),
            _("A question about a report still waits for an answer. The colleague who signed it is away."),
            _COVER,
        ),
    },
    E.FOLLOW_UP_OVERDUE: {
        SIGNER: NoticeText(
            _("question about your report overdue"),
            _("A question about the report that you signed was not answered in time."),
            _EXPLAIN,
        ),
        SIGNER_COVER: NoticeText(
            _("question about a colleague’s report overdue"),
            _("A question about a report was not answered in time. The colleague who signed it is away."),
            _COVER,
        ),
        DISPATCHERS: NoticeText(
            _("question about the report overdue"),
            _("A question about the report was not answered in time. It stays open."),
            _("Reach whoever signed the report. While they are entered as away, their colleagues can answer."),
        ),
    },
    E.CLOSED_UNACKNOWLEDGED: {
        REQUESTER: NoticeText(
            _("closed without acknowledgement"),
            _(
                "The report was not acknowledged in time, and your request has been closed. You can still read the report."
            ),
        ),
        SIGNER: NoticeText(
            _("closed without acknowledgement"),
            _("The requester did not acknowledge your report in time. The request has been closed."),
        ),
    },
}
"""What each recipient of each event is told."""


NoticeEvent = (
    About
    | Literal["notice_refused", "notice_expired", "command_refused", "submission_refused", "stuck", "message_lost"]
)
"""What a notice is about: what is told of an event, what became of another notice, a queued command that was refused, a request
that waits for nobody, or a message to or of another system that was lost.
"""

_TELL = _("See in Relais, under “E-mails”, who was not told, and tell the person in another way.")

ABOUT_NOTICES: Mapping[str, NoticeText] = {
    "notice_refused": NoticeText(
        _("e-mail not delivered"),
        _("An e-mail about this request could not be delivered: its address cannot receive it."),
        _(
            "See in Relais, under “E-mails”, who was not told, tell the person in another way, and have the e-mail address "
            "corrected."
        ),
    ),
    "notice_expired": NoticeText(
        _("e-mail not delivered"),
        _(
            "E-mails about this request could not be delivered in time, because no mail server took them. The addresses may "
            "be right. The operators of Relais can see why."
        ),
        _TELL,
    ),
}
"""What dispatchers are told of notices that reached nobody."""

ABOUT_COMMANDS: Mapping[str, NoticeText] = {
    "command_refused": NoticeText(
        _("not carried out"),
        _("What you asked for, and what was to be done as soon as possible, could not be done after all."),
        _("See in the request how it stands now and why this was refused. Then do what is still to be done."),
    ),
    "submission_refused": NoticeText(
        _("not submitted"),
        _("Your request was on its way and could not be submitted after all. Nobody has received it."),
        _("See in the request why. You can change the form again; then submit it once more, or cancel it."),
    ),
}
"""What people are told of what they gave, and were told to be queued, when it was refused in the end."""

ABOUT_REQUESTS: Mapping[str, NoticeText] = {
    "stuck": NoticeText(
        _("nobody can go on with it"),
        _("The request waits for somebody who cannot go on with it, and it could not be handed on by itself."),
        _("See in the request for whom it waits, and hand it to somebody else; where you cannot, reach its requester."),
    ),
}
"""What others are told of a request that waits for nobody who sees it."""


ABOUT_MESSAGES: Mapping[Recipient, NoticeText] = {
    DISPATCHERS: NoticeText(
        _("message not delivered"),
        _(
            "A message about this request between Relais and the system of another clinic did not arrive, or could not be "
            "carried out. The other side may not know how the request stands."
        ),
        _(
            "See in Relais, under “Messages that did not arrive”, which one and why, and whether there are others. Tell the "
            "other clinic in another way, or give the request to somebody else."
        ),
    ),
    REQUESTER: NoticeText(
        _("message not delivered"),
        _(
            "A message about your request between Relais and the system of a clinic did not arrive, or could not be carried "
            "out. In Relais the request stands as you see it there."
        ),
        _("See in Relais, under “Messages that did not arrive”, which one and why, and whether there are others."),
    ),
}
"""What people are told of a message that was lost."""


def text_of(event: NoticeEvent, recipient: Recipient) -> NoticeText:
    """The text for this recipient of this event. KeyError when the matrix tells this recipient nothing of it."""
    if isinstance(event, E) or event in (URGENT_REPORT, NEW_PHOTOS, UNREAD_REPORT):
        return TEXTS[event][recipient]
    if event == "message_lost":
        return ABOUT_MESSAGES[recipient]
    return {**ABOUT_NOTICES, **ABOUT_COMMANDS, **ABOUT_REQUESTS}[event]
