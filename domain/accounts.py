"""What holds of accounts: which roles an administrator gives, who may sign, how long a one-time link lives, when to look again.

How somebody comes, changes and leaves is described in docs/decisions/people-over-their-whole-life.md.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from enum import StrEnum

from domain.requests import Role

GIVEN_BY_CLINICS = frozenset({Role.REQUESTER, Role.DISPATCHER, Role.PROVIDER, Role.CLINIC_ADMINISTRATOR})
"""The roles that the administrators of a clinic give and take."""

GIVEN_BY_OPERATORS = GIVEN_BY_CLINICS | {Role.OPERATOR}
"""The roles that there are for people."""

INVITATION_LASTS = timedelta(days=5)
"""As long as the Québec platform's invitations: a week of work, with a day to spare for who is away."""

INVITATIONS_SHOWN_FOR = timedelta(days=30)
"""How long an invitation that is over shows in the list."""

RESET_LASTS = timedelta(hours=1)
"""Long enough for a slow mail server and a call to one's administrator; a mailbox that is read later opens nothing."""

MOST_WRONG_TRIES = 5
"""After so many wrong codes a one-time link opens nothing any more."""

REVIEWED_EVERY = timedelta(days=365)
UNUSED_FOR = timedelta(days=90)
"""After so long somebody looks at an account again: since the last review, or since its last use."""


class AccountState(StrEnum):
    """Whether somebody may come in. Who has left is also kept apart in lists; both can be opened again."""

    ACTIVE = "active"
    LOCKED = "locked"
    LEFT = "left"


class AccountEventKind(StrEnum):
    """What was done about an account, about the invitation to one, or about the clinic itself."""

    ADDED = "added"
    INVITED = "invited"
    INVITED_AGAIN = "invited_again"
    INVITATION_REVOKED = "invitation_revoked"
    JOINED = "joined"
    PROVISIONED = "provisioned"  # by the directory of the organization
    CHANGED = "changed"
    LOCKED = "locked"
    REOPENED = "reopened"
    LEFT = "left"
    PASSWORD_HELP = "password_help"  # noqa: S105 - the name of an event
    PASSWORD_FORGOTTEN = "password_forgotten"  # noqa: S105
    PASSWORD_RESET = "password_reset"  # noqa: S105
    PASSWORD_CHANGED = "password_changed"  # noqa: S105
    SECOND_FACTOR_SET_UP = "second_factor_set_up"
    SECOND_FACTOR_REMOVED = "second_factor_removed"
    RECOVERY_CODES_RENEWED = "recovery_codes_renewed"
    PASSKEY_ADDED = "passkey_added"
    PASSKEY_REMOVED = "passkey_removed"
    IDENTITY_LINKED = "identity_linked"
    IDENTITY_UNLINKED = "identity_unlinked"
    REVIEWED = "reviewed"
    CLINIC_ADDED = "clinic_added"
    CLINIC_CHANGED = "clinic_changed"
    RETENTION_APPROVED = "retention_approved"  # a list of requests whose time is over
    RETENTION_TAKEN_BACK = "retention_taken_back"
    HOLD_LIFTED = "hold_lifted"  # on the command line, as nobody of the clinic could
    ACCESSES_SIGNED_OFF = "accesses_signed_off"  # those of one month
    SERVICE_ACCOUNT_ADDED = "service_account_added"
    SECRET_ADDED = "secret_added"  # noqa: S105 - the name of an event
    SECRET_ENDED = "secret_ended"  # noqa: S105
    KEY_ADDED = "key_added"
    KEY_ENDED = "key_ended"
    WEBHOOK_ADDED = "webhook_added"
    WEBHOOK_CHANGED = "webhook_changed"
    WEBHOOK_REMOVED = "webhook_removed"
    WEBHOOK_SECRET_ADDED = "webhook_secret_added"  # noqa: S105
    WEBHOOK_TESTED = "webhook_tested"
    WEBHOOK_VERIFIED = "webhook_verified"
    WEBHOOK_REPLAYED = "webhook_replayed"
    WEBHOOK_DISABLED = "webhook_disabled"
    SUBSCRIPTION_ADDED = "subscription_added"
    SUBSCRIPTION_CHANGED = "subscription_changed"
    SUBSCRIPTION_REMOVED = "subscription_removed"
    SUBSCRIPTION_VERIFIED = "subscription_verified"  # its endpoint has taken a handshake
    SUBSCRIPTION_DISABLED = "subscription_disabled"
    PARTNER_VERIFIED = "partner_verified"  # somebody has answered a message to the partner
    PARTNER_DISABLED = "partner_disabled"
    PARTNER_REPLAYED = "partner_replayed"


