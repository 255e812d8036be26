"""What directories say of the members of a group, worked out on ids."""

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scim2_models import SCIMException

from domain.requests import Role
from scim.membership import LONGEST_PATHS, MOST_NAMED, PATCH, patched, replaced
from use_cases.directory_groups import Group, Member, MembersSaid

A, B, C, D = (UUID(int=number) for number in range(1, 5))
BEFORE = Group(UUID(int=99), Role.REQUESTER, "relais-requester", (Member(A, "Anne Roy"), Member(B, "Benoît Roy")))
NAME, ID = BEFORE.name, str(BEFORE.id)
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"


def said(*operations: dict[str, Any], **more: Any) -> MembersSaid:
    return patched(BEFORE, {"schemas": [PATCH], "Operations": list(operations), **more})


def values(*ids: UUID) -> list[dict[str, str]]:
    return [{"value": str(one)} for one in ids]


NOTHING = MembersSaid()


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        ([{"op": "add", "path": "members", "value": values(A, C)}], MembersSaid(joins=frozenset({C}))),
        ([{"op": "Add", "path": "Members", "value": values(C)[0]}], MembersSaid(joins=frozenset({C}))),
        ([{"op": "ADD", "path": f"{GROUP}:members", "value": values(C)}], MembersSaid(joins=frozenset({C}))),
        ([{"op": "add", "value": {"members": values(C)}}], MembersSaid(joins=frozenset({C}))),
        ([{"op": "add", "value": {f"{GROUP}:members": values(C)}}], MembersSaid(joins=frozenset({C}))),
        ([{"op": "replace", "path": "members", "value": values(A)}], MembersSaid(left_out=frozenset({B}))),
        ([{"op": "replace", "path": "members", "value": None}], MembersSaid(left_out=frozenset({A, B}))),
        ([{"op": "remove", "path": "members"}], MembersSaid(left_out=frozenset({A, B}))),
        ([{"op": "remove", "path": "members", "value": []}], NOTHING),
        ([{"op": "remove", "path": "members", "value": values(A, C)}], MembersSaid(leaves=frozenset({A}))),
        (
            [{"op": "Remove", "path": "members", "value": [{"$ref": None, "value": str(A)}]}],
            MembersSaid(leaves=frozenset({A})),
        ),
        (
            [{"op": "Remove", "path": "members", "value": [{"display": "as it was", "value": str(A)}]}],
            MembersSaid(leaves=frozenset({A})),
        ),
        ([{"op": "remove", "path": f'members[value eq "{A}"]'}], MembersSaid(leaves=frozenset({A}))),
        ([{"op": "remove", "path": f'Members[Value EQ "{str(A).upper()}"]'}], MembersSaid(leaves=frozenset({A}))),
        (
            [{"op": "remove", "path": f'members[value eq "{A}" or value eq "{B}"]'}],
            MembersSaid(leaves=frozenset({A, B})),
        ),
        ([{"op": "remove", "path": f'members[value eq "{D}"]'}], NOTHING),
        (
            [
                {"op": "remove", "path": f'members[value eq "{A}"]'},
                {"op": "add", "path": "members", "value": values(A)},
            ],
            NOTHING,
        ),
        (
            [
                {"op": "remove", "path": f'members[value eq "{A}"]'},
                {"op": "replace", "path": "members", "value": values(C)},
            ],
            MembersSaid(frozenset({C}), frozenset({A}), frozenset({B})),
        ),
        ([{"op": "replace", "path": "displayName", "value": "RELAIS-Requester"}], NOTHING),
        ([{"op": "replace", "value": {"id": ID, "displayName": NAME, "externalId": "x"}}], NOTHING),
        (
            [
                {"op": "add", "path": "externalId", "value": "x"},
                {"op": "add", "path": "urn:ietf:params:scim:schemas:extension:other:2.0:Group:x", "value": 1},
            ],
            NOTHING,
        ),
    ],
)
def test_operations(operations: list[dict[str, Any]], expected: MembersSaid) -> None:
    assert said(*operations) == expected


