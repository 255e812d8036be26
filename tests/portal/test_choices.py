"""Every choice of a request by its page: what it says beforehand, doing it once, and a plain word when somebody was faster."""

import pytest
from fastapi import FastAPI

from tests.journeys import accepted, asked_about, assigned, ok, pooled, reported, returned, submitted
from tests.portal.browsing import hidden, shown, visitor
from tests.system import PASSWORD, System

CASES = [
    ("submitted", "dispatcher", "assign", {"to": "provider:{provider}"}, "awaiting_acceptance"),
    ("submitted", "dispatcher", "assign", {"to": "clinic:{clinic}", "comment": "À tous."}, "awaiting_acceptance"),
    ("submitted", "dispatcher", "change-priority", {"priority": "urgent", "reason": "Douleur."}, "awaiting_dispatch"),
    ("submitted", "requester", "cancel", {"reason": "Vue ailleurs."}, "cancelled"),
    ("assigned", "provider", "accept", {}, "accepted"),
    ("assigned", "provider", "request-information", {"text": "Depuis quand?"}, "awaiting_acceptance"),
    (
        "assigned",
        "provider",
        "transfer",
        {"provider_id": "{provider2}", "comment": "Ton domaine."},
        "awaiting_acceptance",
    ),
    (
        "assigned",
        "provider",
        "return-to-requester",
        {"reason": "incomplete_submission", "text": "Photos floues."},
        "returned",
    ),
    ("accepted", "provider", "return-to-dispatch", {"comment": "Hors de mon champ."}, "awaiting_dispatch"),
    (
        "reported",
        "requester",
        "acknowledge",
        {"advice_followed": "yes", "visit_avoided": "no", "comment": "Guérie."},
        "closed",
    ),
    ("reported", "requester", "acknowledge", {}, "closed"),
    ("reported", "requester", "ask-follow-up", {"text": "Combien de fois par jour?"}, "reported"),
    ("asked about", "provider", "answer-follow-up", {"text": "Deux fois par jour."}, "closed"),
    ("asked about", "requester", "withdraw-follow-up", {}, "closed"),
    ("asked about", "provider", "addendum", {"text": "Deux fois par jour.", "password": PASSWORD}, "closed"),
]
JOURNEYS = {
    "submitted": submitted,
    "assigned": assigned,
    "accepted": accepted,
    "reported": reported,
    "returned": returned,
    "asked about": asked_about,
}


def said(system: System, fields: dict[str, str]) -> dict[str, str]:
    names = {name: person.id for name, person in system.people.items()}
    return {name: text.format(clinic=system.clinics["near"].id, **names) for name, text in fields.items()}


@pytest.mark.parametrize(("status", "who", "address", "fields", "then"), CASES)
async def test_a_choice_does_what_it_says_once(
    portal_app: FastAPI, system: System, status: str, who: str, address: str, fields: dict[str, str], then: str
) -> None:
    request_id = await JOURNEYS[status](system)
    async with visitor(portal_app, system.people[who]) as http:
        page = await http.get(f"/requests/{request_id}/{address}")
        shown(page)
        body = {**hidden(page), **said(system, fields)}
        answer = await http.post(f"/requests/{request_id}/{address}", data=body)
        assert answer.status_code == 303, shown(answer, answer.status_code)
        shown(await http.get(answer.headers["location"]))
        again = await http.post(f"/requests/{request_id}/{address}", data=body)
        assert (again.status_code, again.headers["location"]) == (303, answer.headers["location"])
    view = await system.requester.view(request_id)
    assert view["status"] == then
    timeline = ok(await system.requester.get(f"/requests/{request_id}/timeline"))
    assert len({entry["version"] for entry in timeline}) == len(timeline)  # type: ignore[index]


async def test_what_is_missing_is_said_at_its_field_and_the_rest_is_kept(portal_app: FastAPI, system: System) -> None:
    request_id = await assigned(system)
    async with visitor(portal_app, system.provider) as http:
        page = await http.get(f"/requests/{request_id}/return-to-requester")
        body = {**hidden(page), "text": "Il manque une vue d’ensemble."}
        answer = await http.post(f"/requests/{request_id}/return-to-requester", data=body)
        text = shown(answer, 422)
        assert "Il manque une vue d’ensemble." in text
        assert 'href="#field-reason"' in answer.text
        assert 'id="field-reason"' in answer.text
        assert "Ce champ est requis." in text
    assert (await system.requester.view(request_id))["status"] == "awaiting_acceptance"


