"""``demo-accounts.json`` in the data folder: the demonstration's accounts, with the passwords that were made for this folder."""

from pathlib import Path
from uuid import UUID

from pydantic import ConfigDict, TypeAdapter

from domain.model import DISCREET, Discreet
from domain.requests import Role
from embedded.files import write_privately

DATA = Path(__file__).resolve().parent / "demonstration_data"
"""What the demonstration's people are called, ask and answer."""


class DemoAccount(Discreet):
    """One account. `clinic` is the clinic's name."""

    model_config = ConfigDict(frozen=True)

    username: str
    password: str
    role: Role
    clinic: str
    clinic_id: UUID
    account_id: UUID
    name: str
    email: str
    language: str


_ACCOUNTS = TypeAdapter(list[DemoAccount], config=DISCREET)


def demo_accounts(data_dir: Path) -> list[DemoAccount]:
    """The accounts of the data folder, the one to begin with first; none when there is no demonstration data."""
    try:
        return _ACCOUNTS.validate_json(_file(data_dir).read_bytes())
    except FileNotFoundError:
        return []


def write_demo_accounts(data_dir: Path, accounts: list[DemoAccount]) -> None:
    """Replaces the accounts of the data folder."""
    write_privately(_file(data_dir), _ACCOUNTS.dump_json(accounts, indent=2, ensure_ascii=False) + b"\n")


def _file(data_dir: Path) -> Path:
    return data_dir / "demo-accounts.json"
