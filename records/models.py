"""The tables of the system of record.

Two kinds of data live here. The chart (forms, attachments, reports, documents) is written by the API and by activities, and is
frozen by SHA-256 before a command refers to it. The process (status, holder, deadlines, events) is a projection of what the
workflows decided, written by `records.projection`. Names that the domain also has carry another name here: `RequestRecord`
is the row, `domain.requests.Request` the state.
"""

import uuid
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum, StrEnum
from typing import Any, cast

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Computed,
    DateTime,
    FetchedValue,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    false,
    text,
)
from sqlalchemy import Enum as EnumType
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from domain.access_review import Rule, Verdict
from domain.accounts import AccountEventKind, LetterKind
from domain.audit import Act, Purpose
from domain.changes import ChangeKind
from domain.forms import FormContent
from domain.messages import MessageEvent
from domain.notices import Importance, NoticeMode, Recipient
from domain.priority import Priority
from domain.requests import DocumentKind, EventName, HolderKind, Role, Source, Status
from domain.retention import EntryOutcome, KeptBecause, ListState
from domain.scans import ScanState
from domain.subscriptions import Content, Topic
from domain.told_partners import Authorization, Documents, MessageState
from domain.webhooks import DeliveryState, DisabledReason, EndpointState, WebhookType
from records.sealed import SealedJson, SealedText, seal_on_flush

Json = dict[str, Any]
"""An object whose names others decide: the answers to an offering's form, a patient as recorded once, what a command said."""

FROZEN_TABLES = (
    *("form_versions", "events", "reports", "documents", "audit_entries", "offering_versions"),
    *("account_events", "audit_leaves", "audit_checkpoints", "destroyed_requests", "retention_certificates"),
    *("access_reviews", "access_findings", "access_verdicts", "access_sign_offs"),
    *("incidents", "incident_versions", "communications"),
    *("request_restrictions", "restriction_ends"),
    *("emergency_openings", "emergency_ends"),
)
"""Tables to which rows are only added: a trigger refuses every change."""


class Base(DeclarativeBase):
    """Python types to PostgreSQL's. Enumerations are stored as their text, so a new member needs no migration."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - the name and form that SQLAlchemy asks for
        str: Text,
        uuid.UUID: Uuid,
        datetime: DateTime(timezone=True),
        Json: JSONB,
        FormContent: JSONB,
        list[str]: ARRAY(Text),
        list[uuid.UUID]: ARRAY(Uuid),
        list[bytes]: ARRAY(LargeBinary),
        Enum: EnumType(Enum, native_enum=False, length=64, values_callable=lambda kind: [m.value for m in kind]),
    }


def table_of(kind: type[Base]) -> Table:
    """Where its rows are: to write many of them, or one that nobody asks for again, without making objects of them."""
    return cast(Table, kind.__table__)


# People


NO_PASSWORD = "-"  # noqa: S105 - no hash begins so
"""How the hash of an account without a password begins."""


class Clinic(Base):
    """A clinic: the tenant. `routes_to` are the other clinics that its dispatchers may assign requests to.

    `calendar` is what it has set of `domain.clinic_calendar.ClinicCalendar`, `retention` of
    `domain.retention.RetentionPolicy`; `signing_needs_code` says that nobody signs there without a second factor, `emergency`
    that its people may read in one, and others what it asked for; `plain_name` are the words of its name, as `domain.texts.plain`
    compares them, each between spaces.
    `version` counts what was changed.
    """

    __tablename__ = "clinics"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    address_lines: Mapped[list[str]]
    phone: Mapped[str]
    routes_to: Mapped[list[uuid.UUID]]
    calendar: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
    version: Mapped[int] = mapped_column(server_default="1")
    signing_needs_code: Mapped[bool] = mapped_column(server_default=text("false"))
    emergency: Mapped[bool] = mapped_column(server_default=text("false"))
    retention: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
    plain_name: Mapped[str] = mapped_column(Computed("plain_words(name)", persisted=True), deferred=True)


class AccountKind(StrEnum):
    """Who is behind an account."""

    PERSON = "person"
    SERVICE = "service"  # a clinic's system, see `ServiceAccount`


class Account(Base):
    """A person who can log in. `username` is in lower case; `title` is the professional one, e.g. "Dre".

    Or, by its `kind`, a clinic's system: it has no role and no password, and is called by its given name.

    `offerings` are the codes of the service offerings that a provider serves; None where nobody has said: then all.
    `version` counts what administrators changed. `last_used_at` is right to some minutes, see `records.people.note_use`. Who is
    not `active` was locked, or has left at `left_at`. Who signs in through a provider only has a `password_hash` that no password
    fits, by chance, for keys are made from it. `external_id` is how the directory of the organization names somebody.
    """

    __tablename__ = "accounts"
    __table_args__ = (UniqueConstraint("clinic_id", "external_id", name="uq_accounts_external_id"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    clinic_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("clinics.id"), index=True)
    username: Mapped[str] = mapped_column(unique=True)
    external_id: Mapped[str | None]
    password_hash: Mapped[str]
    roles: Mapped[list[str]]
    given_name: Mapped[str]
    family_name: Mapped[str]
    title: Mapped[str]
    profession: Mapped[str]
    licence_number: Mapped[str]
    email: Mapped[str]
    language: Mapped[str]
    notice_mode: Mapped[NoticeMode]
    active: Mapped[bool]
    created_at: Mapped[datetime]
    offerings: Mapped[list[str] | None]
    kind: Mapped[AccountKind] = mapped_column(server_default="person")
    version: Mapped[int] = mapped_column(server_default="1")
    last_used_at: Mapped[datetime | None]
    reviewed_at: Mapped[datetime | None]
    left_at: Mapped[datetime | None]
    plain_name: Mapped[str] = mapped_column(
        Computed("plain_words(given_name || ' ' || family_name)", persisted=True), deferred=True
    )

    @property
    def has_password(self) -> bool:
        """Whether some password fits."""
        return not self.password_hash.startswith(NO_PASSWORD)


class ServiceAccount(Base):
    """What an account of a clinic's system has besides: what it is for, what it may do (`domain.service_accounts.Scope`), and
    until when. `last_address` is the address of the network from which it was last used; `warned_at` when the clinic was told
    that it ends.
    """

    __tablename__ = "service_accounts"

    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    purpose: Mapped[str]
    scopes: Mapped[list[str]]
    expires_at: Mapped[datetime]
    last_address: Mapped[str | None]
    warned_at: Mapped[datetime | None]

    __table_args__ = (Index("ix_service_accounts_expires", "expires_at"),)


class ServiceSecret(Base):
    """A secret by which a clinic's system calls, known only by its SHA-256; `ending` are its last characters.

    It ends with its account, and at `ends_at` where it was replaced or revoked. `given_by` is who was given it (None on the
    command line).
    """

    __tablename__ = "service_secrets"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id"), index=True)
    sha256: Mapped[str] = mapped_column(unique=True)
    ending: Mapped[str]
    created_at: Mapped[datetime]
    ends_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    given_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("accounts.id"), index=True)


class ServiceKey(Base):
    """The public half of a key by which a clinic's system signs who it is (a JWK); `kid` is the system's own name for it, and
    `given_by` who said it (None on the command line).
    """

    __tablename__ = "service_keys"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id"))
    kid: Mapped[str]
    algorithm: Mapped[str]
    public_key: Mapped[Json]
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    given_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("accounts.id"), index=True)

    __table_args__ = (UniqueConstraint("account_id", "kid"),)


class ServiceToken(Base):
    """An access token that a system got for its signature, known only by the SHA-256 of its text; it ends with its key, too."""

    __tablename__ = "service_tokens"

    sha256: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id"))
    key_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("service_keys.id"))
    scopes: Mapped[list[str]]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class ServiceAssertion(Base):
    """What a system has shown to get a token (the `jti`, by its SHA-256), until it could not be shown again."""

    __tablename__ = "service_assertions"

    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    jti_sha256: Mapped[str] = mapped_column(primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class Token(Base):
    """A bearer token, known only by the SHA-256 of its text.

    Its person knows it by `address` and `program`, from where and with what they signed in, and ends it by `id`.
    One of a browser ends, too, when nobody was there for `idle_minutes`; `seen_at` is when somebody was, to the minute.
    Of who signed in through a provider it keeps as whom, in which session there (`idp_sid`), and what was proved when; the
    sealed ID token is shown when they sign out there.
    """

    __tablename__ = "tokens"

    sha256: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[uuid.UUID] = mapped_column(server_default=text("gen_random_uuid()"))
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id"), index=True)
    address: Mapped[str | None]
    program: Mapped[str | None]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    revoked_at: Mapped[datetime | None]
    idle_minutes: Mapped[int | None]
    seen_at: Mapped[datetime | None]
    idp_issuer: Mapped[str | None]
    idp_subject: Mapped[str | None]
    idp_sid: Mapped[str | None]
    auth_time: Mapped[datetime | None]
    acr: Mapped[str | None]
    amr: Mapped[list[str] | None]
    sealed_id_token: Mapped[bytes | None]

    __table_args__ = (
        Index("ix_tokens_idp_sid", "idp_issuer", "idp_sid", postgresql_where=text("idp_sid IS NOT NULL")),
        Index("ix_tokens_idp_subject", "idp_issuer", "idp_subject", postgresql_where=text("idp_subject IS NOT NULL")),
    )


class LinkedIdentity(Base):
    """Somebody's identity at a provider, by which they sign in. `email` is what the provider said when it was linked."""

    __tablename__ = "linked_identities"

    issuer: Mapped[str] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id"))
    email: Mapped[str | None]
    created_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("account_id", "issuer"),)


