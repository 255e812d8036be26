"""What is written into a form whose request has changed meanwhile, or is over, is shown again, and does nothing."""

from contextlib import AsyncExitStack
from unittest.mock import ANY

import httpx
import pytest
from fastapi import FastAPI

from tests.journeys import ok
from tests.portal.browsing import visitor
from tests.portal.page_forms import form_to
from tests.portal.typed_texts import FORMS, WHATEVER_ELSE_CHANGES, Stage
from tests.system import System

WRITTEN, SHOWN = "Récidive <b>depuis</b> mai", "Récidive &lt;b&gt;depuis&lt;/b&gt; mai"

OF_REQUESTS = [form for form in FORMS if form.of_a_request and not form.saves_itself]


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


async def test_what_somebody_else_has_changed_is_not_overwritten(portal_app: FastAPI, system: System) -> None:
    """A clinic, a person, a system, a webhook, from a page of the version before: what was written is there, and does nothing."""
    stage = await Stage.built(system)
    async with visitor(portal_app, system.administrator) as http:
        for form in (form for form in FORMS if form.has_a_version):
            page, to = stage.page(form), stage.action(form)
            shown = form_to((await http.get(page)).text, to).as_shown
            before = {"version": str(int(shown["version"]) - 1)}
            answer = await http.post(to, data={**shown, **stage.rest(form), **before, form.prose: WRITTEN})
            assert answer.status_code in (409, 412), (to, answer.status_code)
            assert SHOWN in answer.text, to
            assert form_to((await http.get(page)).text, to).as_shown == {**shown, "key": ANY}, to
