"""Who is told of what: the e-mail matrix is complete, and nobody who has to act, or who lost a request, is left out."""

import pytest

from domain.events import Event
from domain.notices import MATRIX, Importance, Recipient
from domain.requests import EventName, HolderKind, Role, Status
from tests.unit.domain.scenes import every_event

EVENTS = every_event()
MADE_BY_THE_HOLDER = {EventName.FINAL_REPORT_ISSUED}
"""Relais gives the command, at the end of what the holder began by signing."""


def told(event: Event, *recipients: Recipient) -> Importance | None:
    """How the first of `recipients` who is told of the event is told."""
    return next((MATRIX[event.name][recipient] for recipient in recipients if recipient in MATRIX[event.name]), None)


def test_every_event_has_its_row() -> None:
    assert set(EventName) - MATRIX.keys() == set(), "an event has no row in domain.notices.MATRIX"


def test_only_signatures_are_told_to_nobody() -> None:
    """The notice comes when the document is there (or could not be made)."""
    silent = {name for name, row in MATRIX.items() if not row}
    assert silent == {EventName.REPORT_SIGNED, EventName.ADDENDUM_SIGNED, EventName.RULES_RENEWED}


@pytest.mark.parametrize("name", EventName)
def test_who_gets_a_request_is_told_to_act(name: EventName) -> None:
    for event in happened(name):
        moved = event.holder != event.holder_before and event.holder.kind is not HolderKind.NOBODY
        if moved and not event.holder.includes(event.command.actor):
            to_requester = event.holder.kind is HolderKind.REQUESTER
            recipients = [Recipient.HOLDER, *([Recipient.REQUESTER] if to_requester else [])]
            assert told(event, *recipients) is Importance.ACTION


@pytest.mark.parametrize("name", EventName)
def test_who_loses_a_request_by_somebody_else_is_told(name: EventName) -> None:
    other_names = {HolderKind.REQUESTER: Recipient.REQUESTER, HolderKind.DISPATCH: Recipient.DISPATCHERS}
    for event in happened(name):
        lost = event.holder != event.holder_before and not event.holder_before.includes(event.command.actor)
        if lost and name not in MADE_BY_THE_HOLDER:
            recipients = [Recipient.PREVIOUS_HOLDER]
            if event.holder_before.kind in other_names:
                recipients.append(other_names[event.holder_before.kind])
            assert told(event, *recipients), event.holder_before.kind


@pytest.mark.parametrize("name", EventName)
def test_the_requester_learns_every_new_status(name: EventName) -> None:
    for event in happened(name):
        if event.status != event.status_before and event.command.actor.role is not Role.REQUESTER:
            is_holder = event.holder.kind is HolderKind.REQUESTER
            assert told(event, Recipient.REQUESTER, *([Recipient.HOLDER] if is_holder else []))


@pytest.mark.parametrize("name", EventName)
def test_nobody_is_told_to_act_who_can_not(name: EventName) -> None:
    """The previous holder can't do anything, the signer only about a question, and nobody can when the request is over."""
    row = MATRIX[name]
    assert row.get(Recipient.PREVIOUS_HOLDER) is not Importance.ACTION
    asks_the_signer = name in (EventName.FOLLOW_UP_ASKED, EventName.FOLLOW_UP_REMINDER, EventName.FOLLOW_UP_OVERDUE)
    assert (row.get(Recipient.SIGNER) is Importance.ACTION) == asks_the_signer
    cover = Importance.INFORMATION if name is EventName.FOLLOW_UP_WITHDRAWN else None
    assert row.get(Recipient.SIGNER_COVER) == (Importance.ACTION if asks_the_signer else cover)
    for event in happened(name):
        if event.status in (Status.CANCELLED, Status.ABANDONED) or event.status_before is not Status.CLOSED:
            is_over = event.holder.kind is HolderKind.NOBODY
            assert not is_over or Importance.ACTION not in row.values()


IN_PRODUCT_MD = {
    # the column « when reached » of the deadlines
    EventName.DISPATCH_OVERDUE: {Recipient.HOLDER},
    EventName.ACCEPTANCE_REMINDER: {Recipient.HOLDER},
    EventName.ACCEPTANCE_EXPIRED: {Recipient.HOLDER, Recipient.PREVIOUS_HOLDER, Recipient.REQUESTER},
    EventName.REPORT_REMINDER: {Recipient.HOLDER},
    EventName.REPORT_OVERDUE: {Recipient.HOLDER, Recipient.DISPATCHERS},
    EventName.INFORMATION_REMINDER: {Recipient.REQUESTER},
    EventName.INFORMATION_EXPIRED: {Recipient.HOLDER},
    EventName.RESUBMISSION_REMINDER: {Recipient.HOLDER},
    EventName.ACKNOWLEDGEMENT_REMINDER: {Recipient.HOLDER},
    # and what stands beside it
    EventName.CANCELLED: {Recipient.PREVIOUS_HOLDER},
    EventName.INFORMATION_REQUESTED: {Recipient.REQUESTER},
    EventName.INFORMATION_ANSWERED: {Recipient.HOLDER},
    EventName.PRELIMINARY_REPORT_ISSUED: {Recipient.REQUESTER},
    EventName.FINAL_REPORT_ISSUED: {Recipient.REQUESTER},
    EventName.ACKNOWLEDGED: {Recipient.SIGNER},
    EventName.FOLLOW_UP_ASKED: {Recipient.SIGNER},
    EventName.FOLLOW_UP_OVERDUE: {Recipient.SIGNER, Recipient.DISPATCHERS},
    EventName.FOLLOW_UP_ANSWERED: {Recipient.REQUESTER},
}


@pytest.mark.parametrize(("name", "recipients"), IN_PRODUCT_MD.items(), ids=IN_PRODUCT_MD.keys())
def test_the_words_of_the_requirements(name: EventName, recipients: set[Recipient]) -> None:
    assert recipients <= MATRIX[name].keys()


@pytest.mark.parametrize("name", [name for name in EventName if name.value.endswith(("_reminder", "_overdue"))])
def test_a_reminder_asks_somebody_to_act(name: EventName) -> None:
    assert Importance.ACTION in MATRIX[name].values()


def happened(name: EventName) -> list[Event]:
    """The ways in which an event of that name happens."""
    events = [event for event in EVENTS if event.name is name]
    # no offering of the defaults reminds the dispatchers before the limit
    assert events or name is EventName.DISPATCH_REMINDER
    return events
