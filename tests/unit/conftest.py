"""The tests of this folder need no engine: `make check` runs them, and whoever asks for one here is told so."""

from typing import NoReturn

import pytest


@pytest.fixture(scope="session")
def cluster() -> NoReturn:
    raise AssertionError("tests/unit starts no PostgreSQL: move the test to tests/records, or beside what it tests")


@pytest.fixture(scope="session")
def system() -> NoReturn:
    raise AssertionError("tests/unit starts no system: move the test to tests/api, tests/workflow or tests/portal")
