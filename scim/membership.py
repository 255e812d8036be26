"""What a directory says of the members of a group, in the ways of RFC 7644, of Entra and of Okta. No records, no HTTP.

Of a member counts `value` alone. Entra names `$ref` as null beside it, and Okta a `display` that may be old: neither chooses whom
to remove. A group has no other attribute that changes, so this is done on ids, whatever their number.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from scim2_models import InvalidPathException, InvalidSyntaxException, InvalidValueException, MutabilityException, Path
from scim2_models.path import CompareOperator, Comparison, FilterNode, LogicalExpr, LogicalOperator

from scim.resources import POLICY, Group
from use_cases import directory_groups
from use_cases.directory_groups import MembersSaid

MOST_NAMED = 10_000
"""So many members at most does one call name."""

LONGEST_PATHS = 20_000
"""So many characters at most have the paths of one PATCH together: each is taken apart."""

MOST_OPERATIONS = 1_000
"""So many operations at most are in one PATCH."""

PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

_OWN = str(Group.__schema__).lower()
_TOO_MANY = f"At most {MOST_NAMED} members are named in one call."


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
    if sum(len(str(_path_of(operation))) for operation in operations) > LONGEST_PATHS:
        raise InvalidPathException(detail=f"The paths of a PATCH have at most {LONGEST_PATHS} characters together.")
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
    named: int = 0
    """How many the operations so far have named."""

    def follow(self, operation: Any) -> None:
        """Do what one operation says."""
        if not isinstance(operation, dict):
            raise InvalidSyntaxException(detail="An operation is an object.")
        said = _lowered(operation)
        op, path = str(said.get("op")).lower(), said.get("path")
        if op not in ("add", "replace", "remove"):
            raise InvalidValueException(detail="An operation is one of add, remove, replace.")
        if op != "remove" and "value" not in said:
            raise InvalidValueException(detail="What is added or replaced has a value.")
        if path in (None, "") or str(path).lower() == _OWN:
            if op == "remove" or not isinstance(said["value"], dict):
                raise InvalidPathException(detail="Without a path, an operation adds or replaces attributes by name.")
            for attribute, value in _lowered(said["value"]).items():
                self._change(op, attribute, None, [value])
        else:
            attribute, chosen = _target(path)
            self._change(op, attribute, chosen, [said["value"]] if "value" in said else [])

    def _change(self, op: str, attribute: str, chosen: frozenset[UUID] | None, values: list[Any]) -> None:
        """Do it to one attribute; of `values` there is one, or none where none was said."""
        if attribute != "members":
            _check_stays(op, attribute, values, self.group)
        elif op == "remove":
            self._remove(chosen, values)
        elif chosen is not None:
            raise MutabilityException(detail="A member is added or removed, and does not change.")
        else:
            named = self._named(_ids(values[0]) if op == "add" else _whole(values[0]))
            self.ids = self.ids | named if op == "add" else set(named)
            self.taken_out -= named

    def _remove(self, chosen: frozenset[UUID] | None, values: list[Any]) -> None:
        """Whom the path chooses, or the value names; everybody, where no value is said. Null is a value, and names nobody."""
        if chosen is None and not values:
            self.ids = set()
            return
        gone = self._named(_ids(values[0]) if chosen is None else chosen)
        self.ids -= gone
        self.taken_out |= gone

    def _named(self, ids: Collection[UUID]) -> frozenset[UUID]:
        """These, as far as the operations do not name too many together."""
        self.named += len(ids)
        if self.named > MOST_NAMED:
            raise InvalidValueException(detail=_TOO_MANY)
        return frozenset(ids)


def _target(path: Any) -> tuple[str, frozenset[UUID] | None]:
    """The attribute that a path names, in small letters, and whom of the members it chooses, if it does. Of another schema, its
    whole path.
    """
    if not isinstance(path, str) or len(path) > 2_000:
        raise InvalidPathException(detail="A path is a text.")
    with POLICY:
        found = Path[Group](path)
        binding = found.resolve()
    if binding is None:
        return path.lower().removeprefix(f"{_OWN}:"), None  # nothing that a group has
    attribute = binding.field_name.replace("_", "")
    if attribute != "members":
        if binding.sub_field_name is not None or found.value_filter is not None:
            raise InvalidPathException(detail="Only of members may a path choose some.")
        return attribute, None
    if binding.sub_field_name is not None:
        raise MutabilityException(detail="A member is added or removed, and does not change.")
    return attribute, None if found.value_filter is None else frozenset(_chosen(found.value_filter))


def _chosen(by: FilterNode) -> Iterable[UUID]:
    if isinstance(by, LogicalExpr) and by.op == LogicalOperator.or_:
        return [one for term in by.terms for one in _chosen(term)]
    if isinstance(by, Comparison) and by.op == CompareOperator.eq and str(by.attr_path).lower() == "value":
        return _ids([{"value": by.value}])
    raise InvalidPathException(detail='Of members, `members[value eq "…"]` is understood.')


def _whole(value: Any) -> list[UUID]:
    """The ids of a whole list, where null is an empty one (RFC 7643, 2.5). Nothing else is: `""` does not take out everybody."""
    return [] if value is None else _ids(value)


def _ids(value: Any) -> list[UUID]:
    """The ids that a value of `members` names."""
    entries = value if isinstance(value, list) else [value]
    if len(entries) > MOST_NAMED:
        raise InvalidValueException(detail=_TOO_MANY)
    try:
        return [UUID(_lowered(entry)["value"]) for entry in entries]
    except (KeyError, ValueError, TypeError, AttributeError):
        raise InvalidValueException(detail="A member has the id of somebody of the clinic as its value.") from None


def _check_stays(op: str, attribute: str, values: list[Any], group: directory_groups.Group) -> None:
    """Raise SCIMException unless the group stays as it is by this, or it is of something that nobody keeps here."""
    if attribute == "externalid" or (attribute.startswith("urn:") and attribute != _OWN):
        return
    if attribute not in ("displayname", "id"):
        raise InvalidPathException(detail="A group has no such attribute that could be changed.")
    if op == "remove":
        raise MutabilityException(detail="The id and the name of a group stay.")
    _check_same({attribute: values[0]}, group)


def _check_same(said: Mapping[str, Any], group: directory_groups.Group) -> None:
    """Raise SCIMException `mutability` where a group is to get another name or id; the name has no capitals."""
    wanted = said.get("displayname", group.name)
    if not isinstance(wanted, str) or wanted.strip().lower() != group.name:
        raise MutabilityException(attribute="displayName", detail=f"The name of this group stays {group.name}.")
    if said.get("id", str(group.id)) != str(group.id):
        raise MutabilityException(attribute="id", detail="The id of a group stays.")


def _path_of(operation: Any) -> Any:
    return _lowered(operation).get("path", "") if isinstance(operation, dict) else ""


def _schemas(said: Mapping[str, Any]) -> list[str]:
    schemas = said.get("schemas")
    return [one for one in schemas if isinstance(one, str)] if isinstance(schemas, list) else []


def _lowered(said: Mapping[str, Any]) -> dict[str, Any]:
    """By names without capitals, which SCIM does not tell apart, and without the schema that may stand before one."""
    return {name.lower().removeprefix(f"{_OWN}:"): value for name, value in said.items()}
