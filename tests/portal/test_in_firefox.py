"""The portal in a real Firefox: all that needs it is here, for it takes seconds to start."""

from tests.portal.browsing import Portal
from tests.portal.test_every_typed_text import lose_every_text, ways_in_firefox
from tests.portal.test_story import tell_the_guides_story
from tests.portal.test_typed_and_left import come_back_after_everything
from tests.system import System


async def test_the_guides_story(portal_in_firefox: Portal, system: System) -> None:
    await tell_the_guides_story(portal_in_firefox, system)


async def test_a_text_comes_back(portal_in_firefox: Portal, system: System) -> None:
    await come_back_after_everything(portal_in_firefox, system)


async def test_no_typed_text_is_lost(portal_in_firefox: Portal, system: System) -> None:
    await lose_every_text(portal_in_firefox, system, ways_in_firefox)
