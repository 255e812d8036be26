"""From the desktop to a telephone: photos come by a link that can do nothing else, and ends by itself."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import FastAPI
from playwright.async_api import FilePayload, expect
from sqlalchemy import select, update

from domain.audit import Act
from records import phone_links as kept_links
from records.models import AuditEntry, PhoneLink, Token
from tests.api.answers import problem
from tests.journeys import accepted, draft, ok, somebody_new, submitted, upload
from tests.portal.browsing import PHONE, Portal, barriers, shown, too_wide, visitor
from tests.system import System, hasty, photo
from use_cases import attachments, new_attachments, phone_links
from use_cases.problems import Problem
from web.limits import FRAME
from web.rates import Spent

NOTHING = b"%PDF-1.7\n"
SEND = "/phone/photos/attachments"
BY_SCRIPT = {"X-Requested-With": "fetch"}


async def link_of(system: System, request_id: str, slot: str = "photos") -> str:
    """The path that the code of a new link leads to."""
    made = ok(await system.requester.post(f"/requests/{request_id}/phone-link", {"slot": slot}), 201)
    return urlsplit(str(made["address"])).path


async def take(phone: httpx.AsyncClient, address: str) -> str:
    """The telephone takes the link of a code; gives the link's id, which the page that it is led to knows."""
    answer = await phone.post(address)
    page, _, link = answer.headers["location"].partition("?link=")
    assert (answer.status_code, page) == (303, "/phone")
    assert f'name="link" value="{link}"' in (await phone.get(answer.headers["location"])).text
    return str(link)


async def send(
    phone: httpx.AsyncClient, link: str, content: bytes, key: str = "one", name: str = "IMG_1.jpg"
) -> httpx.Response:
    """One photo, as the telephone's script sends it."""
    files = {"file": (name, content, "image/jpeg")}
    return await phone.post(SEND, files=files, data={"link": link, "key": key}, headers=BY_SCRIPT)


def taken(name: str) -> FilePayload:
    """A photo, as a browser has it when it was taken."""
    return {"name": name, "mimeType": "image/jpeg", "buffer": photo((1800, 1400), "#775533")}


async def photos_of(system: System, request_id: str) -> list[dict[str, Any]]:
    return list((await system.requester.view(request_id))["attachments"])


async def test_photos_come_from_the_telephone_that_took_the_link_and_it_sees_nothing_else(
    portal_app: FastAPI, system: System
) -> None:
    request_id = await draft(system, patient=somebody_new())
    before, address = len(await photos_of(system, request_id)), await link_of(system, request_id)
    async with visitor(portal_app) as phone, visitor(portal_app) as onlooker:
        page = shown(await phone.get(address))
        assert system.requester.account.family_name in page
        assert "Tremblay" not in page
        assert (await system.requester.get(f"/requests/{request_id}/phone-link")).json()["state"] == "waiting"
        taken = await phone.post(address)
        page, _, link_id = taken.headers["location"].partition("?link=")
        assert (taken.status_code, page) == (303, "/phone")
        assert "HttpOnly" in taken.headers["set-cookie"]
        assert "SameSite=strict" in taken.headers["set-cookie"]
        for again in (await onlooker.get(address), await onlooker.post(address)):
            assert "Un autre téléphone se sert de ce lien." in shown(again, 409)
        assert (await onlooker.get("/phone")).status_code == 410
        assert (await send(onlooker, link_id, photo((1800, 1400), "#442211"))).status_code == 410

        shown(await phone.get("/phone"))
        assert (await phone.get(address)).headers["location"] == f"/phone?link={link_id}", "it comes back"
        for _ in range(2):  # it was not heard that it had arrived
            assert "Reçu" in shown(await send(phone, link_id, photo((1800, 1400), "#886644")))
        assert "Petite" in shown(await send(phone, link_id, photo((200, 150), "#112233"), "two"))
        assert "Seules des photos" in shown(await send(phone, link_id, NOTHING, "three", "IMG_3.jpg"), 415)
        link = ok(await system.requester.get(f"/requests/{request_id}/phone-link"))
        assert (link["state"], link["photos"]) == ("in_use", 2)
        assert "address" not in link
        there = await photos_of(system, request_id)
        assert len(there) == before + 2
        assert {one["slot"] for one in there} == {"photos"}

        for closed in (f"/requests/{request_id}", f"/requests/{request_id}/edit", "/worklist"):
            assert (await phone.get(closed)).headers["location"].startswith("/signin")
        for closed in (f"/requests/{request_id}", f"/requests/{request_id}/attachments/{there[-1]['id']}/thumbnail"):
            assert (await phone.get(f"/api/v1{closed}")).status_code == 401
        foreign = {"Sec-Fetch-Site": "cross-site"}
        assert (await phone.post("/phone/photos/end", headers=foreign)).status_code == 403

    async with system.services.database.session() as session:
        (kept,) = await session.scalars(select(PhoneLink).where(PhoneLink.request_id == request_id))
        secrets = {address.rpartition("/")[2], phone.cookies["relais-phone"]}
        assert not secrets & {kept.code_sha256, kept.device_sha256, kept.made_by}
    ok(await system.requester.post(f"/requests/{request_id}/submit"))
    assert await logged(system, request_id) == sorted((one["id"], system.requester.id) for one in there[before:])


