"""The chart: drafts and their edits, frozen forms and reports, attachments, signed documents, and the logs around them."""

import asyncio
import uuid
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain import commands as c
from domain.audit import LOOKS, Act
from domain.priority import Priority
from domain.requests import DocumentKind, FormVersion, Request, Role, Source
from records import access, attachments, commands, failures, forms, refusals, reports, requests
from records.audit import By
from records.canonical import canonical_json, content_sha256
from records.database import Database
from records.errors import AnswerUnderWayError, ContentConflictError, NotEditableError, NotFoundError, StaleVersionError
from records.ids import new_id
from records.models import Attachment, FrozenForm, RequestRecord
from records.projection import record_event
from tests.records.scenes import NOW, SHA, Scene, Story, scene_with_draft, set_scene, terms


async def submit(session: AsyncSession, scene: Scene, draft: Request, form: FormVersion) -> Story:
    story = Story(draft)
    event = story.give(c.Submit(id="s", actor=scene.actor("requester"), form=form, priority=Priority.ROUTINE))
    await record_event(session, event, story.request)
    return story


async def return_it(session: AsyncSession, scene: Scene, story: Story) -> None:
    actor = scene.actor("dispatcher")
    reason = c.ReturnReason.INCOMPLETE_SUBMISSION
    event = story.give(c.ReturnToRequester(id="r", actor=actor, reason=reason, text="Photos floues."))
    await record_event(session, event, story.request)


async def attach(session: AsyncSession, scene: Scene, request_id: uuid.UUID, slot: str = "lesion") -> Attachment:
    attachment_id = new_id()
    return await attachments.add_attachment(
        session,
        attachment_id=attachment_id,
        request_id=request_id,
        slot=slot,
        kind="photo",
        media_type="image/jpeg",
        size_bytes=1,
        sha256=SHA,
        filename="IMG_0001.jpg",
        width=1,
        height=1,
        uploaded_by=scene.accounts["requester"].id,
        now=NOW,
        object_key=f"attachments/{request_id}/{attachment_id}",
        preview_key=f"attachments/{request_id}/{attachment_id}-preview",
    )


# Drafts


async def test_numbers_have_no_gaps_and_no_doubles_under_concurrency(database: Database) -> None:
    async with database.session() as session:
        scene = await set_scene(session)

    async def draft_in(year: int) -> str:
        async with database.session() as session:
            draft = await requests.create_draft(
                session,
                requester=scene.person("requester"),
                dispatch_clinic_id=scene.home.id,
                terms=terms(),
                priority=Priority.ROUTINE,
                patient={},
                answers={},
                now=NOW.replace(year=year),
            )
            return draft.number

    numbers = await asyncio.gather(*(draft_in(2031) for _ in range(20)))
    assert sorted(numbers) == [f"TC-2031-{number:06}" for number in range(1, 21)]


async def test_the_year_of_a_number_is_that_of_quebec(database: Database) -> None:
    async with database.session() as session:
        scene = await set_scene(session)
        draft = await requests.create_draft(
            session,
            requester=scene.person("requester"),
            dispatch_clinic_id=scene.home.id,
            terms=terms(),
            priority=Priority.ROUTINE,
            patient={},
            answers={},
            now=NOW.replace(year=2034, month=1, day=1, hour=3),
        )
        assert draft.number.startswith("TC-2033-")
        assert await requests.find_request(session, draft.number.lower()) == draft


async def test_the_same_creation_key_gives_the_same_draft(database: Database) -> None:
    async with database.session() as session:
        scene = await set_scene(session)

    async def create(requester: str) -> RequestRecord:
        async with database.session() as session:
            return await requests.create_draft(
                session,
                requester=scene.person(requester),
                dispatch_clinic_id=scene.home.id,
                terms=terms(),
                priority=Priority.ROUTINE,
                patient={},
                answers={},
                now=NOW,
                creation_key="key",
            )

    drafts = await asyncio.gather(*(create("requester") for _ in range(8)), create("everything"))
    assert len({draft.id for draft in drafts[:8]}) == 1
    assert drafts[8].id != drafts[0].id


