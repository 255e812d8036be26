"""Which request a message means: by the name that the partner has for it, and by no other."""

import re
from collections.abc import Iterable, Iterator, Sequence
from uuid import UUID

from domain.loose import Json, dict_of, dicts_of, line_of
from fhir.addresses import request_in
from fhir.loose import Resources
from use_cases.said import OrderName

_KIND = re.compile(r"[A-Z][A-Za-z]+")
_LONGEST_NAME = 10_000


def request_beside(focus: Json, resources: Resources) -> Json | None:
    """The request that something said is about, where it lies in the message as well."""
    named = _references_to_requests(focus)
    for reference in named:
        found = resources.find(reference)
        if found is not None and found["resourceType"] == "ServiceRequest":
            return found
    beside = resources.of("ServiceRequest")
    return beside[0] if len(beside) == 1 and not named else None


def _references_to_requests(focus: Json) -> Sequence[Json]:
    """By what something said names what it is about: what it is based on, else what it is about."""
    based_on = [one for one in dicts_of(focus.get("basedOn")) if _may_be_request(one)]
    return based_on or [one for one in dicts_of(focus.get("about")) if _may_be_request(one)]


def _may_be_request(reference: Json) -> bool:
    """Whether it may lead to a request or to its Task, as far as one can see by itself."""
    return kind_of(reference) in ("", "ServiceRequest", "Task")


def kind_of(reference: Json) -> str:
    """To which type of resource it leads, as far as it says so."""
    parts = line_of(reference.get("reference")).split("/_history/")[0].rsplit("/", 2)
    kind = parts[-2] if len(parts) > 1 else ""
    return line_of(reference.get("type")) or (kind if _KIND.fullmatch(kind) else "")


def names_in(foci: Iterable[Json], resources: Resources) -> tuple[OrderName, ...]:
    """Which requests are meant by what a message is about, each once."""
    return tuple(dict.fromkeys(name for one in foci for name in names_of(one, resources)))


def names_of(focus: Json, resources: Resources) -> Iterator[OrderName]:
    """Which request is meant, by the name that the partner has for it; each one is told that is named."""
    if focus["resourceType"] == "ServiceRequest":
        yield from _own_name(focus, resources)
        return
    named = _references_to_requests(focus)
    for reference in named:
        found = resources.find(reference)
        if found is not None and found["resourceType"] == "Task":
            for one in (
                *dicts_of(found.get("basedOn")),
                *([found["focus"]] if isinstance(found.get("focus"), dict) else ()),
            ):
                if _may_be_request(one):
                    yield from _named(one, resources)
        else:
            yield from _named(reference, resources)
    if not named and (beside := request_beside(focus, resources)) is not None:
        yield from _own_name(beside, resources)


def _named(reference: Json, resources: Resources) -> Iterator[OrderName]:
    """The name of the request to which a reference leads. What leads to something else names none."""
    found = resources.find(reference)
    if found is not None:
        if found["resourceType"] == "ServiceRequest":
            yield from _own_name(found, resources)
        return
    if name := _number(dict_of(reference.get("identifier"))):
        yield name
    elif address := _name(reference.get("reference")):
        yield OrderName(_address(address) or address)


def _own_name(asked: Json, resources: Resources) -> Iterator[OrderName]:
    """The first of its identifiers, the placer's or the official one before others; else its address, where that is its own."""
    ranked = [(_rank(one), name) for one in dicts_of(asked.get("identifier")) if (name := _number(one))]
    if ranked:
        yield min(ranked, key=lambda one: one[0])[1]  # the first of equals
        return
    yield from _addresses(asked, resources)[:1]


def _addresses(asked: Json, resources: Resources) -> list[OrderName]:
    """By its id and its fullUrl, as far as these mean one resource wherever they stand."""
    texts = (line_of(asked.get("id")), _name(resources.url_of(asked)))
    return [OrderName(address) for text in texts if (address := _address(text))]


def _number(identifier: Json) -> OrderName | None:
    """An identifier with its system, whole."""
    value, system = identifier.get("value"), identifier.get("system")
    name = OrderName(_name(value), _name(system))
    return name if name.value and not _is_too_long(system) else None


def _name(value: object) -> str:
    """What a name is made of, whole; empty for what is longer than any: cut, it could be another's."""
    return "" if _is_too_long(value) else line_of(value, _LONGEST_NAME)


def _is_too_long(value: object) -> bool:
    return isinstance(value, str) and len(value) > _LONGEST_NAME


def order_id_of(asked: Json, resources: Resources) -> UUID | None:
    """The id of the request's resource, where it is a UUID."""
    ids = (one.order_id for one in _addresses(asked, resources))
    return next((id_ for id_ in ids if id_ is not None), None)


def own_id_of(one: Json, resources: Resources) -> UUID | None:
    """The id of a resource, or the one of its place in the message, where that is a UUID."""
    texts = (line_of(one.get("id")), resources.url_of(one).removeprefix("urn:uuid:"))
    return next((id_ for text in texts if (id_ := _uuid(text)) is not None), None)


def _rank(identifier: Json) -> int:
    codes = {line_of(coding.get("code")) for coding in dicts_of(dict_of(identifier.get("type")).get("coding"))}
    if "FILL" in codes or identifier.get("use") == "old":
        return 3
    return 0 if "PLAC" in codes else 1 if identifier.get("use") == "official" else 2


def _address(text: str) -> str | None:
    """An address that means one resource wherever it stands: a UUID, or a URL. None for a mere `ServiceRequest/1`."""
    plain = text.split("/_history/")[0]
    try:
        return f"urn:uuid:{UUID(plain.rsplit('/', 1)[-1].removeprefix('urn:uuid:'))}"
    except ValueError:
        return plain if plain.startswith(("http://", "https://")) else None


def event_replied_to(reference: object) -> tuple[UUID, int] | UUID | None:
    """The event of a request of ours that a Communication of ours tells of (`fhir.exchange`); or the id that this has in
    messages (`domain.told_partners`).
    """
    named = line_of(dict_of(reference).get("reference")).split("/_history/")[0]
    if named.startswith("urn:uuid:"):
        return _uuid(named.removeprefix("urn:uuid:"))
    id_ = named.rsplit("/", 1)[-1]
    try:
        return request_in(id_), int(id_.partition(".")[2])
    except ValueError:
        return None


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
