"""What activities and timers are for, in the words in which the Temporal UI shows them. No personal data, no ids.

Passed through the sandbox, so that it is loaded once a worker and not once a request.
"""

from domain.deadlines import Deadline
from domain.effects import AnyEffect, Deliver, Finalize, NoteFailure, NoteRefusal, Notify, Record, kind_of


def of(effect: AnyEffect) -> str:
    """What the effect does."""
    match effect:
        case Record():
            return f"records of *{effect.event.name}*, and its e-mails"
        case Finalize():
            return f"{effect.signing.kind} document, rendered and sealed"
        case Deliver():
            return f"e-mails of {_event(effect)} to {_people(len(effect.notice_ids))}"
        case Notify():
            return "one e-mail"
        case NoteRefusal():
            return f"note: *{effect.refused.name}* was refused ({effect.refused.code})"
        case NoteFailure():
            return f"note: *{kind_of(effect.failure.effect_id)}* failed ({effect.failure.code})"


def of_timer(deadline: Deadline) -> str:
    """What the timer waits for."""
    return f"the clock of *{deadline.name}* ({deadline.limit})"


def of_single_notice(number: str) -> str:
    """Why there is a workflow for one e-mail."""
    return f"an e-mail of {number} that was not taken at once"


def _event(effect: Deliver) -> str:
    return f"*{effect.event}*" if effect.event else "one event"


def _people(count: int) -> str:
    return "1 person" if count == 1 else f"{count} people"
