"""Invitations: an administrator asks somebody to join a clinic, who chooses a user name and a password and is in.

Whoever asks about a code that opens nothing hears the same, whether it never was, is used up, taken back or too old.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from domain.accounts import INVITATION_LASTS, INVITATIONS_SHOWN_FOR, MOST_WRONG_TRIES, AccountEventKind, may_sign
from domain.model import Frozen
from domain.requests import Role
from records import account_events, account_letters, one_time_links, people
from records.account_events import Hand
from records.ids import new_id
from records.models import Account, AccountLetter, Invitation, LetterStatus, Side
from translations import Language, language_named
from use_cases.account_letters import send
from use_cases.administrators import Administrator
from use_cases.gate import Starting
from use_cases.guessing import Origin
from use_cases.names import Names
from use_cases.new_passwords import MIN_PASSWORD, check_new_password, known_of
from use_cases.passwords import MAX_PASSWORD, hash_password
from use_cases.people import Name, PersonFields, check_answers_itself, check_offerings, clinic_of, usable_address
from use_cases.problems import Problem
from use_cases.services import Services
from use_cases.sign_in import MAX_USERNAME, BearerToken, new_token
from use_cases.views import View
from use_cases.voice_codes import MAX_CODE, new_voice_code, voice_code_fits
from use_cases.ways_in import WaysIn, ways_of


class InvitationState(StrEnum):
    """What has become of an invitation."""

    OPEN = "open"
    ACCEPTED = "accepted"
    REVOKED = "revoked"
    EXPIRED = "expired"
    BLOCKED = "blocked"  # too many wrong second codes


class NewInvitation(PersonFields):
    """Who is invited, as what, and to which clinic: the caller's own where none is named."""

    clinic_id: UUID | None = Field(None, examples=[None])


class InvitationView(View):
    """An invitation, as administrators see it."""

    id: UUID
    clinic_id: UUID
    name: str
    email: str
    roles: list[Role]
    state: InvitationState
    invited_by: str | None = Field(description="Null when it was on the command line.")
    created_at: datetime
    expires_at: datetime
    account_id: UUID | None = Field(description="The account, once it is accepted.")
    needs_voice_code: bool
    mail: LetterStatus = Field(description="What became of the e-mail with the link.")


class InvitationSent(View):
    """An invitation on its way, with the second code, for who may sign."""

    invitation: InvitationView
    voice_code: str | None = Field(
        description="Shown only now: say it to the person, never write it. Null where none is needed.",
        examples=["K7M2QD"],
    )


class Joining(Frozen):
    """The code of the e-mail, the second code where one is needed, and the user name that the person chooses."""

    code: Annotated[str, StringConstraints(min_length=1, max_length=MAX_CODE)] = Field(repr=False, examples=["0193…"])
    voice_code: Annotated[str, StringConstraints(max_length=MAX_CODE)] = Field("", repr=False, examples=["K7M2QD"])
    username: Annotated[Name, Field(max_length=MAX_USERNAME)] = Field(examples=["amelie.roy"])


class Acceptance(Joining):
    """The same, and the password that the person chooses."""

    password: Annotated[str, StringConstraints(max_length=MAX_PASSWORD)] = Field(
        repr=False,
        description=f"At least {MIN_PASSWORD} characters, not the user name, and nothing that is soon guessed.",
        examples=["quatre mots sans aucun lien"],
    )


@dataclass(frozen=True)
class Invited:
    """What the invited person is shown before they accept."""

    given_name: str
    family_name: str
    clinic: str
    roles: tuple[Role, ...]
    language: Language
    needs_voice_code: bool
    ways: WaysIn
    known: tuple[str, ...]
    """What whoever guesses knows of them."""


# For administrators


