"""A record system that opens Relais for who works with it, with a patient (SMART App Launch 2, EHR launch).

Relais is its confidential client. Source: HL7 smart-app-launch 2.2, app-launch and client-confidential-asymmetric.
"""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import ceil
from typing import Any

from sign_on.connection import Answer, Secrets, Server, with_query
from sign_on.id_tokens import Identity, check_is_recent
from sign_on.providers import RecordSystem
from sign_on.refused import AwayError, RefusedError
from sign_on.walled import WalledCalls

NO_PATIENT = "no_patient"
"""Why a launch is refused in which no patient was open."""

_WHO = ("openid", "fhirUser", "profile", "email")
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_BEARER = re.compile(r"[A-Za-z0-9._~+/-]{1,20000}=*")


@dataclass(frozen=True)
class Launched:
    """Who has opened Relais, and the Patient (FHIR) that was open there."""

    identity: Identity
    patient: Mapping[str, Any] = field(repr=False)


class RecordConnection(Server[RecordSystem]):
    """One record system as this process knows it. Its tokens are used here, once, and not given on."""

    def __init__(
        self,
        system: RecordSystem,
        calls: WalledCalls,
        *,
        near: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(system, calls, near=near, clock=clock)
        self._reads = calls

    async def address_to_launch(self, own: Secrets, redirect: str, launch: str) -> str:
        """Where the browser goes on, with what the record system has called this launch. Raises AwayError."""
        asked = {**self._asked(own, redirect), "aud": self.provider.fhir, "launch": launch}
        return with_query(await self._endpoint("authorization_endpoint"), asked)

    async def address_to_link(self, own: Secrets, redirect: str) -> str:
        """Where the browser goes to sign in there anew, also when somebody is signed in there; no patient is asked for.

        Raises AwayError.
        """
        who = " ".join(scope for scope in self.provider.scopes if scope in _WHO)
        asked = {
            **self._asked(own, redirect),
            "aud": self.provider.fhir,
            "scope": who,
            "prompt": "login",
            "max_age": "0",
        }
        return with_query(await self._endpoint("authorization_endpoint"), asked)

    async def identity_anew(self, answer: Answer, own: Secrets, redirect: str, since: datetime) -> Identity:
        """Who has signed in there `since` then, by the answer to what was asked with these secrets.

        Raises RefusedError, also where it does not say when, or AwayError.
        """
        identity, now = (await self._given(answer, own, redirect))[0], datetime.now(UTC)
        check_is_recent(identity, ceil((now - since).total_seconds()), now)
        return identity

    async def launched_by(self, answer: Answer, own: Secrets, redirect: str) -> Launched:
        """Who has opened it, and the patient, by the answer to what was asked with these secrets.

        Raises RefusedError or AwayError.
        """
        identity, found = await self._given(answer, own, redirect)
        token, kind, patient = (found.get(name) for name in ("access_token", "token_type", "patient"))
        if not isinstance(token, str) or not _BEARER.fullmatch(token) or str(kind).casefold() != "bearer":
            raise RefusedError("no_access_token")
        if patient is None:
            raise RefusedError(NO_PATIENT)
        if not isinstance(patient, str) or not _ID.fullmatch(patient):
            raise RefusedError("patient_is_no_id")
        return Launched(identity, await self._patient(patient, token))

    async def _patient(self, id_: str, token: str) -> Mapping[str, Any]:
        status, found = await self._reads.read(f"{self.provider.fhir.rstrip('/')}/Patient/{id_}", token)
        if status in (401, 403, 404, 410):
            raise RefusedError(f"patient_{status}")
        if status != 200:
            raise AwayError(f"patient_{status}")
        if (found.get("resourceType"), found.get("id")) != ("Patient", id_):
            raise RefusedError("another_patient")
        return found

    async def _discovered(self) -> dict[str, Any]:
        """What it says of itself (smart-configuration). Its keys, where that does not say it, by OpenID Connect Discovery."""
        found = await self._calls.get(f"{self.provider.fhir.rstrip('/')}/.well-known/smart-configuration")
        methods = found.get("code_challenge_methods_supported")
        if not isinstance(methods, list) or "S256" not in methods:
            raise AwayError("no_s256")
        if found.get("issuer", self.provider.issuer) != self.provider.issuer:
            raise AwayError("issuer_of_discovery")
        return found if found.get("jwks_uri") else {**found, "jwks_uri": (await self._openid()).get("jwks_uri")}
