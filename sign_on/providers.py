"""The providers through which people may sign in, and the record systems that open Relais; which clinics go by which.

All stand in one file, read at the start.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar
from urllib.parse import urlsplit

import yaml
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeyParameters, RSAKey
from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, ValidationError, model_validator

Algorithm = Literal["RS256", "PS256", "ES256"]
ALGORITHMS: tuple[Algorithm, ...] = ("RS256", "PS256", "ES256")
"""How tokens may be signed, whatever a provider says of itself: never with a shared secret, never not at all."""

_NEVER_INSIDE: tuple[IPv4Network | IPv6Network, ...] = (
    *map(IPv4Network, ("0.0.0.0/8", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16", "224.0.0.0/3")),
    *map(IPv6Network, ("::/127", "::ffff:0:0/96", "64:ff9b::/96", "fd00:ec2::254/128", "fe80::/10", "ff00::/8")),
)
"""No record system is there: this very machine, who is on the same cable, everybody at once; and ways around these."""

_LOOPBACK = ("127.0.0.1", "localhost", "::1")

_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]


class ProvidersError(Exception):
    """The file of providers can't be used; the text says where and why."""


class Rule(StrEnum):
    """Whether the people of a clinic may or must sign in through a provider."""

    OPTIONAL = "optional"
    REQUIRED = "required"


class _Said(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Label(_Said):
    """What stands on the button: the organization's name, as its people call it."""

    fr: _Text
    en: _Text


class StepUp(_Said):
    """What proves, for a signature, that the person is there now.

    `claim` is `acr`, or `acrs` (Entra), and must name one of `values`; without values only the time counts.
    `max_age_seconds` is how long ago they may have signed in at the provider.
    """

    claim: Literal["acr", "acrs"] = "acr"
    values: tuple[_Text, ...] = ()
    max_age_seconds: int = Field(60, ge=0, le=3_600)


class Client(_Said):
    """Relais as a client of one server that says who somebody is, and that server as Relais knows it.

    `subject` names the claim by which a person stays the same: `sub`, or `oid`, which Entra keeps over all applications and which
    counts within one of `tenants` only.
    """

    code: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
    issuer: _Text
    client_id: _Text
    client_secret_file: Path | None = None
    private_key_file: Path | None = None
    private_key_id: _Text | None = None
    scopes: tuple[_Text, ...] = ("openid", "profile", "email")
    subject: Literal["sub", "oid"] = "sub"
    tenants: tuple[_Text, ...] = ()
    algorithms: Annotated[tuple[Algorithm, ...], Field(min_length=1)] = ALGORITHMS
    label: Label

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.client_secret_file is None) == (self.private_key_file is None):
            raise ValueError("name either client_secret_file or private_key_file")
        if (self.subject == "oid") != bool(self.tenants):
            raise ValueError("tenants belong to the subject oid, which counts only within them")
        if "openid" not in self.scopes:
            raise ValueError("scopes must hold openid")
        return self

    @cached_property
    def client_secret(self) -> SecretStr | None:
        """The secret in its file."""
        return SecretStr(self.client_secret_file.read_text().strip()) if self.client_secret_file else None

    @cached_property
    def private_key(self) -> RSAKey | ECKey | None:
        """The key in its file (PEM)."""
        if self.private_key_file is None:
            return None
        parameters: KeyParameters = {"kid": self.private_key_id} if self.private_key_id else {}
        for kind in (RSAKey, ECKey):
            try:
                key = kind.import_key(self.private_key_file.read_bytes(), parameters)
            except (JoseError, ValueError):
                continue
            if key.is_private:
                return key
        raise ValueError(f"{self.private_key_file} holds no private RSA or EC key")

    @property
    def signs_with(self) -> str:
        """The algorithm by which Relais proves with its private key who it is."""
        return "ES256" if isinstance(self.private_key, ECKey) else "RS256"

    def is_for(self, clinic: str) -> bool:
        """Whether it is for the people of the clinic of that code."""
        raise NotImplementedError


class Provider(Client):
    """One provider. `sign_in_max_age_seconds` asks who signed in there longer ago to do so again."""

    clinics: Annotated[dict[_Text, Rule], Field(min_length=1)]
    step_up: StepUp | None = None
    sign_in_max_age_seconds: int | None = Field(None, ge=0)
    signs_out_there: bool = True

    def is_for(self, clinic: str) -> bool:
        """Whether the people of the clinic of that code may sign in through it."""
        return clinic in self.clinics


