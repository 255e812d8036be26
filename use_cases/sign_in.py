"""How people prove who they are: passwords and bearer tokens."""

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from domain.audit import Act
from records import audit, guesses, people, second_factors
from records.audit import By
from records.hidden import hidden
from records.models import Account, Side
from use_cases import guessing, passkey_answers
from use_cases import one_time_codes as codes
from use_cases.accesses import by
from use_cases.account_keys import open_for, seal_for
from use_cases.caller import Caller
from use_cases.guessing import SOMEWHERE, Counter, Origin
from use_cases.passkey_answers import MAX_ANSWER
from use_cases.passwords import MAX_PASSWORD
from use_cases.problems import Problem
from use_cases.services import Services
from use_cases.ways_in import must_use_passwords

MAX_USERNAME = 200
MAX_DEVICE = 200
MAX_CODE = 40

CODE_WITHIN = timedelta(minutes=5)
"""So long after the password the code must come, where the two are asked for one after the other."""

_WRONG = frozenset({"wrong_code", "wrong_passkey"})

_PROOF = b"relais: the password was right"


@dataclass(frozen=True)
class BearerToken:
    """A new token. `text` is shown once; the records keep only its SHA-256.

    `device` makes the device from which it was asked for a known one: strangers' guesses at the name don't count there. Who shows
    it has still to know the password.
    """

    text: str = field(repr=False)
    expires_at: datetime
    device: str = field(repr=False)


class CodeNeededError(Problem):
    """The password is right, and a code is asked for. `proof` stands for the password in `finish_sign_in`."""

    def __init__(self, proof: str) -> None:
        super().__init__("code_needed")
        self.proof = proof


async def sign_in(
    services: Services,
    username: str,
    password: str,
    origin: Origin = SOMEWHERE,
    *,
    code: str | None = None,
    instead_of: str | None = None,
    in_a_browser: bool = False,
) -> BearerToken:
    """A token for who knows the password of an active account, and a code where it has a second factor.

    It takes as long for a name that does not exist. A browser's ends when nobody is there. The token `instead_of`, whoever's it
    is, ends when the new one begins. Raises Problem `wrong_credentials` or `wrong_code`, and after the right password
    `sign_on_required` where the clinic has none, or CodeNeededError; with the seconds to wait, `too_many_attempts` after too many
    wrong ones, `passwords_busy` when too many sign in.
    """
    fits = 0 < len(username) <= MAX_USERNAME and 0 < len(password) <= MAX_PASSWORD and "\0" not in username
    account = await _authenticated(services, people.username_as_kept(username), password, origin) if fits else None
    if account is None:
        raise Problem("wrong_credentials")
    await must_use_passwords(services, account)
    async with services.database.session() as session:
        needs_code = await second_factors.is_in_force(session, account.id)
    if needs_code:
        if not code:
            raise CodeNeededError(_proof_of_password(account))
        async with _failure_noted(services, account, origin):
            await _take_code(services, account, code, origin)
    token = await new_token(services, account, origin, instead_of, in_a_browser=in_a_browser)
    if token is None:
        raise Problem("wrong_credentials")
    return token


async def options_for_passkey(services: Services, proof: str) -> str:
    """What a browser needs to have a passkey answer, for who has proved their password.

    Raises Problem `sign_in_again`, or `no_passkey`.
    """
    account = await _who_proved(services, proof)
    return await passkey_answers.options_to_answer(services, account.id, _sign_in_of(proof))


async def finish_sign_in(
    services: Services, proof: str, code: str, passkey: str, origin: Origin, *, instead_of: str | None = None
) -> BearerToken:
    """A token for who has proved their password (CodeNeededError has the `proof`), and now shows a code, or a passkey's answer.

    Raises Problem `sign_in_again` when that is too long ago, or the password another one by now; `wrong_code`,
    `wrong_passkey`, or `too_many_attempts`.
    """
    account = await _who_proved(services, proof)
    async with _failure_noted(services, account, origin):
        if passkey:
            counters = await _counters_of_codes(services, account, origin)
            await passkey_answers.take(services, account.id, passkey[:MAX_ANSWER], _sign_in_of(proof), counters)
        else:
            await _take_code(services, account, code, origin)
    token = await new_token(services, account, origin, instead_of, in_a_browser=True)
    if token is None:
        raise Problem("sign_in_again")
    return token


@asynccontextmanager
async def _failure_noted(services: Services, account: Account, origin: Origin) -> AsyncIterator[None]:
    """What is tried here is written down where it was wrong; who only has to wait has tried nothing."""
    try:
        yield
    except Problem as problem:
        if problem.code in _WRONG:
            await note_failed(services, account, origin, problem.code)
        raise


async def note_failed(services: Services, account: Account | None, origin: Origin, code: str) -> None:
    """Write down that somebody could not sign in, and why; `account` is whose name they gave, where there is one.

    What they typed as a name is not kept: it may be a password.
    """
    who = By(account.id, None, origin.address, account.clinic_id) if account else By(None, None, origin.address)
    async with services.database.session() as session:
        audit.add(session, Act.SIGN_IN_FAILED, who, datetime.now(UTC), name=code)


async def _take_code(services: Services, account: Account, code: str, origin: Origin) -> None:
    counters = await _counters_of_codes(services, account, origin)
    await codes.take(services, account.id, code[:MAX_CODE], uuid4().hex, counters)


async def _counters_of_codes(services: Services, account: Account, origin: Origin) -> Sequence[Counter]:
    device = token_sha256(origin.device or "")
    async with services.database.session() as session:
        is_known = await guesses.knows_device(session, device, account.username)
    return codes.of_a_device(account.id, device) if is_known else codes.of_a_stranger(account.id)


