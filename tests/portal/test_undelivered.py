"""The page of e-mails that reached nobody: who sees it, what it says, and the button that sends one again."""

from fastapi import FastAPI

from domain.requests import Role
from tests.eventually import eventually
from tests.journeys import ok, submitted
from tests.portal.browsing import shown, visitor
from tests.system import System, add_person


async def test_an_undelivered_e_mail_is_seen_and_sent_again(portal_app: FastAPI, system: System) -> None:
    lost = await add_person(system, "unreachable", system.clinics["near"], Role.PROVIDER)
    system.post_office.at_recipient[lost.account.email] = "550 5.1.1 No such user"
    request_id = await submitted(system)
    ok(await system.dispatcher.post(f"/requests/{request_id}/assign", {"provider_id": lost.id}))

    async def entries() -> list[dict[str, str]]:
        listed = (await system.dispatcher.get("/undeliverable")).json()
        return [entry for entry in listed if entry["request_id"] == request_id]

    async def is_listed() -> bool:
        return bool(await entries())

    await eventually(is_listed)
    [entry] = await entries()
    for name in ("dispatcher", "administrator", "operator"):
        async with visitor(portal_app, system.people[name]) as http:
            text = shown(await http.get("/undelivered"))
            assert entry["number"] in text
            assert f"{lost.account.given_name} {lost.account.family_name}" in text
            assert "L’adresse ne peut pas le recevoir" in text
            assert lost.account.email not in text
    system.post_office.calm_down()
    async with visitor(portal_app, system.dispatcher) as http:
        for _ in range(2):
            answer = await http.post(f"/undelivered/{entry['notice_id']}")
            assert answer.headers["location"] == "/undelivered?done=sent_again"
        text = shown(await http.get(answer.headers["location"]))
        assert "envoyé de nouveau" in text
        assert entry["notice_id"] not in text
    await eventually(lambda: bool(system.post_office.kept_for(lost.account.email)))
    assert len(system.post_office.kept_for(lost.account.email)) == 1


async def test_others_have_no_such_page(portal_app: FastAPI, system: System) -> None:
    for name in ("requester", "provider"):
        async with visitor(portal_app, system.people[name]) as http:
            assert (await http.get("/undelivered")).status_code == 403
            assert 'href="/undelivered"' not in (await http.get("/worklist")).text
    async with visitor(portal_app, system.dispatcher) as http:
        assert 'href="/undelivered"' in (await http.get("/worklist")).text
