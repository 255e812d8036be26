"""The guide: for everybody, in both languages, and true to what the code decides."""

import re

import pytest
from fastapi import FastAPI

from domain.calendar import Span
from domain.requests import Role, Status
from portal.choices import CHOICES
from portal.guide import ALL, CHAPTERS
from portal.help_places import PAGES, STEPS, help_address
from tests.journeys import assigned
from tests.portal.browsing import shown, visitor
from tests.system import System, add_person
from translations import LANGUAGES, Language, gettext_for
from translations.dates import span
from translations.words import RETURN_REASONS, STATUSES


@pytest.mark.parametrize("language", LANGUAGES)
async def test_anybody_can_read_every_chapter(portal_app: FastAPI, language: Language) -> None:
    _ = gettext_for(language)
    async with visitor(portal_app) as http:
        http.headers["Accept-Language"] = language
        contents = await http.get("/help")
        answer = await http.get("/help/all")
        for chapter in CHAPTERS:
            page = await http.get(f"/help/{chapter.name}")
            assert f'href="/help/{chapter.name}"' in contents.text
            assert page.text.count('<section class="card"') == 1
            assert _(chapter.title) in shown(page)
        assert (await http.get("/help/nothing")).status_code == 404
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
        whole = (await http.get("/help/all")).text
        there = set(re.findall(r'id="([^"]+)"', whole))
        assert set(re.findall(r'href="#([^"]+)"', whole)) <= there
        for chapter in CHAPTERS:
            page = (await http.get(f"/help/{chapter.name}")).text
            for name, place in re.findall(r'href="/help/(\w+)(?:#([^"]+))?"', page):
                assert name in (ALL, *(known.name for known in CHAPTERS))
                assert not place or place in there


@pytest.mark.parametrize("language", LANGUAGES)
async def test_every_page_leads_to_its_part_of_the_guide(portal_app: FastAPI, language: Language) -> None:
    places = {place for known in (*PAGES.values(), *STEPS.values()) for place in known.values()}
    async with visitor(portal_app) as http:
        for place in places:
            page = (await http.get(f"/help/{place.partition('-')[0]}", headers={"Accept-Language": language})).text
            assert f'id="{place}"' in page


@pytest.mark.parametrize(
    ("path", "roles", "offered", "address"),
    [
        ("/worklist", [Role.PROVIDER], [], "/help/provider#provider-open"),
        ("/worklist", [Role.REQUESTER, Role.DISPATCHER], [], "/help/dispatcher#dispatcher-late"),
        ("/requests/1", [Role.PROVIDER], ["accept", "transfer"], "/help/provider#provider-accept"),
        ("/requests/1", [Role.REQUESTER], ["answer?question=2"], "/help/requester#requester-answer"),
        ("/requests/1", [Role.CLINIC_ADMINISTRATOR], [], "/help/administrator"),
        ("/requests/1/report/sign", [Role.PROVIDER], [], "/help/provider#provider-sign"),
        ("/requests/1/return-to-requester", [Role.DISPATCHER], [], "/help/dispatcher#dispatcher-priority"),
        ("/requests/1/media/2", [Role.REQUESTER], [], "/help/keys"),
        ("/account/texts", [Role.OPERATOR], [], "/help/settings"),
        ("/undelivered", [Role.OPERATOR], [], "/help"),
    ],
)
def test_where_a_page_finds_help(path: str, roles: list[Role], offered: list[str], address: str) -> None:
    assert help_address(path, roles, offered) == address


async def test_a_first_visit_shows_where_to_begin(portal_app: FastAPI, system: System) -> None:
    for role, words in (
        (Role.REQUESTER, "Besoin de l’avis d’une ou d’un spécialiste"),
        (Role.PROVIDER, "Rien ne vous attend"),
    ):
        newcomer = await add_person(system, f"newcomer_{role}", system.clinics["far"], role)
        async with visitor(portal_app, newcomer) as http:
            page = await http.get("/worklist")
        assert "Par où commencer" in shown(page)
        assert words in shown(page)
        assert 'href="/help/' in page.text
    await assigned(system)
    async with visitor(portal_app, system.requester) as http:
        assert "Par où commencer" not in shown(await http.get("/worklist?filter=1&q=nobody-has-this-name"))


async def test_the_reader_gets_their_language_and_their_part_first(portal_app: FastAPI, system: System) -> None:
    async with visitor(portal_app, system.provider) as http:
        answer = await http.get("/help", headers={"Accept-Language": "en"})
        text = shown(answer)
        assert "Pour vous : Traiter une demande" in text
        part = shown(await http.get("/help/provider"))
        assert gettext_for("fr")(CHOICES["request_information"].label).replace("\N{NO-BREAK SPACE}", " ") in part
        assert "Answer a request" in shown(await http.get("/help?language=en"))
        asked = (await http.get(f"/requests/{await assigned(system)}")).text
        assert asked.count('href="/help/provider#provider-accept"') == 2


async def test_deadlines_are_those_of_the_offerings(portal_app: FastAPI, system: System) -> None:
    async with visitor(portal_app) as http:
        text = shown(await http.get("/help/deadlines", headers={"Accept-Language": "fr"}))
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
