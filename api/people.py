"""The people of a clinic, for its administrators and for operators: seen, changed, locked, opened again, let go, looked at."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from api.parameters import ExpectedVersion, ReaderLanguage
from use_cases import forgotten_passwords, identities, people
from use_cases.administrators import Administrator
from use_cases.forgotten_passwords import PasswordHelp
from use_cases.identities import LinkedIdentityView
from use_cases.people import Leaving, Left, PersonChange, PersonEvent, PersonOnFile
from web.services import ServicesOf
from web.session import CallerOf

router = APIRouter(tags=["people"])


@router.get("/accounts", summary="The people of a clinic")
async def list_accounts(
    caller: CallerOf,
    services: ServicesOf,
    clinic: UUID | None = None,
    review: Annotated[bool, Query(description="Only those who are to be looked at: the yearly review.")] = False,
) -> list[PersonOnFile]:
    """Everybody of a clinic (the caller's own when none is named), also who was locked or has left, by name.

    For administrators of the clinic, and for operators.
    """
    by, clinic_id = Administrator.of(caller), clinic or caller.clinic_id
    if review:
        return await people.list_due_for_review(services, by, clinic_id)
    return await people.list_people(services, by, clinic_id)


@router.get("/accounts/{account_id}", summary="Somebody's account")
async def get_account(account_id: UUID, caller: CallerOf, services: ServicesOf, response: Response) -> PersonOnFile:
    """For administrators of the clinic, and for operators. The ETag is for `If-Match`."""
    person = await people.read_person(services, Administrator.of(caller), account_id)
    response.headers["ETag"] = f'"{person.version}"'
    return person


@router.patch("/accounts/{account_id}", summary="Change somebody's account")
async def change_account(
    account_id: UUID, change: PersonChange, caller: CallerOf, services: ServicesOf, version: ExpectedVersion
) -> PersonOnFile:
    """Name, profession, licence, e-mail (both addresses are told), language, roles, and what a provider serves.

    Roles count at once. A provider who holds requests keeps the role until these are handed over. Administrators give all roles
    but operator, and change nobody who has that one. A clinic keeps an administrator, unless an operator says otherwise.
    """
    return await people.change_person(services, Administrator.of(caller), account_id, change, version)


@router.post("/accounts/{account_id}/lock", summary="Lock an account at once")
async def lock_account(account_id: UUID, caller: CallerOf, services: ServicesOf) -> PersonOnFile:
    """Every session and every token of it ends now, in every process. What the person holds stays: hand it over (`holds`)."""
    return await people.lock(services, Administrator.of(caller), account_id)


@router.post("/accounts/{account_id}/reopen", summary="Open an account again")
async def reopen_account(account_id: UUID, caller: CallerOf, services: ServicesOf) -> PersonOnFile:
    """Its person may sign in again, with the password and the roles that they had."""
    return await people.reopen(services, Administrator.of(caller), account_id)


@router.post("/accounts/{account_id}/leave", summary="Somebody leaves")
async def leave_account(
    account_id: UUID, leaving: Leaving, caller: CallerOf, services: ServicesOf, language: ReaderLanguage
) -> Left:
    """The account is locked at once and kept apart. Who holds requests leaves when these are handed over, before or with this."""
    return await people.leave(services, caller, account_id, leaving, language)


@router.post("/accounts/{account_id}/confirm", summary="An account was looked at")
async def confirm_account(account_id: UUID, caller: CallerOf, services: ServicesOf) -> PersonOnFile:
    """Its person still works here, in these roles: the answer to the yearly review, or to an account that lies unused."""
    return await people.confirm(services, Administrator.of(caller), account_id)


@router.post(
    "/accounts/{account_id}/password-help",
    summary="Help somebody to a new password",
)
async def help_with_password(account_id: UUID, caller: CallerOf, services: ServicesOf) -> PasswordHelp:
    """A link goes to the person by e-mail, for an hour. Who may sign needs the second code of the answer besides, by voice."""
    return await forgotten_passwords.help_with_password(services, Administrator.of(caller), account_id)


@router.post("/accounts/{account_id}/second-factor/reset", summary="Remove a second factor that was lost")
async def reset_second_factor(account_id: UUID, caller: CallerOf, services: ServicesOf) -> PersonOnFile:
    """The password is enough again until its person sets another one up. Make sure by other means who asks for it."""
    return await people.reset_second_factor(services, Administrator.of(caller), account_id)


@router.get("/accounts/{account_id}/identities", summary="With which identities somebody signs in")
async def list_identities(account_id: UUID, caller: CallerOf, services: ServicesOf) -> list[LinkedIdentityView]:
    """Those of the person's organization that are linked with the account."""
    return await identities.list_of_person(services, Administrator.of(caller), account_id)


@router.post("/accounts/{account_id}/identities/{provider}/remove", summary="Remove somebody's identity")
async def remove_identity(account_id: UUID, provider: str, caller: CallerOf, services: ServicesOf) -> PersonOnFile:
    """Its person signs in with it no more, and the sessions that it began end; both addresses are told.

    Who has no other way in gets one with `password-help`. Not for one's own.
    """
    return await identities.remove_of_person(services, Administrator.of(caller), account_id, provider)


@router.get("/accounts/{account_id}/events", summary="What was done about an account")
async def list_account_events(account_id: UUID, caller: CallerOf, services: ServicesOf) -> list[PersonEvent]:
    """By whom, when, from where, and what changed, the newest first; at most the last hundred."""
    return await people.list_events(services, Administrator.of(caller), account_id)
