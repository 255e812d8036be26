"""The whole case as one PDF: all that its reader may see, in their language, for nobody else, and written down."""

import unicodedata
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import pytest
from pypdf import PdfReader

from tests.journeys import PATIENT, accepted, ok, signed, submitted, written
from tests.system import Clinician, System

DIAGNOSIS = "Kératose séborrhéique; أكزيما."


def words(pdf: bytes) -> str:
    """What the pages say, without line breaks."""
    text = " ".join(page.extract_text() for page in PdfReader(BytesIO(pdf)).pages)
    return unicodedata.normalize("NFKC", " ".join(text.split()))


def alternatives_in(element: Any) -> list[str]:
    """The words in place of pictures, in the order of reading."""
    if isinstance(element, list):
        return [text for part in element for text in alternatives_in(part)]
    if not hasattr(element, "get_object") or not hasattr(found := element.get_object(), "get"):
        return []
    here = [str(found["/Alt"])] if found.get("/S") == "/Figure" else []
    return here + alternatives_in(found.get("/K", []))


async def case_of(who: Clinician, request_id: str, language: str = "fr") -> bytes:
    answer = await who.get(f"/requests/{request_id}/case.pdf", params={"language": language})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.headers["cache-control"] == "private, no-store"
    return answer.content


@pytest.fixture(scope="module")
async def request_id(system: System) -> str:
    """Asked, answered, added to, reported, acknowledged."""
    request_id = await accepted(system)
    asked = ok(await system.provider.post(f"/requests/{request_id}/request-information", {"text": "Depuis quand?"}))
    question = (await system.provider.view(request_id))["questions"][0]["id"]
    assert asked["version"]
    answer = {"question_id": question, "text": "Depuis le printemps."}
    ok(await system.requester.post(f"/requests/{request_id}/answer-information", answer))
    ok(await system.requester.post(f"/requests/{request_id}/add-information", {"text": "Elle saigne.", "worse": True}))
    photo_id = (await system.requester.view(request_id))["attachments"][0]["id"]
    mark = {"kind": "circle", "start": {"x": 0.5, "y": 0.5}, "end": {"x": 0.6, "y": 0.5}, "label": "Bord net"}
    ok(await system.provider.post(f"/requests/{request_id}/attachments/{photo_id}/marks", mark), 201)
    await written(system, request_id, findings=DIAGNOSIS)
    await signed(system, request_id)
    outcome = {"advice_followed": "partly", "visit_avoided": True, "comment": "Guérie en mars."}
    ok(await system.requester.post(f"/requests/{request_id}/acknowledge", {"outcome": outcome}))
    return request_id


async def test_it_holds_everything(system: System, request_id: str) -> None:
    pdf = await case_of(system.requester, request_id)
    view = await system.requester.view(request_id)
    text = words(pdf)
    for said in (
        *(view["number"], PATIENT["family_name"], "Télédermatologie", view["answers"]["question"]),
        *("Depuis quand?", "Depuis le printemps.", "Elle saigne.", "État aggravé"),
        *("Rapport final", "Kératose séborrhéique"),
        *("En partie", "Guérie en mars.", "Demande soumise", "Dre Anne Provider", "Photo 1", "Photo 3"),
        "Cercle : Bord net",
    ):
        assert said in text, said
    assert view["documents"][0]["sha256"] in text.replace(" ", "")
    images = [image for page in PdfReader(BytesIO(pdf)).pages for image in page.images]
    assert len(images) == len(view["attachments"])


async def test_it_can_be_kept_and_read_aloud(system: System, request_id: str) -> None:
    pdf = await case_of(system.provider, request_id)
    reader = PdfReader(BytesIO(pdf))
    root: Any = reader.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"]
    assert root["/Lang"].startswith("fr")
    described = root["/Metadata"].get_data().decode()
    assert "pdfaid:part" in described
    assert "pdfuaid:part" in described
    assert len(alternatives_in(root["/StructTreeRoot"])) == 3


async def test_in_the_readers_language(system: System, request_id: str) -> None:
    text = words(await case_of(system.provider, request_id, "en"))
    assert "Questions and answers" in text
    assert "Request submitted" in text
    assert "In part" in text


async def test_for_those_who_see_the_chart_and_nobody_else(system: System, request_id: str) -> None:
    for who in (system.requester, system.provider, system.dispatcher, system.administrator):
        await case_of(who, request_id)
    refused = {
        who.account.username: (await who.get(f"/requests/{request_id}/case.pdf")).status_code
        for who in (system.requester2, system.provider2, system.far_provider, system.far_dispatcher, system.operator)
    }
    assert set(refused.values()) <= {403, 404}


async def test_it_is_written_down(system: System) -> None:
    request_id = await submitted(system)
    before = datetime.now(UTC)
    await case_of(system.dispatcher, request_id)
    looks = (await system.requester.get(f"/requests/{request_id}/accesses")).json()
    exports = [look for look in looks if look["what"] == "export"]
    assert [look["by"]["id"] for look in exports] == [system.dispatcher.id]
    assert datetime.fromisoformat(exports[0]["at"]) >= before


async def test_a_picture_that_was_changed_is_not_given_out(system: System) -> None:
    request_id = await submitted(system)
    folder = system.settings.data_dir / "documents" / "attachments" / request_id
    changed = next(path for path in folder.rglob("*preview*") if path.is_file())
    changed.write_bytes(changed.read_bytes() + b"x")
    answer = await system.dispatcher.get(f"/requests/{request_id}/case.pdf")
    assert answer.json()["code"] == "stored_file_differs"
