"""The parameters of a search: read from the address and from a form, and refused where they are not known."""

import re
from collections.abc import Iterable

from fastapi import Request

from fhir.kinds import BY_IDENTIFIER
from fhir.outcomes import NOT_A_FORM, NOT_IN_ADDRESS, NOT_READ, UNKNOWN_PARAMETER, NotTaken
from fhir.searches import Parameters
from web.oauth import FORM

MOST_VALUES = 200
"""So many values one search may name, all parameters together; each may be looked up."""


async def parameters_of(request: Request, kind: str, known: tuple[str, ...]) -> Parameters:
    """What is asked for of resources of a type, in the address and in a form. Raises NotTaken."""
    found: dict[str, list[str]] = {}
    if request.method == "POST" and (await request.body() or "content-type" in request.headers):
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
            raise NotTaken(NOT_A_FORM, status=415, code="not-supported")
        async with request.form(max_fields=100) as form:
            for name, value in form.multi_items():
                found.setdefault(name, []).append(str(value))
    if kind == "Patient" and any(_base_of(name) == BY_IDENTIFIER for name in request.query_params):
        raise NotTaken(NOT_IN_ADDRESS, code="security", about=BY_IDENTIFIER)
    for name, value in request.query_params.multi_items():
        found.setdefault(name, []).append(value)
    check_known(request, found, known)
    taken = {name: values for name, values in found.items() if name in known}
    for name, values in taken.items():
        if any("\0" in value for value in values):
            raise NotTaken(NOT_READ, about=name)
    if sum(1 + value.count(",") for values in taken.values() for value in values) > MOST_VALUES:
        raise NotTaken(NOT_READ, about=max(taken, key=lambda name: sum(map(len, taken[name]))))
    return taken


def _base_of(name: str) -> str:
    """A parameter without its modifier, or what stands behind it in a chain."""
    return re.split(r"[:.]", name, maxsplit=1)[0]


def check_known(request: Request, names: Iterable[str], known: tuple[str, ...]) -> None:
    """What is not understood is refused, unless who asks says that it may be passed over (Prefer: handling=lenient).

    A modifier of what is known is never passed over: more would be found than was asked for.
    """
    is_lenient = "handling=lenient" in request.headers.get("prefer", "").replace(" ", "").lower()
    bases = {_base_of(name) for name in known}
    for name in names:
        if name not in known and not (is_lenient and _base_of(name) not in bases):
            raise NotTaken(UNKNOWN_PARAMETER, code="not-supported", about=name[:100])