class SignOnAttempt(Base):
    """A sign-in that goes on at a provider, known by the SHA-256 of what its browser and its address hold; answered once.

    `said` is what goes along with its `purpose` (`use_cases.sign_on`).
    """

    __tablename__ = "sign_on_attempts"

    sha256: Mapped[str] = mapped_column(primary_key=True)
    provider: Mapped[str]
    purpose: Mapped[str]
    nonce: Mapped[str]
    verifier: Mapped[str]
    said: Mapped[Json] = mapped_column(SealedJson("sign_on_attempts.said", None, ("sha256",)))
    account_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("accounts.id"))
    expires_at: Mapped[datetime] = mapped_column(index=True)


class SigningTicket(Base):
    """Somebody has just signed in anew at their provider, for one thing: `used_for` is the report's id, or
    names an opening in an emergency (`use_cases.emergencies.used_for`), `matter_sha256` what it says. `said` is what of the form
    is shown again.
    """

    __tablename__ = "signing_tickets"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    token_sha256: Mapped[str]
    used_for: Mapped[str] = mapped_column(index=True)
    matter_sha256: Mapped[str]
    said: Mapped[Json] = mapped_column(SealedJson("signing_tickets.said", None))
    issuer: Mapped[str]
    subject: Mapped[str]
    auth_time: Mapped[datetime]
    acr: Mapped[str | None]
    acrs: Mapped[list[str]]
    amr: Mapped[list[str]]
    given_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    spent_at: Mapped[datetime | None]


class TakenLogout(Base):
    """A provider's word that a session ended there, by the SHA-256 of issuer and id: it is taken once."""

    __tablename__ = "taken_logouts"

    sha256: Mapped[str] = mapped_column(primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class Guesses(Base):
    """A count of wrong passwords (`records.guesses`): what is counted, by its SHA-256 only, and when it counts no more.

    What is counted holds names, in whose place people type passwords, and addresses.
    """

    __tablename__ = "guesses"

    sha256: Mapped[str] = mapped_column(primary_key=True)
    empty_at: Mapped[datetime] = mapped_column(index=True)


class KnownDevice(Base):
    """A browser or program from which somebody has signed in, known only by the SHA-256 of what it keeps."""

    __tablename__ = "known_devices"

    sha256: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    used_at: Mapped[datetime]

    __table_args__ = (
        Index("ix_known_devices_account", "account_id", "used_at"),
        Index("ix_known_devices_used", "used_at"),
    )


class SecondFactor(Base):
    """What makes somebody's one-time codes (`use_cases.second_factor`), sealed; in force once a code of it was shown.

    No code is taken twice, nor an older one: `last_step` is that of the last, `spent_for` what it was for.
    """

    __tablename__ = "second_factors"

    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    sealed_secret: Mapped[str]
    created_at: Mapped[datetime]
    confirmed_at: Mapped[datetime | None]
    last_step: Mapped[int | None] = mapped_column(BigInteger)
    spent_for: Mapped[str | None]


class RecoveryCode(Base):
    """A code for who has lost what makes their codes, known by its SHA-256; it serves once."""

    __tablename__ = "recovery_codes"

    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    sha256: Mapped[str] = mapped_column(primary_key=True)
    used_at: Mapped[datetime | None]
    used_for: Mapped[str | None]


class Passkey(Base):
    """A key pair on a device of somebody's, of which only the public half is here (`use_cases.passkeys`)."""

    __tablename__ = "passkeys"

    credential_id: Mapped[bytes] = mapped_column(primary_key=True)
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id"), index=True)
    public_key: Mapped[bytes]
    sign_count: Mapped[int] = mapped_column(BigInteger)
    name: Mapped[str]
    created_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class PasskeyChallenge(Base):
    """What a passkey is to answer, once, for one thing."""

    __tablename__ = "passkey_challenges"

    challenge: Mapped[bytes] = mapped_column(primary_key=True)
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id"), index=True)
    used_for: Mapped[str]
    expires_at: Mapped[datetime]


class FailedLogins(Base):
    """What the version before counts of wrong passwords, while it runs beside this one; nothing here reads it."""

    __tablename__ = "failed_logins"

    username_sha256: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int]
    last_at: Mapped[datetime]


class OneTimeLink:
    """What every link has that lets somebody in once. Of its codes only hashes are kept, by SHA-256.

    The codes are made when an e-mail goes: a try of which nobody knows whether it arrived leaves its own, so there may be
    several.
    `voice_hash` is the Argon2id hash of the second code, which goes by voice, where one is asked for.
    """

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    code_hashes: Mapped[list[str]] = mapped_column(server_default="{}")
    voice_hash: Mapped[str | None]
    wrong_tries: Mapped[int] = mapped_column(server_default="0")
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class Invitation(OneTimeLink, Base):
    """Somebody was asked to join a clinic. Once accepted (`account_id`) or revoked, it has ended.

    `title`, `profession` and `licence_number` are as those of `Account`.
    """

    __tablename__ = "invitations"

    clinic_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("clinics.id"), index=True)
    invited_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("accounts.id"))
    creation_key: Mapped[str | None]
    given_name: Mapped[str]
    family_name: Mapped[str]
    title: Mapped[str]
    profession: Mapped[str]
    licence_number: Mapped[str]
    email: Mapped[str]
    language: Mapped[str]
    roles: Mapped[list[str]]
    offerings: Mapped[list[str] | None]
    account_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("accounts.id"))

    __table_args__ = (UniqueConstraint("invited_by", "creation_key"),)


class PasswordReset(OneTimeLink, Base):
    """Somebody who has forgotten their password may choose another."""

    __tablename__ = "password_resets"

    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id"), index=True)


class ForgottenPasswordAsk(Base):
    """Somebody asked for a new password, by what they typed and from where; both are known by a hash only."""

    __tablename__ = "forgotten_password_asks"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    typed_sha256: Mapped[str] = mapped_column(index=True)
    address_sha256: Mapped[str] = mapped_column(index=True)
    at: Mapped[datetime] = mapped_column(index=True)


class LetterStatus(StrEnum):
    """What became of an e-mail about an account."""

    QUEUED = "queued"
    SENT = "sent"
    REFUSED = "refused"
    EXPIRED = "expired"
    NOT_NEEDED = "not_needed"


class AccountLetter(Base):
    """An e-mail about an account, or about the way to one; `link_id` is the invitation or the reset that it opens, or the entry
    of the audit that it tells of.
    """

    __tablename__ = "account_letters"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    kind: Mapped[LetterKind]
    account_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("accounts.id"), index=True)
    link_id: Mapped[uuid.UUID | None] = mapped_column(index=True)
    name: Mapped[str]
    address: Mapped[str]
    language: Mapped[str]
    status: Mapped[LetterStatus]
    attempts: Mapped[int] = mapped_column(server_default="0")
    last_error: Mapped[str | None]
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]

    __table_args__ = (Index("ix_account_letters_queued", "created_at", postgresql_where=text("status = 'queued'")),)


class Side(StrEnum):
    """From which side somebody did something about an account."""

    PORTAL = "portal"
    API = "api"
    COMMAND_LINE = "command_line"
    SYSTEM = "system"  # Relais itself


class AccountEvent(Base):
    """What was done about an account, about an invitation, or (with neither) about the clinic: by whom (`actor_id`; None on the
    command line, and by who followed a link), from where, and what changed.

    `changes` are the changed fields: of roles and addresses with what they were before and after, of others the name only.
    The invitation itself is kept a month after it is over.
    """

    __tablename__ = "account_events"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    clinic_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("clinics.id"))
    account_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("accounts.id"))
    invitation_id: Mapped[uuid.UUID | None]
    kind: Mapped[AccountEventKind]
    changes: Mapped[Json]
    actor_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("accounts.id"))
    side: Mapped[Side]
    address: Mapped[str | None]
    at: Mapped[datetime]

    __table_args__ = (
        Index("ix_account_events_account", "account_id", "id"),
        Index("ix_account_events_clinic", "clinic_id", "id"),
    )


class AbsenceRecord(Base):
    """Days on which somebody is away, both ends included, in the time zone of `domain.calendar`. `note` is for colleagues."""

    __tablename__ = "absences"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id"))
    starts_on: Mapped[date]
    ends_on: Mapped[date]
    note: Mapped[str | None]
    created_by: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id"))
    creation_key: Mapped[str | None]
    created_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint("starts_on <= ends_on", name="ck_absences_days"),
        UniqueConstraint("account_id", "created_by", "creation_key"),
        Index("ix_absences_account", "account_id", "ends_on"),
    )


class SavedFilter(Base):
    """A filter of the worklist that somebody keeps under a name; `criteria` are those of `use_cases.saved_filters`."""

    __tablename__ = "saved_filters"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id"))
    name: Mapped[str]
    criteria: Mapped[Json] = mapped_column(SealedJson("saved_filters.criteria", None))
    created_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("account_id", "name"),)


class Snippet(Base):
    """A text that somebody, or everybody of a clinic, uses again: `account_id` or `clinic_id` says whose it is."""

    __tablename__ = "snippets"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    account_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("accounts.id"))
    clinic_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("clinics.id"))
    used_for: Mapped[str]
    language: Mapped[str]
    offering: Mapped[str | None]
    name: Mapped[str]
    text: Mapped[str]
    created_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint("(account_id IS NULL) <> (clinic_id IS NULL)", name="ck_snippets_somebodys"),
        UniqueConstraint("account_id", "used_for", "language", "name"),
        UniqueConstraint("clinic_id", "used_for", "language", "name"),
    )


# Service offerings


class OfferingVersion(Base):
    """A version of a service offering that was in force at some time. Never changes.

    `content` is the `domain.offerings.ServiceOffering` as JSON, `sha256` that of its canonical JSON, `since` when the records
    learned of it.
    """

    __tablename__ = "offering_versions"

    code: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    content: Mapped[Json]
    sha256: Mapped[str]
    since: Mapped[datetime]


