"""Every text that people write, and every way to lose it, from one table of forms: in Chromium, and in turn in Firefox.

In Chromium each form meets half of the ways that a browser loses texts by, and each way every other form; in Firefox
(`test_in_firefox`) one text goes through most ways, and each of the others meets another form. `make typed` tries every form with
every way in both (`whole_typed_table`).
What the server decides (an ended session, a change meanwhile, a text that is too long) is tried with every form without a browser
as well, in `test_signed_out_meanwhile`, `test_changed_meanwhile` and `test_nothing_typed_is_lost`.
"""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from playwright.async_api import Error as BrowserError
from playwright.async_api import Locator, Page, expect
from sqlalchemy import update

from records.models import Token
from tests.eventually import eventually
from tests.journeys import ok
from tests.portal.browsing import Portal
from tests.portal.test_typed_and_left import goes_to
from tests.portal.typed_texts import FORMS, Stage, TypedForm
from tests.portal.wire import Wire, wire_to
from tests.system import PASSWORD, Clinician, System

TEXTS = """form => [...form.elements].filter((one) => one.matches("textarea, input[type=text]") && !one.readOnly
  && !one.inputMode && !/birth_date|insurance_number|consent.name/.test(one.name)).map((one) => one.name)"""
"""The fields into which anything can be written. (Who consents is named only where it is not the patient.)"""

KEPT = """(since) => {
  const kept = Object.entries(localStorage).filter(([name]) => name.startsWith("relais-typed"));
  const now = JSON.stringify(kept);
  const isSteady = now === window.relaisBefore;
  window.relaisBefore = now;
  return isSteady && kept.some(([, one]) => JSON.parse(one).at >= since);
}"""
"""Whether what was typed since then lies in the browser, and nothing more is being written there."""


LEAVE = """() => {
  const leaving = new Event("beforeunload", { cancelable: true });
  window.dispatchEvent(leaving);
  return leaving.defaultPrevented;
}"""
"""Whether the page would ask whoever leaves it; a browser itself asks only those who have used it
(`test_a_page_with_words_that_were_not_sent_is_not_left_by_a_slip`)."""


@dataclass
class Writing:
    """A form that somebody has filled in, in a browser: the page it is on now, and what was written into each field."""

    stage: Stage
    form: TypedForm
    who: Clinician
    page: Page
    wire: Wire
    texts: dict[str, str]

    @property
    def there(self) -> Locator:
        """The form."""
        return self.page.locator(f"form[action='{self.stage.action(self.form)}']").first

    async def open(self) -> None:
        """Its page, anew."""
        await self.page.goto(self.stage.page(self.form))

    async def begin(self, number: int) -> None:
        """Write into it what nobody has written before, in a tab that nothing else is happening in."""
        await self.in_another_tab()
        await self.page.goto("/nowhere")
        await self.page.evaluate("localStorage.clear()")
        await self.open()
        await self.write(number)

    async def write(self, number: int, *, is_kept: bool = False) -> None:
        """Something else into each of its fields. With `is_kept` what saves itself can't, and lies in the browser."""
        names = await self.there.evaluate(TEXTS)
        self.texts = {name: f"Écrit n° {number}.{place}, « récidive »" for place, name in enumerate(names)}
        assert self.form.prose in self.texts
        since = await self.page.evaluate("Date.now()")
        for name, text in self.texts.items():
            await self.field(name).fill(text)
        if not self.form.saves_itself or is_kept:
            await self.page.wait_for_function(KEPT, arg=since, polling=30)

    def field(self, name: str) -> Locator:
        return self.there.locator(f"[name='{name}']")

    async def send(self) -> None:
        """Press its button; `wait` for nothing."""
        onward = "button[name=do][value=sign]:visible, button[form=draft][name=do]:visible, button[form=answer]:visible"
        there = self.page.locator(onward).or_(self.there.locator("button.button:not([name=do]):visible"))
        await there.last.click(no_wait_after=True)

    async def in_another_tab(self) -> None:
        another = await self.page.context.new_page()
        another.on("dialog", lambda dialog: dialog.accept())
        await self.page.close()
        self.page = another

    async def expect_back(self) -> None:
        """What saves itself while its page is left may be saved after the next page was made: then it is in the one after."""
        if self.form.saves_itself:
            await eventually(self._is_back)
        for name, text in self.texts.items():
            await expect(self.field(name)).to_have_value(text)

    async def _is_back(self) -> bool:
        await expect(self.field(self.form.prose)).to_be_visible()
        shown = {name: await self.field(name).input_value() for name in self.texts}
        if shown == self.texts:
            return True
        await self.page.reload()
        return False


async def left_by_a_slip(written: Writing) -> None:
    """The page asks before it is left, or has saved what was written; whoever stays has it before them."""
    asks = await written.page.evaluate(LEAVE)
    assert asks or written.form.saves_itself, "the page is left without a word"


async def reloaded(written: Writing) -> None:
    await written.page.reload()


async def left_and_back(written: Writing) -> None:
    await written.page.goto("/nowhere")
    await written.page.go_back()


async def tab_closed(written: Writing) -> None:
    await written.in_another_tab()
    await written.open()


async def line_lost(written: Writing) -> None:
    """When it is sent; of what saves itself, while it is written."""
    written.wire.cut()
    if written.form.saves_itself:
        await written.write(99, is_kept=True)
    else:
        async with written.page.expect_event("requestfailed", lambda request: request.method == "POST"):
            await written.send()
    await written.in_another_tab()
    written.wire.mend()
    await eventually(
        partial(goes_to, written.page, written.stage.page(written.form))
    )  # a browser may try a connection that was cut, once more