async def test_edits_raise_the_version_and_refuse_a_stale_one(database: Database) -> None:
    _, draft = await scene_with_draft(database)
    async with database.session() as session:
        row = await requests.edit_draft(
            session, draft.id, now=NOW, expected_version=0, answers={"reason": "autre"}, priority=Priority.ASAP
        )
        assert (row.version, row.priority, row.form_priority) == (1, Priority.ASAP, Priority.ASAP)
        assert row.form == {"patient": {"family_name": "Tremblay"}, "answers": {"reason": "autre"}}
        assert requests.process_of(row).priority is Priority.ASAP
        with pytest.raises(StaleVersionError) as stale:
            await requests.edit_draft(session, draft.id, now=NOW, expected_version=0, patient={})
        assert stale.value.current == 1
        with pytest.raises(NotFoundError):
            await requests.edit_draft(session, new_id(), now=NOW, expected_version=None)


async def test_of_two_edits_at_once_one_is_stale(database: Database) -> None:
    _, draft = await scene_with_draft(database)

    async def edit(text: str) -> None:
        async with database.session() as session:
            await requests.edit_draft(session, draft.id, now=NOW, expected_version=0, answers={"reason": text})

    outcomes = await asyncio.gather(*(edit(str(n)) for n in range(5)), return_exceptions=True)
    assert outcomes.count(None) == 1
    assert sum(isinstance(outcome, StaleVersionError) for outcome in outcomes) == 4


async def test_what_is_submitted_is_edited_only_when_returned(database: Database) -> None:
    scene, draft = await scene_with_draft(database)
    async with database.session() as session:
        form = await forms.freeze_form(
            session, draft.id, command_id="s", frozen_by=draft.requester.id, now=NOW, expected_version=0
        )
        story = await submit(session, scene, draft, form)
        with pytest.raises(NotEditableError):
            await requests.edit_draft(session, draft.id, now=NOW, expected_version=None, answers={})
        with pytest.raises(NotEditableError):
            await forms.freeze_form(session, draft.id, command_id="again", frozen_by=draft.requester.id, now=NOW)
        await return_it(session, scene, story)
        row = await requests.edit_draft(session, draft.id, now=NOW, expected_version=2, answers={"reason": "mieux"})
        assert row.version == 3


# Frozen forms and attachments


async def test_a_form_is_frozen_once_as_long_as_it_stays_the_same(database: Database) -> None:
    scene, draft = await scene_with_draft(database)
    author = draft.requester.id
    async with database.session() as session:
        photo = await attach(session, scene, draft.id)
        first = await forms.freeze_form(session, draft.id, command_id="a", frozen_by=author, now=NOW)
        assert await forms.freeze_form(session, draft.id, command_id="a", frozen_by=author, now=NOW) == first
        await requests.edit_draft(session, draft.id, now=NOW, expected_version=None, answers={"reason": "changé"})
        second = await forms.freeze_form(session, draft.id, command_id="a", frozen_by=author, now=NOW)
        assert (first.number, second.number) == (1, 2)
        with pytest.raises(StaleVersionError):
            await forms.freeze_form(session, draft.id, command_id="c", frozen_by=author, now=NOW, expected_version=0)
        frozen = await forms.load_form(session, draft.id, 1)
        assert frozen is not None
        assert frozen.content == {
            "offering": "teledermatology",
            "offering_version": 1,
            "priority": "routine",
            "patient": {"family_name": "Tremblay"},
            "answers": {"reason": "lésion"},
            "attachments": [{"id": str(photo.id), "slot": "lesion", "kind": "photo", "sha256": SHA}],
            "ordered": True,
        }
        assert frozen.sha256 == first.sha256 == content_sha256(frozen.content)
        numbers = select(FrozenForm.number).where(FrozenForm.request_id == draft.id).order_by(FrozenForm.number)
        assert list(await session.scalars(numbers)) == [1, 2]


async def test_attachments_are_listed_and_removed(database: Database) -> None:
    scene, draft = await scene_with_draft(database)
    async with database.session() as session:
        kept, frozen, loose = [await attach(session, scene, draft.id, slot) for slot in ("a", "a", "b")]
        assert [a.slot for a in await attachments.list_attachments(session, draft.id)] == ["a", "a", "b"]
        assert await attachments.remove_attachment(session, draft.id, loose.id, now=NOW) == [
            loose.object_key,
            loose.preview_key,
        ]
        assert await attachments.load_attachment(session, draft.id, loose.id) is None
        form = await forms.freeze_form(session, draft.id, command_id="s", frozen_by=draft.requester.id, now=NOW)
        story = await submit(session, scene, draft, form)
        with pytest.raises(NotEditableError):
            await attachments.remove_attachment(session, draft.id, frozen.id, now=NOW)
        await return_it(session, scene, story)
        assert await attachments.remove_attachment(session, draft.id, frozen.id, now=NOW) == []
        with pytest.raises(NotFoundError):
            await attachments.remove_attachment(session, draft.id, frozen.id, now=NOW)
        assert await attachments.list_attachments(session, draft.id) == [kept]
        assert await attachments.list_attachments(session, draft.id, with_removed=True) == [kept, frozen]
        assert await attachments.load_attachment(session, new_id(), kept.id) is None


