"""When data about a patient leave a clinic: whose register of communications an act of the audit belongs to, and who got them.

What a clinic asked with (the form, the photos, and all that came back to it) is the asking clinic's: it leaves when somebody of
another clinic is shown it. What a clinic answers with leaves that clinic when it is said: the asking clinic has it from then on.
One's own people and systems are nobody outside. See docs/decisions/registers.md. Source: R-22.1, s. 265.
"""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from uuid import UUID

from pydantic import Field

from domain.audit import LOOKS, Act
from domain.model import Frozen, Said, ShortText
from domain.partial_dates import WrittenDay
from domain.requests import Role


class Recipient(StrEnum):
    """Who got what left."""

    READER = "reader"  # whoever of another clinic was shown it: a person, or a system
    ASKING_CLINIC = "asking_clinic"
    PERSON = "person"  # whom the data are about
    TAKEN_ALONG = "taken_along"  # one's own people made a copy to take along: for whom, Relais does not know


SHOWING = (LOOKS - {Act.JOURNAL, Act.PHONE_PHOTO, Act.REPORT_DRAFT}) | {Act.LOOK}
"""Acts by which something is shown that the asking clinic has. What comes in, the journal, and a report that is being written by
somebody else are none.
"""

ANSWERS = frozenset(
    {
        *("sign_report", "add_addendum", "request_information", "answer_follow_up", "return_to_requester"),
    }
)
"""Commands with which whoever answers says something about the patient to the clinic that asked."""

SIGNING = ("sign_report", "add_addendum")
"""Those of them by which a report is signed."""

TAKEN = "taken"
"""How a journal of accesses is called in the audit that was opened, to be handed over (`use_cases.journals`)."""

NOTHING_SHOWN = frozenset(
    {
        *("hold_page", "journal_page", "journal_state_page", "get_journal", "get_journal_offer"),
        *("get_command", "choice_page", "link_state", "get_phone_link"),
        *("accesses", "get_accesses", "accesses_page"),
    }
)
"""Routes that name a request and show nothing of its patient: numbers, people of clinics, whether something is done."""

KINDS = SHOWING | {Act.JOURNAL, Act.COMMAND}
"""Acts of which one can be a communication."""

NEVER: frozenset[Act] = frozenset(Act) - KINDS
"""The others: they change something, say who came in, or show lines of lists, and not one request alone."""


@dataclass(frozen=True)
class Flow:
    """Data left a clinic: that one's register tells it."""

    of: UUID
    to: Recipient


def flow(
    act: Act, name: str | None, role: Role | None, *, asked: UUID, by: UUID | None, written_by: UUID | None = None
) -> Flow | None:
    """How data left with that act, of a request for which the clinic `asked` asked; None where nothing left.

    `by` is the clinic for which somebody acted, None for Relais itself; `written_by` the same where it opened a report, and had
    signed one of the request before: what it reads of its own does not leave another.
    """
    is_own = by == asked
    if act in SHOWING and (by is None or by != written_by):
        return _shown(act, name, role, asked, is_own=is_own)
    if act is Act.JOURNAL and name == TAKEN and by is not None:
        return Flow(by, Recipient.PERSON)
    if act is Act.COMMAND and name in ANSWERS and by is not None and not is_own:
        return Flow(by, Recipient.ASKING_CLINIC)
    return None


def _shown(act: Act, name: str | None, role: Role | None, asked: UUID, *, is_own: bool) -> Flow | None:
    if is_own:
        return Flow(asked, Recipient.TAKEN_ALONG) if act is Act.EXPORT else None
    if role is Role.OPERATOR and act is not Act.ENGINE:
        return None  # operators see how requests move, and nothing of the patient
    if act is Act.LOOK and name in NOTHING_SHOWN:
        return None
    return Flow(asked, Recipient.READER)


class ByHand(Frozen):
    """What left the clinic outside of Relais: on paper, by telephone, by another system; with the fields that the law names."""

    given_on: WrittenDay = Field(description="When it left.", examples=["2026-11-22"])
    nature: Said = Field(description="Which information, or what kind of it.", examples=["Copie papier du rapport"])
    recipient: Said = Field(description="Who got it.", examples=["La personne concernée"])
    purpose: Said = Field(
        description="For what, and why it was allowed or asked for.", examples=["Demande d’accès de la personne"]
    )
    request_id: UUID | None = Field(None, description="The request from which it came, where it came from one.")


class ByHandOnRecord(ByHand):
    """The same as it is on record: what was written was taken by the rules of its own time."""

    given_on: date
    nature: ShortText
    recipient: ShortText
    purpose: ShortText
