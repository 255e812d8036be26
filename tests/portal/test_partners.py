"""The terms of a partner in the portal: said, changed, turned off and on, what became of its messages; also without scripts."""

import json
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from playwright.async_api import Page, expect

from domain.messages import MessageEvent
from domain.requests import Role
from domain.told_partners import MessageState
from domain.webhooks import DisabledReason
from records import partner_outbox, people
from records.ids import new_id
from records.models import Clinic, ToldMessage
from tests.api.test_service_accounts import connected
from tests.journeys import ok, submitted
from tests.portal.browsing import Portal, overflow_and_barriers, shown, text_of, visitor
from tests.portal.page_forms import form_to
from tests.portal.test_attacks import NASTY
from tests.portal.test_signed_out_meanwhile import credentials, sent_too_late
from tests.portal.test_story import press
from tests.system import Clinician, System, add_person

URL = "https://records.example.ca/fhir/$process-message"
TOKENS = "https://records.example.ca/token"


@dataclass(frozen=True)
class House:
    """A clinic of a partner's own: who administers it, who asks for advice there, and the system that sends messages."""

    clinic: Clinic
    boss: Clinician
    liaison: Clinician
    system_id: str

    @property
    def page(self) -> str:
        """The address of the page of its terms."""
        return f"/service-accounts/{self.system_id}/partner"

    async def terms(self) -> Any:
        """Those that are kept, by the API."""
        return ok(await self.boss.get(self.page))

    async def say(self, **more: Any) -> Any:
        """The terms, by the API."""
        return ok(await self.boss.http.put(f"/api/v1{self.page}", json={"liaison_id": self.liaison.id, **more}))


@pytest.fixture
async def house(system: System) -> AsyncIterator[House]:
    name = uuid4().hex[:8]
    async with system.services.database.session() as session:
        clinic = await people.add_clinic(session, code=f"partner-{name}", name=f"Clinique {name}")
    boss = await add_person(system, f"boss_{name}", clinic, Role.CLINIC_ADMINISTRATOR)
    liaison = await add_person(system, f"liaison_{name}", clinic, Role.REQUESTER)
    account = await connected(system, "messages:send", by=boss, name=f"Dossier {name}")
    made = House(clinic, boss, liaison, account.id)
    yield made
    answer = await boss.post(f"{made.page}/turn-off")  # nothing of it goes out in other tests
    assert answer.status_code in (200, 404, 409)


def a_key() -> dict[str, str]:
    """Where it is told, with a key of Relais."""
    return {"url": URL, "authorization": "client_assertion", "token_url": TOKENS, "client_id": "relais"}


async def sent(http: httpx.AsyncClient, house: House, **changed: str) -> httpx.Response:
    """The form of the terms as it is shown, with something in it changed; what is changed to nothing is not sent."""
    form = {**form_to((await http.get(house.page)).text, house.page).as_shown, **changed}
    return await http.post(house.page, data={name: text for name, text in form.items() if text or name not in changed})


def said_at(html: str, field: str) -> str:
    """What the page says is wrong with a field; empty for nothing."""
    found = re.search(rf'id="error-{re.escape(field)}">.*?</span>(.*?)</span>', html)
    return text_of(found[1]) if found else ""


