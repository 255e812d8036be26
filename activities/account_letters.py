"""The activities that send e-mails about accounts: invitations, links to a new password, and what was changed.

The code of a link is made here, when its e-mail goes: its hash is written down before, and its text is nowhere but in the e-mail.
A try that was broken off leaves its code, for its e-mail may have arrived; the next one makes another.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.contract import MAKE_PASSWORD_RESETS, SEND_ACCOUNT_LETTER
from activities.delivery import NotTaken, Refused, Relay
from activities.heartbeat import alive
from activities.messages import OutgoingAccountLetter, compose_account_letter
from activities.try_again import try_again
from domain.accounts import OF_EMERGENCIES, RESET_LASTS, LetterKind, may_sign
from domain.addresses import AddressError
from domain.emergencies import A_DAY
from domain.requests import Role
from records import account_letters, asked_for, audit, destruction, emergencies, one_time_links, people, restrictions
from records.database import Database
from records.models import Account, AccountLetter, AuditEntry, Invitation, LetterStatus, PasswordReset
from records.visibility import Viewer
from settings import Settings

log = structlog.get_logger(__name__)


class AccountLetterActivities:
    """Sends them for one database, through the mail server of the settings."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        make_password_resets: Callable[[str], Awaitable[list[UUID]]],
    ) -> None:
        self._settings = settings
        self._database = database
        self._relay = Relay(settings)
        self._make_password_resets = make_password_resets

    @activity.defn(name=MAKE_PASSWORD_RESETS)
    async def make_password_resets(self, typed: str) -> list[UUID]:
        """The letters to who has forgotten their password, by the user name or address that was typed; none for a stranger."""
        return await self._make_password_resets(typed)

    @activity.defn(name=SEND_ACCOUNT_LETTER)
    async def send_account_letter(self, letter_id: UUID) -> None:
        """Send one letter, unless that was done or it is needed no more, and write down what became of it.

        Raises ApplicationError of the type ``mail_temporarily_refused`` when it is to be tried again.
        """
        async with self._database.session() as session:
            letter = await account_letters.load(session, letter_id)
            if letter is None or letter.status is not LetterStatus.QUEUED:
                return
            outgoing = await self._outgoing(session, letter)
            if outgoing is None:
                letter.status = LetterStatus.NOT_NEEDED
                return
        try:
            async with alive():
                await self._relay.deliver(compose_account_letter(outgoing, self._settings))
        except NotTaken as problem:
            await self._note_not_taken(letter_id, problem)
        except (AddressError, Refused) as problem:
            code = str(problem) if isinstance(problem, Refused) else "address_malformed"
            await self._note(letter_id, LetterStatus.REFUSED, code)
        else:
            await self._note(letter_id, LetterStatus.SENT)

    async def _outgoing(self, session: AsyncSession, letter: AccountLetter) -> OutgoingAccountLetter | None:
        """What the letter says, with a new code where it brings one; None when nobody needs it any more."""
        told, link = None, None
        if letter.link_id is not None:
            if letter.kind in OF_EMERGENCIES:
                told = await _told_of_emergency(session, letter, letter.link_id)
            elif letter.kind is LetterKind.ASKED_FOR:
                told = await _told_of_person(session, letter, letter.link_id)
            else:
                link = await _link_of(session, letter.kind, letter.link_id)
            if told is None and (link is None or link.ended_at is not None):
                return None
        now = datetime.now(UTC)
        account = await people.load_account(session, letter.account_id) if letter.account_id else None
        roles = link.roles if isinstance(link, Invitation) else account.roles if account else []
        clinic_id = link.clinic_id if isinstance(link, Invitation) else account.clinic_id if account else None
        clinic = await people.load_clinic(session, clinic_id) if clinic_id else None
        return OutgoingAccountLetter(
            letter_id=letter.id,
            kind=letter.kind,
            address=letter.address,
            display_name=letter.name,
            language="en" if letter.language == "en" else "fr",
            created_at=letter.created_at,
            clinic=clinic.name if clinic else "",
            username=account.username if account else "",
            code=one_time_links.add_code(link, now) if link else "",
            expires_at=link.expires_at if link else None,
            needs_voice_code=link is not None and may_sign(roles),
            **(told or {}),
        )

    async def _note_not_taken(self, letter_id: UUID, problem: NotTaken) -> None:
        async with self._database.session() as session:
            letter = await account_letters.load(session, letter_id)
            if letter is None:
                return
            letter.attempts += 1
            letter.last_error = problem.code
            if datetime.now(UTC) - letter.created_at > self._patience(letter.kind):
                letter.status = LetterStatus.EXPIRED
                log.error("an e-mail about an account is given up", letter_id=str(letter_id), code=problem.code)
                return
        log.warning("e-mail not taken for now", code=problem.code, source="ours" if problem.ours else "passing")
        raise try_again(problem, self._settings.mail_retry_max_seconds)

    def _patience(self, kind: LetterKind) -> timedelta:
        """How long it is tried: who asked for a new password asks again."""
        if kind is LetterKind.PASSWORD_RESET:
            return RESET_LASTS
        return timedelta(hours=self._settings.mail_gives_up_after_hours)

    async def _note(self, letter_id: UUID, status: LetterStatus, code: str | None = None) -> None:
        async with self._database.session() as session:
            letter = await account_letters.load(session, letter_id)
            if letter is not None:
                letter.status, letter.last_error = status, code
                letter.sent_at = datetime.now(UTC) if status is LetterStatus.SENT else None
        log.info("e-mail about an account", letter_id=str(letter_id), status=status.value)


