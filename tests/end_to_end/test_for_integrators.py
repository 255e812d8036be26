"""What the page for integrators says to type, typed; and the example of a client, which is made anew from the description."""

import asyncio
import json
import re
import sys
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

import pytest

from api.docs import DESCRIPTION_FILE
from api.for_systems import for_systems
from settings import PROJECT_ROOT
from tests.description.test_clients import generator, make_client
from tests.end_to_end.running import REQUESTER, RunningRelais

__all__ = ["generator"]

PAGE = (PROJECT_ROOT / "docs" / "integrators.md").read_text()
EXAMPLE = PROJECT_ROOT / "examples" / "python" / "follow.py"


def recipe() -> str:
    """All that stands in the sandbox's blocks of commands, in order."""
    section = PAGE.split("\n## A sandbox", 1)[1].split("\n## ", 1)[0]
    return "\n".join(re.findall(r"```sh\n(.*?)```", section, re.DOTALL))


async def run(environment: dict[str, str], *command: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, cwd=PROJECT_ROOT, stdout=PIPE, stderr=STDOUT
    )
    output, _ = await process.communicate()
    return await process.wait(), output.decode()


@pytest.fixture(scope="module")
async def sandbox(relais: RunningRelais, environment: dict[str, str]) -> tuple[int, str]:
    """What came of the recipe: its exit code, and what it said. At its end it says the system's secret."""
    typed = recipe().replace("127.0.0.1:8000", f"127.0.0.1:{environment['RELAIS_PORT']}")
    typed = typed.replace(".venv/bin/", f"{Path(sys.executable).parent}/")
    return await run(environment, "bash", "-euc", f'{typed}\necho; echo "secret=$secret"')


async def test_the_sandbox(sandbox: tuple[int, str]) -> None:
    code, output = sandbox
    assert code == 0, output
    assert '"code":"teledermatology"' in output, "what can be asked for, with its form"
    assert '"next_cursor":' in output, "what was reported"
    assert '"status":"draft"' in output, "a draft from a chart"


async def test_the_example(
    relais: RunningRelais, environment: dict[str, str], sandbox: tuple[int, str], generator: Path, tmp_path: Path
) -> None:
    """It is typed, follows what happens, and saves the documents of what has changed."""
    description = tmp_path / "systems.json"
    description.write_text(json.dumps(for_systems(json.loads(DESCRIPTION_FILE.read_text()))))
    made = make_client(generator, tmp_path / "relais_client", description)
    assert made.returncode == 0, made.stdout + made.stderr
    kept = tmp_path / "kept"
    kept.mkdir()
    around = {
        **environment,
        "PYTHONPATH": str(tmp_path),
        "MYPYPATH": str(tmp_path),
        "API_URL": relais.part("api").address,
        "API_SECRET": re.findall(r"^secret=(relais_sk_\S+)$", sandbox[1], re.MULTILINE)[-1],
    }
    program = (sys.executable, str(EXAMPLE), str(kept))
    assert await run(around, *program) == (0, "")
    found = await relais.cast.send(REQUESTER, "GET", "/requests?status=reported&limit=1")
    request = found.json()["items"][0]
    await relais.done(request, REQUESTER, "acknowledge")
    code, output = await run(around, *program)
    assert code == 0, output
    assert f"event {request['number']} acknowledged" in output
    documents = (await relais.cast.send(REQUESTER, "GET", f"/requests/{request['id']}/reports")).json()
    names = {f"{document['report_id']}.pdf" for document in documents}
    assert names
    assert names <= {path.name for path in kept.iterdir()}
    mypy = (sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={tmp_path}", str(EXAMPLE))
    code, output = await run(around, *mypy)
    assert code == 0, output
