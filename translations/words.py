"""The words for what users see everywhere: statuses, priorities, events, refusals. English here, French in the catalogue."""

from collections.abc import Iterable, Mapping

from babel.lists import format_list

from domain import texts
from domain.calendar import Span
from domain.commands import ReturnReason
from domain.consents import ConsentGiver
from domain.fhir_course import BusinessStatus
from domain.health_insurance import Issuer
from domain.messages import MessageEvent
from domain.offerings import DeadlineName, ServiceOffering
from domain.photos import PhotoView
from domain.priority import Priority
from domain.refusals import RefusalCode
from domain.requests import DocumentKind, EventName, Role, Status
from domain.retention import KeptBecause
from domain.told_partners import MessageState
from translations import LOCALES, Language, gettext_for
from translations import gettext_noop as _
from translations.dates import span

STATUSES: Mapping[Status, str] = {
    Status.DRAFT: _("Draft"),
    Status.AWAITING_DISPATCH: _("Awaiting dispatch"),
    Status.AWAITING_ACCEPTANCE: _("Awaiting acceptance"),
    Status.ACCEPTED: _("Being handled"),
    Status.RETURNED: _("Returned to the requester"),
    Status.REPORTED: _("Report sent"),
    Status.CLOSED: _("Closed"),
    Status.CANCELLED: _("Cancelled"),
    Status.ABANDONED: _("Abandoned"),
}

ASKED_MESSAGES: Mapping[MessageEvent, str] = {
    MessageEvent.ADD_REQUEST: _("The request, with its form"),
    MessageEvent.UPDATE_REQUEST: _("The request, changed"),
    MessageEvent.SAID_BY_REQUESTER: _("What the requester said"),
    MessageEvent.REVOKE_REQUEST: _("That it is not asked any more"),
}
"""What goes to a partner that answers a request."""

LOST_MESSAGES: Mapping[MessageEvent, str] = {
    **ASKED_MESSAGES,
    MessageEvent.ADD_PROCESS: _("That the request is there"),
    MessageEvent.UPDATE_PROCESS: _("How the request stands, or its report"),
    MessageEvent.SAID_BY_PROVIDER: _("What was asked or answered about it"),
}
"""What a message was to tell that did not arrive."""

MESSAGE_STATES: Mapping[MessageState, str] = {
    MessageState.PENDING: _("not delivered yet"),
    MessageState.DELIVERED: _("delivered"),
    MessageState.REFUSED: _("refused by the partner"),
    MessageState.FAILED: _("not delivered"),
    MessageState.DROPPED: _("not sent: the request was not with the partner any more"),
}

BUSINESS_STATUSES: Mapping[BusinessStatus, str] = {
    BusinessStatus.AWAITING_DISPATCH: _("Awaiting dispatch"),
    BusinessStatus.ASSIGNED: _("Awaiting acceptance"),
    BusinessStatus.ACCEPTED: _("Accepted"),
    BusinessStatus.IN_PROGRESS: _("Being handled"),
    BusinessStatus.AWAITING_INFORMATION: _("Awaiting information from the requester"),
    BusinessStatus.RETURNED_INCOMPLETE: _("Returned: incomplete"),
    BusinessStatus.RETURNED_NON_ADMISSIBLE: _("Returned: not eligible"),
    BusinessStatus.COMPLETED_WITH_ADVICE: _("Answered with advice"),
    BusinessStatus.PATIENT_NEEDS_TO_BE_SEEN: _("Answered: the patient needs to be seen"),
    BusinessStatus.CANCELLED_BY_REQUESTER: _("Cancelled by the requester"),
    BusinessStatus.ABANDONED: _("Abandoned"),
    BusinessStatus.CANCELLED: _("Cancelled"),
    BusinessStatus.HANDED_ON: _("Handed on to somebody else"),
    BusinessStatus.RETURNED_TO_DISPATCH: _("Returned to dispatch"),
    BusinessStatus.ACCEPTANCE_EXPIRED: _("Not accepted in time"),
    BusinessStatus.TAKEN_BACK: _("Taken back at once by whoever gave it"),
}
"""What becomes of a Task of FHIR."""

ROLES: Mapping[Role, str] = {
    Role.REQUESTER: _("Requester"),
    Role.DISPATCHER: _("Dispatcher"),
    Role.PROVIDER: _("Provider"),
    Role.CLINIC_ADMINISTRATOR: _("Clinic administrator"),
    Role.OPERATOR: _("Operator"),
    Role.SYSTEM: _("Relais"),
}

PRIORITIES: Mapping[Priority, str] = {
    Priority.ROUTINE: _("Routine"),
    Priority.URGENT: _("Fast"),
    Priority.ASAP: _("Very fast"),
}
"""The priorities that a request can have, the calmest first, where no offering says how soon each is."""


