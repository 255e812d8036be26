"""What somebody reads by use cases alone: a report and its document, photos whole and in parts, and that something is new."""

import asyncio
import hashlib
from contextlib import aclosing
from uuid import UUID

import pytest
from sqlalchemy import func, select

from domain.audit import Act
from domain.refusals import Refusal, RefusalCode
from domain.requests import DocumentKind
from records import people
from records.models import Token
from tests.journeys import accepted, assigned, filled, submitted
from tests.system import PASSWORD, Clinician, System
from tests.use_cases.test_story import attended, call, caller
from use_cases import accesses, documents, renditions, report_drafts, signing
from use_cases.caller import Caller
from use_cases.commands import carry_out
from use_cases.news import news
from use_cases.orders import Accept, CommentBody
from use_cases.problems import Problem
from use_cases.renditions import Look
from use_cases.report_drafts import ReportDraftBody
from use_cases.requests import read_request
from use_cases.sign_in import account_of, end_token, sign_in
from use_cases.signing import SignBody
from use_cases.stored_files import StoredFile


async def test_a_report_is_written_signed_and_verified(system: System) -> None:
    services, request_id = system.services, UUID(await accepted(system))
    provider, requester = caller(system.provider), caller(system.requester)
    draft = await report_drafts.read_draft(services, provider, request_id)
    assert {fault.code for fault in draft.missing} == {"required"}
    body = ReportDraftBody(answers=filled(tuple(draft.fields)))
    saved = await report_drafts.save_draft(services, provider, request_id, body, draft.revision)
    assert saved.missing == ()
    with pytest.raises(Refusal) as refusal:
        await report_drafts.save_draft(services, provider, request_id, body, draft.revision)
    assert refusal.value.code is RefusalCode.VERSION_CONFLICT
    preview = await report_drafts.preview(services, provider, request_id, attended)
    assert preview.pdf.startswith(b"%PDF-")

    proof = SignBody(kind=DocumentKind.FINAL, password=PASSWORD, revision=saved.revision)
    signed = (await signing.sign(services, call(system.provider, request_id), proof)).document
    assert signed is not None
    document = await documents.read_document(services, requester, request_id, signed.report_id)
    assert hashlib.sha256(document.pdf).hexdigest() == document.sha256 == signed.sha256
    assert (await documents.verify(services, requester, request_id, signed.report_id, attended)).valid
    looks = await accesses.list_accesses(services, requester, request_id)
    assert {Act.REPORT_DRAFT, Act.DOCUMENT} <= {look.what for look in looks}


async def test_its_sender_gets_a_photo_as_it_was_and_others_a_copy(system: System) -> None:
    services, request_id = system.services, UUID(await submitted(system))
    view = await read_request(services, caller(system.requester), request_id, "en")
    assert view.attachments
    sent = view.attachments[0]

    async def seen_by(who: Clinician) -> StoredFile:
        return await renditions.original(Look(services, caller(who), request_id, sent.id, attended))

    original, copy = await seen_by(system.requester), await seen_by(system.dispatcher)
    whole = await _read(original)
    assert (hashlib.sha256(whole).hexdigest(), len(whole)) == (sent.sha256, original.size)
    assert await _read(original, 10, 20) == whole[10:20]
    assert (copy.media_type, len(await _read(copy))) == ("image/jpeg", copy.size)
    assert copy.tag != original.tag


async def test_a_session_begins_and_ends_in_one_step(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """Signing in again: the session before ends if the new one begins, and with a wrong password it stays."""
    services, account = system.services, system.provider.account
    first = (await sign_in(services, account.username, PASSWORD)).text
    with pytest.raises(Problem):
        await sign_in(services, account.username, "wrong", instead_of=first)
    assert await account_of(services, first)

    before = await _tokens_of(system, account.id)
    with monkeypatch.context() as patched:
        patched.setattr(people, "revoke_token", _no_disk)
        with pytest.raises(OSError, match="no disk"):
            await sign_in(services, account.username, PASSWORD, instead_of=first)
    assert await account_of(services, first)
    assert await _tokens_of(system, account.id) == before

    second = (await sign_in(services, account.username, PASSWORD, instead_of=first)).text
    assert await account_of(services, first) is None
    assert await account_of(services, second)


async def _tokens_of(system: System, account_id: UUID) -> int | None:
    async with system.services.database.session() as session:
        return await session.scalar(select(func.count()).select_from(Token).where(Token.account_id == account_id))


async def _no_disk(*_: object) -> None:
    raise OSError("no disk")


async def test_who_follows_a_request_hears_of_it_until_they_sign_out(system: System) -> None:
    services, request_id, who = system.services, UUID(await assigned(system)), system.provider.account
    follower = Caller(who, (await sign_in(services, who.username, PASSWORD)).text)
    async with aclosing(news(services, follower, request_id, None, silence_seconds=60)) as heard:
        first = asyncio.ensure_future(anext(heard))
        await asyncio.sleep(0)  # it listens from now on
        await carry_out(services, call(system.provider, request_id), Accept())
        assert await first
        await end_token(services, follower)
        await carry_out(services, call(system.provider, request_id), CommentBody(comment="Not mine."))
        assert [is_new async for is_new in heard] == []


async def _read(file: StoredFile, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([piece async for piece in file.read(start, end)])