async def test_a_photo_of_an_answer_is_kept(database: Database) -> None:
    scene, draft = await scene_with_draft(database)
    requester, provider = scene.actor("requester"), scene.actor("provider")
    async with database.session() as session:
        form = await forms.freeze_form(session, draft.id, command_id="s", frozen_by=draft.requester.id, now=NOW)
        story = await submit(session, scene, draft, form)
        for command in (
            c.Assign(id="2", actor=scene.actor("dispatcher"), to=scene.person("provider")),
            c.RequestInformation(id="3", actor=provider, text="Une autre photo?"),
        ):
            await record_event(session, story.give(command), story.request)
        photo = await attach(session, scene, draft.id, "answer")
        answer = c.AnswerInformation(id="4", actor=requester, text="Voici.", attachment_ids=(photo.id,))
        await record_event(session, story.give(answer), story.request)
        await return_it(session, scene, story)
        assert await attachments.remove_attachment(session, draft.id, photo.id, now=NOW) == []


async def test_a_photo_of_an_answer_that_is_on_its_way_stays(database: Database) -> None:
    """The request was returned meanwhile; whether the answer came before that, nobody knows yet."""
    scene, draft = await scene_with_draft(database)
    requester, provider = scene.actor("requester"), scene.actor("provider")
    async with database.session() as session:
        form = await forms.freeze_form(session, draft.id, command_id="s", frozen_by=draft.requester.id, now=NOW)
        story = await submit(session, scene, draft, form)
        for command in (
            c.Assign(id="2", actor=scene.actor("dispatcher"), to=scene.person("provider")),
            c.RequestInformation(id="3", actor=provider, text="Une autre photo?"),
        ):
            await record_event(session, story.give(command), story.request)
        photo = await attach(session, scene, draft.id, "answer")
        row = await requests.lock_request(session, draft.id)
        answer = c.AnswerInformation(id="4", actor=requester, text="Voici.", attachment_ids=(photo.id,))
        await commands.write_down(session, row, answer, account_id=draft.requester.id, now=NOW)
        with pytest.raises(AnswerUnderWayError):
            await attach(session, scene, draft.id, "answer")
        await return_it(session, scene, story)
        with pytest.raises(AnswerUnderWayError):
            await attachments.remove_attachment(session, draft.id, photo.id, now=NOW)
        await commands.settle_refused(session, draft.id, "4", code="not_allowed_in_status", now=NOW)
        assert await attachments.remove_attachment(session, draft.id, photo.id, now=NOW) == [
            photo.object_key,
            photo.preview_key,
        ]


async def test_no_attachment_to_what_is_over(database: Database) -> None:
    scene, draft = await scene_with_draft(database)
    async with database.session() as session:
        story = await submit(session, scene, draft, FormVersion(number=1, sha256=SHA))
        event = story.give(c.Cancel(id="c", actor=scene.actor("requester"), reason="guéri"))
        await record_event(session, event, story.request)
        with pytest.raises(NotEditableError):
            await attach(session, scene, draft.id)


# Reports


async def test_report_drafts_refuse_a_stale_revision(database: Database) -> None:
    scene, draft = await scene_with_draft(database)
    author = scene.accounts["provider"].id
    async with database.session() as session:
        assert await reports.load_report_draft(session, draft.id) is None

        async def save(text: str, revision: int) -> int:
            saved = await reports.save_report_draft(
                session, draft.id, {"impression": text}, expected_revision=revision, account_id=author, now=NOW
            )
            return saved.revision

        assert await save("un", 0) == 1
        with pytest.raises(StaleVersionError):
            await save("autre", 0)
        assert await save("deux", 1) == 2
        report = await reports.load_report_draft(session, draft.id)
        assert report is not None
        assert report.answers == {"impression": "deux"}