async def invite(
    services: Starting, by: Administrator, clinic_id: UUID, new: NewInvitation, key: str | None
) -> InvitationSent:
    """Invite somebody: the link goes by e-mail, the second code is in the answer. The same `key` invites once, without the code.

    Raises Problem `not_found`, `operators_only`, `unknown_offering`, `clinic_has_partner`, `idempotency_key_reused`, or what is
    wrong with a field.
    """
    email = usable_address(services.settings, new.email)
    by.check_gives(new.roles)
    voice_code, voice_hash = await _second_code(new.roles)
    async with services.database.session() as session:
        await clinic_of(session, by, clinic_id)
        await check_offerings(session, new.offerings)
        await check_answers_itself(session, clinic_id, new.roles)
        before = await _made_before(session, by, key)
        now = datetime.now(UTC)
        said: dict[str, object] = {
            **new.model_dump(exclude={"clinic_id", "roles", "email", "offerings"}),
            "clinic_id": clinic_id,
            "roles": sorted({role.value for role in new.roles}),
            "offerings": people.said_to_serve(new.offerings),
            "email": email,
        }
        invitation = Invitation(
            id=new_id(),
            invited_by=by.hand.account_id,
            creation_key=key,
            **said,
            code_hashes=[],
            voice_hash=voice_hash,
            wrong_tries=0,
            created_at=now,
            expires_at=now + INVITATION_LASTS,
        )
        if before is None and not await _is_added(session, invitation):
            before = await _made_before(session, by, key)  # at the same moment
        if before is not None:
            if any(getattr(before, name) != value for name, value in said.items()):
                raise Problem("idempotency_key_reused")
            return InvitationSent(invitation=await _one(session, before), voice_code=None)
        letter = await account_letters.write_link(session, invitation, invitation, now)
        told = {"email": [None, email], "roles": [[], invitation.roles]}
        account_events.note(session, AccountEventKind.INVITED, invitation, by.hand, now, told)
        view = await _one(session, invitation)
    await send(services, [letter])
    return InvitationSent(invitation=view, voice_code=voice_code)


async def list_invitations(services: Starting, by: Administrator, clinic_id: UUID) -> list[InvitationView]:
    """The invitations to a clinic that wait, and those of the last month, the newest first. Raises Problem `not_found`."""
    async with services.database.session() as session:
        await clinic_of(session, by, clinic_id)
        found = await one_time_links.list_invitations(session, clinic_id, datetime.now(UTC) - INVITATIONS_SHOWN_FOR)
        return await _views(session, found)


async def send_again(services: Starting, by: Administrator, invitation_id: UUID) -> InvitationSent:
    """Send a new link, with a new second code; the earlier ones open nothing any more, and the five days begin anew.

    Raises Problem `not_found`, `operators_only`, or `invitation_over`.
    """
    async with services.database.session() as session:
        invitation = await _to_change(session, by, invitation_id)
        if invitation.ended_at is not None:
            raise Problem("invitation_over")
        now = datetime.now(UTC)
        voice_code, invitation.voice_hash = await _second_code(invitation.roles)
        invitation.code_hashes, invitation.wrong_tries, invitation.expires_at = [], 0, now + INVITATION_LASTS
        letter = await account_letters.write_link(session, invitation, invitation, now)
        account_events.note(session, AccountEventKind.INVITED_AGAIN, invitation, by.hand, now)
        view = await _one(session, invitation)
    await send(services, [letter])
    return InvitationSent(invitation=view, voice_code=voice_code)


async def revoke(services: Starting, by: Administrator, invitation_id: UUID) -> InvitationView:
    """Take an invitation back; one that was taken back stays so.

    Raises Problem `not_found`, `operators_only`, or `invitation_over` when it is accepted.
    """
    async with services.database.session() as session:
        invitation = await _to_change(session, by, invitation_id)
        if invitation.account_id is not None:
            raise Problem("invitation_over")
        if invitation.ended_at is None:
            invitation.ended_at = now = datetime.now(UTC)
            account_events.note(session, AccountEventKind.INVITATION_REVOKED, invitation, by.hand, now)
        return await _one(session, invitation)


# For who is invited


async def look_at(services: Services, code: str) -> Invited:
    """What a code invites to. Raises Problem `link_not_valid`."""
    async with services.database.session() as session:
        invitation = await one_time_links.find_by_code(session, Invitation, code, datetime.now(UTC))
        if invitation is None:
            raise Problem("link_not_valid")
        clinic = await people.load_clinic(session, invitation.clinic_id)
        known = await known_of(session, invitation)
    return Invited(
        given_name=invitation.given_name,
        family_name=invitation.family_name,
        clinic=clinic.name if clinic else "",
        roles=tuple(sorted(Role(role) for role in invitation.roles)),
        language=language_named(invitation.language),
        needs_voice_code=may_sign(invitation.roles),
        ways=ways_of(services, clinic.code if clinic else "", invitation.roles),
        known=known,
    )


