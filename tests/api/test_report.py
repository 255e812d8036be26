"""The report: its draft, its signature, the signed documents, and what happens when one can't be made."""

import asyncio
import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from io import BytesIO
from typing import Any
from uuid import uuid4

import httpx
from pypdf import PdfReader
from temporalio.client import Client
from temporalio.service import RetryConfig

from api.server import create_app
from documents.signature import verify_pdf
from domain.requests import Role
from engine.client import key_ring
from engine.converter import data_converter
from records.reports import load_frozen_report
from tests.api.answers import picture, problem
from tests.api.conftest import Shelf
from tests.eventually import eventually
from tests.journeys import accepted, filled, ok, signed, written
from tests.system import PASSWORD, Clinician, System, add_person, hasty
from translations.dates import moment
from translations.typography import NO_BREAK_SPACE


async def put(
    who: Clinician, request_id: str, answers: Mapping[str, Any], version: str | None = None
) -> httpx.Response:
    headers = {"If-Match": version} if version else {}
    path = f"/api/v1/requests/{request_id}/report"
    return await who.http.put(path, json={"answers": answers}, headers=headers)


async def sign(who: Clinician, request_id: str, **more: Any) -> httpx.Response:
    key = more.pop("key", None)
    body = {"kind": "final", "password": PASSWORD, **more}
    return await who.post(f"/requests/{request_id}/report/sign", body, key=key)


async def pdf(who: Clinician, request_id: str, report_id: str) -> bytes:
    answer = await who.get(f"/requests/{request_id}/reports/{report_id}.pdf")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/pdf"
    return answer.content


def words(document: bytes) -> str:
    text = "\n".join(page.extract_text() for page in PdfReader(BytesIO(document)).pages)
    return " ".join(text.split())


def complete(system: System, **more: Any) -> dict[str, Any]:
    return {**filled(system.services.offerings["teledermatology"].report), **more}


# The draft


async def test_the_draft_is_saved_and_guarded(system: System) -> None:
    request_id = await accepted(system)
    empty = ok(await system.provider.get(f"/requests/{request_id}/report"))
    assert (empty["revision"], empty["answers"], empty["updated_at"]) == (0, {}, None)
    required = ["findings", "diagnostic_impression", "recommendations"]
    assert [(m["field"], m["code"], m["message"]) for m in empty["missing"]] == [
        (name, "required", "Ce champ est requis.") for name in required
    ]
    assert [field["name"] for field in empty["fields"] if field["required"]] == required

    answer = await put(system.provider, request_id, {"findings": "Nævus."}, '"0"')
    first = ok(answer)
    assert (first["revision"], answer.headers["etag"]) == (1, '"1"')
    second = ok(await put(system.provider, request_id, complete(system), '"1"'))
    assert (second["revision"], second["missing"]) == (2, [])
    problem(await put(system.provider, request_id, {"findings": "Perdu."}, '"1"'), 412, "version_conflict")
    problem(await put(system.provider, request_id, {"findings": "Perdu."}, "hier"), 422, "invalid_if_match")
    problem(await put(system.provider, request_id, {"findings": 1}), 422, "report_invalid")
    problem(await put(system.provider, request_id, {"surprise": "?"}), 422, "report_invalid")
    assert ok(await system.provider.get(f"/requests/{request_id}/report")) == second
    assert ok(await put(system.provider, request_id, {}))["revision"] == 3  # without If-Match the last one wins


async def test_only_who_holds_it_writes(system: System, shelf: Shelf) -> None:
    for elsewhere in ("awaiting_dispatch", "awaiting_acceptance", "returned", "reported", "closed", "cancelled"):
        problem(await put(system.provider, shelf.by_status[elsewhere], {}), 409, "not_allowed_in_status")
    request_id = shelf.by_status["accepted"]
    for name, status, code in (
        ("provider2", 404, "not_found"),
        ("far_provider", 404, "not_found"),
        ("operator", 403, "forbidden"),
        ("requester", 403, "not_the_holder"),
        ("dispatcher", 403, "not_the_holder"),
        ("administrator", 403, "not_the_holder"),
    ):
        problem(await put(system.people[name], request_id, {"findings": "?"}), status, code)
        problem(await system.people[name].get(f"/requests/{request_id}/report"), status, code)
    assert ok(await system.provider.get(f"/requests/{request_id}/report"))["revision"] == 0


