"""What somebody sent when their session had ended: sealed for them alone, to go through the page on which they sign in again.

Nothing of it is kept here. The seal (AES-GCM) is made with a key of the account, from what only the records hold of it: it opens
for nobody else, in every process, and no longer after a new password.
"""

import json
import zlib
from base64 import b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from os import urandom
from uuid import UUID

from records import people
from records.models import Account
from use_cases.account_keys import KEY_BYTES, key_of, open_for, seal_for
from use_cases.services import Services

OPENS_FOR = timedelta(hours=1)
"""After that whoever wrote it has to begin anew: it is not meant to lie about."""

LARGEST = 400_000
"""Characters of a sealed form: it must fit, with a password, into a call."""

_UNSENT = b"relais: a form that was not sent"


@dataclass(frozen=True)
class UnsentForm:
    """The address to which a form was sent, and its fields in their order."""

    address: str
    fields: Sequence[tuple[str, str]]


async def seal(services: Services, account_id: UUID, form: UnsentForm, now: datetime) -> str | None:
    """Sealed for that account; None when nobody active has it, or the form is too large to go along."""
    async with services.database.session() as session:
        account = await people.load_account(session, account_id)
    if account is None or not account.active:
        return None
    plain = zlib.compress(json.dumps({**asdict(form), "at": now.timestamp()}).encode())
    sealed = urlsafe_b64encode(seal_for(account, _UNSENT, plain)).decode()
    return sealed if len(sealed) <= LARGEST else None


def unseal(account: Account, sealed: str, now: datetime) -> UnsentForm | None:
    """What was sealed for that account; None when it was not, or longer ago than `OPENS_FOR`."""
    try:
        box = urlsafe_b64decode(sealed[:LARGEST].encode())
    except ValueError:
        return None
    plain = open_for(account, _UNSENT, box)
    if plain is None:
        return None
    held = json.loads(zlib.decompress(plain))
    if now.timestamp() - held["at"] > OPENS_FOR.total_seconds():
        return None
    return UnsentForm(held["address"], [(name, value) for name, value in held["fields"]])


def key_for_typing(account: Account) -> str:
    """With what the pages of this person encrypt, in their browser, what they have written and not sent.

    In Base64, 32 bytes by chance, then the key with these (XOR): no two pages have the same, so that the length of a compressed
    page tells nothing of it.
    """
    chance, key = urandom(KEY_BYTES), key_of(account, b"relais: what was typed")
    return b64encode(chance + bytes(a ^ b for a, b in zip(chance, key, strict=True))).decode()