async def test_the_terms_are_said_and_changed_by_pages_alone(portal: Portal, house: House) -> None:
    async with portal.visit(house.boss, java_script_enabled=False) as page:
        await page.goto("/service-accounts")
        await page.get_by_role("link", name="Dossier").click()
        assert "Personne n’a dit comment traiter les messages" in await page.inner_text("main")
        await page.get_by_role("link", name="En faire un partenaire").click()
        await page.get_by_label("Identifiants qui sont des numéros de permis").fill("https://licences.example.ca\n\n")
        await press(page, "Enregistrer les conditions")
        assert "Ce champ est requis." in await page.inner_text("#error-told")
        licences = page.get_by_label("Identifiants qui sont des numéros de permis")
        assert (await licences.input_value()).strip() == "https://licences.example.ca"
        await page.get_by_label("Qui demande si l’auteure").select_option(house.liaison.id)
        await page.get_by_label("Noms que le partenaire donne à : Télédermatologie").fill("DERM-01\nDermatologie")
        await page.get_by_label("Oui, par des messages à l’adresse ci-dessous").check()
        await page.fill("[name='endpoint.url']", URL)
        await page.get_by_label("Par un jeton que Relais obtient avec sa propre clé").check()
        await page.fill("[name='endpoint.token_url']", TOKENS)
        await page.fill("[name='endpoint.client_id']", "relais")
        await press(page, "Enregistrer les conditions")
        assert "Enregistré. Cela compte dès le prochain message." in await page.inner_text("body")
        kept = await house.terms()
        assert kept["offerings"] == {"DERM-01": "teledermatology", "Dermatologie": "teledermatology"}
        assert kept["licence_systems"] == ["https://licences.example.ca"]
        assert (kept["liaison_id"], kept["dispatch_clinic_id"]) == (house.liaison.id, str(house.clinic.id))
        assert (kept["endpoint"]["url"], kept["endpoint"]["state"]) == (URL, "unverified")
        assert json.loads(await page.inner_text("#public-key")) == kept["endpoint"]["public_key"]
        assert "Personne n’y a encore répondu" in await page.inner_text("main")
        await press(page, "Désactiver")
        assert "Quelqu’un l’a désactivé." in await page.inner_text("main")
        await page.fill("[name='offerings.wound_care']", "PLAIE")
        await page.get_by_label("Portée").fill("system/Bundle.c")  # said while it is off, it stays off
        await press(page, "Enregistrer les conditions")
        kept = await house.terms()
        assert (kept["endpoint"]["state"], kept["endpoint"]["token_scope"]) == ("disabled", "system/Bundle.c")
        await press(page, "Activer")
        assert (await house.terms())["endpoint"]["state"] == "unverified"
        there = f"/service-accounts/{house.system_id}"
        assert await overflow_and_barriers(portal, house.boss, (house.page, there)) == []
        await page.get_by_label("Non : il n’apprend rien").check()
        await press(page, "Enregistrer les conditions")
        assert (await house.terms())["endpoint"] is None
        await page.goto(there)
        text = await page.inner_text("main")
        assert "Nulle part" in text
        new = ("Adresse des jetons", "Portée", "Activation", "Noms que le partenaire donne aux offres de service")
        assert [said for said in new if said not in text] == []  # what was new, each time


