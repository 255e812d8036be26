"""Where the settings say that the keys are, and what they must say."""

from pathlib import Path
from typing import Any

import pytest

from documents.key_folder import KeyFolder
from documents.key_places import heard, key_place, told
from documents.key_token import KeyToken
from settings import Settings, SettingsError

SECRET = "a secret that only these tests know"
IN_A_TOKEN: dict[str, Any] = {
    "authority_secret": SECRET,
    "pkcs11_module": "/usr/lib/token.so",
    "pkcs11_token": "relais",
}


def test_they_are_in_the_folder_of_the_data(tmp_path: Path) -> None:
    place = key_place(Settings(data_dir=tmp_path, authority_secret=SECRET))
    assert place == KeyFolder(tmp_path / "authority", SECRET.encode())
    assert heard(told(place)) == place
    assert SECRET not in repr(place)


def test_they_are_in_a_token_whose_pin_is_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKENS_ARE_AT", "/tokens")
    (tmp_path / "pin").write_text("1234-5678\n")
    environment = frozenset({"TOKENS_ARE_AT", "NOT_SET"})
    place = key_place(Settings(**IN_A_TOKEN, pkcs11_pin_file=tmp_path / "pin", pkcs11_environment=environment))
    assert place == KeyToken(Path("/usr/lib/token.so"), "1234-5678", "relais", environment={"TOKENS_ARE_AT": "/tokens"})
    assert heard(told(place)) == place
    assert "1234-5678" not in repr(place)
    direct = key_place(Settings(**IN_A_TOKEN, pkcs11_pin="8765", pkcs11_serial="0815"))
    assert isinstance(direct, KeyToken)
    assert (direct.pin, direct.serial) == ("8765", "0815")


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    wrong: tuple[tuple[dict[str, Any], str], ...] = (
        ({**IN_A_TOKEN, "authority_secret": None}, "RELAIS_AUTHORITY_SECRET is not set"),
        ({**IN_A_TOKEN, "pkcs11_token": None}, "RELAIS_PKCS11_TOKEN and RELAIS_PKCS11_SERIAL are not set"),
        (IN_A_TOKEN, "RELAIS_PKCS11_PIN_FILE is not set"),
        ({**IN_A_TOKEN, "pkcs11_pin_file": tmp_path / "none"}, "RELAIS_PKCS11_PIN_FILE can't be read"),
        ({**IN_A_TOKEN, "pkcs11_pin_file": tmp_path / "empty"}, "RELAIS_PKCS11_PIN_FILE is empty"),
    )
    for settings, why in wrong:
        with pytest.raises(SettingsError, match=why):
            key_place(Settings(**settings))
