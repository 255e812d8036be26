"""Texts that are used again: one's own and the clinic's, and the blanks in them that must be filled."""

from tests.api.answers import problem
from tests.journeys import accepted, filled, ok
from tests.system import Clinician, System

NAEVUS = {"name": "Nævus", "text": "Nævus bénin du […].", "used_for": "report", "language": "fr"}


async def kept(who: Clinician) -> list[tuple[str, bool]]:
    found = (await who.get("/me/snippets")).json()
    return [(one["text"], one["clinic"]) for one in found if one["name"] == NAEVUS["name"]]


async def put(who: Clinician, **more: object) -> dict[str, object]:
    return ok(await who.http.put("/api/v1/me/snippets", json={**NAEVUS, **more}))


async def test_ones_own_and_the_clinics(system: System) -> None:
    mine = await put(system.provider)
    await put(system.provider, text="Nævus bénin.")
    shared = await put(system.administrator, clinic=True, text="Texte de la clinique.")
    assert await kept(system.provider) == [("Nævus bénin.", False), ("Texte de la clinique.", True)]
    assert await kept(system.provider2) == [("Texte de la clinique.", True)]
    assert await kept(system.far_provider) == []
    problem(await system.provider.http.put("/api/v1/me/snippets", json={**NAEVUS, "clinic": True}), 403, "forbidden")
    for one in (shared["id"], mine["id"]):
        problem(await system.provider2.http.delete(f"/api/v1/me/snippets/{one}"), 404, "not_found")
    assert (await system.provider.http.delete(f"/api/v1/me/snippets/{mine['id']}")).status_code == 204
    assert (await system.administrator.http.delete(f"/api/v1/me/snippets/{shared['id']}")).status_code == 204
    assert await kept(system.provider) == []


async def test_nothing_is_sent_or_signed_while_a_blank_is_left(system: System) -> None:
    request_id = await accepted(system)
    for text in ("Depuis […] jours?", "Depuis [...] jours?", "Depuis [… jours]?"):
        answer = await system.provider.post(f"/requests/{request_id}/request-information", {"text": text})
        assert problem(answer, 422, "invalid_input")["errors"][0]["code"] == "gap_left"
        body = {"reason": "incomplete_submission", "text": text}
        answer = await system.provider.post(f"/requests/{request_id}/return-to-requester", body)
        assert problem(answer, 422, "invalid_input")["errors"][0]["code"] == "gap_left"
    answers = filled(system.services.offerings["teledermatology"].report)
    written = next(name for name, answer in answers.items() if str(answer).startswith("Réponse"))
    answers[written] = "Revoir dans […] mois."
    ok(await system.provider.http.put(f"/api/v1/requests/{request_id}/report", json={"answers": answers}))
    draft = ok(await system.provider.get(f"/requests/{request_id}/report"))
    assert [(fault["field"], fault["code"]) for fault in draft["missing"]] == [(written, "gap_left")]
    ok(await system.provider.post(f"/requests/{request_id}/request-information", {"text": "Voir [1] et […"}))