async def logged(system: System, request_id: str) -> list[tuple[str, str]]:
    """Which photos the log says came from a telephone, and by whose link."""
    async with system.services.database.session() as session:
        query = select(AuditEntry).where(AuditEntry.request_id == request_id, AuditEntry.kind == Act.PHONE_PHOTO)
        return sorted((str(entry.object_id), str(entry.account_id)) for entry in await session.scalars(query))


async def _ended_by_its_maker(system: System, request_id: str) -> None:
    assert (await system.requester.http.delete(f"/api/v1/requests/{request_id}/phone-link")).status_code == 204


async def _another_is_made(system: System, request_id: str) -> None:
    await link_of(system, request_id, "")


async def _its_time_is_over(system: System, request_id: str) -> None:
    async with system.services.database.session() as session:
        gone = update(PhoneLink).where(PhoneLink.request_id == request_id).values(ends_at=datetime.now(UTC))
        await session.execute(gone)


async def _submitted(system: System, request_id: str) -> None:
    ok(await system.requester.post(f"/requests/{request_id}/submit"))


@pytest.mark.parametrize("end", [_ended_by_its_maker, _another_is_made, _its_time_is_over, _submitted])
async def test_a_link_ends(portal_app: FastAPI, system: System, end: Callable[[System, str], Awaitable[None]]) -> None:
    """Taken or not, nothing comes by it any more, and its page says so."""
    request_id = await draft(system, patient=somebody_new())
    waiting, before = await link_of(system, request_id), len(await photos_of(system, request_id))
    async with visitor(portal_app) as phone, visitor(portal_app) as late:
        address = await link_of(system, request_id)
        assert (await late.get(waiting)).status_code == 410, "another one was made"
        link = await take(phone, address)
        await end(system, request_id)
        assert "Ce lien a pris fin." in shown(await phone.get("/phone"), 410)
        assert (await send(phone, link, photo((1800, 1400), "#664422"))).status_code == 410
        assert (await late.get(address)).status_code == 410
    assert len(await photos_of(system, request_id)) == before


