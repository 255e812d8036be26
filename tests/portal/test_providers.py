"""Who can be given a request: loads and absences, whom to assign and to transfer to; and who looked at a request."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from fastapi import FastAPI

from domain.calendar import day_of
from domain.requests import Role
from records.models import Account
from tests.journeys import accepted, assigned, draft, ok, submitted
from tests.portal.browsing import hidden, shown, visitor
from tests.system import Clinician, System, add_person


@pytest.fixture
async def absent(system: System) -> AsyncIterator[Clinician]:
    """A provider of the near clinic who is away today."""
    person = await add_person(system, "absent", system.clinics["near"], Role.PROVIDER)
    day = day_of(datetime.now(UTC))
    body = {"starts_on": day.isoformat(), "ends_on": (day + timedelta(days=3)).isoformat()}
    ok(await person.post("/me/absences", body), 201)
    yield person
    async with system.services.database.session() as session:
        account = await session.get_one(Account, person.account.id)
        account.active = False
    await system.people.pop("absent").http.aclose()


async def test_dispatchers_see_load_and_absences(portal_app: FastAPI, system: System, absent: Clinician) -> None:
    await assigned(system)
    async with visitor(portal_app, system.dispatcher) as http:
        answer = await http.get("/providers")
    text = shown(answer)
    assert 'data-live="/events"' in answer.text
    assert "Clinique du Fleuve" in text
    assert "Clinique des Érables" not in text  # where their clinic does not route
    assert f"{absent.account.given_name} {absent.account.family_name}" in text
    assert "En absence jusqu’au" in text
    assert answer.text.index(str(system.provider2.id)) < answer.text.index(absent.id)  # who is there comes first


async def test_administrators_enter_and_remove_the_absence_of_a_colleague(portal_app: FastAPI, system: System) -> None:
    colleague = await add_person(system, "traveller", system.clinics["near"], Role.PROVIDER)
    start = day_of(datetime.now(UTC)) + timedelta(days=5)
    days = {"starts_on": start.isoformat(), "ends_on": (start + timedelta(days=1)).isoformat(), "note": "Formation"}
    async with visitor(portal_app, system.administrator) as http:
        answer = await http.post(f"/providers/{colleague.id}/absences", data=days)
        assert answer.headers["location"] == f"/providers/{colleague.id}?done=absence"
        assert "Formation" in shown(await http.get(answer.headers["location"]))
        assert "Absence du" in shown(await http.get("/providers"))
        wrong = {**days, "ends_on": (start - timedelta(days=1)).isoformat()}
        answer = await http.post(f"/providers/{colleague.id}/absences", data=wrong)
        shown(answer, 422)
        assert 'value="Formation"' in answer.text
        [there] = (await colleague.get("/me/absences")).json()
        answer = await http.post(f"/providers/{colleague.id}/absences/{there['id']}/remove")
        assert answer.headers["location"] == f"/providers/{colleague.id}?done=absence_removed"
    assert (await colleague.get("/me/absences")).json() == []


async def test_others_cannot_change_a_colleagues_absences(portal_app: FastAPI, system: System) -> None:
    start = (day_of(datetime.now(UTC)) + timedelta(days=5)).isoformat()
    absence = {"starts_on": start, "ends_on": start}
    address = f"/providers/{system.provider2.id}"
    async with visitor(portal_app, system.dispatcher) as http:
        assert "Inscrire l’absence" not in shown(await http.get(address))
        assert (await http.post(f"{address}/absences", data=absence)).status_code == 403
    for stranger in (system.provider, system.far_dispatcher):
        async with visitor(portal_app, stranger) as http:
            assert (await http.get(address)).status_code == 404
            assert (await http.post(f"{address}/absences", data=absence)).status_code == 404


async def test_the_page_to_assign_shows_the_request_and_who_is_away(
    portal_app: FastAPI, system: System, absent: Clinician
) -> None:
    request_id = await assigned(system)
    ok(await system.provider.post(f"/requests/{request_id}/return-to-dispatch", {"comment": "Plutôt un chirurgien."}))
    async with visitor(portal_app, system.dispatcher) as http:
        page = await http.get(f"/requests/{request_id}/assign")
        text = shown(page)
        assert "La demande en bref" in text
        assert "Réponse: question" in text
        assert "Retournée en répartition" in text
        assert "Plutôt un chirurgien." in text
        assert "En absence jusqu’au" in text
        assert "à accepter" in text
        assert page.text.index(f"clinic:{system.clinics['near'].id}") < page.text.index(f"provider:{absent.id}")
        answer = await http.post(f"/requests/{request_id}/assign", data={**hidden(page), "to": f"provider:{absent.id}"})
        assert answer.headers["location"] == f"/requests/{request_id}?done=assign"
        worklist = shown(await http.get("/worklist?filter=1&absent=1"))
    number = (await system.dispatcher.view(request_id))["number"]
    assert number in worklist


async def test_nobody_chosen_is_said_in_words_of_the_page(portal_app: FastAPI, system: System) -> None:
    request_id = await submitted(system)
    async with visitor(portal_app, system.dispatcher) as http:
        page = await http.get(f"/requests/{request_id}/assign")
        answer = await http.post(f"/requests/{request_id}/assign", data={**hidden(page), "comment": "Merci."})
        text = shown(answer, 422)
        assert "Choisissez une personne, ou toutes celles d’une clinique." in text
        assert 'href="#field-to"' in answer.text
        assert "Merci." in text


async def test_one_transfers_to_colleagues_but_not_to_oneself(portal_app: FastAPI, system: System) -> None:
    request_id = await accepted(system)
    async with visitor(portal_app, system.provider) as http:
        page = await http.get(f"/requests/{request_id}/transfer")
        assert f'value="{system.provider2.id}"' in page.text
        assert f'value="{system.provider.id}"' not in page.text
        assert f'value="{system.far_provider.id}"' not in page.text
        answer = await http.post(f"/requests/{request_id}/transfer", data={**hidden(page), "comment": "Je pars."})
        assert "Je pars." in shown(answer, 422)
        assert 'href="#field-provider_id"' in answer.text


async def test_the_requester_and_administrators_read_who_looked(portal_app: FastAPI, system: System) -> None:
    request_id = await accepted(system)
    await system.provider.view(request_id)
    for reader in (system.requester, system.administrator):
        async with visitor(portal_app, reader) as http:
            assert f"/requests/{request_id}/accesses" in (await http.get(f"/requests/{request_id}")).text
            text = shown(await http.get(f"/requests/{request_id}/accesses"))
            assert "Dre Anne Provider" in text
            assert "la demande" in text


async def test_others_do_not_read_who_looked(portal_app: FastAPI, system: System) -> None:
    request_id = await accepted(system)
    for reader, status in ((system.provider, 403), (system.dispatcher, 403), (system.far_requester, 404)):
        async with visitor(portal_app, reader) as http:
            assert (await http.get(f"/requests/{request_id}/accesses")).status_code == status
            assert f"/requests/{request_id}/accesses" not in (await http.get(f"/requests/{request_id}")).text


async def test_a_draft_has_no_such_link(portal_app: FastAPI, system: System) -> None:
    request_id = await draft(system)
    async with visitor(portal_app, system.requester) as http:
        assert "/accesses" not in (await http.get(f"/requests/{request_id}")).text


async def test_a_request_is_handed_on_from_its_page(portal_app: FastAPI, system: System) -> None:
    request_id = await accepted(system)
    async with visitor(portal_app, system.administrator) as http:
        assert "Confier à quelqu’un d’autre" in shown(await http.get(f"/requests/{request_id}"))
        page = await http.get(f"/requests/{request_id}/reassign")
        assert "L’équipe de répartition cherche quelqu’un d’autre." in shown(page)
        assert f"provider:{system.provider.id}" not in page.text  # who has it
        answer = await http.post(f"/requests/{request_id}/reassign", data={**hidden(page), "to": "dispatch"})
        shown(answer, 422)
        assert 'href="#field-reason"' in answer.text
        said = {**hidden(page), "to": f"provider:{system.provider2.id}", "reason": "En congé de maladie."}
        answer = await http.post(f"/requests/{request_id}/reassign", data=said)
        assert answer.headers["location"] == f"/requests/{request_id}?done=reassign"
        text = shown(await http.get(f"/requests/{request_id}"))
        assert "En congé de maladie." in text
        assert "Confiée à quelqu’un d’autre" in text
    assert (await system.dispatcher.view(request_id))["holder"]["person"]["id"] == system.provider2.id


def key_of(page: httpx.Response) -> dict[str, str]:
    """What the form that hands over carries, which comes last on its page."""
    return {"key": re.findall(r'name="key" value="([^"]*)"', page.text)[-1]}


async def test_what_somebody_holds_is_handed_over_from_their_page(
    portal_app: FastAPI, system: System, absent: Clinician
) -> None:
    """What is due before they are back is chosen already; what somebody else has got meanwhile is said so."""
    ids = [await submitted(system, priority=priority) for priority in ("asap", "routine")]
    for request_id in ids:
        ok(await system.dispatcher.post(f"/requests/{request_id}/assign", {"provider_id": absent.id}))
    async with visitor(portal_app, system.dispatcher) as http:
        page = await http.get(f"/providers/{absent.id}")
        assert "Échéance pendant l’absence" in shown(page)
        assert re.search(rf'value="{ids[0]}" checked', page.text)
        said = {**key_of(page), "request": ids, "to": f"provider:{system.provider2.id}", "reason": "En congé."}
        ok(await system.dispatcher.post(f"/requests/{ids[1]}/assign", {"provider_id": system.provider.id}))
        answer = await http.post(f"/providers/{absent.id}/hand-over", data=said)
        assert "Tout n’a pas pu être confié." in shown(answer)
        for request_id, who in zip(ids, (system.provider2, system.provider), strict=True):
            assert (await system.dispatcher.view(request_id))["holder"]["person"]["id"] == who.id
        ok(await system.dispatcher.post(f"/requests/{ids[0]}/assign", {"provider_id": absent.id}))
        page = await http.get(f"/providers/{absent.id}")
        answer = await http.post(f"/providers/{absent.id}/hand-over", data={**key_of(page), "reason": "En congé."})
        assert 'href="#field-to"' in answer.text
        said = {**key_of(page), "request": ids[:1], "to": "dispatch", "reason": "En congé."}
        answer = await http.post(f"/providers/{absent.id}/hand-over", data=said)
        assert answer.headers["location"] == f"/providers/{absent.id}?done=handed_over"
        assert "Aucune demande que vous pouvez voir." in shown(await http.get(f"/providers/{absent.id}"))
    assert (await system.dispatcher.view(ids[0]))["status"] == "awaiting_dispatch"


async def test_the_page_of_somebody_who_has_left_shows_what_they_left(
    portal_app: FastAPI, system: System, absent: Clinician
) -> None:
    request_id = await submitted(system)
    ok(await system.dispatcher.post(f"/requests/{request_id}/assign", {"provider_id": absent.id}))
    async with system.services.database.session() as session:
        account = await session.get_one(Account, absent.account.id)
        account.active = False
    number = (await system.dispatcher.view(request_id))["number"]
    for who in (system.dispatcher, system.administrator):
        async with visitor(portal_app, who) as http:
            assert number in shown(await http.get(f"/providers/{absent.id}"))
            assert f"/providers/{absent.id}" in (await http.get(f"/requests/{request_id}")).text
    for who in (system.provider, system.far_dispatcher):
        async with visitor(portal_app, who) as http:
            assert (await http.get(f"/providers/{absent.id}")).status_code == 404


async def test_whoever_enters_an_absence_of_their_own_sees_what_they_leave_behind(
    portal_app: FastAPI, system: System
) -> None:
    request_id = await accepted(system)
    number = (await system.provider.view(request_id))["number"]
    day = (day_of(datetime.now(UTC)) + timedelta(days=2)).isoformat()
    async with visitor(portal_app, system.provider) as http:
        answer = await http.post("/account/absences", data={"starts_on": day, "ends_on": day})
        assert answer.headers["location"] == f"/providers/{system.provider.id}?done=absence#held"
        page = await http.get(f"/providers/{system.provider.id}")
        assert number in shown(page)
        said = {**key_of(page), "request": [request_id], "to": f"provider:{system.provider2.id}", "reason": "Congé."}
        answer = await http.post(f"/providers/{system.provider.id}/hand-over", data=said)
        assert answer.headers["location"] == f"/providers/{system.provider.id}?done=handed_over"
        assert (await http.get(f"/providers/{system.provider2.id}")).status_code == 404
    assert (await system.requester.view(request_id))["holder"]["person"]["id"] == system.provider2.id
    for absence in (await system.provider.get("/me/absences")).json():
        await system.provider.http.delete(f"/api/v1/me/absences/{absence['id']}")


async def test_administrators_say_what_a_colleague_serves(portal_app: FastAPI, system: System) -> None:
    nurse = await add_person(system, "nurse", system.clinics["near"], Role.PROVIDER)
    address = f"/providers/{nurse.id}"
    async with visitor(portal_app, system.administrator) as http:
        assert 'name="serves" value="all" checked' in (await http.get(address)).text
        answer = await http.post(f"{address}/offerings", data={"serves": "some", "offerings": "wound_care"})
        assert answer.headers["location"] == f"{address}?done=offerings"
        saved = await http.get(answer.headers["location"])
        assert 'name="offerings" value="wound_care" checked' in saved.text
        assert "viennent en premier" in shown(saved)
        nothing = await http.post(f"{address}/offerings", data={"serves": "some"})
        shown(nothing, 422)
        assert 'name="serves" value="some" checked' in nothing.text
    request_id = await submitted(system)
    async with visitor(portal_app, system.dispatcher) as http:
        assert 'name="serves"' not in (await http.get(address)).text
        assert (await http.post(f"{address}/offerings", data={"serves": "all"})).status_code == 403
        page = (await http.get(f"/requests/{request_id}/assign")).text
    assert page.index(str(system.provider2.id)) < page.index(nurse.id)
    label = page[page.rindex("<label", 0, page.index(nurse.id)) : page.index("</label>", page.index(nurse.id))]
    assert "not-served" in label
    assert "Ne répond pas à : Télédermatologie" in " ".join(re.sub(r"<[^>]+>", " ", label).split())
    assert "not-served-warning" in page
