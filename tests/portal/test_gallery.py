"""The viewer for photos and videos, as people use it: with keys, a mouse, fingers, and on a page that renews itself."""

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import CDPSession, Locator, Page, ViewportSize, expect

from tests.clips import arrow, clip, encoded
from tests.journeys import assigned, draft, ok, upload
from tests.portal.browsing import PHONE, WIDE, Portal, barriers, overflow
from tests.system import System


@pytest.fixture(scope="module")
async def request_id(system: System) -> str:
    """A draft of `requester` with four photos; the last is large and lies."""
    id_ = await draft(system)
    ok(await upload(system.requester, id_, encoded(arrow((1_800, 1_200))), "photos", "grande.jpg"), 201)
    return id_


async def opened(page: Page, request_id: str, number: int = 1) -> Locator:
    """The viewer, open at that photo of the request."""
    await page.goto(f"/requests/{request_id}")
    await page.locator("[data-tile]").nth(number - 1).click()
    viewer = page.get_by_role("dialog")
    await expect(viewer).to_be_visible()
    return viewer


def transformed(what: str) -> re.Pattern[str]:
    """A style attribute whose transform has this in it; Firefox leaves the second 0px out."""
    return re.compile(f"transform:.*{re.escape(what)}".replace(r",\ 0px", r"(,\ 0px)?"))


def picture(page: Page) -> Locator:
    return page.locator(".viewer-stage img")


async def test_by_keyboard(portal: Portal, system: System, request_id: str) -> None:
    async with portal.visit(system.requester) as page:
        await page.goto(f"/requests/{request_id}")
        tile = page.locator("[data-tile]").nth(1)
        await tile.focus()
        await page.keyboard.press("Enter")
        viewer = page.get_by_role("dialog")
        await expect(viewer).to_have_accessible_name("Photos, photo 2 de 4")
        await expect(viewer.locator("[data-position]")).to_have_text("2 de 4")
        await expect(picture(page)).to_have_attribute("style", transformed("rotate(0deg) scale(1)"))

        await page.keyboard.press("+")
        await expect(picture(page)).to_have_attribute("style", transformed("scale(1.5)"))
        await expect(viewer.locator("[data-zoom]")).to_have_text("150\N{NO-BREAK SPACE}%")
        await page.keyboard.press("-")
        await expect(picture(page)).to_have_attribute("style", transformed("scale(1)"))
        await page.keyboard.press("r")
        await expect(picture(page)).to_have_attribute("style", transformed("rotate(90deg)"))
        await page.keyboard.press("Shift+R")
        await page.keyboard.press("Shift+R")
        await expect(picture(page)).to_have_attribute("style", transformed("rotate(-90deg)"))

        await page.keyboard.press("ArrowRight")
        await expect(viewer.locator("[data-position]")).to_have_text("3 de 4")
        await expect(picture(page)).to_have_attribute("style", transformed("rotate(0deg) scale(1)"))
        for _ in range(3):  # the last key finds nothing before the first one
            await page.keyboard.press("ArrowLeft")
        await expect(viewer.locator("[data-position]")).to_have_text("1 de 4")
        await expect(viewer.get_by_role("heading")).to_have_text("Photos, photo 1 de 4")

        await page.keyboard.press("?")
        await expect(viewer.get_by_text("Échap fermer")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(viewer).to_be_hidden()
        await expect(tile).to_be_focused()


async def test_arrows_move_what_is_enlarged(portal: Portal, system: System, request_id: str) -> None:
    async with portal.visit(system.requester) as page:
        viewer = await opened(page, request_id, 4)
        await page.keyboard.press("+")
        await page.keyboard.press("+")
        await page.keyboard.press("ArrowRight")
        await expect(picture(page)).to_have_attribute("style", transformed("translate(-80px, 0px)"))
        await page.keyboard.press("ArrowDown")
        await expect(picture(page)).to_have_attribute("style", transformed("translate(-80px, -80px)"))
        await expect(viewer.locator("[data-position]")).to_have_text("4 de 4")


async def test_the_full_photo_comes_when_somebody_looks_closer(portal: Portal, system: System, request_id: str) -> None:
    async with portal.visit(system.requester) as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url.rpartition("/")[2]))
        await opened(page, request_id, 4)
        await expect(picture(page)).to_have_attribute("src", re.compile("/preview$"))
        assert "full" not in asked
        await page.keyboard.press("+")
        await expect(picture(page)).to_have_attribute("src", re.compile("/full$"))
        assert await picture(page).evaluate("image => image.naturalWidth") == 1_800


