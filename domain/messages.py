"""The events by which outside systems tell of requests (CA:eReC): who says which, and what of it is taken here.

Relais takes requests as the performer, and hears of its own from partners that perform. Appointments and corrections of data are
taken from nobody.
"""

from datetime import timedelta
from enum import StrEnum


class MessageEvent(StrEnum):
    """What happened at the other side, by the codes that CA:eReC and Ontario's guide share."""

    ADD_REQUEST = "add-service-request"
    ADD_RECORD = "notify-add-service-record"
    UPDATE_REQUEST = "notify-update-service-request"
    CORRECT_DATA = "notify-data-correction"
    REVOKE_REQUEST = "revoke-service-request"
    ADD_PROCESS = "notify-add-process-request"
    UPDATE_PROCESS = "notify-update-process-request"
    ADD_APPOINTMENT = "notify-add-appointment"
    SAID_BY_REQUESTER = "send-communication-from-requester"
    SAID_BY_PROVIDER = "send-communication-from-provider"
    UPDATE_RECORD = "notify-update-service-record"


FROM_REQUESTERS = frozenset(
    {
        MessageEvent.ADD_REQUEST,
        MessageEvent.UPDATE_REQUEST,
        MessageEvent.REVOKE_REQUEST,
        MessageEvent.SAID_BY_REQUESTER,
    }
)
"""What is acted on."""

FROM_PERFORMERS = frozenset(
    {MessageEvent.ADD_PROCESS, MessageEvent.UPDATE_PROCESS, MessageEvent.SAID_BY_PROVIDER},
)
"""What is acted on that a partner says to which a request went."""

TO_KNOW = frozenset({MessageEvent.ADD_RECORD, MessageEvent.UPDATE_RECORD})
"""What an informer tells: kept, answered, and nothing else."""

KEPT_FOR = timedelta(days=90)
"""So long what came is kept that no request has: what was refused, what is told to know. The rest is kept with its request."""

ONTARIO = "https://ehealthontario.ca/fhir/CodeSystem/message-event-code"
"""The system of the codes, where a partner names no other."""
