"""The accesses of a year, as a public body reports them: those of a professional for care are left out (LRSSS, s. 103)."""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from domain.audit import Act, Purpose, purpose_of
from domain.requests import Role


class Category(NamedTuple):
    """Accesses that are counted together: in which role, and what was shown. None where the audit does not know the role."""

    role: Role | None
    what: Act

    @property
    def purpose(self) -> Purpose | None:
        """For what, by the role."""
        return purpose_of(self.role) if self.role else None

    @property
    def is_left_out(self) -> bool:
        """Whether it is a professional's, for care. A dispatcher need not be one: theirs are reported."""
        return self.role in (Role.REQUESTER, Role.PROVIDER)


class Counted(NamedTuple):
    """How many accesses of one category there were, and of how many people or systems."""

    category: Category
    accesses: int
    people: int


def by_category(of_each: Iterable[Iterable[tuple[Category, int]]]) -> list[Counted]:
    """The accesses of each person or system, put together: those to be reported first, the most frequent first."""
    accesses: Counter[Category] = Counter()
    people: Counter[Category] = Counter()
    for theirs in of_each:
        counted = Counter[Category]()
        for category, number in theirs:
            counted[category] += number
        accesses.update(counted)
        people.update(counted.keys())
    found = [Counted(category, number, people[category]) for category, number in accesses.items()]
    return sorted(found, key=lambda one: (one.category.is_left_out, -one.accesses, str(one.category)))