# Requests: the draft, and the projection of the process


@dataclass(frozen=True)
class Way:
    """A way in which requests come before people, along which indexes lead: those that have the same value in `key`.

    `columns` are those that follow it, as every list names their values; `where` says which requests are on this way at all, in
    SQL; `found_in` is what one asks of them without looking at the rows, as far as it does not stand there already.
    """

    name: str
    key: str | None
    columns: tuple[str, ...]
    where: str | None = None
    found_in: tuple[str, ...] = ()


SORT_KEYS = {"due": "due_sort", "update": "updated_at", "creation": "created_at"}
"""The orders in which a way can be gone along, and the column of each."""

_SORTED_OUT = ("offering", "status", "overdue", "priority_rank")
_FOUND_IN = (
    *("holder_id", "holder_kind", "holder_clinic_id", "awaits_holder"),
    *("requester_clinic_id", "dispatch_clinic_id", "submitted_at"),
)

OTHER_DISPATCH = "dispatch_clinic_id <> requester_clinic_id"
OTHER_HOLDER = "holder_clinic_id <> requester_clinic_id AND holder_clinic_id <> dispatch_clinic_id"
IN_POOL = "holder_kind = 'pool'"

WAYS = (
    Way("requester", "requester_id", ("awaits_requester", *_SORTED_OUT), found_in=_FOUND_IN),
    Way("requester_clinic", "requester_clinic_id", _SORTED_OUT, found_in=_FOUND_IN),
    Way("dispatch_clinic", "dispatch_clinic_id", _SORTED_OUT, found_in=_FOUND_IN),
    Way("other_dispatch", "dispatch_clinic_id", _SORTED_OUT, OTHER_DISPATCH, _FOUND_IN),
    Way("holder", "holder_id", ("awaits_holder", *_SORTED_OUT), "holder_id IS NOT NULL", _FOUND_IN),
    Way("other_holder", "holder_clinic_id", _SORTED_OUT, OTHER_HOLDER, _FOUND_IN),
    Way("pool", "holder_clinic_id", ("awaits_holder", *_SORTED_OUT), IN_POOL, _FOUND_IN),
    Way("asked_signer", "follow_up_signer_id", _SORTED_OUT, "follow_up_signer_id IS NOT NULL"),
    Way("asked_clinic", "follow_up_clinic_id", _SORTED_OUT, "follow_up_signer_id IS NOT NULL"),
    Way("unread_clinic", "requester_clinic_id", _SORTED_OUT, "unread_colleagues_from IS NOT NULL"),
    Way("all", None, _SORTED_OUT, found_in=_FOUND_IN),
)
ACTED = Way("acted_on", "account_id", _SORTED_OUT, "NOT holding AND NOT asked", ("ours", "holder_id"))


OF_SUBMISSION = (
    *_SORTED_OUT,
    *SORT_KEYS.values(),
    *("requester_id", *_FOUND_IN[:-1], "awaits_requester"),
    *("follow_up_signer_id", "follow_up_clinic_id", "unread_colleagues_from", "unread_clinic_from"),
)
"""What lists ask of the requests of certain days: the index of the days holds it, so that the rows need not be looked at."""


def _worklist_indexes(table: str, way: Way, id_: str = "id") -> list[Index]:
    """One for each order; that of due times also holds what is asked of the requests while they are counted."""
    start = (way.key, *way.columns) if way.key else way.columns
    return [
        Index(
            f"ix_{table}_{way.name}_by_{order}",
            *(*start, column, id_),
            postgresql_where=text(way.where) if way.where else None,
            postgresql_include=[name for name in way.found_in if name not in start] if order == "due" else (),
        )
        for order, column in SORT_KEYS.items()
    ]


AWAITS_HOLDER = """
    process ->> 'signing' IS NULL AND CASE holder_kind
        WHEN 'requester' THEN status <> 'draft' AND submission_id IS NULL
        WHEN 'dispatch' THEN true
        WHEN 'nobody' THEN false
        ELSE open_questions = 0 AND (signature_id IS NULL OR status <> 'accepted')
    END
"""
AWAITS_REQUESTER = """
    coalesce(process -> 'deadlines' @> '[{"name": "urgent_acknowledgement"}]', false) OR process ->> 'signing' IS NULL AND (
        open_questions > 0 OR holder_kind = 'requester' AND status <> 'draft' AND submission_id IS NULL
    )
"""


class NumberCounter(Base):
    """The last request number given in a year."""

    __tablename__ = "number_counters"

    year: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    last: Mapped[int]


class RequestRecord(Base):
    """One teleconsultation request.

    `process` is the `domain.requests.Request` as JSON, also of a draft; the columns from `process_version` on are taken out of it
    for queries, and `waiting_since` is when the holder got it. While a question about its report is open, `follow_up_signer_id`
    and `follow_up_clinic_id` say who signed that. `form` is ``{"patient": {…}, "answers": {…}}`` as it stands in the
    editor, and `form_priority` the priority asked for there: both are frozen by `records.forms.freeze_form`.

    While its requester has not read the newest report, `unread_colleagues_from` and `unread_clinic_from` say from when on others
    of their clinic see it (`domain.unread_reports`), and `unread_told_at` when these were told.

    `draft_warned_at` is when the writer of a draft was written that it is removed soon, `draft_touched_at` when something was
    done with a draft's photos of which no time stands elsewhere.

    `earlier_id` is the request that this one follows, as its requester has said; `system_id` the clinic's system that began it
    for them. `is_test`: it came as a test, and is counted nowhere.

    `submission_id` is the command that submits the form, while it is on its way (since `submission_since`), and `signature_id`
    the one that signs the report's draft: from the moment at which it froze them until its end is known, neither changes.

    `awaits_holder`: the holder can go on now; a draft waits for nobody. `awaits_requester`: its requester has something to do,
    whoever holds it. `records.worklist.has_to_do` reads both.
    """

    __tablename__ = "requests"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime]
    created_by: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id"))
    system_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("accounts.id"))
    is_test: Mapped[bool] = mapped_column(server_default=false())
    creation_key: Mapped[str | None]
    earlier_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("requests.id"))

    form: Mapped[Json] = mapped_column(SealedJson("requests.form", "id"))
    form_priority: Mapped[Priority]
    edits: Mapped[int]
    submission_id: Mapped[str | None]
    submission_since: Mapped[datetime | None]
    signature_id: Mapped[str | None]

    process: Mapped[Json]
    process_version: Mapped[int]
    status: Mapped[Status]
    priority: Mapped[Priority]
    priority_rank: Mapped[int]
    offering: Mapped[str]
    requester_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id"))
    requester_clinic_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("clinics.id"))
    dispatch_clinic_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("clinics.id"))
    holder_kind: Mapped[HolderKind]
    holder_id: Mapped[uuid.UUID | None]
    holder_clinic_id: Mapped[uuid.UUID | None]
    waiting_since: Mapped[datetime]
    due_at: Mapped[datetime | None]
    due_sort: Mapped[datetime] = mapped_column(
        Computed("COALESCE(due_at, TIMESTAMPTZ '9999-12-31 00:00:00+00')", persisted=True)
    )
    overdue: Mapped[bool]
    open_questions: Mapped[int]
    awaits_holder: Mapped[bool] = mapped_column(Computed(AWAITS_HOLDER, persisted=True))
    awaits_requester: Mapped[bool] = mapped_column(Computed(AWAITS_REQUESTER, persisted=True))
    follow_up_signer_id: Mapped[uuid.UUID | None]
    follow_up_clinic_id: Mapped[uuid.UUID | None]
    unread_colleagues_from: Mapped[datetime | None]
    unread_clinic_from: Mapped[datetime | None]
    unread_told_at: Mapped[datetime | None]
    draft_warned_at: Mapped[datetime | None]
    draft_touched_at: Mapped[datetime | None]
    submitted_at: Mapped[datetime | None]
    updated_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("created_by", "creation_key"),
        *(index for way in WAYS for index in _worklist_indexes("requests", way)),
        Index("ix_requests_status", "status"),
        Index(
            "ix_requests_unread_untold",
            "unread_colleagues_from",
            postgresql_where=text("unread_colleagues_from IS NOT NULL AND unread_told_at IS NULL"),
        ),
        Index(
            "ix_requests_by_submission",
            *("submitted_at", "id"),
            postgresql_where=text("submitted_at IS NOT NULL"),
            postgresql_include=OF_SUBMISSION,
        ),
        Index("ix_requests_earlier", "earlier_id", postgresql_where=text("earlier_id IS NOT NULL")),
    )

    @property
    def version(self) -> int:
        """The version that people and `If-Match` see: it grows with every event and with every edit of the form."""
        return self.process_version + self.edits

    @property
    def is_editable(self) -> bool:
        """Whether its form can be changed now: not while its submission is on its way."""
        return self.status.is_with_requester and self.submission_id is None


class RequestReference(Base):
    """What a clinic's system calls a request by itself: an order's number, or a chart's, by which a patient may be known.

    It is found by its keyed `hash` (`records.references`); `hashed_with` tells under which key that is.
    """

    __tablename__ = "request_references"

    request_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("requests.id", ondelete="CASCADE"), primary_key=True)
    system_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    value: Mapped[str] = mapped_column(
        SealedText("request_references.value", "request_id", ("request_id", "system_id"))
    )
    hash: Mapped[bytes]
    hashed_with: Mapped[bytes]

    __table_args__ = (UniqueConstraint("system_id", "hash"), Index("ix_request_references_hash", "hash"))


