"""What the user reads when all runs."""

import json
from pathlib import Path

from rich.console import Console

from embedded.welcome import welcome


def test_shows_every_account_whole_in_a_narrow_terminal_and_a_call_for_a_token(tmp_path: Path) -> None:
    account = {
        "username": "administrateur.capitale",
        "password": "[b]p’w[/b]",
        "role": "clinic_administrator",
        "clinic": "Centre d’ophtalmologie de la Capitale",
    }
    (tmp_path / "demo-accounts.json").write_text(json.dumps([account]))
    console = Console(width=40, soft_wrap=True)
    with console.capture() as printed:
        welcome(console, tmp_path, {"API": "http://127.0.0.1:8000/api/v1"}, "http://127.0.0.1:8000")
    for word in account.values():
        assert word in printed.get()
    assert "curl -s http://127.0.0.1:8000/api/v1/tokens" in printed.get()


def test_three_accounts_to_begin_with_are_named_first(tmp_path: Path) -> None:
    roles = ("operator", "requester", "requester", "dispatcher", "provider", "provider")
    accounts = [{"username": f"{role}{n}", "password": f"pw{n}", "role": role} for n, role in enumerate(roles)]
    (tmp_path / "demo-accounts.json").write_text(json.dumps(accounts))
    console = Console(width=200)
    with console.capture() as printed:
        welcome(console, tmp_path, {}, "http://127.0.0.1:8000")
    first = printed.get().split("To begin")[1].split("All the")[0].splitlines()[2:]
    assert [line.split()[-2:] for line in first if line] == [
        ["requester1", "pw1"],
        ["dispatcher3", "pw3"],
        ["provider4", "pw4"],
    ]


def test_without_demonstration_data_there_are_only_the_places(tmp_path: Path) -> None:
    console = Console()
    with console.capture() as printed:
        welcome(console, tmp_path, {"API": "http://127.0.0.1:8000/api/v1"}, "http://127.0.0.1:8000")
    assert "http://127.0.0.1:8000/api/v1" in printed.get()
    assert "curl" not in printed.get()
