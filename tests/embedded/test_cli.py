"""The `relais` command, run as users run it: what they can repair comes as one sentence with code 1."""

import os
import socket
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from uuid import UUID

import pytest
from pypdf import PdfWriter

from documents.authority import Authority
from documents.credentials import credentials
from documents.key_folder import KeyFolder
from documents.signature import sign_now
from embedded.data_folder import locked
from embedded.runtime import Runtime


def relais(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The ended command, whose environment has the given RELAIS_ settings besides ours."""
    settings = {f"RELAIS_{name.upper()}": value for name, value in environment.items()}
    return subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | settings,
        capture_output=True,
        text=True,
        check=False,
    )


def sentence(ended: subprocess.CompletedProcess[str]) -> str:
    """The one sentence of a command that the user must repair."""
    assert ended.returncode == 1
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    return line


def test_says_its_version() -> None:
    assert relais("version").stdout == version("relais") + "\n"


def test_a_busy_port_names_the_setting(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        said = sentence(relais("up", data_dir=str(tmp_path), port=str(port)))
    assert said.startswith(f"relais: Port {port} is already used by another program: free it, or choose another one")
    assert "RELAIS_PORT=" in said


def test_the_demonstration_says_when_it_comes_too_early(tmp_path: Path) -> None:
    Runtime(started_at=datetime.now(UTC)).write(tmp_path)
    with locked(tmp_path):
        said = sentence(relais("demo", data_dir=str(tmp_path)))
    assert said == "relais: Relais is still starting, its part api is not there yet: see `relais status`."


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "var"
    assert sentence(relais("up", data_dir=str(folder))) == (
        f"relais: The data folder {folder} cannot be written (Not a directory): "
        "make it writable, or name another one with RELAIS_DATA_DIR."
    )


def test_a_second_start_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    with locked(tmp_path):
        assert f"Relais already runs in {tmp_path}:" in sentence(relais("up", data_dir=str(tmp_path)))


def test_a_folder_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "format").write_text("2\n")
    assert "has format '2' and this version of Relais reads format 1" in sentence(relais("up", data_dir=str(tmp_path)))


def test_a_setting_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    assert "The setting RELAIS_PORT cannot be used" in sentence(relais("up", data_dir=str(tmp_path), port="eight"))


@pytest.mark.parametrize("arguments", [("status",), ("stop", "worker"), ("start", "worker")])
def test_orders_say_when_nothing_runs(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    said = sentence(relais("--data-dir", str(tmp_path), *arguments))
    assert said == f"relais: Relais does not run in {tmp_path}: start it with `relais up`."


def test_the_mail_server_alone_asks_for_its_ports(tmp_path: Path) -> None:
    assert "give --smtp-port and --page-port" in sentence(relais("mail", data_dir=str(tmp_path)))


def test_checks_signed_documents_without_a_network(tmp_path: Path) -> None:
    authority = Authority.open(KeyFolder(tmp_path / "authority", b"a secret of this test alone"))
    keys = authority.signer(UUID(int=1), "Dre Isabelle Haddad", "Clinique", "98-3142")
    writer, bare = PdfWriter(), BytesIO()
    writer.add_blank_page(100, 100)
    writer.write(bare)
    signed = sign_now(bare.getvalue(), credentials(keys), "TC-2026-000001", datetime.now(UTC))
    good, bad = tmp_path / "good.pdf", tmp_path / "bad.pdf"
    good.write_bytes(signed)
    bad.write_bytes(signed + b"\n% more")

    ended = relais("verify", str(good), data_dir=str(tmp_path))
    assert (ended.returncode, "--revoked" in ended.stderr) == (0, True)
    assert ended.stdout.startswith(f"{good}: valid, signed by Dre Isabelle Haddad (98-3142), stamped 20")
    root = tmp_path / "authority" / "root.cert.pem"
    ended = relais("verify", "--root", str(root), str(good), str(bad), data_dir=str(tmp_path / "elsewhere"))
    assert ended.returncode == 1
    assert [line.partition(": ")[2][:5] for line in ended.stdout.splitlines()] == ["valid", "DOES "]
    assert "--root" in sentence(relais("verify", str(good), data_dir=str(tmp_path / "elsewhere")))
