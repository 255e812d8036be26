"""What ``relais up`` prints when all runs: where everything is, and how to sign in."""

import json
import shlex
import sys
from collections.abc import Mapping
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
        rows = [
            ACCOUNT_COLUMNS,
            *(tuple(str(account.get(name) or "") for name in ACCOUNT_COLUMNS) for account in accounts),
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        console.print("\nDemonstration accounts:\n", markup=False)
        for (
            row
        ) in rows:  # a table would cut words to the width of the terminal, and nobody can sign in with half a word
            line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            console.print(f"  {line}".rstrip(), markup=False)
        credentials = json.dumps({name: accounts[0][name] for name in ("username", "password")})
        console.print("\nA token for the API:", markup=False)
        console.print(
            f"  curl -s {api_url}/api/v1/tokens -H 'Content-Type: application/json' -d {shlex.quote(credentials)}",
            markup=False,
        )
        console.print("\nA whole teleconsultation, played step by step, from another terminal:", markup=False)
        console.print(f"  {shlex.join([sys.argv[0], '--data-dir', str(data_dir), 'demo'])}\n", markup=False)


def demonstration_accounts(data_dir: Path) -> list[dict[str, object]]:
    """The accounts made with the demonstration data: username, password, role, clinic. None when there is no such data."""
    try:
        accounts = json.loads((data_dir / "demo-accounts.json").read_text())
    except FileNotFoundError:
        return []
    return [dict(account) for account in accounts]
