"""The words of the registers: what an incident says, field by field, what is owed, and who got what left a clinic."""

from collections.abc import Mapping

from domain.audit import Purpose
from domain.communications import Recipient
from domain.incidents import Duty
from translations import gettext_noop as _

INCIDENT_FIELDS: Mapping[str, str] = {
    "information": _("Information concerned, or why it can’t be described"),
    "circumstances": _("Circumstances, in short"),
    "cause": _("Cause, if it is known"),
    "happened_from": _("When it happened, or since when"),
    "happened_until": _("Until when, if it was a period"),
    "happened_roughly": _("When it happened is an approximation"),
    "aware_on": _("When the clinic became aware of it"),
    "persons": _("Number of persons concerned"),
    "persons_in_quebec": _("Of these, residing in Québec"),
    "persons_roughly": _("The numbers are approximations"),
    "serious_risk": _("Risk of serious injury"),
    "risk_elements": _("What led to this conclusion"),
    "minister_told_on": _("Notice to the Minister"),
    "minister_not_told": _("If there is none, why"),
    "commission_told_on": _("Notice to the Commission d’accès à l’information"),
    "commission_not_told": _("If there is none, why"),
    "persons_told_on": _("Notice to the persons concerned"),
    "persons_not_told": _("If there is none, why"),
    "persons_told_how": _("How the persons are notified, and by when"),
    "public_notice_on": _("Public notice, if one was given"),
    "public_notice_because": _("Why public notice was given"),
    "measures": _("Measures taken or planned, and when"),
    "advice": _("What the persons are advised to do"),
    "contact": _("Whom to ask about it"),
    "request_ids": _("Requests concerned"),
}
"""What each field of an incident is called."""

DUTIES: Mapping[Duty, str] = {
    Duty.ASSESS: _("Say whether there is a risk of serious injury"),
    Duty.TELL_MINISTER: _("Notify the Minister"),
    Duty.TELL_COMMISSION: _("Notify the Commission d’accès à l’information"),
    Duty.TELL_PERSONS: _("Notify the persons concerned"),
    Duty.COMPLETE: _("Complete the register"),
}

RISKS: Mapping[bool | None, str] = {
    True: _("Yes"),
    False: _("No"),
    None: _("Not assessed yet"),
}
"""Whether there is a risk of serious injury."""

RECIPIENTS: Mapping[Recipient, str] = {
    Recipient.PERSON: _("The person concerned"),
    Recipient.TAKEN_ALONG: _("Not known to Relais: copied to be taken along"),
}
"""Who got what left, where it is nobody with a name."""

NATURES: Mapping[str, str] = {
    "sign_report": _("Signed report"),
    "add_addendum": _("Addition to the report, signed"),
    "request_information": _("Question about the patient"),
    "answer_follow_up": _("Answer to a question about the report"),
    "return_to_requester": _("Return of the request, with its reason"),
    "taken": _("Journal of accesses"),
}
"""What left, of what is more than a look: by the command, or how the journal is called in the audit."""

PURPOSES: Mapping[Purpose, str] = {
    Purpose.CARE: _("Care: teleconsultation"),
    Purpose.ADMINISTRATION: _("Administration of the clinic"),
    Purpose.OPERATION: _("Operation of the service"),
    Purpose.EMERGENCY: _("Emergency"),
}
"""For what it left, where that was noted."""
