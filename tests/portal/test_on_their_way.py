"""What the pages say while something is on its way, and when it was refused in the end."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from domain.requests import Role
from portal import drafts
from tests.away import Away, away_from
from tests.eventually import eventually
from tests.journeys import draft, ok, returned
from tests.portal.browsing import hidden, shown, visitor
from tests.system import System
from tests.workflow.looks import recorded, said_by
from use_cases.problems import Problem

SCRIPT = {"X-Requested-With": "fetch"}


@pytest.fixture(scope="module")
async def away(system: System) -> AsyncIterator[Away]:
    async with away_from(system) as away:
        yield away


async def test_a_submission_on_its_way_is_said_on_every_page(away: Away) -> None:
    system = away.system
    request_id = await draft(system)
    number = (await system.requester.view(request_id))["number"]
    async with visitor(system.app, system.requester) as http:
        edit = f"/requests/{request_id}/edit"
        page = await http.get(edit)
        form = {**hidden(page), "offering": "teledermatology", "answers.question": "Trop tard?"}
        ok(await system.requester.post(f"/requests/{request_id}/submit"), 202)
        assert (await http.get(edit)).headers["location"] == f"/requests/{request_id}"
        assert "La demande est en voie d’être soumise" in shown(await http.get(f"/requests/{request_id}"))
        assert "En voie d’être soumise" in shown(await http.get("/worklist", params={"filter": 1, "q": number}))
        by_script = await http.post(edit, data=form, headers=SCRIPT)
        assert (by_script.status_code, by_script.json()["again"]) == (409, True)
        assert "en voie d’être soumise" in by_script.json()["said"]
        assert "en voie d’être soumise" in shown(await http.post(edit, data={**form, "do": "save"}), 409)
    async with visitor(system.app, system.dispatcher) as http:
        assert "encore en route" in shown(await http.get(f"/requests/{request_id}"), 503)


async def test_a_form_that_could_not_be_saved_is_not_submitted_without_what_was_typed(
    away: Away, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was closed by another submission, which comes to nothing just then."""
    system = away.system
    request_id = await draft(system)

    async def is_closed(*_: Any, **__: Any) -> None:
        raise Problem("submission_under_way")

    monkeypatch.setattr(drafts, "_save", is_closed)
    async with visitor(system.app, system.requester) as http:
        edit = f"/requests/{request_id}/edit"
        form = {**hidden(await http.get(edit)), "offering": "teledermatology", "answers.question": "Et alors?"}
        assert (await http.post(edit, data={**form, "do": "submit"})).status_code == 409
    assert (await system.requester.view(request_id))["submission_under_way"] is None


async def test_a_submission_that_was_refused_is_said_until_the_form_is_changed(away: Away) -> None:
    system = away.system
    async with away.worker():
        request_id = await returned(system)
    handle = system.workflow(request_id)
    forged = said_by(system.requester, Role.REQUESTER, form={"number": 2, "sha256": "0" * 64})
    await handle.signal("resubmit", forged)
    back = said_by(system.provider, Role.PROVIDER, reason="incomplete_submission", text="Encore floues.")
    await handle.signal("return_to_requester", back)
    async with visitor(system.app, system.requester) as http:
        edit, sentence = f"/requests/{request_id}/edit", "La demande n’a finalement pas pu être soumise."
        form = {**hidden(await http.get(edit)), "offering": "teledermatology", "do": "resubmit"}
        ok(await system.requester.post(f"/requests/{request_id}/resubmit"), 202)
        assert sentence not in shown(await http.get(f"/requests/{request_id}"))
        async with away.worker():

            async def is_open() -> bool:
                return bool((await system.requester.view(request_id))["refused_command"])

            await eventually(is_open)
            await recorded(system, request_id, 5)  # a refusal waits for no record of what was before it
        assert sentence in shown(await http.get(f"/requests/{request_id}"))
        page = await http.get(edit)
        assert sentence in shown(page)
        saved = await http.post(edit, data={**form, **hidden(page), "do": "save"})
        assert saved.status_code == 303, saved.text
        assert sentence not in shown(await http.get(edit))
