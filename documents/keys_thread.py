"""The one thread of a process that asks where the signing keys are.

A token that hangs holds up whoever asks it, and nobody can call them back. So nobody else's work shares a thread with them: those
who wait are told after a while that the keys are away, and a process that ends does not wait for them.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Lock, Thread
from typing import TypeVar

from documents.keys import KeysAwayError

ANSWERS_WITHIN_SECONDS = 10.0
"""A token on a network that is slow takes a second or two."""

Answer = TypeVar("Answer")

_waiting: "SimpleQueue[Callable[[], None]]" = SimpleQueue()
_starting = Lock()
_thread: Thread | None = None


async def of_the_keys(ask: Callable[[], Answer]) -> Answer:
    """What `ask` gives, which looks where the keys are. Raises what it raises, and KeysAwayError when no answer comes in time."""
    asked: Future[Answer] = Future()

    def answer() -> None:
        if asked.set_running_or_notify_cancel():
            try:
                asked.set_result(ask())
            except BaseException as error:
                asked.set_exception(error)

    _start()
    _waiting.put(answer)
    try:
        async with asyncio.timeout(ANSWERS_WITHIN_SECONDS):
            return await asyncio.wrap_future(asked)
    except TimeoutError:
        raise KeysAwayError("what holds the signing keys does not answer") from None


def _start() -> None:
    global _thread
    with _starting:
        if _thread is None or not _thread.is_alive():
            _thread = Thread(target=_work, name="signing keys", daemon=True)
            _thread.start()


def _work() -> None:
    while True:
        _waiting.get()()
