"""Messages of outside systems, read: what one must have (`fhir.message_rules`), and what it says (`fhir.message_content`).

What is no FHIR message at all is NotTaken (400); what can be read and breaks what a message must hold is NotTaken (422), with an
issue for each fault. Everything else is taken as far as it goes.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from domain.loose import Json, dict_of, dicts_of
from domain.messages import FROM_PERFORMERS, FROM_REQUESTERS, TO_KNOW, MessageEvent
from fhir.elements import ID
from fhir.loose import Resources
from fhir.message_content import content_of
from fhir.message_names import names_in
from fhir.message_rules import FOCUS, event_of, faults_of, foci_of
from fhir.outcomes import Faults, NotTaken
from fhir.performed import REPORTS, performed_of
from translations import Language
from translations import gettext_noop as _
from use_cases.performed import Performed, Unread
from use_cases.said import Said

NOT_JSON = _("The body is no JSON.")
NO_MESSAGE = _("The body is no Bundle of the type “message”.")
NO_HEADER = _("There is no MessageHeader in the message.")
TOO_MUCH = _("The message has more parts than can be taken at once. Files in it do not count.")

MOST_ENTRIES = 1_000
MOST_PARTS = 200_000
"""Of JSON: values in lists and objects. So many are read in a moment; what lies in Base64 has none."""


@dataclass(frozen=True)
class Message:
    """A message that can be answered: its header's id and event, the digest of what it says, and the rest of it, read or not."""

    id: str
    event: MessageEvent
    digest: str
    header: Json
    said: Said | None
    """None for what is not acted on."""
    performed: Performed | None = None
    """The same of what a partner says that performs."""


@dataclass(frozen=True)
class Parsed:
    """JSON that came, and the digest of what it says."""

    value: Any
    digest: str


def parsed(body: bytes) -> Parsed:
    """What came, as JSON. Raises NotTaken, for what is none and for what takes too long to be read."""
    if sum(body.count(mark) for mark in (b"{", b"[", b",")) > MOST_PARTS:
        raise NotTaken(TOO_MUCH, status=413, code="too-long")
    try:
        value = json.loads(body, parse_constant=_no_number, parse_float=_number, object_pairs_hook=_named_once)
        return Parsed(value, _digest(value) if isinstance(value, dict) else "")
    except (ValueError, RecursionError):
        raise NotTaken(NOT_JSON, code="structure") from None


def header_id(value: object) -> str | None:
    """The id of the message as far as it can be seen, whatever else is wrong with it."""
    entries = (dict_of(one.get("resource")) for one in dicts_of(dict_of(value).get("entry")))
    id_ = next((one.get("id") for one in entries if one.get("resourceType") == "MessageHeader"), None)
    return id_ if isinstance(id_, str) and ID.fullmatch(id_) else None


def read_message(came: Parsed, language: Language, *, performs: bool = False) -> Message:
    """The message, with words of ours (yes, no) in that language; what only a performer says counts of one that `performs`.

    Raises NotTaken.
    """
    try:
        return _read(came, language, performs=performs)
    except RecursionError:  # read as JSON, it may be deeper than what looks into it
        raise NotTaken(NOT_JSON, code="structure") from None


def _read(came: Parsed, language: Language, *, performs: bool) -> Message:
    bundle = _bundle(came.value)
    resources = _resources(dicts_of(bundle.get("entry")))
    headers = resources.of("MessageHeader")
    if not headers:
        raise NotTaken(NO_HEADER, code="structure", about="Bundle.entry")
    header = headers[0]
    faults = [*faults_of(bundle, header, resources, performs=performs)]
    event = event_of(header)
    if faults or event is None:
        raise Faults(faults)
    said = (
        content_of(event, header, resources, bundle, language)
        if event in FROM_REQUESTERS and "response" not in header
        else None
    )
    is_performed = performs and event in FROM_PERFORMERS and "response" not in header
    performed = performed_of(event, header, resources, bundle, language) if is_performed else None
    return Message(str(header["id"]), event, came.digest, header, said, performed)


def unread_of(came: Parsed) -> Unread | None:
    """What can be told of a message of a performer that was refused; None where it is none, as far as one can see."""
    try:
        return _unread(came.value)
    except RecursionError:
        return None


def _unread(value: object) -> Unread | None:
    entries = dicts_of(dict_of(value).get("entry"))
    if len(entries) > MOST_ENTRIES:
        return None
    resources = _resources(entries)
    headers = resources.of("MessageHeader")
    event = event_of(headers[0]) if headers else None
    if event not in FROM_PERFORMERS:
        return None
    foci = foci_of(event, headers[0], resources) or [one for kind in FOCUS[event] for one in resources.of(kind)]
    return Unread(event, names_in(foci, resources), any(resources.of(kind) for kind in REPORTS))


def is_known(event: MessageEvent) -> bool:
    """Whether such a message is answered with `ok`."""
    return event in FROM_REQUESTERS | TO_KNOW


def _resources(entries: Iterable[Json]) -> Resources:
    """What lies in the message."""
    resources = Resources()
    for entry in entries:
        if isinstance(entry.get("resource"), dict) and isinstance(entry["resource"].get("resourceType"), str):
            resources.add(str(entry.get("fullUrl", "")), entry["resource"])
    return resources


def _bundle(read: object) -> Json:
    """The message."""
    if not isinstance(read, dict) or read.get("resourceType") != "Bundle":
        raise NotTaken(NO_MESSAGE, code="structure")
    if read.get("type") != "message":
        raise NotTaken(NO_MESSAGE, code="invalid", about="Bundle.type")
    if not isinstance(read.get("entry"), list):
        raise NotTaken(NO_HEADER, code="structure", about="Bundle.entry")
    if len(read["entry"]) > MOST_ENTRIES:
        raise NotTaken(TOO_MUCH, status=413, code="too-long", about="Bundle.entry")
    return read


def _number(written: str) -> Decimal:
    """With every digit. Raises ValueError for one whose exponent nothing can hold."""
    try:
        return Decimal(written)
    except InvalidOperation:
        raise ValueError("no number that can be held") from None


def _no_number(_name: str) -> NoReturn:
    raise ValueError("no number of JSON")


def _named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object in which no name stands twice: who reads it otherwise would take the other one."""
    read = dict(pairs)
    if len(read) < len(pairs):
        raise ValueError("a name stands twice")
    return read


def _digest(bundle: Json) -> str:
    """Of what the message says, without what is new each time that it is sent."""
    said = {name: value for name, value in bundle.items() if name not in ("id", "timestamp")}
    plain = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=_as_written)
    return hashlib.sha256(plain.encode()).hexdigest()


def _as_written(number: Decimal) -> list[str]:
    """No digit of a number is lost, as it would be in a float."""
    return ["number", str(number)]
