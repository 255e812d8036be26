"""Which outside service stamps the time on signatures (RFC 3161), as the settings name it; `documents.time_stamps` asks it."""

import base64
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import Base64Bytes, TypeAdapter

from domain.model import DISCREET
from outgoing.destinations import ForbiddenError, Walls, destination_of
from settings import Settings, SettingsError


@dataclass(frozen=True)
class StampService:
    """A time-stamping service: where it is, how it knows who asks, and the certificates (DER) that vouch for its stamps.

    `near` lets it be on this very machine.
    """

    url: str
    certificates: tuple[Base64Bytes, ...] = field(repr=False)
    seconds: float = 15.0
    user: str | None = None
    password: str = field(default="", repr=False)
    near: bool = False

    @property
    def walls(self) -> Walls:
        """Its own port is allowed: an operator named it."""
        port = urlsplit(self.url).port
        return Walls(frozenset() if port is None else frozenset({port}), near=self.near)

    @property
    def headers(self) -> dict[str, str]:
        """Of each call."""
        told = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}
        if self.user is not None:
            told["Authorization"] = f"Basic {base64.b64encode(f'{self.user}:{self.password}'.encode()).decode()}"
        return told


_JSON: TypeAdapter[StampService | None] = TypeAdapter(StampService | None, config=DISCREET)


def service_told(service: StampService | None) -> str:
    """The service, with the password: for a socket, never for a disk."""
    return _JSON.dump_json(service).decode()


def service_heard(text: str) -> StampService | None:
    """What was told."""
    return _JSON.validate_json(text)


def stamp_service(settings: Settings) -> StampService | None:
    """The service that the settings name; None where the authority stamps by itself. Raises SettingsError."""
    if settings.time_stamps_url is None:
        return None
    if settings.time_stamps_certificates is None:
        raise SettingsError("RELAIS_TIME_STAMPS_CERTIFICATES is not set: name the file of who vouches for the stamps")
    service = StampService(
        url=settings.time_stamps_url,
        certificates=_certificates(settings.time_stamps_certificates),
        seconds=settings.time_stamps_timeout_seconds,
        user=settings.time_stamps_user,
        password=settings.time_stamps_password.get_secret_value() if settings.time_stamps_password else "",
        near=settings.time_stamps_from_this_machine,
    )
    try:
        destination_of(service.url, service.walls)
    except (ForbiddenError, ValueError) as error:
        raise SettingsError(
            f"RELAIS_TIME_STAMPS_URL can't be used ({error}): it must be a public https address"
        ) from None
    return service


def _certificates(file: Path) -> tuple[bytes, ...]:
    try:
        found = x509.load_pem_x509_certificates(file.read_bytes())
    except (OSError, ValueError) as error:
        raise SettingsError(f"RELAIS_TIME_STAMPS_CERTIFICATES can't be read ({type(error).__name__})") from None
    return tuple(one.public_bytes(Encoding.DER) for one in found)
