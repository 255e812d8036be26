"""An incident in words: as the register says it, and as drafts of the notice to the authorities and of the letter to the persons.

What nobody has written yet stands in a draft as a gap (`[…]`). Sources: R-22.1, r. 1, s. 11 and 15; A-2.1, r. 3.1, s. 5.
"""

from collections.abc import Sequence
from datetime import date
from enum import StrEnum
from uuid import UUID

from domain.incidents import Incident
from records import people
from translations import Language, gettext_for, gettext_noop
from translations.dates import birth, day
from translations.registers import INCIDENT_FIELDS, RISKS
from use_cases.caller import Caller
from use_cases.incidents import read_incident
from use_cases.problems import Problem
from use_cases.services import Services

GAP = "[…]"


class Draft(StrEnum):
    """Which text is drafted."""

    NOTICE = "notice"  # to the Minister and to the Commission d'accès à l'information
    LETTER = "letter"  # to the persons concerned


TITLES = {
    Draft.NOTICE: gettext_noop("Notice of a confidentiality incident"),
    Draft.LETTER: gettext_noop("Letter about a confidentiality incident"),
}


async def read_draft(services: Services, caller: Caller, incident_id: UUID, which: Draft, language: Language) -> str:
    """The draft as plain text. Raises Problem `forbidden` or `not_found`."""
    found = await read_incident(services, caller, incident_id)
    async with services.database.session() as session:
        clinic = await people.load_clinic(session, caller.clinic_id)
    if found.incident is None or clinic is None:
        raise Problem("not_found")
    compose = {Draft.NOTICE: notice, Draft.LETTER: letter}[which]
    return compose(found.incident, found.number, clinic.name, [*clinic.address_lines, clinic.phone], language)


def told(incident: Incident, numbers: Sequence[str], language: Language) -> list[tuple[str, str]]:
    """What the register says of it, point by point as the regulation lists them; what is not known is empty."""
    _ = gettext_for(language)
    name = {field: _(words) for field, words in INCIDENT_FIELDS.items()}
    lines = [
        (name["information"], incident.information),
        (name["circumstances"], incident.circumstances),
        (name["cause"], incident.cause or ""),
        (_("When it happened"), happened(incident, language)),
        (name["aware_on"], day(incident.aware_on, language)),
        (name["persons"], _persons(incident.persons, incident, language)),
        (name["serious_risk"], _(RISKS[incident.serious_risk])),
        (name["risk_elements"], incident.risk_elements or ""),
        (name["minister_told_on"], _notice(incident.minister_told_on, incident.minister_not_told, language)),
        (name["commission_told_on"], _notice(incident.commission_told_on, incident.commission_not_told, language)),
        (name["persons_told_on"], _notice(incident.persons_told_on, incident.persons_not_told, language)),
        (name["public_notice_on"], _public(incident, language)),
        (name["measures"], incident.measures or ""),
    ]
    return [*lines, (name["request_ids"], ", ".join(numbers))]


def happened(incident: Incident, language: Language) -> str:
    """When it happened, as far as that is known; empty where it is not."""
    _ = gettext_for(language)
    if incident.happened_from is None:
        return ""
    since = birth(incident.happened_from, language)
    written = (
        _("from {since} to {until}").format(since=since, until=birth(incident.happened_until, language))
        if incident.happened_until
        else since
    )
    return _("{what} (approximation)").format(what=written) if incident.happened_roughly else written


def notice(incident: Incident, number: int, clinic: str, address: Sequence[str], language: Language) -> str:
    """The notice to the Minister and to the Commission, with the ten items of the regulation."""
    _ = gettext_for(language)
    persons = [
        _("Persons concerned: {count}").format(count=_persons(incident.persons, incident, language) or GAP),
        _("Of these, residing in Québec: {count}").format(
            count=_persons(incident.persons_in_quebec, incident, language) or GAP
        ),
    ]
    informed = [
        incident.persons_told_how or "",
        _("Notified on {day}").format(day=day(incident.persons_told_on, language)) if incident.persons_told_on else "",
        incident.persons_not_told or "",
    ]
    items = (
        (_("Name of the organization"), [clinic]),
        (_("Person to contact about the incident"), [incident.contact or GAP, *address]),
        (_("Description of the information concerned, or why it can’t be described"), [incident.information]),
        (
            _("Circumstances of the incident, and its cause if it is known"),
            [incident.circumstances, *([incident.cause] if incident.cause else [])],
        ),
        (_("Date or period of the incident, or an approximation"), [happened(incident, language) or GAP]),
        (_("When the organization became aware of it"), [day(incident.aware_on, language)]),
        (_("Number of persons concerned, and of those who reside in Québec"), persons),
        (_("What led to the conclusion that there is a risk of serious injury"), [incident.risk_elements or GAP]),
        (
            _("Measures to notify the persons concerned, and when they were or will be notified"),
            [line for line in informed if line] or [GAP],
        ),
        (
            _("Measures taken or planned to reduce the risk and to prevent new incidents, and when"),
            [incident.measures or GAP],
        ),
    )
    paragraphs = [f"{place}. {title}\n" + "\n".join(lines) for place, (title, lines) in enumerate(items, 1)]
    addressed = _("To the Minister of Health, and to the Commission d’accès à l’information")
    return "\n\n".join((_(TITLES[Draft.NOTICE]), addressed, _reference(number, clinic, language), *paragraphs)) + "\n"


def letter(incident: Incident, number: int, clinic: str, address: Sequence[str], language: Language) -> str:
    """The letter to somebody whom the incident concerns."""
    _ = gettext_for(language)
    sections = (
        (_("Which information is concerned"), incident.information),
        (_("What happened"), incident.circumstances),
        (_("When it happened"), happened(incident, language) or GAP),
        (_("What we have done, and will do"), incident.measures or GAP),
        (_("What you can do"), incident.advice or GAP),
        (_("Whom you can ask"), "\n".join((incident.contact or GAP, *(line for line in address if line)))),
    )
    return (
        "\n\n".join(
            (
                "\n".join((clinic, *(line for line in address if line))),
                _("Dear {name},").format(name=GAP),
                _("We write to you because of a confidentiality incident that concerns information about you."),
                *(f"{title}\n{text}" for title, text in sections),
                "\n".join((GAP, clinic)),
                _reference(number, clinic, language),
            )
        )
        + "\n"
    )


def _reference(number: int, clinic: str, language: Language) -> str:
    _ = gettext_for(language)
    return _("Incident {number} in the register of {clinic}").format(number=number, clinic=clinic)


def _persons(count: int | None, incident: Incident, language: Language) -> str:
    _ = gettext_for(language)
    if count is None:
        return ""
    return _("about {count}").format(count=count) if incident.persons_roughly else str(count)


def _notice(told_on: date | None, not_told: str | None, language: Language) -> str:
    _ = gettext_for(language)
    return " – ".join(
        filter(
            None, (day(told_on, language) if told_on else "", _("None: {why}").format(why=not_told) if not_told else "")
        )
    )


def _public(incident: Incident, language: Language) -> str:
    parts = (
        day(incident.public_notice_on, language) if incident.public_notice_on else "",
        incident.public_notice_because or "",
    )
    return " – ".join(filter(None, parts))
