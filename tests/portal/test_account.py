"""One's own settings: language, notices, absences, password; and who one is."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from fastapi import FastAPI

from domain.calendar import day_of
from domain.requests import Role
from tests.portal.browsing import shown, visitor
from tests.system import PASSWORD, Clinician, System, add_person


@pytest.fixture
async def person(system: System) -> AsyncIterator[Clinician]:
    """Somebody whose settings nobody else needs."""
    yield await add_person(system, "settler", system.clinics["near"], Role.PROVIDER, Role.REQUESTER)
    await system.people.pop("settler").http.aclose()


def found_key(html: str) -> str:
    """The key that makes the page's form act once."""
    return str(re.findall(r'name="key" value="([^"]+)"', html)[0])


def in_days(count: int) -> str:
    return (day_of(datetime.now(UTC)) + timedelta(days=count)).isoformat()


async def test_the_page_says_who_one_is_and_what_each_choice_means(portal_app: FastAPI, person: Clinician) -> None:
    async with visitor(portal_app, person) as http:
        text = shown(await http.get("/account"))
    assert person.account.email in text
    assert "Demandeur ou demandeuse" in text
    assert "Fournisseur ou fournisseuse" in text
    assert "Clinique du Fleuve" in text
    assert "12345" in text
    assert "7 h 00, 12 h 00 et 17 h 00" in text
    assert "Demandez à l’administration de votre clinique" in text


async def test_the_page_answers_in_the_language_just_chosen(portal_app: FastAPI, person: Clinician) -> None:
    async with visitor(portal_app, person) as http:
        answer = await http.post("/account", data={"language": "en", "notice_mode": "grouped"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/account?done=settings")
        page = await http.get(answer.headers["location"])
        assert "Your settings are saved." in shown(page)
        assert '<html lang="en">' in page.text
        assert 'value="grouped" checked' in page.text
        assert (await person.get("/me")).json()["notice_mode"] == "grouped"


async def test_a_choice_that_does_not_exist_is_refused(portal_app: FastAPI, person: Clinician) -> None:
    async with visitor(portal_app, person) as http:
        answer = await http.post("/account", data={"language": "fr", "notice_mode": "never"})
        assert "Ce n’est pas un des choix." in shown(answer, 422)
        assert 'href="#field-notice_mode"' in answer.text
        assert (await person.get("/me")).json()["notice_mode"] == "at_once"


async def test_an_absence_is_entered_once_and_removed_again(portal_app: FastAPI, person: Clinician) -> None:
    async with visitor(portal_app, person) as http:
        key = found_key((await http.get("/account")).text)
        absence = {"starts_on": in_days(10), "ends_on": in_days(12), "note": "Congrès", "key": key}
        for _ in range(2):  # a double click
            answer = await http.post("/account/absences", data=absence)
            assert answer.headers["location"] == f"/providers/{person.id}?done=absence#held"  # what they leave behind
        assert "Congrès" in shown(await http.get("/account"))
        there = (await person.get("/me/absences")).json()
        assert len(there) == 1
        for _ in range(2):
            answer = await http.post(f"/account/absences/{there[0]['id']}/remove")
            assert answer.headers["location"] == "/account?done=absence_removed"
        assert "Aucune absence à venir." in shown(await http.get("/account"))


@pytest.mark.parametrize(
    ("start", "end", "sentence", "field"),
    [
        (12, 10, "se termine avant", "ends_on"),
        (-5, -3, "déjà", "ends_on"),
        (1, 500, "un an", "ends_on"),
        (None, 3, "Ce champ est requis.", "starts_on"),
    ],
)
async def test_wrong_dates_are_said_at_the_field_and_nothing_is_lost(
    portal_app: FastAPI, person: Clinician, start: int | None, end: int, sentence: str, field: str
) -> None:
    async with visitor(portal_app, person) as http:
        absence = {"ends_on": in_days(end), "note": "Semaine de relâche"}
        if start is not None:
            absence["starts_on"] = in_days(start)
        answer = await http.post("/account/absences", data=absence)
    assert sentence in shown(answer, 422)
    assert f'href="#field-{field}"' in answer.text
    assert f'id="error-{field}"' in answer.text
    assert 'value="Semaine de relâche"' in answer.text
    assert f'value="{in_days(end)}"' in answer.text


async def test_an_absence_that_overlaps_another_is_refused(portal_app: FastAPI, person: Clinician) -> None:
    async with visitor(portal_app, person) as http:
        await http.post("/account/absences", data={"starts_on": in_days(20), "ends_on": in_days(25)})
        answer = await http.post("/account/absences", data={"starts_on": in_days(25), "ends_on": in_days(30)})
    shown(answer, 409)
    assert 'id="error-starts_on"' in answer.text


async def test_a_new_password_counts_at_the_next_sign_in(portal_app: FastAPI, person: Clinician) -> None:
    new = "quatre mots sans aucun lien"
    async with visitor(portal_app, person) as http, visitor(portal_app, person) as elsewhere:
        answer = await http.post("/account/password", data={"current": PASSWORD, "new": new})
        assert answer.headers["location"] == "/account?done=password"
        shown(await http.get("/account"))
        assert (await elsewhere.get("/account")).status_code == 303  # the other browser is signed out
    async with visitor(portal_app) as http:
        for password, status in ((PASSWORD, 401), (new, 303)):
            answer = await http.post("/signin", data={"username": person.account.username, "password": password})
            assert answer.status_code == status


async def test_people_sign_out_elsewhere(portal_app: FastAPI, person: Clinician) -> None:
    async with (
        visitor(portal_app, person) as http,
        visitor(portal_app, person) as one,
        visitor(portal_app, person) as two,
    ):
        ends = re.findall(r"/account/sessions/[0-9a-f-]+/end", (await http.get("/account")).text)
        answer = await http.post(ends[0])
        assert answer.headers["location"] == "/account?done=session_ended"
        assert (await http.post(ends[0])).headers["location"] == "/account?done=session_ended"  # it had ended already
        assert {(await one.get("/account")).status_code, (await two.get("/account")).status_code} == {200, 303}
        answer = await http.post("/account/sessions/end-others")
        assert answer.headers["location"] == "/account?done=sessions_ended"
        assert [(await each.get("/account")).status_code for each in (one, two)] == [303, 303]
        page = shown(await http.get("/account?done=sessions_ended"))
        assert "Toutes les autres sessions sont fermées." in page
        assert "/end-others" not in page


@pytest.mark.parametrize(
    ("current", "new", "field", "status"),
    [
        ("not the password", "quatre mots sans aucun lien", "current", 403),
        (PASSWORD, "court", "new", 422),
        ("", "quatre mots sans aucun lien", "current", 422),
    ],
)
async def test_a_password_that_will_not_do_is_said_at_its_field_and_never_shown(
    portal_app: FastAPI, person: Clinician, current: str, new: str, field: str, status: int
) -> None:
    async with visitor(portal_app, person) as http:
        answer = await http.post("/account/password", data={"current": current, "new": new})
    shown(answer, status)
    assert f'href="#field-{field}"' in answer.text
    assert new not in answer.text
    assert not current or current not in answer.text


async def test_another_site_cannot_change_settings(portal_app: FastAPI, person: Clinician) -> None:
    async with visitor(portal_app, person) as http:
        answer = await http.post("/account", data={"language": "en"}, headers={"Sec-Fetch-Site": "cross-site"})
        assert answer.status_code == 403
    assert (await person.get("/me")).json()["language"] == "fr"
