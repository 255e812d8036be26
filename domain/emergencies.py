"""Access in an emergency: who may open a request that they would not see, for how long, and how often somebody may try.

See docs/decisions/emergency-access.md.
"""

from collections.abc import Collection
from datetime import timedelta

from domain.rates import Rate
from domain.requests import Role

LASTS = timedelta(hours=4)
"""Then a reason is to be given anew."""

TRIES = Rate(10, timedelta(minutes=6))
"""Of one person, whatever comes of them: numbers are not to be tried one after another."""

END_HOLDS = timedelta(hours=24)
"""So long nobody opens a request anew of whom somebody else has ended that. A colleague may."""

A_DAY = timedelta(hours=24)

TOLD_AT = 3
"""So many refused tries of one person within a day are told of."""

_MAY_OPEN = (Role.PROVIDER, Role.REQUESTER)


def opens_as(roles: Collection[Role]) -> Role | None:
    """The role in which somebody may open a request in an emergency; None for who treats nobody, and for operators."""
    if Role.OPERATOR in roles:
        return None
    return next((role for role in _MAY_OPEN if role in roles), None)
