"""How long the tests look where longer means more of the same: rounds of a race, random lives of a request, sights of a page."""

import os

LONGER = int(os.environ.get("RELAIS_TEST_ROUNDS", "1"))
"""1 in the usual run; `make races` looks eight times as long, and `make pages` at all of what the usual run takes a part of."""