def priority_words(priority: Priority, offering: ServiceOffering | None, language: Language) -> str:
    """How soon an answer is needed: with an offering, within how long somebody accepts the request."""
    say = gettext_for(language)
    limits = offering.terms.deadlines[DeadlineName.ACCEPTANCE].limit if offering else {}
    limit = limits.get(priority)
    if limit is None or priority is Priority.ROUTINE:
        return say(PRIORITIES.get(priority, priority))
    if (limit.amount, limit.unit, limit.business) == (1, "d", False):
        limit = Span.of("24h")  # a day sounds like until this evening
    return say(_("Within %(limit)s")) % {"limit": span(limit, language)}


_VOWELS = frozenset("aeiou")


def baby_of(mother: str, language: Language) -> str:
    """A newborn who has no name yet: « Bébé de Marie Roy », « Bébé d’Anne Roy »."""
    sentence = gettext_for(language)(_("Baby of %(mother)s"))
    if language == "fr" and texts.plain(mother)[:1] in _VOWELS:
        sentence = sentence.replace(" de %", " d’%")
    return sentence % {"mother": mother}


ISSUERS: Mapping[Issuer, str] = {
    "CA-QC": _("Québec (RAMQ)"),
    "CA-AB": _("Alberta"),
    "CA-BC": _("British Columbia"),
    "CA-PE": _("Prince Edward Island"),
    "CA-MB": _("Manitoba"),
    "CA-NB": _("New Brunswick"),
    "CA-NS": _("Nova Scotia"),
    "CA-NU": _("Nunavut"),
    "CA-ON": _("Ontario"),
    "CA-SK": _("Saskatchewan"),
    "CA-NL": _("Newfoundland and Labrador"),
    "CA-NT": _("Northwest Territories"),
    "CA-YT": _("Yukon"),
    "CA": _("Canada (federal program)"),
    "other": _("Another insurer"),
}
"""Who gave out a health-insurance number."""

CONSENT_GIVERS: Mapping[ConsentGiver, str] = {
    ConsentGiver.PATIENT: _("The patient"),
    ConsentGiver.PARENT: _("A parent"),
    ConsentGiver.LEGAL_REPRESENTATIVE: _("A legal representative"),
    ConsentGiver.OTHER: _("Another person"),
}
"""Who consents."""

CONSENT_PARTS: Mapping[str, str] = {
    "given_by": _("Consent given by"),
    "name": _("Name of who consented"),
    "date": _("Date of the consent"),
}
"""What a form notes of it."""

SEXES: Mapping[str, str] = {
    "female": _("Female"),
    "male": _("Male"),
    "other": _("Other"),
    "unknown": _("Unknown"),
}

DOCUMENTS: Mapping[DocumentKind, str] = {
    DocumentKind.PRELIMINARY: _("Preliminary report"),
    DocumentKind.FINAL: _("Final report"),
    DocumentKind.ADDENDUM: _("Addendum"),
}
"""What each kind of signed document is called."""

LATE: Mapping[DeadlineName, str] = {
    DeadlineName.DISPATCH: _("Not dispatched in time"),
    DeadlineName.ACCEPTANCE: _("Not accepted in time"),
    DeadlineName.REPORT: _("Report late"),
    DeadlineName.INFORMATION: _("Question not answered in time"),
    DeadlineName.RESUBMISSION: _("Not submitted again in time"),
    DeadlineName.ACKNOWLEDGEMENT: _("Report not acknowledged in time"),
    DeadlineName.FOLLOW_UP: _("Question about the report not answered in time"),
    DeadlineName.URGENT_ACKNOWLEDGEMENT: _("Report to be read without delay not read in time"),
}
"""What is late, by the deadline that is over."""

MESSAGE_PARTS: Mapping[str, str] = {
    "code": _("Service asked for"),
    "category": _("Category"),
    "orderDetail": _("Details of the order"),
    "bodySite": _("Body site"),
    "locationCode": _("Place of care"),
    "performerType": _("Kind of provider"),
    "occurrence": _("When it is to be done"),
    "supportingInfo": _("Supporting information"),
    "patientInstruction": _("Instructions to the patient"),
    "reasonCode": _("Reason"),
    "Patient.deceased": _("Death"),
    "Patient.active": _("Patient’s record in use"),
    "Patient.telecom": _("Telephone, e-mail"),
    "Patient.address": _("Address"),
    "Patient.communication": _("Language"),
    "Condition": _("Condition"),
    "Observation": _("Observation"),
    "AllergyIntolerance": _("Allergy or intolerance"),
    "Medication": _("Medication"),
    "MedicationStatement": _("Medication"),
    "MedicationRequest": _("Prescription"),
    "Immunization": _("Vaccination"),
    "Procedure": _("Procedure"),
    "FamilyMemberHistory": _("Family history"),
    "DiagnosticReport": _("Result of an examination"),
    "DocumentReference": _("Document"),
    "Media": _("Picture"),
    "QuestionnaireResponse": _("Form that was filled in"),
}
"""Parts of a partner's message that have no place in the form, by their names in FHIR."""


