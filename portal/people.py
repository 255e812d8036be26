"""The people of a clinic, for its administrators: the list, one person with everything that can be done, the yearly review.

How somebody is invited is in `portal.invitations`.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import Response
from starlette.datastructures import FormData

from domain.accounts import GIVEN_BY_CLINICS, GIVEN_BY_OPERATORS, AccountEventKind, AccountState, ReviewReason
from domain.refusals import Refusal
from domain.requests import Role
from portal import pages, providers
from portal.errors import NOT_TAKEN, as_problem, done, fields_of, summary
from portal.pages import Visit, VisitOf
from records.models import Side
from translations import gettext_noop as _
from use_cases import forgotten_passwords, identities, people
from use_cases.access_reviews import count_waiting
from use_cases.administrators import Administrator
from use_cases.catalogue import newest_offerings
from use_cases.hand_over import MAY_HAND_OVER
from use_cases.invitations import list_invitations
from use_cases.orders import SomebodyElse
from use_cases.people import Leaving, PersonChange, PersonOnFile
from use_cases.problems import Problem
from use_cases.requests import RequestSummary

router = APIRouter(include_in_schema=False)

STATES: Mapping[AccountState, str] = {
    AccountState.ACTIVE: _("May sign in"),
    AccountState.LOCKED: _("Locked"),
    AccountState.LEFT: _("Has left"),
}

REVIEW_REASONS: Mapping[ReviewReason, str] = {
    ReviewReason.NOT_REVIEWED: _("Not reviewed for a year"),
    ReviewReason.NOT_USED: _("Not used for 90 days"),
}

EVENTS: Mapping[AccountEventKind, str] = {
    AccountEventKind.ADDED: _("Account made on the command line"),
    AccountEventKind.INVITED: _("Invited"),
    AccountEventKind.INVITED_AGAIN: _("Invited again"),
    AccountEventKind.INVITATION_REVOKED: _("Invitation taken back"),
    AccountEventKind.JOINED: _("Invitation accepted"),
    AccountEventKind.PROVISIONED: _("Account made by the organization’s directory"),
    AccountEventKind.CHANGED: _("Changed"),
    AccountEventKind.LOCKED: _("Locked"),
    AccountEventKind.REOPENED: _("Opened again"),
    AccountEventKind.LEFT: _("Has left"),
    AccountEventKind.PASSWORD_HELP: _("Help with the password"),
    AccountEventKind.PASSWORD_FORGOTTEN: _("A new password was asked for on the sign-in page"),
    AccountEventKind.PASSWORD_RESET: _("New password, by the link of an e-mail"),
    AccountEventKind.PASSWORD_CHANGED: _("Password changed"),
    AccountEventKind.SECOND_FACTOR_SET_UP: _("Second factor set up"),
    AccountEventKind.SECOND_FACTOR_REMOVED: _("Second factor removed"),
    AccountEventKind.RECOVERY_CODES_RENEWED: _("Recovery codes renewed"),
    AccountEventKind.PASSKEY_ADDED: _("Passkey added"),
    AccountEventKind.PASSKEY_REMOVED: _("Passkey removed"),
    AccountEventKind.IDENTITY_LINKED: _("Identity of the organization linked"),
    AccountEventKind.IDENTITY_UNLINKED: _("Identity of the organization removed"),
    AccountEventKind.REVIEWED: _("Reviewed"),
    AccountEventKind.CLINIC_ADDED: _("Clinic made"),
    AccountEventKind.CLINIC_CHANGED: _("Changed"),
    AccountEventKind.RETENTION_APPROVED: _("Destruction of a list approved"),
    AccountEventKind.HOLD_LIFTED: _("Hold on a request lifted by the operators of Relais"),
    AccountEventKind.RETENTION_TAKEN_BACK: _("Approval of a destruction taken back"),
    AccountEventKind.ACCESSES_SIGNED_OFF: _("Accesses of a month signed off"),
    AccountEventKind.SERVICE_ACCOUNT_ADDED: _("Service account made"),
    AccountEventKind.SECRET_ADDED: _("New secret"),
    AccountEventKind.SECRET_ENDED: _("Secret ended"),
    AccountEventKind.KEY_ADDED: _("Key registered"),
    AccountEventKind.KEY_ENDED: _("Key ended"),
    AccountEventKind.WEBHOOK_ADDED: _("Webhook made"),
    AccountEventKind.WEBHOOK_CHANGED: _("Webhook changed"),
    AccountEventKind.WEBHOOK_REMOVED: _("Webhook removed"),
    AccountEventKind.WEBHOOK_SECRET_ADDED: _("New secret of a webhook"),
    AccountEventKind.WEBHOOK_TESTED: _("Webhook tested"),
    AccountEventKind.WEBHOOK_VERIFIED: _("Webhook active"),
    AccountEventKind.WEBHOOK_REPLAYED: _("Messages of a webhook sent again"),
    AccountEventKind.WEBHOOK_DISABLED: _("Webhook turned off"),
    AccountEventKind.SUBSCRIPTION_ADDED: _("Subscription made"),
    AccountEventKind.SUBSCRIPTION_CHANGED: _("Subscription changed"),
    AccountEventKind.SUBSCRIPTION_REMOVED: _("Subscription removed"),
    AccountEventKind.SUBSCRIPTION_VERIFIED: _("Subscription active"),
    AccountEventKind.SUBSCRIPTION_DISABLED: _("Subscription turned off"),
    AccountEventKind.PARTNER_VERIFIED: _("The partner has answered a message"),
    AccountEventKind.PARTNER_DISABLED: _("The partner is not told any more"),
    AccountEventKind.PARTNER_REPLAYED: _("Messages to the partner sent again"),
}

SIDES: Mapping[Side, str] = {
    Side.PORTAL: _("in the portal"),
    Side.API: _("by the API"),
    Side.COMMAND_LINE: _("on the command line"),
    Side.SYSTEM: _("by Relais itself"),
}

FIELDS: Mapping[str, str] = {
    "given_name": _("Given name"),
    "family_name": _("Family name"),
    "title": _("Title"),
    "profession": _("Profession"),
    "licence_number": _("Licence number"),
    "email": _("E-mail address"),
    "language": _("Language"),
    "roles": _("Roles"),
    "offerings": _("Service offerings"),
    "username": _("User name"),
    "external_id": _("Name in the directory"),
}
"""What administrators say of somebody, as pages name it."""

TEXT_FIELDS = ("given_name", "family_name", "title", "profession", "licence_number", "email", "language")

PLACES = dict.fromkeys(("operators_only", "last_administrator", "still_holds_requests", "clinic_has_partner"), "roles")
"""At which field it is said why a change was not taken."""

_DESTINATIONS = {"one_place": "to", "unknown_provider": "to", "unknown_clinic": "to", "clinic_not_routed": "to"}


@router.get("/people")
async def people_page(visit: VisitOf, clinic: UUID | None = None) -> Response:
    """Everybody of the clinic, and who is invited."""
    by, clinic_id = Administrator.of(visit.caller), clinic or visit.caller.clinic_id
    found = await people.list_people(visit.services, by, clinic_id)
    return visit.page(
        "people",
        there=[person for person in found if person.state is not AccountState.LEFT],
        left=[person for person in found if person.state is AccountState.LEFT],
        due=sum(person.review is not None for person in found),
        months=await count_waiting(visit.services, visit.caller) if clinic_id == visit.caller.clinic_id else 0,
        invitations=await list_invitations(visit.services, by, clinic_id),
        finds=len(found) >= providers.FILTER_FROM,
        states=STATES,
        clinic=found[0].clinic if found else "",
        own=clinic_id == visit.caller.clinic_id,
        notice=pages.done_notice(visit.request, visit.language),
    )


@router.get("/people/review")
async def review_page(visit: VisitOf) -> Response:
    """The accounts that are to be looked at."""
    return await _review(visit)


@router.post("/people/review/{account_id}")
async def review_one(account_id: UUID, visit: VisitOf) -> Response:
    """Confirm one account, or lock it."""
    form = await visit.form()
    try:
        visit.check_is_sent()
        do = people.lock if form.get("do") == "lock" else people.confirm
        await do(visit.services, Administrator.of(visit.caller), account_id)
    except NOT_TAKEN as error:
        return await _review(visit, as_problem(error))
    return visit.on_to("/people/review", "locked" if form.get("do") == "lock" else "reviewed")


async def _review(visit: Visit, error: Problem | Refusal | None = None) -> Response:
    by = Administrator.of(visit.caller)
    return visit.page(
        "people_review",
        because=error,
        due=await people.list_due_for_review(visit.services, by, visit.caller.clinic_id),
        reasons=REVIEW_REASONS,
        notice=summary(error, {}, visit.language) if error else pages.done_notice(visit.request, visit.language),
    )


@router.get("/people/{account_id}")
async def person_page(account_id: UUID, visit: VisitOf) -> Response:
    """Somebody's account, with everything that can be done about it, and what was."""
    return await _person(visit, account_id)


