"""Tiles of photos and videos on a request's page, and the page of each, as a browser without scripts gets them."""

import re
from datetime import UTC, datetime
from html import unescape
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI
from sqlalchemy import update

from records.models import Attachment, MediaState
from tests.journeys import accepted, draft, ok
from tests.portal.browsing import shown, visitor
from tests.system import System

TAKEN = datetime(2026, 11, 20, 18, 5, tzinfo=UTC)


async def note(system: System, attachment_id: str, **values: Any) -> None:
    """Write into the records what the uploads of these tests don't bring with them."""
    async with system.services.database.session() as session:
        await session.execute(update(Attachment).where(Attachment.id == UUID(attachment_id)).values(**values))


async def a_video_of(system: System, attachment_id: str, state: MediaState, seconds: float | None = None) -> None:
    await note(system, attachment_id, kind="video", media_type="video/mp4", state=state, duration_seconds=seconds)


@pytest.fixture(scope="module")
async def request_id(system: System) -> str:
    """A request that `provider` has accepted, with three photos."""
    return await accepted(system)


@pytest.fixture(scope="module")
async def ids(system: System, request_id: str) -> list[str]:
    return [str(a["id"]) for a in (await system.provider.view(request_id))["attachments"]]


def page_of(request_id: str, attachment_id: str) -> str:
    return f"/requests/{request_id}/media/{attachment_id}"


def links(html: str) -> list[str]:
    return [unescape(address) for address in re.findall(r'href="([^"]*)"', html)]


async def test_a_tile_says_what_it_is(portal_app: FastAPI, system: System, request_id: str, ids: list[str]) -> None:
    await note(system, ids[1], captured_at=TAKEN, warnings=["blurred", "too_small"])
    async with visitor(portal_app, system.provider) as http:
        answer = await http.get(f"/requests/{request_id}")
    text = shown(answer)
    for number, id_ in enumerate(ids, 1):
        source = f"/api/v1/requests/{request_id}/attachments/{id_}"
        assert f'<img src="{source}/thumbnail" alt="Photos, photo {number} de 3" loading="lazy"' in answer.text
        assert page_of(request_id, id_) in links(answer.text)
    assert re.search(r"Floue\s+Petite\s+Prise : 20 nov", text)
    assert "style=" not in answer.text


async def test_the_page_of_a_photo(portal_app: FastAPI, system: System, request_id: str, ids: list[str]) -> None:
    await note(system, ids[1], captured_at=TAKEN, warnings=["blurred"])
    source = f"/api/v1/requests/{request_id}/attachments/{ids[1]}"
    async with visitor(portal_app, system.provider) as http:
        answer = await http.get(page_of(request_id, ids[1]))
    text = shown(answer)
    assert "<h1>Photos, photo 2 de 3</h1>" in answer.text
    assert f'src="{source}/preview"' in answer.text
    for fact in ("20 novembre 2026 à 13 h 05", "photo.jpg", "321 × 240", "Floue : les détails", "2 de 3"):
        assert fact in text
    assert {f"{source}/full", source, f"/requests/{request_id}"} <= set(links(answer.text))
    assert f'rel="prev" href="{page_of(request_id, ids[0])}"' in answer.text
    assert f'rel="next" href="{page_of(request_id, ids[2])}"' in answer.text


async def test_the_first_and_the_last(portal_app: FastAPI, system: System, request_id: str, ids: list[str]) -> None:
    async with visitor(portal_app, system.provider) as http:
        first = (await http.get(page_of(request_id, ids[0]))).text
        last = (await http.get(page_of(request_id, ids[-1]))).text
    assert ('rel="prev"' in first, 'rel="next"' in first) == (False, True)
    assert ('rel="prev"' in last, 'rel="next"' in last) == (True, False)


async def test_who_sent_it_gets_the_original(
    portal_app: FastAPI, system: System, request_id: str, ids: list[str]
) -> None:
    async with visitor(portal_app, system.requester) as http:
        assert "Télécharger l’original" in shown(await http.get(page_of(request_id, ids[0])))
    async with visitor(portal_app, system.provider) as http:
        text = shown(await http.get(page_of(request_id, ids[0])))
    assert "Télécharger l’original" not in text
    assert "Une copie sans la position" in text


async def test_a_page_in_english(portal_app: FastAPI, system: System, request_id: str, ids: list[str]) -> None:
    ok(await system.provider.http.patch("/api/v1/me", json={"language": "en"}))
    try:
        async with visitor(portal_app, system.provider) as http:
            text = shown(await http.get(page_of(request_id, ids[2])))
            tiles = (await http.get(f"/requests/{request_id}")).text
    finally:
        ok(await system.provider.http.patch("/api/v1/me", json={"language": "fr"}))
    assert "Photos, photo 3 of 3" in text
    assert "Size in pixels" in text
    assert 'data-text-position="{number} of {count}"' in tiles


