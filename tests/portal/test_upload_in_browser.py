"""Sending photos from a real browser over a wire that is cut: the upload goes on by itself, and nothing typed is lost."""

import asyncio
import hashlib
import io
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.async_api import Dialog, Locator, Page, expect

from tests.journeys import ok
from tests.portal.browsing import Portal
from tests.portal.wire import Wire, wire_to
from tests.system import System, photo

PART = 4 * 1024**2
"""Bytes of one call of uploads.js."""
MIDDLE = 1_000_000


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo with so many details that it takes two parts."""
    made = io.BytesIO()
    Image.frombytes("RGB", (1_600, 1_200), os.urandom(1_600 * 1_200 * 3)).save(made, "JPEG", quality=95)
    path = tmp_path_factory.mktemp("photos") / "Épaule « 1 ».jpg"
    path.write_bytes(made.getvalue() + bytes(max(0, PART + MIDDLE - len(made.getvalue()))))
    return path


@asynccontextmanager
async def draft_over_a_wire(portal: Portal, system: System) -> AsyncIterator[tuple[Page, Wire, str]]:
    """The page of a new draft that is reached by a wire, the wire, and the request's id."""
    request_id = str(ok(await system.requester.post("/requests", {"offering": "teledermatology"}), 201)["id"])
    async with (
        wire_to(portal.address) as wire,
        Portal(wire.address, portal.browser).visit(system.requester) as page,
    ):
        await page.goto(f"/requests/{request_id}/edit")
        yield page, wire, request_id


async def choose(page: Page, *files: Path) -> None:
    await page.set_input_files("#slot-photos input[type=file]", list(files))


def line(page: Page, name: str) -> Locator:
    return page.locator(".upload-item", has_text=name)


def tiles(page: Page) -> Locator:
    return page.locator("#files-photos img")


async def there(system: System, request_id: str) -> list[dict[str, Any]]:
    return list((await system.requester.view(request_id))["attachments"])


async def arrived(system: System, request_id: str, file: Path) -> None:
    """The request has this file, once, and every byte of it."""
    [attachment] = [a for a in await there(system, request_id) if a["filename"] == file.name]
    content = (await system.requester.get(f"/requests/{request_id}/attachments/{attachment['id']}")).content
    sent = await asyncio.to_thread(file.read_bytes)
    assert hashlib.sha256(content).digest() == hashlib.sha256(sent).digest()


