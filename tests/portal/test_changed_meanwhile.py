"""What is written into a form whose request has changed meanwhile, or is over, is shown again, and does nothing."""

import pytest
from fastapi import FastAPI

from tests.journeys import accepted, ok
from tests.portal.browsing import visitor
from tests.portal.page_forms import form_to
from tests.system import System


@pytest.mark.parametrize("meanwhile", ["changed", "cancelled"])
async def test_a_conflict_keeps_what_was_written(portal_app: FastAPI, system: System, meanwhile: str) -> None:
    """The request has changed since the page was made, or is over: every form is there as it was filled in, and does nothing."""
    request_id = await accepted(system)
    at, written = f"/requests/{request_id}", "Récidive <b>depuis</b> mai"
    ok(await system.provider.post(f"{at}/request-information", {"text": "Une photo de plus?"}))
    async with (
        visitor(portal_app, system.provider) as provider,
        visitor(portal_app, system.dispatcher) as dispatcher,
        visitor(portal_app, system.requester) as requester,
    ):
        filled = []
        for http, path, said in (
            (provider, "request-information", {"text": written}),
            (provider, "return-to-requester", {"text": written, "reason": "incomplete_submission"}),
            (provider, "return-to-dispatch", {"comment": written}),
            (provider, "transfer", {"comment": written, "provider_id": system.provider2.id}),
            (dispatcher, "reassign", {"reason": written, "to": "dispatch"}),
            (dispatcher, "change-priority", {"reason": written, "priority": "urgent"}),
            (requester, "answer", {"text": written}),
            (requester, "cancel", {"reason": written}),
            (requester, "add-information", {"text": written, "worse": "yes"}),
        ):
            if meanwhile == "changed" and path == "add-information":
                continue  # whatever else has changed, more can be told
            page = (await http.get(f"{at}/{path}")).text
            filled.append((http, f"{at}/{path}", {**form_to(page, f"{at}/{path}").as_shown, **said}))
        if meanwhile == "cancelled":
            ok(await system.requester.post(f"{at}/cancel", {"reason": "Décédée."}))
        else:
            change = {"priority": "urgent", "reason": "Elle saigne."}
            ok(await system.dispatcher.post(f"{at}/change-priority", change))
        before = (await system.requester.view(request_id))["version"]
        for http, address, form in filled:
            answer = await http.post(address, data=form)
            assert answer.status_code in (409, 412), (address, answer.status_code)
            assert "Récidive &lt;b&gt;depuis&lt;/b&gt; mai" in answer.text, address
            assert 'id="notice"' in answer.text, address
        assert (await system.requester.view(request_id))["version"] == before