async def _told_of_emergency(session: AsyncSession, letter: AccountLetter, entry_id: UUID) -> dict[str, str] | None:
    """Who has opened which request in an emergency, ended that, or tried to, by the audit, which stays where the request does
    not; None where it is not to be told to its reader any more.
    """
    entry = await audit.load(session, entry_id)
    if entry is None or entry.account_id is None or entry.clinic_id is None:
        return None
    account = await people.load_account(session, letter.account_id) if letter.account_id else None
    if account is None or not await _is_still_told(session, account, entry):
        return None
    request_id = await _shown_to(session, letter.kind, account, entry)
    if entry.request_id is not None and request_id is None:
        return None
    reader = await people.load_account(session, entry.account_id)
    clinic = await people.load_clinic(session, entry.clinic_id)
    if reader is None or clinic is None:
        return None
    number = await destruction.number_of(session, request_id) if request_id else None
    name = f"{reader.given_name} {reader.family_name} ({clinic.name})"
    return {"number": number or "", "reader": name, "ended": str(await _count_ended(session, letter, entry))}


async def _count_ended(session: AsyncSession, letter: AccountLetter, entry: AuditEntry) -> int:
    """How much that others had opened who is told of has ended by now, of the day before that entry and since."""
    account = await people.load_account(session, letter.account_id) if letter.account_id else None
    if letter.kind is not LetterKind.ENDED_UNWATCHED or account is None or entry.account_id is None:
        return 0
    return max(1, await emergencies.count_ended_by(session, entry.account_id, entry.at - A_DAY, Viewer.of(account)))


async def _told_of_person(session: AsyncSession, letter: AccountLetter, account_id: UUID) -> dict[str, str] | None:
    """Who can't go on with what they asked for; None where they can again, nothing is left of it for its reader, or these
    administer their clinic no more.
    """
    person = await people.load_account(session, account_id)
    reader = await people.load_account(session, letter.account_id) if letter.account_id else None
    if person is None or reader is None or asked_for.can_ask(person):
        return None
    administers = reader.active and Role.CLINIC_ADMINISTRATOR in reader.roles
    if not administers or reader.clinic_id != person.clinic_id:
        return None
    if not (await asked_for.asked_for_by(session, person.id, Viewer.of(reader))).concerns_others:
        return None
    return {"number": "", "reader": f"{person.given_name} {person.family_name}"}


async def _shown_to(session: AsyncSession, kind: LetterKind, account: Account, entry: AuditEntry) -> UUID | None:
    """The request that the letter names: that of the entry, or, where it is shut to them since and the letter tells of further
    ends as well, the first of these that is not.
    """
    if entry.request_id is None or not await _is_shut_to(session, account, entry.request_id):
        return entry.request_id
    if kind is not LetterKind.ENDED_UNWATCHED or entry.account_id is None:
        return None
    return await emergencies.first_ended_by(session, entry.account_id, entry.at, Viewer.of(account))


async def _is_still_told(session: AsyncSession, account: Account, entry: AuditEntry) -> bool:
    """Whether who was to be told is still active, and runs Relais or administers a clinic concerned."""
    if not account.active:
        return False
    if Role.OPERATOR in account.roles:
        return True
    return Role.CLINIC_ADMINISTRATOR in account.roles and account.clinic_id in await emergencies.concerned(
        session, entry
    )


async def _is_shut_to(session: AsyncSession, account: Account, request_id: UUID) -> bool:
    """Also where it is destroyed by now, and was until then."""
    if await restrictions.shuts_out(session, request_id, account.id):
        return True
    return bool(await destruction.were_shut_to(session, Viewer.of(account), [request_id]))


async def _link_of(session: AsyncSession, kind: LetterKind, link_id: UUID) -> Invitation | PasswordReset | None:
    if kind is LetterKind.INVITATION:
        return await one_time_links.find_by_id(session, Invitation, link_id, lock=True)
    return await one_time_links.find_by_id(session, PasswordReset, link_id, lock=True)