@router.post("/people/{account_id}")
async def change_person(account_id: UUID, visit: VisitOf) -> Response:
    """Change what is known of somebody, and what they may do."""
    form = await visit.form()

    async def change() -> None:
        by, texts, roles = Administrator.of(visit.caller), texts_of(form), form.getlist("roles")
        has_none = not roles and not (await people.read_person(visit.services, by, account_id)).roles
        said = PersonChange.model_validate(texts if has_none else {**texts, "roles": roles})
        await people.change_person(visit.services, by, account_id, said, pages.number_in(form, "version"))

    return await _done(visit, account_id, form, change, "person_saved")


@router.post("/people/{account_id}/lock")
async def lock_person(account_id: UUID, visit: VisitOf) -> Response:
    """Lock the account at once."""
    form = await visit.form()
    by = Administrator.of(visit.caller)
    return await _done(visit, account_id, form, lambda: people.lock(visit.services, by, account_id), "locked")


@router.post("/people/{account_id}/reopen")
async def reopen_person(account_id: UUID, visit: VisitOf) -> Response:
    """Open the account again."""
    form = await visit.form()
    by = Administrator.of(visit.caller)
    return await _done(visit, account_id, form, lambda: people.reopen(visit.services, by, account_id), "reopened")


@router.post("/people/{account_id}/second-factor")
async def reset_second_factor(account_id: UUID, visit: VisitOf) -> Response:
    """Remove the second factor of somebody who has lost it."""
    form = await visit.form()
    by = Administrator.of(visit.caller)

    async def reset() -> None:
        await people.reset_second_factor(visit.services, by, account_id)

    return await _done(visit, account_id, form, reset, "second_factor_reset")


