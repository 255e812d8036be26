"""Drafts that nobody goes on with: their writer is warned once, and a week later they go; what is touched stays."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select, update

from domain.accounts import LetterKind
from domain.requests import Role
from records.models import AccountLetter, Attachment, RequestRecord
from tests.journeys import ok
from tests.system import Clinician, System, add_person
from use_cases.old_drafts import warn_and_remove

NOW = datetime.now(UTC)


async def untouched_for(system: System, request_id: str, days: int) -> None:
    """As if nobody had touched the draft for so many days."""
    moment = NOW - timedelta(days=days)
    async with system.services.database.session() as session:
        own = RequestRecord.id == UUID(request_id)
        await session.execute(update(RequestRecord).where(own).values(updated_at=moment))
        files = Attachment.request_id == UUID(request_id)
        await session.execute(update(Attachment).where(files).values(uploaded_at=moment))


async def letters_to(system: System, who: Clinician) -> int:
    async with system.services.database.session() as session:
        written = AccountLetter.account_id == who.account.id, AccountLetter.kind == LetterKind.DRAFTS_END
        return await session.scalar(select(func.count()).where(*written)) or 0


async def drafts_of(who: Clinician) -> set[str]:
    found = ok(await who.get("/requests", params={"status": "draft", "sort": "created"}))
    return {one["id"] for one in found["items"]}


async def test_old_drafts_go_a_week_after_a_warning(system: System) -> None:
    who = await add_person(system, "forgetful", system.clinics["near"], Role.REQUESTER)
    bodies = [{"offering": "teledermatology"} for _ in range(4)]
    old, older, changed, fresh = [ok(await who.post("/requests", body), 201)["id"] for body in bodies]
    for request_id, days in ((old, 24), (older, 400), (changed, 24), (fresh, 22)):
        await untouched_for(system, request_id, days)
    await warn_and_remove(system.services, NOW)
    await warn_and_remove(system.services, NOW)
    assert await letters_to(system, who) == 1  # for all of them, and once
    assert await drafts_of(who) == {old, older, changed, fresh}  # however old: a warning comes first

    ok(await who.http.patch(f"/api/v1/requests/{changed}", json={"priority": "urgent"}))
    await warn_and_remove(system.services, NOW + timedelta(days=6, hours=23))
    assert await drafts_of(who) == {old, older, changed, fresh}
    await warn_and_remove(system.services, NOW + timedelta(days=7, hours=1))
    assert await drafts_of(who) == {changed, fresh}
    assert await letters_to(system, who) == 2  # by then, of the one that was fresh
