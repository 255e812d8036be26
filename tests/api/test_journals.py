"""The journal of a person: who has seen the requests about them, all of it, in plain words, and nothing of anybody else."""

import io
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from fastapi import FastAPI
from pypdf import PdfReader
from sqlalchemy import ARRAY, Uuid, and_, func, literal, not_, or_, select

from activities.contract import JournalOrder, JournalRequest
from domain.audit import Act
from domain.requests import Role
from records import people
from records.models import AuditEntry
from tests.api.test_hand_over import routed_far
from tests.api.test_service_accounts import connected
from tests.eventually import eventually
from tests.journeys import accepted, ok, returned, signed, submitted, written
from tests.portal.browsing import visitor
from tests.system import Clinician, System, add_person
from tests.unit.test_routes import routes
from use_cases.journal_paper import read_acts, told_of


@dataclass(frozen=True)
class Journal:
    """A journal that was made: its text, and its file."""

    id: str
    text: str
    pdf: bytes


async def journal(who: Clinician, request_id: str, **body: Any) -> Journal:
    """The journal that somebody asks for, once it is there."""
    asked = ok(await who.post(f"/requests/{request_id}/journals", {"language": "en", **body}), 202)
    address = f"/requests/{request_id}/journals/{asked['id']}"

    async def is_made() -> bool:
        return bool(ok(await who.get(address))["state"] != "making")

    await eventually(is_made)
    assert ok(await who.get(address))["state"] == "ready"
    answer = await who.get(f"{address}.pdf")
    assert answer.status_code == 200
    return Journal(asked["id"], text_of(answer.content), answer.content)


def text_of(pdf: bytes) -> str:
    """All that can be read, with single spaces: texts are broken where they may be."""
    pages = PdfReader(io.BytesIO(pdf)).pages
    return " ".join(" ".join(page.extract_text() for page in pages).split())


def somebody() -> dict[str, str]:
    """A patient of whom nobody else has heard."""
    name = "".join(chr(ord("a") + int(digit, 16)) for digit in uuid4().hex[:12])
    return {
        "given_name": "Wilhelmina",
        "family_name": f"Zz{name}",
        "birth_date": "1931-05-07",
        "sex": "female",
    }


async def acts_of(system: System, *ids: str) -> int:
    """How many entries of the audit name one of these requests, or something that was sent with one."""
    named = [UUID(one) for one in ids]
    of_a_journal_again = and_(
        AuditEntry.kind == Act.JOURNAL, func.cardinality(AuditEntry.shown) == 0
    )  # one of it names them all
    of_these = or_(
        AuditEntry.request_id.in_(named),
        AuditEntry.shown.op("&&")(literal(named, ARRAY(Uuid()))),
        AuditEntry.object_id.in_(named),
    )
    async with system.services.database.session() as session:
        return len((await session.scalars(select(AuditEntry.id).where(of_these, not_(of_a_journal_again)))).all())


