"""A whole report, signed with keys in a token (a real SoftHSM), while it is there, while it is away, and when it is back."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete
from structlog.testing import capture_logs

from documents import keys_thread
from documents.authority import Authority
from documents.key_token import KeyToken
from documents.keys import KeysAwayError
from documents.signature import verify_pdf
from records.models import SigningCertificate, SigningRoot
from sign_of_life import SignOfLife, read_sign
from tests import tokens
from tests.eventually import eventually
from tests.journeys import accepted, ok, signed, written
from tests.system import System
from tests.tokens import Shelf
from tests.workflow.branch import branch, worker_process, workers
from use_cases import signing_keys
from use_cases.signing_roots import (
    OtherAuthorityError,
    authority_to_sign_with,
    revoke_signer,
    trust_own_authority,
)


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    module = tokens.module()
    if module is None:
        pytest.skip(tokens.NOT_THERE)
    made = Shelf.made(tmp_path / "shelf", module)
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    return made


@asynccontextmanager
async def signing_with_a_token(system: System, shelf: Shelf, pin_file: Path) -> AsyncIterator[System]:
    """The system with workers whose keys are in a token of the shelf."""
    async with branch(system, **_settings(shelf.token(), pin_file)) as other:
        with pytest.raises(
            OtherAuthorityError, match=r"the token relais-.* holds no signing authority.*trust-authority"
        ):
            await authority_to_sign_with(other.settings, other.services.database)
        async with own_authority(other) as sha256:
            authority = await authority_to_sign_with(other.settings, other.services.database)
            assert authority.root_sha256 == sha256
            other = replace(other, authority=authority)
            async with workers(other):
                yield other


@asynccontextmanager
async def own_authority(other: System) -> AsyncIterator[str]:
    """One in its token, by its fingerprint, of which the shared records know while the block lasts."""
    sha256 = await trust_own_authority(other.settings)
    try:
        yield sha256
    finally:
        async with other.services.database.session() as session:
            await session.execute(delete(SigningCertificate).where(SigningCertificate.root_sha256 == sha256))
            await session.execute(delete(SigningRoot).where(SigningRoot.sha256 == sha256))


async def test_a_report_is_signed_with_it(system: System, shelf: Shelf, tmp_path: Path) -> None:
    async with signing_with_a_token(system, shelf, tmp_path / "pin") as other:
        request_id = await accepted(other)
        await written(other, request_id)
        assert (await signed(other, request_id))["status"] == "reported"
        pdf = await _document(other, request_id)
        assert (await verify_pdf(pdf, [other.authority.root_certificate_pem])).problems == ()
        assert "not_trusted" in (await verify_pdf(pdf, [system.authority.root_certificate_pem])).problems
        held = ok(
            await other.provider.get(
                f"/requests/{request_id}/reports/{await _report_id(other, request_id)}/verification"
            )
        )
        assert held["valid"]


async def test_what_is_signed_while_it_is_away_waits_for_it(system: System, shelf: Shelf, tmp_path: Path) -> None:
    async with signing_with_a_token(system, shelf, tmp_path / "pin") as other:
        request_id = await accepted(other)
        await written(other, request_id)
        shelf.take_away()
        try:
            signing = asyncio.create_task(signed(other, request_id))
            await eventually(lambda: _was_tried_again(other, request_id))
            assert not signing.done()
            with pytest.raises(KeysAwayError, match="is not there"):
                await authority_to_sign_with(other.settings, other.services.database)
        finally:
            shelf.bring_back()
        assert (await signing)["status"] == "reported"
        pdf = await _document(other, request_id)
        assert (await verify_pdf(pdf, [other.authority.root_certificate_pem])).problems == ()


@pytest.mark.parametrize("how", ["is away", "hangs"])
async def test_a_worker_that_starts_without_the_token_does_all_else(
    how: str, system: System, shelf: Shelf, tmp_path: Path
) -> None:
    gone, back = (shelf.take_away, shelf.bring_back) if how == "is away" else (shelf.hang, shelf.answer)
    life = tmp_path / "life"
    async with (
        branch(system, worker_life_file=life, **_settings(shelf.token(), tmp_path / "pin")) as other,
        own_authority(other),
    ):
        gone()
        try:
            async with worker_process(other) as process:
                request_id = await accepted(other)
                await written(other, request_id)
                signing = asyncio.create_task(signed(other, request_id))
                await eventually(lambda: _told(life, "Nothing can be signed now: "))
                assert not signing.done()
                back()
                assert (await signing)["status"] == "reported"
                await eventually(lambda: _told(life, None))
                assert process.returncode is None
        finally:
            with suppress(FileNotFoundError):
                back()


async def test_a_worker_ends_while_the_token_hangs(system: System, shelf: Shelf, tmp_path: Path) -> None:
    life = tmp_path / "life"
    async with (
        branch(system, worker_life_file=life, **_settings(shelf.token(), tmp_path / "pin")) as other,
        own_authority(other),
    ):
        shelf.hang()
        async with worker_process(other) as process:
            await eventually(lambda: _told(life, "Nothing can be signed now: "))
            process.terminate()
            assert await process.wait() == 0


async def test_what_hangs_holds_up_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys_thread, "ANSWERS_WITHIN_SECONDS", 0.05)
    begun, go_on = threading.Event(), threading.Event()

    def hangs() -> None:
        begun.set()
        go_on.wait()

    with pytest.raises(KeysAwayError, match="does not answer"):
        await keys_thread.of_the_keys(hangs)
    assert begun.is_set()
    for _ in range(100):  # more than there are threads for everybody's work
        with pytest.raises(KeysAwayError, match="does not answer"):
            await keys_thread.of_the_keys(hangs)
    assert await asyncio.to_thread(lambda: "done") == "done"
    go_on.set()
    monkeypatch.undo()
    assert await keys_thread.of_the_keys(lambda: "back") == "back"
    with pytest.raises(ZeroDivisionError):
        await keys_thread.of_the_keys(lambda: 1 / 0)


async def test_a_key_is_revoked_while_the_token_is_away(system: System, shelf: Shelf, tmp_path: Path) -> None:
    async with signing_with_a_token(system, shelf, tmp_path / "pin") as other:
        request_id = await accepted(other)
        await written(other, request_id)
        await signed(other, request_id)
        shelf.take_away()
        try:
            revoked = await revoke_signer(other.settings, other.provider.account.username, "key_compromise")
        finally:
            shelf.bring_back()
        assert other.authority.root_sha256 in revoked.unpublished
        assert revoked.serial_numbers


async def test_a_worker_says_that_the_keys_are_gone_and_back(shelf: Shelf) -> None:
    authority, life = Authority.open(shelf.token()), SignOfLife(None)
    assert await signing_keys._trouble(authority, None) is None
    with capture_logs() as logs:
        shelf.take_away()
        life.trouble = await signing_keys._trouble(authority, None)
        life.trouble = await signing_keys._trouble(authority, life.trouble)
        shelf.bring_back()
        assert str(life.trouble).startswith("Nothing can be signed now: the token relais-")
        assert await signing_keys._trouble(authority, life.trouble) is None
    assert [entry["event"] for entry in logs] == [
        "nothing can be signed: the keys are away",
        "the signing keys are back",
    ]


async def _told(life: Path, trouble: str | None) -> bool:
    """Whether the worker works, and says that of itself."""
    sign = read_sign(life)
    if sign is None or not sign.ready:
        return False
    return sign.trouble is None if trouble is None else str(sign.trouble).startswith(trouble)


def _settings(token: KeyToken, pin_file: Path) -> dict[str, Any]:
    pin_file.write_text(f"{token.pin}\n")
    return {
        "pkcs11_module": token.module,
        "pkcs11_token": token.label,
        "pkcs11_pin_file": pin_file,
        "pkcs11_environment": frozenset(token.environment),
    }


async def _document(system: System, request_id: str) -> bytes:
    report_id = await _report_id(system, request_id)
    return (await system.requester.get(f"/requests/{request_id}/reports/{report_id}.pdf")).content


async def _report_id(system: System, request_id: str) -> str:
    [document] = (await system.requester.get(f"/requests/{request_id}/reports")).json()
    return str(document["report_id"])


async def _was_tried_again(system: System, request_id: str) -> bool:
    description = await system.workflow(request_id).describe()
    return any(one.attempt > 1 for one in description.raw_description.pending_activities)
