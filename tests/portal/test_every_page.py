"""Every page, in both languages, on a phone and on a large screen, in the light look and in the dark one, also with text twice
as large: no barrier, nobody scrolls sideways, no script fails; and nothing is lost where the reader's system forces its colours.

Barriers are looked for in one sight of each page, from page to page another of the eight: of every kind of page, and of what all
pages share, each is looked at. Those that are not looked at in English are not loaded in English. `make pages` looks at all eight
of every page, in both languages.
"""

from collections.abc import Awaitable, Callable, Sequence
from itertools import product
from typing import Literal

import pytest
from playwright.async_api import Page

from domain.requests import Role
from tests.journeys import (
    PATIENT,
    accepted,
    asked_about,
    assigned,
    closed,
    draft,
    ok,
    pooled,
    reported,
    returned,
    signed,
    somebody_new,
    submitted,
    upload,
    written,
)
from tests.portal.browsing import PHONE, WIDE, Portal, barriers, lost_in_forced_colours, overflow, too_wide
from tests.portal.typed_texts import not_known
from tests.rounds import LONGER
from tests.system import System, add_person, photo

Journey = Callable[[System], Awaitable[str]]


async def asked(system: System) -> str:
    request_id = await accepted(system)
    ok(
        await system.provider.post(
            f"/requests/{request_id}/request-information", {"text": "Depuis quand saigne-t-elle?"}
        )
    )
    return request_id


async def answered(system: System) -> str:
    request_id = await asked(system)
    attachment = ok(await upload(system.requester, request_id, photo((900, 700), "#aa5533")), 201)
    ok(
        await system.requester.post(
            f"/requests/{request_id}/answer-information",
            {"text": "Depuis trois semaines.", "attachment_ids": [attachment["id"]]},
        )
    )
    return request_id


async def resubmitted(system: System) -> str:
    request_id = await returned(system)
    answers = (await system.requester.view(request_id))["answers"]
    changed = {"answers": {**answers, "question": "Mélanome? La lésion a changé de couleur."}}
    ok(await system.requester.http.patch(f"/api/v1/requests/{request_id}", json=changed))
    ok(await system.requester.post(f"/requests/{request_id}/resubmit"))
    return request_id


async def ready_to_sign(system: System) -> str:
    request_id = await accepted(system)
    await written(system, request_id, photo_quality="insufficient")
    return request_id


async def new_photos(system: System) -> str:
    return await reported(system, photo_quality="insufficient")


async def preliminary(system: System) -> str:
    request_id = await ready_to_sign(system)
    await signed(system, request_id, "preliminary")
    return request_id


async def worse(system: System) -> str:
    request_id = await accepted(system)
    said = {"text": "La lésion saigne.", "worse": True}
    ok(await system.requester.post(f"/requests/{request_id}/add-information", said))
    return request_id


async def of_somebody(system: System) -> str:
    """A request of a patient about whom nothing else is on file."""
    return await submitted(system, patient=somebody_new())


async def without_delay(system: System) -> str:
    return await reported(system, urgent=True)


