"""No log holds patient data: what is logged names allowed fields alone, and no model prints what it was given."""

import ast
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

from pydantic import BaseModel
from pydantic_settings import BaseSettings

from logs import ALLOWED
from settings import PROJECT_ROOT

ROOMS = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["root_packages"]
LEVELS = {"debug", "info", "warning", "error", "critical", "exception"}
OF_STRUCTLOG = {"exc_info"}


def sources() -> Iterator[Path]:
    yield from PROJECT_ROOT.glob("*.py")
    for room in ROOMS:
        yield from (PROJECT_ROOT / room).rglob("*.py")


def test_whatever_is_logged_has_a_name_that_is_allowed() -> None:
    found, others = 0, []
    for file in sources():
        for call in ast.walk(ast.parse(file.read_text())):
            if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in LEVELS):
                continue
            if not (isinstance(call.func.value, ast.Name) and call.func.value.id.endswith("log")):
                continue
            found += 1
            names = {keyword.arg for keyword in call.keywords} - OF_STRUCTLOG
            others += [(file.name, call.lineno, name) for name in names if name not in ALLOWED]
    assert found > 40
    assert others == []


def test_an_entry_is_one_line_in_utc_with_allowed_fields() -> None:
    """As a process writes it: to standard error alone, whatever stands in it."""
    program = (
        "import logging, structlog, logs; from settings import Settings; logs.configure(Settings());"
        r"structlog.get_logger('one').info('event\n{\"event\": \"forged\"}', name='a\r\nb\u2028c', patient='Jeanne');"
        r"logging.getLogger('another').warning('of %s', 'a\nlibrary')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, cwd=PROJECT_ROOT, check=True)
    assert done.stdout == b""
    ours, other = (json.loads(line) for line in done.stderr.decode().rstrip("\n").split("\n"))
    assert ours.pop("timestamp").endswith(("Z", "+00:00"))
    assert ours == {
        "event": 'event\n{"event": "forged"}',
        "name": "a\r\nb\u2028c",
        "patient": "(left out)",
        "level": "info",
        "logger": "one",
    }
    assert (other["event"], other["level"]) == ("of a\nlibrary", "warning")


def test_no_model_prints_what_it_was_given() -> None:
    """An error that nobody expected is logged with its text, in which pydantic would quote what did not fit."""
    for room in ROOMS:
        for module in walk_packages(import_module(room).__path__, f"{room}."):
            if ".migrations" not in module.name:
                import_module(module.name)
    talkative = {
        f"{model.__module__}.{model.__qualname__}"
        for model in models(BaseModel)
        if model.__module__.partition(".")[0] in ROOMS and not model.model_config.get("hide_input_in_errors")
    }
    assert talkative == set()


def test_no_adapter_prints_what_it_was_given() -> None:
    """What reads a union or a list does so in its own name, and not in that of the models in it."""
    talkative = [
        (file.name, call.lineno)
        for file in sources()
        for call in ast.walk(ast.parse(file.read_text()))
        if isinstance(call, ast.Call)
        and "TypeAdapter" in (getattr(call.func, "id", None), getattr(call.func, "attr", None))
        and all(ast.unparse(keyword.value) != "DISCREET" for keyword in call.keywords if keyword.arg == "config")
    ]
    assert talkative == []


def models(base: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for model in base.__subclasses__():
        if not issubclass(model, BaseSettings):
            yield model
            yield from models(model)
