"""Work on many things of which one may fail: the others are done, and what was raised is raised once they are."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import structlog

log = structlog.get_logger(__name__)

Each = Callable[[object], AbstractContextManager[None]]


@contextmanager
def all_of_them(wrong: str) -> Iterator[Each]:
    """In it, what is raised inside of ``with each(...):`` is logged as `wrong`, with which one it was; the last is raised at
    the end. What ends the process, or cancels the work, passes at once.
    """
    failed: list[Exception] = []

    @contextmanager
    def each(which: object) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            log.error(wrong, name=str(which), error=type(error).__name__)
            failed.append(error)

    yield each
    if failed:
        raise failed[-1]
