"""Passwords are hashed and compared with their hashes (Argon2id), few at once, in threads that are nicer than the rest.

A hash takes 64 MiB and some 150 ms of a processor. Signing in and the proof of who is signed in already have places of their own,
so that no crowd before the door keeps anybody inside waiting. Before each stands a queue with an end
([decision](../docs/decisions/guessing-and-flooding.md)).
"""

import asyncio
import os
import secrets
import sys
from collections.abc import AsyncIterator, Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import cache
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from use_cases.places import Places, Queue

T = TypeVar("T")

MAX_PASSWORD = 1_000

SIGN_INS_AT_ONCE = 2
PROOFS_AT_ONCE = 1
QUEUE = Queue(
    each=24,
    all=48,
    patience_seconds=10.0,
    usually_seconds=0.3,
    too_many="passwords_busy",
    busy="passwords_busy",
)
"""An address can't take the whole queue of those who sign in: others find room behind it, and have their turns in between."""

_hasher = PasswordHasher()
_NICER = 5


def _be_nice() -> None:
    """Commands come first: who signs in can wait a little. Only Linux has threads that are nicer than their process."""
    if sys.platform == "linux":
        os.nice(_NICER)


class Lane:
    """Places for one kind of check, each with a thread."""

    def __init__(self, name: str, at_once: int, queue: Queue) -> None:
        self._places = Places(at_once, queue, each=at_once)
        self._threads = ThreadPoolExecutor(at_once, f"passwords-{name}", _be_nice)

    @asynccontextmanager
    async def place_for(self, whose: Hashable) -> AsyncIterator["Lane"]:
        """A place, when it is the turn of `whose` call. Raises Problem `passwords_busy`."""
        async with self._places.place_for(whose):
            yield self

    async def fits(self, password_hash: str | None, password: str) -> bool:
        """Whether that is the password of the hash; without one it is not, and takes as long. Only for who has a place."""
        if password_hash is None:
            await self._in_a_thread(_verify, await self._in_a_thread(_nobodys_hash), password)
            return False
        return await self._in_a_thread(_verify, password_hash, password)

    async def _in_a_thread(self, work: Callable[..., T], *arguments: str) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)


class Lanes:
    """The lanes of one process."""

    def __init__(self, queue: Queue = QUEUE) -> None:
        self.sign_in = Lane("sign-in", SIGN_INS_AT_ONCE, queue)
        self.proof = Lane("proof", PROOFS_AT_ONCE, queue)
        """For who is signed in: the password again, and a new one."""


def _verify(password_hash: str, password: str) -> bool:
    try:
        return _hasher.verify(password_hash, password.encode())
    except (VerificationError, InvalidHashError):
        return False


@cache
def _nobodys_hash() -> str:
    """What the password of a user name that nobody has is compared with."""
    return _hasher.hash(secrets.token_urlsafe())


_making = ThreadPoolExecutor(SIGN_INS_AT_ONCE, "passwords-made", _be_nice)


async def hash_password(password: str) -> str:
    """A hash for an account that is made, or gets another password. It waits its turn, however many there are.

    So whoever lets somebody from outside ask for one has to bound it.
    """
    return await asyncio.get_running_loop().run_in_executor(_making, _hasher.hash, password)
