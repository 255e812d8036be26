"""The second code of an invitation or of a new password, given by voice, and the opening of a link with what it asks for.

The first code comes by e-mail (`records.one_time_links`). Where its person may sign, whoever reads their mail must not become
them: a second one of 6 characters is shown once to the administrator, who says it to a voice that they know. Argon2 keeps it from
who reads the database, and five wrong ones end the link.
"""

import asyncio
import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from records.models import Invitation, PasswordReset

ALPHABET = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
"""Without what sounds or looks like something else: I, L, O, 0, 1."""

LENGTH = 6

MAX_CODE = 200
"""Characters of what somebody sends as a code."""

_hasher = PasswordHasher()


async def new_voice_code() -> tuple[str, str]:
    """A new second code, and the hash by which the records know it."""
    code = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
    return code, await asyncio.to_thread(_hasher.hash, code)


async def voice_code_fits(link: Invitation | PasswordReset, said: str) -> bool:
    """Whether it is the link's second code, however it was typed. A wrong one is counted: commit even then."""
    plain = "".join(said.upper().split()).replace("-", "")
    voice_hash = link.voice_hash
    if voice_hash is not None and await asyncio.to_thread(lambda: _verify(voice_hash, plain)):
        return True
    link.wrong_tries += 1
    return False


def _verify(voice_hash: str, code: str) -> bool:
    try:
        return _hasher.verify(voice_hash, code.encode(errors="surrogatepass"))
    except (VerificationError, InvalidHashError):
        return False
