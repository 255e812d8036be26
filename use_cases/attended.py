"""Work for somebody who may go away before it is done."""

from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Attended(Protocol):
    """Gives what a work gives, for as long as somebody waits for it.

    When they go away the work is cancelled, and the face raises what it has for that. It is for what can be left undone.
    """

    async def __call__(self, work: Coroutine[Any, Any, T], /) -> T: ...
