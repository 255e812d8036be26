"""What runs now: ``runtime.json`` in the data folder, written by ``relais up`` and read by every other command.

The section `settings` holds fields of ``settings.Settings``, the section `environment` the ``TEMPORAL_*`` names of Temporal's own
configuration. The file also remembers the ports, so that addresses stay the same from one start to the next.
"""

import os
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from domain.model import Discreet
from embedded.errors import StartError
from embedded.files import write_privately
from settings import Settings

FORMAT = 1


class PartState(StrEnum):
    """Where a part is in its life. `waiting`: it answers, and can do its work when other parts are there. `not answering`: its
    process lives and says nothing. `restarting` is the pause after it died by itself; `stopped` is on purpose.
    """

    STARTING = "starting"
    WAITING = "waiting"
    RUNNING = "running"
    NOT_ANSWERING = "not answering"
    RESTARTING = "restarting"
    STOPPED = "stopped"


class PartStatus(Discreet):
    """One part as the supervisor sees it. `command` is its command line, which tells whether a process id is still ours."""

    model_config = ConfigDict(frozen=True)

    state: PartState
    pid: int | None
    address: str
    restarts: int
    command: tuple[str, ...]
    stop_signal: int


class Runtime(Discreet):
    """The content of ``runtime.json``. `parts` is ordered as the parts start."""

    model_config = ConfigDict(frozen=True)

    format: int = FORMAT
    started_at: datetime
    parts: Mapping[str, PartStatus] = {}
    settings: Mapping[str, Any] = {}
    environment: Mapping[str, str] = {}
    ports: Mapping[str, int] = {}

    def address_of(self, name: str) -> str:
        """Where a part answers. Raises StartError when it was not started yet."""
        if name not in self.parts:
            raise StartError(f"Relais is still starting, its part {name} is not there yet: see `relais status`.")
        return self.parts[name].address

    def write(self, data_dir: Path) -> None:
        write_privately(runtime_file(data_dir), self.model_dump_json(indent=2) + "\n")


def runtime_file(data_dir: Path) -> Path:
    """Where ``relais up`` writes what it started."""
    return data_dir / "runtime.json"


def read_runtime(data_dir: Path) -> Runtime | None:
    """What ``relais up`` wrote last into this data folder; None when it never ran there.

    Raises StartError when the file cannot be read.
    """
    path = runtime_file(data_dir)
    try:
        return Runtime.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise StartError(f"The file {path} cannot be read: remove it, and start again with `relais up`.") from error


def load_runtime(settings: Settings) -> Runtime | None:
    """Makes this process find the running Temporal server: sets the ``TEMPORAL_*`` names that are not set already.

    Call it before a Temporal client is made. Gives None, and changes nothing, when ``relais up`` never ran in the data folder,
    as in production.
    """
    runtime = read_runtime(settings.data_dir)
    for name, value in (runtime.environment if runtime else {}).items():
        os.environ.setdefault(name, value)
    return runtime


class StartSettings(Settings):
    """The settings that ``relais up`` starts from: the environment and the defaults, without what an earlier start wrote."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings
