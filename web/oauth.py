"""OAuth 2 for systems, at each address where access tokens are given: how one is asked for and answered (RFC 6749)."""

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from starlette.datastructures import FormData

from domain.service_accounts import ACCESS_TOKEN_LASTS
from use_cases import client_credentials
from use_cases.client_credentials import ASSERTION_TYPE, Asked, Endpoint, OAuthError
from use_cases.guessing import Origin
from use_cases.problems import Problem
from use_cases.services import Services
from web.problems import headers_of

FORM = "application/x-www-form-urlencoded"

_ASKED = ("grant_type", "client_assertion_type", "client_assertion", "scope")


async def answer_with_token(request: Request, services: Services, origin: Origin, endpoint: Endpoint) -> Response:
    """An access token for who asks for it at this address, or an error in the shape of RFC 6749, 5.2."""
    try:
        token = await client_credentials.give_token(services, await _asked(request), origin, endpoint)
    except OAuthError as error:
        return _error(401 if error.error == "invalid_client" else 400, error.error, error.description)
    except Problem as problem:
        if problem.code != "too_many_attempts":
            raise
        return _error(429, "temporarily_unavailable", problem.told("en"), headers_of(problem))
    return JSONResponse(
        {
            "access_token": token.text,
            "token_type": "bearer",
            "expires_in": round(ACCESS_TOKEN_LASTS.total_seconds()),
            "scope": " ".join(token.scopes),
        }
    )


async def _asked(request: Request) -> Asked:
    """What the form asks for. Raises OAuthError."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise OAuthError("invalid_request", f"the body must be {FORM}")
    async with request.form(max_fields=20) as form:
        said = {name: _one(form, name) for name in _ASKED}
    if said["grant_type"] is None:
        raise OAuthError("invalid_request", "grant_type is missing")
    if said["grant_type"] != "client_credentials":
        raise OAuthError("unsupported_grant_type", "grant_type must be client_credentials")
    if said["client_assertion_type"] != ASSERTION_TYPE:
        raise OAuthError("invalid_request", f"client_assertion_type must be {ASSERTION_TYPE}")
    if said["client_assertion"] is None:
        raise OAuthError("invalid_request", "client_assertion is missing")
    return Asked(said["client_assertion"], said["scope"])


def _one(form: FormData, name: str) -> str | None:
    """A field that is there once, or not at all; one that says nothing is not there (RFC 6749, 3.2)."""
    values = form.getlist(name)
    if len(values) > 1 or not all(isinstance(value, str) for value in values):
        raise OAuthError("invalid_request", f"{name} is there more than once")
    return str(values[0]) or None if values else None


def _error(status: int, error: str, description: str, headers: dict[str, str] | None = None) -> Response:
    body = {"error": error, "error_description": description}
    return JSONResponse(body, status, headers)
