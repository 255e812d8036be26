"""The fingerprint of a version of the rules: some thousand stories, each told by its seed, and a hash of every state they pass.

`python -m tests.unit.domain.fingerprint 3` writes that of a new version, once; those that are there are never written again.

A story is a row of attempts: who tries what and when follows from the seed and from nothing that the rules say, so that a new
command or field, which changes no old decision, changes no fingerprint either.
"""

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter

from domain import commands as c
from domain.calendar import Calendar
from domain.commands import AnyCommand
from domain.lifecycle import decide
from domain.offerings import DeadlineName, DeadlineTerms
from domain.priority import Priority
from domain.refusals import Refusal
from domain.requests import SYSTEM, Actor, DocumentKind, Request, Source
from tests.unit.domain.scenes import (
    COLLEAGUE,
    DERMATOLOGY,
    DISPATCHER,
    OPERATOR,
    OTHER_CLINIC,
    PROVIDER,
    REQUESTER,
    STRANGER,
    digest,
    draft,
    form,
    named,
    toronto,
    who,
)

FOLDER = Path(__file__).parent / "fingerprints"
STORIES = 1_000
STEPS = 14

URGENT_REPORTS = 5
"""From this version on, some of the reports in the stories must be read without delay."""

T = TypeVar("T")


class Dice:
    """The same throws for the same seed, on every machine and with every version of Python."""

    def __init__(self, seed: int) -> None:
        self._state = (seed + 1) * 0x9E3779B97F4A7C15

    def of(self, options: Sequence[T]) -> T:
        self._state = (self._state * 6364136223846793005 + 1442695040888963407) % 2**64
        return options[(self._state >> 33) % len(options)]


BEGINNINGS = [
    toronto("2026-02-02 09:00"),
    toronto("2026-03-06 16:45"),  # the clocks go forward on Sunday
    toronto("2026-06-23 11:30"),
    toronto("2026-10-30 22:10"),  # the clocks go back on Sunday
    toronto("2026-12-23 15:00"),
    toronto("2027-12-25 10:00"),
]
PAUSES = [timedelta(minutes=7), timedelta(), timedelta(hours=5), timedelta(days=1, microseconds=1)]

_USUAL: dict[str, tuple[str, ...]] = {
    "draft": ("submit",),
    "awaiting_dispatch": ("assign", "assign", "return_to_requester", "change_priority"),
    "awaiting_acceptance": ("accept", "accept", "request_information", "transfer", "return_to_requester", "assign"),
    "accepted": (
        "request_information",
        "sign_report",
        "sign_report",
        "transfer",
        "return_to_dispatch",
        "change_priority",
    ),
    "returned": ("resubmit", "resubmit", "cancel"),
    "reported": ("acknowledge", "add_addendum"),
    "closed": ("add_addendum",),
}
"""What people mostly try; sometimes they try anything."""

_ANYTHING = (
    *("submit", "assign", "accept", "transfer", "request_information", "answer_information", "return_to_requester"),
    *("withdraw_information_request", "return_to_dispatch", "resubmit", "cancel", "change_priority", "sign_report"),
    *("add_addendum", "acknowledge", "deadline_reached"),
)
_BY = {
    **dict.fromkeys(
        ("submit", "answer_information", "resubmit", "cancel", "acknowledge", "confirm_reading"), REQUESTER
    ),
    **dict.fromkeys(("assign", "change_priority"), DISPATCHER),
    "deadline_reached": OPERATOR,
}


@cache
def calendars() -> list[tuple[Any, Calendar]]:
    """What requests may have as their terms: service hours and calendar, as they were once frozen."""
    stored = json.loads((FOLDER / "calendars.json").read_text())
    return [(each["service_hours"], Calendar.model_validate(each["calendar"])) for each in stored]


@cache
def deadlines() -> dict[DeadlineName, DeadlineTerms]:
    """The deadlines of their terms, as they were once frozen: another default for new requests changes no story."""
    return TypeAdapter(dict[DeadlineName, DeadlineTerms]).validate_json((FOLDER / "deadlines.json").read_text())


def beginning(version: int, dice: Dice) -> Request:
    """A draft that lives under that version."""
    request = draft(dice.of(["manual", "manual", "automatic"]), deadlines())
    hours, calendar = dice.of(calendars())
    terms = (
        request.terms.model_copy(update={"service_hours": hours, "calendar": calendar})
        if version > 1
        else request.terms
    )
    return request.model_copy(update={"rules": version, "terms": terms})


def told(version: int, seed: int) -> Iterator[str]:
    """A story, one line for each attempt: what was tried, and the request after it or the refusal."""
    dice = Dice(seed)
    request, now = beginning(version, dice), dice.of(BEGINNINGS)
    for step in range(STEPS):
        now, command = _next(request, now, f"{seed}-{step}", dice)
        source = Source.TIMER if command.actor is SYSTEM else Source.UPDATE
        try:
            decision = decide(request, command, now, source)
        except Refusal as refusal:
            yield f"{now.isoformat()} {command.type}: {refusal.code}"
            continue
        request = decision.request
        assert decision.event is not None
        clocks = " ".join(f"{d.name}/{d.due_at}/{d.next_moment}" for d in request.deadlines)
        state = request.model_dump_json(exclude_defaults=True, exclude={"terms"})
        effects = " ".join(effect.id for effect in decision.effects)
        yield f"{now.isoformat()} {command.type}: {decision.event.name} {state} {clocks} {effects}"