class LetterKind(StrEnum):
    """What an e-mail about an account says."""

    INVITATION = "invitation"
    PASSWORD_RESET = "password_reset"  # noqa: S105 - the name of a letter
    PASSWORD_CHANGED = "password_changed"  # noqa: S105
    ADDRESS_LEFT = "address_left"  # e-mails no longer come here
    ADDRESS_TAKEN = "address_taken"  # e-mails come here from now on
    SECOND_FACTOR_SET_UP = "second_factor_set_up"
    SECOND_FACTOR_REMOVED = "second_factor_removed"
    SECOND_FACTOR_RESET = "second_factor_reset"  # by an administrator
    PASSKEY_ADDED = "passkey_added"
    PASSKEY_REMOVED = "passkey_removed"
    SERVICE_ACCOUNT_ENDS = "service_account_ends"
    IDENTITY_LINKED = "identity_linked"
    IDENTITY_UNLINKED = "identity_unlinked"
    WEBHOOK_DISABLED = "webhook_disabled"  # by Relais itself
    SUBSCRIPTION_DISABLED = "subscription_disabled"  # by Relais itself, as the next
    SUBSCRIPTION_EVENT_LOST = "subscription_event_lost"
    PARTNER_DISABLED = "partner_disabled"  # by Relais itself
    PROVISIONED = "provisioned"  # an account made by the directory of the organization
    RETENTION_LISTED = "retention_listed"  # to administrators, as the next three
    RETENTION_APPROVED = "retention_approved"
    RETENTION_SECOND = "retention_second"  # the same, to who is asked to approve as well
    RETENTION_SHORTENED = "retention_shortened"  # less long is kept what is over
    HOLD_LIFTED = "hold_lifted"  # to administrators of the clinic that held it: an operator has
    OPENED_IN_EMERGENCY = "opened_in_emergency"  # to administrators: which request, and by whom
    OPENED_UNWATCHED = "opened_unwatched"  # the same to operators, where a clinic has nobody else who is told
    ENDED_IN_EMERGENCY = "ended_in_emergency"  # to administrators: somebody else than who had opened it has ended that
    ENDED_UNWATCHED = "ended_unwatched"  # the same to operators, also where one person ends what several opened
    REFUSED_IN_EMERGENCY = "refused_in_emergency"  # to administrators: who tries to open something, again and again
    ACCESSES_TO_REVIEW = "accesses_to_review"  # to administrators: a month waits to be signed off
    DRAFTS_END = "drafts_end"  # drafts that somebody has not touched for weeks are removed soon
    ASKED_FOR = "asked_for"  # to administrators: somebody can't go on with what they asked for any more
    HAND_OVER = "hand_over"  # to administrators: somebody whose access the directory ended holds requests


OF_EMERGENCIES = frozenset(
    {
        LetterKind.OPENED_IN_EMERGENCY,
        LetterKind.OPENED_UNWATCHED,
        LetterKind.ENDED_IN_EMERGENCY,
        LetterKind.ENDED_UNWATCHED,
        LetterKind.REFUSED_IN_EMERGENCY,
    }
)
"""What tells of an access in an emergency."""


class ReviewReason(StrEnum):
    """Why an account is to be looked at."""

    NOT_REVIEWED = "not_reviewed"
    NOT_USED = "not_used"


def may_sign(roles: Collection[str]) -> bool:
    """Whether these roles let somebody sign reports: then a one-time link alone never lets anybody in."""
    return Role.PROVIDER in roles


def is_administered_by_clinic(roles: Collection[str]) -> bool:
    """Whether the administrators of the clinic may change an account with these roles; operators' accounts they only see."""
    return GIVEN_BY_CLINICS.issuperset(roles)


def due_for_review(
    *, created_at: datetime, reviewed_at: datetime | None, last_used_at: datetime | None, now: datetime
) -> ReviewReason | None:
    """Why an active account is to be looked at now; None when it need not be.

    Whoever confirmed an account that nobody uses is not asked again at once, but after as long as it may lie unused.
    """
    looked_at = reviewed_at or created_at
    if now - looked_at > REVIEWED_EVERY:
        return ReviewReason.NOT_REVIEWED
    if now - max(looked_at, last_used_at or created_at) > UNUSED_FOR:
        return ReviewReason.NOT_USED
    return None