@pytest.mark.parametrize("empty", ["", 0, False, {}, [[]], [None], "members"])
@pytest.mark.parametrize("op", ["add", "replace"])
def test_nothing_but_an_empty_list_is_nobody(op: str, empty: object) -> None:
    with pytest.raises(SCIMException):
        said({"op": op, "path": "members", "value": empty})
    with pytest.raises(SCIMException):
        said({"op": op, "path": "members"})
    with pytest.raises(SCIMException):
        replaced(BEFORE, {"schemas": [GROUP], "members": empty})


def kind_of(*operations: dict[str, Any]) -> str | None:
    with pytest.raises(SCIMException) as refused:
        said(*operations)
    return refused.value.scim_type


@pytest.mark.parametrize("path", ["members", f"{GROUP}:Members"])
def test_only_without_a_value_does_everybody_leave(path: str) -> None:
    assert kind_of({"op": "remove", "path": path, "value": None}) == "invalidValue"
    assert said({"op": "remove", "path": path}) == MembersSaid(left_out=frozenset({A, B}))


@pytest.mark.parametrize("path", [GROUP, GROUP.upper()])
def test_the_schema_of_groups_is_no_attribute(path: str) -> None:
    assert said({"op": "add", "path": path, "value": {"members": values(C)}}) == MembersSaid(joins=frozenset({C}))
    assert kind_of({"op": "remove", "path": path}) == "invalidPath"
    assert kind_of({"op": "replace", "path": path, "value": values(C)}) == "invalidPath"


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ({"op": "add", "path": "member", "value": values(C)}, "invalidPath"),
        ({"op": "add", "path": f"{GROUP}:member", "value": values(C)}, "invalidPath"),
        ({"op": "add", "value": {"member": values(C)}}, "invalidPath"),
        ({"op": "add", "value": {GROUP: {"members": values(C)}}}, "invalidPath"),
        ({"op": "remove", "path": "memberz"}, "invalidPath"),
        ({"op": "remove", "path": "displayName", "value": NAME}, "mutability"),
        ({"op": "remove", "path": "id", "value": ID}, "mutability"),
        ({"op": "remove", "path": f'members[value.x eq "{A}"]'}, "invalidPath"),
        ({"op": "replace", "path": f'displayName[value eq "{A}"]', "value": NAME}, "invalidPath"),
    ],
)
def test_what_is_not_understood_is_refused(operation: dict[str, Any], kind: str) -> None:
    assert kind_of(operation) == kind


def test_one_call_is_bounded_as_a_whole() -> None:
    many = {"op": "add", "path": "members", "value": values(C) * (MOST_NAMED // 2)}
    assert said(many, many) == MembersSaid(joins=frozenset({C}))
    assert kind_of(many, many, {"op": "remove", "path": f'members[value eq "{A}"]'}) == "invalidValue"
    long = {"op": "remove", "path": " or ".join([f'members[value eq "{D}"'] + [f'value eq "{D}"'] * 30) + "]"}
    fitting = LONGEST_PATHS // len(str(long["path"]))
    assert said(*[long] * fitting) == NOTHING
    assert kind_of(*[long] * (fitting + 1)) == "invalidPath"


def test_a_whole_group() -> None:
    def put(**body: Any) -> MembersSaid:
        return replaced(BEFORE, {"schemas": [GROUP], **body})

    assert put(displayName=NAME, members=values(A, C)) == MembersSaid(frozenset({C}), left_out=frozenset({B}))
    assert put(displayName=NAME) == NOTHING
    assert put(members=[]) == put(members=None) == MembersSaid(left_out=frozenset({A, B}))
    for wrong in ({"displayName": "another"}, {"displayName": None}, {"id": str(A)}, {"members": "x"}):
        with pytest.raises(SCIMException):
            put(**wrong)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["members", "add", str(A)]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.sampled_from(["value", "op"]), inner),
    max_leaves=12,
)


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "op": st.sampled_from(["add", "Remove", "replace"]) | JSON,
                "path": st.sampled_from(["members", "displayName", None, f'members[value eq "{A}"]']) | JSON,
                "value": JSON,
            }
        )
        | JSON,
        max_size=3,
    )
)
def test_whatever_comes_is_understood_or_refused(operations: list[Any]) -> None:
    try:
        understood = said(*operations)
    except SCIMException:
        return
    assert not understood.joins & {A, B}
    assert understood.leaves | understood.left_out <= {A, B}