def message_part(name: str, language: Language) -> str:
    """What people call a part of a message: its own name, where it is another than FHIR's."""
    return gettext_for(language)(MESSAGE_PARTS.get(name, name))


KEPT_BECAUSE: Mapping[KeptBecause, str] = {
    KeptBecause.HELD: _("It is on hold."),
    KeptBecause.FOLLOWED: _("A request that follows it is still there."),
    KeptBecause.OPEN: _("Something is still to be done about it."),
    KeptBecause.YOUNGER: _("Its time is not over any more."),
    KeptBecause.UNREADABLE: _("It does not open, so nobody knows for how long it must be kept."),
    KeptBecause.GONE: _("It is not there any more."),
    KeptBecause.RESTRICTED: _("It needs a second approval, and has none."),
}
"""Why a request that stood on a list to destroy was kept."""

PHOTO_VIEWS: Mapping[PhotoView, str] = {"overview": _("Overview"), "close_up": _("Close-up")}
"""From how near a photo was taken."""

RETURN_REASONS: Mapping[ReturnReason, str] = {
    ReturnReason.NOT_ELIGIBLE: _("Request not eligible"),
    ReturnReason.INCOMPLETE_SUBMISSION: _("Incomplete submission"),
}

EVENTS: Mapping[EventName, str] = {
    EventName.SUBMITTED: _("Request submitted"),
    EventName.ASSIGNED: _("Request assigned"),
    EventName.REASSIGNED: _("Handed on to somebody else"),
    EventName.ACCEPTED: _("Request accepted"),
    EventName.TAKEN_BACK: _("Taken back at once"),
    EventName.TRANSFERRED: _("Transferred to a colleague"),
    EventName.INFORMATION_REQUESTED: _("Additional information requested"),
    EventName.INFORMATION_ANSWERED: _("Additional information given"),
    EventName.INFORMATION_ADDED: _("Information added by the requester"),
    EventName.WORSENING_REPORTED: _("The requester reports that the patient is getting worse"),
    EventName.INFORMATION_REQUEST_WITHDRAWN: _("Information request withdrawn"),
    EventName.RETURNED_TO_REQUESTER: _("Returned to the requester"),
    EventName.RETURNED_TO_DISPATCH: _("Returned to dispatch"),
    EventName.RESUBMITTED: _("Request resubmitted"),
    EventName.CANCELLED: _("Request cancelled"),
    EventName.PRIORITY_CHANGED: _("Priority changed"),
    EventName.REPORT_SIGNED: _("Report signed, document being prepared"),
    EventName.ADDENDUM_SIGNED: _("Addendum signed, document being prepared"),
    EventName.PRELIMINARY_REPORT_ISSUED: _("Preliminary report sent"),
    EventName.FINAL_REPORT_ISSUED: _("Final report sent"),
    EventName.ADDENDUM_ISSUED: _("Addendum sent"),
    EventName.SIGNING_FAILED: _("The signed document could not be prepared"),
    EventName.ACKNOWLEDGED: _("Report acknowledged, request closed"),
    EventName.DISPATCH_REMINDER: _("Reminder: to be dispatched"),
    EventName.RULES_RENEWED: _("Rules or calendar of the request renewed"),
    EventName.DISPATCH_OVERDUE: _("Dispatch overdue"),
    EventName.ACCEPTANCE_REMINDER: _("Reminder: to be accepted"),
    EventName.ACCEPTANCE_EXPIRED: _("Not accepted in time, returned to dispatch"),
    EventName.REPORT_REMINDER: _("Reminder: report to be written"),
    EventName.REPORT_OVERDUE: _("Report overdue"),
    EventName.INFORMATION_REMINDER: _("Reminder: information to be given"),
    EventName.INFORMATION_EXPIRED: _("Information not given in time"),
    EventName.RESUBMISSION_REMINDER: _("Reminder: request to be resubmitted"),
    EventName.ABANDONED: _("Not resubmitted in time, request abandoned"),
    EventName.ACKNOWLEDGEMENT_REMINDER: _("Reminder: report to be acknowledged"),
    EventName.URGENT_REPORT_REMINDER: _("Reminder: report to be read without delay"),
    EventName.URGENT_REPORT_UNREAD: _("Report to be read without delay not read in time"),
    EventName.READ_FOR_REQUESTER: _("Report read for the requester"),
    EventName.READING_CONFIRMED: _("Report read, confirmed"),
    EventName.FOLLOW_UP_ASKED: _("Question about the report"),
    EventName.FOLLOW_UP_ANSWERED: _("Question about the report answered"),
    EventName.FOLLOW_UP_WITHDRAWN: _("Question about the report withdrawn"),
    EventName.FOLLOW_UP_REMINDER: _("Reminder: question about the report"),
    EventName.FOLLOW_UP_OVERDUE: _("Question about the report not answered in time"),
    EventName.CLOSED_UNACKNOWLEDGED: _("Closed without acknowledgement"),
}

