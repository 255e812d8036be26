"""The scopes of SMART App Launch that systems can ask for (`system/Task.rs`), and which of a service account's open them.

A scope names a type of resources, or all, and what is done with them: `r` reads one, `s` searches. Nothing is written but
messages, which are Bundles (`c`), and the Subscriptions of a system (`c`, `u`, `d` besides), which it must name.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from domain.service_accounts import Scope

_OF_REQUESTS = (Scope.REQUESTS_READ,)
_OF_DOCUMENTS = (Scope.DOCUMENTS_READ,)
_OF_PEOPLE = (Scope.REQUESTS_READ, Scope.CATALOGUE_READ)

OPENED_BY: Mapping[str, tuple[Scope, ...]] = {
    "Task": _OF_REQUESTS,
    "ServiceRequest": _OF_REQUESTS,
    "Patient": _OF_REQUESTS,
    "QuestionnaireResponse": _OF_REQUESTS,
    "Communication": _OF_REQUESTS,
    "DocumentReference": _OF_DOCUMENTS,
    "DiagnosticReport": _OF_DOCUMENTS,
    "Binary": _OF_DOCUMENTS,
    "Provenance": _OF_DOCUMENTS,
    "Practitioner": _OF_PEOPLE,
    "PractitionerRole": _OF_PEOPLE,
    "Organization": _OF_PEOPLE,
    "HealthcareService": (Scope.CATALOGUE_READ,),
    "Questionnaire": (Scope.CATALOGUE_READ,),
    "AuditEvent": (),
}
"""For each type of resources, the scopes of an account, one of which opens it; what none opens is for people."""

MESSAGES = "Bundle"
SENDS_MESSAGES = f"system/{MESSAGES}.c"
"""A message is a Bundle that is made at the other side; it takes `Scope.MESSAGES_SEND`."""

SUBSCRIPTIONS = "Subscription"
KEEPS_SUBSCRIPTIONS = f"system/{SUBSCRIPTIONS}.cruds"
"""A system makes, reads, changes, removes and finds its own; it takes `Scope.SUBSCRIPTIONS_WRITE`, and is not in `system/*`."""

_WRITTEN = re.compile(r"system/(\*|[A-Za-z]+)\.(read|write|c?r?u?d?s?)")
_FIRST_VERSION = {"read": "rs", "write": "c"}
"""How the first version of SMART's scopes says it."""


@dataclass(frozen=True)
class SmartScope:
    """What a system may do with resources of a type (None: of every type): `may` holds of `c`, `r`, `u`, `d` and `s` what may be
    done.
    """

    kind: str | None
    may: str

    @classmethod
    def read(cls, text: str) -> Self | None:
        """The scope that is written so; None for what is none of ours."""
        found = _WRITTEN.fullmatch(text)
        if found is None or not found[2]:
            return None
        kind = None if found[1] == "*" else found[1]
        may = _FIRST_VERSION.get(found[2], found[2])
        if kind == SUBSCRIPTIONS:
            return cls(kind, "cud" if found[2] == "write" else may)
        if (kind == MESSAGES) != (may == "c") or (kind is not None and kind not in (*OPENED_BY, MESSAGES)):
            return None
        return cls(kind, may) if kind == MESSAGES or may in ("r", "s", "rs") else None

    def covers(self, kind: str, what: str) -> bool:
        """Whether it opens this to a system whose account has what it takes."""
        if kind == SUBSCRIPTIONS:
            return self.kind == kind and what in self.may
        return self.kind in (None, kind) and what in self.may and bool(OPENED_BY.get(kind, kind == MESSAGES))

    def is_had_by(self, has: frozenset[Scope]) -> bool:
        """Whether an account with these scopes has it: for every type, with whatever each of them takes."""
        if self.kind == MESSAGES:
            return Scope.MESSAGES_SEND in has
        if self.kind == SUBSCRIPTIONS:
            return Scope.SUBSCRIPTIONS_WRITE in has
        openers = [opened_by for kind, opened_by in OPENED_BY.items() if self.kind in (kind, None)]
        return all(has.intersection(one) for one in openers if one or self.kind)
