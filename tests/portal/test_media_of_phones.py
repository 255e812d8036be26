"""Photos and videos as phones and cameras make them, sent by the page and looked at by the provider in a real browser."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import ExifTags, Image
from playwright.async_api import Page, expect

from tests.journeys import filled, ok, somebody_new
from tests.media import MEDIA
from tests.portal.browsing import Portal
from tests.system import System

PHOTOS = (
    "DSCN0010.jpg",
    "image01137.jpg",
    "landscape_6.jpg",
    "portrait_3.jpg",
    "portrait_8.jpg",
    "IMG_5195.HEIC",
)
VIDEOS = ("with-gps.mov", "with-gps.mp4")

DEVICE_OR_PLACE = (b"GPS", b"NIKON", b"COOLPIX", b"Apple", b"iPhone", b"\xa9xyz", b"com.apple.quicktime", b"location")
"""What the originals hold of the device and the place."""


@dataclass(frozen=True)
class Sent:
    """A request with all of them, assigned to `provider`; its attachments by the name of the file."""

    request_id: str
    attachments: dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
async def sent(portal: Portal, system: System) -> Sent:
    body = {
        "offering": "teledermatology",
        "patient": somebody_new(),
        "answers": filled(system.services.offerings["teledermatology"].form),
    }
    request_id = str(ok(await system.requester.post("/requests", body), 201)["id"])
    async with portal.visit(system.requester) as page:
        await page.goto(f"/requests/{request_id}/edit")
        for slot, names in (("photos", PHOTOS), ("videos", VIDEOS)):
            await page.set_input_files(f"#slot-{slot} input[type=file]", [MEDIA / name for name in names])
            await expect(page.locator(f"#files-{slot} .gallery > li")).to_have_count(len(names))
        await page.get_by_role("button", name="Soumettre la demande").click()
        await expect(page.locator("#notice.success")).to_be_visible()
    ok(await system.dispatcher.post(f"/requests/{request_id}/assign", {"provider_id": system.provider.id}))
    there = (await system.requester.view(request_id))["attachments"]
    return Sent(request_id, {attachment["filename"]: attachment for attachment in there})


@pytest.fixture
async def page(portal: Portal, system: System, sent: Sent) -> AsyncIterator[Page]:
    """The provider looks at the request; every video is ready."""
    async with portal.visit(system.provider) as page:
        await page.goto(f"/requests/{sent.request_id}")
        for name in VIDEOS:
            await expect(tile_of(page, sent, name)).to_have_attribute("data-state", "ready")
        yield page


def tile_of(page: Page, sent: Sent, name: str) -> Any:
    return page.locator(f"[data-tile='{sent.attachments[name]['id']}']")


async def natural_size(image: Any) -> tuple[int, int]:
    """Of a picture that has come."""
    await image.scroll_into_view_if_needed()
    width, height = await image.evaluate("i => i.decode().then(() => [i.naturalWidth, i.naturalHeight])")
    return int(width), int(height)


def upright_size(path: Path) -> tuple[int, int]:
    """The size of a photo as it is to be seen."""
    with Image.open(path) as photo:
        lies = photo.getexif().get(ExifTags.Base.Orientation, 1) >= 5
        return (photo.height, photo.width) if lies else photo.size


async def test_every_tile_shows_a_picture(page: Page, sent: Sent) -> None:
    for name in (*PHOTOS, *VIDEOS):
        width, height = await natural_size(tile_of(page, sent, name).locator("img"))
        assert min(width, height) > 0, name


@pytest.mark.parametrize("name", [name for name in PHOTOS if name.endswith(".jpg")])
async def test_photos_are_upright(page: Page, sent: Sent, name: str) -> None:
    width, height = await asyncio.to_thread(upright_size, MEDIA / name)
    seen = await natural_size(tile_of(page, sent, name).locator("img"))
    assert seen[0] / seen[1] == pytest.approx(width / height, rel=0.03)
    await page.goto(f"/requests/{sent.request_id}/media/{sent.attachments[name]['id']}")
    assert await natural_size(page.locator("main img")) == (width, height)


async def test_a_heic_photo_is_seen(page: Page, sent: Sent) -> None:
    await page.goto(f"/requests/{sent.request_id}/media/{sent.attachments['IMG_5195.HEIC']['id']}")
    assert min(await natural_size(page.locator("main img"))) > 500
    await page.get_by_role("link", name="Voir en taille réelle").click()
    await page.wait_for_url("**/full")
    assert await page.evaluate("document.images[0].decode().then(() => document.images[0].naturalWidth)") > 2_000
    seen = await page.evaluate("[document.images[0].getBoundingClientRect().height, window.innerHeight]")
    assert seen[0] <= seen[1], "the browser's own view of a photo fits it into the window"


@pytest.mark.parametrize("name", VIDEOS)
async def test_a_video_plays_from_its_middle(page: Page, sent: Sent, name: str) -> None:
    await page.goto(f"/requests/{sent.request_id}/media/{sent.attachments[name]['id']}")
    played = await page.locator("video").evaluate(
        """async video => {
            const happened = name => new Promise((resolve, reject) => {
              video.addEventListener(name, resolve, { once: true });
              video.addEventListener("error", () => reject(video.error.message), { once: true });
            });
            video.preload = "auto";
            video.load();
            if (video.readyState < 2) await happened("loadeddata");
            const middle = video.duration / 2;
            const found = happened("seeked");
            video.currentTime = middle;
            await found;
            const begin = video.currentTime, moves = happened("timeupdate");
            video.muted = true;
            await video.play();
            await moves;
            return { state: video.readyState, width: video.videoWidth, off: Math.abs(begin - middle), error: video.error };
        }"""
    )
    assert played["state"] >= 2
    assert played["width"] > 0
    assert played["off"] < 0.5
    assert played["error"] is None


async def test_what_the_provider_can_get_tells_no_place_and_no_device(page: Page, sent: Sent) -> None:
    originals = {name: await asyncio.to_thread((MEDIA / name).read_bytes) for name in sent.attachments}
    assert any(secret in originals["DSCN0010.jpg"] for secret in DEVICE_OR_PLACE)
    for name, original in originals.items():
        await page.goto(f"/requests/{sent.request_id}/media/{sent.attachments[name]['id']}")
        addresses = await page.locator("main").evaluate(
            """main => [...main.querySelectorAll("[src], [href], [poster]")]
                 .flatMap(e => [e.getAttribute("src"), e.getAttribute("href"), e.getAttribute("poster")])
                 .filter(address => address && address.startsWith("/api/"))"""
        )
        source = f"/api/v1/requests/{sent.request_id}/attachments/{sent.attachments[name]['id']}"
        assert source in addresses, name
        for address in {*addresses, f"{source}/thumbnail", f"{source}/preview", f"{source}/full", f"{source}/video"}:
            answer = await page.request.get(address)
            content = await answer.body()
            if answer.ok:
                assert content != original, (name, address)
                assert not [secret for secret in DEVICE_OR_PLACE if secret in content], (name, address)
            else:
                assert address not in addresses, (name, address, answer.status)
