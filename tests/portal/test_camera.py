"""A photo is taken in the page: with a camera that draws, as Chromium has one for tests."""

import asyncio
import base64
import io

import pytest
from PIL import Image, ImageDraw, ImageFilter
from playwright.async_api import FilePayload, Page, Route, expect

from domain.photos import MIN_SHARPNESS
from media.photos import sharpness_of
from tests.journeys import draft, somebody_new
from tests.portal.browsing import PHONE, Portal, barriers, too_wide
from tests.portal.test_phone_links import link_of
from tests.system import System

pytestmark = pytest.mark.usefixtures("only_in_chromium")

OF_ONE_COLOUR = """
navigator.mediaDevices.getUserMedia = async () => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 320, height: 240 });
  canvas.getContext("2d").fillRect(0, 0, 320, 240);
  return canvas.captureStream();
};
"""
"""A camera before which a hand is held, and a small one."""


NOT_ALLOWED = """
navigator.mediaDevices.getUserMedia = async () => { throw new DOMException("no", "NotAllowedError"); };
"""


async def press(page: Page, name: str) -> None:
    await page.get_by_role("dialog").get_by_role("button", name=name, exact=True).click()


async def hold(page: Page, addresses: str) -> asyncio.Future[Route]:
    """What the page asks for there, the first time: it waits until it is told to go on."""
    asked: asyncio.Future[Route] = asyncio.get_running_loop().create_future()
    await page.route(addresses, lambda route: asked.set_result(route), times=1)
    return asked


async def photos_of(system: System, request_id: str) -> list[dict[str, object]]:
    return list((await system.requester.view(request_id))["attachments"])


async def test_a_telephone_takes_photos_in_the_page_until_it_is_closed(portal: Portal, system: System) -> None:
    request_id = await draft(system, patient=somebody_new())
    before = len(await photos_of(system, request_id))
    async with portal.visit(size=PHONE, has_touch=True) as page:
        await page.goto(await link_of(system, request_id))
        await page.get_by_role("button", name="Commencer").click()
        await page.wait_for_url("**/phone?link=*")  # with its scripts: before that, the device's own application opens
        await page.locator("label.of-camera").click()
        dialog = page.get_by_role("dialog")
        for taken in (1, 2):
            await expect(dialog.get_by_role("status")).to_contain_text("qui remplit le cadre")
            assert await barriers(page) == []
            assert await too_wide(page) == []
            await press(page, "Prendre")
            await expect(dialog.get_by_role("img")).to_be_visible()
            assert await barriers(page) == []
            await press(page, "Garder cette photo")
            await expect(dialog.get_by_role("status")).to_contain_text("La photo est gardée.")
            await expect(page.locator("[data-phone-lines] li[data-state=done]")).to_have_count(taken)
        await press(page, "Fermer")
        await page.wait_for_function(
            "document.querySelector('#camera video').srcObject === null && document.querySelector('#camera canvas').width === 0"
        )
    assert len(await photos_of(system, request_id)) == before + 2


async def test_a_photo_that_was_chosen_before_the_scripts_came_is_sent(portal: Portal, system: System) -> None:
    """On a slow line: until then the field opens the device's own application, and nothing hears of the photo."""
    request_id = await draft(system, patient=somebody_new())
    before = len(await photos_of(system, request_id))
    made = io.BytesIO()
    Image.effect_noise((640, 480), 80).convert("RGB").save(made, "JPEG")
    photo: FilePayload = {"name": "avant.jpg", "mimeType": "image/jpeg", "buffer": made.getvalue()}
    async with portal.visit(size=PHONE, has_touch=True) as phone, portal.visit(system.requester) as desk:
        await phone.goto(await link_of(system, request_id))
        for page, script, field in (
            (phone, "phone.js", "label.of-camera input"),
            (desk, "uploads.js", "#slot-photos input[type=file]"),
        ):
            asked = await hold(page, f"**/static/{script}*")
            if page is phone:
                await page.get_by_role("button", name="Commencer").click(no_wait_after=True)
            else:
                await page.goto(f"/requests/{request_id}/edit", wait_until="commit")
            route = await asked
            await page.locator(field).first.set_input_files(photo)
            await route.continue_()
            sent = "[data-phone-lines] li[data-state=done]" if page is phone else "#slot-photos .gallery li"
            await expect(page.locator(sent)).to_have_count(1 if page is phone else before + 2)
    assert len(await photos_of(system, request_id)) == before + 2


