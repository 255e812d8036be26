"""The guide: for everybody, in both languages, and true to what the code decides."""

import re

import pytest
from fastapi import FastAPI

from domain.calendar import Span
from domain.requests import Status
from portal.choices import CHOICES
from portal.guide import CHAPTERS
from tests.portal.browsing import shown, visitor
from tests.system import System
from translations import LANGUAGES, Language, gettext_for
from translations.dates import span
from translations.words import RETURN_REASONS, STATUSES


@pytest.mark.parametrize("language", LANGUAGES)
async def test_anybody_can_read_every_chapter(portal_app: FastAPI, language: Language) -> None:
    _ = gettext_for(language)
    async with visitor(portal_app) as http:
        answer = await http.get("/help", headers={"Accept-Language": language})
    text = shown(answer)
    assert f'<html lang="{language}">' in answer.text
    for chapter in CHAPTERS:
        assert f'href="#{chapter.name}"' in answer.text
        assert f'id="{chapter.name}"' in answer.text
        assert _(chapter.title) in text
    for word in (*STATUSES.values(), *RETURN_REASONS.values()):
        assert _(word) in text
    assert "1 866 555-0123" in text


async def test_every_link_within_the_guide_leads_somewhere(portal_app: FastAPI) -> None:
    async with visitor(portal_app) as http:
        page = (await http.get("/help")).text
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(re.findall(r'id="([^"]+)"', page))


async def test_the_reader_gets_their_language_and_their_part_first(portal_app: FastAPI, system: System) -> None:
    async with visitor(portal_app, system.provider) as http:
        answer = await http.get("/help", headers={"Accept-Language": "en"})
        text = shown(answer)
        assert "Pour vous : Traiter une demande" in text
        assert gettext_for("fr")(CHOICES["request_information"].label).replace("\N{NO-BREAK SPACE}", " ") in text
        assert "Answer a request" in shown(await http.get("/help?language=en"))


async def test_deadlines_are_those_of_the_offerings(portal_app: FastAPI, system: System) -> None:
    async with visitor(portal_app) as http:
        text = shown(await http.get("/help", headers={"Accept-Language": "fr"}))
    assert "Accepter une demande 3 jours ouvrables 1 jour 4 heures" in text
    own = [offering for offering in system.services.offerings.values() if offering.deadlines]
    assert own
    for offering in own:
        assert f"{offering.title.fr} À faire" in text


@pytest.mark.parametrize(
    ("written", "french", "english"),
    [
        ("2h", "2 heures", "2 hours"),
        ("1d", "1 jour", "1 day"),
        ("1bd", "1 jour ouvrable", "1 business day"),
        ("7bd", "7 jours ouvrables", "7 business days"),
    ],
)
def test_a_span_in_words(written: str, french: str, english: str) -> None:
    for language, words in (("fr", french), ("en", english)):
        assert span(Span.of(written), language).replace("\N{NO-BREAK SPACE}", " ") == words  # type: ignore[arg-type]


async def test_a_session_that_has_ended_reads_as_anybody(portal_app: FastAPI, system: System) -> None:
    async with visitor(portal_app, system.provider2) as http:
        session = http.cookies["relais"]
        await http.post("/signout")
        http.cookies.set("relais", session)
        assert "Pour vous" not in shown(await http.get("/help"))


def test_every_status_has_its_meaning() -> None:
    assert set(STATUSES) == set(Status)
