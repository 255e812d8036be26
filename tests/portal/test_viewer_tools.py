"""What the viewer can do besides showing: brightness and contrast, two photos side by side, marks and measures."""

import asyncio
import re
from functools import partial
from typing import Any

import pytest
from playwright.async_api import Locator, Page, Route, ViewportSize, expect

from tests.clips import arrow, encoded
from tests.journeys import accepted, draft, ok, upload
from tests.papers import scan
from tests.portal.browsing import PHONE, WIDE, Portal, barriers, overflow
from tests.portal.test_gallery import opened, picture, transformed
from tests.system import System


@pytest.fixture(scope="module")
async def request_id(system: System) -> str:
    """With the provider: two small photos and one of 900 × 600 pixels."""
    id_ = await draft(system)
    ok(await upload(system.requester, id_, encoded(arrow((900, 600))), "photos", "grande.jpg"), 201)
    ok(await system.requester.post(f"/requests/{id_}/submit"))
    ok(await system.dispatcher.post(f"/requests/{id_}/assign", {"provider_id": system.provider.id}))
    ok(await system.provider.post(f"/requests/{id_}/accept"))
    return id_


async def marks_of(system: System, request_id: str) -> list[dict[str, Any]]:
    return list((await system.requester.view(request_id))["marks"])


def lit(brightness: int, contrast: int) -> re.Pattern[str]:
    return re.compile(rf"filter: brightness\({brightness}%\) contrast\({contrast}%\)")


async def test_brightness_and_contrast(portal: Portal, system: System, request_id: str) -> None:
    async with portal.visit(system.provider) as page:
        viewer = await opened(page, request_id)
        await expect(picture(page)).not_to_have_attribute("style", re.compile("filter"))
        await page.keyboard.press("b")
        await expect(picture(page)).to_have_attribute("style", lit(110, 100))
        await page.keyboard.press("Shift+C")
        await expect(picture(page)).to_have_attribute("style", lit(110, 91))
        await viewer.get_by_role("button", name="Luminosité et contraste").click()
        slider = viewer.get_by_role("slider", name="Luminosité")
        await expect(slider).to_have_value("110")
        await slider.focus()
        await page.keyboard.press("ArrowRight")  # the slider's own, and not the next photo
        await expect(picture(page)).to_have_attribute("style", lit(111, 91))
        await slider.fill("200")
        await expect(slider).to_have_attribute("aria-valuetext", "200\N{NO-BREAK SPACE}%")
        await expect(picture(page)).to_have_attribute("style", lit(200, 91))
        await viewer.get_by_role("button", name="Comme au départ").click()
        await expect(picture(page)).not_to_have_attribute("style", re.compile("filter"))
        await expect(slider).to_have_value("100")
        await page.keyboard.press("b")
        await viewer.get_by_role("button", name="Suivante").click()
        await expect(viewer.locator("[data-position]")).to_have_text("2 de 4")
        await expect(picture(page)).not_to_have_attribute("style", re.compile("filter"))


async def test_side_by_side(portal: Portal, system: System, request_id: str) -> None:
    async with portal.visit(system.provider) as page:
        viewer = await opened(page, request_id)
        await page.keyboard.press("d")
        beside = viewer.get_by_role("combobox", name="Photo à côté")
        await expect(beside).to_be_focused()
        await expect(picture(page)).to_have_count(2)
        await expect(picture(page).nth(1)).to_have_attribute("alt", "Photos, photo 2 de 4")
        await beside.select_option(label="Photos, photo 4 de 4")
        await expect(picture(page).nth(1)).to_have_attribute("alt", "Photos, photo 4 de 4")
        stages = viewer.locator(".viewer-stage")
        await stages.nth(1).focus()
        await page.keyboard.press("+")
        await page.keyboard.press("b")
        await expect(picture(page).nth(1)).to_have_attribute("style", transformed("scale(1.5)"))
        await expect(picture(page).nth(1)).to_have_attribute("style", lit(110, 100))
        await expect(picture(page).nth(0)).to_have_attribute("style", transformed("scale(1)"))
        await expect(picture(page).nth(0)).not_to_have_attribute("style", re.compile("filter"))
        await viewer.get_by_role("checkbox", name="Agrandir et déplacer les deux").check()
        await expect(picture(page).nth(0)).to_have_attribute("style", transformed("scale(1.5)"))
        await stages.nth(0).click()
        await page.keyboard.press("-")
        await expect(picture(page).nth(0)).to_have_attribute("style", transformed("scale(1)"))
        await expect(picture(page).nth(1)).to_have_attribute("style", transformed("scale(1)"))
        await viewer.get_by_role("button", name="Côte à côte").click()
        await expect(picture(page)).to_have_count(1)


