"""What the audit tells of an act: its kind, and for what it was done. Who, when and from where, the records add."""

from collections.abc import Mapping
from enum import StrEnum

from domain.requests import Role


class Act(StrEnum):
    """What was done."""

    # looks at a request
    REQUEST = "request"
    ATTACHMENT = "attachment"
    PREVIEW = "preview"
    DOCUMENT = "document"
    REPORT_DRAFT = "report_draft"
    TIMELINE = "timeline"
    SEARCH = "search"  # it was found by words of its patient
    EXPORT = "export"  # the whole case, as one document
    JOURNAL = (
        "journal"  # the journal of accesses of its patient, asked for or taken along; `shown` says of which requests
    )
    ENGINE = "engine"  # what the engine keeps of it was opened for an operator
    PHONE_PHOTO = "phone_photo"  # it came from a telephone on which nobody was signed in, by a link of that person

    EMERGENCY = "emergency"  # it was to be opened in an emergency: `name` says what became of that (`EmergencyStep`)

    MESSAGE = "message"  # its partner was told of it by a message: `name` is its event, `object_id` the message

    # whatever else shows or does something
    LIST = "list"  # lines of requests were shown: `shown` says of which
    LOOK = "look"  # something else was shown: `name` says by which route
    COMMAND = "command"  # `name` is the command's
    CHANGE = "change"  # something else was changed: `name` says by which route
    ACCOUNT = (
        "account"  # something about an account, an invitation or a clinic: `name` says what, `object_id` is its note
    )
    DESTROYED = "destroyed"  # a request, when its time was over: `object_id` is the list that was approved
    SIGN_IN = "sign_in"
    SIGN_IN_FAILED = "sign_in_failed"  # `name` says why, as the code of the answer
    SIGN_OUT = "sign_out"
    REFUSED = "refused"  # the answer was an error: `name` says by which route, and which status it had


LOOKS = frozenset(
    {
        *(Act.REQUEST, Act.ATTACHMENT, Act.PREVIEW, Act.DOCUMENT, Act.REPORT_DRAFT, Act.TIMELINE),
        *(Act.SEARCH, Act.EXPORT, Act.JOURNAL, Act.ENGINE, Act.PHONE_PHOTO, Act.MESSAGE),
    }
)
"""Looks at one request, as its list of accesses shows them."""

SHOWING = (LOOKS - {Act.PHONE_PHOTO}) | {Act.LIST, Act.LOOK}
"""What shows something, and changes nothing."""


class EmergencyStep(StrEnum):
    """What became of an access in an emergency."""

    OPENED = "opened"  # `object_id` is the opening, as of the next
    ENDED = "ended"  # by hand
    REFUSED = "refused"  # without the right to it, whether there is such a request or not


class Purpose(StrEnum):
    """For what somebody acts, by the role in which they do, and in an emergency whatever it is (HL7's PurposeOfUse)."""

    CARE = "TREAT"
    ADMINISTRATION = "HOPERAT"
    OPERATION = "HSYSADMIN"
    EMERGENCY = "ETREAT"  # whoever would not see it, and has said why they must


_PURPOSES: Mapping[Role, Purpose] = {
    Role.REQUESTER: Purpose.CARE,
    Role.DISPATCHER: Purpose.CARE,
    Role.PROVIDER: Purpose.CARE,
    Role.CLINIC_ADMINISTRATOR: Purpose.ADMINISTRATION,
    Role.OPERATOR: Purpose.OPERATION,
    Role.SYSTEM: Purpose.OPERATION,
}


def purpose_of(role: Role) -> Purpose:
    """For what is done what somebody does in that role."""
    return _PURPOSES[role]
