"""What is settled stays out of the search for garbage until the end, and is let go of then."""

import gc
import weakref
from collections.abc import Iterator

import pytest

import memory


class Circle:
    """Holds itself, so only a search for garbage frees it."""

    def __init__(self) -> None:
        self.me = self


class BrokenModuleError(Exception):
    """What somebody loads is not right."""


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    thresholds, was_settled = gc.get_threshold(), gc.get_freeze_count() > 0
    yield
    gc.unfreeze()
    if was_settled:
        gc.freeze()
    gc.set_threshold(*thresholds)


def test_what_was_there_is_passed_over_until_the_end() -> None:
    early = Circle()
    seen = weakref.ref(early)
    memory.settle()
    del early
    gc.collect()
    assert seen() is not None
    memory.clear()
    assert seen() is None


def test_what_comes_later_is_found() -> None:
    memory.settle()
    late = Circle()
    seen = weakref.ref(late)
    del late
    gc.collect()
    assert seen() is None


def test_while_loading_nothing_is_looked_for() -> None:
    with memory.loading():
        assert not gc.isenabled()
        loaded = Circle()
    assert gc.isenabled()
    seen = weakref.ref(loaded)
    del loaded
    gc.collect()
    assert seen() is not None
    memory.clear()
    assert seen() is None


def test_what_can_not_be_loaded_leaves_the_search_on() -> None:
    with pytest.raises(BrokenModuleError), memory.loading():
        raise BrokenModuleError
    assert gc.isenabled()