PAGES: list[tuple[str, str | None, Journey | None, str]] = [
    ("sign-in", None, None, "/signin"),
    ("help before signing in", None, None, "/help"),
    ("check a signed document", None, None, "/verify"),
    ("not found", "requester", None, "/nowhere"),
    ("worklist of a requester", "requester", None, "/worklist?filter=1&status=all"),
    ("worklist of a provider", "provider", assigned, "/worklist?filter=1&sort=created&priority=routine"),
    ("worklist of a dispatcher", "dispatcher", submitted, "/worklist"),
    ("worklist of an administrator", "administrator", None, "/worklist"),
    ("an empty worklist", "far_provider", None, "/worklist"),
    ("saved filters", "dispatcher", None, "/worklist/filters?filter=1&overdue=1"),
    ("new request", "requester", None, "/new"),
    ("draft", "requester", draft, "/requests/{id}/edit"),
    ("a draft's request page", "requester", draft, "/requests/{id}"),
    ("a draft to be removed", "requester", draft, "/requests/{id}/delete"),
    ("returned draft", "requester", returned, "/requests/{id}/edit"),
    ("returned request", "requester", returned, "/requests/{id}"),
    ("resubmitted request", "provider", resubmitted, "/requests/{id}"),
    ("request in dispatch", "dispatcher", submitted, "/requests/{id}"),
    ("request of a pool", "provider", pooled, "/requests/{id}"),
    ("accepted request", "provider", answered, "/requests/{id}"),
    ("open question", "requester", asked, "/requests/{id}"),
    ("answer", "requester", asked, "/requests/{id}/answer"),
    ("assign", "dispatcher", submitted, "/requests/{id}/assign"),
    ("ask", "provider", assigned, "/requests/{id}/request-information"),
    ("withdraw", "provider", asked, "/requests/{id}/withdraw-information-request"),
    ("transfer", "provider", assigned, "/requests/{id}/transfer"),
    ("return to requester", "provider", assigned, "/requests/{id}/return-to-requester"),
    ("return to dispatch", "provider", accepted, "/requests/{id}/return-to-dispatch"),
    ("change priority", "dispatcher", submitted, "/requests/{id}/change-priority"),
    ("cancel", "requester", submitted, "/requests/{id}/cancel"),
    ("acknowledge", "requester", reported, "/requests/{id}/acknowledge"),
    ("too late", "provider", reported, "/requests/{id}/transfer"),
    ("report", "provider", accepted, "/requests/{id}/report"),
    ("sign", "provider", ready_to_sign, "/requests/{id}/report/sign"),
    ("sign too early", "provider", accepted, "/requests/{id}/report/sign"),
    ("preliminary report", "requester", preliminary, "/requests/{id}"),
    ("final report", "requester", reported, "/requests/{id}"),
    ("addendum", "provider", reported, "/requests/{id}/addendum"),
    ("closed request", "provider", closed, "/requests/{id}"),
    ("accesses", "requester", reported, "/requests/{id}/accesses"),
    ("how one comes to a journal", "administrator", None, "/journals"),
    ("journal of accesses", "administrator", of_somebody, "/requests/{id}/journal"),
    ("incidents of the clinic", "administrator", None, "/incidents"),
    ("record an incident", "administrator", None, "/incidents/new"),
    ("register of communications", "administrator", reported, "/communications"),
    ("enter a communication", "administrator", None, "/communications/new"),
    ("process only", "operator", accepted, "/requests/{id}"),
    ("media", "provider", accepted, "/requests/{id}/media/{attachment}"),
    ("document", "requester", reported, "/requests/{id}/documents/{report}"),
    ("settings", "provider", None, "/account"),
    ("texts", "administrator", None, "/account/texts"),
    ("second factor", "provider", None, "/account/second-factor"),
    ("past cases", "provider", None, "/past-cases"),
    ("statistics of a clinic", "administrator", reported, "/statistics"),
    ("statistics of all", "operator", reported, "/statistics"),
    ("help", "requester", None, "/help"),
    ("the whole guide", "requester", None, "/help/all"),
    ("a chapter of the guide", "provider", None, "/help/provider"),
    ("providers", "dispatcher", None, "/providers"),
    ("hand on", "administrator", accepted, "/requests/{id}/reassign"),
    ("what somebody holds", "dispatcher", accepted, "/providers/{provider}"),
    ("what somebody serves", "administrator", accepted, "/providers/{provider}"),
    ("add information", "requester", accepted, "/requests/{id}/add-information"),
    ("worse", "provider", worse, "/requests/{id}"),
    ("to be read without delay", "requester", without_delay, "/requests/{id}"),
    ("ask about the report", "requester", reported, "/requests/{id}/ask-follow-up"),
    ("question about the report", "provider", asked_about, "/requests/{id}"),
    ("answer about the report", "provider", asked_about, "/requests/{id}/answer-follow-up"),
    ("a question that is taken back", "requester", asked_about, "/requests/{id}/withdraw-follow-up"),
    ("photos that were not sufficient", "requester", new_photos, "/requests/{id}"),
    ("addendum that answers", "provider", asked_about, "/requests/{id}/addendum"),
    ("requests of a patient", "provider", accepted, "/requests/{id}/patient"),
    ("undelivered e-mails", "dispatcher", None, "/undelivered"),
    ("messages that were lost", "dispatcher", None, "/lost-messages"),
    ("providers for an administrator", "administrator", None, "/providers"),
    ("people of the clinic", "administrator", None, "/people"),
    ("somebody of the clinic", "administrator", accepted, "/people/{provider}"),
    ("somebody who leaves", "administrator", accepted, "/people/{provider}/leave"),
    ("the clinic", "administrator", None, "/clinic"),
    ("invite somebody", "administrator", None, "/people/invite"),
    ("review of accounts", "operator", None, "/people/review"),
    ("systems of the clinic", "administrator", None, "/service-accounts"),
    ("let a system in", "administrator", None, "/service-accounts/new"),
    ("webhooks", "administrator", None, "/webhooks"),
    ("add a webhook", "administrator", None, "/webhooks/new"),
    ("keeping and destroying", "administrator", None, "/retention"),
    ("accesses of the month", "administrator", None, "/access-reviews"),
    ("accesses of the year", "administrator", None, "/access-years/2026"),
    ("put on hold", "administrator", reported, "/requests/{id}/hold"),
    ("restrict access", "administrator", reported, "/requests/{id}/restrictions"),
    ("access in an emergency", "provider", None, "/emergency"),
    ("forgotten password", None, None, "/forgotten-password"),
    ("a link that opens nothing", None, None, "/invitation/nothing"),
]