async def test_beside_a_photo_of_the_request_before(portal: Portal, system: System) -> None:
    before = await accepted(system)
    number = (await system.requester.view(before))["number"]
    later = await draft(system, earlier_id=before)
    async with portal.visit(system.requester) as page:
        viewer = await opened(page, later)
        await page.keyboard.press("d")
        beside = viewer.get_by_role("combobox", name="Photo à côté")
        await beside.select_option(label=f"{number}, photo 1")
        shown = picture(page).nth(1)
        await expect(shown).to_have_attribute("src", re.compile(f"{before}/.*/preview$"))
        assert await shown.evaluate("image => image.naturalWidth") > 0


async def drawn(page: Page, begin: tuple[int, int], end: tuple[int, int]) -> None:
    await page.mouse.move(*begin)
    await page.mouse.down()
    await page.mouse.move(*end, steps=4)
    await page.mouse.up()


async def test_what_one_draws_the_other_sees_at_once(portal: Portal, system: System, request_id: str) -> None:
    async with portal.visit(system.provider) as page, portal.visit(system.requester) as other:
        there = await opened(other, request_id, 4)
        viewer = await opened(page, request_id, 4)
        await viewer.get_by_role("button", name="Marques").click()
        await viewer.get_by_role("button", name="Flèche").click()
        await expect(viewer.get_by_text("Tracez depuis le début")).to_be_visible()
        stage = await viewer.locator(".viewer-stage").first.bounding_box()
        assert stage
        middle = (int(stage["x"] + stage["width"] / 2), int(stage["y"] + stage["height"] / 2))
        await drawn(page, middle, (middle[0] + 90, middle[1]))
        await expect(picture(page)).to_have_attribute("style", transformed("scale(1)"))  # drawing moves nothing
        await viewer.get_by_role("textbox", name="Quelques mots").fill("Bord irrégulier")
        await page.keyboard.press("Enter")
        line = viewer.get_by_role("listitem").filter(
            has_text="Flèche\N{NO-BREAK SPACE}: Bord irrégulier – Dre Anne Provider"
        )
        await expect(line).to_be_visible()
        (mark,) = await marks_of(system, request_id)
        assert mark["start"] == {"x": pytest.approx(0.5, abs=0.01), "y": pytest.approx(0.5, abs=0.01)}
        assert mark["end"]["x"] > 0.55
        drawing = there.get_by_role("img", name="Flèche\N{NO-BREAK SPACE}: Bord irrégulier")
        await expect(drawing).to_be_visible()
        await other.keyboard.press("h")
        await expect(drawing).to_have_count(0)
        await other.keyboard.press("m")
        await expect(there.get_by_role("listitem")).to_have_count(1)
        await expect(there.get_by_role("button", name="Supprimer")).to_have_count(0)
        await viewer.get_by_role("button", name="Supprimer").click()
        await expect(line).to_have_count(0)
        await expect(there.get_by_role("listitem")).to_have_count(0)
        assert await marks_of(system, request_id) == []


async def test_measured_with_keys_alone(portal: Portal, system: System, request_id: str) -> None:
    """A ruler's line of 100 pixels of the stage is 10 mm, so a line of 200 is 20."""
    async with portal.visit(system.provider) as page:
        viewer = await opened(page, request_id, 4)
        await page.keyboard.press("m")
        await viewer.get_by_role("button", name="Mesure").press("Enter")
        await expect(viewer.get_by_text("Tracez d’abord une ligne le long de la règle")).to_be_visible()
        await line_by_keys(page, 5)
        await viewer.get_by_role("textbox", name="Longueur de cette ligne").fill("dix")
        await page.keyboard.press("Enter")
        await expect(viewer.get_by_text("Indiquez combien de millimètres")).to_be_visible()
        await viewer.get_by_role("textbox", name="Longueur de cette ligne").fill("10,0")
        await page.keyboard.press("Enter")
        await expect(viewer.get_by_text("Tracez une ligne sur ce qu’il faut mesurer")).to_be_visible()
        await line_by_keys(page, 10)
        await expect(viewer.get_by_text("20\N{NO-BREAK SPACE}mm").first).to_be_visible()
        await page.keyboard.press("Enter")
        await expect(viewer.get_by_role("listitem")).to_have_count(1)
        (mark,) = await marks_of(system, request_id)
        assert mark["length_mm"] == pytest.approx(20, abs=0.1)
        assert mark["calibration"]["length_mm"] == 10
        await page.keyboard.press("Escape")  # puts the tool down; the viewer stays
        await expect(viewer).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(viewer).to_be_hidden()
        await expect(page.locator("[data-tile]").nth(3).locator("..")).to_contain_text("Marques\N{NO-BREAK SPACE}: 1")


