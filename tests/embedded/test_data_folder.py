"""The data folder says in one sentence why it cannot be used."""

import base64
import os
from pathlib import Path

import pytest

from embedded import data_folder
from embedded.data_folder import encryption_keys, is_in_use, locked
from embedded.errors import StartError


def test_is_made_private_and_marked_with_its_format(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "var"
    with locked(folder):
        assert is_in_use(folder)
        assert (folder / "format").read_text() == "1\n"
        assert folder.stat().st_mode & 0o777 == 0o700
        assert (folder / "secrets").stat().st_mode & 0o777 == 0o700
    assert not is_in_use(folder)


def test_is_used_by_one_at_a_time(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(StartError, match="already runs in"), locked(tmp_path):
        raise AssertionError("two hold it")


@pytest.mark.parametrize("found", ["2", "0", "", "a"])
def test_of_another_format_is_refused(tmp_path: Path, found: str) -> None:
    (tmp_path / "format").write_text(found)
    with pytest.raises(StartError, match="reads format 1: start the version that made it"), locked(tmp_path):
        raise AssertionError("it was taken")


def test_of_an_unknown_layout_is_refused(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    with pytest.raises(StartError, match="its layout is unknown"), locked(tmp_path):
        raise AssertionError("it was taken")


def test_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(StartError, match=r"cannot be written \(Not a directory\): make it writable"),
        locked(tmp_path / "file" / "var"),
    ):
        raise AssertionError("it was taken")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StartError, match=r"cannot be written \(Permission denied\)"), locked(tmp_path):
        raise AssertionError("it was taken")


def test_on_a_full_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_folder, "LEAST_FREE_BYTES", 1024**6)
    with pytest.raises(StartError, match="MB left: free some space"), locked(tmp_path):
        raise AssertionError("it was taken")


def test_keys_are_made_once_and_private(tmp_path: Path) -> None:
    with locked(tmp_path):
        keys = encryption_keys(tmp_path)
        assert encryption_keys(tmp_path) == keys
    name, _, secret = keys.partition(":")
    assert name == "k1"
    assert len(base64.b64decode(secret, validate=True)) == 32
    assert (tmp_path / "secrets" / "encryption-keys").stat().st_mode & 0o777 == 0o600
