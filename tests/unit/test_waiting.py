"""Waiting for a part: until it is there, told once, and never for what waiting does not cure."""

import json
import time
from pathlib import Path

import pytest
from structlog.testing import capture_logs

import sign_of_life
import waiting
from sign_of_life import SILENT_AFTER_SECONDS, SignOfLife, read_sign
from tests.eventually import eventually
from waiting import until_there


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "PAUSES_SECONDS", (0.0,))


async def test_until_it_is_there_told_once_for_each_reason() -> None:
    answers: list[Exception | str] = [ConnectionError(), ConnectionError(), TimeoutError(), TimeoutError(), "there"]

    async def look() -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with capture_logs() as logs:
        assert await until_there("engine", look, away=(ConnectionError,), within_seconds=5) == "there"
    assert [(entry["event"], entry.get("error")) for entry in logs] == [
        ("waiting for a part that is away", "ConnectionError"),
        ("waiting for a part that is away", "TimeoutError"),
        ("a part is there", None),
    ]


async def test_what_waiting_does_not_cure_is_raised_at_once() -> None:
    async def look() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await until_there("engine", look, away=(ConnectionError,), within_seconds=5)


async def test_a_worker_gives_a_sign_of_life(tmp_path: Path) -> None:
    path = tmp_path / "worker.life"
    assert read_sign(path) is None
    async with SignOfLife(path) as life:
        await eventually(path.exists)
        sign = read_sign(path)
        assert sign is not None
        assert (sign.is_alive, sign.ready) == (True, False)
        life.ready = True
    assert read_sign(path) is None
    old = {"pid": 1, "ready": True, "at": time.monotonic() - SILENT_AFTER_SECONDS - 1}
    path.write_text(json.dumps(old))
    sign = read_sign(path)
    assert sign is not None
    assert not sign.is_alive
    sign_of_life._write(path, True, "Nothing can be signed now: the token is not there.")
    sign = read_sign(path)
    assert sign is not None
    assert (sign.is_alive, sign.trouble) == (True, "Nothing can be signed now: the token is not there.")
    path.write_text("half a li")
    assert read_sign(path) is None
