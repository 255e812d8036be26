"""What was written and not sent is there again when its writer returns, whatever the page was left by; and for nobody else."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import partial

from playwright.async_api import APIResponse, Page, Route, expect

from tests.eventually import eventually
from tests.journeys import accepted, draft, ok, reported
from tests.portal.browsing import Portal, sign_in
from tests.portal.test_story import done
from tests.portal.wire import wire_to
from tests.system import PASSWORD, Clinician, System

WRITTEN = "Depuis quand saigne-t-elle?\n« Récidive »"
KEPT = "() => Object.keys(localStorage).filter((name) => name.startsWith('relais-typed'))"
SEND = "form.card button.button:not([type=button])"
BACK = "Ce que vous aviez écrit ici sans l’envoyer est de retour."


@asynccontextmanager
async def writing(portal: Portal, who: Clinician, address: str, field: str) -> AsyncIterator[Page]:
    """A page on which that was just written."""
    async with portal.visit(who) as page:
        accept_leaving(page)
        await page.goto(address)
        await write(page, field)
        yield page


def accept_leaving(page: Page) -> None:
    """Leave, though the page asks."""
    page.on("dialog", lambda dialog: dialog.accept())


async def write(page: Page, field: str) -> None:
    await page.locator(f"[name={field}]").fill(WRITTEN)
    await expect_kept(page)


async def expect_kept(page: Page) -> None:
    async def is_there() -> bool:
        return len(await page.evaluate(KEPT)) == 1

    await eventually(is_there)


async def expect_back(page: Page, field: str) -> None:
    await expect(page.locator(f"[name={field}]")).to_have_value(WRITTEN)
    await expect(page.get_by_text(BACK)).to_be_visible()


async def come_back_after_everything(portal: Portal, system: System) -> None:
    """One text through all that can happen to its page; in the end it is sent, once."""
    request_id = await accepted(system)
    request, address = f"/requests/{request_id}", f"/requests/{request_id}/request-information"
    async with wire_to(portal.address) as wire, Portal(wire.address, portal.browser).visit(system.provider) as page:
        accept_leaving(page)
        await page.goto(request)
        await page.goto(address)
        await write(page, "text")
        assert WRITTEN[:10] not in await page.evaluate("JSON.stringify(localStorage)")
        await page.reload()
        await expect_back(page, "text")
        await page.go_back()
        await page.wait_for_url(f"**{request}")
        await page.go_forward()
        await expect_back(page, "text")
        await page.locator("a.back").click()
        await page.wait_for_url(f"**{request}")
        again = await page.context.new_page()
        await page.close()
        accept_leaving(again)
        await again.goto(address)
        await expect_back(again, "text")

        # The line is lost when it is sent, and when it has arrived: it is there again, and acts once.
        wire.cut()
        await send_in_vain(again)
        wire.mend()
        await eventually(partial(goes_to, again, address))
        await expect_back(again, "text")
        assert (await system.provider.view(request_id))["questions"] == []
        wire.is_deaf = True
        await send_in_vain(again)
        await eventually(lambda: is_asked(system, request_id))
        wire.mend()
        await eventually(partial(goes_to, again, address))
        await expect_back(again, "text")
        await again.locator(SEND).click()
        await done(again, "Votre question est envoyée")
        assert [q["text"] for q in (await system.provider.view(request_id))["questions"]] == [WRITTEN]
        await again.goto(address)
        await expect(again.locator("[name=text]")).to_have_value("")
        assert await again.evaluate(KEPT) == []
    await someone_else_sees_nothing(portal, system, request_id)


async def someone_else_sees_nothing(portal: Portal, system: System, request_id: str) -> None:
    """On a shared computer: nobody else, and nothing after signing out."""
    address = f"/requests/{request_id}/change-priority"
    async with writing(portal, system.provider, address, "reason") as page:
        await page.context.clear_cookies()
        await sign_in(page, system.dispatcher)
        await page.goto(address)
        await expect(page.locator("[name=reason]")).to_have_value("")
        await page.context.clear_cookies()
        await sign_in(page, system.provider)
        await page.goto(address)
        await expect_back(page, "reason")
        await page.get_by_role("button", name="L’effacer").click()
        await expect(page.locator("[name=reason]")).to_have_value("")
        assert await page.evaluate(KEPT) == []
        await write(page, "reason")
        await page.locator("form[action='/signout'] button").click()
        await page.wait_for_url("**/signin*")
        assert await page.evaluate(KEPT) == []


async def send_in_vain(page: Page) -> None:
    async with page.expect_event("requestfailed", lambda request: request.method == "POST"):
        await page.locator(SEND).click(no_wait_after=True)


async def goes_to(page: Page, address: str) -> bool:
    """Raises while the browser still brings its own page, which says that nothing came."""
    await page.goto(address)
    return True


async def is_asked(system: System, request_id: str) -> bool:
    return len((await system.provider.view(request_id))["questions"]) == 1


async def test_a_text_comes_back(portal: Portal, system: System) -> None:
    await come_back_after_everything(portal, system)


def saving_forms(system: System, begun: str, mine: str) -> Iterator[tuple[Clinician, str, str]]:
    """The forms that save themselves, of a draft and of a report to write: whose, where, and a field of theirs."""
    yield system.requester, f"/requests/{begun}/edit", "answers.question"
    yield system.provider, f"/requests/{mine}/report", "answers.findings"


async def lose_the_line(page: Page) -> None:
    """For this page for good: what a page sends as it closes may still be on its way when the line is back."""
    await page.context.set_offline(True)
    await page.evaluate("() => { window.fetch = async () => { throw new TypeError('no line'); }; }")


async def closed_with_words_unsaved(page: Page, words: Mapping[str, str]) -> Page:
    """Written without a line, by the names of the fields, and closed: only the browser has it. Another tab, with a line."""
    await lose_the_line(page)
    for name, text in words.items():
        await page.locator(f"[name='{name}']").fill(text)
    await expect_kept(page)
    await page.context.new_page()
    await page.close()
    (again,) = page.context.pages
    await again.context.set_offline(False)
    return again


async def write_elsewhere(system: System, address: str, name: str) -> None:
    """Something else into that field, by the API."""
    answers = {name.removeprefix("answers."): "Écrit ailleurs."}
    if address.endswith("/edit"):
        path = f"/api/v1{address.removesuffix('/edit')}"
        before = ok(await system.requester.http.get(path))["answers"]
        ok(await system.requester.http.patch(path, json={"answers": {**before, **answers}}))
    else:
        ok(await system.provider.http.put(f"/api/v1{address}", json={"answers": answers}))


async def test_what_a_draft_and_a_report_could_not_save_is_there_again(portal: Portal, system: System) -> None:
    begun, mine = await draft(system), await accepted(system)
    for who, address, name in saving_forms(system, begun, mine):
        async with portal.visit(who) as page:
            await page.goto(address)
            again = await closed_with_words_unsaved(page, {name: WRITTEN})
            await again.goto(address)
            await expect(again.get_by_text(BACK)).to_be_visible()
            await expect(again.locator(f"[name='{name}']")).to_have_value(WRITTEN)
            await eventually(partial(has_nothing_kept, again))
    assert (await system.requester.view(begun))["answers"]["question"] == WRITTEN
    assert ok(await system.provider.get(f"/requests/{mine}/report"))["answers"]["findings"] == WRITTEN


async def test_a_page_made_before_the_last_words_arrived_is_loaded_once_more(portal: Portal, system: System) -> None:
    """The next page is made first, then the last words arrive and are answered, and only then the page changes."""
    for who, address, name in saving_forms(system, await draft(system), await accepted(system)):
        async with portal.visit(who) as page:
            await page.goto(address)
            before = await page.request.get(address)
            await page.locator(f"[name='{name}']").fill(WRITTEN)
            await expect_kept(page)
            await page.evaluate("dispatchEvent(new Event('beforeunload'))")
            await eventually(partial(has_nothing_kept, page))
            await page.route(f"**{address}", partial(answered_with, before), times=1)
            await page.reload()
            await expect(page.locator(f"[name='{name}']")).to_have_value(WRITTEN)


SLOW = """() => {
  const decrypt = crypto.subtle.decrypt.bind(crypto.subtle);
  const asked = new Promise((resolve) => { window.relaisOpens = resolve; });
  crypto.subtle.decrypt = async (...what) => { await asked; return decrypt(...what); };
}"""
"""Nothing that is kept in the browser comes back before `relaisOpens` is called."""


async def test_a_page_that_is_left_before_all_is_back_forgets_nothing(portal: Portal, system: System) -> None:
    begun, mine = await draft(system), await accepted(system)
    for who, address, name in saving_forms(system, begun, mine):
        async with portal.visit(who) as page:
            await page.goto(address)
            again = await closed_with_words_unsaved(page, {name: WRITTEN})
            await again.add_init_script(f"({SLOW})()")
            for _ in range(3):
                await again.goto(address)
                await expect(again.locator(f"[name='{name}']")).not_to_have_value(WRITTEN)
            await again.evaluate("relaisOpens()")
            await expect(again.locator(f"[name='{name}']")).to_have_value(WRITTEN)
            await eventually(partial(has_nothing_kept, again))
    assert (await system.requester.view(begun))["answers"]["question"] == WRITTEN
    assert ok(await system.provider.get(f"/requests/{mine}/report"))["answers"]["findings"] == WRITTEN


async def test_who_writes_before_all_is_back_has_both(portal: Portal, system: System) -> None:
    async with portal.visit(system.requester) as page:
        begun = await draft(system)
        await page.goto(f"/requests/{begun}/edit")
        first = {"answers.question": WRITTEN, "answers.investigations": "D’abord."}
        again = await closed_with_words_unsaved(page, first)
        await again.add_init_script(f"({SLOW})()")
        await again.goto(f"/requests/{begun}/edit")
        await again.locator("[name='answers.investigations']").fill("Ensuite.")
        await again.evaluate("relaisOpens()")
        await eventually(partial(has_nothing_kept, again))
        await expect(again.locator("#conflict")).to_be_empty()
    answers = (await system.requester.view(begun))["answers"]
    assert (answers["question"], answers["investigations"]) == (WRITTEN, "Ensuite.")


async def test_what_is_submitted_before_all_is_back_waits_for_it(portal: Portal, system: System) -> None:
    begun = await draft(system)
    address = f"/requests/{begun}/edit"
    async with portal.visit(system.requester) as page:
        await page.goto(address)
        again = await closed_with_words_unsaved(page, {"answers.question": WRITTEN})
        await again.add_init_script(f"({SLOW})()")
        await again.goto(address)
        await again.locator("button[name=do][value=submit]").last.click()
        await again.evaluate("relaisOpens()")
        await expect(again.locator("[name='answers.question']")).to_have_value(WRITTEN)
        await expect(again.get_by_text(BACK)).to_be_visible()
        assert (await system.requester.view(begun))["status"] == "draft"
        await eventually(partial(has_nothing_kept, again))
    assert (await system.requester.view(begun))["answers"]["question"] == WRITTEN


async def test_what_arrived_unheard_acts_once_also_where_a_password_goes_with_it(
    portal: Portal, system: System
) -> None:
    request_id = await reported(system)
    address = f"/requests/{request_id}/addendum"

    async def signs(page: Page) -> None:
        await page.locator("[name=password]").fill(PASSWORD)

    async def addenda() -> int:
        return [one["kind"] for one in (await system.provider.view(request_id))["documents"]].count("addendum")

    async def is_there() -> bool:
        return await addenda() == 1

    async with wire_to(portal.address) as wire, Portal(wire.address, portal.browser).visit(system.provider) as page:
        accept_leaving(page)
        await page.goto(address)
        await write(page, "text")
        await signs(page)
        wire.is_deaf = True
        async with page.expect_event("requestfailed", lambda request: request.method == "POST"):
            await page.get_by_role("button", name="Signer et envoyer").click(no_wait_after=True)
        await eventually(is_there)
        wire.mend()
        await eventually(partial(goes_to, page, address))
        await expect_back(page, "text")
        await signs(page)
        await page.get_by_role("button", name="Signer et envoyer").click()
        await page.wait_for_url(f"**/requests/{request_id}*")
    assert await addenda() == 1


async def answered_with(answer: APIResponse, route: Route) -> None:
    await route.fulfill(response=answer)


async def test_what_a_draft_could_not_save_overwrites_nothing(portal: Portal, system: System) -> None:
    request_id = await draft(system)
    async with portal.visit(system.requester) as page:
        await page.goto(f"/requests/{request_id}/edit")
        again = await closed_with_words_unsaved(page, {"answers.question": WRITTEN})
        await write_elsewhere(system, f"/requests/{request_id}/edit", "answers.question")
        await again.goto(f"/requests/{request_id}/edit")
        await expect(again.locator("#conflict")).to_contain_text("Écrit ailleurs.")
        await expect(again.locator("[name='answers.question']")).to_have_value(WRITTEN)
        assert (await system.requester.view(request_id))["answers"]["question"] == "Écrit ailleurs."


async def test_what_was_changed_back_is_not_brought_back_over_a_newer_version(portal: Portal, system: System) -> None:
    for stays in (True, False):
        request_id = await draft(system)
        address = f"/requests/{request_id}/edit"
        async with portal.visit(system.requester) as page:
            await page.goto(address)
            question = page.locator("[name='answers.question']")
            before = await question.input_value()
            await lose_the_line(page)
            await question.fill(WRITTEN)
            await expect_kept(page)
            await question.fill(before)
            await page.context.set_offline(False)
            if stays:
                await eventually(partial(has_nothing_kept, page))
            await write_elsewhere(system, address, "answers.question")
            await page.goto(address)
            await expect(question).to_have_value("Écrit ailleurs.")
            await expect(page.locator("#conflict")).to_be_empty()


async def test_words_that_a_newer_version_kept_out_are_there_again(portal: Portal, system: System) -> None:
    """Submitted with them, the draft was not taken, for something else was saved meanwhile; then the tab was closed."""
    request_id = await draft(system)
    address = f"/requests/{request_id}/edit"
    async with portal.visit(system.requester) as page:
        await page.goto(address)
        await write_elsewhere(system, address, "answers.question")
        await page.locator("[name='answers.question']").fill(WRITTEN)
        await expect_kept(page)
        async with page.expect_navigation():
            await page.locator("button[name=do][value=submit]").last.click()
        await expect(page.locator("#conflict")).to_contain_text("Écrit ailleurs.")
        await page.context.new_page()
        await page.close()
        (again,) = page.context.pages
        await again.goto(address)
        await expect(again.locator("#conflict")).to_contain_text("Écrit ailleurs.")
        await expect(again.locator("[name='answers.question']")).to_have_value(WRITTEN)
    assert (await system.requester.view(request_id))["answers"]["question"] == "Écrit ailleurs."


async def has_nothing_kept(page: Page) -> bool:
    return bool(await page.evaluate(KEPT) == [])
