"""A browser's session ends when nobody is there: the page tells when somebody is, and locks itself when nobody was.

What was typed stays in the browser, encrypted, or is saved already; it is there again when its writer has signed in again.
"""

from fastapi import APIRouter, Response

from portal.pages import VisitOf
from portal.signin import sign_out_of
from use_cases import sign_in as signing_in
from web.session import STILL_HERE

router = APIRouter(include_in_schema=False)


@router.post(STILL_HERE)
async def still_here(visit: VisitOf) -> Response:  # noqa: ARG001 - whoever may call is somebody who is there
    """Somebody has moved, typed or scrolled since: `web.session` notes it, as for every page that is asked for."""
    return Response(status_code=204)


@router.post("/lock")
async def lock(visit: VisitOf) -> Response:
    """Nobody was there for too long: the session ends; the page then goes to sign in."""
    await signing_in.end_token(visit.services, visit.caller)
    return sign_out_of(Response(status_code=204), visit.services.settings)
