"""The public keys by which a clinic's system proves who it is, instead of a secret that both sides know."""

from uuid import UUID

from pydantic import Field
from sqlalchemy.exc import IntegrityError

from domain.accounts import AccountEventKind
from domain.model import Frozen
from domain.service_accounts import MOST_KEYS
from records import service_keys
from records.models import Json
from use_cases.administrators import Administrator
from use_cases.gate import Starting
from use_cases.problems import Problem
from use_cases.public_keys import registered
from use_cases.service_accounts import ServiceAccountView, changing, view_of


class NewKey(Frozen):
    """A public key of a system: RSA of 2,048 bits and more (RS384), or on the curve P-384 (ES384)."""

    jwk: Json = Field(
        description="A JSON Web Key with a `kid`, which is the system's own and stays; without any private member.",
        examples=[{"kty": "EC", "crv": "P-384", "kid": "2027-a", "x": "…", "y": "…"}],
    )


async def add_key(services: Starting, by: Administrator, account_id: UUID, new: NewKey) -> ServiceAccountView:
    """Register a key; the same one a second time changes nothing.

    Raises Problem `not_found`, `key_taken` for another key of that name, `too_many_keys`, or `invalid_input`.
    """
    kid, algorithm, public = registered(new.jwk)
    try:
        async with changing(services, by, account_id) as at:
            living = (await service_keys.keys_of(at.session, [account_id])).get(account_id, [])
            if any((key.kid, key.public_key) == (kid, public) for key in living):
                return await view_of(at.session, at.found)
            if len(living) >= MOST_KEYS:
                raise Problem("too_many_keys", limit=MOST_KEYS)
            await service_keys.add_key(
                *(at.session, account_id),
                kid=kid,
                algorithm=algorithm,
                public_key=public,
                given_by=at.by.hand.account_id,
                now=at.now,
            )
            at.note(AccountEventKind.KEY_ADDED, {"key": [None, kid]})
            return await view_of(at.session, at.found)
    except IntegrityError:
        raise Problem("key_taken") from None


async def end_key(services: Starting, by: Administrator, account_id: UUID, key_id: UUID) -> ServiceAccountView:
    """Nobody comes in by that key any more, nor by an access token that it brought, at once. Raises Problem `not_found`."""
    async with changing(services, by, account_id) as at:
        living = (await service_keys.keys_of(at.session, [account_id])).get(account_id, [])
        key = next((one for one in living if one.id == key_id), None)
        if key is None:
            raise Problem("not_found")
        key.ended_at = at.now
        at.note(AccountEventKind.KEY_ENDED, {"key": [key.kid, None]})
        await at.session.flush()
        return await view_of(at.session, at.found)
