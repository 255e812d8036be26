"""Where the guide tells of each page: the part for whoever looks, at the step that the page is for."""

from collections.abc import Collection, Mapping, Sequence

from domain.requests import Role

PARTS = (Role.PROVIDER, Role.DISPATCHER, Role.REQUESTER, Role.CLINIC_ADMINISTRATOR)
"""Of somebody with several roles, the first counts whose part has the step."""

Places = Mapping[Role | None, str]
"""A chapter, or a step of one as `chapter-step`, by who looks; under None for everybody else."""

_START: Places = {
    Role.PROVIDER: "provider-open",
    Role.DISPATCHER: "dispatcher-late",
    Role.REQUESTER: "requester-begin",
    Role.CLINIC_ADMINISTRATOR: "administrator",
}

PAGES: Mapping[str, Places] = {
    "worklist": _START,
    "new": {None: "requester-begin"},
    "launched": {None: "requester-begin"},
    "assignments": {None: "dispatcher-assign"},
    "past-cases": {None: "provider-next"},
    "providers": {Role.DISPATCHER: "dispatcher-people", Role.CLINIC_ADMINISTRATOR: "administrator"},
    "clinic": {Role.CLINIC_ADMINISTRATOR: "administrator"},
    "people": {Role.CLINIC_ADMINISTRATOR: "administrator-people"},
    "service-accounts": {Role.CLINIC_ADMINISTRATOR: "administrator-systems"},
    "webhooks": {Role.CLINIC_ADMINISTRATOR: "administrator-systems"},
    "retention": {Role.CLINIC_ADMINISTRATOR: "administrator-retention"},
    "access-reviews": {Role.CLINIC_ADMINISTRATOR: "administrator-accesses"},
    "emergency": {None: "privacy"},
    "statistics": {Role.CLINIC_ADMINISTRATOR: "administrator"},
    "journals": {Role.CLINIC_ADMINISTRATOR: "privacy"},
    "incidents": {Role.CLINIC_ADMINISTRATOR: "privacy"},
    "communications": {Role.CLINIC_ADMINISTRATOR: "privacy"},
    "registers": {Role.CLINIC_ADMINISTRATOR: "privacy"},
    "account": {None: "settings"},
}
"""By the first word of the address."""

STEPS: Mapping[str, Places] = {
    "": _START,
    "accept": {None: "provider-accept"},
    "request-information": {None: "provider-ask"},
    "withdraw-information-request": {None: "provider-ask"},
    "transfer": {None: "provider-transfer"},
    "return-to-requester": {Role.PROVIDER: "provider-return", Role.DISPATCHER: "dispatcher-priority"},
    "return-to-dispatch": {None: "provider-to-dispatch"},
    "report": {None: "provider-write"},
    "sign": {None: "provider-sign"},
    "addendum": {None: "provider-sign"},
    "answer-follow-up": {None: "provider-sign"},
    "edit": {None: "requester-fill"},
    "answer": {None: "requester-answer"},
    "add-information": {None: "requester-answer"},
    "cancel": {None: "requester-returned"},
    "confirm-reading": {None: "requester-read"},
    "read-for-requester": {None: "requester-read"},
    "take-back": {Role.PROVIDER: "provider-accept", Role.DISPATCHER: "dispatcher-assign"},
    "ask-follow-up": {None: "requester-read"},
    "withdraw-follow-up": {None: "requester-read"},
    "documents": {None: "requester-read"},
    "acknowledge": {None: "requester-acknowledge"},
    "assign": {None: "dispatcher-assign"},
    "reassign": {Role.DISPATCHER: "dispatcher-retake", Role.CLINIC_ADMINISTRATOR: "administrator"},
    "change-priority": {None: "dispatcher-priority"},
    "media": {None: "keys"},
    "accesses": {None: "privacy"},
    "restrictions": {Role.CLINIC_ADMINISTRATOR: "administrator"},
    "hold": {Role.CLINIC_ADMINISTRATOR: "administrator-retention"},
    "journal": {None: "privacy"},
    "journals": {None: "privacy"},
    "patient": {None: "privacy"},
}
"""By the step that a page of a request is for: the word after the request's id."""


def help_address(path: str, roles: Collection[Role], offered: Sequence[str] = ()) -> str:
    """Where the guide tells of the page with that address; on a request's own page, of what it offers first."""
    first, *rest = path.strip("/").split("/")
    if first == "requests":
        step = rest[-1] if rest[1:2] == ["report"] else rest[1] if len(rest) > 1 else offered[0] if offered else ""
        places = STEPS.get(step.partition("?")[0], _START)
    else:
        places = PAGES.get(first, {})
    place = next((places[role] for role in PARTS if role in roles and role in places), places.get(None, ""))
    chapter, dash, _step = place.partition("-")
    return f"/help/{chapter}#{place}" if dash else f"/help/{chapter}".rstrip("/")