async def test_a_draft_goes_along_with_a_transfer(system: System) -> None:
    request_id = await accepted(system)
    await written(system, request_id)
    draft = ok(await system.provider.get(f"/requests/{request_id}/report"))
    ok(await system.provider.post(f"/requests/{request_id}/transfer", {"provider_id": system.provider2.id}))
    ok(await system.provider2.post(f"/requests/{request_id}/accept"))
    assert ok(await system.provider2.get(f"/requests/{request_id}/report")) == draft
    receipt = ok(await sign(system.provider2, request_id))
    assert receipt["document"]["signer"]["id"] == system.provider2.id


# The signature


async def test_what_is_missing_is_named_and_nothing_is_signed(system: System) -> None:
    request_id = await accepted(system)
    before = await picture(system.requester, request_id)
    ok(await put(system.provider, request_id, complete(system, findings="   ")))
    body = problem(await sign(system.provider, request_id), 422, "report_incomplete")
    assert [(error["field"], error["code"]) for error in body["errors"]] == [("findings", "required")]
    await written(system, request_id)
    problem(await sign(system.provider, request_id, password="wrong"), 403, "wrong_password")
    problem(await sign(system.provider, request_id, kind="addendum"), 422, "invalid_input")
    problem(await sign(system.provider, request_id, language="de"), 422, "invalid_input")
    problem(await system.provider.post(f"/requests/{request_id}/report/sign", {"kind": "final"}), 422, "invalid_input")
    assert await picture(system.requester, request_id) == before
    assert (await system.provider.get(f"/requests/{request_id}/reports")).json() == []


