"""The demonstration's requests, made through the API as people do: one for every status and every service offering.

What they say stands in ``demonstration_data/requests.yaml``. Fixed Idempotency-Keys make a start that was interrupted go on where
it was; ``demo-requests.json`` in the data folder says which requests are there already.
"""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import httpx
import yaml
from pydantic import ConfigDict, TypeAdapter

from domain.model import DISCREET, Discreet
from embedded.cast import Cast, open_cast, problem
from embedded.demo_accounts import DATA
from embedded.drawn_photos import draw_three
from embedded.errors import StartError
from embedded.files import write_privately
from embedded.runtime import read_runtime
from settings import get_settings

PHOTOS = Path(__file__).resolve().parent / "photos"
EYE = ("left-eye-overview.jpg", "left-eye-macula.jpg", "left-eye-optic-disc.jpg")
TAKEN_AT = datetime(2026, 9, 14, 10, 30, tzinfo=UTC)
"""The same for all, so that a picture that is sent again is the same picture."""

AT_ONCE = 3


class StoryStep(Discreet):
    """One thing that somebody does; what is said with it are the extra fields."""

    model_config = ConfigDict(frozen=True, extra="allow")

    by: str
    do: str

    @property
    def said(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class Story(Discreet):
    """One demonstration request. `clinic` is the code of the clinic that it is sent to; the requester's own if empty."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    offering: str
    by: str
    clinic: str | None = None
    priority: str = "routine"
    patient: dict[str, str]
    answers: dict[str, Any]
    pictures: Literal["mole", "rash", "wound", "eye"]
    how_many: int = 3
    steps: tuple[StoryStep, ...]


_STORIES = TypeAdapter(tuple[Story, ...], config=DISCREET)


async def seed_requests() -> None:
    """Makes the demonstration requests that are not there yet. Raises StartError with the first step that went wrong."""
    settings = get_settings()
    done = settings.data_dir / "demo-requests.json"
    made: dict[str, str] = json.loads(done.read_text()) if done.exists() else {}
    missing = [story for story in await asyncio.to_thread(_read_stories) if story.key not in made]
    if not missing:
        return
    runtime = read_runtime(settings.data_dir)
    address = runtime.address_of("api") if runtime else settings.public_url
    turn = asyncio.Semaphore(AT_ONCE)

    async def make(cast: Cast, story: Story) -> None:
        async with turn:
            made[story.key] = await _make(cast, story)

    try:
        async with open_cast(settings.data_dir, address) as cast, asyncio.TaskGroup() as together:
            for story in missing:
                together.create_task(make(cast, story))
    except* StartError as errors:
        raise errors.exceptions[0] from None
    except* httpx.TransportError as errors:
        raise StartError(f"The API does not answer ({type(errors.exceptions[0]).__name__}).") from None
    await asyncio.to_thread(write_privately, done, json.dumps(made, indent=2) + "\n")


async def _make(cast: Cast, story: Story) -> str:
    """Plays one story, and gives the number of its request."""

    def expect(answer: httpx.Response, what: str, *statuses: int) -> dict[str, Any]:
        if answer.status_code not in statuses:
            raise StartError(f"The demonstration request {story.key} stopped at “{what}”: {problem(answer)}.")
        return dict(answer.json())

    draft = {
        "offering": story.offering,
        "clinic": str(cast.clinic_id(story.clinic)) if story.clinic else None,
        "priority": story.priority,
        "patient": story.patient,
        "answers": story.answers,
    }
    created = await cast.send(story.by, "POST", "/requests", json=draft, key=f"demonstration-{story.key}")
    request = expect(created, "draft", 201)
    if request["status"] == "draft":
        for position, (name, picture) in enumerate(await asyncio.to_thread(_pictures, story)):
            uploaded = await cast.attach(
                story.by, request["id"], name, picture, key=f"demonstration-{story.key}-picture-{position}"
            )
            expect(uploaded, name, 201)
    for position, step in enumerate(story.steps):
        if step.do == "report":
            saved = await cast.send(step.by, "PUT", f"/requests/{request['id']}/report", json=step.said)
            expect(saved, step.do, 200, 409)  # 409: an interrupted start had gone further than this
        else:
            key = f"demonstration-{story.key}-{position}"
            expect(await cast.command(step.by, request["id"], step.do, step.said, key=key), step.do, 200)
    return str(request["number"])


def _read_stories() -> tuple[Story, ...]:
    return _STORIES.validate_python(yaml.safe_load((DATA / "requests.yaml").read_text()))


def _pictures(story: Story) -> list[tuple[str, bytes]]:
    if story.pictures == "eye":
        pictures = [(name, (PHOTOS / name).read_bytes()) for name in EYE]
    else:
        drawn = draw_three(story.pictures, story.key, TAKEN_AT)
        names = ("vue-ensemble.jpg", "vue-rapprochee.jpg", "autre-angle.jpg")
        pictures = list(zip(names, drawn, strict=True))
    return pictures[: story.how_many]
