"""How the pages look: light or dark as somebody wants it, on paper, in the system's colours; and the portal as an application."""

import re
from collections.abc import Awaitable
from itertools import product

import httpx
import pypdfium2
import pytest
from fastapi import FastAPI
from PIL import Image, ImageChops

from portal import icons, static
from portal.installable import ICONS
from portal.themes import THEMES
from tests.journeys import accepted, reported, submitted
from tests.portal.browsing import Portal, shown, visitor
from tests.system import System
from translations import LANGUAGES, Language

GROUNDS = ("ground", "paper")
PAIRS = (
    *product(("ink", "soft", "brand", "danger", "news"), GROUNDS),
    *product(("ink", "soft"), ("tint", "brand-tint", "danger-tint", "warn-tint", "good-tint", "news-tint")),
    *((name, f"{name}-tint") for name in ("brand", "danger", "warn", "good", "news")),
    *(
        ("warn", "paper"),
        ("good", "paper"),
        ("good", "news-tint"),
        ("danger", "news-tint"),
        ("brand-dark", "brand-tint"),
    ),
    *(("on-brand", "brand"), ("on-brand", "brand-dark"), ("on-danger", "danger"), ("on-danger", "danger-dark")),
    *(("on-news", "news"),),
)
"""Which text stands on which ground, by the names of the colours."""


def colours_of(name: str) -> dict[str, str]:
    """The named colours of a style sheet."""
    root = re.search(r":root \{(.*?)\n\}", (static.FOLDER / name).read_text(), re.DOTALL)
    assert root
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", root[1]))


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("sheet", ["portal.css", "dark.css"])
def test_every_text_stands_out_from_its_ground(sheet: str) -> None:
    colours = colours_of(sheet)
    assert colours.keys() == colours_of("portal.css").keys()

    def contrast(text: str, ground: str) -> float:
        dark, light = sorted((luminance(colours[text]), luminance(colours[ground])))
        return (light + 0.05) / (dark + 0.05)

    assert {pair: contrast(*pair) for pair in PAIRS if contrast(*pair) < 4.5} == {}


async def test_a_look_is_chosen_for_the_device(portal_app: FastAPI, system: System) -> None:
    async with visitor(portal_app, system.provider) as http:
        page = await http.get("/account")
        assert '<meta name="color-scheme" content="light dark">' in page.text
        assert 'media="screen and (prefers-color-scheme: dark)"' in page.text
        for theme in THEMES:
            answer = await http.post("/theme", data={"theme": theme})
            page = await http.get(answer.headers["location"])
            assert "sur cet appareil" in shown(page)
            assert f'name="theme" value="{theme}" checked' in page.text
            assert f'content="{THEMES[theme].color_scheme}"' in page.text
            assert ("dark.css" in page.text) == (theme != "light")
        await http.post("/theme", data={"theme": "light"})
        await http.post("/signout")
        assert "dark.css" not in (await http.get("/signin")).text
        assert (await http.post("/theme", data={"theme": "pink"})).status_code == 422
        away = await http.post("/theme", data={"theme": "dark"}, headers={"Sec-Fetch-Site": "cross-site"})
        assert away.status_code == 403


def test_dark_colours_are_for_screens() -> None:
    assert all((theme.dark_on or "screen").startswith("screen") for theme in THEMES.values())
    for sheet in ("portal.css", "dark.css"):
        assert "filter:" not in (static.FOLDER / sheet).read_text(), "a photo is shown as it was taken"


@pytest.mark.parametrize("language", LANGUAGES)
async def test_a_browser_can_install_the_portal(portal_app: FastAPI, language: Language) -> None:
    async with visitor(portal_app) as http:
        page = (await http.get("/signin", headers={"Accept-Language": language})).text
        link = re.search(r'rel="manifest" href="([^"]+)"', page)
        assert link
        answer = await http.get(link[1])
        assert answer.headers["content-type"] == "application/manifest+json"
        told = answer.json()
        assert told["lang"] == f"{language}-CA"
        assert told["description"].startswith({"fr": "Demander l’avis", "en": "Ask a specialist"}[language])
        assert (told["name"], told["start_url"], told["display"]) == ("Relais", "/", "standalone")
        purposes = {(icon["sizes"], icon["purpose"]) for icon in told["icons"]}
        assert purposes >= {("192x192", "any"), ("512x512", "any"), ("512x512", "maskable"), ("any", "any")}
        for icon in told["icons"]:
            found: httpx.Response = await http.get(icon["src"])
            assert found.headers["content-type"].partition(";")[0] == icon["type"]
        assert (await http.get("/manifest-de.webmanifest")).status_code == 404


