"""The portal in a real Firefox."""

from tests.portal.browsing import Portal
from tests.portal.test_story import tell_the_guides_story
from tests.system import System


async def test_the_guides_story(portal_in_firefox: Portal, system: System) -> None:
    await tell_the_guides_story(portal_in_firefox, system)
