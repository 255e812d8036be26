"""The end of a session that began at a provider: here, there as well, and here because it ended there."""

from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from domain.audit import Act
from records import audit, people
from records import sign_on as records
from records.audit import By
from records.models import Account
from sign_on.logout_tokens import issuer_said_in
from sign_on.providers import Label
from sign_on.refused import AwayError, RefusedError
from use_cases.account_keys import open_for
from use_cases.caller import Caller
from use_cases.problems import Problem
from use_cases.services import Services
from use_cases.sign_in import end_token, token_sha256
from use_cases.sign_on import ID_TOKEN, SIGNED_OUT_PATH

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Further:
    """Where a browser signs out at a provider as well, and what that is called."""

    address: str
    label: Label


async def sign_out(services: Services, caller: Caller) -> Further | None:
    """End the caller's session. Gives where their browser signs out at the provider by which they came, if it offers that."""
    async with services.database.session() as session:
        token = await people.load_token(session, token_sha256(caller.token))
        issuer, sealed = (token.idp_issuer, token.sealed_id_token) if token else (None, None)
    await end_token(services, caller)
    connection = services.sign_on.by_issuer(issuer)
    if connection is None:
        return None
    back = services.settings.public_url.rstrip("/") + SIGNED_OUT_PATH
    try:
        address = await connection.address_to_sign_out(_opened(caller.account, sealed), back)
    except AwayError as error:  # it ends here all the same
        log.warning("a provider is away", name=connection.provider.code, code=error.reason)
        return None
    return Further(address, connection.provider.label) if address else None


async def ended_there(services: Services, logout_token: str) -> None:
    """A provider says that a session ended there: every session here that came of it ends, in every process.

    Raises Problem `logout_refused` for a token that proves nothing, or was taken before, and `sign_on_away` when its
    keys can't be had.
    """
    try:
        connection = services.sign_on.by_issuer(issuer_said_in(logout_token))
        if connection is None:
            raise RefusedError("issuer")
        logout = await connection.logout_by(logout_token)
    except RefusedError as error:
        log.warning("a provider's word that a session ended was not accepted", code=error.reason)
        raise Problem("logout_refused") from error
    except AwayError as error:
        log.warning("a provider is away", code=error.reason)
        raise Problem("sign_on_away") from error
    now = datetime.now(UTC)
    async with services.database.session() as session:
        if not await records.take_logout(session, logout.issuer, logout.id, logout.expires_at):
            log.warning("a provider's word that a session ended was not accepted", code="taken_before")
            raise Problem("logout_refused")
        ended = await records.end_sessions(session, logout.issuer, logout.subject, logout.sid, now)
        for account_id in ended:
            audit.add(session, Act.SIGN_OUT, By(account_id), now, name="provider")
    log.info("sessions ended at a provider", name=connection.provider.code, count=len(ended))


def _opened(account: Account, sealed: bytes | None) -> str | None:
    plain = open_for(account, ID_TOKEN, sealed) if sealed else None
    return plain.decode() if plain else None
