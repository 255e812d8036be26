"""What somebody does at a browser, whichever it is: press, type, choose a file, look. Each press is counted.

Elements are named by CSS, of several the first that is seen, and where it is said by the words with which they begin. What is not
there yet is waited for.
"""

import re
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from playwright.async_api import FilePayload, Locator, Page, expect

from tests.eventually import eventually
from tests.portal.web_driver import ELEMENT, KEYS, WebDriver


class Hands(ABC):
    """Of one person at one browser; `presses` is how often they have pressed something so far."""

    def __init__(self) -> None:
        self.presses = 0

    async def press(self, what: str, words: str = "") -> None:
        """Press it once."""
        await self._click(what, words)
        self.presses += 1

    async def give(self, what: str, files: Sequence[FilePayload]) -> None:
        """Choose files, for which one presses once."""
        await self._choose_files(what, files)
        self.presses += 1

    @abstractmethod
    async def go(self, address: str) -> None:
        """Type an address."""

    @abstractmethod
    async def fill(self, what: str, text: str) -> None:
        """Type this in place of what stands there."""

    @abstractmethod
    async def key(self, key: str) -> None:
        """Press a key of the keyboard."""

    @abstractmethod
    async def sees(self, what: str, text: str = "") -> None:
        """Wait until one is seen that has this text in it."""

    @abstractmethod
    async def comes_to(self, part: str) -> None:
        """Wait until the page is there that has this in its address, and its scripts have run."""

    @abstractmethod
    async def ask(self, script: str) -> Any:
        """What an expression gives in the page."""

    @abstractmethod
    async def _click(self, what: str, words: str) -> None: ...

    @abstractmethod
    async def _choose_files(self, what: str, files: Sequence[FilePayload]) -> None: ...


class PlaywrightHands(Hands):
    """At a Chromium or a Firefox."""

    def __init__(self, page: Page) -> None:
        super().__init__()
        self.page = page

    async def go(self, address: str) -> None:
        await self.page.goto(address)

    async def fill(self, what: str, text: str) -> None:
        await self._seen(what).fill(text)

    async def key(self, key: str) -> None:
        await self.page.keyboard.press(key)

    async def sees(self, what: str, text: str = "") -> None:
        await expect(self.page.locator(what).filter(has_text=text, visible=True).first).to_be_visible()

    async def comes_to(self, part: str) -> None:
        await self.page.wait_for_url(lambda address: part in address)

    async def ask(self, script: str) -> Any:
        return await self.page.evaluate(script)

    async def _click(self, what: str, words: str) -> None:
        await self._seen(what, words).click()

    async def _choose_files(self, what: str, files: Sequence[FilePayload]) -> None:
        await self.page.locator(what).first.set_input_files(files)

    def _seen(self, what: str, words: str = "") -> Locator:
        begins = re.compile(rf"^\s*{re.escape(words)}")
        return self.page.locator(what).filter(has_text=begins, visible=True).first


FIND = """
const [what, begins, holds] = arguments, said = e => (e.innerText ?? '').replace(/\\s+/g, ' ').trim();
const found = [...document.querySelectorAll(what)].find(e => e.checkVisibility({visibilityProperty: true})
  && said(e).startsWith(begins) && said(e).includes(holds));
const pressed = (found?.matches('[type=radio], [type=checkbox]') && found.labels[0]) || found || null;
pressed?.scrollIntoView({block: 'center'});
return pressed;
"""
"""What is seen, away from the edges, where bars stay. Of a choice its words, on which one presses."""


class WebKitHands(Hands):
    """At a WebKit. `folder` is where files lie that it is given."""

    def __init__(self, driver: WebDriver, address: str, folder: Path) -> None:
        super().__init__()
        self.driver, self.address, self.folder = driver, address, folder

    async def go(self, address: str) -> None:
        await self.driver.ask("POST", "/url", url=self.address + address)

    async def fill(self, what: str, text: str) -> None:
        async def typed() -> bool:
            place = await self._place(what)
            await self.driver.ask("POST", f"{place}/clear")
            await self.driver.ask("POST", f"{place}/value", text=text)
            return True

        await eventually(typed)

    async def key(self, key: str) -> None:
        typed = [{"type": kind, "value": KEYS.get(key, key)} for kind in ("keyDown", "keyUp")]
        await self.driver.ask("POST", "/actions", actions=[{"type": "key", "id": "keys", "actions": typed}])

    async def sees(self, what: str, text: str = "") -> None:
        async def seen() -> bool:
            return bool(await self.driver.run(FIND, what, "", text))

        await eventually(seen)

    async def comes_to(self, part: str) -> None:
        async def is_there() -> bool:
            return part in await self.ask("document.readyState === 'complete' ? location.href : ''")

        await eventually(is_there)

    async def ask(self, script: str) -> Any:
        return await self.driver.run(f"return {script}")

    async def _click(self, what: str, words: str) -> None:
        async def clicked() -> bool:
            await self.driver.ask("POST", f"{await self._place(what, words)}/click")
            return True

        await eventually(clicked)

    async def _choose_files(self, what: str, files: Sequence[FilePayload]) -> None:
        paths = []
        for file in files:
            path = Path(tempfile.mkdtemp(dir=self.folder)) / file["name"]
            path.write_bytes(file["buffer"])
            paths.append(str(path))
        found = await self.driver.ask("POST", "/element", using="css selector", value=what)
        await self.driver.ask("POST", f"/element/{found[ELEMENT]}/value", text="\n".join(paths))

    async def _place(self, what: str, words: str = "") -> str:
        found = await self.driver.run(FIND, what, words, "")
        assert found, f"not there: {what} {words}"
        return f"/element/{found[ELEMENT]}"
