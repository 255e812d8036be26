"""What a directory says of the members of a group, in the ways of RFC 7644, of Entra and of Okta. No records, no HTTP.

Of a member counts `value` alone. Entra names `$ref` as null beside it, and Okta a `display` that may be old: neither chooses whom
to remove. A group has no other attribute that changes, so this is done on ids, whatever their number.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from scim2_models import InvalidPathException, InvalidSyntaxException, InvalidValueException, MutabilityException, Path
from scim2_models.path import CompareOperator, Comparison, FilterNode, LogicalExpr, LogicalOperator

from scim.resources import POLICY, Group
from use_cases import directory_groups
from use_cases.directory_groups import MembersSaid

MOST_NAMED = 10_000
"""So many members at most does one list name."""

MOST_OPERATIONS = 1_000
"""So many operations at most are in one PATCH."""

PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


def replaced(before: directory_groups.Group, body: Mapping[str, Any]) -> MembersSaid:
    """What a whole group says, for PUT: where it does not speak of members, they stay. Raises SCIMException."""
    said = _lowered(body)
    if str(Group.__schema__) not in _schemas(said):
        raise InvalidSyntaxException(detail="The schema of a group is missing.")
    had = before.member_ids
    has = frozenset(_whole(said["members"])) if "members" in said else had
    _check_same(said, before)
    return MembersSaid(joins=has - had, left_out=had - has)


def patched(before: directory_groups.Group, body: Mapping[str, Any]) -> MembersSaid:
    """What the operations of a PATCH make of the members, one after the other. Raises SCIMException."""
    said = _lowered(body)
    operations = said.get("operations")
    if PATCH not in _schemas(said) or not isinstance(operations, list) or not operations:
        raise InvalidSyntaxException(detail="A PATCH has its schema, and Operations.")
    if len(operations) > MOST_OPERATIONS:
        raise InvalidValueException(detail=f"At most {MOST_OPERATIONS} operations are taken at once.")
    had = before.member_ids
    members = _Members(before, set(had))
    for operation in operations:
        members.follow(operation)
    gone = had - members.ids
    return MembersSaid(frozenset(members.ids - had), gone & members.taken_out, gone - members.taken_out)


@dataclass
class _Members:
    """The members of a group, as the operations so far have left them."""

    group: directory_groups.Group
    ids: set[UUID]
    taken_out: set[UUID] = field(default_factory=set)
    """Who was removed by name; others were left out of a whole list."""

    def follow(self, operation: Any) -> None:
        """Do what one operation says."""
        if not isinstance(operation, dict):
            raise InvalidSyntaxException(detail="An operation is an object.")
        said = _lowered(operation)
        op, path, value = str(said.get("op")).lower(), said.get("path"), said.get("value")
        if op not in ("add", "replace", "remove"):
            raise InvalidValueException(detail="An operation is one of add, remove, replace.")
        if op != "remove" and "value" not in said:
            raise InvalidValueException(detail="What is added or replaced has a value.")
        if path in (None, ""):
            if op == "remove" or not isinstance(value, dict):
                raise InvalidPathException(detail="Without a path, an operation adds or replaces attributes by name.")
            for attribute, of_it in _lowered(value).items():
                self._change(op, attribute, None, of_it)
        else:
            attribute, chosen = _target(path)
            self._change(op, attribute, chosen, value)

    def _change(self, op: str, attribute: str, chosen: frozenset[UUID] | None, value: Any) -> None:
        if attribute != "members":
            _check_same({attribute: value}, self.group)
        elif op == "remove":
            self._remove(frozenset(_ids(value)) if chosen is None and value is not None else chosen)
        elif chosen is not None:
            raise MutabilityException(detail="A member is added or removed, and does not change.")
        else:
            named = set(_ids(value) if op == "add" else _whole(value))
            self.ids = self.ids | named if op == "add" else named
            self.taken_out -= named

    def _remove(self, ids: frozenset[UUID] | None) -> None:
        """These, or everybody."""
        if ids is None:
            self.ids = set()
        else:
            self.ids -= ids
            self.taken_out |= ids


def _target(path: Any) -> tuple[str, frozenset[UUID] | None]:
    """The attribute that a path names, in small letters, and whom of the members it chooses, if it does."""
    if not isinstance(path, str) or len(path) > 2_000:
        raise InvalidPathException(detail="A path is a text.")
    with POLICY:
        found = Path[Group](path)
        binding = found.resolve()
    if binding is None:
        return "externalid", None  # nothing that a group has
    if binding.sub_field_name is not None:
        raise MutabilityException(detail="A member is added or removed, and does not change.")
    chosen = None if found.value_filter is None else frozenset(_chosen(found.value_filter))
    return binding.field_name.replace("_", ""), chosen


def _chosen(by: FilterNode) -> Iterable[UUID]:
    if isinstance(by, LogicalExpr) and by.op == LogicalOperator.or_:
        return [one for term in by.terms for one in _chosen(term)]
    if isinstance(by, Comparison) and by.op == CompareOperator.eq and by.attr_path.attr.lower() == "value":
        return _ids([{"value": by.value}])
    raise InvalidPathException(detail='Of members, `members[value eq "…"]` is understood.')


def _whole(value: Any) -> list[UUID]:
    """The ids of a whole list, where null is an empty one (RFC 7643, 2.5). Nothing else is: `""` does not take out everybody."""
    return [] if value is None else _ids(value)


def _ids(value: Any) -> list[UUID]:
    """The ids that a value of `members` names."""
    entries = value if isinstance(value, list) else [value]
    if len(entries) > MOST_NAMED:
        raise InvalidValueException(detail=f"At most {MOST_NAMED} members are named at once.")
    try:
        return [UUID(_lowered(entry)["value"]) for entry in entries]
    except (KeyError, ValueError, TypeError, AttributeError):
        raise InvalidValueException(detail="A member has the id of somebody of the clinic as its value.") from None


def _check_same(said: Mapping[str, Any], group: directory_groups.Group) -> None:
    """Raise SCIMException `mutability` where a group is to get another name or id; the name has no capitals."""
    wanted = said.get("displayname", group.name)
    if not isinstance(wanted, str) or wanted.strip().lower() != group.name:
        raise MutabilityException(attribute="displayName", detail=f"The name of this group stays {group.name}.")
    if said.get("id", str(group.id)) != str(group.id):
        raise MutabilityException(attribute="id", detail="The id of a group stays.")


def _schemas(said: Mapping[str, Any]) -> list[str]:
    schemas = said.get("schemas")
    return [one for one in schemas if isinstance(one, str)] if isinstance(schemas, list) else []


def _lowered(said: Mapping[str, Any]) -> dict[str, Any]:
    """By names without capitals, which SCIM does not tell apart, and without the schema that may stand before one."""
    prefix = f"{Group.__schema__}:".lower()
    return {name.lower().removeprefix(prefix): value for name, value in said.items()}
