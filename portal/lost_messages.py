"""Messages between Relais and partners' systems that did not arrive, or were not done."""

from fastapi import APIRouter
from fastapi.responses import Response

from domain.messages import FROM_REQUESTERS
from domain.told_partners import MessageState
from portal.pages import Visit, VisitOf
from records.lost_messages import MOST_SHOWN
from translations import gettext_noop as _
from translations.words import LOST_MESSAGES
from use_cases.lost_messages import OF_OURS, LostMessageView, list_lost_messages

router = APIRouter(include_in_schema=False)

NOT_SENT = _(
    "It could not be sent from here: whoever runs Relais can say why. Until then, tell the other clinic in another way."
)
NOT_ARRIVED = _("It did not arrive in time, or nothing may go there any more. Tell the other clinic in another way.")
NOT_YET = _("It has not arrived yet, and is tried again. If it must not wait, tell the other clinic in another way.")
REFUSED_THERE = _("Their system refuses it. Tell the other clinic in another way.")
REFUSED_HERE = _(
    "It could not be carried out here, and their system was told so. Ask the other clinic what they meant."
)
NOT_TAKEN = _(
    "What their system sent about a request of theirs could not be carried out here, and it was told so. Ask the other clinic "
    "what they need."
)


@router.get("/lost-messages")
async def lost_messages_page(visit: VisitOf) -> Response:
    """The newest first."""
    found = await list_lost_messages(visit.services, visit.caller)
    entries = [(one, _what(one, visit), _why(one)) for one in found]
    return visit.page("lost_messages", entries=entries, shown_in_part=len(found) if len(found) == MOST_SHOWN else 0)


def _what(lost: LostMessageView, visit: Visit) -> str:
    """What the message was to tell."""
    return visit.say(LOST_MESSAGES.get(lost.event, _("Another message")))


def _why(lost: LostMessageView) -> str:
    if not lost.sent_by_us:
        return NOT_TAKEN if lost.event in FROM_REQUESTERS else REFUSED_HERE
    if lost.state is MessageState.REFUSED:
        return REFUSED_THERE
    if lost.why in OF_OURS:
        return NOT_SENT
    return NOT_YET if lost.state is MessageState.PENDING else NOT_ARRIVED