REFUSALS: Mapping[RefusalCode, str] = {
    RefusalCode.ROLE_NOT_ALLOWED: _("Your role does not allow this."),
    RefusalCode.NOT_THE_REQUESTER: _("Only the requester of this request may do this."),
    RefusalCode.NOT_THE_HOLDER: _("Only the provider who holds this request may do this."),
    RefusalCode.NOT_THE_DISPATCHER: _("Only the dispatchers of this request may do this."),
    RefusalCode.NOT_THE_ADMINISTRATOR: _("Only an administrator of the clinic concerned may do this."),
    RefusalCode.NOT_THE_REQUESTERS_COLLEAGUE: _("Only somebody else of the requester’s clinic can say so."),
    RefusalCode.NOT_THE_SIGNER: _("Only the provider who signed the final report may do this."),
    RefusalCode.FOLLOW_UP_OPEN: _("Your question about the report still waits for an answer; then you can ask again."),
    RefusalCode.NO_OPEN_FOLLOW_UP: _("This question about the report is no longer open."),
    RefusalCode.TOO_MANY_FOLLOW_UPS: _("Two questions about the report were asked already. Begin a new request."),
    RefusalCode.TOO_LATE_TO_ASK: _("The report is more than 30 days old. Begin a new request."),
    RefusalCode.NOTHING_UNREAD: _(
        "No report of this request lies unread: its requester has read it, or still has time."
    ),
    RefusalCode.URGENT_REPORT_UNREAD: _(
        "A report of this request must be read without delay, and nobody has confirmed that it was read. Confirm that first."
    ),
    RefusalCode.SIGNER_IS_THERE: _("Whoever signed the report answers; a colleague can only while they are away."),
    RefusalCode.NOT_ALLOWED_IN_STATUS: _("This can't be done in the request's present status."),
    RefusalCode.ALREADY_ACCEPTED: _("Somebody else has already accepted this request."),
    RefusalCode.REPORT_BEING_SIGNED: _("A signed document is being prepared; try again in a moment."),
    RefusalCode.NOTHING_TO_TAKE_BACK: _("There is nothing to take back: something else has happened since."),
    RefusalCode.TOO_LATE_TO_TAKE_BACK: _("It is too late to take this back. Choose another way below."),
    RefusalCode.NO_OPEN_QUESTION: _("No information request is open."),
    RefusalCode.NOTHING_TO_CONFIRM: _("No report waits to be read without delay."),
    RefusalCode.DEADLINE_NOT_ARMED: _("This deadline is not running for this request."),
    RefusalCode.DEADLINE_STOPPED: _("This deadline is paused: a question must be answered first, or a report be read."),
    RefusalCode.DEADLINE_NOT_DUE: _("This deadline has not been reached."),
    RefusalCode.VERSION_CONFLICT: _("The request has changed in the meantime; look at it again."),
    RefusalCode.NOTHING_BEING_SIGNED: _("This report is not being signed."),
    RefusalCode.RULES_UNKNOWN: _("This version of Relais does not have these rules yet."),
    RefusalCode.NOTHING_TO_RENEW: _("The request lives under these rules already."),
    RefusalCode.STAT_REFUSED: _(
        "Emergencies have no place here: call the specialist on duty or send the patient to the emergency room."
    ),
    RefusalCode.PRIORITY_UNCHANGED: _("The request has this priority already."),
    RefusalCode.ALREADY_ASSIGNED: _("The request is assigned there already."),
    RefusalCode.NOT_A_COLLEAGUE: _("A request can be transferred to colleagues of your clinic only."),
    RefusalCode.TRANSFER_TO_SELF: _("You hold this request already."),
    RefusalCode.NO_SUCH_QUESTION: _("There is no open information request with this id."),
    RefusalCode.WHICH_QUESTION: _("Several information requests are open: say which one."),
    RefusalCode.FORM_NOT_NEWER: _("The form has not changed since the last submission."),
    RefusalCode.MALFORMED: _("The command can't be read."),
    RefusalCode.UNKNOWN_COMMAND: _("There is no such command."),
}


def listed(items: Iterable[str], language: Language) -> str:
    """« a, b et c », “a, b, and c”."""
    return format_list(list(items), locale=LOCALES[language])
