"""What the tests of mail share."""

from collections.abc import AsyncIterator

import pytest

from tests.mail.post_office import PostOffice, open_post_office


@pytest.fixture
async def office() -> AsyncIterator[PostOffice]:
    """A post office of the test's own."""
    async with open_post_office() as office:
        yield office
