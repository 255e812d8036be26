"""Every setting of Relais, in one class.

Values come, first match wins, from the environment (prefix ``RELAIS_``), from ``runtime.json`` in the data folder (written by
``relais up``, so that every other command finds the running system), and from the defaults below. The connection to Temporal
is not here: the ``TEMPORAL_*`` names of Temporal's own environment configuration hold it.
"""

import json
from email.utils import parseaddr
from functools import cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from domain.addresses import checked_address

PROJECT_ROOT = Path(__file__).resolve().parent


class SettingsError(Exception):
    """A setting is missing or can't be used; the text names it and says what to do."""


class Settings(BaseSettings):
    """The settings of one process. Secrets are ``SecretStr`` and never appear in a log or a traceback."""

    model_config = SettingsConfigDict(env_prefix="RELAIS_", env_ignore_empty=True, frozen=True, extra="ignore")

    # where things are
    data_dir: Path = Field(Path("var"), description="The one folder that holds everything in the embedded mode.")
    embedded: bool = Field(False, description="True when `relais up` started the engines. Allows local conveniences.")
    host: str = Field("127.0.0.1", description="Address the API listens on.")
    port: int = Field(8000, ge=0, le=65535, description="Port the API listens on.")
    metrics_host: str = Field("127.0.0.1", description="Address on which numbers for Prometheus are given out.")
    metrics_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="Port on which an API process answers `GET /metrics`, apart from the API; it does not when empty.",
    )
    trusted_proxies: str | None = Field(
        None,
        description="Addresses and networks of your proxies, with commas between: their X-Forwarded-For says from where somebody "
        "calls. Loopback only when empty.",
    )
    public_url: str = Field(
        "http://127.0.0.1:8000", description="Address of Relais as its users and their telephones reach it, for links."
    )

    # the records
    database_url: SecretStr | None = Field(None, description="postgresql+asyncpg://… ; `relais up` fills it in.")
    api_database_url: SecretStr | None = Field(
        None,
        description="The same database by the account of the API, which opens for each caller what is of their clinic alone "
        "(docs/operations.md, “The account of the API”); `database_url` when empty.",
    )
    database_pool_size: int = Field(10, ge=1, description="Connections that one process keeps to the database.")
    document_store: str | None = Field(None, description="Object store: file:///folder or s3://bucket/prefix.")
    max_photo_bytes: int = Field(40 * 1024**2, description="Largest photo or DICOM picture accepted, in bytes.")
    max_document_bytes: int = Field(20 * 1024**2, description="Largest document (PDF) accepted, in bytes.")
    max_video_bytes: int = Field(500 * 1024**2, description="Largest video accepted, in bytes.")
    clamd_url: str | None = Field(
        None,
        pattern=r"^(tcp://[^/\s]+:[0-9]{1,5}|unix:///\S+)$",
        description="Virus scanner (clamd or the like): tcp://host:3310 or unix:///path. Nothing is scanned when empty.",
    )
    clamd_timeout_seconds: float = Field(120.0, gt=0, description="How long the scan of one file may take.")
    clamd_max_bytes: int = Field(
        500 * 1024**2,
        ge=1,
        description="Largest file given to the scanner, in bytes: not more than its StreamMaxLength and MaxFileSize.",
    )
    scan_required: bool = Field(
        True,
        description="Where there is a scanner: what it has not passed is kept back from others. False: only what is infected.",
    )
    offerings_dir: Path = Field(PROJECT_ROOT / "offerings", description="Folder of the service-offering files.")

    # secrets
    encryption_keys: SecretStr | None = Field(
        None,
        description="Key ring for charts, files and Temporal: id:base64[,id:base64…], 32 bytes each, the first encrypts.",
    )
    authority_dir: Path | None = Field(
        None, description="Folder with the signers' keys and certificates; data_dir/authority when empty."
    )
    authority_secret: SecretStr | None = Field(
        None, description="Locks the signers' keys in their folder; the key that signs the audit is made of it, too."
    )
    pkcs11_module: Path | None = Field(
        None,
        description="PKCS#11 module (a library) of the token that has the signers' keys, such as an HSM; they are in the folder "
        "when empty.",
    )
    pkcs11_token: str | None = Field(None, description="Label of that token.")
    pkcs11_serial: str | None = Field(
        None, description="Serial number of that token, beside its label or in its place."
    )
    pkcs11_pin_file: Path | None = Field(None, description="File that holds the token's PIN, and nothing else.")
    pkcs11_pin: SecretStr | None = Field(None, description="The PIN itself, where there is no file.")
    pkcs11_environment: frozenset[str] = Field(
        frozenset(),
        description="Names of environment variables that the module reads for itself, as a JSON list: processes that sign know "
        "no others.",
    )
    time_stamps_url: str | None = Field(
        None,
        description="Address of a service that stamps the time on signatures (RFC 3161), over https; the authority stamps them "
        "when empty.",
    )
    time_stamps_certificates: Path | None = Field(
        None,
        description="File (PEM) of the certificates that vouch for its stamps: those that it stamps with, or of who issued them.",
    )
    time_stamps_user: str | None = Field(None, description="User name at the service; nobody logs in when empty.")
    time_stamps_password: SecretStr | None = Field(None, description="Password at the service.")
    time_stamps_timeout_seconds: float = Field(
        10.0, gt=0, le=15, description="How long each stamp may take; then the signature is tried again."
    )
    time_stamps_from_this_machine: bool = Field(
        False,
        description="Lets the service be on this very machine, without TLS: behind a relay of yours, or to try it.",
    )
    audit_checkpoints_dir: Path | None = Field(
        None,
        description="Folder, best one of another machine, in which workers leave a signed checkpoint of the audit "
        "each minute in which something was done; none when empty.",
    )
    wrong_passwords_per_address: int = Field(
        20,
        ge=1,
        description="Wrong passwords that one address may give at once, for whatever names; then one each 30 seconds. Devices "
        "from which somebody has signed in before don't count.",
    )
    searches_per_minute: int = Field(
        120, ge=0, description="Searches that one person may ask of an API process in a minute; 0 for no limit."
    )
    pictures_per_minute: int = Field(
        1_200, ge=0, description="The same for photos, pages of documents, and parts of videos."
    )
    documents_per_minute: int = Field(
        120,
        ge=0,
        description="The same for documents that are drawn, checked or given out: previews, reports, whole cases.",
    )
    checks_per_minute: int = Field(
        20, ge=0, description="How many signed documents may be checked from one address without signing in."
    )
    statuses_per_minute: int = Field(
        600, ge=0, description="How many times it may be asked from one address whether a certificate is revoked."
    )
    forgotten_passwords_per_minute: int = Field(
        10, ge=0, description="How many times a link to a new password may be asked for from one address."
    )
    uploads_per_minute: int = Field(600, ge=0, description="The same for files sent, and parts of files.")
    subscriptions_per_hour: int = Field(
        30,
        ge=0,
        description="How many times a system may make, change or remove a Subscription (FHIR) in an hour; 0 for no limit.",
    )
    decodes_per_minute: int = Field(
        600,
        ge=0,
        description="The same for calls by which an operator's Temporal UI has opened what the engine keeps sealed.",
    )
    streams_per_minute: int = Field(
        300, ge=0, description="The same for beginning to listen to what is new, as each page does."
    )
    streams_at_once: int = Field(
        60, ge=0, description="How many pages of one person an API process keeps told of what is new; 0 for no limit."
    )
    idle_minutes: int = Field(
        30,
        ge=0,
        le=24 * 60,
        description="Minutes without a sign of anybody after which a browser's session ends and its pages lock; 0 for never.",
    )
    token_hours: int = Field(12, ge=1, description="Hours that a bearer token lives, and a browser's session at most.")

    sign_on_file: Path | None = Field(
        None,
        description="File (YAML) of the providers through which people sign in (OpenID Connect), and of the record systems that "
        "open Relais (SMART App Launch); see operations.md. None when empty.",
    )
    sign_ons_per_minute: int = Field(
        60,
        ge=0,
        description="How many sign-ins through providers may be begun from one address; of ends of sessions, providers tell ten "
        "times as many.",
    )
    launches_per_minute: int = Field(
        120,
        ge=0,
        description="How many launches by record systems may be begun: by one person who is signed in, and from one address by "
        "all who are not.",
    )

    # webhooks
    webhook_ports: frozenset[int] = Field(
        frozenset(),
        description="Ports besides 443 to which webhooks may go, as a JSON list.",
    )
    webhooks_to_this_machine: bool = Field(
        False, description="Lets webhooks go to this very machine, without TLS: to try things out, never in production."
    )

    # the engine
    task_queue: str = Field("relais", description="Temporal task queue of workflows and quick activities.")
    mail_task_queue: str = Field("relais-mail", description="Temporal task queue of e-mails.")
    mails_per_second: float = Field(
        100.0, gt=0, description="Most e-mails that a worker process hands over per second, as your relay allows."
    )
    documents_at_once: int | None = Field(
        None,
        ge=1,
        description="How many reports a worker draws and signs at once; one less than the machine has processors when empty.",
    )
    command_timeout_seconds: float = Field(
        3.0, gt=0, description="How long the API waits for the workflow before it queues a command and answers 202."
    )
    projection_timeout_seconds: float = Field(
        5.0, gt=0, description="How long the API waits for the records to show a command that was taken."
    )
    document_timeout_seconds: float = Field(
        15.0, gt=0, description="How long the API waits for the document of what was signed before it answers 202."
    )

    # for those who keep it running
    worker_life_file: Path | None = Field(
        None, description="File that the worker renews as a sign of life; see `relais worker-health`."
    )
    temporal_ui_url: str = Field(
        "", description="Address of the Temporal UI as operators reach it, for links; its pages may ask the codec."
    )
    least_free_mb: int = Field(
        256,
        ge=0,
        description="Less room than this (in MiB) where files are kept, and /readyz says that the disk is full.",
    )

    # mail
    smtp_host: str = Field("127.0.0.1", description="SMTP relay.")
    smtp_port: int = Field(25, ge=1, le=65535, description="Port of the relay.")
    smtp_username: str | None = Field(None, description="User name at the relay; nobody logs in when empty.")
    smtp_password: SecretStr | None = Field(None, description="Password at the relay.")
    smtp_security: Literal["none", "starttls", "tls"] = Field(
        "starttls", description="How the connection to the relay is protected: none, starttls or tls."
    )
    smtp_timeout_seconds: float = Field(
        300.0, gt=0, description="How long each answer of the relay may take (RFC 5321)."
    )
    smtp_final_timeout_seconds: float = Field(
        600.0, gt=0, description="The same for the answer to a whole e-mail: who leaves sooner sends it twice."
    )
    mail_from: str = Field("Relais <ne-pas-repondre@relais.invalid>", description="Sender of every e-mail.")
    mail_retry_max_seconds: float = Field(60.0, gt=0, description="Longest pause between two tries of an e-mail.")
    mail_gives_up_after_hours: float = Field(
        72.0, gt=0, description="An e-mail that no relay took for so long is given up and listed as undeliverable."
    )
    mail_gather_seconds: float = Field(
        90.0, ge=0, description="How long an e-mail waits for further changes of its request, to tell them together."
    )

    # the support block, on every page and e-mail
    support_phone: str = Field("", description="Telephone number of the support.")
    support_email: str = Field("", description="E-mail address of the support.")
    support_hours_fr: str = Field("", description="When the support answers, in French.")
    support_hours_en: str = Field("", description="The same in English.")

    # logs
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="The least important line that is written: DEBUG, INFO, WARNING or ERROR."
    )
    log_format: Literal["json", "console"] = Field(
        "json", description="json: an object a line, for programs; console: lines for people."
    )

    @field_validator("mail_from", "support_email")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        """What mail is sent from, and what people write to, must be an address: found out at the start, not at each e-mail."""
        if value:
            checked_address(parseaddr(value)[1], reachable=False)
        return value

    @field_validator("clamd_url")
    @classmethod
    def _has_a_port(cls, value: str | None) -> str | None:
        """The port of a scanner is one: found out at the start, not at each file. `port` raises ValueError beyond the last."""
        if value is not None and value.startswith("tcp:") and not urlsplit(value).port:
            raise ValueError("a port from 1 to 65535 is expected")
        return value

    @property
    def media_task_queue(self) -> str:
        """Temporal task queue of work on videos, which takes minutes of a processor."""
        return f"{self.task_queue}-media"

    @property
    def over_tls(self) -> bool:
        """Whether people reach Relais over TLS."""
        return self.public_url.startswith("https:")

    @property
    def authority_path(self) -> Path:
        """Folder of the signing authority."""
        return self.authority_dir or self.data_dir / "authority"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, RunningSystem(settings_cls, env_settings)


class RunningSystem(PydanticBaseSettingsSource):
    """What ``relais up`` wrote about the engines that it started: ``runtime.json`` in the data folder, section `settings`."""

    def __init__(self, settings_cls: type[BaseSettings], environment: PydanticBaseSettingsSource) -> None:
        super().__init__(settings_cls)
        self._environment = environment

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        raise NotImplementedError  # the whole mapping is given at once by __call__

    def __call__(self) -> dict[str, Any]:
        data_dir = Path(self._environment().get("data_dir", Settings.model_fields["data_dir"].default))
        try:
            runtime = json.loads((data_dir / "runtime.json").read_text())
        except (FileNotFoundError, NotADirectoryError):
            return {}
        return dict(runtime["settings"])


@cache
def get_settings() -> Settings:
    """The settings of this process, read once. Raises SettingsError, naming the first that can't be used."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        raise SettingsError(f"The setting RELAIS_{name} can't be used ({first['msg']}): correct it.") from None
