"""Signing in: a user name and a password against a bearer token; and one's own account."""

from dataclasses import replace
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import AwareDatetime, Field, StringConstraints

from domain.model import Discreet, Storable
from use_cases import accounts, sessions
from use_cases import sign_in as signing_in
from use_cases.accounts import AccountView, NewPassword, Preferences
from use_cases.passwords import MAX_PASSWORD
from use_cases.sessions import SessionView
from use_cases.sign_in import MAX_CODE, MAX_DEVICE, MAX_USERNAME
from use_cases.views import View
from web.origin import OriginOf
from web.services import ServicesOf
from web.session import CallerOf

router = APIRouter(tags=["accounts"])


class Credentials(Discreet):
    """A user name and a password."""

    username: Annotated[Storable, StringConstraints(min_length=1, max_length=MAX_USERNAME)] = Field(
        examples=["demandeur.fleuve"]
    )
    password: Annotated[str, StringConstraints(min_length=1, max_length=MAX_PASSWORD)] = Field(
        examples=["correct horse battery staple"]
    )
    code: Annotated[str, StringConstraints(min_length=1, max_length=MAX_CODE)] | None = Field(
        None,
        repr=False,
        description="A code of the account's second factor, or a recovery code, where it has one.",
        examples=[None],
    )
    device: Annotated[str, StringConstraints(max_length=MAX_DEVICE)] | None = Field(
        None,
        repr=False,
        description="What an earlier answer gave as `device`: with it, wrong passwords of others don't keep you out.",
        examples=[None],
    )


class TokenView(View):
    """A bearer token: send it as ``Authorization: Bearer …``."""

    access_token: str
    token_type: str = "bearer"  # noqa: S105 - the name of a kind of token
    expires_at: AwareDatetime
    device: str = Field(
        description="Keep it, and send it at the next sign-in: this device is known from now on. It proves nothing by itself."
    )


@router.post("/tokens", status_code=201, summary="Sign in")
async def sign_in(credentials: Credentials, services: ServicesOf, origin: OriginOf) -> TokenView:
    """Give a bearer token for a user name and a password, and a code where the account has a second factor (403 `code_needed`).

    Wrong passwords are counted by name and address, by address and by name, but on a device that the account's owner has used
    before only there; after ten, one more is possible each 30 seconds (429, `Retry-After`). When many sign in at once, some are
    told when there will be room for them (503 `passwords_busy`, `Retry-After`).
    """
    origin = replace(origin, device=credentials.device)
    token = await signing_in.sign_in(
        services, credentials.username, credentials.password, origin, code=credentials.code
    )
    return TokenView(access_token=token.text, expires_at=token.expires_at, device=token.device)


@router.delete("/tokens/current", status_code=204, summary="Sign out")
async def sign_out(caller: CallerOf, services: ServicesOf) -> None:
    """End the token of this call."""
    await signing_in.end_token(services, caller)


@router.get("/me", summary="Who am I")
async def me(caller: CallerOf, services: ServicesOf) -> AccountView:
    """The account behind the token, with its settings."""
    return await accounts.own_account(services, caller)


@router.patch("/me", summary="Change my settings")
async def change_preferences(preferences: Preferences, caller: CallerOf, services: ServicesOf) -> AccountView:
    """Choose the language and when e-mails come: at once, grouped in a digest, or only for what is an action of yours."""
    return await accounts.change_preferences(services, caller, preferences)


@router.post("/me/password", status_code=204, summary="Change my password")
async def change_password(passwords: NewPassword, caller: CallerOf, services: ServicesOf) -> None:
    """Choose another password. It ends all other sign-ins of the account. Wrong ones count for this sign-in alone (429)."""
    await accounts.change_password(services, caller, passwords)


@router.get("/me/sessions", summary="Where I am signed in")
async def list_sessions(caller: CallerOf, services: ServicesOf) -> list[SessionView]:
    """The caller's sessions that have not ended, the newest first; a hundred at the most."""
    return await sessions.list_own(services, caller)


@router.delete("/me/sessions", status_code=204, summary="Sign out everywhere else")
async def end_other_sessions(caller: CallerOf, services: ServicesOf) -> None:
    """End all sessions of the caller but the one of this call."""
    await sessions.end_others(services, caller)


@router.delete("/me/sessions/{session_id}", status_code=204, summary="Sign out somewhere else")
async def end_session(session_id: UUID, caller: CallerOf, services: ServicesOf) -> None:
    """End one session of the caller, at once and in every process; also the one of this call."""
    await sessions.end_own(services, caller, session_id)
