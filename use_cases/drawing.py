"""Papers that nobody signs, drawn for whoever asks: in their turn, and within limits."""

from collections.abc import Awaitable, Callable

import structlog

from confined import ConfinedError, NoVerdictError
from use_cases.caller import Caller
from use_cases.problems import Problem
from use_cases.services import Services

log = structlog.get_logger(__name__)


async def drawn(services: Services, caller: Caller, what: str, draw: Callable[[], Awaitable[bytes]]) -> bytes:
    """What `draw` makes (`documents.bounded`); `what` names it for the log.

    Raises Problem `report_not_drawn`, NoVerdictError (`confined`), or what `services.places` does.
    """
    async with services.places.place_for(caller.id):
        try:
            return await draw()
        except NoVerdictError:
            raise
        except ConfinedError as error:
            log.error(f"{what} could not be drawn", error=type(error).__name__)
            raise Problem("report_not_drawn") from None
