"""Every form × every way to lose what is written into it, in Chromium and in Firefox: half an hour, so not a part of `make test`.

make typed
"""

import pytest

from tests.portal.browsing import Portal
from tests.portal.test_every_typed_text import EVERY_WAY, Ways, lose_every_text
from tests.portal.typed_texts import FORMS
from tests.system import System

WHO = tuple(dict.fromkeys(form.who for form in FORMS))


@pytest.fixture(params=["chromium", "firefox"])
def looked_at_in(request: pytest.FixtureRequest) -> Portal:
    """The portal in a browser."""
    found: Portal = request.getfixturevalue("portal" if request.param == "chromium" else "portal_in_firefox")
    return found


@pytest.mark.parametrize("who", WHO)
async def test_no_text_is_lost(looked_at_in: Portal, system: System, who: str) -> None:
    def ways_of(number: int) -> Ways:
        return EVERY_WAY if FORMS[number].who == who else ()

    await lose_every_text(looked_at_in, system, ways_of)
