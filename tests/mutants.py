"""``make mutants``: small faults are planted, one at a time, into the rules and the projection; how many of them do tests find?

    .venv/bin/python -m tests.mutants rules|records

The rules (`[tool.mutmut]` in pyproject.toml) are looked at by the unit tests, the projection by its own, in PostgreSQL.
`mutants.txt` beside this file names those that no test can find, each with the reason; they don't count.
"""

import io
import shutil
import sys
from collections import Counter, defaultdict
from contextlib import redirect_stdout
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from mutmut import configuration
from mutmut.__main__ import cli

EQUIVALENT = Path(__file__).with_suffix(".txt")
FOUND = {"killed", "timeout", "segfault", "suspicious"}
FOLDER = Path("mutants")
"""Where mutmut works, and keeps what became of each."""


def choose_records() -> None:
    """Plant into the projection, where pyproject.toml names the rules."""
    rules = configuration.config()
    records = Path("records")
    configuration._config = replace(
        rules,
        source_paths=[records],
        resolved_mutated_source_paths=[FOLDER.resolve() / records],
        only_mutate=["records/projection.py"],
        also_copy=[*(one for one in rules.also_copy if one != records), *rules.source_paths],
        pytest_add_cli_args_test_selection=["tests/records/test_projection.py"],
    )


def statuses() -> dict[str, str]:
    """What became of each mutant of the last run, by its name."""
    told = io.StringIO()
    with redirect_stdout(told):
        cli(["results", "--all", "true"], standalone_mode=False)
    pairs = (line.strip().rpartition(": ") for line in told.getvalue().splitlines() if "__mutmut_" in line)
    return {name: status for name, _, status in pairs}


def equivalents() -> list[str]:
    """The patterns of names that don't count."""
    lines = EQUIVALENT.read_text().splitlines()
    return [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]


def report(found: dict[str, str], equivalent: list[str]) -> list[str]:
    """The score of each module and of all, and the names of what was not found."""
    counted = {name: status for name, status in found.items() if not any(fnmatchcase(name, e) for e in equivalent)}
    modules: dict[str, Counter[bool]] = defaultdict(Counter)
    for name, status in counted.items():
        modules[".".join(name.split(".")[:2])][status in FOUND] += 1
    lines = [f"not found ({status}): {name}" for name, status in sorted(counted.items()) if status not in FOUND]
    lines += [_line(module, count) for module, count in sorted(modules.items())]
    return [*lines, _line("all", sum(modules.values(), Counter[bool]()))]


def _line(name: str, count: Counter[bool]) -> str:
    return f"{name}: {count[True]} of {count.total()} found, {count[True] / max(1, count.total()):.1%}"


def forget_this_checkout() -> None:
    """The tests that are run are those in mutmut's own copy of all files; this one was found in the checkout."""
    here = str(Path.cwd())
    sys.path = [path for path in sys.path if path not in ("", here)]
    sys.modules.pop("tests", None)


if __name__ == "__main__":
    if sys.argv[1] == "records":
        choose_records()
    shutil.rmtree(FOLDER, ignore_errors=True)
    forget_this_checkout()
    cli(["run"], standalone_mode=False)
    sys.stdout.write("\n".join(report(statuses(), equivalents())) + "\n")
