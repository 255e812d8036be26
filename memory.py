"""How much of their time the processes that serve spend on looking for garbage."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

YOUNG_OBJECTS = 20_000
"""So many new objects are made before the young ones are looked through. Python's own 700 suits a small script."""


@contextmanager
def loading() -> Iterator[None]:
    """While modules are loaded, nothing is looked for among what stays to the end: a fifth of the time of loading otherwise."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def settle() -> None:
    """What there is by now, modules above all, stays to the end: leave it out of every search for garbage.

    Otherwise each full search looks through a quarter of a million objects in vain, and everybody waits for it.
    """
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 10, 2)


def clear() -> None:
    """Let go of all that nobody needs any more, also of what `settle` left out."""
    gc.unfreeze()
    gc.collect()
