"""A record system that opens Relais: npm's ``oidc-provider`` with SMART's launch context and a FHIR server, on the loopback."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from joserfc.jwk import ECKey, RSAKey

from tests.npm import install
from tests.sign_on.certified import CLIENT, FOLDER

CHARTS = "urn:oid:2.16.840.1.113883.3.4711"

PATIENTS: Mapping[str, Any] = {
    "p-1": {
        "identifier": [{"system": CHARTS, "value": "CH-4711"}, {"value": "TREJ 5853 1412"}],
        "name": [{"use": "official", "family": "Tremblay", "given": ["Jeanne"]}],
        "gender": "female",
        "birthDate": "1958-03-14",
    },
    "p-2": {"name": [{"text": "Roger Doe"}], "birthDate": "1799", "deceasedBoolean": True},
}


@asynccontextmanager
async def record_system(relais: str, key: RSAKey | ECKey) -> AsyncIterator[str]:
    """The issuer's address. It knows the Relais at that address as a client that has that key."""
    await asyncio.to_thread(install, FOLDER)
    algorithm = "ES384" if isinstance(key, ECKey) else "RS384"
    client = {
        "client_id": CLIENT,
        "redirect_uris": [f"{relais}/launch/records/return"],
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_signing_alg": algorithm,
        "jwks": {"keys": [{**key.as_dict(private=False), "kid": "launch", "alg": algorithm, "use": "sig"}]},
        "scope": "openid fhirUser launch patient/Patient.rs",
    }
    said = json.dumps({"client": client, "relais": relais, "patients": PATIENTS})
    process = await asyncio.create_subprocess_exec(
        "node", "record_system.mjs", said, cwd=FOLDER, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    assert process.stdout is not None
    try:
        issuer = (await process.stdout.readline()).decode().strip()
        assert issuer, "the record system did not start"
        yield issuer
    finally:
        process.kill()
        await process.wait()


def written(folder: Path, issuer: str, key: RSAKey | ECKey, *clinics: str) -> Path:
    """The file that names it, as somebody who runs Relais writes it."""
    (folder / "launch-key.pem").write_bytes(key.as_pem(private=True))
    file = folder / "sign-on.yaml"
    file.write_text(
        f"""
record_systems:
  - code: records
    fhir: {issuer}/fhir
    issuer: {issuer}
    client_id: {CLIENT}
    private_key_file: launch-key.pem
    private_key_id: launch
    chart_number_system: {CHARTS}
    label: {{fr: DME du Fleuve, en: River Records}}
    clinics: [{", ".join(clinics)}]
"""
    )
    return file