@pytest.mark.parametrize("taken", [MIDDLE, PART + MIDDLE // 2], ids=["first-part", "second-part"])
async def test_a_cut_in_the_middle_of_a_part(portal: Portal, system: System, large: Path, taken: int) -> None:
    async with draft_over_a_wire(portal, system) as (page, wire, request_id):
        await page.fill("[name='answers.question']", "Avant la coupure")
        wire.cut_after(taken)
        await choose(page, large)
        await wire.stopped.wait()
        await expect(line(page, large.name)).to_have_attribute("data-state", "offline")
        await expect(line(page, large.name).get_by_role("status")).to_contain_text("Aucune connexion")
        await page.fill("[name='answers.question']", "Pendant la coupure")
        await expect(page.locator("[data-save-status]")).to_contain_text("aucune connexion")
        before = len(wire.parts)
        wire.mend()
        await expect(tiles(page)).to_have_count(1)
        await expect(page.locator("[data-save-status]")).to_contain_text("Enregistré à")
        await expect(page.locator("[name='answers.question']")).to_have_value("Pendant la coupure")
        assert len({address for address, _ in wire.parts}) == 1
        assert wire.offsets()[before] == taken
        assert wire.offsets() == sorted(wire.offsets())
        await arrived(system, request_id, large)
        assert (await system.requester.view(request_id))["answers"]["question"] == "Pendant la coupure"


async def test_several_cuts(portal: Portal, system: System, large: Path) -> None:
    async with draft_over_a_wire(portal, system) as (page, wire, request_id):
        for number in range(3):
            wire.cut_after(MIDDLE)
            if number == 0:
                await choose(page, large)
            await wire.stopped.wait()
            await expect(line(page, large.name)).to_have_attribute("data-state", "offline")
        wire.mend()
        await expect(tiles(page)).to_have_count(1)
        assert wire.offsets()[:4] == [0, MIDDLE, 2 * MIDDLE, 3 * MIDDLE]
        await arrived(system, request_id, large)


async def test_a_connection_that_is_dead_and_the_server_does_not_know(
    portal: Portal, system: System, large: Path
) -> None:
    """The browser says it is offline; when it is back, the server still waits for bytes of the call from before."""
    async with draft_over_a_wire(portal, system) as (page, wire, request_id):
        await page.fill("[name='answers.question']", "Dans l’ascenseur")
        wire.silence_after(MIDDLE)
        await choose(page, large)
        await wire.stopped.wait()
        await page.context.set_offline(True)
        await expect(line(page, large.name)).to_have_attribute("data-state", "offline")
        wire.mend()
        await page.context.set_offline(False)
        await expect(tiles(page)).to_have_count(1)
        await arrived(system, request_id, large)
        await expect(page.locator("[name='answers.question']")).to_have_value("Dans l’ascenseur")


async def test_one_file_is_refused_and_the_others_arrive(portal: Portal, system: System, tmp_path: Path) -> None:
    good = [tmp_path / f"{number}.jpg" for number in range(4)]
    for number, path in enumerate(good):
        path.write_bytes(photo((640 + number, 640)))
    notes, empty = tmp_path / "notes.jpg", tmp_path / "vide.jpg"
    notes.write_text("Ceci n’est pas une photo.")
    empty.write_bytes(b"")
    async with draft_over_a_wire(portal, system) as (page, wire, request_id):
        await choose(page, good[0], notes, good[1], empty, *good[2:])
        await expect(tiles(page)).to_have_count(4)
        for refused in (notes, empty):
            await expect(line(page, refused.name)).to_have_attribute("data-state", "refused")
            await expect(line(page, refused.name).get_by_role("status")).to_contain_text("Ce type de fichier")
        assert {a["filename"] for a in await there(system, request_id)} == {path.name for path in good}
        await line(page, notes.name).get_by_role("button", name="Annuler").click()
        await expect(line(page, notes.name)).to_have_count(0)
        await arrived(system, request_id, good[3])
        assert len(wire.parts) == 5


async def test_the_page_is_reloaded_in_the_middle_and_the_file_chosen_again(
    portal: Portal, system: System, large: Path
) -> None:
    asked = []

    async def go(dialog: Dialog) -> None:
        asked.append(dialog.type)
        await dialog.accept()

    async with draft_over_a_wire(portal, system) as (page, wire, request_id):
        page.on("dialog", go)
        await page.locator("[name='answers.question']").press_sequentially("Avant")
        wire.silence_after(MIDDLE)
        await choose(page, large)
        await wire.stopped.wait()
        await page.reload()
        assert asked == ["beforeunload"]
        await expect(page.locator("[name='answers.question']")).to_have_value("Avant")
        assert await there(system, request_id) == []
        wire.mend()
        await choose(page, large)
        await expect(tiles(page)).to_have_count(1)
        await arrived(system, request_id, large)
        assert len({address for address, _ in wire.parts}) == 1
        kept = await page.evaluate("JSON.stringify(localStorage)")
        assert not re.search("paule|jpg", kept)


async def test_pause_go_on_and_cancel(portal: Portal, system: System, large: Path, tmp_path: Path) -> None:
    async with draft_over_a_wire(portal, system) as (page, wire, request_id):
        wire.silence_after(MIDDLE)
        await choose(page, large)
        await wire.stopped.wait()
        await line(page, large.name).get_by_role("button", name="Suspendre").click()
        await expect(line(page, large.name)).to_have_attribute("data-state", "paused")
        wire.mend()
        await line(page, large.name).get_by_role("button", name="Reprendre").click()
        await expect(tiles(page)).to_have_count(1)
        await arrived(system, request_id, large)

        other = tmp_path / "autre.jpg"
        await asyncio.to_thread(lambda: other.write_bytes(large.read_bytes() + b"0"))
        wire.silence_after(MIDDLE)
        await choose(page, other)
        await wire.stopped.wait()
        await line(page, other.name).get_by_role("button", name="Annuler").click()
        await expect(line(page, other.name)).to_have_count(0)
        assert len(await there(system, request_id)) == 1


async def test_many_at_once_stand_as_they_were_chosen_and_are_put_in_order_by_keys(
    portal: Portal, system: System, tmp_path: Path
) -> None:
    """The largest comes first, and is whole last; then a photo changes places, keeps the focus, and gets its caption."""
    files = [tmp_path / f"{n}.jpg" for n in range(4)]
    for n, file in enumerate(files):
        file.write_bytes(photo((300 + n, 200)) + bytes(0 if n else PART))
    async with draft_over_a_wire(portal, system) as (page, _, request_id):
        await choose(page, *files)
        await expect(tiles(page)).to_have_count(4)
        ids = [a["id"] for a in await there(system, request_id)]
        assert [a["filename"] for a in await there(system, request_id)] == [file.name for file in files]
        await page.locator(f"#after-{ids[0]}").focus()
        await page.keyboard.press("Enter")
        await expect(page.locator("#files-photos li").nth(1)).to_have_id(f"tile-{ids[0]}")
        await expect(page.locator(f"#after-{ids[0]}")).to_be_focused()
        await page.fill(f"#caption-{ids[0]}", "Avant-bras gauche")
        await page.keyboard.press("Tab")
        await expect(page.locator(f"#tile-{ids[0]} img")).to_have_attribute("alt", re.compile("Avant-bras gauche"))
        shown = await there(system, request_id)
        assert [a["id"] for a in shown] == [ids[1], ids[0], *ids[2:]]
        assert shown[1]["caption"] == "Avant-bras gauche"
