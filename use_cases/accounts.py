"""One's own account: who one is here, and what one sets for oneself."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints

from domain.accounts import AccountEventKind, LetterKind
from domain.model import Discreet, Frozen
from domain.notices import NoticeMode
from domain.requests import Role
from records import account_events, account_letters, one_time_links, people
from translations import LANGUAGES
from use_cases.account_letters import send
from use_cases.administrators import hand_of
from use_cases.caller import Caller
from use_cases.names import full_name
from use_cases.new_passwords import MIN_PASSWORD, check_new_password, known_of
from use_cases.passwords import MAX_PASSWORD, hash_password
from use_cases.problems import Problem
from use_cases.services import Services
from use_cases.sign_in import proves_again, token_sha256
from use_cases.views import View


class AccountView(View):
    """The person behind the token."""

    id: UUID
    username: str
    name: str
    roles: list[Role]
    clinic_id: UUID
    clinic: str
    email: str
    language: str
    notice_mode: NoticeMode


class Preferences(Frozen):
    """What people set for themselves; what is left out stays as it is."""

    language: str | None = Field(None, pattern=f"^({'|'.join(LANGUAGES)})$", examples=["fr"])
    notice_mode: NoticeMode | None = Field(
        None, description="When e-mails come: at once, grouped, or only for actions.", examples=["grouped"]
    )


class NewPassword(Discreet):
    """The present password, and the one to come."""

    model_config = ConfigDict(extra="forbid")

    current: Annotated[str, StringConstraints(min_length=1, max_length=MAX_PASSWORD)] = Field(
        examples=["correct horse battery staple"]
    )
    new: Annotated[str, StringConstraints(max_length=MAX_PASSWORD)] = Field(
        description=f"At least {MIN_PASSWORD} characters, not the user name, and nothing that is soon guessed.",
        examples=["quatre mots sans aucun lien"],
    )


async def own_account(services: Services, caller: Caller) -> AccountView:
    """The account behind the token, with its settings."""
    async with services.database.session() as session:
        clinic = await people.load_clinic(session, caller.clinic_id)
    account = caller.account
    return AccountView(
        id=account.id,
        username=account.username,
        name=full_name(account),
        roles=sorted(caller.roles),
        clinic_id=account.clinic_id,
        clinic=clinic.name if clinic else "",
        email=account.email,
        language=account.language,
        notice_mode=account.notice_mode,
    )


async def change_preferences(services: Services, caller: Caller, preferences: Preferences) -> AccountView:
    """Choose the language and when e-mails come: at once, grouped in a digest, or only for what is an action of yours."""
    async with services.database.session() as session:
        account = await people.load_account(session, caller.id)
        if account is not None:
            account.language = preferences.language or account.language
            account.notice_mode = preferences.notice_mode or account.notice_mode
            caller = caller.with_account(account)
    return await own_account(services, caller)


async def change_password(services: Services, caller: Caller, passwords: NewPassword) -> None:
    """Choose another password, which ends all other sign-ins of the account, and every link to a new one.

    The person is told by e-mail. Raises Problem `invalid_input`, `wrong_current_password`, and what `proves_again` does.
    """
    account = caller.account
    async with services.database.session() as session:
        known = await known_of(session, account)
    await check_new_password(passwords.new, account.username, "new", known)
    if not await proves_again(services, caller, passwords.current):
        raise Problem("wrong_current_password")
    password_hash = await hash_password(passwords.new)
    now = datetime.now(UTC)
    async with services.database.session() as session:
        if not await people.change_password(session, account, password_hash):  # somebody was faster
            raise Problem("wrong_current_password")
        await people.revoke_tokens_of(session, account.id, now, but=token_sha256(caller.token))
        await one_time_links.end_resets_of(session, account.id, now)
        account_events.note(session, AccountEventKind.PASSWORD_CHANGED, account, hand_of(caller), now)
        letter = await account_letters.write_to(session, LetterKind.PASSWORD_CHANGED, account, now)
    await send(services, [letter])
