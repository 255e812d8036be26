"""The table of `docs/security.md`: each requirement of ASVS 5.0.0 (levels 1 and 2) once, tests that exist, counts that are so."""

import ast
import re
from collections import Counter
from functools import cache

import pytest

from settings import PROJECT_ROOT

DOCUMENT = (PROJECT_ROOT / "docs" / "security.md").read_text()

REQUIREMENTS = """
1.1: 1 2
1.2: 1* 2* 3* 4* 5* 6 7 8 9
1.3: 1* 2* 3 4 5 6 7 8 9 10 11
1.4: 1 2 3
1.5: 1* 2
2.1: 1* 2 3
2.2: 1* 2* 3
2.3: 1* 2 3 4
2.4: 1
3.2: 1* 2*
3.3: 1* 2 3 4
3.4: 1* 2* 3 4 5 6
3.5: 1* 2* 3* 4 5
3.7: 1 2
4.1: 1* 2 3
4.2: 1
4.3: 1 2
4.4: 1* 2 3 4
5.1: 1
5.2: 1* 2* 3
5.3: 1* 2*
5.4: 1 2 3
6.1: 1* 2 3
6.2: 1* 2* 3* 4* 5* 6* 7* 8* 9 10 11 12
6.3: 1* 2* 3 4
6.4: 1* 2* 3 4
6.5: 1 2 3 4 5
6.6: 1 2 3
6.8: 1 2 3 4
7.1: 1 2 3
7.2: 1* 2* 3* 4*
7.3: 1 2
7.4: 1* 2* 3 4 5
7.5: 1 2
7.6: 1 2
8.1: 1* 2
8.2: 1* 2* 3
8.3: 1*
8.4: 1
9.1: 1* 2* 3*
9.2: 1* 2 3 4
10.1: 1 2
10.2: 1 2
10.3: 1 2 3 4
10.4: 1* 2* 3* 4* 5* 6 7 8 9 10 11
10.5: 1 2 3 4 5
10.6: 1 2
10.7: 1 2 3
11.1: 1 2
11.2: 1 2 3
11.3: 1* 2* 3
11.4: 1* 2 3 4
11.5: 1
11.6: 1
12.1: 1* 2 3
12.2: 1* 2*
12.3: 1 2 3 4
13.1: 1
13.2: 1 2 3 4 5
13.3: 1 2
13.4: 1* 2 3 4 5
14.1: 1 2
14.2: 1* 2 3 4
14.3: 1* 2 3
15.1: 1* 2 3
15.2: 1* 2 3
15.3: 1* 2 3 4 5 6 7
16.1: 1
16.2: 1 2 3 4 5
16.3: 1 2 3 4
16.4: 1 2 3
16.5: 1 2 3
17.1: 1
17.2: 1 2 3 4
17.3: 1 2
"""
"""Of each section, in order: the last numbers of its requirements, with a star where they are of level 1."""

ROW = re.compile(r"^\| (V\d+\.\d+\.\d+) \| ([12]) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
OPERATORS = "because it is the operator’s: "


def required() -> list[tuple[str, str]]:
    """Every requirement with its level, in the order of the standard."""
    found = []
    for line in REQUIREMENTS.split("\n"):
        section, _, numbers = line.partition(":")
        found += [(f"V{section}.{one.strip('*')}", "1" if one.endswith("*") else "2") for one in numbers.split()]
    return found


@cache
def functions(file: str) -> frozenset[str]:
    """The names of the functions at the top of a file."""
    body = ast.parse((PROJECT_ROOT / file).read_text()).body
    return frozenset(one.name for one in body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef))


def test_each_requirement_stands_once_in_the_order_of_the_standard() -> None:
    lines = [line for line in DOCUMENT.split("\n") if line.startswith("| V")]
    rows = ROW.findall(DOCUMENT)
    assert len(rows) == len(lines), "a row has other cells"
    assert [(number, level) for number, level, *_ in rows] == required()
    assert Counter(level for _, level in required()) == {"1": 70, "2": 183}


@pytest.mark.parametrize("row", ROW.findall(DOCUMENT), ids=lambda row: row[0])
def test_a_verdict_is_one_of_three_and_says_what_it_rests_on(row: tuple[str, ...]) -> None:
    *_, verdict, why = row
    named = TEST.findall(why)
    assert [f"{file}::{name}" for file, name in named if name not in functions(file)] == []
    assert len(named) == why.count("::"), "a test is named in another way"
    assert verdict in ("met", "not met", "does not apply")
    assert why.startswith("because ") == (verdict != "met")
    if verdict == "met":
        is_held_otherwise = why.startswith("no test") or why.startswith("[") or why.startswith("`")
        assert named or is_held_otherwise


def test_the_counts_at_the_top_are_so() -> None:
    rows = ROW.findall(DOCUMENT)
    counts = Counter(verdict for *_, verdict, _ in rows)
    told = dict(re.findall(r"^\| (met|not met|does not apply|all) \| (\d+) \|", DOCUMENT, re.MULTILINE))
    assert told == {**{verdict: str(count) for verdict, count in counts.items()}, "all": str(len(rows))}
    untested = [number for number, _, _, verdict, why in rows if verdict == "met" and not TEST.search(why)]
    assert f"for {len(untested)} there is none" in DOCUMENT
    assert f"by the operator ({sum(why.startswith(OPERATORS) for *_, why in rows)})" in DOCUMENT
