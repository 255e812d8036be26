"""The form of a request under the offering that it is filled in for. A draft moves to the version in force when it is opened."""

from collections.abc import Collection, Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from domain.drafts import OutdatedAnswer, carry_over
from domain.offerings import Answers, ServiceOffering
from domain.requests import Status
from records.models import RequestRecord
from records.offering_versions import OfferingVersions
from records.requests import lock_request, process_of, project


async def open_form(session: AsyncSession, versions: OfferingVersions, row: RequestRecord) -> ServiceOffering:
    """The offering that the form is filled in for now: of a draft the version in force, else the one it was submitted with.

    Answers of a draft that do not stand in the form in force wait beside it for their writer (`outdated_answers`). A draft of
    an offering that takes no new requests stays as it is.
    """
    in_force = versions.in_force(row.offering)
    if in_force and _may_move(row, in_force):
        row = await lock_request(session, row.id)
        if _may_move(row, in_force):  # nobody was faster
            await _move(session, row, await versions.of(session, row), in_force)
    offering = await versions.of(session, row)
    if _may_be_mended(row) and not await versions.is_kept(session, offering):
        await _set_aside(session, row, offering)
    return offering


def is_withdrawn(versions: OfferingVersions, row: RequestRecord) -> bool:
    """Whether this is a draft that can't be submitted, because its offering takes no new requests."""
    return row.status is Status.DRAFT and versions.in_force(row.offering) is None


def outdated_answers(row: RequestRecord) -> list[OutdatedAnswer]:
    """The answers that wait beside the form for their writer's decision."""
    return [OutdatedAnswer.model_validate(one) for one in row.form.get("outdated", [])]


def given_answers(row: RequestRecord) -> Answers:
    """The answers as they were given, before anything of the form moved."""
    return {**row.form["answers"], **{one.field: one.answer for one in outdated_answers(row)}}


def form_of(patient: object, answers: Answers, outdated: list[OutdatedAnswer]) -> dict[str, object]:
    """The form as a row holds it (`RequestRecord.form`)."""
    waiting = {"outdated": [one.model_dump(mode="json") for one in outdated]} if outdated else {}
    return {"patient": patient, "answers": answers, **waiting}


async def decide(
    session: AsyncSession,
    row: RequestRecord,
    *,
    replaced: int | None,
    outdated: Sequence[OutdatedAnswer],
    dropped: Collection[str],
) -> None:
    """Note what of an edit does not stand in the form, `outdated`: instead of all that waits since the version `replaced`.

    What is named in `dropped` waits no more: its writer does not need it.
    """
    waiting = [one for one in outdated_answers(row) if one.offering_version != replaced]
    kept = [one for one in (*waiting, *outdated) if one.field not in dropped]
    row.form = form_of(row.form["patient"], row.form["answers"], kept)
    await session.flush()


def _may_move(row: RequestRecord, in_force: ServiceOffering) -> bool:
    is_open = row.status is Status.DRAFT and row.is_editable
    return is_open and row.process["terms"]["offering_version"] != in_force.version


def _may_be_mended(row: RequestRecord) -> bool:
    return row.status is Status.RETURNED and row.is_editable


async def _move(session: AsyncSession, row: RequestRecord, before: ServiceOffering, now: ServiceOffering) -> None:
    """Its writer has changed nothing, so the version that people see stays as it is.

    What waited since a version that is in force again goes back into the form.
    """
    answers, outdated = carry_over(row.form["answers"], before, now)
    waiting = outdated_answers(row)
    back = {one.field: one.answer for one in waiting if one.offering_version == now.version}
    waiting = [one for one in waiting if one.offering_version != now.version]
    row.form = form_of(row.form["patient"], {**back, **answers}, [*waiting, *outdated])
    project(row, process_of(row).model_copy(update={"terms": now.terms}), row.updated_at)
    await session.flush()


async def _set_aside(session: AsyncSession, row: RequestRecord, stand_in: ServiceOffering) -> None:
    """What a returned request answered to a form that nobody kept, and that does not stand in the one that stands in for it."""
    if not carry_over(row.form["answers"], stand_in, stand_in)[1]:
        return
    row = await lock_request(session, row.id)
    if _may_be_mended(row):  # nobody submitted it meanwhile; and what was written meanwhile counts
        answers, outdated = carry_over(row.form["answers"], stand_in, stand_in)
        row.form = form_of(row.form["patient"], answers, [*outdated_answers(row), *outdated])
        await session.flush()