async def session_ended(written: Writing) -> None:
    """It was idle for too long. Whoever signs in again is shown what they wrote."""
    await _end_session(written)
    if written.form.page.endswith("/report"):
        await written.write(98, is_kept=True)  # it says itself that nothing is saved any more, and stays
        await written.open()
    else:
        await written.send()
    await _sign_in_again(written)


async def left_alone(written: Writing) -> None:
    """Nobody is there for so long that the page locks; in a browser of its own, whose clock is turned on.

    What saves itself is saved before: the same person writing in two browsers at once is another story.
    """
    await written.expect_back()
    browser = written.page.context.browser
    assert browser is not None
    async with Portal(written.wire.address, browser).visit(written.who) as page:
        page.on("dialog", lambda dialog: dialog.accept())
        await page.clock.install()
        alone = replace(written, page=page)
        await alone.open()
        await alone.write(97)
        await page.clock.fast_forward("29:30")
        await expect(page.locator(".idle-warning")).to_be_visible()
        await page.clock.fast_forward("00:40")
        await page.wait_for_url("**/signin?**")
        await _sign_in_again(alone)
        await alone.expect_back()
    await written.open()
    written.texts = alone.texts if written.form.saves_itself else written.texts


async def _sign_in_again(written: Writing) -> None:
    await written.page.fill("#username", written.who.account.username)
    await written.page.fill("#password", PASSWORD)
    await written.page.press("#password", "Enter")
    await written.there.wait_for()


async def _end_session(written: Writing) -> None:
    (cookie,) = [one for one in await written.page.context.cookies() if one["name"] == "relais"]
    known_by = hashlib.sha256(cookie["value"].encode()).hexdigest()
    async with written.stage.system.services.database.session() as session:
        await session.execute(update(Token).where(Token.sha256 == known_by).values(expires_at=datetime.now(UTC)))


async def other_language(written: Writing) -> None:
    ok(await written.who.http.patch("/api/v1/me", json={"language": "en"}))
    try:
        await written.open()
        await expect(written.page.locator("html")).to_have_attribute("lang", "en")
        await written.expect_back()
    finally:
        ok(await written.who.http.patch("/api/v1/me", json={"language": "fr"}))


async def changed_meanwhile(written: Writing) -> None:
    """The request has another version when it is sent, or is opened again."""
    if written.form.of_a_request and not written.form.saves_itself:
        await written.stage.change(written.form.about)
    await written.open()


async def too_long(written: Writing) -> None:
    """A paste beyond the limit is not cut, and counted; it comes back whole."""
    count = written.there.locator(f"[id='count-{written.form.prose}']")
    if not await count.count():
        return
    limit = int(await count.get_attribute("data-count") or 0)
    written.texts[written.form.prose] = "é" * (limit + 17)
    await written.field(written.form.prose).fill(written.texts[written.form.prose])
    await expect(count).to_have_text("Caractères de trop : 17")
    if not written.form.saves_itself:
        await written.send()
        await expect(written.page.locator("#notice")).to_be_visible()


IN_THE_BROWSER = (left_by_a_slip, reloaded, left_and_back, tab_closed, other_language, line_lost)
"""The ways that the browser alone brings back from: one after the other, with what was written once."""

WITH_THE_SERVER = (session_ended, too_long, changed_meanwhile)
"""Those in which the server shows again what was written."""

Way = Callable[[Writing], Awaitable[None]]
Ways = Sequence[Way]

EVERY_WAY: Ways = (*IN_THE_BROWSER, *WITH_THE_SERVER, left_alone)


async def lose_every_text(portal: Portal, system: System, ways_of: Callable[[int], Ways]) -> None:
    """Each form of the table, by its number, meets those ways."""
    stage = await Stage.built(system)
    lost: list[str] = []
    async with wire_to(portal.address) as wire, AsyncExitStack() as visits:
        pages: dict[str, Page] = {}
        for number, form in enumerate(FORMS):
            who = system.people[form.who]
            if form.who not in pages:
                page = await visits.enter_async_context(Portal(wire.address, portal.browser).visit(who))
                pages[form.who] = page
            ways = ways_of(number)
            if not ways:
                continue
            written = Writing(stage, form, who, pages[form.who], wire, {})
            await written.begin(number)
            for place, way in enumerate(ways):
                try:
                    if place and ways[place - 1] not in IN_THE_BROWSER:
                        await written.begin(number)
                    await way(written)
                    await written.expect_back()
                except (AssertionError, BrowserError) as error:
                    lost.append(f"{form.who} {form.page} {way.__name__}: {str(error)[:300]}")
            pages[form.who] = written.page
    assert lost == []


def ways_in_chromium(number: int) -> Ways:
    """Of each form every other one of the browser's, of the next the others; and of every other form one of the server's."""
    return (*IN_THE_BROWSER[number % 2 :: 2], *WITH_THE_SERVER[number % 6 : number % 6 + 1])


NOT_OF_ONE_TEXT: Ways = (left_by_a_slip, too_long, session_ended, other_language, left_alone, changed_meanwhile)
"""What `come_back_after_everything` does not go through, in an order in which each meets a form that it can happen to."""


def ways_in_firefox(number: int) -> Ways:
    """Of every tenth form one."""
    return () if number % 10 else (NOT_OF_ONE_TEXT[number // 10 % len(NOT_OF_ONE_TEXT)],)


async def test_no_text_is_lost(portal: Portal, system: System) -> None:
    await lose_every_text(portal, system, ways_in_chromium)