async def test_what_is_wrong_stands_at_its_field(portal_app: FastAPI, house: House) -> None:
    async with visitor(portal_app, house.boss) as http:
        empty = await sent(http, house, **{"offerings.teledermatology": "A", "told": "no"})
        assert "requis" in said_at(empty.text, "liaison_id")
        right = {"liaison_id": house.liaison.id, "told": "yes"}
        inside = {**right, "endpoint.url": "https://10.0.0.1/", "endpoint.token_url": "http://records.example.ca/"}
        secret = {"endpoint.authorization": "client_secret", "endpoint.secret": "s3cret"}
        answer = await sent(http, house, **inside, **secret)
        shown(answer, 422)
        assert "n’appelle que l’Internet public" in said_at(answer.text, "endpoint.url")
        assert "https" in said_at(answer.text, "endpoint.token_url")
        assert "requis" in said_at(answer.text, "endpoint.client_id")
        assert "écrivez-le de nouveau" in said_at(answer.text, "endpoint.secret")
        assert "s3cret" not in answer.text
        for field in ("endpoint.url", "endpoint.token_url", "endpoint.client_id", "endpoint.secret"):
            assert f'href="#field-{field}"' in answer.text
        nothing = await sent(http, house, **right, **{"endpoint.authorization": "signature"})
        assert "requis" in said_at(nothing.text, "endpoint.url")
        signed = {**right, "endpoint.url": URL, "endpoint.authorization": "signature"}
        unsigned = await sent(http, house, **signed)
        assert "requis" in said_at(unsigned.text, "endpoint.secret")
        twice = {"offerings.teledermatology": "DERM-01\nA", "offerings.wound_care": "DERM-01"}
        ambiguous = await sent(http, house, **right, **twice)
        for field in twice:
            assert "même nom" in said_at(ambiguous.text, field), field
        for other in ("derm-01", "Cafe\u0301"):  # as messages are matched
            alike = {"offerings.teledermatology": "wound_care\nDERM-01\nCafé", "offerings.wound_care": other}
            ambiguous = await sent(http, house, **right, **alike)
            assert [bool(said_at(ambiguous.text, field)) for field in alike] == [True, True], other
        many = "\n".join(f"DERM-{number}" for number in range(201))
        crowded = await sent(http, house, **right, **{"offerings.teledermatology": "A", "offerings.wound_care": many})
        assert "200" in said_at(crowded.text, "offerings.wound_care")
        assert not said_at(crowded.text, "offerings.teledermatology")
        long = await sent(http, house, **right, **{"endpoint.url": URL, "offerings.wound_care": f"B\n{'x' * 81}"})
        assert said_at(long.text, "offerings.wound_care")
        alone = await sent(http, house, liaison_id=house.liaison.id, told="no", performs="yes")
        assert "par des messages" in said_at(alone.text, "performs")
        assert not said_at(alone.text, "told")
        stranger = await sent(http, house, liaison_id=str(uuid4()), told="no")
        assert "ne demande pas, ou plus, d’avis" in said_at(stranger.text, "liaison_id")
        elsewhere = await sent(http, house, liaison_id=house.liaison.id, told="no", dispatch_clinic_id=str(uuid4()))
        assert said_at(elsewhere.text, "dispatch_clinic_id")
        assert (await house.boss.get(house.page)).status_code == 404  # nothing of all that was kept


async def test_what_nobody_types_is_refused_at_its_field_or_kept_as_it_is(portal_app: FastAPI, house: House) -> None:
    right = {"liaison_id": house.liaison.id, "told": "yes"}
    signed = {"endpoint.url": URL, "endpoint.authorization": "signature", "endpoint.secret": f"whsec_{'A' * 43}="}
    async with visitor(portal_app, house.boss) as http:
        page = (await http.get(house.page)).text
        fields = {one.name for one in form_to(page, house.page).fields} - {"key"}
        for nasty in NASTY:
            for field in sorted(fields):
                said = nasty.replace("\n", " ").replace("\r", " ") if "licence" not in field else nasty
                answer = await sent(http, house, **{**right, **signed, field: said})
                assert answer.status_code in (303, 409, 412, 422), (field, nasty[:20], answer.status_code)
                assert "<script>alert" not in answer.text


async def test_a_secret_is_kept_and_never_shown(portal_app: FastAPI, house: House) -> None:
    where = {"endpoint.url": URL, "endpoint.token_url": TOKENS, "endpoint.client_id": "relais"}
    right = {"liaison_id": house.liaison.id, "told": "yes", "endpoint.authorization": "client_secret", **where}
    async with visitor(portal_app, house.boss) as http:
        done = await sent(http, house, **right, **{"endpoint.secret": "s3cret"})
        assert done.headers["location"] == f"{house.page}?done=partner_saved"
        assert "s3cret" not in (await http.get(house.page)).text
        kept = await sent(http, house, language="en")  # it is not asked for again
        assert kept.status_code == 303
        moved = await sent(http, house, **{"endpoint.token_url": "https://other.example.ca/token"})
        assert "requis" in said_at(moved.text, "endpoint.secret")  # it would go to somebody else
        assert (await house.terms())["endpoint"]["token_url"] == TOKENS
        late = await sent(http, house, version="1", **{"endpoint.secret": "an0ther"})
        assert "Quelqu’un d’autre a changé ce compte" in shown(late, 412)
        assert "écrivez-le de nouveau" in said_at(late.text, "endpoint.secret")
        assert "an0ther" not in late.text
    typed = {"told": "yes", "licence_systems": "", "endpoint.secret": "an0ther"}
    carried = await sent_too_late(portal_app, house.boss, house.page, house.page, typed)
    signed_in = {**credentials(house.boss), **carried}
    async with visitor(portal_app) as http:
        await http.post("/signin", data=signed_in)
        again = await http.post(house.page, data=signed_in)
        assert "Votre session avait pris fin" in text_of(again.text)
        assert "écrivez-le de nouveau" in said_at(again.text, "endpoint.secret")
        assert "an0ther" not in again.text


