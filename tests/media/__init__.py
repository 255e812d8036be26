"""Photos and videos as telephones and cameras make them, for tests; see the README beside this file."""

from pathlib import Path

import pytest

from settings import PROJECT_ROOT

OWN = Path(__file__).parent
"""The set that is in the repository, made by `tests.media.make`."""

OUTSIDE = PROJECT_ROOT.parent / "shared" / "media"
"""Files of the same names from real telephones and cameras, on the machines that have them."""

MEDIA = OUTSIDE if OUTSIDE.is_dir() else OWN
"""The best there is here."""

of_each_set = pytest.mark.parametrize(
    "media",
    [
        pytest.param(OWN, id="own"),
        *([pytest.param(OUTSIDE, id="outside")] if OUTSIDE.is_dir() else []),
    ],
)
"""Run a test for each set that there is here, in turn: its folder is the argument `media`."""