class Participant(Base):
    """Somebody who ever gave a command on the request.

    What follows the two ids is the request's, so that indexes lead to what somebody had to do with: triggers keep it.
    `holding`: they hold it now, as a provider; `asked`: it is their own request. Other ways lead to these. `ours`: their clinic
    asked for it, dispatches or holds it.
    """

    __tablename__ = "request_participants"

    request_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("requests.id"), primary_key=True)
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    holding: Mapped[bool] = mapped_column(server_default=FetchedValue())
    asked: Mapped[bool] = mapped_column(server_default=FetchedValue())
    ours: Mapped[bool] = mapped_column(server_default=FetchedValue())
    holder_id: Mapped[uuid.UUID | None] = mapped_column(server_default=FetchedValue())
    offering: Mapped[str] = mapped_column(server_default=FetchedValue())
    status: Mapped[Status] = mapped_column(server_default=FetchedValue())
    overdue: Mapped[bool] = mapped_column(server_default=FetchedValue())
    priority_rank: Mapped[int] = mapped_column(server_default=FetchedValue())
    due_sort: Mapped[datetime] = mapped_column(server_default=FetchedValue())
    updated_at: Mapped[datetime] = mapped_column(server_default=FetchedValue())
    created_at: Mapped[datetime] = mapped_column(server_default=FetchedValue())

    __table_args__ = tuple(_worklist_indexes("request_participants", ACTED, "request_id"))


class OfferedPool(Base):
    """A clinic to whose pool the request was ever offered."""

    __tablename__ = "request_pools"

    request_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("requests.id"), primary_key=True)
    clinic_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("clinics.id"), primary_key=True)

    __table_args__ = (Index("ix_request_pools_clinic", "clinic_id", "request_id"),)


class PatientWord(Base):
    """A word by which the request's patient is found, as a keyed hash (see `records.patient_words`).

    `written`: it stands in the form as its requester writes it; `submitted`: in the form that is in force. The words are kept for
    each clinic that has to do with the request, so that nobody looks among those of others; what is only written, for the
    requester's own. Where a clinic comes to a request, the trigger of its parties copies them.
    """

    __tablename__ = "patient_words"

    clinic_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    hash: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    request_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("requests.id"), primary_key=True)
    written: Mapped[bool]
    submitted: Mapped[bool]

    __table_args__ = (Index("ix_patient_words_request", "request_id"),)


class RequestParty(Base):
    """Somebody whose name finds the request: who asks for it or holds it, and the clinics; triggers keep it.

    Kept for each clinic that ever had to do with the request, and for `EVERY_CLINIC`: whoever looks for a name looks among what
    their clinic may see, and operators among all.
    """

    __tablename__ = "request_parties"

    clinic_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    party_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    request_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("requests.id", ondelete="CASCADE"), primary_key=True)

    __table_args__ = (Index("ix_request_parties_request", "request_id"),)


EVERY_CLINIC = uuid.UUID(int=0)
"""The clinic under which parties are kept for those who see the requests of all."""


class WeeklyCount(Base):
    """How often something happened in a week (from that Monday on) for a clinic; names as in `domain.statistics`."""

    __tablename__ = "weekly_counts"

    clinic_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("clinics.id"), primary_key=True)
    side: Mapped[str] = mapped_column(primary_key=True)
    week: Mapped[date] = mapped_column(primary_key=True)
    measure: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int]

    __table_args__ = (Index("ix_weekly_counts_week", "week"),)


class EventRecord(Base):
    """What happened, as the workflow decided it. Never changes. `command` is the whole command, with its free text."""

    __tablename__ = "events"

    request_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("requests.id"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[EventName]
    at: Mapped[datetime]
    source: Mapped[Source]
    command_id: Mapped[str]
    actor_id: Mapped[uuid.UUID | None]
    actor_role: Mapped[Role]
    actor_clinic_id: Mapped[uuid.UUID | None]
    status_before: Mapped[Status]
    status: Mapped[Status]
    holder_before: Mapped[Json]
    holder: Mapped[Json]
    command: Mapped[Json] = mapped_column(
        SealedJson("events.command", "request_id", ("request_id", "version"), ("report_id", "attachment_ids", "form"))
    )
    recorded_at: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))


class UsedKey(Base):
    """An idempotency key that somebody has used, and what it means since then; both as keyed hashes (`records.used_keys`)."""

    __tablename__ = "used_keys"

    hash: Mapped[bytes] = mapped_column(primary_key=True)
    meaning: Mapped[bytes]
    used_at: Mapped[datetime] = mapped_column(index=True)


class RequestChange(Base):
    """Something that the feed of changes tells (`records.changes`). Triggers write it, with whatever changes a request.

    It stands at its `horizon` and `id`: the transaction that wrote it, or that of the request's row before, if this is greater.
    Of an event, `sequence` is its version in the timeline; `version` is that of the request for people. `left_clinic_id` had the
    request until then. What is ``gone`` was a draft of `account_id`, or is shut to them; ``seen`` tells that the roles of this
    account changed, from `roles_before`, or that one request is shut to them no more.
    """

    __tablename__ = "request_changes"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    horizon: Mapped[int] = mapped_column(BigInteger)
    kind: Mapped[ChangeKind]
    request_id: Mapped[uuid.UUID | None]
    sequence: Mapped[int | None]
    version: Mapped[int | None]
    event: Mapped[EventName | None]
    at: Mapped[datetime]
    left_clinic_id: Mapped[uuid.UUID | None]
    account_id: Mapped[uuid.UUID | None]
    roles_before: Mapped[list[str] | None]
    noted_at: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))

    __table_args__ = (
        Index("ix_request_changes_horizon", "horizon", "id"),
        Index("ix_request_changes_request", "request_id", "horizon"),
        Index("ix_request_changes_noted", "noted_at"),
    )


class ChangeLog(Base):
    """From where on the feed of changes is kept, in one row: what stood before the two `forgotten_` is not there any more.

    `cluster` tells the database's server from copies that went another way: there, the numbers of transactions mean something
    else, and the feed begins with another `epoch`.
    """

    __tablename__ = "change_logs"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    epoch: Mapped[uuid.UUID]
    cluster: Mapped[str]
    forgotten_horizon: Mapped[int] = mapped_column(BigInteger)
    forgotten_id: Mapped[int] = mapped_column(BigInteger)


class GivenCommand(Base):
    """A command that somebody gave by the API: written down together with what it froze, before the engine hears of it.

    While `settled_at` is empty its end is not known. Then either `event` happened, or it was refused with the code `refusal`;
    `version` is the event's, or the one that the request had for people when it was refused, with so many `edits`. `queued_at`
    is when its giver was told that it would act later, `given_at` when it was given last; `system_id` is the clinic's system by
    which that was, in its giver's name. `number` is the order in which commands
    were given first.
    """

    __tablename__ = "commands"

    request_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("requests.id"), primary_key=True)
    command_id: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
    name: Mapped[str]
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id"))
    system_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("accounts.id"))
    command: Mapped[Json] = mapped_column(SealedJson("commands.command", "request_id", ("request_id", "command_id")))
    given_at: Mapped[datetime]
    queued_at: Mapped[datetime | None]
    settled_at: Mapped[datetime | None]
    event: Mapped[EventName | None]
    refusal: Mapped[str | None]
    version: Mapped[int | None]
    edits: Mapped[int | None]

    __table_args__ = (
        Index("ix_commands_unsettled", "request_id", "number", postgresql_where=text("settled_at IS NULL")),
    )


class RefusedCommand(Base):
    """A command that was not legal and changed nothing."""

    __tablename__ = "refused_commands"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    request_id: Mapped[uuid.UUID]
    command_id: Mapped[str]
    name: Mapped[str]
    code: Mapped[str]
    actor_id: Mapped[uuid.UUID | None]
    source: Mapped[Source]
    at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("request_id", "command_id", "name", "at"),)


class FailedEffect(Base):
    """An effect that failed for good and waits for a person. `code` is stable and says nothing of the patient."""

    __tablename__ = "failed_effects"

    effect_id: Mapped[str] = mapped_column(primary_key=True)
    request_id: Mapped[uuid.UUID] = mapped_column(index=True)
    kind: Mapped[str]
    code: Mapped[str]
    at: Mapped[datetime]
    resolved_at: Mapped[datetime | None]
    resolved_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("accounts.id"))

    __table_args__ = (Index("ix_failed_effects_open", "at", postgresql_where=text("resolved_at IS NULL")),)


# Notices


class NoticeStatus(StrEnum):
    """What became of a notice."""

    QUEUED = "queued"  # to be sent now
    SENT = "sent"
    GROUPED = "grouped"  # waits for the recipient's next digest
    SUPPRESSED = "suppressed"  # the recipient wants to hear of actions only
    REFUSED = "refused"  # the address can get no mail
    EXPIRED = "expired"  # no mail server took it in time, through no fault of the address
    FAILED = "failed"  # given up for another reason


