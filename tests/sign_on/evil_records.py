"""A record system of the tests' own on the loopback: it opens Relais, says who it is and which patient, truly or not."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from server import create_app
from sign_on.providers import Providers, RecordSystem
from sign_on.sign_on import SignOn
from tests.eventually import eventually
from tests.sign_on.evil import CLIENT, EvilProvider
from tests.system import System

CHARTS = "https://charts.test/numbers"

JEANNE: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p-1",
    "extension": [{"url": "https://elsewhere.test/unknown", "valueString": "whatever"}],
    "identifier": [
        {"system": CHARTS, "value": "OLD-1", "use": "old"},
        {"system": CHARTS, "value": "CH-4711"},
        {
            "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "JHN"}]},
            "system": "https://fhir.infoway-inforoute.ca/NamingSystem/ca-qc-patient-healthcare-id",
            "value": "TREJ 5853 1512",
        },
        {"type": {"text": "no number"}},
    ],
    "name": [
        {"use": "maiden", "family": "Gagnon", "given": ["Jeanne"]},
        {"use": "official", "family": "Tremblay", "given": ["Jeanne", "Marie"]},
    ],
    "gender": "female",
    "birthDate": "1958-03-15",
}


@dataclass
class EvilRecords(EvilProvider):
    """`patient` is what its FHIR server answers to who asks for one."""

    patient: Callable[[Request], Awaitable[Response]] | dict[str, Any] = field(default_factory=lambda: dict(JEANNE))
    smart: dict[str, Any] = field(default_factory=dict)
    """What its smart-configuration says besides, or instead."""

    @property
    def fhir(self) -> str:
        """The address by which it names itself."""
        return f"{self.issuer}/fhir"

    def app(self) -> FastAPI:
        """What it answers."""
        app = super().app()

        @app.get("/fhir/.well-known/smart-configuration")
        async def smart() -> dict[str, Any]:
            self.asked.append("smart")
            return {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/auth",
                "token_endpoint": f"{self.issuer}/token",
                "code_challenge_methods_supported": ["S256"],
                "capabilities": ["launch-ehr", "sso-openid-connect", "context-ehr-patient"],
                "authorization_response_iss_parameter_supported": True,
                **self.smart,
            }

        @app.get("/fhir/Patient/{id_}")
        async def patient(id_: str, request: Request) -> Response:
            self.asked.append(f"Patient/{id_} {request.headers.get('authorization')}")
            if isinstance(self.patient, dict):
                return JSONResponse(self.patient, media_type="application/fhir+json")
            return await self.patient(request)

        return app


@asynccontextmanager
async def evil_records(**more: Any) -> AsyncIterator[EvilRecords]:
    """One, while it is there; it tells the truth until it is told otherwise."""
    listening = socket.create_server(("127.0.0.1", 0))
    issuer = f"http://127.0.0.1:{listening.getsockname()[1]}"
    given = {"access_token": "a-token", "token_type": "Bearer", "patient": "p-1"}
    records = EvilRecords(issuer, given=given, **more)
    server = uvicorn.Server(uvicorn.Config(records.app(), lifespan="off", log_config=None, access_log=False))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        await eventually(lambda: server.started or serving.done())
        yield records
    finally:
        server.should_exit = server.force_exit = True
        await serving


def as_known_here(records: EvilRecords, secret_file: Path, *clinics: str, **more: Any) -> RecordSystem:
    """That record system in our file."""
    said = {
        "code": "records",
        "issuer": records.issuer,
        "fhir": records.fhir,
        "client_id": CLIENT,
        "client_secret_file": secret_file,
        "chart_number_system": CHARTS,
        "label": {"fr": "DME du Fleuve", "en": "River Records"},
        "clinics": clinics,
    }
    return RecordSystem.model_validate({**said, **more})


@asynccontextmanager
async def portal_beside(system: System, known: RecordSystem) -> AsyncIterator[FastAPI]:
    """A portal that this record system opens."""
    async with SignOn(Providers((), [known]), near=True) as sign_on:
        yield create_app(system.settings, replace(system.of_api, sign_on=sign_on))
