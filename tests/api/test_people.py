"""People as they are: one name, no birth date or part of one, a newborn, any letters; shown as given and found."""

from typing import Any

import pytest

from tests.api.test_bad_input import fields
from tests.api.test_texts import printed
from tests.journeys import PATIENT, accepted, draft, filled, ok, signed, written
from tests.system import System

PEOPLE: dict[str, dict[str, Any]] = {
    "only a given name": {"given_name": "Sukarno", "birth_date": "1980"},
    "only a family name": {"family_name": "ᓄᓇᕗᑦ", "birth_date": "1980-05"},
    "nothing known of the birth": {"given_name": "Ann", "family_name": "Roy", "birth_date_unknown": True},
    "a newborn": {"mother_name": "Élise Kanienʼkehá꞉ka", "birth_date": "2026-11-01", "sex": "unknown"},
    "Mohawk": {"given_name": "Tekarihwaké:ron", "family_name": "Kahén:ta’", "birth_date": "1999-12"},
    "Innu": {"given_name": "Tshikuanᵘ", "family_name": "St‑Onge Vollant", "birth_date": "2001-02-03"},
    "long": {
        "given_name": "Hubert",
        "family_name": "Wolfeschlegelsteinhausenbergerdorff" * 20,
        "birth_date": "1914-08",
    },
    "Ontario": {
        **{"given_name": "Li", "family_name": "O’Brien-Ng", "birth_date": "1990-01-02"},
        **{"health_insurance_number": "1234-567-890-AB", "health_insurance_issuer": "CA-ON"},
    },
}


@pytest.mark.parametrize("patient", PEOPLE.values(), ids=PEOPLE.keys())
async def test_people_as_they_are_are_taken_kept_and_found(system: System, patient: dict[str, Any]) -> None:
    request_id = await draft(system, patient=patient)
    check = ok(await system.requester.get(f"/requests/{request_id}/check"))
    assert (check["patient_advice"], check["text_advice"], check["patient_suggestions"]) == ([], [], [])
    ok(await system.requester.post(f"/requests/{request_id}/submit"))
    kept = (await system.requester.view(request_id))["patient"]
    assert {name: kept[name] for name in patient} == patient
    words = [*(patient.get("family_name", "") + " " + patient.get("given_name", "")).split(), *_births(patient)]
    words += ["bébé d’Élise"] if "mother_name" in patient else []
    for q in words:
        asked = {"q": q[:60], "limit": 100, "sort": "created"}
        found = ok(await system.requester.get("/requests", params=asked))["items"]
        assert request_id in [row["id"] for row in found], q


def _births(patient: dict[str, Any]) -> list[str]:
    born = patient.get("birth_date", "")
    return [born[:length] for length in (4, 7, 10) if len(born) >= length]


async def test_the_document_says_who_they_are(system: System) -> None:
    patient = {"mother_name": "Élise Kahén:ta’", "birth_date": "2026-11", "health_insurance_issuer": "CA-NU"}
    request_id = await accepted(system, patient={**patient, "health_insurance_number": "123456789"})
    await written(system, request_id)
    report_id = (await signed(system, request_id))["document"]["report_id"]
    page = (await printed(system.requester, request_id, report_id))[0]
    assert "Bébé d’Élise Kahén:ta’" in page
    assert "novembre 2026 (" in page
    assert "123456789" in page
    assert "Nunavut" in page


async def test_a_number_can_fill_in_birth_date_and_sex(system: System) -> None:
    patient = {**PATIENT, "birth_date": None, "sex": None}
    request_id = await draft(system, patient=patient)
    check = ok(await system.requester.get(f"/requests/{request_id}/check"))
    (one,) = check["patient_suggestions"]
    assert one == {"source": "patient.health_insurance_number", "birth_date": "1958-03-14", "sex": "female"}
    filled = {**patient, "birth_date": one["birth_date"], "sex": one["sex"]}
    ok(await system.requester.http.patch(f"/api/v1/requests/{request_id}", json={"patient": filled}))
    check = ok(await system.requester.get(f"/requests/{request_id}/check"))
    assert (check["patient_suggestions"], check["patient_advice"], check["errors"]) == ([], [], [])


async def test_a_newborn_may_have_the_mothers_number_for_now(system: System) -> None:
    patient = {"mother_name": "Jeanne Tremblay", "health_insurance_number": PATIENT["health_insurance_number"]}
    request_id = await draft(system, patient={**patient, "birth_date": "2026-11-20", "sex": "male"})
    check = ok(await system.requester.get(f"/requests/{request_id}/check"))
    assert (check["patient_suggestions"], check["patient_advice"], check["errors"]) == ([], [], [])


async def test_consent_is_needed_where_the_offering_says_so(system: System) -> None:
    asked = {field.name: field for field in system.services.offerings["teleophthalmology"].form}
    assert (asked["consent"].kind, asked["consent"].required) == ("consent", True)
    answers = filled(system.services.offerings["teleophthalmology"].form)
    request_id = await draft(system, "teleophthalmology", answers={**answers, "consent": {"given_by": "parent"}})
    path = f"/api/v1/requests/{request_id}"
    refused = await system.requester.post(f"/requests/{request_id}/submit")
    assert fields(refused, "form_incomplete") == {"consent.name": "required", "consent.date": "required"}
    for consent, wrong in (
        ({"given_by": "parent", "name": "Marie", "date": "2999-01-01"}, {"consent.date": "not_a_day_of_consent"}),
        ({"given_by": "nobody"}, {"consent.given_by": "not_an_option"}),
        (True, {"consent": "not_a_consent"}),
    ):
        body = {"answers": {**answers, "consent": consent}}
        assert fields(await system.requester.http.patch(path, json=body), "form_invalid") == wrong
    consent = {"given_by": "parent", "name": "Zoe\u0308 Kahén:ta’", "date": "2026-11-20"}
    ok(await system.requester.http.patch(path, json={"answers": {**answers, "consent": consent}}))
    ok(await system.requester.post(f"/requests/{request_id}/submit"))
    view = await system.requester.view(request_id)
    assert view["answers"]["consent"] == {**consent, "name": "Zoë Kahén:ta’"}
    ok(await system.provider.post(f"/requests/{request_id}/accept"))
    await written(system, request_id)
    report_id = (await signed(system, request_id))["document"]["report_id"]
    said = f"Un parent : Zoë Kahén:ta’, le 20 novembre 2026, consigné par {view['requester']['name']}"
    content = ok(await system.requester.get(f"/requests/{request_id}/reports/{report_id}/content"))
    assert said in [entry["value"].replace("\xa0", " ") for entry in content["question"]]
    assert "Zoë Kahén:ta’" in " ".join(await printed(system.requester, request_id, report_id))
