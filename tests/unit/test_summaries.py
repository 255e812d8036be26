"""What the Temporal UI says of activities and timers: words, and no ids."""

import re

from domain.effects import Deliver, Finalize, NoteFailure, NoteRefusal, Notify, Record
from domain.requests import Failure, RefusedSignal
from tests.unit.domain.scenes import MONDAY, accepted, named
from workflows import summaries


def test_every_effect_says_what_it_is_for_without_ids() -> None:
    story = accepted()
    signed = story.sign()
    signing, request_id = story.request.signing, story.request.id
    assert signing is not None
    people = [named("one"), named("two"), named("three")]
    said = {
        summaries.of(Record.of(signed, story.request)): "records of *report_signed*, and its e-mails",
        summaries.of(Finalize.of(signed, signing)): "final document, rendered and sealed",
        summaries.of(Deliver.of(signed, people, MONDAY)): "e-mails of *report_signed* to 3 people",
        summaries.of(Deliver(id="x:1:deliver", notice_ids=(people[0],), not_before=MONDAY)): (
            "e-mails of one event to 1 person"
        ),
        summaries.of(Notify.of(request_id, 4, people[0])): "one e-mail",
        summaries.of(
            NoteRefusal.of(request_id, 4, RefusedSignal(name="accept", code="malformed", at=MONDAY), people[0])
        ): "note: *accept* was refused (malformed)",
        summaries.of(NoteFailure.of(request_id, Failure(effect_id=f"{request_id}:4:finalize", code="x", at=MONDAY))): (
            "note: *finalize* failed (x)"
        ),
    }
    assert list(said) == list(said.values())
    assert not [text for text in said if re.search("[0-9a-f]{8}-", text)]


def test_a_timer_says_which_clock_it_is() -> None:
    deadline = accepted().request.deadlines[0]
    assert summaries.of_timer(deadline).startswith(f"the clock of *{deadline.name}* (")