class Notice(Base):
    """One e-mail to one person about one event, or its place in a digest.

    `event` is an EventName, or where it tells a dispatcher what became of another notice, `refused_notice_id`:
    ``notice_refused`` (its address can get no mail) or ``notice_expired``. `recipient` is the party as which the person is told;
    where they are several, the one that must act. It goes from `send_at` on, and is given up some days later; `told_with` is the
    notice whose e-mail tells this one too. `taken_up_by` names the activity that has it in hand, since `taken_up_at`.
    A notice of ``command_refused`` or ``submission_refused`` tells somebody that what they gave (`command_id`), and were told to
    be queued, was refused in the end; one of ``unread_report`` that nothing happened: its `command_id` says with which report;
    one of ``message_lost`` that a message between Relais and a partner's system was: its `command_id` says which, and when.
    """

    __tablename__ = "notices"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    request_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("requests.id"))
    version: Mapped[int]
    event: Mapped[str]
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id"))
    address: Mapped[str]
    language: Mapped[str]
    recipient: Mapped[Recipient]
    importance: Mapped[Importance]
    status: Mapped[NoticeStatus]
    message_id: Mapped[str]
    attempts: Mapped[int]
    last_error: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))
    send_at: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))
    taken_up_by: Mapped[str | None]
    taken_up_at: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]
    told_with: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("notices.id"))
    digest_id: Mapped[uuid.UUID | None] = mapped_column(index=True)
    refused_notice_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("notices.id"))
    command_id: Mapped[str | None]

    __table_args__ = (
        Index(
            "uq_notices_event",
            *("request_id", "version", "account_id"),
            unique=True,
            postgresql_where=text("refused_notice_id IS NULL AND command_id IS NULL"),
        ),
        Index(
            "uq_notices_command",
            *("request_id", "command_id", "account_id"),
            unique=True,
            postgresql_where=text("command_id IS NOT NULL"),
        ),
        Index(
            "uq_notices_refused",
            *("refused_notice_id", "account_id"),
            unique=True,
            postgresql_where=text("refused_notice_id IS NOT NULL"),
        ),
        Index("ix_notices_grouped", "account_id", postgresql_where=text("status = 'grouped'")),
        Index("ix_notices_queued", "request_id", "account_id", postgresql_where=text("status = 'queued'")),
        Index("ix_notices_told_with", "told_with", postgresql_where=text("told_with IS NOT NULL")),
        Index(
            "ix_notices_undeliverable",
            "created_at",
            postgresql_where=text("status IN ('refused', 'expired', 'failed')"),
        ),
    )


# The chart


class FrozenForm(Base):
    """A form as it was to be submitted by a command. Never changes. `sha256` is that of the canonical JSON of `content`."""

    __tablename__ = "form_versions"

    request_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("requests.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    content: Mapped[FormContent] = mapped_column(
        SealedJson("form_versions.content", "request_id", ("request_id", "number"), ("attachments",))
    )
    sha256: Mapped[str]
    frozen_at: Mapped[datetime]
    frozen_by: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id"))
    command_id: Mapped[str]


class MediaState(StrEnum):
    """Whether the clean copy of a photo or video, which others than its sender get, is there."""

    READY = "ready"
    PREPARING = "preparing"  # a video: its workflow makes the copy
    FAILED = "failed"  # no copy could be made; its poster is all that others see


class Attachment(Base):
    """A photo, a video or a document. The bytes as they came are in the document store under `object_key`.

    What is shown of it was made anew and lies beside: `preview_key` and `thumbnail_key` (JPEGs; of a video, its first frame),
    `full_key` (a photo as a JPEG of its full size), `playable_key` (a video as MP4); of a document `page_keys` (JPEGs) and
    `full_key` (a PDF made of them). A photo from before these were made has its
    preview only. `sharpness` is that of `media.photos.sharpness_of`, `warnings` are the codes of `domain.photos`, both as at
    the upload. `pixels_sha256` tells photos that show the same, whatever else their files hold; older ones have none.

    Attachments stand in the order of their `position`: at first the moment at which their upload began, in microseconds since
    1970. `caption` says in one line what is seen, or where on the body, and `view` whether it is an overview or a close-up
    (`domain.photos.PhotoView`). `phone_link_id` is the link by which a telephone sent it, in the name of `uploaded_by`.

    `scan` is what the virus scanner has said of it (`records.scans`): when (`scanned_at`), which engine with which database
    (`scan_engine`), and what it found, or why it could not say (`scan_finding`). While it is to be scanned, it is taken up at
    `scan_due_at`, and `scan_tries` scans have failed. An infected one has no files any more.
    """

    __tablename__ = "attachments"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    request_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("requests.id"), index=True)
    slot: Mapped[str]
    kind: Mapped[str]
    media_type: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str]
    filename: Mapped[str] = mapped_column(SealedText("attachments.filename", "request_id"))
    width: Mapped[int | None]
    height: Mapped[int | None]
    captured_at: Mapped[datetime | None]
    duration_seconds: Mapped[float | None]
    sharpness: Mapped[float | None]
    warnings: Mapped[list[str]]
    uploaded_by: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id"))
    uploaded_at: Mapped[datetime]
    state: Mapped[MediaState]
    object_key: Mapped[str]
    preview_key: Mapped[str | None]
    thumbnail_key: Mapped[str | None]
    full_key: Mapped[str | None]
    playable_key: Mapped[str | None]
    page_keys: Mapped[list[str]] = mapped_column(server_default="{}")
    removed_at: Mapped[datetime | None]
    position: Mapped[int] = mapped_column(BigInteger, server_default="0")
    caption: Mapped[str] = mapped_column(SealedText("attachments.caption", "request_id"), server_default="")
    view: Mapped[str] = mapped_column(server_default="")
    pixels_sha256: Mapped[str | None]
    phone_link_id: Mapped[uuid.UUID | None]
    scan: Mapped[ScanState] = mapped_column(server_default=ScanState.NOT_SCANNED)
    scan_due_at: Mapped[datetime | None]
    scan_tries: Mapped[int] = mapped_column(server_default="0")
    scanned_at: Mapped[datetime | None]
    scan_engine: Mapped[str | None]
    scan_finding: Mapped[str | None]

    __table_args__ = (
        Index("ix_attachments_phone_link", "phone_link_id", postgresql_where=text("phone_link_id IS NOT NULL")),
        Index("ix_attachments_scan", "scan", "scan_due_at", postgresql_where=text("scan IN ('pending', 'infected')")),
    )

    @property
    def keys(self) -> list[str]:
        """The keys of all its objects in the document store. An infected one has none: what may be left is nobody's."""
        if self.scan is ScanState.INFECTED:
            return []
        keys = (self.object_key, self.preview_key, self.thumbnail_key, self.full_key, self.playable_key)
        return [key for key in (*keys, *self.page_keys) if key]


class Mark(Base):
    """What somebody drew on a photo, or on a page of a document (`kind`: `domain.marks.MarkKind`), in a layer over it.

    `drawn` are its `start` and `end` in fractions of the upright picture, and the `calibration` of a measure, whose length is
    `length_mm`. One that was removed stays, unseen. `sealed_for` is the request whose key seals the label; where it names none,
    the key of the house does: so this version writes it, for the one before opens no other. The next one names the request.
    """

    __tablename__ = "marks"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    attachment_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("attachments.id", ondelete="CASCADE"), index=True)
    page: Mapped[int] = mapped_column(server_default="1")
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id"))
    kind: Mapped[str]
    drawn: Mapped[Json]
    label: Mapped[str] = mapped_column(SealedText("marks.label", "sealed_for"))
    sealed_for: Mapped[uuid.UUID | None]
    length_mm: Mapped[float | None]
    created_at: Mapped[datetime]
    removed_at: Mapped[datetime | None]


class Upload(Base):
    """A file that comes in parts, until `offset` reaches `length`, both in bytes; then it becomes the attachment with its id.

    `parts` are the keys in the document store of what came, in order. `description` is what the client said of the file, as tus
    writes it; `slot` and `filename` are read from it.
    """

    __tablename__ = "uploads"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    request_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("requests.id"))
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id"))
    slot: Mapped[str]
    filename: Mapped[str] = mapped_column(SealedText("uploads.filename", "request_id"))
    description: Mapped[str] = mapped_column(SealedText("uploads.description", "request_id"))
    length: Mapped[int] = mapped_column(BigInteger)
    offset: Mapped[int] = mapped_column(BigInteger)
    parts: Mapped[list[str]]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class PhoneLink(Base):
    """A link by which a telephone, where nobody is signed in, sends photos to one place of a request (`records.phone_links`).

    `made_by` is the SHA-256 of the token of its maker's session, `code_sha256` that of what stands in the QR code,
    `device_sha256` that of the secret of the telephone that has taken it.
    """

    __tablename__ = "phone_links"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    request_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("requests.id"))
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id"))
    slot: Mapped[str]
    made_by: Mapped[str]
    code_sha256: Mapped[str] = mapped_column(unique=True)
    device_sha256: Mapped[str | None] = mapped_column(unique=True)
    made_at: Mapped[datetime]
    ends_at: Mapped[datetime] = mapped_column(index=True)
    ended_at: Mapped[datetime | None]

    __table_args__ = (Index("ix_phone_links_request", "request_id", "account_id", "id"),)


class ReportDraft(Base):
    """The report as it is being written. `revision` grows with every save."""

    __tablename__ = "report_drafts"

    request_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("requests.id"), primary_key=True)
    answers: Mapped[Json] = mapped_column(SealedJson("report_drafts.answers", "request_id", ("request_id",)))
    revision: Mapped[int]
    updated_by: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id"))
    updated_at: Mapped[datetime]


class FrozenReport(Base):
    """What a provider signs, frozen before the command, with the fresh proof of identity. Never changes.

    `proof_evidence` is what the provider of sign-ins said of who signs, where that is the proof (`use_cases.step_up`).
    """

    __tablename__ = "reports"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    request_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("requests.id"))
    kind: Mapped[DocumentKind]
    content: Mapped[Json] = mapped_column(SealedJson("reports.content", "request_id"))
    content_sha256: Mapped[str]
    signer_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id"))
    command_id: Mapped[str]
    proof_at: Mapped[datetime]
    proof_method: Mapped[str]
    proof_evidence: Mapped[Json | None]
    created_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("request_id", "command_id"),)


class SigningRoot(Base):
    """The root certificate (PEM) of an authority under which documents are signed, or once were. Nothing removes one.

    `sha256` is its fingerprint, in lower-case hexadecimal.
    """

    __tablename__ = "signing_roots"

    sha256: Mapped[str] = mapped_column(primary_key=True)
    certificate: Mapped[str]
    since: Mapped[datetime]
    revocation_list: Mapped[bytes | None]
    """The newest list of certificates that are revoked (DER); None until a worker has made one."""

    responder_certificate: Mapped[bytes | None]
    """The certificate (DER) of the key that answers questions about certificates (OCSP); None until a worker has made one."""

    sealed_responder: Mapped[str | None]
    """That key, sealed with the key ring."""


