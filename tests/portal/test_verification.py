"""The page on which anybody checks a signed document: in both languages, with and without scripts, signed in or not."""

from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from playwright.async_api import expect

from tests.journeys import reported
from tests.portal.browsing import Portal, shown, visitor
from tests.system import System


async def given_document(system: System) -> bytes:
    request_id = await reported(system)
    [document] = (await system.requester.get(f"/requests/{request_id}/reports")).json()
    return (await system.requester.get(f"/requests/{request_id}/reports/{document['report_id']}.pdf")).content


async def checked(http: httpx.AsyncClient, pdf: bytes, language: str) -> httpx.Response:
    return await http.post(f"/verify?language={language}", files={"file": ("lettre.pdf", pdf, "application/pdf")})


@pytest.mark.parametrize(
    ("language", "holds", "does_not", "missing"),
    [
        ("fr", "La signature est valide", "La signature n’est pas valide", "Choisissez le fichier PDF"),
        ("en", "The signature is valid", "The signature does not hold", "Choose the PDF file"),
    ],
)
async def test_without_an_account_and_without_scripts(
    portal_app: FastAPI, system: System, language: str, holds: str, does_not: str, missing: str
) -> None:
    pdf = await given_document(system)
    async with visitor(portal_app) as http:
        page = await http.get(f"/verify?language={language}")
        assert page.headers["cache-control"] == "no-store"
        assert missing in shown(page)
        answer = await checked(http, pdf, language)
        text = shown(answer)
        assert holds in text
        assert "lettre.pdf" in text
        assert system.provider.account.family_name in text
        assert does_not in shown(await checked(http, pdf + b"\n% more", language))
        assert missing in shown(await checked(http, b"", language), 422)
        elsewhere = await http.post(
            "/verify",
            files={"file": ("a.pdf", pdf)},
            headers={"Sec-Fetch-Site": "cross-site", "Origin": "https://x.test"},
        )
        assert elsewhere.status_code == 403


async def test_signed_in_it_is_the_same_page(portal_app: FastAPI, system: System) -> None:
    pdf = await given_document(system)
    async with visitor(portal_app, system.requester) as http:
        assert "La signature est valide" in shown(await checked(http, pdf, "fr"))


async def test_a_file_is_checked_as_soon_as_it_is_chosen(portal: Portal, system: System, tmp_path: Path) -> None:
    file = tmp_path / "rapport.pdf"
    file.write_bytes(await given_document(system))
    async with portal.visit() as page:
        await page.goto("/verify")
        await page.set_input_files("#file", file)
        await expect(page.locator("#verdict")).to_contain_text("La signature est valide")
