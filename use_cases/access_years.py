"""The accesses of a year by the people of a clinic, counted, for its administrators: what a body reports of them once a year.

From the audit alone, and nothing of a patient in it. An access is an entry by which something of a request was shown to somebody;
a list is one, however many lines it had. See docs/decisions/access-years.md.
"""

from datetime import UTC, date, datetime
from uuid import UUID

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from domain.access_year import Category, Counted, by_category
from domain.audit import Act, Purpose
from domain.calendar import midnight
from domain.requests import Role
from records import access_reviews, people
from records.models import Account
from translations import Language, gettext_for
from translations.acts import act_words
from translations.registers import PURPOSES
from translations.words import ROLES
from use_cases import policy, tables
from use_cases.caller import Caller
from use_cases.problems import Problem
from use_cases.services import Services
from use_cases.views import View


class CategoryView(View):
    """Accesses of one kind."""

    role: Role | None = Field(description="In which they were made; null where that is not known.")
    purpose: Purpose | None = Field(description="For what, by the role.")
    what: Act = Field(description="What was shown.")
    what_in_words: str
    accesses: int
    people: int = Field(description="How many people or systems made them.")
    left_out: bool = Field(description="A professional’s, for care: not among what is reported (LRSSS, s. 103).")


class AccessYear(View):
    """The accesses of one year by the people and systems of the clinic, in its time zone."""

    year: int
    is_over: bool = Field(description="Otherwise it is counted until now.")
    reported: int = Field(description="The accesses that are not left out.")
    categories: list[CategoryView] = Field(description="Those that are reported first, the most frequent first.")


async def read_year(services: Services, caller: Caller, year: int, language: Language) -> AccessYear:
    """Of the caller's clinic. Raises Problem `forbidden`, or `not_found` of a year that has not begun or no calendar has."""
    policy.must_have_role(caller, Role.CLINIC_ADMINISTRATOR)
    async with services.database.session() as session:
        since, until = await _bounds(session, caller.clinic_id, year)
        found = await _counted(session, caller.clinic_id, since, until)
    views = [_view(one, language) for one in found]
    return AccessYear(
        year=year,
        is_over=until <= datetime.now(UTC),
        reported=sum(view.accesses for view in views if not view.left_out),
        categories=views,
    )


async def year_now(services: Services, caller: Caller) -> int:
    """Which year it is where the clinic is."""
    async with services.database.session() as session:
        return datetime.now(await people.zone_of(session, caller.clinic_id)).year


async def year_as_csv(services: Services, caller: Caller, year: int, language: Language) -> bytes:
    """The same as a table. Raises as `read_year` does."""
    _ = gettext_for(language)
    found = await read_year(services, caller, year, language)
    columns = (
        *(_("Year"), _("Role"), _("For what"), _("What was shown"), _("Accesses"), _("People or systems")),
        _("Left out of the report: care by a professional"),
    )
    rows = [
        (
            *(str(year), role_words(one, language), _(PURPOSES[one.purpose]) if one.purpose else ""),
            *(one.what_in_words, str(one.accesses), str(one.people)),
            _("yes") if one.left_out else _("no"),
        )
        for one in found.categories
    ]
    return tables.as_csv(columns, rows)


def role_words(one: CategoryView, language: Language) -> str:
    """The role, as the table and the page name it."""
    _ = gettext_for(language)
    if one.role is Role.SYSTEM:
        return _("Computer systems")
    return _(ROLES[one.role]) if one.role else _("not known")


def _view(one: Counted, language: Language) -> CategoryView:
    category = one.category
    return CategoryView(
        role=category.role,
        purpose=category.purpose,
        what=category.what,
        what_in_words=act_words(category.what, None, language),
        accesses=one.accesses,
        people=one.people,
        left_out=category.is_left_out,
    )


async def _counted(session: AsyncSession, clinic_id: UUID, since: datetime, until: datetime) -> list[Counted]:
    accounts = await access_reviews.people_of(session, clinic_id)
    return by_category([await _of(session, one, clinic_id, since, until) for one in accounts])


async def _of(
    session: AsyncSession, account: Account, clinic_id: UUID, since: datetime, until: datetime
) -> list[tuple[Category, int]]:
    """What somebody was shown. A list names no role: it is that of who has one alone."""
    found = await access_reviews.count_accesses(session, account.id, clinic_id, since, until)
    only = Role(account.roles[0]) if len(account.roles) == 1 else None
    return [(Category(category.role or only, category.what), number) for category, number in found]


async def _bounds(session: AsyncSession, clinic_id: UUID, year: int) -> tuple[datetime, datetime]:
    zone = await people.zone_of(session, clinic_id)
    if not date.min.year < year < date.max.year or datetime.now(zone).year < year:
        raise Problem("not_found")
    return midnight(date(year, 1, 1), zone), midnight(date(year + 1, 1, 1), zone)
