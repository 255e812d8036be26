"""What must follow an event has an id that says of which request and version it is, and what: the key by which it acts once."""

from domain.effects import Deliver, Finalize, NoteFailure, NoteRefusal, Notify, Record, kind_of
from domain.requests import Failure, RefusedSignal
from tests.unit.domain.scenes import MONDAY, accepted, named

REQUEST = named("request")
NOTICES = (named("one notice"), named("another notice"))


def test_ids_say_what_follows_and_whose() -> None:
    story = accepted()
    signed = story.sign()
    signing = story.request.signing
    assert signing is not None
    refused = RefusedSignal(name="accept", code="not_the_holder", at=MONDAY)
    failure = Failure(effect_id=f"{REQUEST}:4:deliver", code="timeout", at=MONDAY)
    effects = {
        "record": Record.of(signed, story.request),
        "finalize": Finalize.of(signed, signing),
        f"notify:{NOTICES[0]}": Notify.of(REQUEST, 4, NOTICES[0]),
        "deliver": Deliver.of(signed, list(NOTICES), MONDAY),
        f"refusal:{named('chance')}": NoteRefusal.of(REQUEST, 4, refused, named("chance")),
        "deliver:failure": NoteFailure.of(REQUEST, failure),
    }
    assert {f"{REQUEST}:4:{rest}": effect for rest, effect in effects.items()} == {e.id: e for e in effects.values()}
    assert {kind_of(effect.id) for effect in effects.values()} == {"record", "finalize", "notify", "deliver", "refusal"}


def test_effects_hold_what_they_were_made_of() -> None:
    story = accepted()
    signed = story.sign()
    signing = story.request.signing
    assert signing is not None
    assert Record.of(signed, story.request) == Record(id=f"{REQUEST}:4:record", event=signed, request=story.request)
    made = Finalize.of(signed, signing)
    assert (made.request_id, made.command_id, made.signing) == (REQUEST, signed.command.id, signing)
    assert Finalize.again(REQUEST, 4, signed.command.id, signing) == made
    assert Notify.of(REQUEST, 4, NOTICES[0]).notice_id == NOTICES[0]
    delivered = Deliver.of(signed, list(NOTICES), MONDAY)
    assert (delivered.notice_ids, delivered.not_before, delivered.event) == (NOTICES, MONDAY, signed.name)
    assert Deliver.again(REQUEST, 4, signed.name, list(NOTICES), MONDAY) == delivered
    refused = RefusedSignal(name="accept", code="not_the_holder", at=MONDAY)
    noted = NoteRefusal.of(REQUEST, 4, refused, named("chance"))
    assert (noted.request_id, noted.refused) == (REQUEST, refused)
    failure = Failure(effect_id=made.id, code="timeout", at=MONDAY)
    written = NoteFailure.of(REQUEST, failure)
    assert (written.request_id, written.failure) == (REQUEST, failure)