async def test_preliminary_final_and_addendum(system: System) -> None:
    request_id = await accepted(system)
    odd = "Lésion de 3 mm × 4 mm: « nævus » – *non* #import $x$ <b> \\ \u202e 🩺\x0b\x07 et la fin."
    ok(await put(system.provider, request_id, complete(system, findings=odd)))
    preliminary = (await signed(system, request_id, "preliminary"))["document"]
    ok(await put(system.provider, request_id, complete(system, findings="Mélanome exclu.")))
    receipt = ok(await sign(system.provider, request_id, language="en"))
    assert (receipt["status"], receipt["state"]) == ("reported", "done")
    final = receipt["document"]
    ok(await system.requester.post(f"/requests/{request_id}/acknowledge"))
    body = {"text": "La biopsie confirme.", "password": PASSWORD}
    addendum = ok(await system.provider.post(f"/requests/{request_id}/report/addenda", body))
    assert addendum["status"] == "closed"
    addendum = addendum["document"]

    listed = (await system.requester.get(f"/requests/{request_id}/reports")).json()
    assert listed == [preliminary, final, addendum]
    assert [(d["number"], d["kind"]) for d in listed] == [(1, "preliminary"), (2, "final"), (3, "addendum")]
    documents = [await pdf(system.requester, request_id, d["report_id"]) for d in listed]
    roots = [system.authority.root_certificate_pem]
    for made, told in zip(documents, listed, strict=True):
        assert (hashlib.sha256(made).hexdigest(), len(made)) == (told["sha256"], told["size_bytes"])
        verdict = await verify_pdf(made, roots)
        assert (verdict.valid, verdict.trusted, verdict.intact, verdict.covers_whole_document) == (True,) * 4
        assert verdict.signer_name == told["signer"]["name"] == "Dre Anne Provider"
        assert verdict.signed_at is not None
        assert verdict.signed_at.isoformat(timespec="seconds") == told["signed_at"][:19] + "+00:00"
        changed = bytearray(made)
        changed[len(made) // 3] ^= 1
        assert not (await verify_pdf(bytes(changed), roots)).valid

    first, second, third = map(words, documents)
    assert "Rapport préliminaire" in first
    assert "*non* #import $x$ <b>" in first
    assert "Final report" in second
    assert "Mélanome exclu." in second
    assert "Rapport préliminaire" not in second
    replaced = moment(datetime.fromisoformat(preliminary["signed_at"]), "en").replace(NO_BREAK_SPACE, " ")
    assert f"The preliminary report of {replaced} is replaced by this one." in second
    assert preliminary["report_id"] not in second
    assert "Addenda" in third
    assert "La biopsie confirme." in third
    completed = moment(datetime.fromisoformat(final["signed_at"]), "fr").replace(NO_BREAK_SPACE, " ")
    assert f"complète le rapport final du {completed}" in third
    assert final["report_id"] not in third
    for text in (first, second, third):
        assert "Jeanne Tremblay" in text
        assert (await system.requester.view(request_id))["number"] in text
    again = await system.provider.get(f"/requests/{request_id}/reports/{final['report_id']}.pdf")
    assert again.content == documents[1]
    assert again.headers["etag"] == f'"{final["sha256"]}"'
    assert again.headers["content-disposition"].startswith("inline; filename=")
    problem(await system.provider.get(f"/requests/{request_id}/reports/{uuid4()}.pdf"), 404, "not_found")


async def test_a_forged_signal_signs_nothing(system: System) -> None:
    """A Signal alone is no signature: without the proof in the records no document is made, and the provider is told."""
    request_id = await accepted(system)
    await written(system, request_id)
    address = system.provider.account.email
    told_before = len(system.post_office.kept_for(address))
    actor = {"id": system.provider.id, "role": "provider", "clinic_id": str(system.clinics["near"].id)}
    forged = {
        "id": f"forged-{uuid4()}",
        "actor": actor,
        "kind": "final",
        "report_id": str(uuid4()),
        "content_sha256": "0" * 64,
    }
    await system.workflow(request_id).signal("sign_report", forged)

    async def failed() -> bool:
        return int((await system.provider.view(request_id))["version"]) >= 5

    await eventually(failed)
    view = await system.provider.view(request_id)
    assert (view["status"], view["documents"], view["being_signed"]) == ("accepted", [], None)
    timeline = (await system.provider.get(f"/requests/{request_id}/timeline")).json()
    assert [event["name"] for event in timeline[-2:]] == ["report_signed", "signing_failed"]

    async def noted() -> bool:
        listed = (await system.operator.get("/failures")).json()
        return [f["code"] for f in listed if f["request_id"] == request_id] == ["report_not_frozen"]

    await eventually(noted)
    await eventually(lambda: len(system.post_office.kept_for(address)) > told_before)
    assert "document signé non produit" in str(system.post_office.kept_for(address)[-1]["Subject"])
    ok(await sign(system.provider, request_id))  # and the provider signs it truly


async def test_a_proof_serves_one_signature(system: System) -> None:
    """What was frozen and proven for one command can't be signed by another."""
    request_id = await accepted(system)
    await written(system, request_id)
    frozen = (await signed(system, request_id, "preliminary"))["document"]
    state = await system.state(request_id)
    actor = {"id": system.provider.id, "role": "provider", "clinic_id": str(system.clinics["near"].id)}
    async with system.services.database.session() as session:
        content = await load_frozen_report(session, state.documents[0].report_id)
    assert content is not None
    forged = {
        "id": f"forged-{uuid4()}",
        "actor": actor,
        "kind": "final",
        "report_id": frozen["report_id"],
        "content_sha256": content.content_sha256,
    }
    await system.workflow(request_id).signal("sign_report", forged)

    async def failed() -> bool:
        return int((await system.provider.view(request_id))["version"]) >= state.version + 2

    await eventually(failed)
    view = await system.provider.view(request_id)
    assert (view["status"], [d["kind"] for d in view["documents"]]) == ("accepted", ["preliminary"])
    listed = (await system.operator.get("/failures")).json()
    assert "signature_not_proven" in [f["code"] for f in listed if f["request_id"] == request_id]


async def test_while_the_document_is_being_made(system: System) -> None:
    """The store is in the way: the signature is taken and answers 202, nothing else goes, and the document comes in the end."""
    request_id, key = await accepted(system), uuid4().hex
    await written(system, request_id)
    in_the_way = system.settings.data_dir / "documents" / "documents" / request_id
    in_the_way.parent.mkdir(exist_ok=True)
    in_the_way.touch()
    with hasty(system.app, document_timeout_seconds=0.5):
        answer = await sign(system.provider, request_id, key=key)
    receipt = ok(answer, 202)
    assert (receipt["state"], receipt["status"], receipt["document"]) == ("queued", "accepted", None)
    view = await system.provider.view(request_id)
    assert (view["being_signed"], view["allowed_commands"]) == ("final", [])
    for who, path, body in (
        (system.provider, "report/sign", {"kind": "final", "password": PASSWORD}),
        (system.provider, "transfer", {"provider_id": system.provider2.id}),
        (system.requester, "cancel", {"reason": "Trop tard."}),
    ):
        problem(await who.post(f"/requests/{request_id}/{path}", body), 409, "report_being_signed")
    in_the_way.unlink()
    done = ok(await sign(system.provider, request_id, key=key))
    assert (done["state"], done["status"]) == ("done", "reported")
    assert (await pdf(system.requester, request_id, done["document"]["report_id"])).startswith(b"%PDF")
    assert ok(await sign(system.provider, request_id, key=key)) == done


async def lost_engine(system: System) -> Client:
    """A client whose Temporal server has gone: it was reached through a relay that is no more."""
    host, port = system.environment.client.service_client.config.target_host.split(":")
    writers: list[asyncio.StreamWriter] = []

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection(host, int(port))
        writers.extend((writer, to_server))
        await asyncio.gather(_pump(reader, to_server), _pump(from_server, writer))

    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    client = await Client.connect(
        f"127.0.0.1:{server.sockets[0].getsockname()[1]}",
        data_converter=data_converter(key_ring(system.settings)),
        retry_config=RetryConfig(max_elapsed_time_millis=500),
    )
    server.close()
    for writer in writers:
        writer.transport.abort()
    return client


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while chunk := await reader.read(65_536):
            writer.write(chunk)


async def test_without_the_engine_nothing_is_signed(system: System) -> None:
    """503, and later the same key signs what it would have signed; a report that was changed needs a key of its own."""
    request_id, key = await accepted(system), uuid4().hex
    await written(system, request_id)
    before = await picture(system.requester, request_id)
    hasty = system.settings.model_copy(update={"command_timeout_seconds": 0.5})
    app = create_app(hasty, replace(system.of_api, engine=await lost_engine(system), settings=hasty))
    headers = dict(system.provider.http.headers)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://relais.test", headers=headers
    ) as http:
        provider = Clinician(system.provider.account, http)
        for name, body in (("report/sign", None), ("transfer", {"provider_id": system.provider2.id})):
            sent = body or {"kind": "final", "password": PASSWORD}
            answer = await provider.post(f"/requests/{request_id}/{name}", sent, key=key)
            assert (answer.status_code, answer.json()["code"]) == (503, "engine_unreachable")
            assert int(answer.headers["retry-after"]) > 0
        ready = await http.get("/readyz")
        assert (ready.status_code, ready.json()["parts"]["engine"]) == (503, False)
    assert await picture(system.requester, request_id) == before
    ok(await put(system.provider, request_id, complete(system, findings="Autre chose.")))
    problem(await sign(system.provider, request_id, key=key), 422, "idempotency_key_reused")
    await written(system, request_id)
    assert ok(await sign(system.provider, request_id, key=key))["status"] == "reported"


