"""Where a provider says that a session ended there (OpenID Connect Back-Channel Logout 1.0)."""

from typing import Annotated

from fastapi import APIRouter, Form, Response
from fastapi.responses import JSONResponse

from use_cases import sign_out
from use_cases.problems import Problem
from web.problems import status_of
from web.rates import LOGOUTS
from web.services import ServicesOf

router = APIRouter(tags=["accounts"])


@router.post(
    "/oidc/backchannel-logout",
    include_in_schema=False,
    dependencies=[LOGOUTS],
    summary="A session ended at a provider",
    responses={400: {"description": "The token proves nothing"}},
)
async def backchannel_logout(services: ServicesOf, logout_token: Annotated[str, Form()] = "") -> Response:
    """For identity providers alone: a logout token ends, in every process, the sessions that came of the one that ended there.

    The answer is 200, or 400 with `{"error": "invalid_request"}`.
    """
    try:
        await sign_out.ended_there(services, logout_token)
    except Problem as problem:
        status = status_of(problem)
        return JSONResponse({"error": "invalid_request" if status < 500 else "temporarily_unavailable"}, status)
    return Response()
