"""Passkeys in a real browser, with the authenticator that Chromium plays: made, used to sign in and to sign, removed."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI
from playwright.async_api import Page, expect
from sqlalchemy import select

from domain.requests import Role
from records.models import FrozenReport
from tests.api.test_guessing import report_of
from tests.api.test_second_factor import enrolled_person
from tests.portal.browsing import SAME_SITE, Portal
from tests.system import PASSWORD, Clinician, System, hasty

pytestmark = pytest.mark.usefixtures("only_in_chromium")


@asynccontextmanager
async def with_authenticator(portal: Portal, origin: str) -> AsyncIterator[Page]:
    """A page of a browser whose device has a key store, and whose owner agrees to everything."""
    context = await portal.browser.new_context(base_url=origin, locale="fr-CA")
    page = await context.new_page()
    device = await context.new_cdp_session(page)
    await device.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    await device.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    try:
        yield page
    finally:
        await context.close()


async def give_password(page: Page, who: Clinician) -> None:
    """Sign in as far as where somebody with a second factor is asked for it."""
    await page.goto("/signin")
    await page.fill("#username", who.account.username)
    await page.fill("#password", PASSWORD)
    await page.press("#password", "Enter")
    await page.wait_for_selector("#code")


async def give_code(page: Page, code: str) -> None:
    """And in."""
    await page.fill("#code", code)
    await page.press("#code", "Enter")
    await page.wait_for_url("**/worklist*")


async def add_passkey(page: Page, code: str) -> None:
    """To one's own account, as people do; whoever calls this looks whether it is there."""
    await page.goto("/account/second-factor?do=passkey")
    await page.fill("#field-name", "Téléphone")
    await page.fill("#field-password", PASSWORD)
    await page.fill("#field-code", code)
    await page.click("main form .button")
    await page.click("[data-passkey]")


async def test_a_passkey_is_made_and_used_instead_of_a_code(
    portal: Portal, portal_app: FastAPI, system: System
) -> None:
    who, _, codes = await enrolled_person(system, Role.PROVIDER)
    signature = (await report_of(system, who)).removesuffix("/sign")
    origin = f"http://localhost:{urlsplit(portal.address).port}"

    with hasty(portal_app, public_url=origin):
        async with with_authenticator(portal, origin) as page:
            await give_password(page, who)
            await page.click("[data-passkey]")
            await expect(page.locator("[data-passkey-said]")).to_contain_text("Cela n’a pas fonctionné")
            await give_code(page, codes[0])

            await add_passkey(page, codes[1])
            await expect(page.locator("#notice")).to_contain_text("La clé d’accès est ajoutée")
            await expect(page.locator("main")).to_contain_text("Téléphone")

            await page.goto(f"{signature}/sign")
            await page.check("input[value=final]")
            await page.fill("#field-password", PASSWORD)
            async with page.expect_request("**/report/sign") as sent:
                await page.click("[data-passkey]")
            await expect(page.locator("#notice")).to_contain_text("Le rapport est signé")
            async with system.services.database.session() as session:
                request_id = signature.split("/")[2]
                proved_by = await session.scalar(
                    select(FrozenReport.proof_method).where(FrozenReport.request_id == request_id)
                )
            assert proved_by == "password+passkey"

            await page.click("text=Se déconnecter")
            await give_password(page, who)
            fields = {name: await page.get_attribute(f"[name={name}]", "value") or "" for name in ("proof", "next")}
            async with page.expect_request("**/signin/code") as entered:
                await page.click("[data-passkey]")
            await page.wait_for_url("**/worklist*")

            # what was answered once is answered no more, nor for something else
            used = dict((await entered.value).post_data_json or {})["passkey"]
            signed = dict((await sent.value).post_data_json or {})["passkey"]
            assert json.loads(used)["response"]["signature"] != json.loads(signed)["response"]["signature"]
            for answer in (used, signed, "{}", "no JSON"):
                refused = await page.request.post(
                    "/signin/code", form={**fields, "passkey": answer}, headers=SAME_SITE, max_redirects=0
                )
                assert refused.status == 403, answer
            await page.goto("/account/second-factor")
            await page.click("form[action*='/account/passkeys/'] button")
            await expect(page.locator("#notice")).to_contain_text("La clé d’accès est retirée")
    await who.http.aclose()
