"""What holds of service accounts, by which a clinic's systems call: what each may do at most, and for how long.

A scope opens addresses and nothing else: whoever has none may do nothing. None lets a system sign or dispatch, or
answer, but that of a partner that answers for its clinic, by messages (docs/decisions/asking-partners.md). See
docs/decisions/service-accounts.md.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum

from domain.requests import Role


class Scope(StrEnum):
    """Something that a clinic lets one of its systems do."""

    CATALOGUE_READ = "catalogue:read"
    REQUESTS_READ = "requests:read"
    ATTACHMENTS_READ = "attachments:read"
    DOCUMENTS_READ = "documents:read"
    DRAFTS_WRITE = "drafts:write"
    REQUESTS_SUBMIT = "requests:submit"
    PEOPLE_PROVISION = "people:provision"
    MESSAGES_SEND = "messages:send"
    SUBSCRIPTIONS_WRITE = "subscriptions:write"


def known_scopes(kept: Iterable[str]) -> frozenset[Scope]:
    """The scopes of an account, without what only a newer version knows."""
    return frozenset(scope for scope in Scope if scope.value in set(kept))


FOR_SOMEBODY = frozenset({Scope.DRAFTS_WRITE, Scope.REQUESTS_SUBMIT})
"""What a system does for a person only, who is named with each call."""

GIVEN_BY_DIRECTORIES = frozenset({Role.REQUESTER, Role.DISPATCHER, Role.PROVIDER})
"""The roles that a system gives and takes which keeps the people of its clinic (SCIM): none by which it would get more power."""

GROUP_NAMES = {role: f"relais-{role.value}" for role in Role if role in GIVEN_BY_DIRECTORIES}
"""The group of a clinic by which a directory gives each of these roles. The names stay: directories find the groups by them."""

ACTS_AS = frozenset({Role.REQUESTER})
"""The roles of a person in which a system may act for them: whatever else the person is, it is not."""

SEES_AS = frozenset({Role.CLINIC_ADMINISTRATOR})
"""As whom a system sees requests that acts for nobody: what its clinic asked for, dispatches or holds, and no draft."""

LASTS_AT_MOST = timedelta(days=366)
"""The longest life of a service account that nobody looks at: the same day of the next year."""

NOTICE_BEFORE = timedelta(days=30)
"""So long before its end the clinic's administrators are told."""

OLDER_SECRET_LASTS = timedelta(days=7)
"""How long the older secret goes on after a rotation, where nothing else is said."""

OLDER_SECRET_LASTS_AT_MOST = timedelta(days=30)

MOST_SECRETS = 2
"""So many secrets live at once: the new one, and the one that it replaces."""

MOST_KEYS = 5
"""So many public keys of one system live at once."""

ACCESS_TOKEN_LASTS = timedelta(minutes=5)
"""How long a system comes in by what its signature got it (SMART Backend Services: five minutes at most)."""

ASSERTION_LASTS_AT_MOST = timedelta(minutes=5)
"""So far ahead a system may put the end of what it signs (SMART Backend Services)."""

CLOCKS_DIFFER = timedelta(seconds=30)
"""By so much the clock of a system may be wrong."""

MOST_SERVICE_ACCOUNTS = 50
"""Of one clinic, those included that are locked or have expired."""


class ServiceAccountState(StrEnum):
    """Whether a system may come in."""

    ACTIVE = "active"
    LOCKED = "locked"
    EXPIRED = "expired"


def state_of(*, active: bool, expires_at: datetime, now: datetime) -> ServiceAccountState:
    """The state of a service account now. What is locked says so, even after its end."""
    if not active:
        return ServiceAccountState.LOCKED
    return ServiceAccountState.ACTIVE if expires_at > now else ServiceAccountState.EXPIRED


def ends_soon(expires_at: datetime, now: datetime) -> bool:
    """Whether it is time to tell that a service account ends, and it has not ended yet."""
    return now < expires_at <= now + NOTICE_BEFORE
