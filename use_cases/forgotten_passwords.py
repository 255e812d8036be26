"""A forgotten password: who asks gets a link by e-mail, if there is such an account, and chooses another.

Whoever asks hears the same in the same time: what is done for it here is the same for every name, and whether there is an account
only a workflow finds out. Too many asks are left unheard, in silence. Who may sign needs a second code besides, which the
administrator of their clinic gives by voice.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID, uuid4

import structlog
from pydantic import Field, StringConstraints
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.service import RPCError

from domain.accounts import AccountEventKind, LetterKind, may_sign
from domain.model import Frozen, Storable
from records import account_events, account_letters, one_time_links, people
from records.account_events import Hand
from records.models import Account, PasswordReset, Side
from translations import Language, language_named
from use_cases.account_letters import send
from use_cases.administrators import Administrator
from use_cases.gate import Starting
from use_cases.guessing import Origin
from use_cases.new_passwords import MIN_PASSWORD, check_new_password, known_of
from use_cases.passwords import MAX_PASSWORD, hash_password
from use_cases.problems import Problem
from use_cases.services import Services
from use_cases.views import View
from use_cases.voice_codes import MAX_CODE, new_voice_code, voice_code_fits
from use_cases.ways_in import WaysIn, ways_of_account
from workflows.contract import FORGOTTEN_PASSWORD

WITHIN = timedelta(hours=1)
MOST_BY_NAME = 5
MOST_BY_ADDRESS = 30
"""Asks within an hour for what was typed, and from one address of the network, which a whole clinic may share."""

MOST_RESETS = 3
"""Links that an account gets within an hour, whoever asks for them."""

MOST_NOTED = 5
"""Asks within a day that are noted with an account: whoever asks all day long hides nothing else that was done about it."""

MOST_HELPED = 10
"""Links within an hour that administrators send one person."""

MAX_TYPED = 320

_DAY = timedelta(days=1)

log = structlog.get_logger(__name__)


class ForgottenPassword(Frozen):
    """Who has forgotten their password: a user name, or an e-mail address."""

    username: Annotated[Storable, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_TYPED)] = Field(
        description="The user name, or the e-mail address of the account.", examples=["amelie.roy"]
    )


class ChosenPassword(Frozen):
    """The code of the e-mail, the second code where one is needed, and the new password."""

    code: Annotated[str, StringConstraints(min_length=1, max_length=MAX_CODE)] = Field(repr=False, examples=["0193…"])
    voice_code: Annotated[str, StringConstraints(max_length=MAX_CODE)] = Field("", repr=False, examples=["K7M2QD"])
    password: Annotated[str, StringConstraints(max_length=MAX_PASSWORD)] = Field(
        repr=False,
        description=f"At least {MIN_PASSWORD} characters, not the user name, and nothing that is soon guessed.",
        examples=["quatre mots sans aucun lien"],
    )


class PasswordHelp(View):
    """A link to a new password is on its way, with the second code, for who may sign."""

    voice_code: str | None = Field(
        description="Shown only now: say it to the person, never write it. Null where none is needed.",
        examples=["K7M2QD"],
    )


@dataclass(frozen=True)
class Resetting:
    """What who follows a link to a new password is shown."""

    username: str
    language: Language
    needs_voice_code: bool
    ways: WaysIn
    known: tuple[str, ...]
    """What whoever guesses knows of them."""


async def ask(services: Starting, forgotten: ForgottenPassword, origin: Origin) -> None:
    """Somebody has forgotten their password. What becomes of it, they learn by e-mail only.

    Raises Problem `engine_unreachable`, whoever is meant.
    """
    now = datetime.now(UTC)
    async with services.database.session() as session:
        by_name, by_address = await one_time_links.count_asks(session, forgotten.username, origin.network, now - WITHIN)
        if by_name >= MOST_BY_NAME or by_address >= MOST_BY_ADDRESS:
            log.warning("asks for a new password are left unheard", count=max(by_name, by_address))
            return
        ask_id = await one_time_links.note_ask(session, forgotten.username, origin.network, now)
    try:
        await services.engine.start_workflow(
            FORGOTTEN_PASSWORD,
            forgotten.username,
            id=f"forgotten-password-{uuid4()}",
            task_queue=services.settings.mail_task_queue,
            rpc_timeout=timedelta(seconds=services.settings.command_timeout_seconds),
        )
    except RPCError as error:
        log.warning("engine unreachable", status=error.status.name)
        async with services.database.session() as session:
            await one_time_links.take_ask_back(session, ask_id)  # who tries again has asked once
        raise Problem("engine_unreachable") from error


async def make_resets(services: Starting, typed: str) -> list[UUID]:
    """The letters with a link to a new password, to each active account that was meant; written down, to be sent."""
    letters: list[UUID] = []
    now = datetime.now(UTC)
    async with services.database.session() as session:
        for found in await people.find_accounts(session, typed):
            account = await people.lock_account(session, found.id)  # two asks at once are counted one after the other
            if account is None:
                continue
            sent = await account_letters.count_since(session, account.id, LetterKind.PASSWORD_RESET, now - WITHIN)
            if sent < MOST_RESETS:
                _, letter = await _open_way(session, account, now)
                noted = await account_events.count_since(
                    session, account.id, AccountEventKind.PASSWORD_FORGOTTEN, now - _DAY
                )
                if noted < MOST_NOTED:
                    account_events.note(session, AccountEventKind.PASSWORD_FORGOTTEN, account, _NOBODY, now)
                letters.append(letter)
    return letters


_NOBODY = Hand(None, Side.PORTAL)
"""Whoever typed a name: who that is, nobody knows."""


async def help_with_password(services: Starting, by: Administrator, account_id: UUID) -> PasswordHelp:
    """Send somebody a link to a new password, and give the second code for it; who has asked for a link themselves gets it too.

    Raises Problem `not_found`, `operators_only`, `account_not_active`, or `too_many_requests` after many within the hour.
    """
    async with services.database.session() as session:
        account = await people.lock_account(session, account_id)
        if account is None:
            raise Problem("not_found")
        by.check_changes(account)
        if not account.active:
            raise Problem("account_not_active")
        now = datetime.now(UTC)
        helped = await account_events.count_since(session, account.id, AccountEventKind.PASSWORD_HELP, now - WITHIN)
        if helped >= MOST_HELPED:
            raise Problem("too_many_requests", retry_after=round(WITHIN.total_seconds()))
        reset, letter = await _open_way(session, account, now)
        voice_code = None
        if may_sign(account.roles):
            voice_code, reset.voice_hash = await new_voice_code()
            reset.wrong_tries = 0
        account_events.note(session, AccountEventKind.PASSWORD_HELP, account, by.hand, now)
    await send(services, [letter])
    return PasswordHelp(voice_code=voice_code)


async def _open_way(session: AsyncSession, account: Account, now: datetime) -> tuple[PasswordReset, UUID]:
    """The one way to a new password that is open to somebody, and a letter with a new link to it; earlier links lead nowhere."""
    reset = await one_time_links.open_reset_of(session, account.id, now)
    if reset is None:
        reset = await one_time_links.add_reset(session, account.id, now)
    reset.code_hashes = []
    return reset, await account_letters.write_link(session, reset, account, now)


async def look_at(services: Services, code: str) -> Resetting:
    """Whose password a code lets one choose. Raises Problem `link_not_valid`."""
    async with services.database.session() as session:
        _, account = await _opened(session, code)
        known = await known_of(session, account)
    ways = await ways_of_account(services, account)
    return Resetting(account.username, language_named(account.language), may_sign(account.roles), ways, known)


async def choose_password(services: Services, chosen: ChosenPassword, side: Side, origin: Origin) -> None:
    """From now on this is the password; all sessions end, and the person is told.

    Raises Problem `link_not_valid`, `wrong_voice_code`, `sign_on_required` where the clinic has no passwords, or `invalid_input`
    for a password that won't do.
    """
    resetting = await look_at(services, chosen.code)  # before anything that costs
    if not resetting.ways.by_password:
        raise Problem("sign_on_required")
    await check_new_password(chosen.password, resetting.username, "password", resetting.known)
    password_hash = await hash_password(chosen.password)
    letter: UUID | None = None
    async with services.database.session() as session:
        reset, account = await _opened(session, chosen.code, lock=True)
        if not may_sign(account.roles) or await voice_code_fits(reset, chosen.voice_code):
            now = datetime.now(UTC)
            await people.change_password(session, account, password_hash)
            await people.revoke_tokens_of(session, account.id, now)
            await one_time_links.end_resets_of(session, account.id, now)
            account_events.note(
                session, AccountEventKind.PASSWORD_RESET, account, Hand(None, side, origin.address), now
            )
            letter = await account_letters.write_to(session, LetterKind.PASSWORD_CHANGED, account, now)
    if letter is None:
        raise Problem("wrong_voice_code")
    await send(services, [letter])


async def _opened(session: AsyncSession, code: str, *, lock: bool = False) -> tuple[PasswordReset, Account]:
    now = datetime.now(UTC)
    reset = await one_time_links.find_by_code(session, PasswordReset, code, now)
    if reset is not None and lock:  # the account first, as everybody who changes both does
        await people.lock_account(session, reset.account_id)
        reset = await one_time_links.find_by_code(session, PasswordReset, code, now, lock=True)
    account = await people.load_account(session, reset.account_id) if reset else None
    if reset is None or account is None or not account.active:
        raise Problem("link_not_valid")
    return reset, account