async def test_an_engine_that_is_only_coming_up_is_no_fault_of_ours(system: System) -> None:
    """It may answer with NOT_FOUND or UNKNOWN for a while: 503, to be tried again, and not 500."""
    request_id = await accepted(system)
    starting = await Client.connect(
        system.services.engine.service_client.config.target_host,
        namespace="not-loaded-yet",
        data_converter=data_converter(key_ring(system.settings)),
    )
    app = create_app(system.settings, replace(system.of_api, engine=starting))
    headers = dict(system.provider.http.headers)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://relais.test", headers=headers
    ) as http:
        provider = Clinician(system.provider.account, http)
        answer = await provider.post(f"/requests/{request_id}/request-information", {"text": "Depuis quand?"})
        assert (answer.status_code, answer.json()["code"]) == (503, "engine_unreachable")


async def test_documents_are_in_their_signers_language(system: System) -> None:
    english = await add_person(system, "english_provider", system.clinics["near"], Role.PROVIDER, language="en")
    request_id = await accepted(system)
    ok(await system.provider.post(f"/requests/{request_id}/transfer", {"provider_id": english.id}))
    ok(await english.post(f"/requests/{request_id}/accept"))
    ok(await put(english, request_id, complete(system, urgency_reassessment="visit-2-weeks")))
    for asked, title, visit in (
        (None, "Preliminary report", "Visit in person within 2 weeks"),
        ("fr", "Rapport préliminaire", "Visite en personne dans les 2 semaines"),
    ):
        document = ok(await sign(english, request_id, kind="preliminary", language=asked))["document"]
        text = words(await pdf(english, request_id, document["report_id"]))
        assert title in text
        assert visit in text


async def test_an_addendum_says_something(system: System, shelf: Shelf) -> None:
    request_id = shelf.by_status["reported"]
    before = await picture(system.requester, request_id)
    path = f"/requests/{request_id}/report/addenda"
    for text in ("", "  ", "x" * 20_001, "\x00", None):
        body = {"text": text, "password": PASSWORD}
        problem(await system.provider.post(path, body), 422, "invalid_input")
    problem(await system.provider.post(path, {"text": "?", "password": "wrong"}), 403, "wrong_password")
    assert await picture(system.requester, request_id) == before
