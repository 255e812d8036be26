"""Looking for a patient by the number of their health insurance, as somebody who types it into a search does."""

import re
from collections.abc import Sequence

from fhir.elements import Resource
from fhir.kinds import BY_IDENTIFIER, OF_REQUESTS
from fhir.outcomes import NOT_READ, NotTaken
from fhir.resources import Patient
from fhir.searches import MOST, Asked, Parameters, count_of
from records.cases import Window
from records.worklist import WorklistFilter
from use_cases.cases import find_cases
from use_cases.worklist import read_worklist


async def find_patients(asked: Asked, parameters: Parameters) -> Sequence[Resource]:
    """The patients of the newest requests in which that number stands, of those that the caller may see; 100 at most.

    The search is written down, as every search for a patient is. Raises NotTaken.
    """
    if set(parameters) - {BY_IDENTIFIER, "_format", "_count"} or len(parameters[BY_IDENTIFIER]) != 1:
        raise NotTaken(NOT_READ, about=BY_IDENTIFIER)
    system, bar, written = parameters[BY_IDENTIFIER][0].rpartition("|")
    number = re.sub(r"[\s-]", "", written)
    if not number.isalnum() or len(number) > 40:
        raise NotTaken(NOT_READ, about=BY_IDENTIFIER)
    wanted = WorklistFilter(q=number, sort="created", limit=MOST)
    lines = await read_worklist(asked.services, asked.caller, wanted, asked.server.language)
    ids = frozenset(line.id for line in lines.items)
    of = OF_REQUESTS["Patient"]
    there = await find_cases(asked.services, asked.caller, Window(ids=ids, descending=True), MOST, of.behind)
    made = [one for case in there.cases for one in of.make(case, asked.server)]
    found = [one for one in made if isinstance(one, Patient) and _has(one, number, system if bar else None)]
    return found[: count_of(parameters)]


def _has(patient: Patient, number: str, system: str | None) -> bool:
    """Whether that is their number; of whichever system, where none is said."""
    return any(
        _compact(one.value or "") == _compact(number) and (not system or one.system == system)
        for one in patient.identifier or ()
    )


def _compact(number: str) -> str:
    """A number without what people put between its parts, in whatever case."""
    return "".join(letter for letter in number if letter.isalnum()).upper()
