"""An incident of confidentiality as a clinic's register holds it, and what the clinic still owes because of it.

Source: Act respecting health and social services information (R-22.1), s. 108 and 110; its regulation (R-22.1, r. 1), s. 11 (the
notice to the Minister and to the Commission d'accès à l'information) and s. 15 (the register). Private clinics keep the same
register by A-2.1, r. 3.1, s. 7. See docs/decisions/registers.md.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Literal
from uuid import UUID

from pydantic import Field

from domain.model import Frozen, Said, ShortText
from domain.partial_dates import KnownDate, PartialDate, WrittenDay, WrittenPartialDate

KEPT_YEARS = 5
"""So long a register is kept at least, from the day on which the clinic became aware (A-2.1, r. 3.1, s. 8)."""

MOST_PERSONS = 100_000_000
MOST_LINKED = 50
"""So many requests one incident names."""


class Duty(StrEnum):
    """What is still owed about an incident, in the order in which it presses."""

    ASSESS = "assess"  # whether there is a risk of serious injury
    TELL_MINISTER = "tell_minister"
    TELL_COMMISSION = "tell_commission"
    TELL_PERSONS = "tell_persons"
    COMPLETE = "complete"  # something that the register must say is not written yet


class Incident(Frozen):
    """What a version of an incident says. An incident is recorded when little is known: what is not known yet is empty."""

    information: Said = Field(
        description="Which information is concerned, or why that can't be said.",
        examples=["Noms et numéros d’assurance."],
    )
    circumstances: Said = Field(
        description="What happened, in short.", examples=["Rapport envoyé au mauvais télécopieur."]
    )
    cause: Said | None = Field(None, description="What caused it, where that is known.")
    happened_from: KnownDate | None = Field(
        None,
        description="When it happened, as far as that is known: a day, a month or a year.",
        examples=["2026-11-20"],
    )
    happened_until: KnownDate | None = Field(None, description="Until when, where it was a period.")
    happened_roughly: bool = Field(False, description="When it happened is an approximation.")
    aware_on: WrittenDay = Field(description="When the clinic became aware of it.", examples=["2026-11-22"])
    persons: int | None = Field(
        None, ge=0, le=MOST_PERSONS, description="How many persons are concerned.", examples=[12]
    )
    persons_in_quebec: int | None = Field(
        None, ge=0, le=MOST_PERSONS, description="How many of them reside in Québec.", examples=[12]
    )
    persons_roughly: bool = Field(False, description="These numbers are approximations.")
    serious_risk: bool | None = Field(
        None,
        description="Whether there is a risk of serious injury; empty as long as nobody has said so.",
        examples=[True],
    )
    risk_elements: Said | None = Field(
        None,
        description="What led to that conclusion: how sensitive the information is, for what harm it could be used, what would "
        "follow, and how likely that is.",
    )
    minister_told_on: WrittenDay | None = Field(None, description="When the Minister was notified.")
    minister_not_told: Said | None = Field(None, description="Why the Minister was not, where they are not to be.")
    commission_told_on: WrittenDay | None = Field(
        None, description="When the Commission d’accès à l’information was notified."
    )
    commission_not_told: Said | None = Field(None, description="Why it was not, where it is not to be.")
    persons_told_on: WrittenDay | None = Field(None, description="When the persons were notified.")
    persons_not_told: Said | None = Field(
        None, description="Why they were not: as long as it could hamper an investigation, they need not be."
    )
    persons_told_how: Said | None = Field(
        None, description="How the persons are notified, and until when that is expected."
    )
    public_notice_on: WrittenDay | None = Field(None, description="When public notice was given, if it was.")
    public_notice_because: Said | None = Field(None, description="Why public notice was given.")
    measures: Said | None = Field(
        None, description="What was done or will be, to reduce the risk and so that it does not happen again, and when."
    )
    advice: Said | None = Field(None, description="What the persons are advised to do.")
    contact: Said | None = Field(None, description="Whom to ask about it: name, telephone, e-mail.")
    request_ids: tuple[UUID, ...] = Field(
        (),
        max_length=MOST_LINKED,
        description="Requests that it concerns, with which the clinic had to do.",
        examples=[[]],
    )

    @property
    def kept_until(self) -> date:
        """The first day on which the law does not ask any more that it is kept."""
        year = self.aware_on.year + KEPT_YEARS
        try:
            return self.aware_on.replace(year=year)
        except ValueError:
            return date(year, 3, 1)


class IncidentOnRecord(Incident):
    """The same as it is on record: what was written was taken by the rules of its own time."""

    information: ShortText
    circumstances: ShortText
    cause: ShortText | None = None
    happened_from: WrittenPartialDate | None = None
    happened_until: WrittenPartialDate | None = None
    aware_on: date
    persons: int | None = None
    persons_in_quebec: int | None = None
    risk_elements: ShortText | None = None
    minister_told_on: date | None = None
    minister_not_told: ShortText | None = None
    commission_told_on: date | None = None
    commission_not_told: ShortText | None = None
    persons_told_on: date | None = None
    persons_not_told: ShortText | None = None
    persons_told_how: ShortText | None = None
    public_notice_on: date | None = None
    public_notice_because: ShortText | None = None
    measures: ShortText | None = None
    advice: ShortText | None = None
    contact: ShortText | None = None
    request_ids: tuple[UUID, ...] = ()


TOLD: Mapping[Duty, tuple[str, str]] = {
    Duty.TELL_MINISTER: ("minister_told_on", "minister_not_told"),
    Duty.TELL_COMMISSION: ("commission_told_on", "commission_not_told"),
    Duty.TELL_PERSONS: ("persons_told_on", "persons_not_told"),
}
"""Who must be notified of a risk of serious injury: the field with the day of the notice, and that with why there is none."""

OF_REGISTER = ("happened_from", "persons", "risk_elements", "measures")
"""What the register must say as well, and can't be known on the first day."""