def fingerprint(version: int, seeds: Iterable[int] = range(STORIES)) -> dict[int, str]:
    """Seed to hash of the story."""
    return {seed: _hash(version, seed) for seed in seeds}


def stored(version: int) -> dict[int, str]:
    """The fingerprint that is kept."""
    lines = (FOLDER / f"rules-{version}.txt").read_text().splitlines()
    return dict(enumerate(lines))


def _hash(version: int, seed: int) -> str:
    return hashlib.sha256("\n".join(told(version, seed)).encode()).hexdigest()[:16]


def _next(request: Request, now: datetime, command_id: str, dice: Dice) -> tuple[datetime, AnyCommand]:
    """The next attempt: a document that is ready, a clock that calls, or something that somebody wants."""
    if request.signing is not None and dice.of([True, True, False]):
        report_id = request.signing.report_id
        if dice.of(range(5)):
            return now, c.IssueDocument(id=command_id, actor=SYSTEM, report_id=report_id, pdf_sha256=digest("pdf"))
        signer = request.signing.signer
        return now, c.FailSigning(id=command_id, actor=SYSTEM, report_id=report_id, signer=signer, code="failed")
    upcoming = request.next_deadline
    if upcoming and dice.of([True, False, False, False]):
        moment, deadline = upcoming
        late = dice.of([timedelta(), timedelta(minutes=1), timedelta(days=3)])
        call = c.DeadlineReached(id=command_id, actor=SYSTEM, name=deadline.name, question_id=deadline.question_id)
        return max(now, moment + late), call
    if request.rules >= URGENT_REPORTS and request.unread and dice.of([True, False]):
        name = dice.of(["cancel", "confirm_reading"])
    elif bool(request.questions) and dice.of([True, False]):
        name = dice.of(["answer_information", "withdraw_information_request"])
    else:
        name = dice.of(_USUAL.get(request.status, _ANYTHING) if dice.of(range(8)) else _ANYTHING)
    return now + dice.of(PAUSES), _command(name, command_id, request, dice)


def _command(name: str, command_id: str, request: Request, dice: Dice) -> AnyCommand:
    number = request.form.number if request.form else 0
    holding = next((a for a in (PROVIDER, COLLEAGUE, STRANGER) if request.holder.includes(a)), PROVIDER)
    actor: Actor = (
        _BY.get(name, holding) if dice.of(range(10)) else dice.of([PROVIDER, DISPATCHER, REQUESTER, STRANGER])
    )
    providers = [who(PROVIDER), who(COLLEAGUE), who(STRANGER)]
    question = dice.of([q.id for q in request.questions] or [named("none")])
    bodies: dict[str, dict[str, Any]] = {
        "submit": {"form": form(1), "priority": dice.of([Priority.ROUTINE, Priority.URGENT, Priority.ASAP])},
        "assign": {"to": dice.of([*providers, c.Pool(clinic_id=DERMATOLOGY), c.Pool(clinic_id=OTHER_CLINIC)])},
        "transfer": {"to": dice.of(providers)},
        "request_information": {"text": "Since when?"},
        "answer_information": {"text": "Since May.", "question_id": question},
        "withdraw_information_request": {"question_id": question},
        "return_to_requester": {"reason": dice.of(list(c.ReturnReason)), "text": "Blurred."},
        "return_to_dispatch": {"comment": "Not my field."},
        "resubmit": {"form": form(number + 1), "priority": dice.of([None, Priority.URGENT])},
        "cancel": {"reason": "Seen elsewhere."},
        "change_priority": {
            "priority": dice.of([Priority.ROUTINE, Priority.ASAP, Priority.STAT]),
            "reason": "It grew.",
        },
        "sign_report": {
            "kind": dice.of([DocumentKind.FINAL, DocumentKind.PRELIMINARY]),
            **{"report_id": named(command_id), "content_sha256": digest(command_id)},
            **({"urgent": dice.of([False, True])} if request.rules >= URGENT_REPORTS else {}),
        },
        "add_addendum": {"report_id": named(command_id), "content_sha256": digest(command_id)},
        "deadline_reached": {"name": dice.of(list(DeadlineName)[:6])},
    }
    return c.ANY_COMMAND.validate_python({"type": name, "id": command_id, "actor": actor, **bodies.get(name, {})})


def write(version: int) -> None:
    """Write the fingerprint of a new version."""
    path = FOLDER / f"rules-{version}.txt"
    if path.exists():
        sys.exit(f"{path.name} is there: a version that requests may live under does not change. Add a version.")
    path.write_text("\n".join(fingerprint(version).values()) + "\n")


if __name__ == "__main__":
    write(int(sys.argv[1]))
