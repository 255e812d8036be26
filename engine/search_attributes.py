"""Registers search attributes with the Temporal server. One that is missing would hang every workflow task."""

from collections.abc import Mapping

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client


class SearchAttributeError(Exception):
    """The server has an attribute of that name and of another type, or did not take it."""


async def ensure_search_attributes(client: Client, wanted: Mapping[str, str]) -> None:
    """Register those of `wanted` (name to type, e.g. ``{"RequestStatus": "Keyword"}``) that the namespace does not have.

    Raises SearchAttributeError when they can't be had; no worker should start then.
    """
    present = await _present(client)
    missing = {name: _value_type(kind) for name, kind in wanted.items() if name not in present}
    if missing:
        await client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(namespace=client.namespace, search_attributes=missing)
        )
        present = await _present(client)
    wrong = [name for name, kind in wanted.items() if present.get(name) != _value_type(kind)]
    if wrong:
        raise SearchAttributeError(
            f"the namespace '{client.namespace}' needs the search attributes "
            + ", ".join(f"{name} ({wanted[name]})" for name in wrong)
        )


async def _present(client: Client) -> dict[str, int]:
    answer = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    return dict(answer.custom_attributes)


def _value_type(kind: str) -> IndexedValueType.ValueType:
    name = "".join(f"_{c}" if c.isupper() else c for c in kind).upper()
    return IndexedValueType.Value(f"INDEXED_VALUE_TYPE{name}")