async def test_a_photo_that_shows_nothing_is_told_before_it_is_sent(portal: Portal, system: System) -> None:
    request_id = await draft(system, patient=somebody_new())
    before = len(await photos_of(system, request_id))
    async with portal.visit(system.requester, size=PHONE, has_touch=True) as page:
        await page.add_init_script(OF_ONE_COLOUR)
        await page.goto(f"/requests/{request_id}/edit")
        await page.locator("#slot-photos [data-camera]").click()
        await press(page, "Prendre")
        told = page.get_by_role("dialog").get_by_role("status")
        await expect(told).to_have_text(
            "Cette photo est petite : on y distingue mal les détails. Cette photo semble floue. Reprenez-la, si possible."
        )
        await page.keyboard.press("Escape")
        await expect(told).to_contain_text("qui remplit le cadre")
        await press(page, "Prendre")
        await press(page, "Reprendre")
        await expect(told).to_contain_text("qui remplit le cadre")
        await press(page, "Prendre")
        await press(page, "Garder cette photo")
        await expect(page.locator("#slot-photos .gallery li")).to_have_count(before + 1)
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog")).to_have_count(0)
    assert (await photos_of(system, request_id))[-1]["warnings"] == ["too_small", "blurred"]


async def test_without_a_camera_for_the_page_the_application_of_the_device_opens(
    portal: Portal, system: System
) -> None:
    async with portal.visit(system.requester, size=PHONE, has_touch=True) as page:
        await page.add_init_script(NOT_ALLOWED)
        await page.goto(f"/requests/{await draft(system, patient=somebody_new())}/edit")
        await page.locator("#slot-photos [data-camera]").click()
        told = page.get_by_role("dialog").get_by_role("status")
        await expect(told).to_contain_text("ne reçoit pas d’image")
        async with page.expect_file_chooser() as opened:
            await press(page, "Utiliser l’application Appareil photo")
        field = (await opened.value).element
        assert await field.get_attribute("capture") == "environment"


async def test_only_pages_that_take_photos_may_ask_for_the_camera(portal: Portal, system: System) -> None:
    request_id = await draft(system, patient=somebody_new())
    async with portal.visit(system.requester) as page:
        for address, may in (
            (f"/requests/{request_id}/edit", "(self)"),
            (f"/requests/{request_id}", "()"),
            ("/account", "()"),
        ):
            answer = await page.goto(address)
            assert answer is not None
            assert f"camera={may}," in answer.headers["permissions-policy"], address


async def test_page_and_server_agree_on_what_is_blurred(portal: Portal, system: System) -> None:
    lines = Image.new("RGB", (1600, 1200), "#c68863")
    drawn = ImageDraw.Draw(lines)
    for n in range(0, 1600, 25):
        drawn.line((n, 0, 1600 - n, 1200), fill=(60 + n % 120, 30, 30), width=3)
    pictures = [lines, *(lines.filter(ImageFilter.GaussianBlur(radius)) for radius in (2, 8, 16, 32))]
    async with portal.visit(system.requester) as page:
        await page.goto(f"/requests/{await draft(system, patient=somebody_new())}/edit")
        for picture in pictures:
            made = io.BytesIO()
            picture.save(made, "PNG")
            url = f"data:image/png;base64,{base64.b64encode(made.getvalue()).decode()}"
            there = await page.evaluate(
                """async (text) => {
                  const bytes = Uint8Array.from(atob(text.split(",")[1]), (sign) => sign.charCodeAt(0));
                  return Camera.sharpnessOf(await createImageBitmap(new Blob([bytes], { type: "image/png" })));
                }""",
                url,
            )
            here = sharpness_of(picture)
            assert (there < MIN_SHARPNESS) == (here < MIN_SHARPNESS), (there, here)
