"""OAuth 2 for systems: access tokens for who signs with a private key. Errors have the shape of RFC 6749, 5.2."""

from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import Field

from domain.model import Discreet
from use_cases.client_credentials import ASSERTION_TYPE, OF_THE_API
from web.oauth import FORM, answer_with_token
from web.origin import OriginOf
from web.services import ServicesOf

router = APIRouter(tags=["service accounts"])

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
    return await answer_with_token(request, services, origin, OF_THE_API)