async def test_by_mouse(portal: Portal, system: System, request_id: str) -> None:
    async with portal.visit(system.requester) as page:
        viewer = await opened(page, request_id, 4)
        await viewer.get_by_role("button", name="Agrandir").click()
        await expect(picture(page)).to_have_attribute(
            "style", transformed("translate(0px, 0px) rotate(0deg) scale(1.5)")
        )
        await page.mouse.move(640, 450)
        await page.mouse.down()
        await page.mouse.move(600, 420, steps=4)
        await page.mouse.up()
        await expect(picture(page)).to_have_attribute("style", transformed("translate(-40px, -30px)"))
        await page.mouse.dblclick(640, 450)
        await expect(picture(page)).to_have_attribute("style", transformed("translate(0px, 0px) rotate(0deg) scale(1)"))
        await page.mouse.wheel(0, -300)
        await expect(viewer.locator("[data-zoom]")).not_to_have_text("100\N{NO-BREAK SPACE}%")
        await viewer.get_by_role("button", name="Pivoter à gauche").click()
        await expect(picture(page)).to_have_attribute("style", transformed("rotate(-90deg)"))
        next_one = viewer.locator("[data-act=next]")
        await expect(next_one).to_have_attribute("aria-disabled", "true")
        await viewer.get_by_role("button", name="Précédente").click()
        await expect(viewer.locator("[data-position]")).to_have_text("3 de 4")
        await expect(next_one).to_have_attribute("aria-disabled", "false")
        await viewer.get_by_role("button", name="Fermer").click()
        await expect(viewer).to_be_hidden()
        await expect(page.locator("[data-tile]").nth(3)).to_be_focused()


async def test_a_tile_opens_its_page_in_a_new_tab_for_who_wants_that(
    portal: Portal, system: System, request_id: str
) -> None:
    async with portal.visit(system.requester) as page:
        await page.goto(f"/requests/{request_id}")
        async with page.context.expect_page() as other:
            await page.locator("[data-tile]").first.click(modifiers=["ControlOrMeta"])
        await expect((await other.value).get_by_role("heading", level=1)).to_have_text("Photos, photo 1 de 4")
        await expect(page.get_by_role("dialog")).to_have_count(0)


@pytest.mark.usefixtures("only_in_chromium")
async def test_by_fingers(portal: Portal, system: System, request_id: str) -> None:
    async with portal.visit(system.requester, size=PHONE, has_touch=True, is_mobile=True) as page:
        viewer = await opened(page, request_id, 3)
        touch = await page.context.new_cdp_session(page)
        await moved(touch, [(80, 370)], [(280, 370)])
        await expect(viewer.locator("[data-position]")).to_have_text("2 de 4")
        await moved(touch, [(280, 370)], [(80, 370)])
        await expect(viewer.locator("[data-position]")).to_have_text("3 de 4")
        await moved(touch, [(160, 370), (200, 370)], [(120, 370), (240, 370)])
        await expect(picture(page)).to_have_attribute("style", transformed("scale(3)"))
        await moved(touch, [(180, 370)], [(130, 370)])
        await expect(picture(page)).to_have_attribute("style", transformed("translate(-50px,"))
        await expect(viewer.locator("[data-position]")).to_have_text("3 de 4")
        for _ in range(2):
            await moved(touch, [(180, 370)], [(180, 370)])
        await expect(picture(page)).to_have_attribute("style", transformed("scale(1)"))
        assert await overflow(page) == 0


async def moved(touch: CDPSession, begin: list[tuple[int, int]], end: list[tuple[int, int]]) -> None:
    """Fingers go down, move straight and evenly, and are lifted."""
    steps = 8

    def between(step: int) -> list[dict[str, Any]]:
        return [
            {"id": finger, "x": x + (x2 - x) * step / steps, "y": y + (y2 - y) * step / steps}
            for finger, ((x, y), (x2, y2)) in enumerate(zip(begin, end, strict=True))
        ]

    await touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": between(0)})
    for step in range(1, steps + 1 if begin != end else 1):
        await touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": between(step)})
    await touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


