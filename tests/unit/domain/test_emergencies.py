"""Who may open a request in an emergency."""

import pytest

from domain.emergencies import opens_as
from domain.requests import Role


@pytest.mark.parametrize(
    ("roles", "role"),
    [
        ({Role.PROVIDER}, Role.PROVIDER),
        ({Role.REQUESTER}, Role.REQUESTER),
        ({Role.REQUESTER, Role.PROVIDER}, Role.PROVIDER),
        ({Role.REQUESTER, Role.CLINIC_ADMINISTRATOR, Role.DISPATCHER}, Role.REQUESTER),
        *(({role}, None) for role in (Role.DISPATCHER, Role.CLINIC_ADMINISTRATOR, Role.OPERATOR, Role.SYSTEM)),
        ({Role.PROVIDER, Role.OPERATOR}, None),
        (set(), None),
    ],
)
def test_who_treats_may_and_nobody_else(roles: set[Role], role: Role | None) -> None:
    assert opens_as(roles) is role
