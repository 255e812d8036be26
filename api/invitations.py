"""Invitations, for administrators; and for who is invited, or has forgotten their password, what needs no sign-in."""

from uuid import UUID

from fastapi import APIRouter

from api.parameters import IdempotencyKey
from api.tokens import TokenView
from records.models import Side
from use_cases import forgotten_passwords, invitations
from use_cases.administrators import Administrator
from use_cases.forgotten_passwords import ChosenPassword, ForgottenPassword
from use_cases.invitations import Acceptance, InvitationSent, InvitationView, NewInvitation
from web.origin import OriginOf
from web.rates import FORGOTTEN_PASSWORDS
from web.services import ServicesOf
from web.session import CallerOf

router = APIRouter(tags=["people"])


@router.post("/invitations", status_code=201, summary="Invite somebody")
async def invite(new: NewInvitation, caller: CallerOf, services: ServicesOf, key: IdempotencyKey) -> InvitationSent:
    """For administrators of the clinic, and for operators. A link goes by e-mail, for five days and one use.

    For who may sign, the answer holds a second code, once: say it to the person, after five wrong ones the link is void.
    """
    clinic_id = new.clinic_id or caller.clinic_id
    return await invitations.invite(services, Administrator.of(caller), clinic_id, new, key)


@router.get("/invitations", summary="Invitations of a clinic")
async def list_invitations(caller: CallerOf, services: ServicesOf, clinic: UUID | None = None) -> list[InvitationView]:
    """Those that wait, and those of the last month, of the caller's own clinic when none is named."""
    return await invitations.list_invitations(services, Administrator.of(caller), clinic or caller.clinic_id)


@router.post("/invitations/{invitation_id}/send-again", summary="Send an invitation again")
async def send_invitation_again(invitation_id: UUID, caller: CallerOf, services: ServicesOf) -> InvitationSent:
    """A new link, with a new second code, for five days more; the earlier ones open nothing any more."""
    return await invitations.send_again(services, Administrator.of(caller), invitation_id)


@router.post("/invitations/{invitation_id}/revoke", summary="Take an invitation back")
async def revoke_invitation(invitation_id: UUID, caller: CallerOf, services: ServicesOf) -> InvitationView:
    """Its link opens nothing any more."""
    return await invitations.revoke(services, Administrator.of(caller), invitation_id)


@router.post("/invitations/acceptance", status_code=201, summary="Accept an invitation")
async def accept_invitation(acceptance: Acceptance, services: ServicesOf, origin: OriginOf) -> TokenView:
    """The account begins with this user name and password, and a token of it is given. Needs no sign-in."""
    token = await invitations.accept(services, acceptance, Side.API, origin)
    return TokenView(access_token=token.text, expires_at=token.expires_at, device=token.device)


@router.post(
    "/forgotten-passwords",
    status_code=202,
    dependencies=[FORGOTTEN_PASSWORDS],
    summary="I have forgotten my password",
)
async def forgotten_password(forgotten: ForgottenPassword, services: ServicesOf, origin: OriginOf) -> None:
    """If there is such an account, a link to a new password goes to its address, for an hour. The answer is always the same."""
    await forgotten_passwords.ask(services, forgotten, origin)


@router.post("/forgotten-passwords/new", status_code=204, summary="Choose another password")
async def choose_password(chosen: ChosenPassword, services: ServicesOf, origin: OriginOf) -> None:
    """With the code of the link, and the second code for who may sign. All sessions end. Needs no sign-in."""
    await forgotten_passwords.choose_password(services, chosen, Side.API, origin)
