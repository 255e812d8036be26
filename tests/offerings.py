"""An offering of a test's own, and the API over the same records after that offering's file was changed."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import httpx

from server import create_app
from tests.system import Clinician, System
from use_cases.offering_files import load_offerings, put_in_force

BURNS = """\
code: {code}
version: 1
title: {{ fr: "Brûlures", en: "Burns" }}
description: {{ fr: "Avis sur une brûlure.", en: "Advice about a burn." }}
dispatch: manual
form:
  - name: question
    label: {{ fr: "Question", en: "Question" }}
    kind: long_text
    required: true
  - name: allergies
    label: {{ fr: "Allergies connues", en: "Known allergies" }}
    kind: text
  - name: depth
    label: {{ fr: "Profondeur", en: "Depth" }}
    kind: choice
    options:
      - {{ value: first, label: {{ fr: "Premier degré", en: "First degree" }} }}
      - {{ value: second, label: {{ fr: "Deuxième degré", en: "Second degree" }} }}
  - name: dose
    label: {{ fr: "Dose de morphine", en: "Morphine dose" }}
    kind: number
    unit: {{ fr: "mg", en: "mg" }}
attachments:
  - name: photos
    label: {{ fr: "Photos de la brûlure", en: "Photos of the burn" }}
    maximum: 5
report:
  - name: findings
    label: {{ fr: "Observations", en: "Findings" }}
    kind: long_text
    required: true
"""


@dataclass
class OfferingFile:
    """The file of one offering, alone in a folder."""

    folder: Path
    code: str

    @property
    def path(self) -> Path:
        return self.folder / f"{self.code}.yaml"

    def change(self, *changes: tuple[str, str]) -> None:
        """Replace texts in the file, each of which must be there."""
        text = self.path.read_text()
        for before, after in changes:
            assert before in text, before
            text = text.replace(before, after)
        self.path.write_text(text)


def offering_file(folder: Path) -> OfferingFile:
    """A new offering that nobody else has."""
    file = OfferingFile(folder, f"burns-{secrets.token_hex(4)}")
    file.path.write_text(BURNS.format(code=file.code))
    return file


@asynccontextmanager
async def started(system: System, folder: Path) -> AsyncIterator[System]:
    """The system with an API (and portal) that was started with the offerings of that folder."""
    offerings = load_offerings(folder)
    async with system.services.database.session() as session:
        await put_in_force(session, folder, offerings, datetime.now(UTC))
    services = replace(system.services, offerings=offerings)
    app = create_app(system.settings, replace(system.of_api, offerings=offerings))
    people = {
        name: Clinician(
            person.account,
            httpx.AsyncClient(
                transport=httpx.ASGITransport(app), base_url="http://relais.test", headers=person.http.headers
            ),
        )
        for name, person in system.people.items()
    }
    try:
        yield replace(system, services=services, app=app, people=people)
    finally:
        for person in people.values():
            await person.http.aclose()