@pytest.mark.parametrize("name", ICONS)
def test_an_icon_is_as_it_is_drawn(name: str) -> None:
    with Image.open(static.FOLDER / name) as kept:
        drawn = icons.drawn(name)
        assert kept.size == drawn.size
        assert ImageChops.difference(kept.convert("RGBA"), drawn).getbbox() is None


async def test_on_paper_every_sheet_says_whose_it_is(portal: Portal, system: System, only_in_chromium: None) -> None:
    """And it is light, even where the screen is dark."""
    request_id = await reported(system)
    view = await system.requester.view(request_id)
    page = await portal.look(system.requester)
    await page.goto(f"/requests/{request_id}")
    await page.emulate_media(color_scheme="dark", media="print")
    assert await page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert await page.evaluate("getComputedStyle(document.body).color") == "rgb(23, 37, 43)"
    sheets = pypdfium2.PdfDocument(await page.pdf(format="Letter"))
    await page.emulate_media(color_scheme="light", media="screen")
    assert len(sheets) > 1
    for sheet in sheets:
        text = " ".join(sheet.get_textpage().get_text_range().split())
        for word in (view["number"], view["patient"]["family_name"], "Imprimé par"):
            assert word in text


async def test_on_paper_a_field_stands_with_its_name(portal: Portal, system: System, only_in_chromium: None) -> None:
    """A report that is being written is printed, too."""
    request_id = await accepted(system)
    page = await portal.look(system.provider)
    await page.goto(f"/requests/{request_id}/report")
    above = [" ".join(words.split()) for words in await page.locator(".field :is(label, .hint)").all_inner_texts()]
    assert len(above) > 5
    await page.evaluate(
        "document.querySelectorAll('textarea, .field input').forEach(field => { field.value = 'Rempli.'; })"
    )
    sheets = pypdfium2.PdfDocument(await page.pdf(format="Letter"))
    ends = [sheet.get_textpage().get_text_range().split("\n")[-1] for sheet in sheets]
    assert [end for end in ends if " ".join(end.split()) in above] == []


WITHOUT_AN_EDGE = """() => {
  const named = [...document.styleSheets].flatMap((sheet) => [...sheet.cssRules])
    .flatMap((rule) => (rule.selectorText || "").match(/\\.(badge|status)\\.[\\w-]+/g) || []);
  const place = document.querySelector(".worklist.requests td");
  return named.length < 5 ? ["no names"] : [...new Set(named)].filter((name) => {
    const probe = place.appendChild(document.createElement("span"));
    probe.className = name.replaceAll(".", " ");
    const { outlineStyle, outlineWidth } = getComputedStyle(probe);
    probe.remove();
    return outlineStyle !== "solid" || outlineWidth === "0px";
  });
}"""
"""Badges and statuses, by every name that the style sheet has for one, that forced colours leave as plain words."""

IN_COLOURS_OF_OURS = """() => {
  const place = document.body.appendChild(document.createElement("div"));
  place.innerHTML = `<svg class="plot"><text>x</text><line></line><rect class="asked"/><rect class="answered"/></svg>`;
  const { color, backgroundColor } = getComputedStyle(document.body);
  const wrong = [...place.querySelectorAll("text, line, rect")].filter((part) => {
    const { fill, stroke } = getComputedStyle(part);
    return ![fill, stroke].includes(color) || (part.matches(".asked") && fill !== backgroundColor);
  });
  place.remove();
  return wrong.map((part) => part.outerHTML);
}"""
"""Parts of a plot that would be drawn in colours that are not the reader's."""


async def test_colours_that_the_system_forces_leave_nothing_out(
    portal: Portal, system: System, only_in_chromium: None
) -> None:
    """What is chosen is told from what is not, and a button has its edge."""
    await submitted(system)
    page = await portal.look(system.dispatcher)
    await page.emulate_media(forced_colors="active")
    await page.goto("/worklist?filter=1&status=all")

    def style(of: str, name: str) -> Awaitable[str]:
        return page.locator(of).first.evaluate(f"element => getComputedStyle(element).{name}")

    chosen, other = ".statuses a[aria-current]", ".statuses a:not([aria-current])"
    assert await style(chosen, "backgroundColor") != await style(other, "backgroundColor")
    current, besides = ".top-nav a[aria-current]", ".top-nav a:not([aria-current])"
    assert await style(current, "borderBottomColor") != await style(besides, "borderBottomColor")
    assert await style(besides, "borderBottomColor") == await style("body", "backgroundColor")
    assert await style(".button.secondary >> nth=0", "borderTopStyle") == "solid"
    assert await page.evaluate(WITHOUT_AN_EDGE) == []
    assert await page.evaluate(IN_COLOURS_OF_OURS) == []
    await page.emulate_media(forced_colors="none")
