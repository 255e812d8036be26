"""Who has a request's page open is forgotten by itself, and shown as what they do most."""

import json
from uuid import UUID, uuid4

from records.presences import LASTS_SECONDS, Doing, Presences

REQUEST, SOMEBODY = uuid4(), uuid4()


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def said(page: UUID, doing: Doing | None) -> str:
    return json.dumps([str(page), str(REQUEST), str(SOMEBODY), doing])


def test_whoever_is_not_heard_of_any_more_is_gone() -> None:
    clock, page = Clock(), uuid4()
    presences = Presences(clock)
    assert presences.hear(said(page, Doing.LOOKS))
    clock.now = LASTS_SECONDS - 1
    assert presences.hear(said(page, Doing.LOOKS)) is None, "a sign of life is no news"
    clock.now = 2 * LASTS_SECONDS - 2
    assert presences.of(REQUEST) == {SOMEBODY: Doing.LOOKS}
    assert presences.forget() == set()
    clock.now = 2 * LASTS_SECONDS
    assert presences.of(REQUEST) == {}
    assert presences.forget() == {REQUEST}
    assert presences.forget() == set()


def test_who_writes_in_one_page_and_looks_in_another_writes() -> None:
    presences, looking, writing = Presences(), uuid4(), uuid4()
    presences.hear(said(writing, Doing.WRITES_REPORT))
    assert presences.hear(said(looking, Doing.LOOKS)) is None
    assert presences.of(REQUEST) == {SOMEBODY: Doing.WRITES_REPORT}
    assert presences.hear(said(writing, None))
    assert presences.of(REQUEST) == {SOMEBODY: Doing.LOOKS}
    assert presences.hear(said(uuid4(), None)) is None
