"""Subscriptions as FHIR R4 writes them, by the profile of the Subscriptions R5 Backport (1.1.0): read, and written.

What is not kept (contacts, text) is passed over; what would change what is sent, and is not done here, is refused, each fault as
an issue of its own.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from domain.loose import dict_of, dicts_of, line_of
from domain.subscriptions import (
    LONGEST_HEADER,
    LONGEST_HEARTBEAT,
    MOST_HEADERS,
    SHORTEST_HEARTBEAT,
    TOPICS,
    Content,
    SubscriptionStatus,
    Topic,
)
from domain.webhooks import PATIENCE
from fhir.addresses import Server
from fhir.elements import Extended, Extension, Meta, some
from fhir.notifications import BACKPORT
from fhir.outcomes import Fault, Faults, NotTaken
from fhir.resources import Channel, Subscription
from outgoing.destinations import ForbiddenError
from records.subscriptions import Subscribed
from settings import Settings
from translations import gettext_noop as _
from translations.problems import FIELD_PROBLEMS
from use_cases.subscriptions import NewSubscription, check_address

PROFILE = f"{BACKPORT}/StructureDefinition/backport-subscription"
FILTER = f"{BACKPORT}/StructureDefinition/backport-filter-criteria"
CONTENT = f"{BACKPORT}/StructureDefinition/backport-payload-content"
HEARTBEAT = f"{BACKPORT}/StructureDefinition/backport-heartbeat-period"
TIMEOUT = f"{BACKPORT}/StructureDefinition/backport-timeout"
MAX_COUNT = f"{BACKPORT}/StructureDefinition/backport-max-count"
CHANNEL_TYPE = f"{BACKPORT}/StructureDefinition/backport-channel-type"

NO_SUBSCRIPTION = _("The body is no Subscription.")
MISSING = _("“%(name)s” is missing.")
NOT_RIGHT = _("“%(name)s” is not as FHIR has it.")
NOT_DONE = _("What “%(name)s” asks for is not done here.")
OTHER_STATUS = _("A Subscription is “requested”, or “off”: everything else is said by this server.")
NEW_IS_NOT_OFF = _("A new Subscription is “requested”.")
NO_SUCH_TOPIC = _("There is no such topic: they stand in the CapabilityStatement.")
NO_SUCH_FILTER = _("The topic is not narrowed by this. A filter is written as in status=completed,rejected.")
ONLY_REST_HOOK = _("Notifications go by rest-hook alone.")
NO_FULL_RESOURCE = _(
    "Resources do not go with notifications: what they say is given to who asks and is known, and that is written down. Take "
    "id-only."
)
OTHER_PAYLOAD = _("Notifications are application/fhir+json, of FHIR 4.0.")
END_IS_PAST = _("The end lies in the past.")
OUT_OF_RANGE = _("“%(name)s” is too small or too large.")
NOT_A_HEADER = _("A header is written as “Name: value”, once, in visible characters; some are set by Relais alone.")

_MOST_FILTERS = 10
_LONGEST_REASON = 500
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
_OURS = re.compile(
    r"host|content-.*|connection|keep-alive|transfer-encoding|te|trailer|upgrade|expect|accept-encoding|user-agent|proxy-.*|cookie"
    r"|forwarded|x-forwarded-.*|x-real-ip|via|x-http-method.*|x-method-override"
)
"""Headers that say how a call is made, from where, or as what it is to be taken: not a receiver's to choose."""

_PAYLOADS = ("application/fhir+json", "application/json")
_FILTER = re.compile(r"(?:(?P<kind>[A-Za-z]+)[.?])?(?P<name>[a-z-]+)=(?P<values>[a-z,-]+)")

SECONDS_AT_MOST = int(PATIENCE.total_seconds())


def subscription(one: Subscribed, server: Server) -> Subscription:
    """A Subscription as it is read. Its headers are given back to nobody."""
    endpoint, own = one.endpoint, one.own
    filters = some(Extension(url=FILTER, value_string=said) for said in own.filters)
    reason = own.disabled_reason
    return Subscription(
        id=str(one.id),
        meta=Meta(version_id=str(endpoint.version), profile=(PROFILE,)),
        status=one.status.value,
        end=own.ends_at,
        reason=own.reason,
        criteria=server.topic(own.topic),
        beside_criteria=Extended(extension=filters) if filters else None,
        error=reason.value if reason is not None and one.status is SubscriptionStatus.ERROR else None,
        channel=Channel(
            extension=some(_numbers(one)),
            endpoint=endpoint.url,
            payload=own.payload,
            beside_payload=Extended(extension=(Extension(url=CONTENT, value_code=own.content.value),)),
        ),
    )


