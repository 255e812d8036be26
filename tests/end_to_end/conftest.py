"""One real `relais up` for the whole folder, in a data folder and on ports of its own."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from embedded.cast import open_cast
from tests.end_to_end.running import RunningRelais
from tests.eventually import eventually
from tests.serving import free_port

RELAIS = str(Path(sys.executable).with_name("relais"))


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the `relais` command is run with: nothing of the caller's own settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RELAIS_", "TEMPORAL_"))}
    data_dir = tmp_path_factory.mktemp("relais").resolve()
    return kept | {"RELAIS_DATA_DIR": str(data_dir), "RELAIS_PORT": str(free_port())}


@pytest.fixture(scope="session")
async def relais(environment: dict[str, str]) -> AsyncIterator[RunningRelais]:
    """The running system, with its demonstration data; stopped as by Ctrl-C at the end."""
    data_dir = Path(environment["RELAIS_DATA_DIR"])
    output = data_dir.with_suffix(".output")
    with output.open("wb") as said:
        process = await asyncio.create_subprocess_exec(
            *(RELAIS, "up"), env=environment, stdout=said, stderr=said, start_new_session=True
        )
    try:
        await eventually(lambda: process.returncode is not None or "Relais runs." in output.read_text())
        assert process.returncode is None, output.read_text()
        async with open_cast(data_dir, f"http://127.0.0.1:{environment['RELAIS_PORT']}") as cast:
            relais = RunningRelais(data_dir, cast)
            await eventually(relais.healthy)
            yield relais
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        assert await process.wait() == 0, output.read_text()
