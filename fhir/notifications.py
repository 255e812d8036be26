"""What a Subscription is told, as FHIR writes it for R4: a Bundle of the type `history` whose first entry says all there is.

By the profiles backport-subscription-notification-r4 and backport-subscription-status-r4 of the Subscriptions R5 Backport 1.1.0.
"""

from collections.abc import Iterator
from uuid import NAMESPACE_URL, uuid5

from domain.subscriptions import Content, NotificationKind, SubscriptionStatus
from fhir.addresses import Server
from fhir.elements import Meta, Reference, concept
from fhir.formats import written
from fhir.resources import EntryRequest, EntryResponse, History, HistoryEntry, Parameter, Parameters
from records.subscriptions import Numbered
from settings import Settings
from use_cases.subscriptions import Notification

BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport"
STATUS_PROFILE = f"{BACKPORT}/StructureDefinition/backport-subscription-status-r4"
NOTIFICATION_PROFILE = f"{BACKPORT}/StructureDefinition/backport-subscription-notification-r4"


def notification_to_send(settings: Settings, told: Notification) -> bytes:
    """A notification as it is sent: the same bytes at each try."""
    return written(notification(told, Server.of(settings, "en")))


def notification(told: Notification, server: Server) -> History:
    """The Bundle. Nothing but the status lies in it: who wants a resource asks for it, and is known then."""
    status = status_parameters(told, server)
    entry = HistoryEntry(
        full_url=f"urn:uuid:{status.id}",
        resource=status,
        request=EntryRequest(url=f"{server.address('Subscription', str(told.subscribed.id))}/$status"),
        response=EntryResponse(status="200"),
    )
    return History(id=told.id, meta=Meta(profile=(NOTIFICATION_PROFILE,)), timestamp=told.at, entry=(entry,))


def status_parameters(told: Notification, server: Server) -> Parameters:
    """Where the Subscription stands, and what happened."""
    return Parameters(
        id=str(uuid5(NAMESPACE_URL, f"{told.subscribed.id} {told.id}")),
        meta=Meta(profile=(STATUS_PROFILE,)),
        parameter=tuple(_parameters(told, server)),
    )


def _parameters(told: Notification, server: Server) -> Iterator[Parameter]:
    one = told.subscribed
    reference = Reference(reference=server.address("Subscription", str(one.id)))
    yield Parameter(name="subscription", value_reference=reference)
    is_asked = told.kind in (NotificationKind.QUERY_STATUS, NotificationKind.QUERY_EVENT)
    if is_asked or told.content is not Content.EMPTY:
        yield Parameter(name="topic", value_canonical=server.topic(one.own.topic))
    yield Parameter(name="status", value_code=one.status.value)
    yield Parameter(name="type", value_code=told.kind.value)
    yield Parameter(name="events-since-subscription-start", value_string=str(told.count))
    for event in told.events:
        yield Parameter(name="notification-event", part=tuple(_event(event, told.content, server)))
    reason = one.own.disabled_reason
    if reason is not None and one.status is SubscriptionStatus.ERROR:
        yield Parameter(name="error", value_codeable_concept=concept(server.codes("subscription-error"), reason.value))


def _event(event: Numbered, content: Content, server: Server) -> Iterator[Parameter]:
    yield Parameter(name="event-number", value_string=str(event.number))
    yield Parameter(name="timestamp", value_instant=event.at)
    if event.focus is not None and content is not Content.EMPTY:
        yield Parameter(name="focus", value_reference=Reference(reference=f"{server.base}/{event.focus}"))