@router.post("/people/{account_id}/identities/{provider}/remove")
async def remove_identity(account_id: UUID, provider: str, visit: VisitOf) -> Response:
    """Remove an identity of the person's organization that is lost, or was never theirs."""
    form = await visit.form()
    by = Administrator.of(visit.caller)

    async def remove() -> None:
        await identities.remove_of_person(visit.services, by, account_id, provider)

    return await _done(visit, account_id, form, remove, "identity_removed")


@router.post("/people/{account_id}/password")
async def help_with_password(account_id: UUID, visit: VisitOf) -> Response:
    """Send a link to a new password; a second code for it is shown once."""
    form = await visit.form()
    try:
        visit.check_is_sent()
        by = Administrator.of(visit.caller)
        given = await forgotten_passwords.help_with_password(visit.services, by, account_id)
    except NOT_TAKEN as error:
        return await _person(visit, account_id, form, as_problem(error))
    if given.voice_code is None:
        return visit.on_to(f"/people/{account_id}", "password_help")
    person = await people.read_person(visit.services, by, account_id)
    return visit.page("voice_code", name=person.name, code=given.voice_code, back=f"/people/{account_id}")


@router.get("/people/{account_id}/leave")
async def leave_page(account_id: UUID, visit: VisitOf) -> Response:
    """What becomes of what somebody holds who leaves."""
    return await _leave(visit, account_id)


