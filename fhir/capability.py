"""What this server says of itself: the CapabilityStatement, and the configuration of SMART. Only what is there."""

from collections.abc import Mapping
from typing import Any

from domain.messages import FROM_REQUESTERS, TO_KNOW
from domain.smart_scopes import KEEPS_SUBSCRIPTIONS, OPENED_BY, SENDS_MESSAGES, SUBSCRIPTIONS
from domain.subscriptions import TOPICS, Topic
from fhir.addresses import Server
from fhir.kinds import BESIDE, OF_REQUESTS, known_parameters
from fhir.notifications import BACKPORT
from fhir.searches import CURSOR
from fhir.subscriptions import PROFILE
from settings import Settings
from use_cases.client_credentials import OF_FHIR

VERSION = "4.0.1"
"""Of FHIR: R4."""

SINCE = "2026-11-28"
"""When what is said here was said last."""

_TYPES: Mapping[str, str] = {
    "_id": "token",
    "_lastUpdated": "date",
    "status": "token",
    "patient": "reference",
    "based-on": "reference",
    "related": "reference",
    "target": "reference",
    "identifier": "token",
    "active": "token",
    "url": "uri",
    "date": "date",
    "entity": "reference",
}
_RESULTS = ("_count", "_sort", "_format", CURSOR)
"""What is no search parameter, but says how the answer is wanted."""

_DOCUMENTATION: Mapping[str, str] = {
    "_lastUpdated": "The moment, to the instant, or a day. What belongs to a request changes with it.",
    "based-on": "By reference, or by the number of the request: based-on:identifier.",
    "related": "By reference, or by the number of the request: related:identifier.",
}
_BY_POST = "A health-insurance number. By POST to Patient/_search alone: in an address it would be kept in logs."


_ABOUT = (
    "Requests that were submitted, with their answers, for the systems of the clinics that have to do with them. "
    "Resources are read; requests come as messages (messaging), from partners that clinics have named. "
    "Systems subscribe to what happens (Subscription)."
)


_PROCESS_MESSAGE = "http://hl7.org/fhir/OperationDefinition/MessageHeader-process-message"
_TRANSPORTS = "http://terminology.hl7.org/CodeSystem/message-transport"
_MESSAGES = (
    "The events of CA:eReC and Ontario's eReferral that requesters send are acted on: "
    + ", ".join(sorted(FROM_REQUESTERS))
    + ". Kept for information: "
    + ", ".join(sorted(TO_KNOW))
    + ". Others are answered with not-supported. One message is done once, however often it is sent; async is not supported."
)


def capability_statement(settings: Settings) -> dict[str, Any]:
    """As FHIR has it; the same for everybody."""
    server = Server.of(settings, "en")
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": SINCE,
        "kind": "instance",
        "instantiates": [f"{BACKPORT}/CapabilityStatement/backport-subscription-server-r4"],
        "software": {"name": "Relais"},
        "implementation": {"description": "Relais, asynchronous medical teleconsultation", "url": server.base},
        "fhirVersion": VERSION,
        "format": ["application/fhir+json", "application/json"],
        "rest": [
            {
                "mode": "server",
                "documentation": _ABOUT,
                "security": _security(settings),
                "resource": sorted(
                    [*map(_resource, OPENED_BY), _subscription(server)], key=lambda resource: str(resource["type"])
                ),
                "operation": [{"name": "process-message", "definition": _PROCESS_MESSAGE}],
            }
        ],
        "messaging": [
            {
                "endpoint": [{"protocol": {"system": _TRANSPORTS, "code": "http"}, "address": server.messages}],
                "documentation": _MESSAGES,
                "supportedMessage": [
                    {"mode": "receiver", "definition": f"{server.base}/MessageDefinition/{event}"}
                    for event in sorted(FROM_REQUESTERS | TO_KNOW)
                ],
            }
        ],
    }


def _security(settings: Settings) -> dict[str, Any]:
    return {
        "cors": False,
        "service": [
            {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
                        "code": "SMART-on-FHIR",
                    }
                ],
                "text": "SMART Backend Services",
            }
        ],
        "extension": [
            {
                "url": "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris",
                "extension": [{"url": "token", "valueUri": OF_FHIR.address(settings)}],
            }
        ],
    }


def _resource(kind: str) -> dict[str, Any]:
    is_searched = kind in OF_REQUESTS or (kind in BESIDE and BESIDE[kind].find is not None)
    told: dict[str, Any] = {
        "type": kind,
        "interaction": [{"code": "read"}, *([{"code": "search-type"}] if is_searched else [])],
    }
    if kind != "Binary":
        told |= {"versioning": "versioned" if kind in BESIDE or kind in OF_REQUESTS else "no-version"}
        told |= {"conditionalRead": "not-match"}
    if is_searched:
        plain = [name for name in known_parameters(kind) if name not in _RESULTS and ":" not in name]
        told["searchParam"] = [_parameter(kind, name) for name in plain]
    return told


_TOPICS: Mapping[Topic, str] = {
    Topic.TASK_STATUS: "a Task of a request is new, or has another status",
    Topic.REPORT_SIGNED: "a report, or an addendum to it, is signed",
    Topic.COMMUNICATION: "something is said about a request: a question, an answer, why it was returned",
}


def _subscription(server: Server) -> dict[str, Any]:
    """Subscriptions, with the topics that there are (Subscriptions R5 Backport 1.1.0)."""
    topics = "; ".join(
        f"{topic.value}: {said} (focus {TOPICS[topic].kind}, filter {TOPICS[topic].parameter})"
        for topic, said in _TOPICS.items()
    )
    canonical = f"{BACKPORT}/StructureDefinition/capabilitystatement-subscriptiontopic-canonical"
    return {
        "extension": [{"url": canonical, "valueCanonical": server.topic(topic)} for topic in Topic],
        "type": SUBSCRIPTIONS,
        "supportedProfile": [PROFILE],
        "documentation": f"A system's own, by rest-hook, empty or id-only. Topics: {topics}.",
        "interaction": [{"code": code} for code in ("read", "create", "update", "delete", "search-type")],
        "versioning": "versioned-update",
        "conditionalRead": "not-match",
        "updateCreate": False,
        "searchParam": [
            {"name": "_id", "type": "token"},
            {"name": "status", "type": "token"},
            {"name": "url", "type": "uri"},
        ],
        "operation": [
            {"name": name, "definition": f"{BACKPORT}/OperationDefinition/backport-subscription-{name}"}
            for name in ("status", "events")
        ],
    }


def _parameter(kind: str, name: str) -> dict[str, str]:
    told = _BY_POST if (kind, name) == ("Patient", "identifier") else _DOCUMENTATION.get(name)
    return {"name": name, "type": _TYPES[name], **({"documentation": told} if told else {})}


def smart_configuration(settings: Settings) -> dict[str, Any]:
    """What systems must know to get a token (SMART App Launch 2.2, Backend Services)."""
    return {
        "token_endpoint": OF_FHIR.address(settings),
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": ["RS384", "ES384"],
        "grant_types_supported": ["client_credentials"],
        "scopes_supported": [
            *(f"system/{kind}.rs" for kind, opened_by in OPENED_BY.items() if opened_by),
            "system/*.rs",
            SENDS_MESSAGES,
            KEEPS_SUBSCRIPTIONS,
        ],
        "capabilities": ["client-confidential-asymmetric", "permission-v1", "permission-v2"],
    }
