"""One's own settings: language, notices, absences, password; and who one is here, which others keep."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import ValidationError
from starlette.datastructures import FormData

from domain.calendar import TIME_ZONE, day_of
from domain.notices import DIGEST_HOURS, NoticeMode
from domain.refusals import Refusal
from domain.requests import Role
from portal import absences, pages
from portal.errors import NOT_TAKEN, as_problem, fields_of, summary
from portal.pages import Visit, VisitOf
from portal.themes import THEMES
from translations import gettext_noop as _
from translations.dates import clock, day
from translations.words import listed
from use_cases import accounts, identities, sessions, sign_on
from use_cases.absences import list_absences
from use_cases.accounts import NewPassword, Preferences
from use_cases.new_passwords import MIN_PASSWORD
from use_cases.problems import Problem
from use_cases.ways_in import ways_of_account

router = APIRouter(include_in_schema=False)

NOTICE_MODES: Mapping[NoticeMode, tuple[str, str]] = {
    NoticeMode.AT_ONCE: (
        _("At once"),
        _("An e-mail for each thing that happens to your requests, as it happens."),
    ),
    NoticeMode.GROUPED: (
        _("Grouped"),
        _("One e-mail at %(hours)s with all that is new, what waits for you first. None when nothing is new."),
    ),
    NoticeMode.ACTIONS_ONLY: (
        _("Only what I have to do"),
        _("An e-mail at once when it is your turn, and the reminders. The rest you see in the worklist."),
    ),
}
"""Each choice with what it means."""


@router.get("/account")
async def account_page(visit: VisitOf) -> Response:
    """Everything that one can set for oneself."""
    return await _page(visit)


@router.post("/account")
async def save_preferences(visit: VisitOf) -> Response:
    """Keep language and notices; the page that follows speaks the new language."""
    form = await visit.form()

    async def save() -> None:
        given = {name: form[name] for name in ("language", "notice_mode") if form.get(name)}
        await accounts.change_preferences(visit.services, visit.caller, Preferences.model_validate(given))

    return await _done(visit, form, save, "settings")


@router.post("/account/absences")
async def add_absence(visit: VisitOf) -> Response:
    """Enter an absence of one's own; a provider then looks at what they would leave behind."""
    form = await visit.form()
    is_provider = Role.PROVIDER in visit.caller.roles
    return await _done(
        visit,
        form,
        lambda: absences.add(visit, visit.caller.id, form),
        "absence",
        then=f"/providers/{visit.caller.id}#held" if is_provider else "/account",
    )


@router.post("/account/absences/{absence_id}/remove")
async def remove_absence(absence_id: UUID, visit: VisitOf) -> Response:
    """Take an absence of one's own back."""
    await absences.remove(visit, visit.caller.id, absence_id)
    return visit.on_to("/account", "absence_removed")


@router.post("/account/password")
async def change_password(visit: VisitOf) -> Response:
    """Choose another password."""
    form = await visit.form()

    async def change() -> None:
        given = {name: form[name] for name in ("current", "new") if form.get(name)}
        await accounts.change_password(visit.services, visit.caller, NewPassword.model_validate(given))

    return await _done(visit, form, change, "password")


@router.post("/account/sessions/{session_id}/end")
async def end_session(session_id: UUID, visit: VisitOf) -> Response:
    """Sign out somewhere else; where that session ended by itself meanwhile, the page says the same."""
    with suppress(Problem):
        await sessions.end_own(visit.services, visit.caller, session_id)
    return visit.on_to("/account", "session_ended")


@router.post("/account/sessions/end-others")
async def end_other_sessions(visit: VisitOf) -> Response:
    """Sign out everywhere else."""
    await sessions.end_others(visit.services, visit.caller)
    return visit.on_to("/account", "sessions_ended")


async def _done(
    visit: Visit, form: FormData, do: Callable[[], Awaitable[object]], sentence: str, then: str = "/account"
) -> Response:
    """Do it and show the page `then`; or say why not, with everything that was written still there (but no password)."""
    try:
        await do()
    except NOT_TAKEN as error:
        return await _page(visit, form, as_problem(error))
    return visit.on_to(then, sentence)


async def shown_again(visit: Visit, form: FormData, error: ValidationError | Problem | Refusal) -> Response:
    """The page, with why something was not done."""
    places = {"wrong_current_password": "password", "code_needed": "code", "wrong_code": "code"}
    return await _page(visit, form, as_problem(error), places)


async def _page(
    visit: Visit,
    form: FormData | None = None,
    error: Problem | Refusal | None = None,
    places: Mapping[str, str] | None = None,
) -> Response:
    wrong = fields_of(error, visit.language, {**absences.PLACES, **(places or {"wrong_current_password": "current"})})
    linked = await identities.list_own(visit.services, visit.caller)
    ways = await ways_of_account(visit.services, visit.caller.account)
    linkable = [one for one in ways.providers if one.code not in {there.code for there in linked}]
    return visit.page(
        "account",
        because=error,
        account=await accounts.own_account(visit.services, visit.caller),
        absences=await list_absences(visit.services, visit.caller, visit.caller.id),
        today=day_of(datetime.now(UTC)),
        themes=THEMES.values(),
        notice_modes=[
            (mode, visit.say(title), visit.say(meaning, **_times(visit) if mode is NoticeMode.GROUPED else {}))
            for mode, (title, meaning) in NOTICE_MODES.items()
        ],
        min_password=MIN_PASSWORD,
        linked=[{**one.model_dump(), "since": day(one.since, visit.language)} for one in linked],
        linkable=linkable,
        link_needs_code=bool(linkable) and await sign_on.link_needs_code(visit.services, visit.caller.id),
        sessions=await sessions.list_own(visit.services, visit.caller),
        has_password=visit.caller.account.has_password and ways.by_password,
        form=pages.written(form),
        wrong=pages.written(wrong),
        notice=summary(error, wrong, visit.language) if error else pages.done_notice(visit.request, visit.language),
    )


def _times(visit: Visit) -> dict[str, str]:
    """When grouped e-mails are sent, in words."""
    written = [clock(datetime(2026, 1, 1, hour, tzinfo=TIME_ZONE), visit.language) for hour in DIGEST_HOURS]
    return {"hours": listed(written, visit.language)}
