"""One's own settings: language, notices, absences, password; and who one is here, which others keep."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

from babel.lists import format_list
from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import ValidationError
from starlette.datastructures import FormData

from api import tokens
from api.problems import Problem, field_errors_of
from domain.calendar import TIME_ZONE
from domain.notices import NoticeMode
from portal import pages
from portal.errors import sentence_of, status_of
from portal.pages import Notice, Visit, VisitOf
from portal.texts import LOCALES, clock
from translations import gettext_noop as _
from workflows.schedules import DIGEST_HOURS

router = APIRouter()

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
    form = await visit.request.form()

    async def save() -> None:
        given = {name: form[name] for name in ("language", "notice_mode") if form.get(name)}
        await tokens.change_preferences(tokens.Preferences.model_validate(given), visit.caller, visit.services)

    return await _done(visit, form, save, "settings")


async def _done(visit: Visit, form: FormData, do: Callable[[], Awaitable[object]], sentence: str) -> Response:
    """Do it and show the page anew; or say why not, with everything that was written still there."""
    try:
        await do()
    except ValidationError as error:
        return await _page(visit, form, Problem("invalid_input", errors=field_errors_of(error, visit.language)))
    except Problem as problem:
        return await _page(visit, form, problem)
    return visit.on_to("/account", sentence)


async def _page(visit: Visit, form: FormData | None = None, problem: Problem | None = None) -> Response:
    wrong = {item["field"]: item["message"] for item in problem.members.get("errors", ())} if problem else {}
    notice = pages.done_notice(visit.request, visit.language)
    if problem is not None:
        items = tuple((message, f"field-{field}") for field, message in wrong.items())
        notice = Notice("error", sentence_of(problem, visit.language), items)
    return visit.page(
        "account",
        status=status_of(problem) if problem else 200,
        account=await tokens.me(visit.caller, visit.services),
        notice_modes=[
            (mode, visit.say(title), visit.say(meaning, **_times(visit) if mode is NoticeMode.GROUPED else {}))
            for mode, (title, meaning) in NOTICE_MODES.items()
        ],
        form=pages.written(form),
        wrong=pages.written(wrong),
        notice=notice,
    )


def _times(visit: Visit) -> dict[str, str]:
    """When grouped e-mails are sent, in words."""
    written = [clock(datetime(2026, 1, 1, hour, tzinfo=TIME_ZONE), visit.language) for hour in DIGEST_HOURS]
    return {"hours": format_list(written, locale=LOCALES[visit.language])}