async def test_the_slower_of_two_providers_is_told_who_has_it(portal_app: FastAPI, system: System) -> None:
    request_id = await pooled(system)
    async with visitor(portal_app, system.provider) as faster, visitor(portal_app, system.provider2) as slower:
        page = await slower.get(f"/requests/{request_id}")
        form = hidden(page)
        first = await faster.post(
            f"/requests/{request_id}/accept", data=hidden(await faster.get(f"/requests/{request_id}"))
        )
        assert first.status_code == 303
        text = shown(await slower.post(f"/requests/{request_id}/accept", data=form), 409)
        assert "Quelqu’un d’autre a déjà accepté cette demande." in text
        assert "a maintenant la demande" in text
        assert "Provider" in text


async def test_two_tabs_of_one_person(portal_app: FastAPI, system: System) -> None:
    """The second tab shows what was true before: it does nothing, says so, keeps what was written, and can do it then."""
    request_id = await accepted(system)
    async with visitor(portal_app, system.provider) as http:
        old = hidden(await http.get(f"/requests/{request_id}/return-to-dispatch"))
        question = {**hidden(await http.get(f"/requests/{request_id}/request-information")), "text": "Depuis quand?"}
        assert (await http.post(f"/requests/{request_id}/request-information", data=question)).status_code == 303
        body = {**old, "comment": "Plutôt un chirurgien."}
        answer = await http.post(f"/requests/{request_id}/return-to-dispatch", data=body)
        text = shown(answer, 412)
        assert "La demande a changé entre-temps" in text
        assert "Plutôt un chirurgien." in text
        assert (await system.requester.view(request_id))["status"] == "accepted"
        answer = await http.post(
            f"/requests/{request_id}/return-to-dispatch", data={**hidden(answer), "comment": body["comment"]}
        )
        assert answer.status_code == 303
    assert (await system.requester.view(request_id))["status"] == "awaiting_dispatch"


async def test_a_choice_that_one_has_not_is_refused(portal_app: FastAPI, system: System) -> None:
    request_id = await assigned(system)
    to = {"to": f"provider:{system.provider.id}"}
    for who, address, body, status in (
        ("requester", "accept", {}, 403),
        ("dispatcher", "accept", {}, 403),
        ("provider", "assign", to, 403),
        ("provider2", "accept", {}, 404),
        ("far_provider", "accept", {}, 404),
        ("requester2", "cancel", {"reason": "x"}, 404),
        ("operator", "cancel", {"reason": "x"}, 403),
    ):
        async with visitor(portal_app, system.people[who]) as http:
            answer = await http.post(f"/requests/{request_id}/{address}", data={"key": "k1", **body})
            assert answer.status_code == status, (who, address)
            assert "text/html" in answer.headers["content-type"]
    assert (await system.requester.view(request_id))["status"] == "awaiting_acceptance"


async def test_rough_forms_do_no_harm(portal_app: FastAPI, system: System) -> None:
    request_id = await accepted(system)
    async with visitor(portal_app, system.provider) as http:
        for body in (
            {"provider_id": "nobody"},
            {"provider_id": str(system.far_provider.id)},
            {"provider_id": str(system.provider.id)},
            {"provider_id": "", "comment": "x" * 9000},
            {"comment": "\0"},
            {"version": "-1", "key": "\n", "surprise": "1"},
        ):
            answer = await http.post(f"/requests/{request_id}/transfer", data=body)
            assert 400 <= answer.status_code < 500, body
            assert "text/html" in answer.headers["content-type"]
        assert (await http.get(f"/requests/{request_id}/nonsense")).status_code == 404
        assert (await http.post(f"/requests/{request_id}/nonsense")).status_code == 404
    assert (await system.requester.view(request_id))["holder"]["person"]["id"] == system.provider.id
