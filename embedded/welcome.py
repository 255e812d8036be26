"""What ``relais up`` prints when all runs: where everything is, and how to sign in."""

import json
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich.console import Console

ACCOUNT_COLUMNS = ("username", "password", "role", "clinic")


def welcome(console: Console, data_dir: Path, places: Mapping[str, str], api_url: str) -> None:
    """Prints the places, the demonstration accounts and a first call of the API."""
    console.print("\nRelais runs. Ctrl-C stops it.\n", markup=False)
    for name, place in places.items():
        console.print(f"  {name:<18} {place}", markup=False)
    accounts = demonstration_accounts(data_dir)
    if accounts:
        if three := [(does, *_columns(first, "username", "password")) for does, first in _three(accounts)]:
            console.print("\nTo begin, sign in to the portal as these, each in a private window:\n", markup=False)
            _table(console, three)
        console.print("\nAll the demonstration accounts:\n", markup=False)
        _table(console, [ACCOUNT_COLUMNS, *(_columns(account, *ACCOUNT_COLUMNS) for account in accounts)])
        credentials = json.dumps({name: accounts[0][name] for name in ("username", "password")})
        console.print("\nA token for the API:", markup=False)
        console.print(
            f"  curl -s {api_url}/api/v1/tokens -H 'Content-Type: application/json' -d {shlex.quote(credentials)}",
            markup=False,
        )
        console.print("\nA whole teleconsultation, played step by step, from another terminal:", markup=False)
        console.print(f"  {shlex.join([sys.argv[0], '--data-dir', str(data_dir), 'demo'])}\n", markup=False)


TO_BEGIN = {"requester": "asks for advice", "dispatcher": "finds a specialist", "provider": "answers and signs"}
"""The parts in a request, in their order, each with what it does."""


def _three(accounts: Sequence[Mapping[str, object]]) -> Iterator[tuple[str, Mapping[str, object]]]:
    """The first account of each part, with what it does."""
    for role, does in TO_BEGIN.items():
        yield from [(does, account) for account in accounts if account.get("role") == role][:1]


def _columns(account: Mapping[str, object], *names: str) -> tuple[str, ...]:
    return tuple(str(account.get(name) or "") for name in names)


def _table(console: Console, rows: Sequence[tuple[str, ...]]) -> None:
    """Lines in columns; a table of rich's would cut words to the terminal's width, and nobody can sign in with half a word."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        console.print(f"  {line}".rstrip(), markup=False)


def demonstration_accounts(data_dir: Path) -> list[dict[str, object]]:
    """The accounts made with the demonstration data: username, password, role, clinic. None when there is no such data."""
    try:
        accounts = json.loads((data_dir / "demo-accounts.json").read_text())
    except FileNotFoundError:
        return []
    return [dict(account) for account in accounts]