async def test_a_video_that_plays(portal_app: FastAPI, system: System) -> None:
    request_id = await draft(system)
    first = (await system.requester.view(request_id))["attachments"][0]["id"]
    await a_video_of(system, first, MediaState.READY, 65.2)
    source = f"/api/v1/requests/{request_id}/attachments/{first}"
    async with visitor(portal_app, system.requester) as http:
        page = (await http.get(page_of(request_id, first))).text
        tiles = await http.get(f"/requests/{request_id}")
    assert re.search(rf'<video controls preload="metadata" [^>]*src="{source}/video" poster="{source}/preview"', page)
    assert "data-live" not in page
    assert "1:05" in shown(tiles)
    assert "Photos, vidéo 1 de 1" in tiles.text
    assert "Photos, photo 2 de 2" in tiles.text


async def test_a_video_that_is_not_ready(portal_app: FastAPI, system: System) -> None:
    request_id = await draft(system)
    first = (await system.requester.view(request_id))["attachments"][0]["id"]
    await a_video_of(system, first, MediaState.PREPARING)
    async with visitor(portal_app, system.requester) as http:
        page = await http.get(page_of(request_id, first))
        assert "Cette vidéo est en préparation" in shown(page)
        assert f'data-live="/events?request={request_id}"' in page.text
        assert 'hx-trigger="relais:changed from:body"' in page.text
        assert "<video" not in page.text
        assert "En préparation" in shown(await http.get(f"/requests/{request_id}"))


async def test_a_video_that_cannot_be_played(portal_app: FastAPI, system: System) -> None:
    request_id = await accepted(system)
    first = (await system.requester.view(request_id))["attachments"][0]["id"]
    await a_video_of(system, first, MediaState.FAILED)
    source = f"/api/v1/requests/{request_id}/attachments/{first}"
    async with visitor(portal_app, system.requester) as http:
        page = await http.get(page_of(request_id, first))
        assert "n’a pas pu être préparée" in shown(page)
        assert source in links(page.text)
    async with visitor(portal_app, system.provider) as http:
        page = await http.get(page_of(request_id, first))
        assert "Demandez-en une autre à la personne qui a fait la demande" in shown(page)
        assert source not in links(page.text)
        assert "Lecture impossible" in shown(await http.get(f"/requests/{request_id}"))


async def test_who_may_not_look(portal_app: FastAPI, system: System, request_id: str, ids: list[str]) -> None:
    address = page_of(request_id, ids[0])
    for name, status in {"far_provider": 404, "requester2": 404, "operator": 403}.items():
        async with visitor(portal_app, system.people[name]) as http:
            answer = await http.get(address)
            assert (name, answer.status_code) == (name, status)
            assert ids[0] not in answer.text
    async with visitor(portal_app) as http:
        answer = await http.get(address)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/signin?next={address}")


async def test_what_is_not_there(portal_app: FastAPI, system: System, request_id: str, ids: list[str]) -> None:
    other = await draft(system)
    async with visitor(portal_app, system.requester) as http:
        assert (await http.get(page_of(request_id, str(uuid4())))).status_code == 404
        assert (await http.get(page_of(other, ids[0]))).status_code == 404
        assert (await http.get(page_of(request_id, "1"))).status_code == 404


async def test_the_look_is_written_down(portal_app: FastAPI, system: System) -> None:
    request_id = await accepted(system)
    attachment_id = (await system.provider.view(request_id))["attachments"][0]["id"]
    before = len((await system.requester.get(f"/requests/{request_id}/accesses")).json())
    async with visitor(portal_app, system.provider) as http:
        shown(await http.get(page_of(request_id, attachment_id)))
    after = (await system.requester.get(f"/requests/{request_id}/accesses")).json()
    assert len(after) > before
    assert after[0]["by"]["id"] == system.provider.id


async def test_captions_and_places_without_scripts(portal_app: FastAPI, system: System) -> None:
    request_id = await draft(system)
    one, two, three = [str(a["id"]) for a in (await system.requester.view(request_id))["attachments"]]
    back = f"/requests/{request_id}/edit#slot-photos"
    path = f"/requests/{request_id}/attachments"
    async with visitor(portal_app, system.requester) as http:
        page = await http.get(f"/requests/{request_id}/edit")
        assert page.text.count(f'action="{path}/') == 6
        assert re.search(f'id="before-{one}" disabled', page.text)
        assert re.search(f'id="after-{three}" disabled', page.text)
        answer = await http.post(
            f"{path}/{three}/change", data={"step": "before", "caption": "Dos", "view": "close_up", "next": back}
        )
        assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (
            303,
            f"/requests/{request_id}/edit",
        )
        await http.post(f"{path}/{one}/change", data={"step": "before", "next": back})
        view = await system.requester.view(request_id)
        assert [(a["id"], a["caption"]) for a in view["attachments"]] == [(one, ""), (three, "Dos"), (two, "")]
        refused = await http.post(f"{path}/{one}/change", data={"caption": "x" * 201, "next": back})
        assert refused.status_code == 422
        assert "200" in shown(refused, 422)
        assert (await http.post(f"{path}/{uuid4()}/change", data={"step": "after", "next": back})).status_code == 422
        page = await http.get(f"/requests/{request_id}/edit")
    assert 'alt="Photos, photo 2 de 3 – Vue rapprochée – Dos"' in page.text