class StampingRoot(Base):
    """A certificate (PEM) that vouches for time stamps of an outside service, or once did, and for nothing else. Nothing removes
    one.

    `sha256` is its fingerprint, in lower-case hexadecimal.
    """

    __tablename__ = "stamping_roots"

    sha256: Mapped[str] = mapped_column(primary_key=True)
    certificate: Mapped[str]
    since: Mapped[datetime]


class SigningCertificate(Base):
    """A certificate that was issued here, by the root that issued it and its serial number (hexadecimal).

    `signer_id` is who has signed with it; None for the seal of a clinic, and for time stamps.
    """

    __tablename__ = "signing_certificates"

    root_sha256: Mapped[str] = mapped_column(ForeignKey("signing_roots.sha256"), primary_key=True)
    serial_number: Mapped[str] = mapped_column(primary_key=True)
    signer_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("accounts.id"), index=True)
    since: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    revocation_reason: Mapped[str | None]


class StoredDocument(Base):
    """A signed document; its bytes are in the document store under `object_key`. Never changes. `number` counts from 1."""

    __tablename__ = "documents"

    report_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("reports.id"), primary_key=True)
    request_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("requests.id"))
    number: Mapped[int]
    kind: Mapped[DocumentKind]
    pdf_sha256: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    object_key: Mapped[str]
    signer_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id"))
    signed_at: Mapped[datetime]
    issued_at: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))

    __table_args__ = (
        UniqueConstraint("request_id", "number"),
        Index("ix_documents_signer", "signer_id", "signed_at", "report_id", postgresql_where=text("kind = 'final'")),
    )


class DataKey(Base):
    """The key with which all is sealed that belongs to `owner_id`, sealed with the key ring (`records.data_keys`).

    The owner is a request, an upload under way, or the house.
    """

    __tablename__ = "data_keys"

    owner_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    sealed_key: Mapped[str]


class AuditEntry(Base):
    """One act: who did what, when, from where and for what. Written by `records.audit`, in the transaction of the act.

    Where a clinic's system acted, it is `account_id`, and `for_account_id` the person for whom it did; without any, it was
    nobody who is known here. `clinic_id` is the clinic for which they spoke. `version` is the process version of the request that
    was there to see, so that one can tell what somebody has not seen yet. What entries name may be gone.

    `content` is what may have to be erased one day: the address of the network, and what was changed. `leaf` is the SHA-256 of
    all the rest, in which `content_hmac` stands for it, under a key that is erased with it; None of what is older.
    `written_in` is the transaction; 0 of what is older than this column.
    """

    __tablename__ = "audit_entries"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    kind: Mapped[Act]
    name: Mapped[str | None]
    account_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("accounts.id"))
    for_account_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("accounts.id"))
    clinic_id: Mapped[uuid.UUID | None]
    role: Mapped[Role | None]
    purpose: Mapped[Purpose | None]
    side: Mapped[Side | None]
    request_id: Mapped[uuid.UUID | None]
    object_id: Mapped[uuid.UUID | None]
    version: Mapped[int | None]
    shown: Mapped[list[uuid.UUID] | None]
    content: Mapped[Json | None]
    content_key: Mapped[bytes | None]
    content_hmac: Mapped[bytes | None]
    leaf: Mapped[bytes | None]
    written_in: Mapped[int] = mapped_column(BigInteger, server_default=text("(pg_current_xact_id()::text::bigint)"))

    __table_args__ = (
        Index("ix_audit_entries_request", "request_id", "id"),
        Index("ix_audit_entries_account", "account_id", "id"),
        Index("ix_audit_entries_shown", "shown", postgresql_using="gin", postgresql_where=text("shown IS NOT NULL")),
        Index("ix_audit_entries_written_in", "written_in", "id"),
        Index(
            "ix_audit_entries_opened",
            *("account_id", "request_id", "version"),
            postgresql_where=text("kind = 'request'"),
        ),
    )


_OF_A_CLINIC = text("account_id IS NULL")


class WebhookEndpoint(Base):
    """An address at which a clinic wants to hear of events (`domain.webhooks`). Its secrets are sealed; the older one, after a
    rotation, signs beside the newer until `older_ends_at`.

    `verified_at` is when somebody there last answered a challenge; `paused_until` when it wants to hear again; `failing_since`
    since when every call has failed. `given_by` is who said its present address (None on the command line).

    One of a service account is that account's `Subscription`: its `types` are the topic, what is sealed are the headers.
    """

    __tablename__ = "webhook_endpoints"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    clinic_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("clinics.id"))
    account_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("service_accounts.account_id"), index=True)
    url: Mapped[str]
    types: Mapped[list[str]]
    description: Mapped[str]
    state: Mapped[EndpointState]
    disabled_reason: Mapped[DisabledReason | None]
    sealed_secret: Mapped[str]
    sealed_older_secret: Mapped[str | None]
    older_ends_at: Mapped[datetime | None]
    verified_at: Mapped[datetime | None]
    failing_since: Mapped[datetime | None]
    paused_until: Mapped[datetime | None]
    created_at: Mapped[datetime]
    version: Mapped[int] = mapped_column(server_default="1")
    given_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("accounts.id"), index=True)

    __table_args__ = (
        Index("uq_webhook_endpoints_clinic_id_url", "clinic_id", "url", unique=True, postgresql_where=_OF_A_CLINIC),
    )


class Subscription(Base):
    """What an endpoint has besides that is a Subscription of FHIR (`domain.subscriptions`).

    `filters` are written as `domain.subscriptions.takes` reads them; `events` is the number of the last event. Where it stands is
    said here: the state of its endpoint stays `unverified`, in which code that knows no Subscription sends nothing there. What
    was removed goes at night, for there may be much of it.
    """

    __tablename__ = "subscriptions"

    endpoint_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("webhook_endpoints.id", ondelete="CASCADE"), primary_key=True
    )
    topic: Mapped[Topic]
    filters: Mapped[list[str]]
    content: Mapped[Content]
    payload: Mapped[str]
    heartbeat_seconds: Mapped[int | None]
    timeout_seconds: Mapped[int | None]
    max_count: Mapped[int | None]
    reason: Mapped[str]
    ends_at: Mapped[datetime | None]
    state: Mapped[EndpointState]
    disabled_reason: Mapped[DisabledReason | None]
    disabled_at: Mapped[datetime | None]
    removed_at: Mapped[datetime | None]
    events: Mapped[int] = mapped_column(BigInteger, server_default="0")
    next_heartbeat_at: Mapped[datetime | None]

    __table_args__ = (
        Index(
            "ix_subscriptions_next_heartbeat_at",
            "next_heartbeat_at",
            postgresql_where=text("next_heartbeat_at IS NOT NULL"),
        ),
    )


class WebhookMessage(Base):
    """Something that endpoints are told, written with the event itself: of a request, or of the clinic `clinic_id` alone.

    `data` goes once nobody needs it any more; `part` is for several of the same type that tell one event.
    """

    __tablename__ = "webhook_messages"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    type: Mapped[WebhookType]
    request_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("requests.id"))
    sequence: Mapped[int | None]
    clinic_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("clinics.id"))
    part: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    at: Mapped[datetime]
    data: Mapped[Json | None]

    __table_args__ = (
        UniqueConstraint("request_id", "sequence", "type", "part"),
        Index("ix_webhook_messages_with_data", "at", postgresql_where=text("data IS NOT NULL")),
    )


class WebhookDelivery(Base):
    """A message at one endpoint. Its `type` and `request_id` are those of the message.

    `claimed_by` is the number of the sender that has it in hand (`records.webhook_queue`); `attempts` counts the tries since it
    was queued, or last replayed. `number` counts the events of a Subscription, from 1 on without gaps.
    """

    __tablename__ = "webhook_deliveries"

    message_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("webhook_messages.id"), primary_key=True)
    endpoint_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("webhook_endpoints.id", ondelete="CASCADE"), primary_key=True
    )
    request_id: Mapped[uuid.UUID | None]
    type: Mapped[WebhookType]
    number: Mapped[int | None] = mapped_column(BigInteger)
    state: Mapped[DeliveryState]
    attempts: Mapped[int] = mapped_column(server_default="0")
    next_attempt: Mapped[datetime]
    claimed_by: Mapped[int | None]
    last_status: Mapped[int | None]
    last_error: Mapped[str | None]
    settled_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_webhook_deliveries_endpoint", "endpoint_id", "message_id"),
        Index(
            "uq_webhook_deliveries_number",
            *("endpoint_id", "number"),
            unique=True,
            postgresql_where=text("number IS NOT NULL"),
        ),
        Index(
            "ix_webhook_deliveries_unnumbered",
            *("endpoint_id", "message_id"),
            postgresql_where=text("type = 'fhir.notification' AND number IS NULL AND state <> 'dropped'"),
        ),
        Index(
            "ix_webhook_deliveries_waiting",
            *("endpoint_id", "next_attempt", "message_id"),
            postgresql_where=text("state = 'pending'"),
        ),
        Index(
            "ix_webhook_deliveries_untried",
            *("endpoint_id", "request_id", "message_id"),
            postgresql_where=text("state = 'pending' AND attempts = 0"),
        ),
        Index("ix_webhook_deliveries_claimed", "endpoint_id", postgresql_where=text("claimed_by IS NOT NULL")),
        Index("ix_webhook_deliveries_failed", "endpoint_id", "message_id", postgresql_where=text("state = 'failed'")),
    )