async def test_full_screen_is_a_part_of_the_viewer(portal: Portal, system: System, request_id: str) -> None:
    async with portal.visit(system.requester) as page:
        viewer = await opened(page, request_id)
        await page.keyboard.press("f")
        await expect(viewer.locator("[data-act=full-screen]")).to_have_attribute("aria-pressed", "true")
        assert await page.evaluate("document.fullscreenElement.className") == "viewer-frame"
        await page.keyboard.press("f")
        await expect(viewer.locator("[data-act=full-screen]")).to_have_attribute("aria-pressed", "false")
        await expect(viewer).to_be_visible()


async def test_a_page_that_renews_itself_leaves_the_viewer_alone(portal: Portal, system: System) -> None:
    request_id = await assigned(system)
    async with portal.visit(system.provider) as page:
        viewer = await opened(page, request_id, 2)
        await page.keyboard.press("+")
        await page.keyboard.press("r")
        ok(await system.provider.post(f"/requests/{request_id}/accept"))
        await expect(page.locator("#request .status")).to_have_text("En traitement")
        await expect(viewer).to_be_visible()
        await expect(picture(page)).to_have_attribute("style", transformed("rotate(90deg) scale(1.5)"))
        await page.keyboard.press("0")
        await page.keyboard.press("ArrowRight")
        await expect(viewer.locator("[data-position]")).to_have_text("3 de 3")
        await page.keyboard.press("Escape")
        await expect(page.locator("[data-tile]").nth(1)).to_be_focused()


async def test_a_video(portal: Portal, system: System, tmp_path: Path) -> None:
    """The page shows by itself when it is ready; then it is there with a player."""
    request_id = await draft(system)
    async with portal.visit(system.requester) as page:
        film = await clip("film.mp4", folder=tmp_path, seconds=4)
        video = ok(await upload(system.requester, request_id, film, "videos", "film.mp4"), 201)
        await page.goto(f"/requests/{request_id}")
        tile = page.locator(f"[data-tile='{video['id']}']")
        await expect(tile).to_have_attribute("data-state", "ready")
        await expect(tile).to_contain_text("0:04")
        async with page.expect_response(re.compile("/video$")) as response:
            await tile.click()
        assert (await response.value).headers["content-type"] == "video/mp4"
        player = page.get_by_role("dialog", name="Vidéos, vidéo 1 de 1").locator("video")
        await expect(player).to_have_attribute("controls", "")
        await expect(page.locator("[data-act=larger]")).to_have_attribute("aria-disabled", "true")
        await page.keyboard.press("ArrowLeft")
        await expect(player).to_have_count(0)
        await expect(page.get_by_role("dialog")).to_have_accessible_name("Photos, photo 3 de 3")


@pytest.mark.parametrize("language", ["fr", "en"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
async def test_no_barriers_while_it_is_open(
    portal: Portal, system: System, request_id: str, size: ViewportSize, language: str
) -> None:
    ok(await system.requester.http.patch("/api/v1/me", json={"language": language}))
    try:
        page = await portal.look(system.requester)
        await page.set_viewport_size({"width": size["width"], "height": size["height"]})
        viewer = await opened(page, request_id, 2)
        await page.keyboard.press("?")
        await page.keyboard.press("+")
        await expect(viewer.locator(".viewer-help")).to_be_visible()
        assert await barriers(page) == []
        sizes = await viewer.locator("button:visible, a:visible").evaluate_all(
            "all => all.map(one => one.getBoundingClientRect()).map(box => Math.min(box.width, box.height))"
        )
        assert min(sizes) >= 44
        assert await overflow(page) == 0
        await page.goto(f"/requests/{request_id}")
        await page.goto(str(await page.locator("[data-tile]").first.get_attribute("href")))
        assert await barriers(page) == []
        assert await overflow(page) == 0
    finally:
        ok(await system.requester.http.patch("/api/v1/me", json={"language": "fr"}))