@router.post("/people/{account_id}/leave")
async def let_go(account_id: UUID, visit: VisitOf) -> Response:
    """Somebody leaves: locked at once, and what they hold goes to whom was chosen."""
    form = await visit.form()
    try:
        visit.check_is_sent()
        left = await people.leave(
            visit.services, visit.caller, account_id, Leaving(hand_over=_to_whom(form)), visit.language
        )
    except NOT_TAKEN as error:
        return await _leave(visit, account_id, form, as_problem(error))
    if left.person.holds:
        return visit.on_to(f"/providers/{account_id}#held", "left_holding")
    return visit.on_to(f"/people/{account_id}", "left")


def _to_whom(form: FormData) -> SomebodyElse | None:
    if "reason" not in form:
        return None
    text = str(form["reason"]).replace("\r\n", "\n")
    said: dict[str, Any] = {"reason": text} if text else {}
    return SomebodyElse.model_validate({**said, **providers.destination(str(form.get("to", "")))})


async def _leave(
    visit: Visit, account_id: UUID, form: FormData | None = None, error: Problem | Refusal | None = None
) -> Response:
    by = Administrator.of(visit.caller)
    person = await people.read_person(visit.services, by, account_id)
    held: list[RequestSummary] = list(await providers.held_by(visit, account_id)) if person.holds else []
    asked = sorted({row.offering for row in held})
    wrong = fields_of(error, visit.language, _DESTINATIONS)
    return visit.page(
        "person_leave",
        because=error,
        person=person,
        held=held,
        hands_over=bool(visit.caller.roles & MAY_HAND_OVER),
        teams=[team for team in await providers.teams(visit, asked) if team.clinic.id == person.clinic_id]
        if held
        else [],
        asked_offerings=asked,
        offerings=await newest_offerings(visit.services),
        form=pages.written(form),
        wrong=pages.written(wrong),
        notice=summary(error, wrong, visit.language) if error else None,
    )


async def _done(
    visit: Visit, account_id: UUID, form: FormData, do: Callable[[], Awaitable[object]], sentence: str
) -> Response:
    """Do it; or say why not, with everything that was written still there."""
    return await done(visit, do, f"/people/{account_id}", sentence, partial(_person, visit, account_id, form))


async def _person(
    visit: Visit, account_id: UUID, form: FormData | None = None, error: Problem | Refusal | None = None
) -> Response:
    by = Administrator.of(visit.caller)
    person = await people.read_person(visit.services, by, account_id)
    is_written = form is not None and "given_name" in form
    wrong = fields_of(error, visit.language, PLACES if is_written else None)
    return visit.page(
        "person",
        because=error,
        person=person,
        linked=await identities.list_of_person(visit.services, by, account_id),
        events=await people.list_events(visit.services, by, account_id),
        event_words=EVENTS,
        sides=SIDES,
        field_words=FIELDS,
        states=STATES,
        review_reasons=REVIEW_REASONS,
        role_options=role_options(by),
        offerings=await newest_offerings(visit.services),
        chosen_roles=form.getlist("roles") if form is not None and is_written else person.roles,
        differs=_differs(person, form) if error is not None and error.code == "account_changed" else {},
        form=pages.written(form) if is_written else _as_written(person),
        wrong=pages.written(wrong),
        notice=summary(error, wrong, visit.language) if error else pages.done_notice(visit.request, visit.language),
    )


def texts_of(form: FormData) -> dict[str, str]:
    """The fields of a person in a form, but the roles."""
    return {name: value for name in TEXT_FIELDS if isinstance(value := form.get(name), str)}


def role_options(by: Administrator) -> list[Role]:
    """The roles that they can give, in their order."""
    return [role for role in Role if role in (GIVEN_BY_OPERATORS if by.is_operator else GIVEN_BY_CLINICS)]


def _as_written(person: PersonOnFile) -> Mapping[str, str]:
    return pages.written({name: getattr(person, name) for name in TEXT_FIELDS})


def _differs(person: PersonOnFile, form: FormData | None) -> dict[str, str]:
    """What somebody else has made of the account meanwhile, where it is not what was written."""
    written = texts_of(form) if form is not None else {}
    return {name: getattr(person, name) for name, text in written.items() if text.strip() != getattr(person, name)}