class WebhookAttempt(Base):
    """One call: when, how long it took, and the status of its answer or why there was none. `answer` is how the answer began, for
    operators.
    """

    __tablename__ = "webhook_attempts"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    message_id: Mapped[uuid.UUID]
    endpoint_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("webhook_endpoints.id", ondelete="CASCADE"))
    at: Mapped[datetime] = mapped_column(index=True)
    milliseconds: Mapped[int]
    status: Mapped[int | None]
    error: Mapped[str | None]
    answer: Mapped[str | None]

    __table_args__ = (Index("ix_webhook_attempts_delivery", "endpoint_id", "message_id", "id"),)


class AuditLeaf(Base):
    """The place of an entry in the tree of the audit, from 0 on without gaps, and the hash that it has there."""

    __tablename__ = "audit_leaves"

    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    entry_id: Mapped[uuid.UUID] = mapped_column(unique=True)
    leaf: Mapped[bytes]


class AuditCheckpoint(Base):
    """What the tree of the audit was when it had `size` leaves: a signed note, which stands elsewhere, too."""

    __tablename__ = "audit_checkpoints"

    size: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    note: Mapped[str]
    at: Mapped[datetime]


class AuditHead(Base):
    """How far the tree of the audit has come, in one row: its size, the roots of its full subtrees, and the transaction before
    which all are in it.
    """

    __tablename__ = "audit_heads"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    size: Mapped[int] = mapped_column(BigInteger)
    peaks: Mapped[list[bytes]]
    horizon: Mapped[int] = mapped_column(BigInteger)


# Messages of partners


class Partner(Base):
    """A clinic's system that sends requests as messages (`domain.messages`), by its service account.

    `liaison_id` is the person of the clinic for whom it asks where the message's own author has no account there.
    `dispatch_clinic_id` routes its requests; `offerings` says which offering a partner's service is, by its code or name.
    `performs`: what its clinic is given to answer goes to it by messages (`domain.asked_partners`).
    """

    __tablename__ = "partners"

    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    liaison_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id"))
    dispatch_clinic_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("clinics.id"))
    event_system: Mapped[str]
    language: Mapped[str]
    default_offering: Mapped[str | None]
    offerings: Mapped[Json]
    licence_systems: Mapped[list[str]]
    performs: Mapped[bool] = mapped_column(server_default="false")


class PartnerMessage(Base):
    """A message that a partner sent, as it came (`object_key`, in the document store), and what was answered.

    One that was taken in hand is there once for its `message_id`, whatever became of it; `answer` is None until it is answered.
    One that could not be read, or was no message, was `refused`, and may come again in another form. `problem` is the code of
    why what was read is not done, or why it was refused although it names a request for which its partner was asked; `tries`
    counts how often it was taken in hand. `request_id` is what it has made, from when it is begun, or what it is about, once it
    is done, or can't be. `has_report`: a document lies in it that may be the report of that request. `people_told_at` is when
    people were told that it can't be done.
    """

    __tablename__ = "partner_messages"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    partner_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id"))
    message_id: Mapped[str | None]
    event: Mapped[str | None]
    received_at: Mapped[datetime]
    content_sha256: Mapped[str]
    object_key: Mapped[str]
    refused: Mapped[bool]
    problem: Mapped[str | None]
    tries: Mapped[int]
    answered_at: Mapped[datetime | None]
    answer: Mapped[Json | None] = mapped_column(SealedJson("partner_messages.answer", None))
    request_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("requests.id", ondelete="SET NULL"), index=True)
    has_report: Mapped[bool] = mapped_column(server_default="false")
    people_told_at: Mapped[datetime | None]

    __table_args__ = (
        Index(
            "ix_partner_messages_untold",
            "request_id",
            postgresql_where=text("problem IS NOT NULL AND request_id IS NOT NULL AND people_told_at IS NULL"),
        ),
        Index(
            "ix_partner_messages_not_done",
            "answered_at",
            postgresql_where=text("problem IS NOT NULL AND request_id IS NOT NULL"),
        ),
        Index(
            "ux_partner_messages_taken",
            *("partner_id", "message_id"),
            unique=True,
            postgresql_where=text("NOT refused"),
        ),
        Index("ix_partner_messages_partner_id_received_at", "partner_id", "received_at"),
        Index("ix_partner_messages_refused", "partner_id", "content_sha256", postgresql_where=text("refused")),
    )


class PartnerEndpoint(Base):
    """Where a partner is told of its requests by messages, and how it knows that it is Relais (`domain.told_partners`).

    `sealed_secret` is what the partner has given (a client's secret, or with what messages are signed), or the private key of
    which it has the `public_key`. `verified_at` is when somebody there last answered a message; `paused_until` when it wants to
    hear again; `failing_since` since when every call has failed. `version` is another one after each change of the terms, and
    none comes back, not even where they were removed between. `given_by` is who said its present address (None on the command
    line).
    """

    __tablename__ = "partner_endpoints"

    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    url: Mapped[str]
    documents: Mapped[Documents]
    authorization: Mapped[Authorization]
    token_url: Mapped[str | None]
    client_id: Mapped[str | None]
    token_scope: Mapped[str | None]
    sealed_secret: Mapped[str]
    public_key: Mapped[Json | None]
    state: Mapped[EndpointState]
    disabled_reason: Mapped[DisabledReason | None]
    verified_at: Mapped[datetime | None]
    failing_since: Mapped[datetime | None]
    paused_until: Mapped[datetime | None]
    version: Mapped[uuid.UUID]
    given_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("accounts.id"), index=True)


class ToldMessage(Base):
    """A message to a partner about one of its requests, or one that it is asked, written with the event that it tells, and what
    became of it.

    Nothing of the patient stands here: what it says is made when it goes. `sequence` is the event's version, `part` the place
    among the messages of the event, `version` the request's. `claimed_by` is the number of the sender that has it in hand;
    `attempts` counts the tries since it was written, or last replayed. `told_to` is where it went, by the host, as the audit
    has it; `answered` FHIR's code of why it was not taken. `people_told_at` is when people were told last that it did not arrive.
    """

    __tablename__ = "told_messages"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    partner_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id"))
    request_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("requests.id"))
    sequence: Mapped[int]
    part: Mapped[int]
    event: Mapped[MessageEvent]
    version: Mapped[int]
    at: Mapped[datetime]
    state: Mapped[MessageState]
    attempts: Mapped[int] = mapped_column(server_default="0")
    next_attempt: Mapped[datetime]
    claimed_by: Mapped[int | None]
    last_status: Mapped[int | None]
    last_error: Mapped[str | None]
    answered: Mapped[str | None]
    told_to: Mapped[str | None]
    settled_at: Mapped[datetime | None]
    people_told_at: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("request_id", "sequence", "part"),
        Index("ix_told_messages_lost", "settled_at", postgresql_where=text("state IN ('refused', 'failed')")),
        Index(
            "ix_told_messages_untold",
            "request_id",
            postgresql_where=text(
                "state IN ('refused', 'failed') AND (people_told_at IS NULL OR people_told_at < settled_at)"
            ),
        ),
        Index("ix_told_messages_partner", "partner_id", "id"),
        Index("ix_told_messages_asked", "partner_id", postgresql_where=text("event = 'add-service-request'")),
        Index(
            "ix_told_messages_waiting",
            *("partner_id", "next_attempt", "id"),
            postgresql_where=text("state = 'pending'"),
        ),
        Index("ix_told_messages_claimed", "partner_id", postgresql_where=text("claimed_by IS NOT NULL")),
    )


class ReceivedRequest(Base):
    """What a request that came as a message says besides its form: its author, what is missing, what has no place in the form.

    `order_id` is the UUID that the order has at the partner, which says nothing of anybody.
    """

    __tablename__ = "received_requests"

    request_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("requests.id", ondelete="CASCADE"), primary_key=True)
    partner_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id"))
    order_id: Mapped[uuid.UUID | None]
    content: Mapped[Json] = mapped_column(SealedJson("received_requests.content", "request_id", ("request_id",)))

    __table_args__ = (Index("ix_received_requests_partner_id_order_id", "partner_id", "order_id"),)


# Retention


class RetentionHold(Base):
    """Somebody of that clinic has said that the request must be kept; where it is for the `whole_patient`, also every other one
    that is probably about the same patient. It ends when it is lifted, from the side `lifted_side`.
    """

    __tablename__ = "retention_holds"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    request_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("requests.id"), index=True)
    clinic_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("clinics.id"))
    whole_patient: Mapped[bool]
    reason: Mapped[str] = mapped_column(SealedText("retention_holds.reason", "request_id"))
    set_by: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id"))
    set_at: Mapped[datetime]
    lifted_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("accounts.id"))
    lifted_at: Mapped[datetime | None]
    lifted_side: Mapped[Side | None]

    __table_args__ = (Index("ix_retention_holds_clinic", "clinic_id", postgresql_where=text("lifted_at IS NULL")),)


class PatientLetGo(Base):
    """That operators let the patient of the request go, on the command line, whom a hold at another one had kept, which is
    destroyed by now (`use_cases.let_go`). It is by the ids of requests alone.
    """

    __tablename__ = "patients_let_go"

    request_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("requests.id"), primary_key=True)
    lifted_at: Mapped[datetime]


class RequestRestriction(Base):
    """At the wish of the person whom it is about, the request is shut to an account, or to everybody of a clinic in a role.

    Its requester is never shut out by it. It holds until it has a `RestrictionEnd`.
    """

    __tablename__ = "request_restrictions"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    request_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("requests.id"), index=True)
    account_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("accounts.id"))
    clinic_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("clinics.id"))
    role: Mapped[Role | None]
    reason: Mapped[Json] = mapped_column(SealedJson("request_restrictions.reason", "request_id"))
    set_by: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id"))
    set_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint(
            "(account_id IS NULL) <> (clinic_id IS NULL) AND (clinic_id IS NULL) = (role IS NULL)",
            name="ck_request_restrictions_whom",
        ),
        Index("ix_request_restrictions_account", "account_id", postgresql_where=text("account_id IS NOT NULL")),
        Index("ix_request_restrictions_role", "clinic_id", "role", postgresql_where=text("clinic_id IS NOT NULL")),
    )


