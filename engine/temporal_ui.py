"""Addresses of the Temporal UI, for people who look into the engine. `ui_url` is where they reach it."""

from urllib.parse import quote


def workflows_page(ui_url: str, namespace: str, query: str) -> str:
    """The workflows that a query of the server's index finds."""
    return f"{_workflows(ui_url, namespace)}?query={quote(query, safe='')}"


def workflow_page(ui_url: str, namespace: str, workflow_id: str) -> str:
    """One workflow."""
    return f"{_workflows(ui_url, namespace)}/{workflow_id}"


def _workflows(ui_url: str, namespace: str) -> str:
    return f"{ui_url.rstrip('/')}/namespaces/{namespace}/workflows"