async def test_a_link_ends_when_its_makers_session_does(portal_app: FastAPI, system: System) -> None:
    request_id = await draft(system, patient=somebody_new())
    async with visitor(portal_app, system.requester) as desktop, visitor(portal_app) as phone:
        page = await desktop.post(f"/requests/{request_id}/phone-link", data={"slot": "photos"})
        assert '<svg role="img" aria-label="Code à balayer' in page.text
        address = urlsplit(page.text.partition("data-address>")[2].partition("<")[0]).path
        assert (await phone.post(address)).status_code == 303
        assert "Un téléphone est connecté" in shown(await desktop.get(f"/requests/{request_id}/phone-link"))
        own = Token.sha256 == select(PhoneLink.made_by).where(PhoneLink.request_id == request_id).scalar_subquery()
        now = datetime.now(UTC)
        for seen, status in ((now - timedelta(hours=2), 410), (now, 200)):
            async with system.services.database.session() as session:
                await session.execute(update(Token).where(own).values(idle_minutes=60, seen_at=seen))
            assert (await phone.get("/phone")).status_code == status, "nobody was there"
        await desktop.post("/signout")
        assert (await phone.get("/phone")).status_code == 410


async def test_what_code_without_links_recorded_is_made_good_by_the_next_event(
    portal_app: FastAPI, system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a rolling upgrade a worker of the version before records a submission, and knows nothing of links."""

    async def knows_none(*_: object) -> None:
        return

    request_id = await draft(system, patient=somebody_new())
    async with visitor(portal_app) as phone:
        link = await take(phone, await link_of(system, request_id))
        shown(await send(phone, link, photo((1800, 1400), "#773311")))
        with monkeypatch.context() as before:
            before.setattr(kept_links, "follow", knows_none)
            ok(await system.requester.post(f"/requests/{request_id}/submit"))
        sent = (await photos_of(system, request_id))[-1]["id"]
        assert (await phone.get("/phone")).status_code == 200
        ok(await system.dispatcher.post(f"/requests/{request_id}/assign", {"provider_id": system.provider.id}))
        assert (await phone.get("/phone")).status_code == 410
        assert await logged(system, request_id) == [(sent, system.requester.id)]
        await take(phone, await link_of(system, request_id, ""))
        ok(await system.provider.post(f"/requests/{request_id}/accept"))
        assert (await phone.get("/phone")).status_code == 200, "it was made after what ended the one before"
        assert await logged(system, request_id) == [(sent, system.requester.id)]


async def test_a_draft_that_is_removed_in_the_same_moment_is_no_error(
    portal_app: FastAPI, system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def removed(request_id: str) -> None:
        assert (await system.requester.http.delete(f"/api/v1/requests/{request_id}")).status_code == 204

    first, second, third = [await draft(system, patient=somebody_new()) for _ in range(3)]
    chosen, examined = attachments.slot_for, new_attachments.examined

    async def removed_before_the_link(*arguments: Any) -> Any:
        await removed(first)
        return await chosen(*arguments)

    with monkeypatch.context() as at_once:
        at_once.setattr(phone_links, "slot_for", removed_before_the_link)
        problem(await system.requester.post(f"/requests/{first}/phone-link"), 404, "not_found")

    gone = iter((second, third))

    async def removed_before_the_photo(*arguments: Any) -> Any:
        await removed(next(gone))
        return await examined(*arguments)

    async with visitor(portal_app) as phone:
        link = await take(phone, await link_of(system, second))
        monkeypatch.setattr(new_attachments, "examined", removed_before_the_photo)
        assert "Ce lien a pris fin." in shown(await send(phone, link, photo((1800, 1400), "#117733")), 410)
    problem(await upload(system.requester, third, photo((1800, 1400), "#117734")), 404, "not_found")


async def test_photos_never_go_to_another_request_than_the_page_is_of(portal_app: FastAPI, system: System) -> None:
    """The telephone has scanned a second code while the page of the first one is still open."""
    one, other = await draft(system, patient=somebody_new()), await draft(system, patient=somebody_new())
    first, second = await link_of(system, one), await link_of(system, other)
    before = [await photos_of(system, request_id) for request_id in (one, other)]
    async with visitor(portal_app) as phone, visitor(portal_app) as another:
        link = await take(phone, first)
        await take(another, second)
        assert "Un autre téléphone se sert de ce lien." in shown(await phone.get(second), 409)
        second = await link_of(system, other)
        newer = await take(phone, second)
        picture = photo((1800, 1400), "#335577")
        assert "Ce lien a pris fin." in shown(await send(phone, link, picture), 410)
        files = {"file": ("IMG_1.jpg", picture, "image/jpeg")}
        for ended in ({"link": link}, {}):
            assert "Ce lien a pris fin." in shown(await phone.post(SEND, data=ended, files=files), 410)
            assert (await phone.post("/phone/photos/end", data=ended)).status_code == 410
        assert "Ce lien a pris fin." in shown(await phone.get(f"/phone?link={link}"), 410)
        assert [await photos_of(system, request_id) for request_id in (one, other)] == before
        assert "Reçu" in shown(await send(phone, newer, picture))
        assert len(await photos_of(system, other)) == len(before[1]) + 1
        shown(await phone.post("/phone/photos/end", data={"link": newer}))
        assert (await phone.get("/phone")).status_code == 410


async def test_nothing_is_read_of_what_a_stranger_or_a_flood_sends(portal_app: FastAPI, system: System) -> None:
    """Before a byte of a form is kept, there is a link that lives, room for one photo, and a maker who has not sent too much."""
    read = 0

    async def form() -> AsyncIterator[bytes]:
        nonlocal read
        read += 1
        yield b"--x"

    parts = {"Content-Type": "multipart/form-data; boundary=x"}
    async with visitor(portal_app) as stranger, visitor(portal_app) as phone:
        stranger.cookies.set("relais-phone", "made-up")
        assert (await stranger.post(SEND, content=form(), headers=parts)).status_code == 410
        link = await take(phone, await link_of(system, await draft(system, patient=somebody_new())))
        system.app.state.spent = Spent()
        with hasty(portal_app, uploads_per_minute=1):
            shown(await send(phone, link, photo((1800, 1400), "#557733")))
            assert (await phone.post(SEND, content=form(), headers=parts)).status_code == 429
        assert read == 0
        large = {**parts, "Content-Length": str(system.settings.max_photo_bytes + FRAME + 1)}
        shown(await phone.post(SEND, content=b"--x", headers=large), 413)


async def test_a_link_is_made_by_who_may_add_files_for_what_takes_photos(system: System) -> None:
    mine, theirs = await draft(system, patient=somebody_new()), await accepted(system)
    path = f"/requests/{theirs}/phone-link"
    problem(await system.provider.post(path), 403, "forbidden")
    problem(await system.requester2.post(path), 404, "not_found")
    problem(await system.requester.post(f"/requests/{mine}/phone-link", {"slot": "nothing"}), 422, "unknown_slot")
    problem(await system.provider.get(path), 404, "not_found")
    ok(await system.requester.post(path), 201)
    over = await submitted(system, patient=somebody_new())
    ok(await system.requester.post(f"/requests/{over}/cancel", {"reason": "Vue ailleurs."}))
    problem(await system.requester.post(f"/requests/{over}/phone-link"), 409, "not_editable")


async def test_an_answer_gets_photos_from_the_telephone_and_the_log_says_so_at_once(
    portal_app: FastAPI, system: System
) -> None:
    request_id = await accepted(system)
    ok(await system.provider.post(f"/requests/{request_id}/request-information", {"text": "Une photo de plus?"}))
    async with visitor(portal_app) as phone:
        link = await take(phone, await link_of(system, request_id, ""))
        assert "Reçu" in shown(await send(phone, link, photo((1800, 1400), "#aa8866")))
        new = (await photos_of(system, request_id))[-1]
        looks = (await system.requester.get(f"/requests/{request_id}/accesses")).json()
        assert [(one["by"]["id"], one["object_id"]) for one in looks if one["what"] == "phone_photo"] == [
            (system.requester.id, new["id"])
        ]
        said = {"text": "Voici.", "attachment_ids": [new["id"]]}
        ok(await system.requester.post(f"/requests/{request_id}/answer-information", said))
        assert (await phone.get("/phone")).status_code == 410


async def test_photos_show_up_on_the_desktop_as_the_telephone_sends_them(portal: Portal, system: System) -> None:
    request_id = await draft(system, patient=somebody_new())
    async with portal.visit(system.requester) as desktop, portal.visit(size=PHONE, has_touch=True) as phone:
        await desktop.goto(f"/requests/{request_id}/edit")
        slot = desktop.locator("#slot-photos")
        before = await slot.locator("img").count()
        await slot.get_by_role("button", name="Prendre des photos avec votre téléphone").click()
        await expect(slot.locator(".qr-code")).to_be_visible()
        assert await barriers(desktop) == []
        address = urlsplit(await slot.locator("[data-address]").inner_text()).path
        await phone.goto(address)
        await phone.get_by_role("button", name="Commencer").click()
        await phone.wait_for_url("**/phone?link=*")
        await expect(slot.get_by_text("Un téléphone est connecté")).to_be_visible()
        await expect(slot.locator(".qr-code")).to_have_count(0)
        assert await barriers(phone) == []
        assert await too_wide(phone) == []
        fields = phone.locator("input[type=file]")
        await fields.first.set_input_files(taken("IMG_7.jpg"))
        await expect(phone.locator("[data-phone-lines] li[data-state=done]")).to_contain_text("IMG_7.jpg")
        await expect(slot.locator("img")).to_have_count(before + 1)
        for page in (slot, phone):
            await expect(page.get_by_text("Photos reçues : 1")).to_be_visible()
        await slot.get_by_role("button", name="Mettre fin au lien").click()
        await expect(slot.get_by_text("Le lien a pris fin.")).to_be_visible()
        await fields.last.set_input_files(taken("IMG_8.jpg"))
        await expect(phone.get_by_text("Ce lien a pris fin.")).to_be_visible()


async def test_a_photo_that_is_not_taken_stops_no_other_and_says_why(
    portal: Portal, system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one is refused before the form is read, by a page without its line; for the second there is no room."""
    request_id = await draft(system, patient=somebody_new())
    before = len(await photos_of(system, request_id))
    look, add_photo = phone_links.look, phone_links.add_photo
    refused, no_room = iter([True]), {"IMG_2.jpg"}

    async def too_large_once(*arguments: Any) -> Any:
        if next(refused, False):
            raise Problem("too_large", limit_bytes=40 * 1024**2)
        return await look(*arguments)

    async def only_where_there_is_room(*arguments: Any) -> Any:
        if arguments[3].filename in no_room:
            raise Problem("storage_full")
        return await add_photo(*arguments)

    async with portal.visit(size=PHONE, has_touch=True) as phone:
        await phone.goto(await link_of(system, request_id))
        await phone.get_by_role("button", name="Commencer").click()
        await phone.wait_for_url("**/phone?link=*")
        monkeypatch.setattr(phone_links, "look", too_large_once)
        monkeypatch.setattr(phone_links, "add_photo", only_where_there_is_room)
        names = ("IMG_1.jpg", "IMG_2.jpg", "IMG_3.jpg")
        await phone.locator("input[type=file]").last.set_input_files([taken(name) for name in names])
        first, second, third = (phone.locator("[data-phone-lines] li", has_text=name) for name in names)
        await expect(third).to_have_attribute("data-state", "done")
        await expect(first).to_have_attribute("data-state", "refused")
        await expect(first).to_contain_text("trop volumineux")
        await expect(second).to_have_attribute("data-state", "failed")
        await expect(second).not_to_contain_text("Aucune connexion")
        assert await barriers(phone) == []
        assert await too_wide(phone) == []
        no_room.clear()
        await second.get_by_role("button", name="Réessayer").click()
        await expect(second).to_have_attribute("data-state", "done")
        await expect(phone.get_by_text("Photos reçues : 2")).to_be_visible()
    assert len(await photos_of(system, request_id)) == before + 2