async def accept(
    services: Services, acceptance: Acceptance, side: Side, origin: Origin, *, instead_of: str | None = None
) -> BearerToken:
    """The account that was invited to begins, and a session of it; the token `instead_of`, whoever's it is, ends.

    Raises Problem `link_not_valid`, `wrong_voice_code`, `username_taken`, `sign_on_required` where the clinic has no passwords,
    or `invalid_input` for a password that won't do.
    """
    invited = await look_at(services, acceptance.code)  # before anything that costs
    if not invited.ways.by_password:
        raise Problem("sign_on_required")
    await check_new_password(acceptance.password, acceptance.username, "password", invited.known)
    password_hash = await hash_password(acceptance.password)
    now = datetime.now(UTC)
    async with services.database.session() as session:
        invitation = await one_time_links.find_by_code(session, Invitation, acceptance.code, now, lock=True)
        if invitation is None:
            raise Problem("link_not_valid")
        fits = not may_sign(invitation.roles) or await voice_code_fits(invitation, acceptance.voice_code)
        account = (
            await join(session, invitation, acceptance.username, password_hash, Hand(None, side, origin.address), now)
            if fits
            else None
        )
    if account is None:
        raise Problem("wrong_voice_code")
    token = await new_token(services, account, origin, instead_of, in_a_browser=side is Side.PORTAL)
    if token is None:  # locked at once
        raise Problem("wrong_credentials")
    return token


async def join(
    session: AsyncSession, invitation: Invitation, username: str, password_hash: str, by: Hand, now: datetime
) -> Account:
    """The account that was invited to. Raises Problem `username_taken`, `clinic_has_partner`; then all is as it was."""
    await check_answers_itself(session, invitation.clinic_id, invitation.roles)
    try:
        account = await people.add_account(
            session,
            clinic_id=invitation.clinic_id,
            username=username,
            password_hash=password_hash,
            roles=[Role(role) for role in invitation.roles],
            given_name=invitation.given_name,
            family_name=invitation.family_name,
            title=invitation.title,
            profession=invitation.profession,
            licence_number=invitation.licence_number,
            email=invitation.email,
            language=invitation.language,
            offerings=invitation.offerings,
            now=now,
        )
    except IntegrityError:
        raise Problem("username_taken") from None
    invitation.account_id, invitation.ended_at = account.id, now
    account_events.note(session, AccountEventKind.JOINED, account, by, now, invitation_id=invitation.id)
    return account


# What both have in common


async def _second_code(roles: list[Role] | list[str]) -> tuple[str | None, str | None]:
    return await new_voice_code() if may_sign(roles) else (None, None)


async def _is_added(session: AsyncSession, invitation: Invitation) -> bool:
    """Write it down; False when somebody has just done so with the same key."""
    try:
        async with session.begin_nested():
            session.add(invitation)
    except IntegrityError:
        return False
    return True


async def _made_before(session: AsyncSession, by: Administrator, key: str | None) -> Invitation | None:
    if key is None or by.hand.account_id is None:
        return None
    return await one_time_links.find_invitation_of(session, by.hand.account_id, key)


async def _to_change(session: AsyncSession, by: Administrator, invitation_id: UUID) -> Invitation:
    invitation = await one_time_links.find_by_id(session, Invitation, invitation_id, lock=True)
    if invitation is None:
        raise Problem("not_found")
    by.check_changes(invitation)
    return invitation


async def _one(session: AsyncSession, invitation: Invitation) -> InvitationView:
    [view] = await _views(session, [invitation])
    return view


async def _views(session: AsyncSession, invitations: list[Invitation]) -> list[InvitationView]:
    names = await Names.load(session, [invitation.invited_by for invitation in invitations], [])
    letters = await account_letters.newest_of_links(session, [invitation.id for invitation in invitations])
    return [_view(invitation, names, letters.get(invitation.id)) for invitation in invitations]


def _view(invitation: Invitation, names: Names, letter: AccountLetter | None) -> InvitationView:
    inviter = names.person(invitation.invited_by)
    return InvitationView(
        id=invitation.id,
        clinic_id=invitation.clinic_id,
        name=" ".join(filter(None, (invitation.title, invitation.given_name, invitation.family_name))),
        email=invitation.email,
        roles=sorted(Role(role) for role in invitation.roles),
        state=_state(invitation),
        invited_by=inviter.name if inviter else None,
        created_at=invitation.created_at,
        expires_at=invitation.expires_at,
        account_id=invitation.account_id,
        needs_voice_code=may_sign(invitation.roles),
        mail=letter.status if letter else LetterStatus.QUEUED,
    )


def _state(invitation: Invitation) -> InvitationState:
    if invitation.account_id is not None:
        return InvitationState.ACCEPTED
    if invitation.ended_at is not None:
        return InvitationState.REVOKED
    if invitation.wrong_tries >= MOST_WRONG_TRIES:
        return InvitationState.BLOCKED
    return InvitationState.OPEN if invitation.expires_at > datetime.now(UTC) else InvitationState.EXPIRED