async def test_the_journal_tells_every_act(system: System, face: FastAPI) -> None:
    """Whoever is shown the patient, by whichever face, stands in it; also who was refused, and the journal itself."""
    patient = somebody()
    first = await accepted(system, patient=patient)
    await written(system, first)
    await signed(system, first)
    second = await submitted(system, patient=patient)
    other = await submitted(system, patient=somebody())
    attachment = (await system.requester.view(first))["attachments"][0]["id"]
    report = (await system.requester.view(first))["documents"][0]["report_id"]
    reading = await connected(system, "requests:read", name="Dossier Alpha")
    for who, path in (
        (system.provider, f"/requests/{first}"),
        (system.provider, f"/requests/{first}/timeline"),
        (system.requester, f"/requests/{first}/case.pdf"),
        (system.requester, f"/requests/{first}/reports/{report}.pdf"),
        (system.administrator, f"/requests/{first}/accesses"),
        (system.dispatcher, f"/requests?q={patient['family_name']}"),
        (system.provider, f"/requests/{first}/attachments/{attachment}/preview"),
    ):
        assert (await who.get(path)).status_code == 200, path
    for path in (f"/requests/{first}", f"/requests/{second}", f"/requests/{first}/attachments/{attachment}/preview"):
        assert (await system.far_provider.get(path)).status_code == 404
    assert (await reading.http.get(f"/api/v1/requests/{first}")).status_code == 200
    async with visitor(face, system.provider) as http:
        for page in (f"/requests/{first}", f"/requests/{first}/patient", f"/requests/{first}/documents/{report}"):
            assert (await http.get(page)).status_code == 200, page
        token = {"Authorization": system.provider.http.headers["Authorization"]}
        assert (await http.get(f"/fhir/Patient/{first}", headers=token)).status_code == 200

    made = await journal(system.administrator, second, request_ids=[first])
    order = JournalOrder(
        id=uuid4(),
        about=UUID(second),
        clinic_id=system.administrator.account.clinic_id,
        asked_by=system.administrator.account.id,
        before=datetime.now(UTC) + timedelta(seconds=1),
        since=None,
        until=None,
        language="en",
        requests=tuple(JournalRequest(request_id=UUID(one), whole=True) for one in (first, second)),
    )
    async with system.services.database.session() as session:
        told = list(told_of(await read_acts(session, order)))
    assert len(told) == await acts_of(system, first, second, attachment, report)

    numbers = [(await system.requester.view(one))["number"] for one in (first, second, other)]
    assert numbers[0] in made.text
    assert numbers[1] in made.text
    assert numbers[2] not in made.text
    assert patient["family_name"] in made.text
    for said in (
        "Opening of the request",
        "Refused, nothing was shown: Opening of the request",
        "Refused, nothing was shown: Viewing of a photo",
        "The whole file of the request, taken along",
        "Found by a search for the person",
        "Journal of accesses: asked for",
        "Signature of the report",
        "Submission of the request",
        "Computer system “Dossier Alpha”",
        "Care · Provider",
        "Clinique des Érables",
    ):
        assert said in made.text, said
    assert re.search(r"\(E[SD]T\)", made.text), "each time has its zone"
    names = {route.name for route in routes() if "_" in route.name}
    assert not {word for word in re.findall(r"\w+", made.text) if word in names}, "a code name is no plain word"

    verdict = ok(
        await system.administrator.http.post(
            "/api/v1/verifications", content=made.pdf, headers={"Content-Type": "application/pdf"}
        )
    )
    assert verdict["valid"]
    assert verdict["signer_name"] == "Clinique du Fleuve"
    for one in (first, second):
        looks = (await system.administrator.get(f"/requests/{one}/accesses")).json()
        assert "journal" in {look["what"] for look in looks}, "it stands where each of its requests tells who looked"
    again = await journal(system.administrator, second)
    assert numbers[0] not in again.text, "whoever asks says which requests are about the person"
    assert numbers[1] in again.text


async def test_a_clinic_tells_of_its_own_part(system: System) -> None:
    patient = somebody()
    request_id = await routed_far(system, patient=patient)
    far = await add_person(system, "far_keeper", system.clinics["far"], Role.CLINIC_ADMINISTRATOR)
    await system.requester.view(request_id)
    comment = {"comment": "Hors de mon domaine."}
    ok(await system.far_provider.post(f"/requests/{request_id}/return-to-dispatch", comment))
    assert (await far.get(f"/requests/{request_id}")).status_code in (403, 404)  # it is with others now
    offered = ok(await far.get(f"/requests/{request_id}/journal"))["requests"]
    assert [(one["id"], one["whole"], one["patient"]) for one in offered] == [(request_id, False, None)]
    theirs = (await journal(far, request_id)).text
    assert system.far_provider.account.family_name in theirs
    assert "Return of the request to those who assign it" in theirs
    assert (
        "Only what people of Clinique des Érables did is told here; who else saw it, Clinique du Fleuve can tell."
        in theirs
    )
    assert patient["family_name"] not in theirs
    assert f"Anne {system.requester.account.family_name}" not in theirs
    assert f"Anne {system.dispatcher.account.family_name}" not in theirs
    ours = (await journal(system.administrator, request_id)).text
    for name in (system.far_provider, system.requester, system.dispatcher):
        assert f"Anne {name.account.family_name}" in ours
    assert patient["family_name"] in ours


