"""Holds resources against FHIR R4 by two programs of others (npm's medplum in `check.mjs`, fhirkit), and the codes of required
bindings besides.
"""

import asyncio
import json
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import fhirkit

from tests.npm import install

FOLDER = Path(__file__).parent


async def faults_of(resources: Sequence[dict[str, Any]]) -> list[list[dict[str, str]]]:
    """What is wrong with each. Skips the test where node or npm are missing."""
    install(FOLDER)
    command = ["node", str(FOLDER / "check.mjs")]
    sent = json.dumps(resources).encode()
    done = await asyncio.to_thread(subprocess.run, command, input=sent, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr[-2_000:].decode()
    found: list[list[dict[str, str]]] = json.loads(done.stdout)
    return [[*faults, *_second_opinion(one)] for one, faults in zip(resources, found, strict=True)]


def _second_opinion(resource: dict[str, Any]) -> Iterator[dict[str, str]]:
    for issue in fhirkit.validate(json.dumps(resource)):
        if issue.severity == "error":
            yield {"place": issue.path, "text": issue.message}
