"""Photos and videos as telephones and cameras make them, for tests; see the README beside this file."""

import os
from pathlib import Path

import pytest

OWN = Path(__file__).parent
"""The set that is in the repository, made by `tests.media.make`."""

OUTSIDE = Path(os.environ["RELAIS_TEST_MEDIA"]) if "RELAIS_TEST_MEDIA" in os.environ else None
"""Files of the same names from real telephones and cameras, where somebody has them; the README says where they come from."""

MEDIA = OUTSIDE or OWN
"""The best there is here."""

of_each_set = pytest.mark.parametrize(
    "media",
    [
        pytest.param(OWN, id="own"),
        *([pytest.param(OUTSIDE, id="outside")] if OUTSIDE else []),
    ],
)
"""Run a test for each set that there is here, in turn: its folder is the argument `media`."""