async def test_two_administrators_do_not_overwrite_each_other(portal_app: FastAPI, house: House) -> None:
    async with visitor(portal_app, house.boss) as http:
        page = (await http.get(house.page)).text
        form = {**form_to(page, house.page).as_shown, "liaison_id": house.liaison.id, "told": "no"}
        assert (await http.post(house.page, data=form)).status_code == 303
        before = (await house.terms())["version"]
        assert (await http.post(house.page, data=form)).status_code == 303  # pressed twice
        assert (await house.terms())["version"] == before
        late = await http.post(house.page, data={**form, "offerings.teledermatology": "DERM-02"})
        assert "Quelqu’un d’autre a changé ce compte" in shown(late, 412)
        assert "DERM-02" in late.text
        assert (await house.terms())["offerings"] == {}
        corrected = form_to(
            late.text, house.page
        ).as_shown  # it was said that somebody was faster, and what one wrote counts
        assert (await http.post(house.page, data=corrected)).status_code == 303
        assert set((await house.terms())["offerings"]) == {"DERM-02"}
    before = (await house.terms())["version"]
    stale = {"liaison_id": house.liaison.id, "language": "en"}
    answer = await house.boss.http.put(f"/api/v1{house.page}", json=stale, headers={"If-Match": f'"{before - 1}"'})
    assert answer.status_code == 412
    fresh = {"If-Match": (await house.boss.get(house.page)).headers["ETag"]}
    assert (await house.boss.http.put(f"/api/v1{house.page}", json=stale, headers=fresh)).status_code == 200


async def test_a_correction_overwrites_nothing_that_was_not_seen(portal_app: FastAPI, house: House) -> None:
    await house.say()
    async with visitor(portal_app, house.boss) as http:
        page = (await http.get(house.page)).text
        form = {**form_to(page, house.page).as_shown, "told": "yes"}
        await house.say(offerings={"DERM-01": "teledermatology"})
        wrong = await http.post(house.page, data=form)
        assert said_at(shown_html(wrong, 422), "endpoint.url")
        corrected = {**form_to(wrong.text, house.page).as_shown, "told": "no"}
        shown(await http.post(house.page, data=corrected), 412)
        assert set((await house.terms())["offerings"]) == {"DERM-01"}
    who = {"liaison_id": house.liaison.id, "dispatch_clinic_id": str(house.clinic.id)}
    typed = {**who, "told": "no", "licence_systems": "", "language": "en", "performs": ""}
    carried = await sent_too_late(portal_app, house.boss, house.page, house.page, typed)
    await house.say(offerings={"DERM-02": "teledermatology"})
    async with visitor(portal_app) as http:
        await http.post("/signin", data={**credentials(house.boss), **carried})
        again = await http.post(house.page, data={**credentials(house.boss), **carried})
        assert "Votre session avait pris fin" in text_of(again.text)
        shown(await http.post(house.page, data=form_to(again.text, house.page).as_shown), 412)
    assert set((await house.terms())["offerings"]) == {"DERM-02"}


def shown_html(answer: httpx.Response, status: int) -> str:
    """The page of an answer, which has that status."""
    assert answer.status_code == status
    return answer.text