@dataclass(frozen=True)
class Owed:
    """What is still owed, since which day, and which fields say it when it is done."""

    duty: Duty
    since: date
    fields: tuple[str, ...]


def owed(incident: Incident) -> tuple[Owed, ...]:
    """Everything that is still owed, what presses most first. All of it is, from the day on which the clinic became aware."""
    return tuple(Owed(duty, incident.aware_on, fields) for duty, fields in _duties(incident))


def _duties(incident: Incident) -> Iterator[tuple[Duty, tuple[str, ...]]]:
    if incident.serious_risk is None:
        yield Duty.ASSESS, ("serious_risk",)
    if incident.serious_risk:
        for duty, fields in TOLD.items():
            if not any(getattr(incident, field) for field in fields):
                yield duty, fields
    if missing := tuple(field for field in OF_REGISTER if getattr(incident, field) in (None, "")):
        yield Duty.COMPLETE, missing


Fault = Literal["before_it_begins", "in_the_future", "before_aware", "required"]


def faults(incident: Incident, today: date) -> Iterator[tuple[str, Fault]]:
    """What can't be so, as field and code: days in the future, ends before beginnings, notices before anybody knew."""
    begun, ended = (
        PartialDate.read(text) if text else None for text in (incident.happened_from, incident.happened_until)
    )
    if begun and begun.first > today:
        yield "happened_from", "in_the_future"
    if ended and not begun:
        yield "happened_from", "required"
    if begun and ended and ended.last < begun.first:
        yield "happened_until", "before_it_begins"
    if incident.aware_on > today:
        yield "aware_on", "in_the_future"
    for field in (*(told for told, _ in TOLD.values()), "public_notice_on"):
        day: date | None = getattr(incident, field)
        if day is not None and day > today:
            yield field, "in_the_future"
        elif day is not None and day < incident.aware_on:
            yield field, "before_aware"
    if incident.public_notice_on and not incident.public_notice_because:
        yield "public_notice_because", "required"


def pressing(incident: Incident) -> tuple[int, int]:
    """How the list is sorted: what owes a notice or an answer first, the longest waiting of these first; then the newest."""
    duties = {one.duty for one in owed(incident)}
    days = incident.aware_on.toordinal()
    if duties - {Duty.COMPLETE}:
        return 0, days
    return (1, days) if duties else (2, -days)
