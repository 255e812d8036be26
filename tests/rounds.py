"""How long the tests look where longer means more of the same: rounds of a race, random lives of a request, sights of a page,
and the parts of a table that repeat one path.
"""

import os
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

LONGER = int(os.environ.get("RELAIS_TEST_ROUNDS", "1"))
"""1 in the usual run; `make races` looks eight times as long, `make whole` at all of what the usual run takes a part of."""


def some_of(all_of_them: Sequence[T], every: int, first: int = 0) -> Sequence[T]:
    """Every so-manieth of them, from that one on; where the tests look longer, all."""
    return all_of_them if LONGER > 1 else all_of_them[first % every :: every]
