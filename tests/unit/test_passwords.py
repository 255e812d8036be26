"""Passwords are hashed and checked where no command waits for it."""

import asyncio
import os
import re
import sys
import threading

import pytest

from settings import PROJECT_ROOT
from use_cases import passwords

AT_ONCE = passwords.SIGN_INS_AT_ONCE + passwords.PROOFS_AT_ONCE


class _Watched:
    """Notes how nice each hash is to others, and how many are made at once: the first ones wait for each other."""

    def __init__(self) -> None:
        self.niceness: set[int] = set()
        self.threads: set[int] = set()
        self._first, self._together = iter(range(AT_ONCE)), threading.Barrier(AT_ONCE, timeout=120)

    def verify(self, _hash: str, _password: bytes) -> bool:
        return bool(self.hash(""))

    def hash(self, _: str) -> str:
        self.niceness.add(os.nice(0))
        self.threads.add(threading.get_native_id())
        if next(self._first, None) is not None:
            self._together.wait()
        return "a hash"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has threads that are nicer than their process")
async def test_hashes_are_made_few_at_once_in_threads_that_are_nicer_than_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watched = _Watched()
    monkeypatch.setattr(passwords, "_hasher", watched)
    before, lanes = os.nice(0), passwords.Lanes()

    async def check(lane: passwords.Lane) -> None:
        async with lane.place_for(object()) as place:
            assert await place.fits("a hash", "correct horse")

    await asyncio.gather(*(check(lane) for lane in (lanes.sign_in, lanes.proof) for _ in range(20)))
    assert watched.niceness == {before + 5}
    assert len(watched.threads) == AT_ONCE
    await asyncio.gather(*(passwords.hash_password("correct horse") for _ in range(100)))  # nobody is turned away
    assert watched.niceness == {before + 5}
    assert len(watched.threads) <= AT_ONCE + passwords.SIGN_INS_AT_ONCE
    assert os.nice(0) == before


def test_every_field_for_a_password_masks_it_and_takes_what_a_manager_fills_in() -> None:
    found = 0
    for template in (PROJECT_ROOT / "portal" / "templates").rglob("*.j2"):
        text = template.read_text()
        fields = re.findall(r'{{ fields\.line\("(?:password|current|new)",.*?}}', text, re.DOTALL)
        for field in [*fields, *re.findall(r'<input [^>]*name="password"[^>]*>', text)]:
            found += 1
            assert 'type="password"' in field, template.name
            assert re.search(r'autocomplete="(current|new)-password"', field), template.name
            assert "maxlength" not in field, template.name
    assert found > 6
    scripts = [path.read_text() for path in (PROJECT_ROOT / "portal" / "static").glob("*.js")]
    assert len(scripts) > 20
    assert not any("paste" in script for script in scripts)