def _sign_in_of(proof: str) -> str:
    return f"sign-in {token_sha256(proof)}"


def _proof_of_password(account: Account) -> str:
    return f"{account.id.hex}{seal_for(account, _PROOF, f'{datetime.now(UTC).timestamp()}'.encode()).hex()}"


async def _who_proved(services: Services, proof: str) -> Account:
    """Whose password was proved. Raises Problem `sign_in_again` when it was not, or too long ago."""
    try:
        account_id, box = UUID(hex=proof[:32]), bytes.fromhex(proof[32:500])
    except ValueError:
        raise Problem("sign_in_again") from None
    async with services.database.session() as session:
        account = await people.load_account(session, account_id)
    at = open_for(account, _PROOF, box) if account is not None and account.active else None
    if account is None or at is None or datetime.now(UTC).timestamp() - float(at) >= CODE_WITHIN.total_seconds():
        raise Problem("sign_in_again")
    return account


async def _authenticated(services: Services, username: str, password: str, origin: Origin) -> Account | None:
    device = token_sha256(origin.device or "")
    async with services.database.session() as session:
        account = await people.find_account(session, username)
        is_known = await guesses.knows_device(session, device, username)
    if account is not None and not account.active:
        account = None
    counters = (
        guessing.of_a_device(username, device)
        if is_known
        else guessing.of_a_stranger(services.settings, username, origin)
    )
    await guessing.check(services.database, counters)  # who has to wait anyhow takes nobody's place in the queue
    async with services.passwords.sign_in.place_for(origin.network) as lane:
        await guessing.count(services.database, counters)
        if not await lane.fits(account.password_hash if account and account.has_password else None, password):
            await note_failed(services, account, origin, "wrong_credentials")
            return None
    await guessing.was_right(services.database, counters)
    return account


async def proves_again(services: Services, caller: Caller, password: str) -> bool:
    """Whether that is the password of who is signed in.

    Only wrong ones of this very session count, and only others who are signed in are waited for: nobody outside can stand in the
    way. Raises Problem `too_many_attempts` or `passwords_busy`, with the seconds to wait.
    """
    counters = guessing.of_a_session(token_sha256(caller.token))
    await guessing.check(services.database, counters)
    async with services.passwords.proof.place_for(caller.id) as lane:
        await guessing.count(services.database, counters)
        if not await lane.fits(caller.account.password_hash, password):
            return False
    await guessing.was_right(services.database, counters)
    return True


async def new_token(
    services: Services,
    account: Account,
    origin: Origin,
    instead_of: str | None,
    *,
    in_a_browser: bool,
    elsewhere: people.SignedInElsewhere | None = None,
    way: str = "password",
) -> BearerToken | None:
    """A token for who has proved to be that account's person, here or `elsewhere`; the token `instead_of` ends.

    None when the account was locked meanwhile, or its password is another than the one that was proved. That of a browser ends,
    too, when nobody is there; the audit names the `way` they came.
    Only a password proved here makes a device known: it is for guesses at passwords.
    """
    now = datetime.now(UTC)
    text, expires_at = secrets.token_urlsafe(32), now + timedelta(hours=services.settings.token_hours)
    async with services.database.session() as session:
        present = await people.hold_account(session, account.id)
        if present is None or not present.active or present.password_hash != account.password_hash:
            return None
        device = ""
        if elsewhere is None:
            device = await _device(session, origin)
            await guesses.note_device(session, token_sha256(device), account.id, now)
        if instead_of is not None:
            await people.revoke_token(session, token_sha256(instead_of), now)
        await people.add_token(
            session,
            token_sha256=token_sha256(text),
            account_id=account.id,
            now=now,
            expires_at=expires_at,
            idle_minutes=(services.settings.idle_minutes or None) if in_a_browser else None,
            address=origin.address,
            program=origin.program,
            elsewhere=elsewhere,
        )
        side = Side.PORTAL if in_a_browser else Side.API
        who = By(account.id, side, origin.address, account.clinic_id)
        audit.add(session, Act.SIGN_IN, who, now, name=way)
    return BearerToken(text, expires_at, device)


async def _device(session: AsyncSession, origin: Origin) -> str:
    """What the device keeps: what it had, if that came from here, for several people may share it; else something new."""
    if origin.device and await guesses.is_anybodys(session, token_sha256(origin.device)):
        return origin.device
    return secrets.token_urlsafe(32)


async def end_token(services: Services, caller: Caller) -> None:
    """End the token by which somebody calls."""
    now = datetime.now(UTC)
    async with services.database.session() as session:
        await people.revoke_token(session, token_sha256(caller.token), now)
        audit.add(session, Act.SIGN_OUT, by(caller), now)


def token_sha256(text: str) -> str:
    """How the records know a token."""
    return hidden(text)


async def note_use(services: Services, account: Account) -> None:
    """Write down, now and then, that an account is in use; what hinders that hinders nothing else."""
    now = datetime.now(UTC)
    if people.needs_a_note_of_use(account, now):
        with suppress(SQLAlchemyError, OSError):
            async with services.database.statement() as session:
                await people.note_use(session, account.id, now)


async def holds(services: Services, caller: Caller) -> bool:
    """Whether the caller's token still speaks for them: for calls that last."""
    return await account_of(services, caller.token) is not None


async def note_presence(services: Services, token: str) -> None:
    """Somebody is there, in the browser that has this token."""
    async with services.database.statement() as session:
        await people.note_seen(session, token_sha256(token), datetime.now(UTC))


async def account_of(services: Services, token: str) -> Account | None:
    """The account for which a token speaks now; None for one that is not known, or ended."""
    async with services.database.statement() as session:
        return await people.account_of_token(session, token_sha256(token), datetime.now(UTC))