class RecordSystem(Client):
    """Software with the records of patients, which opens Relais for who works with it (SMART App Launch).

    `fhir` is the address of its FHIR server, by which it names itself when it opens Relais. `chart_number_system` is that of the
    identifiers that are numbers of charts there. `inside` are networks that are nobody's on the public Internet, in which it is.
    With `in_place_of_providers` it begins sessions also for people of clinics who otherwise come in through their provider only.
    """

    fhir: _Text
    scopes: tuple[_Text, ...] = ("openid", "fhirUser", "launch", "patient/Patient.rs")
    chart_number_system: _Text | None = None
    clinics: Annotated[tuple[_Text, ...], Field(min_length=1)]
    inside: tuple[IPv4Network | IPv6Network, ...] = ()
    in_place_of_providers: bool = False

    @model_validator(mode="after")
    def _launches(self) -> Self:
        if "launch" not in self.scopes:
            raise ValueError("scopes must hold launch")
        for network in self.inside:
            if any(network.overlaps(never) for never in _NEVER_INSIDE if never.version == network.version):
                raise ValueError(f"inside: {network} holds addresses of this machine, or of a cloud's own services")
        return self

    @property
    def signs_with(self) -> str:
        """SMART asks for these two. Raises ValueError for a key of another curve."""
        if not isinstance(self.private_key, ECKey):
            return "RS384"
        if self.private_key.curve_name != "P-384":
            raise ValueError(f"{self.private_key_file} must be an RSA key, or an EC key of the curve P-384")
        return "ES384"

    def is_for(self, clinic: str) -> bool:
        """Whether it opens Relais for the people of the clinic of that code."""
        return clinic in self.clinics


class _File(_Said):
    providers: tuple[Provider, ...] = ()
    record_systems: tuple[RecordSystem, ...] = ()


class Providers:
    """All of them, and the record systems."""

    def __init__(self, providers: Iterable[Provider] = (), record_systems: Iterable[RecordSystem] = ()) -> None:
        self.all: Mapping[str, Provider] = {provider.code: provider for provider in providers}
        self.record_systems: Mapping[str, RecordSystem] = {one.code: one for one in record_systems}

    def of_clinic(self, clinic: str) -> list[Provider]:
        """Those through which the people of the clinic of that code may sign in."""
        return [provider for provider in self.all.values() if provider.is_for(clinic)]

    def are_required_by(self, clinic: str) -> bool:
        """Whether the people of that clinic sign in through a provider only."""
        return any(provider.clinics[clinic] is Rule.REQUIRED for provider in self.of_clinic(clinic))


def load_providers(file: Path | None, *, near: bool = False) -> Providers:
    """The providers of a file (YAML); none without one. `near` allows issuers without TLS on this very machine.

    Raises ProvidersError.
    """
    if file is None:
        return Providers()
    try:
        read = _File.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
        providers = tuple(_beside(file, provider) for provider in read.providers)
        systems = tuple(_beside(file, system) for system in read.record_systems)
        for client in (*providers, *systems):
            check_address(client.issuer, near=near)
            _ = client.client_secret, client.private_key and client.signs_with
        for system in systems:
            check_address(system.fhir, near=near)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ProvidersError(f"{file}: {place}: {first['msg']}") from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ProvidersError(f"{file}: {error}") from error
    _must_differ(file, "code", [client.code for client in (*providers, *systems)])
    _must_differ(file, "issuer", [client.issuer.rstrip("/") for client in (*providers, *systems)])
    _must_differ(file, "fhir", [system.fhir.rstrip("/") for system in systems])
    return Providers(providers, systems)


def _must_differ(file: Path, name: str, said: Sequence[str]) -> None:
    if len(set(said)) < len(said):
        raise ProvidersError(f"{file}: two entries have the same {name}")


_ClientT = TypeVar("_ClientT", bound=Client)


def _beside(file: Path, client: _ClientT) -> _ClientT:
    """Files that it names without a folder lie beside the one that names them."""
    named = {name: getattr(client, name) for name in ("client_secret_file", "private_key_file")}
    return client.model_copy(update={name: file.parent / path for name, path in named.items() if path is not None})


def is_near(public_url: str) -> bool:
    """Whether Relais itself is reached on this very machine only, as in a demonstration: then a provider may be here, too."""
    parts = urlsplit(public_url)
    return parts.scheme == "http" and parts.hostname in _LOOPBACK


def check_address(address: str, *, near: bool) -> None:
    """Raise ValueError unless it is an https address; or one of this machine, where those are allowed."""
    parts = urlsplit(address)
    is_near = near and parts.scheme == "http" and parts.hostname in _LOOPBACK
    if not parts.hostname or parts.username or parts.fragment or not (parts.scheme == "https" or is_near):
        raise ValueError(f"{address} is no https address")
