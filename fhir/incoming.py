"""Messages of outside systems, read: what one must have (`fhir.message_rules`), and what it says (`fhir.message_content`).

What is no FHIR message at all is NotTaken (400); what can be read and breaks what a message must hold is NotTaken (422), with an
issue for each fault. Everything else is taken as far as it goes.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import NoReturn

from domain.messages import FROM_REQUESTERS, TO_KNOW, MessageEvent
from fhir.elements import ID
from fhir.loose import Json, Resources, dicts_of
from fhir.message_content import content_of
from fhir.message_rules import event_of, faults_of
from fhir.outcomes import Faults, NotTaken
from translations import Language
from translations import gettext_noop as _
from use_cases.partner_requests import Said

NOT_JSON = _("The body is no JSON.")
NO_MESSAGE = _("The body is no Bundle of the type “message”.")
NO_HEADER = _("There is no MessageHeader in the message.")

MOST_ENTRIES = 1_000


@dataclass(frozen=True)
class Message:
    """A message that can be answered: its header's id and event, the digest of what it says, and the rest of it, read or not."""

    id: str
    event: MessageEvent
    digest: str
    header: Json
    said: Said | None
    """None for what is not acted on."""


def header_id(body: bytes) -> str | None:
    """The id of the message as far as it can be seen, whatever else is wrong with it."""
    try:
        entries = json.loads(body)["entry"]
        id_ = next(one["resource"]["id"] for one in entries if one["resource"]["resourceType"] == "MessageHeader")
        return str(id_) if ID.fullmatch(id_) else None
    except (ValueError, TypeError, KeyError, StopIteration, RecursionError):
        return None


def read_message(body: bytes, language: Language) -> Message:
    """The message, with words of ours (yes, no) in that language. Raises NotTaken."""
    bundle, digest = _bundle(body)
    resources = Resources()
    for entry in dicts_of(bundle.get("entry")):
        if isinstance(entry.get("resource"), dict) and isinstance(entry["resource"].get("resourceType"), str):
            resources.add(str(entry.get("fullUrl", "")), entry["resource"])
    headers = resources.of("MessageHeader")
    if not headers:
        raise NotTaken(NO_HEADER, code="structure", about="Bundle.entry")
    header = headers[0]
    faults = [*faults_of(bundle, header, resources)]
    event = event_of(header)
    if faults or event is None:
        raise Faults(faults)
    said = (
        content_of(event, header, resources, bundle, language)
        if event in FROM_REQUESTERS and "response" not in header
        else None
    )
    return Message(str(header["id"]), event, digest, header, said)


def is_known(event: MessageEvent) -> bool:
    """Whether such a message is answered with `ok`."""
    return event in FROM_REQUESTERS | TO_KNOW


def _bundle(body: bytes) -> tuple[Json, str]:
    """The message, and the digest of what it says."""
    try:
        read = json.loads(body, parse_constant=_no_number)
        digest = _digest(read) if isinstance(read, dict) else ""
    except (ValueError, RecursionError):
        raise NotTaken(NOT_JSON, code="structure") from None
    if not isinstance(read, dict) or read.get("resourceType") != "Bundle":
        raise NotTaken(NO_MESSAGE, code="structure")
    if read.get("type") != "message":
        raise NotTaken(NO_MESSAGE, code="invalid", about="Bundle.type")
    if not isinstance(read.get("entry"), list) or len(read["entry"]) > MOST_ENTRIES:
        raise NotTaken(NO_HEADER, code="structure", about="Bundle.entry")
    return read, digest


def _no_number(_name: str) -> NoReturn:
    raise ValueError("no number of JSON")


def _digest(bundle: Json) -> str:
    """Of what the message says, without what is new each time that it is sent."""
    said = {name: value for name, value in bundle.items() if name not in ("id", "timestamp")}
    plain = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(plain.encode()).hexdigest()
