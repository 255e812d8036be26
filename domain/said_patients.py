"""A Patient (FHIR) of another system, as a form knows one: as far as can be read, whatever else is in it or missing.

Source of the marks of a health insurance's number: type JHN of v2-0203, and Canada's registry of naming systems.
"""

import re
from typing import Any, get_args

from domain.health_insurance import Issuer
from domain.loose import Json, dict_of, dicts_of, line_of, lines_of, words_of

_RAMQ = re.compile(r"[A-Z]{4} ?[0-9]{4} ?[0-9]{4}")
_OF_PROVINCE = re.compile(r"/ca-([a-z]{2})-")
_NAMES = ("official", "usual", None)
_FORMER_NAMES = ("old", "maiden")


def said_patient(patient: Json, chart_number_system: str | None = None) -> dict[str, Any]:
    """What it says, by the parts of a patient (`use_cases.patients`); of some, nothing that could be taken.

    The number of the chart is asked for by naming the system of such identifiers.
    """
    names = sorted(
        dicts_of(patient.get("name")), key=lambda one: (one.get("use") in _FORMER_NAMES, one.get("use") not in _NAMES)
    )
    name = names[0] if names else {}
    family, given = line_of(name.get("family")), " ".join(lines_of(name.get("given")))
    if not (family or given):
        family = line_of(name.get("text"))
    number, issuer = _health_number(patient, chart_number_system)
    said = {
        "given_name": given,
        "family_name": family,
        "birth_date": patient.get("birthDate"),
        "sex": patient.get("gender"),
        "health_insurance_number": number,
        "health_insurance_issuer": issuer,
        "chart_number": _chart_number(patient, chart_number_system) if chart_number_system else "",
    }
    return {name: value for name, value in said.items() if value}


def is_said_to_be_dead(patient: Json) -> bool:
    """Whether it says that the patient has died."""
    at = patient.get("deceasedDateTime")
    return patient.get("deceasedBoolean") is True or (isinstance(at, str) and bool(at))


def _health_number(patient: Json, chart_number_system: str | None) -> tuple[str, str | None]:
    """The number of the health insurance among the patient's identifiers, and who gave it; no number of a chart."""
    for identifier in dicts_of(patient.get("identifier")):
        number, system = line_of(identifier.get("value")), str(identifier.get("system", "")).casefold()
        codes = {code.upper() for code in words_of(identifier.get("type"))}
        does_not_count = identifier.get("use") == "old" or identifier.get("system", "") == chart_number_system
        if (
            number
            and not does_not_count
            and ("JHN" in codes or "healthcare-id" in system or "hcn" in system or _RAMQ.fullmatch(number.upper()))
        ):
            found = _OF_PROVINCE.search(system)
            issuer = f"CA-{found[1].upper()}" if found else None
            return number, issuer if issuer in get_args(Issuer) else None
    return "", None


def _chart_number(patient: Json, system: str) -> str:
    """The number of that system; of several, the first that is not said to be an old or a passing one."""
    found = [one for one in dicts_of(patient.get("identifier")) if one.get("system") == system]
    found.sort(key=lambda one: one.get("use") in ("old", "temp"))
    return next((number for one in found if (number := line_of(dict_of(one).get("value")))), "")