Look = Literal["light", "dark"]

LOOKS: tuple[Look, ...] = ("light", "dark")

SIGHTS = tuple(product(("fr", "en"), (False, True), LOOKS))
"""How a page may be seen: the language, whether on a phone, the look."""


def sights_for_barriers(number: int) -> tuple[tuple[str, bool, str], ...]:
    """In which of them the page of this number is searched for barriers: in turn, the two of each pair unlike in everything."""
    return SIGHTS if LONGER > 1 else (SIGHTS[number // 2 % 4 if number % 2 else -1 - number // 2 % 4],)


def languages_of(sights: Sequence[tuple[str, bool, str]]) -> list[str]:
    """In which a page is loaded: in French, whose words are the longer ones, and in English where it is looked at so."""
    return [language for language in ("fr", "en") if language == "fr" or any(sight[0] == language for sight in sights)]


MADE: dict[Journey, str] = {}
"""The requests that the pages are about. Who looks at a page changes nothing, so that many pages share one."""


async def made_by(journey: Journey, system: System) -> str:
    """A request that has come so far."""
    if journey not in MADE:
        MADE[journey] = await journey(system)
    return MADE[journey]


@pytest.mark.parametrize(
    ("number", "who", "journey", "address"),
    [(number, *case[1:]) for number, case in enumerate(PAGES)],
    ids=[case[0] for case in PAGES],
)
async def test_a_page_has_no_barrier(
    portal: Portal, system: System, number: int, who: str | None, journey: Journey | None, address: str
) -> None:
    if journey is not None:
        request_id = await made_by(journey, system)
        view = await system.requester.view(request_id)
        address = address.format(
            id=request_id,
            provider=system.provider.id,
            attachment=view["attachments"][0]["id"],
            report=view["documents"][0]["report_id"] if view["documents"] else "",
        )
    person = system.people[who] if who else None
    searched = sights_for_barriers(number)
    found = []
    try:
        for language in languages_of(searched):
            if person:
                ok(await person.http.patch("/api/v1/me", json={"language": language}))
            page = await portal.look(person)
            if not person:
                await page.context.add_cookies([{"name": "relais-language", "value": language, "url": portal.address}])
            # in French it is loaded on a phone and becomes wide while it is there, in English the other way round
            for size in (PHONE, WIDE) if language == "fr" else (WIDE, PHONE):
                await page.set_viewport_size(size)
                if size == (PHONE if language == "fr" else WIDE):
                    await page.goto(address)
                    assert await page.get_attribute("html", "lang") == language
                looks = [look for look in LOOKS if (language, size == PHONE, look) in searched]
                faults = [*await barriers_in(page, looks), *await too_wide(page)]
                found += [f"{language} {size['width']}: {fault}" for fault in faults]
                if size == WIDE:
                    found += [f"not in the table of typed texts: {form}" for form in not_known(await page.content())]
        found += [f"forced colours, {lost}" for lost in await lost_in_forced_colours(page)]
        await page.goto("about:blank")  # or it renews itself whenever something happens in the tests of other pages
    finally:
        if person:
            ok(await person.http.patch("/api/v1/me", json={"language": "fr"}))
    assert found == []


async def barriers_in(page: Page, looks: Sequence[Look]) -> list[str]:
    """What axe finds in these looks; without motion, or the old look would fade while the new one is measured."""
    found = []
    for look in looks:
        await page.emulate_media(color_scheme=look, reduced_motion="reduce")
        found += [f"{look}, {barrier}" for barrier in await barriers(page)]
    return found


async def test_names_that_are_one_long_word_fit_every_window(portal: Portal, system: System) -> None:
    """Of a patient and of a provider, wherever they stand."""
    name = "Wolfeschlegelsteinhausenbergerdorff"
    patient = {**PATIENT, "given_name": f"{name}a", "family_name": f"{name}b", "health_insurance_number": ""}
    provider = await add_person(system, name, system.clinics["near"], Role.PROVIDER)
    request_id = await submitted(system, patient=patient)
    other = await submitted(system, patient=patient)
    ok(await system.dispatcher.post(f"/requests/{request_id}/assign", {"provider_id": provider.id}))
    page = await portal.look(system.dispatcher)
    found = []
    for address in (
        "/worklist?filter=1&sort=created",
        f"/requests/{request_id}",
        f"/requests/{request_id}/patient",
        f"/requests/{other}/assign",
        f"/requests/{request_id}/reassign",
        "/providers",
        f"/providers/{provider.id}",
    ):
        for size in (WIDE, PHONE):
            await page.set_viewport_size(size)
            await page.goto(address)
            assert (await page.inner_text("body")).lower().count(name.lower())
            if wider := await overflow(page):
                found.append(f"{address} {size['width']}: {wider} px too wide")
    assert found == []
