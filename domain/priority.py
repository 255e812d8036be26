"""How soon an answer is needed: the codes of FHIR's request-priority."""

from enum import StrEnum


class Priority(StrEnum):
    """FHIR request-priority. `stat` exists only to be refused: emergencies have no place in an asynchronous flow."""

    ROUTINE = "routine"
    URGENT = "urgent"
    ASAP = "asap"
    STAT = "stat"
