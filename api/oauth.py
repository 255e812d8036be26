"""OAuth 2 for systems: access tokens for who signs with a private key. Errors have the shape of RFC 6749, 5.2."""

from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import Field
from starlette.datastructures import FormData

from domain.model import Discreet
from domain.service_accounts import ACCESS_TOKEN_LASTS
from use_cases import client_credentials
from use_cases.client_credentials import ASSERTION_TYPE, Asked, OAuthError
from use_cases.problems import Problem
from web.origin import OriginOf
from web.problems import headers_of
from web.services import ServicesOf

router = APIRouter(tags=["service accounts"])

FORM = "application/x-www-form-urlencoded"

_ASKED = ("grant_type", "client_assertion_type", "client_assertion", "scope")
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            FORM: {
                "schema": {
                    "type": "object",
                    "required": ["grant_type", "client_assertion_type", "client_assertion"],
                    "properties": {
                        "grant_type": {"const": "client_credentials"},
                        "client_assertion_type": {"const": ASSERTION_TYPE},
                        "client_assertion": {
                            "type": "string",
                            "description": "A JWT (RS384 or ES384, header `kid`): `iss` and `sub` the service account's id, "
                            "`aud` the address of this operation, `exp` five minutes ahead at most, `jti` new each time.",
                        },
                        "scope": {
                            "type": "string",
                            "description": "Those that are wanted, between spaces; all of the account when left out.",
                            "example": "requests:read documents:read",
                        },
                    },
                }
            }
        },
    }
}


class AccessTokenView(Discreet):
    """An access token: send it as ``Authorization: Bearer …``. There is no refresh token: ask again."""

    access_token: str = Field(examples=["relais_at_…"])
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - the name of a kind of token
    expires_in: int = Field(description="Seconds.", examples=[300])
    scope: str = Field(examples=["requests:read documents:read"])


class OAuthErrorView(Discreet):
    """Why no token is given (RFC 6749, 5.2)."""

    error: str = Field(examples=["invalid_client"])
    error_description: str = Field(examples=["aud must be https://relais.example.com/api/v1/oauth/token"])


_ERRORS: dict[int | str, dict[str, Any]] = {status: {"model": OAuthErrorView} for status in (400, 401, 429)}


@router.post(
    "/oauth/token",
    summary="An access token for a system",
    openapi_extra=_BODY,
    response_model=AccessTokenView,
    responses=_ERRORS,
)
async def oauth_token(request: Request, services: ServicesOf, origin: OriginOf) -> Response:
    """Client credentials with a signed assertion (`private_key_jwt`), as SMART Backend Services ask. Good for five minutes.

    The system's public key is registered with its service account. Wrong assertions count by client and address, as wrong
    passwords do (429, `Retry-After`).
    """
    try:
        token = await client_credentials.give_token(services, await _asked(request), origin)
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