async def test_reports_are_frozen_and_documents_recorded_once(database: Database) -> None:
    scene, draft = await scene_with_draft(database)
    frozen_with: dict[str, Any] = {
        "report_id": new_id(),
        "kind": DocumentKind.FINAL,
        "content": {"impression": "nævus"},
        "signer_id": scene.accounts["provider"].id,
        "command_id": "sign",
        "proof_at": NOW,
        "proof_method": "password",
        "now": NOW,
    }
    stored_with: dict[str, Any] = {"pdf_sha256": SHA, "size_bytes": 9, "object_key": "k", "signed_at": NOW}
    async with database.session() as session:
        report = await reports.freeze_report(session, draft.id, **frozen_with)
        assert report.content_sha256 == content_sha256({"impression": "nævus"})
        later = {**frozen_with, "now": NOW + timedelta(hours=1)}
        assert await reports.freeze_report(session, draft.id, **later) == report
        with pytest.raises(ContentConflictError):
            await reports.freeze_report(session, draft.id, **{**frozen_with, "content": {"impression": "autre"}})
        assert await reports.load_frozen_report(session, report.id) == report
        assert await reports.find_document(session, report.id) is None
        addendum = await reports.freeze_report(
            session,
            draft.id,
            **{**frozen_with, "report_id": new_id(), "kind": DocumentKind.ADDENDUM, "command_id": "add"},
        )
    # two tries at once, of two reports
    outcomes = await asyncio.gather(
        *(record_document(database, some, stored_with) for some in (report.id, addendum.id) for _ in range(4))
    )
    assert sorted(outcomes) == [1] * 4 + [2] * 4
    async with database.session() as session:
        with pytest.raises(ContentConflictError):
            await reports.record_document(session, report.id, **{**stored_with, "pdf_sha256": "1" * 64})
        with pytest.raises(NotFoundError):
            await reports.record_document(session, new_id(), **stored_with)
        documents = await reports.documents_of(session, draft.id)
        assert [document.number for document in documents] == [1, 2]
        assert {document.kind for document in documents} == {DocumentKind.FINAL, DocumentKind.ADDENDUM}
        found = await reports.find_document(session, report.id)
        assert found is not None
        assert (found.signer_id, found.pdf_sha256, found.size_bytes) == (frozen_with["signer_id"], SHA, 9)


async def record_document(database: Database, report_id: uuid.UUID, stored_with: dict[str, Any]) -> int:
    async with database.session() as session:
        return (await reports.record_document(session, report_id, **stored_with)).number


# What did not work, what was refused, and who looked


async def test_failures_are_listed_until_resolved(database: Database) -> None:
    request_id = new_id()
    effect_id = f"{request_id}:3:finalize"
    async with database.session() as session:
        for code in ("authority_down", "later"):
            await failures.note_failure(
                session, effect_id=effect_id, request_id=request_id, kind="finalize", code=code, at=NOW
            )
        (failure,) = await failures.list_failures(session, request_id=request_id)
        assert failure.code == "authority_down"
        assert failure in await failures.list_failures(session)
        assert await failures.resolve_failure(session, effect_id, now=NOW)
        assert not await failures.resolve_failure(session, effect_id, now=NOW)
        assert await failures.list_failures(session, request_id=request_id) == []
        assert len(await failures.list_failures(session, request_id=request_id, with_resolved=True)) == 1


async def test_a_refusal_is_written_once(database: Database) -> None:
    request_id = new_id()
    async with database.session() as session:
        for at in (NOW, NOW, NOW + timedelta(seconds=1)):
            await refusals.note_refusal(
                session,
                request_id=request_id,
                command_id="x",
                name="accept",
                code="already_accepted",
                actor_id=None,
                source=Source.SIGNAL,
                at=at,
            )
        assert [refusal.at for refusal in await refusals.list_refusals(session, request_id)] == [
            NOW,
            NOW + timedelta(seconds=1),
        ]


async def test_the_access_log_is_read_newest_first_page_by_page(database: Database) -> None:
    scene, draft = await scene_with_draft(database)
    async with database.session() as session:
        for kind in Act:
            await access.log_access(
                *(session, By(scene.accounts["provider"].id), kind, NOW),
                request_id=draft.id,
                role=Role.PROVIDER,
                version=1,
            )
        half = (len(LOOKS) + 1) // 2
        first = await access.list_accesses(session, draft.id, limit=half)
        second = await access.list_accesses(session, draft.id, before=first[-1].id, limit=half)
    assert len(first) == half
    assert [entry.kind for entry in (*first, *second)] == [kind for kind in reversed(Act) if kind in LOOKS]


def test_canonical_json() -> None:
    assert canonical_json({"b": [1, None, True], "a": "é"}) == '{"a":"é","b":[1,null,true]}'.encode()
    assert content_sha256({"a": 1, "b": 2}) == content_sha256({"b": 2, "a": 1})
    with pytest.raises(ValueError, match="Out of range"):
        canonical_json(float("nan"))