async def test_what_was_turned_off_says_why_after_another_address(
    portal_app: FastAPI, system: System, house: House
) -> None:
    await house.say(endpoint=a_key())
    async with system.services.database.session() as session:
        endpoint = await partner_outbox.lock(session, UUID(house.system_id))
        assert endpoint is not None
        await partner_outbox.disable(session, endpoint, DisabledReason.FAILING, datetime.now(UTC))
    async with visitor(portal_app, house.boss) as http:
        assert (await sent(http, house, **{"endpoint.url": f"{URL}/2"})).status_code == 303
    there = (await house.terms())["endpoint"]
    assert (there["url"], there["state"], there["disabled_reason"]) == (f"{URL}/2", "disabled", "failing")


async def test_the_card_of_a_partner_is_for_systems_that_send_messages(
    portal_app: FastAPI, system: System, house: House
) -> None:
    other = await connected(system, "requests:read", by=house.boss, name=f"Lecture {uuid4().hex[:8]}")
    async with visitor(portal_app, house.boss) as http:
        assert "Messages d’un partenaire" not in shown(await http.get(f"/service-accounts/{other.id}"))
        there = f"/service-accounts/{house.system_id}"
        assert "Messages d’un partenaire" in shown(await http.get(there))
        await house.say()
        first = shown(await http.get(there))
        assert "Façon dont ses messages sont reçus : définie" in first
        assert "redéfinie" not in first
        await house.say(language="en")
        assert "redéfinie" in shown(await http.get(there))


async def test_a_partner_that_answers_ends_only_with_its_requests(
    portal_app: FastAPI, system: System, house: House
) -> None:
    near = system.clinics["near"].id
    request_id = await submitted(system)
    async with visitor(portal_app, house.boss) as http:
        endpoint = {f"endpoint.{name}": text for name, text in a_key().items()}
        right = {"liaison_id": house.liaison.id, "told": "yes", "performs": "yes", **endpoint}
        provider = await add_person(system, f"there_{uuid4().hex[:8]}", house.clinic, Role.PROVIDER)
        refused = await sent(http, house, **right)
        assert "répond" in said_at(refused.text, "performs")
        ok(await house.boss.post(f"/accounts/{provider.id}/lock"))
        assert (await sent(http, house, **right)).status_code == 303
        async with routed(system, near, house.clinic.id):
            ok(await system.dispatcher.post(f"/requests/{request_id}/assign", {"clinic_id": str(house.clinic.id)}))
        kept = await sent(http, house, performs="")
        assert "Ce partenaire a des demandes" in said_at(kept.text, "performs")
        shown(kept, 409)
        assert (await house.terms())["performs"]

        off = await http.post(f"{house.page}/off", data=form_to((await http.get(house.page)).text, house.page).as_shown)
        assert off.headers["location"] == f"{house.page}?done=partner_off"
        text = shown(await http.get(f"{house.page}?status=failed"))
        assert "La demande, avec son formulaire" in text
        assert "Rien n’y est allé" in text
        assert "Envoyer de nouveau" not in text
        assert (await http.post(f"{house.page}/on", data={})).status_code == 303
        page = (await http.get(house.page)).text
        [again] = [action for action in actions(page) if "/messages/" in action]
        assert (await http.post(again, data={})).headers["location"] == f"{house.page}?done=partner_replayed"
        assert (await house.terms())["endpoint"]["messages"]["pending"] == 1
        assert "En route : 1" in shown(await http.get(house.page))
        gone = await http.post(again, data={})
        assert "Ce message" in shown(gone, 409)
        for days in ("7", "999999999", "²", ""):  # what nobody can choose is a day
            assert (await http.post(f"{house.page}/replay", data={"days": days})).status_code == 303
        ok(await system.dispatcher.post(f"/requests/{request_id}/reassign", {"dispatch": True, "reason": "Trop long."}))
        assert (await sent(http, house, performs="")).status_code == 303
    assert not (await house.terms())["performs"]


