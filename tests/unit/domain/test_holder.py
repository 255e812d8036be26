"""Who is the holder, or belongs to it: of each kind the ones who are, and everybody who differs from them in one thing."""

from uuid import UUID

import pytest

from domain.requests import SYSTEM, Actor, Holder, HolderKind, Role

PERSON, OTHER = UUID(int=1), UUID(int=2)
CLINIC, ELSEWHERE = UUID(int=11), UUID(int=12)


def actors() -> list[Actor]:
    """Everybody whom these two persons could be: every role, in each clinic; and those who are no person."""
    people = [
        Actor(role=role, id=person, clinic_id=clinic)
        for role in Role
        for person in (PERSON, OTHER)
        for clinic in (CLINIC, ELSEWHERE)
    ]
    return [*people, Actor(role=Role.OPERATOR), SYSTEM]


@pytest.mark.parametrize(
    ("holder", "theirs"),
    [
        (
            Holder(kind=HolderKind.REQUESTER, id=PERSON, clinic_id=CLINIC),
            {(Role.REQUESTER, PERSON, clinic) for clinic in (CLINIC, ELSEWHERE)},
        ),
        (Holder(kind=HolderKind.PROVIDER, id=PERSON, clinic_id=CLINIC), {(Role.PROVIDER, PERSON, CLINIC)}),
        (
            Holder(kind=HolderKind.POOL, clinic_id=CLINIC),
            {(Role.PROVIDER, person, CLINIC) for person in (PERSON, OTHER)},
        ),
        (
            Holder(kind=HolderKind.DISPATCH, clinic_id=CLINIC),
            {(Role.DISPATCHER, person, CLINIC) for person in (PERSON, OTHER)},
        ),
        (Holder(kind=HolderKind.NOBODY), set()),
    ],
    ids=lambda value: value.kind.value if isinstance(value, Holder) else "",
)
def test_the_holder_is_whoever_it_names_and_nobody_else(
    holder: Holder, theirs: set[tuple[Role, UUID | None, UUID | None]]
) -> None:
    assert {(a.role, a.id, a.clinic_id) for a in actors() if holder.includes(a)} == theirs
