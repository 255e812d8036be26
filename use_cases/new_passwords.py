"""Which new passwords will do: those that are long enough, and that nobody guesses soon who knows whose they are.

How many guesses one takes is estimated by zxcvbn (USENIX Security 2016), which knows the most common passwords, words, names,
rows of keys, dates, and how people disguise them; besides it counts with `COMMON_HERE`, and with what is known of the owner. No
kinds of letters are asked for. Source: ASVS 5.0.0, V6.1.2, V6.2.4, V6.2.5, V6.2.11.
"""

import asyncio
import re
from collections.abc import Iterator, Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from domain.texts import plain
from records import people
from records.models import Account, Invitation
from use_cases.problems import FieldFault, Problem

MIN_PASSWORD = 12

ENOUGH_GUESSES = 10**10
"""What a password must withstand: who has stolen its hash makes some ten guesses a second with each processor."""

LOOKED_AT = 20
"""So many characters of it are looked at, for the work grows quickly with them: what stands later does not make up for them."""

COMMON_HERE = (
    *("relais", "teleconsultation", "consultation", "clinique", "clinic", "hopital", "hospital", "patient"),
    *("docteur", "doctor", "medecin", "infirmiere", "dermatologie", "dermato", "sante", "health", "urgence"),
    *("clsc", "ciusss", "cisss", "motdepasse", "passe", "secret", "bonjour", "bienvenue", "soleil"),
    *("chouchou", "doudou", "loulou", "jetaime", "canadiens", "quebec", "montreal", "laval", "gatineau"),
    *("sherbrooke", "azerty", "azertyuiop", "qsdfghjklm", "hiver", "printemps", "automne"),
)
"""Words that passwords of a clinic in Québec are made of; they count as guessed first, plain and disguised."""


async def check_new_password(password: str, username: str, field: str, about: Sequence[str] = ()) -> None:
    """Raise Problem `invalid_input` for a password that won't do, as what is wrong with that field.

    `about` is what else is known of its owner: see `known_of`.
    """
    code = _plain_fault(password, username)
    if code is None and await asyncio.to_thread(_guesses, password, [username, *about]) < ENOUGH_GUESSES:
        code = "password_guessed"
    if code is not None:
        raise Problem("invalid_input", [FieldFault(field, code, limit=MIN_PASSWORD)])


async def known_of(session: AsyncSession, owner: Account | Invitation) -> tuple[str, ...]:
    """What whoever guesses knows of the owner of an account, or of who is invited to one."""
    clinic = await people.load_clinic(session, owner.clinic_id)
    return owner.given_name, owner.family_name, owner.email, clinic.name if clinic else ""


def _plain_fault(password: str, username: str) -> str | None:
    """What anybody sees is wrong with a new password, as a code of `FIELD_PROBLEMS`."""
    if len(password.strip()) < MIN_PASSWORD:
        return "password_too_short"
    if password.strip().casefold() == username.casefold():
        return "password_is_the_username"
    return None


def _guesses(password: str, about: Sequence[str]) -> float:
    from zxcvbn import zxcvbn

    known = {part[:LOOKED_AT] for text in about for part in _parts(text) if len(part) > 2}
    return float(zxcvbn(password.strip()[:LOOKED_AT], [*COMMON_HERE, *known])["guesses"])


def _parts(text: str) -> Iterator[str]:
    """A name or an address, and the words of it, as people type them: with accents and without."""
    for written in (text, plain(text)):
        yield written
        yield from re.split(r"[\W_]+", written)