class routed:  # noqa: N801 - used as a function
    """While the block lasts, one clinic may route to another."""

    def __init__(self, system: System, near: UUID, there: UUID) -> None:
        self._system, self._near, self._there = system, near, there

    async def __aenter__(self) -> None:
        await self._say(lambda routes: [*routes, self._there])

    async def __aexit__(self, *_: object) -> None:
        await self._say(lambda routes: [id_ for id_ in routes if id_ != self._there])

    async def _say(self, of: Any) -> None:
        async with self._system.services.database.session() as session:
            clinic = await people.lock_clinic(session, self._near)
            assert clinic is not None
            clinic.routes_to = of(clinic.routes_to)


def actions(html: str) -> Sequence[str]:
    """Where the forms of a page go."""
    return [part.partition('"')[0] for part in html.split('action="')[1:]]


FAULTS: tuple[tuple[dict[str, Any], str], ...] = (
    ({"last_error": "timeout"}, "Il n’a pas répondu en une minute."),
    ({"last_error": "no_such_name"}, "Ce nom n’existe pas."),
    ({"last_error": "no_token"}, "Aucun jeton n’a été donné"),
    ({"last_error": "not_made"}, "Le message ne peut être composé ici"),
    ({"last_error": "not_an_answer", "last_status": 200}, "Ce qui est revenu ne répond à aucun message"),
    ({"last_status": 401}, "Il ne croit pas que c’est Relais qui appelle"),
    ({"last_status": 404}, "Rien ne reçoit de messages à cette adresse."),
    ({"last_status": 503}, "est en panne pour l’instant"),
    ({"last_status": 200, "answered": "business-rule"}, "Son système n’accepte pas ce message. (business-rule)"),
    ({"last_status": 400}, "Son système n’accepte pas ce message. (HTTP 400)"),
    ({"last_status": 308}, "Rien ne reçoit de messages à cette adresse. (HTTP 308)"),
    ({"last_error": "port_not_allowed"}, "Relais n’appelle pas ce port"),
    ({"last_error": "not_https"}, "L’adresse doit commencer par https."),
    ({"last_error": "not_a_web_address"}, "Une adresse comme https://records.example.ca/relais est attendue."),
    ({"last_status": 200}, "Son système n’accepte pas ce message. (HTTP 200)"),
    ({"state": MessageState.PENDING, "last_status": 200}, "est en panne pour l’instant"),
    ({"state": MessageState.PENDING, "last_status": 200, "answered": "timeout"}, "est en panne pour l’instant"),
    ({"state": MessageState.FAILED}, "Rien n’y est allé"),
    ({"state": MessageState.FAILED, "last_error": "not_ready"}, "Rien n’y est allé"),
    ({"state": MessageState.PENDING, "last_error": "not_ready"}, "Ses fichiers sont encore à l’examen."),
)


async def test_why_a_message_has_not_arrived_is_said_in_words(
    portal: Portal, portal_app: FastAPI, system: System, house: House
) -> None:
    await house.say(endpoint=a_key())
    request_id = UUID(await submitted(system))
    async with system.services.database.session() as session:
        for number, (what, _words) in enumerate(FAULTS):
            session.add(told(house, request_id, number, **{"state": MessageState.REFUSED, **what}))
        session.add(told(house, request_id, len(FAULTS), state=MessageState.DELIVERED, last_status=200))
    async with visitor(portal_app, house.boss) as http:
        page = await http.get(house.page)
        text = shown(page)
        said = [text_of(one) for one in page.text.split('<li class="wraps">')[1:]]  # the newest first
        for (what, words), line in zip(FAULTS, reversed(said[1:]), strict=True):
            assert words in line, what
        last = text.partition("Dernier qui n’est pas arrivé")[2]
        assert last.partition(":")[2].strip().startswith("Ses fichiers sont encore à l’examen.")
        refused = (await http.get(f"{house.page}?status=refused")).text
        assert text_of(refused).count("Refusé par le partenaire TC-") == 0
        assert len([one for one in actions(refused) if "/messages/" in one]) == sum(
            "state" not in what for what, _words in FAULTS
        )
        assert "not a state" not in shown(await http.get(f"{house.page}?status=not+a+state&before=x"))
    assert await overflow_and_barriers(portal, house.boss, (house.page,)) == []
    await house.boss.post(f"{house.page}/replay", {"since": "2026-01-01T05:00:00Z"})
    there = ok(await house.boss.get(f"{house.page}/messages"))["items"]
    waited = {1_000 + number for number, (what, _words) in enumerate(FAULTS) if what.get("state") == "pending"}
    replayed = [one for one in there if one["state"] == "pending" and one["sequence"] not in waited]
    assert len(replayed) == len(FAULTS) - len(waited)
    assert {(one["last_status"], one["last_error"], one["answered"]) for one in replayed} == {(None, None, None)}