async def test_a_page_of_a_document_is_drawn_on_like_a_photo(portal: Portal, system: System) -> None:
    id_ = await draft(system)
    ok(await upload(system.requester, id_, scan(2), "letters", "lettre.tif"), 201)
    ok(await system.requester.post(f"/requests/{id_}/submit"))
    async with portal.visit(system.requester) as page:
        viewer = await opened(page, id_, 4)
        is_taken = asyncio.Event()
        await page.route("**/pages/2", partial(after, is_taken))
        await page.keyboard.press("ArrowRight")
        await expect(viewer.locator("[data-position]")).to_contain_text("page 2 de 2")
        await page.keyboard.press("m")
        await viewer.get_by_role("button", name="Cercle").press("Enter")
        await expect(viewer.get_by_role("button", name="Cercle")).to_have_attribute("aria-pressed", "true")
        is_taken.set()
        await line_by_keys(page, 5)
        await page.keyboard.press("Enter")
        await expect(viewer.get_by_role("listitem")).to_have_count(1)
        await viewer.get_by_role("button", name="Précédente").click()
        await expect(viewer.get_by_role("listitem")).to_have_count(0)
        await viewer.get_by_role("button", name="Suivante").click()
        await expect(viewer.get_by_role("listitem")).to_have_count(1)
        assert [mark["page"] for mark in await marks_of(system, id_)] == [2]


async def after(event: asyncio.Event, route: Route) -> None:
    await event.wait()
    await route.continue_()


@pytest.mark.usefixtures("only_in_chromium")
async def test_what_is_written_at_a_mark_is_kept_whole_and_acts_once(
    portal: Portal, system: System, request_id: str
) -> None:
    """Too long, it is not cut; sent again after its answer was lost, it stands there once."""
    before = await marks_of(system, request_id)
    lost = 0

    async def lose_the_first(route: Route) -> None:
        nonlocal lost
        if route.request.method != "POST" or lost:
            await route.continue_()
            return
        lost += 1
        await route.fetch()
        await route.abort()

    async with portal.visit(system.provider) as page:
        viewer = await opened(page, request_id, 4)
        await page.keyboard.press("m")
        await viewer.get_by_role("button", name="Flèche").press("Enter")
        await expect(viewer.get_by_text("Tracez depuis le début")).to_be_visible()
        await line_by_keys(page, 5)
        label, said = viewer.get_by_role("textbox", name="Quelques mots"), viewer.locator("[data-marks-said]")
        await label.fill("é" * 97)
        await page.keyboard.press("Enter")
        await expect(said).to_contain_text("17 de trop")
        await expect(label).to_have_value("é" * 97)
        await page.route("**/marks", lose_the_first)
        await label.fill("Bord net")
        await page.keyboard.press("Enter")
        await expect(said).to_contain_text("réessayez")
        await page.keyboard.press("Enter")
        await expect(viewer.get_by_role("listitem").filter(has_text="Bord net")).to_have_count(1)
    assert [mark["label"] for mark in await marks_of(system, request_id)] == [*(m["label"] for m in before), "Bord net"]


async def line_by_keys(page: Page, steps: int) -> None:
    await expect(picture(page)).to_have_attribute("style", transformed("scale(1)"))  # it has come
    await page.keyboard.press("Enter")
    for _ in range(steps):
        await page.keyboard.press("ArrowRight")
    await page.keyboard.press("Enter")


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
async def test_no_barriers_in_its_panels(portal: Portal, system: System, request_id: str, size: ViewportSize) -> None:
    page = await portal.look(system.provider)
    await page.set_viewport_size({"width": size["width"], "height": size["height"]})
    viewer = await opened(page, request_id, 4)
    for name in ("light", "marks", "compare"):
        await viewer.locator(f"[data-act={name}]").click()
        assert await barriers(page) == [], name
        await _each_is_large_enough(viewer)
        assert await overflow(page) == 0


async def _each_is_large_enough(viewer: Locator) -> None:
    sizes = await viewer.locator("button:visible, a:visible, select:visible").evaluate_all(
        "all => all.map(one => one.getBoundingClientRect()).map(box => Math.min(box.width, box.height))"
    )
    assert min(sizes) >= 44