def _numbers(one: Subscribed) -> Iterator[Extension]:
    own = one.own
    if own.heartbeat_seconds is not None:
        yield Extension(url=HEARTBEAT, value_unsigned_int=own.heartbeat_seconds)
    if own.timeout_seconds is not None:
        yield Extension(url=TIMEOUT, value_unsigned_int=own.timeout_seconds)
    if own.max_count is not None:
        yield Extension(url=MAX_COUNT, value_positive_int=own.max_count)


def read_subscription(came: object, settings: Settings, server: Server, *, is_new: bool = False) -> NewSubscription:
    """What a system says of a Subscription; a new one is not off. Raises NotTaken for what is none; Faults."""
    if not isinstance(came, dict) or came.get("resourceType") != "Subscription":
        raise NotTaken(NO_SUBSCRIPTION, code="structure")
    reading = _Reading(came, settings, server, is_new)
    said = reading.said()
    if reading.faults or said is None:
        raise Faults(reading.faults)
    return said


@dataclass
class _Reading:
    """A Subscription that is read, and what was found wrong with it."""

    came: Mapping[str, Any]
    settings: Settings
    server: Server
    is_new: bool
    faults: list[Fault] = field(default_factory=list)

    def wrong(self, code: str, sentence: str, about: str) -> None:
        self.faults.append(Fault(code, sentence, f"Subscription.{about}"))

    def said(self) -> NewSubscription | None:
        channel = dict_of(self.came.get("channel"))
        self._check_modifiers(channel)
        is_off = self._is_off()
        topic = self._topic()
        self._check_type(channel)
        filters, url = self._filters(topic), self._url(channel)
        content, payload = self._content(channel), self._payload(channel)
        headers, ends_at = self._headers(channel), self._end()
        reason = self._reason()
        least, most = SHORTEST_HEARTBEAT.total_seconds(), LONGEST_HEARTBEAT.total_seconds()
        heartbeat = self._number(channel, HEARTBEAT, "valueUnsignedInt", int(least), int(most))
        timeout = self._number(channel, TIMEOUT, "valueUnsignedInt", 1, 2**31 - 1)
        max_count = self._number(channel, MAX_COUNT, "valuePositiveInt", 1, 2**31 - 1)
        if topic is None or content is None or self.faults:
            return None
        return NewSubscription(
            topic=topic,
            filters=filters,
            url=url,
            content=content,
            payload=payload,
            headers=headers,
            heartbeat_seconds=heartbeat,
            timeout_seconds=min(timeout, SECONDS_AT_MOST) if timeout is not None else None,
            max_count=max_count,
            reason=reason,
            ends_at=ends_at,
            is_off=is_off,
        )

    def _check_modifiers(self, channel: Mapping[str, Any]) -> None:
        """What could turn the meaning of all the rest around."""
        for name in ("implicitRules", "modifierExtension"):
            if name in self.came:
                self.wrong("not-supported", NOT_DONE, name)
        if "modifierExtension" in channel:
            self.wrong("not-supported", NOT_DONE, "channel.modifierExtension")

    def _is_off(self) -> bool:
        status = self.came.get("status")
        if status is None:
            self.wrong("required", MISSING, "status")
        elif status not in ("requested", "active", "off"):
            self.wrong("value", OTHER_STATUS, "status")
        elif status == "off" and self.is_new:
            self.wrong("business-rule", NEW_IS_NOT_OFF, "status")
        return status == "off"

    def _reason(self) -> str:
        reason = self.came.get("reason")
        line = line_of(reason)
        if reason is None:
            self.wrong("required", MISSING, "reason")
        elif not line or len(line) > _LONGEST_REASON:
            self.wrong("value", NOT_RIGHT, "reason")
        return line

    def _end(self) -> datetime | None:
        said = self.came.get("end")
        if said is None:
            return None
        end = _instant(said)
        if end is None:
            self.wrong("value", NOT_RIGHT, "end")
        elif end <= datetime.now(UTC):
            self.wrong("business-rule", END_IS_PAST, "end")
        return end

    def _topic(self) -> Topic | None:
        said = self.came.get("criteria")
        if said is None:
            self.wrong("required", MISSING, "criteria")
            return None
        topic = next((one for one in Topic if self.server.topic(one) == said), None)
        if topic is None:
            self.wrong("not-supported", NO_SUCH_TOPIC, "criteria")
        return topic

    def _filters(self, topic: Topic | None) -> tuple[str, ...]:
        """As they are kept: without the type, which is that of the topic."""
        said = [one.get("valueString") for one in _extensions(self.came.get("_criteria"), FILTER)]
        if topic is None:
            return ()
        about, found = TOPICS[topic], []
        for one in said:
            read = _FILTER.fullmatch(one) if isinstance(one, str) and len(one) <= LONGEST_HEADER else None
            values = read["values"].split(",") if read else []
            fits = read is not None and read["kind"] in (None, about.kind) and read["name"] == about.parameter
            if not fits or not set(values) <= set(about.values):
                self.wrong("not-supported", NO_SUCH_FILTER, "criteria.extension")
            else:
                found.append(f"{about.parameter}={','.join(sorted(set(values)))}")
        if len(found) > _MOST_FILTERS:
            self.wrong("too-long", OUT_OF_RANGE, "criteria.extension")
        return tuple(sorted(set(found)))

    def _check_type(self, channel: Mapping[str, Any]) -> None:
        if not channel:
            self.wrong("required", MISSING, "channel")
        elif "type" not in channel:
            self.wrong("required", MISSING, "channel.type")
        elif channel["type"] != "rest-hook" or _extensions(channel.get("_type"), CHANNEL_TYPE):
            self.wrong("not-supported", ONLY_REST_HOOK, "channel.type")

    def _url(self, channel: Mapping[str, Any]) -> str:
        said = channel.get("endpoint")
        if said is None:
            if channel:
                self.wrong("required", MISSING, "channel.endpoint")
            return ""
        if not isinstance(said, str):
            self.wrong("value", NOT_RIGHT, "channel.endpoint")
            return ""
        try:
            check_address(self.settings, said)
        except ForbiddenError as error:
            self.wrong("security", FIELD_PROBLEMS[error.code], "channel.endpoint")
        return said

    def _payload(self, channel: Mapping[str, Any]) -> str:
        said = channel.get("payload")
        if said is None:
            if channel:
                self.wrong("required", MISSING, "channel.payload")
            return ""
        kind, _semicolon, version = (said if isinstance(said, str) else "").replace(" ", "").partition(";")
        if kind not in _PAYLOADS or version not in ("", "fhirVersion=4.0"):
            self.wrong("not-supported", OTHER_PAYLOAD, "channel.payload")
        return kind + (f"; {version}" if version else "")

    def _content(self, channel: Mapping[str, Any]) -> Content | None:
        said = [one.get("valueCode") for one in _extensions(channel.get("_payload"), CONTENT)]
        if not said:
            if channel:
                self.wrong("required", MISSING, "channel.payload.extension")
        elif said == ["full-resource"]:
            self.wrong("not-supported", NO_FULL_RESOURCE, "channel.payload.extension")
        elif (content := next((one for one in Content if said == [one.value]), None)) is not None:
            return content
        else:
            self.wrong("value", NOT_RIGHT, "channel.payload.extension")
        return None

    def _headers(self, channel: Mapping[str, Any]) -> dict[str, str] | None:
        if "header" not in channel:
            return None
        said = channel["header"]
        if not isinstance(said, list) or not 0 < len(said) <= MOST_HEADERS:
            self.wrong("value", NOT_A_HEADER, "channel.header")
            return None
        headers: dict[str, str] = {}
        for one in said:
            name, value = _header(one)
            if not name or name.lower() in map(str.lower, headers):
                self.wrong("value", NOT_A_HEADER, "channel.header")
                return None
            headers[name] = value
        return headers

    def _number(self, channel: Mapping[str, Any], url: str, name: str, least: int, most: int) -> int | None:
        said = [one.get(name) for one in _extensions(channel, url)]
        if not said:
            return None
        value, *more = said
        if more or isinstance(value, bool) or not isinstance(value, int):
            self.wrong("value", NOT_RIGHT, f"channel.extension('{url.rpartition('/')[2]}')")
        elif not least <= value <= most:
            self.wrong("value", OUT_OF_RANGE, f"channel.extension('{url.rpartition('/')[2]}')")
        else:
            return value
        return None


def _instant(said: object) -> datetime | None:
    """FHIR's instant; None for what is none."""
    try:
        moment = datetime.fromisoformat(said) if isinstance(said, str) and "T" in said else None
        return moment.astimezone(UTC) if moment is not None and moment.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def _header(said: object) -> tuple[str, str]:
    """The name and the value; empty for what is no header that may be chosen."""
    if not isinstance(said, str) or len(said) > LONGEST_HEADER:
        return "", ""
    name, colon, rest = said.partition(":")
    value = rest.strip(" ")
    is_one = bool(colon) and _NAME.fullmatch(name) and _VALUE.fullmatch(value) and not _OURS.fullmatch(name.lower())
    return (name, value) if is_one else ("", "")


def _extensions(of: object, url: str) -> list[dict[str, Any]]:
    """The extensions of that kind which stand in an element."""
    found: Iterable[dict[str, Any]] = dicts_of(dict_of(of).get("extension"))
    return [one for one in found if one.get("url") == url]