def told(house: House, request_id: UUID, number: int, **what: Any) -> ToldMessage:
    """A message to the partner; nobody sends it, for it is due in no time that a test lives through."""
    now = datetime.now(UTC)
    return ToldMessage(
        id=new_id(),
        partner_id=UUID(house.system_id),
        request_id=request_id,
        sequence=1_000 + number,
        part=0,
        event=MessageEvent.UPDATE_PROCESS,
        version=1,
        at=now,
        next_attempt=now.replace(year=now.year + 10),
        **what,
    )


async def test_terms_of_what_is_gone_are_shown_and_said_anew(portal_app: FastAPI, system: System, house: House) -> None:
    await house.say(offerings={"VIEUX": "teledermatology"})
    async with system.services.database.session() as session:
        locked = await people.lock_account(session, UUID(house.liaison.id))
        assert locked is not None
        locked.active = False
    async with visitor(portal_app, house.boss) as http:
        page = await http.get(house.page)
        assert "ne demande plus d’avis ici" in shown(page)
        same = await sent(http, house, told="no", language="en")
        assert "requis" in said_at(same.text, "liaison_id")
        await house.boss.post(f"/service-accounts/{house.system_id}/lock")
        for address in (house.page, f"/service-accounts/{house.system_id}"):
            assert "Le système est verrouillé" in shown(await http.get(address))


async def test_the_page_is_for_who_administers_the_clinic(portal_app: FastAPI, system: System, house: House) -> None:
    await house.say(endpoint=a_key())
    posts = ("", "/on", "/off", "/replay", f"/messages/{uuid4()}/replay")
    for who, status in ((system.requester, 403), (house.liaison, 403), (system.administrator, 404)):
        async with visitor(portal_app, who) as http:
            assert (await http.get(house.page)).status_code == status
            for post in posts:
                answer = await http.post(f"{house.page}{post}", data={"licence_systems": "", "told": "no"})
                assert answer.status_code in (status, 422), (who.account.username, post)
                assert URL not in answer.text
    async with visitor(portal_app, system.operator) as http:
        assert URL in shown(await http.get(house.page))
    assert (await house.terms())["endpoint"]["state"] == "unverified"


async def test_the_key_is_copied_by_one_press(portal: Portal, house: House) -> None:
    kept = await house.say(endpoint=a_key())
    async with portal.visit(house.boss) as page:
        await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        await page.goto(house.page)
        await press(page, "Copier la clé")
        await expect(page.get_by_text("Copiée.")).to_be_visible()
        assert json.loads(await page.evaluate("navigator.clipboard.readText()")) == kept["endpoint"]["public_key"]
        await without_a_clipboard(page)
        await press(page, "Copier la clé")
        await expect(page.get_by_text("Elle est sélectionnée")).to_be_visible()
        selected = await page.evaluate("getSelection().toString()")
        assert json.loads(selected) == kept["endpoint"]["public_key"]


async def without_a_clipboard(page: Page) -> None:
    """As a browser that does not let pages write there."""
    await page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')); }")
