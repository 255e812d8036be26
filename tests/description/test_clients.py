"""What others make of the description: types for TypeScript, a client for Python, and what a linter says of it.

Their tools are installed from the locked files beside this, once; where npm or uv are missing, what needs them is skipped.
"""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from api.docs import DESCRIPTION_FILE
from settings import PROJECT_ROOT
from tests.npm import install

FOLDER = Path(__file__).parent
UV = PROJECT_ROOT / ".uv" / "bin" / "uv"

QUIET = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}

TSC = ("tsc", "--strict", "--noEmit", "--target", "es2022", "--lib", "es2022", "--skipLibCheck")
"""As projects have it, without the types of browsers, which nothing here asks for."""


def run(*command: object, cwd: Path = FOLDER, also_in: Path = FOLDER) -> subprocess.CompletedProcess[str]:
    """Run a program, which finds others in `also_in`, and tells nobody that it ran."""
    env = {**os.environ, "PATH": f"{also_in}{os.pathsep}{os.environ['PATH']}", **QUIET}
    return subprocess.run([*map(str, command)], cwd=cwd, check=False, capture_output=True, text=True, env=env)


@pytest.fixture(scope="module")
def node_tools() -> Path:
    """The folder of the programs from npm."""
    install(FOLDER)
    return FOLDER / "node_modules" / ".bin"


@pytest.fixture(scope="module")
def generator() -> Path:
    """The program that makes clients for Python, in an environment of its own: it asks for other versions than we do."""
    if not UV.exists():
        pytest.skip("`make install` has not made ready the installer: nobody makes a client for Python")
    folder = FOLDER / ".generator"
    program = folder / "bin" / "openapi-python-client"
    with (FOLDER / "generator.lock").open() as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)
        for command in (
            [UV, "venv", "--quiet", "--clear", folder],
            [UV, "pip", "sync", "--quiet", "--require-hashes", "--python", folder / "bin" / "python", "generator.lock"],
        ):
            if not program.exists() and (done := run(*command)).returncode != 0:
                pytest.skip(f"uv can't install what makes a client for Python: {done.stderr[-300:]}")
    return program


def test_types_for_typescript(node_tools: Path, tmp_path: Path) -> None:
    shutil.copy(FOLDER / "program.ts", tmp_path)
    made = run(node_tools / "openapi-typescript", DESCRIPTION_FILE, "-o", tmp_path / "relais.ts")
    assert made.returncode == 0, made.stderr
    checked = run(node_tools / TSC[0], *TSC[1:], "program.ts", cwd=tmp_path)
    assert checked.returncode == 0, checked.stdout


def make_client(generator: Path, to: Path, description: Path = DESCRIPTION_FILE) -> subprocess.CompletedProcess[str]:
    """As `make client` does."""
    settings = PROJECT_ROOT / "examples" / "python" / "generator.yaml"
    return run(
        *(generator, "generate", "--path", description, "--config", settings, "--meta", "none"),
        *("--output-path", to, "--overwrite", "--fail-on-warning"),
        also_in=generator.parent,
    )


def test_a_client_for_python(generator: Path, tmp_path: Path) -> None:
    made = make_client(generator, tmp_path / "relais_client")
    assert made.returncode == 0, made.stdout + made.stderr
    assert "WARNING" not in made.stdout + made.stderr
    operations = {path.stem for path in (tmp_path / "relais_client" / "api").glob("*/*.py")}
    assert {"get_worklist", "get_whole_case", "continue_upload", "verify_given_document", "oauth_token"} <= operations


def test_nothing_is_wrong_with_it(node_tools: Path) -> None:
    said = run(node_tools / "redocly", "lint", DESCRIPTION_FILE, "--format", "json")
    assert said.returncode == 0, said.stdout + said.stderr
    assert '"warnings": 0' in said.stdout.replace('"warnings":0', '"warnings": 0'), said.stdout