async def test_nobody_else_gets_one(system: System) -> None:
    request_id = await submitted(system, patient=somebody())
    mine = ok(await system.administrator.post(f"/requests/{request_id}/journals", {}), 202)["id"]
    async with system.services.database.session() as session:
        alone = await people.add_clinic(session, code=f"alone-{uuid4().hex[:8]}", name="Clinique isolée")
    stranger = await add_person(system, "lonely_keeper", alone, Role.CLINIC_ADMINISTRATOR)
    far = await add_person(system, "far_keeper2", system.clinics["far"], Role.CLINIC_ADMINISTRATOR)
    paths = ("journal", f"journals/{mine}", f"journals/{mine}.pdf")
    refused = [(stranger, 404), (far, 404), (system.provider, 404)]  # to them, it is not there
    for who, status in [*refused, *((who, 403) for who in (system.requester, system.dispatcher, system.operator))]:
        for path in paths:
            assert (await who.get(f"/requests/{request_id}/{path}")).status_code == status, (who, path)
        assert (await who.post(f"/requests/{request_id}/journals", {})).status_code == status
    other = await submitted(system, patient=somebody())
    assert (await system.administrator.get(f"/requests/{other}/journals/{mine}")).status_code == 404
    chosen = {"request_ids": [other]}
    answer = await system.administrator.post(f"/requests/{request_id}/journals", chosen)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "not_an_option")
    backwards = {"since": "2026-11-02", "until": "2026-11-01"}
    answer = await system.administrator.post(f"/requests/{request_id}/journals", backwards)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "before_it_begins")
    own_draft = ok(await system.requester.post("/requests", {"offering": "teledermatology"}), 201)["id"]
    assert (await system.administrator.get(f"/requests/{own_draft}/journal")).status_code == 404


async def test_a_corrected_form_leads_to_whom_it_named_before(system: System) -> None:
    """A request that was begun about the wrong person stands in the journals of both, each with its own part."""
    wrong, right = somebody(), somebody()
    request_id = await returned(system, patient=wrong)
    ok(await system.requester.http.patch(f"/api/v1/requests/{request_id}", json={"patient": right}))
    ok(await system.requester.post(f"/requests/{request_id}/resubmit"))
    number = (await system.requester.view(request_id))["number"]
    another = {one["family_name"]: await submitted(system, patient=one) for one in (wrong, right)}
    for name in (wrong["family_name"], right["family_name"]):
        alone = (await journal(system.administrator, another[name])).text
        assert number not in alone, "nobody has said that it is about the same person"
    returned_it, sent_again = "Return of the request to whoever asked for advice", "New submission of the request"
    earlier = (await journal(system.administrator, another[wrong["family_name"]], request_ids=[request_id])).text
    assert number in earlier
    assert "its form says something else of the person: what was done since is not told here" in earlier
    assert returned_it in earlier
    later = (await journal(system.administrator, another[right["family_name"]], request_ids=[request_id])).text
    assert number in later
    assert "its form said something else of the person: what was done then is not told here" in later
    assert returned_it not in later
    assert sent_again in earlier + later
    assert right["family_name"] not in earlier
    assert wrong["family_name"] not in later


async def test_whom_a_request_names_that_is_with_others_now_is_not_told(system: System) -> None:
    """It was with the far clinic for somebody; then it was corrected, and went elsewhere."""
    wrong, right = somebody(), somebody()
    request_id = await routed_far(system, is_accepted=False, patient=wrong)
    why = {"reason": "incomplete_submission", "text": "Ce n’est pas la bonne personne."}
    ok(await system.far_provider.post(f"/requests/{request_id}/return-to-requester", why))
    ok(await system.requester.http.patch(f"/api/v1/requests/{request_id}", json={"patient": right}))
    ok(await system.requester.post(f"/requests/{request_id}/resubmit"))
    comment = {"comment": "Hors de mon domaine."}
    ok(await system.far_provider.post(f"/requests/{request_id}/return-to-dispatch", comment))
    theirs = await routed_far(system, patient=right)
    far = await add_person(system, "far_keeper3", system.clinics["far"], Role.CLINIC_ADMINISTRATOR)
    offered = ok(await far.get(f"/requests/{theirs}/journal"))["requests"]
    assert [one["id"] for one in offered] == [theirs]
    [alone] = ok(await far.get(f"/requests/{request_id}/journal"))["requests"]
    assert (alone["id"], alone["whole"], alone["patient"], alone["renamed"]) == (request_id, False, None, False)
    answer = await far.post(f"/requests/{theirs}/journals", {"request_ids": [request_id]})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "not_an_option")
    text = (await journal(far, request_id)).text
    assert not {wrong["family_name"], right["family_name"]} & set(re.findall(r"\w+", text))


async def test_a_journal_of_days_in_which_nothing_was_done(system: System) -> None:
    request_id = await submitted(system, patient=somebody())
    empty = await journal(system.administrator, request_id, since="2020-01-01", until="2020-12-31", language="fr")
    assert "Rien n’a été fait pendant cette période." in empty.text
    assert "Du 1ᵉʳ janvier 2020 au 31 décembre 2020 inclus" in empty.text
    today = await journal(system.administrator, request_id, since="0001-01-01", until="9999-12-31")
    assert "Submission of the request" in today.text
