"""The score of ``make mutants``: how many small faults, planted one at a time into the rules, the unit tests found.

`mutants.txt` beside this file names those that no test can find, each with the reason; they don't count.
"""

import subprocess
import sys
from collections import Counter, defaultdict
from fnmatch import fnmatchcase
from pathlib import Path

EQUIVALENT = Path(__file__).with_suffix(".txt")
FOUND = {"killed", "timeout", "segfault", "suspicious"}


def statuses() -> dict[str, str]:
    """What became of each mutant of the last run, by its name."""
    mutmut = Path(sys.executable).with_name("mutmut")
    told = subprocess.run([mutmut, "results", "--all", "true"], capture_output=True, text=True, check=True).stdout
    pairs = (line.strip().rpartition(": ") for line in told.splitlines() if "__mutmut_" in line)
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


if __name__ == "__main__":
    sys.stdout.write("\n".join(report(statuses(), equivalents())) + "\n")