class RestrictionEnd(Base):
    """A restriction does not hold any more."""

    __tablename__ = "restriction_ends"

    restriction_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("request_restrictions.id"), primary_key=True)
    request_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("requests.id"), index=True)
    reason: Mapped[Json] = mapped_column(SealedJson("restriction_ends.reason", "request_id", ("restriction_id",)))
    ended_by: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id"))
    ended_at: Mapped[datetime]


class EmergencyOpening(Base):
    """In an emergency somebody reads a request that they would not see, until `ends_at` or its `EmergencyEnd`.

    `role` and `clinic_id` are as whom they do, and only as long as they are: see `records.emergencies`. `command_id` is by what
    it was opened, once; `told` how many e-mails were written of it, to administrators and operators.
    """

    __tablename__ = "emergency_openings"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    request_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("requests.id"), index=True)
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id"), index=True)
    clinic_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("clinics.id"), index=True)
    role: Mapped[Role]
    reason: Mapped[Json] = mapped_column(SealedJson("emergency_openings.reason", "request_id"))
    command_id: Mapped[uuid.UUID] = mapped_column(unique=True)
    told: Mapped[int]
    begun_at: Mapped[datetime] = mapped_column(index=True)
    ends_at: Mapped[datetime]


class EmergencyEnd(Base):
    """What was opened in an emergency was ended by hand: by who read, by somebody else, or by one after the other."""

    __tablename__ = "emergency_ends"

    opening_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("emergency_openings.id"), primary_key=True)
    request_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("requests.id"), index=True)
    ended_by: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    ended_at: Mapped[datetime]


class RetentionList(Base):
    """Requests of a clinic whose time is over, by its `policy`. One at most waits for an approval; what was approved stays."""

    __tablename__ = "retention_lists"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    clinic_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("clinics.id"))
    state: Mapped[ListState]
    policy: Mapped[Json]
    made_at: Mapped[datetime]
    approved_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("accounts.id"))
    approved_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_retention_lists_clinic", "clinic_id", "id"),
        Index("uq_retention_lists_waiting", "clinic_id", unique=True, postgresql_where=text("state = 'waiting'")),
        Index("ix_retention_lists_approved", "id", postgresql_where=text("state = 'approved'")),
    )


class RetentionEntry(Base):
    """A request on a list: until when it was to be kept, and what became of it. Once `settled_at`, nothing is left to be done.

    `seconded_by`: who else approved that it is destroyed, without which nothing is that is restricted within its clinic, or was
    let go by operators.
    """

    __tablename__ = "retention_entries"

    list_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("retention_lists.id", ondelete="CASCADE"), primary_key=True)
    request_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    number: Mapped[str]
    offering: Mapped[str]
    last_entry_at: Mapped[datetime]
    kept_until: Mapped[date]
    outcome: Mapped[EntryOutcome | None]
    kept_because: Mapped[KeptBecause | None]
    settled_at: Mapped[datetime | None]
    seconded_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("accounts.id"))
    seconded_at: Mapped[datetime | None]


class DestroyedRequest(Base):
    """What is left of a request that was destroyed. Never changes. `clinic_ids` are the clinics that ever had to do with it.

    `destroyed` tells of what it had, each thing with its id and digest, how many rows of each table went, until when it was to be
    kept, and the policy that was in force in the clinic that destroyed it; `document_digests` are those of its signed documents;
    `key_owners` are the ids of what had a data key of its own, and files by that id in the document store.
    """

    __tablename__ = "destroyed_requests"

    request_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(unique=True)
    clinic_ids: Mapped[list[uuid.UUID]]
    list_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("retention_lists.id"), index=True)
    destroyed_at: Mapped[datetime]
    destroyed: Mapped[Json]
    document_ids: Mapped[list[uuid.UUID]]
    document_digests: Mapped[list[str]]
    key_owners: Mapped[list[uuid.UUID]]

    __table_args__ = (
        Index("ix_destroyed_requests_digests", "document_digests", postgresql_using="gin"),
        Index("ix_destroyed_requests_documents", "document_ids", postgresql_using="gin"),
        Index("ix_destroyed_requests_key_owners", "key_owners", postgresql_using="gin"),
    )


class RetentionCertificate(Base):
    """That what stood on a list was destroyed, as data; `sha256` is that of its canonical JSON. Never changes."""

    __tablename__ = "retention_certificates"

    list_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("retention_lists.id"), primary_key=True)
    content: Mapped[Json]
    sha256: Mapped[str]
    made_at: Mapped[datetime]


class RetentionPaper(Base):
    """The paper of a certificate, which is drawn and sealed after it. Never changes."""

    __tablename__ = "retention_papers"

    list_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("retention_certificates.list_id"), primary_key=True)
    pdf: Mapped[bytes]
    pdf_sha256: Mapped[str]
    made_at: Mapped[datetime]


# Reviews of accesses


class AccessReview(Base):
    """The analysis of a clinic's accesses of one month (`month` is its first day): so many `accesses` were looked at. Never
    changes. `left_out` are findings that were too many.
    """

    __tablename__ = "access_reviews"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    clinic_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("clinics.id"))
    month: Mapped[date]
    made_at: Mapped[datetime]
    accesses: Mapped[int]
    left_out: Mapped[int]

    __table_args__ = (UniqueConstraint("clinic_id", "month"),)


class AccessFinding(Base):
    """Acts of one person that meet a rule: so many, from when to when; `entries` are the first in the audit. Never changes, but
    for the rule, which is `Rule.DESTROYED` once the request is.
    """

    __tablename__ = "access_findings"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    review_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("access_reviews.id"))
    rule: Mapped[Rule]
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id"))
    request_id: Mapped[uuid.UUID | None]
    day: Mapped[date]
    number: Mapped[int]
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]
    entries: Mapped[list[uuid.UUID]]

    __table_args__ = (
        Index("ix_access_findings_review", "review_id", "id"),
        Index("ix_access_findings_request", "request_id", postgresql_where=text("request_id IS NOT NULL")),
    )


class AccessVerdict(Base):
    """What an administrator said of a finding; the last one counts, and none ever changes.

    `about_self`: they said it of themselves, because there was nobody else. The note, ``{"said": …}``, is sealed with
    the key of the request that the finding is about, and ends with it; `request_id` is None where the clinic has nothing to do
    with that, or it is destroyed already.
    """

    __tablename__ = "access_verdicts"

    finding_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("access_findings.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    review_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("access_reviews.id"), index=True)
    request_id: Mapped[uuid.UUID | None]
    verdict: Mapped[Verdict]
    note: Mapped[Json] = mapped_column(SealedJson("access_verdicts.note", "request_id", ("finding_id", "number")))
    about_self: Mapped[bool]
    given_by: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id"))
    given_at: Mapped[datetime]


class AccessSignOff(Base):
    """That somebody signed a month off, when there were so many `verdicts`; a later verdict asks for a next one. Never changes.

    `sha256` is that of all that was signed: findings with their last verdicts. `about_self` counts those that somebody settled
    about themselves.
    """

    __tablename__ = "access_sign_offs"

    review_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("access_reviews.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    verdicts: Mapped[int]
    sha256: Mapped[str]
    about_self: Mapped[int]
    signed_by: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id"))
    signed_at: Mapped[datetime]


# Registers


class IncidentRecord(Base):
    """An incident of confidentiality in the register of a clinic, by its `number` there. What it says stands in its versions."""

    __tablename__ = "incidents"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    clinic_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("clinics.id"))
    number: Mapped[int]
    recorded_by: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id"))
    creation_key: Mapped[str | None]

    __table_args__ = (UniqueConstraint("clinic_id", "number"), UniqueConstraint("recorded_by", "creation_key"))


class IncidentVersion(Base):
    """What somebody wrote of an incident (`domain.incidents.Incident`), whole, from the first version on. Never changes."""

    __tablename__ = "incident_versions"

    incident_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("incidents.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    content: Mapped[Json] = mapped_column(
        SealedJson("incident_versions.content", "incident_id", ("incident_id", "number"))
    )
    written_by: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id"))
    written_at: Mapped[datetime]


class CommunicationRecord(Base):
    """What left a clinic outside of Relais, as somebody entered it by hand. Never changes: another one `replaces` it.

    `content` is the `domain.communications.ByHand` as JSON, but for its day and its request, which may be gone.
    """

    __tablename__ = "communications"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    clinic_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("clinics.id"))
    given_on: Mapped[date]
    request_id: Mapped[uuid.UUID | None]
    content: Mapped[Json] = mapped_column(SealedJson("communications.content", "id"))
    replaces: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("communications.id"), unique=True)
    written_by: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id"))
    written_at: Mapped[datetime]
    creation_key: Mapped[str | None]

    __table_args__ = (
        UniqueConstraint("written_by", "creation_key"),
        Index("ix_communications_clinic", "clinic_id", "given_on", "id"),
    )


SEALED_MODELS = (
    *(RequestRecord, FrozenForm, EventRecord, GivenCommand, Attachment, Mark, Upload, ReportDraft, FrozenReport),
    *(RequestReference, SavedFilter, SignOnAttempt, SigningTicket, RetentionHold, PartnerMessage, ReceivedRequest),
    *(AccessVerdict, IncidentVersion, CommunicationRecord, RequestRestriction, RestrictionEnd),
    EmergencyOpening,
)
"""The models of which columns are sealed."""

for _model in SEALED_MODELS:
    seal_on_flush(_model)
