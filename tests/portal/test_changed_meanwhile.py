"""What is written into a form whose request has changed meanwhile, or is over, is shown again, and does nothing."""

from contextlib import AsyncExitStack

import httpx
import pytest
from fastapi import FastAPI

from tests.journeys import ok
from tests.portal.browsing import visitor
from tests.portal.page_forms import form_to
from tests.portal.typed_texts import FORMS, Stage
from tests.system import System

WRITTEN, SHOWN = "Récidive <b>depuis</b> mai", "Récidive &lt;b&gt;depuis&lt;/b&gt; mai"

OF_REQUESTS = [form for form in FORMS if form.of_a_request and not form.saves_itself]

WHATEVER_ELSE_CHANGES = ("/requests/{id}/add-information", "/requests/{id}/addendum")
"""More can be told, and added to a signed report, whatever else has happened."""


@pytest.mark.parametrize("meanwhile", ["changed", "cancelled"])
async def test_a_conflict_keeps_what_was_written(portal_app: FastAPI, system: System, meanwhile: str) -> None:
    """The request has changed since the page was made, or is over: every form is there as it was filled in, and does nothing."""
    stage = await Stage.built(system)
    can_end = {"accepted", "assigned", "submitted"}
    forms = [
        form
        for form in OF_REQUESTS
        if (form.about in can_end if meanwhile == "cancelled" else form.page not in WHATEVER_ELSE_CHANGES)
    ]
    about = {form.about for form in forms}
    async with AsyncExitStack() as visits:
        people: dict[str, httpx.AsyncClient] = {}
        filled = []
        for form in forms:
            if form.who not in people:
                people[form.who] = await visits.enter_async_context(visitor(portal_app, system.people[form.who]))
            http, to = people[form.who], stage.action(form)
            page = (await http.get(stage.page(form))).text
            filled.append((http, to, {**form_to(page, to).as_shown, form.prose: WRITTEN, **stage.rest(form)}))
        for name in about:
            if meanwhile == "cancelled":
                ok(await system.requester.post(f"/requests/{stage.ids[name]}/cancel", {"reason": "Décédée."}))
            else:
                await stage.change(name)
        before = [(await system.requester.view(stage.ids[name]))["version"] for name in about]
        for http, to, said in filled:
            answer = await http.post(to, data=said)
            assert answer.status_code in (409, 412), (to, answer.status_code)
            assert SHOWN in answer.text, to
            assert 'id="notice"' in answer.text, to
        assert [(await system.requester.view(stage.ids[name]))["version"] for name in about] == before
