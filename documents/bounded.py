"""Drawing, signing and checking documents in processes of their own, with limits: a text or a file can cost no more than those.

So the worker and the API load neither typst nor pyHanko, and nobody's command waits while a document is made; these processes
are nicer than theirs (`confined`).
"""

import asyncio
import json
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from confined import ConfinedError, ForkServer, Limits, NoVerdictError
from documents.authority import Authority, Revocation
from documents.case_content import CaseContent
from documents.content import Practitioner, ReportContent
from documents.journal_content import JournalContent
from documents.key_places import told
from documents.stamp_service import service_told
from documents.verification import Verification

LIMITS = Limits(cpu_seconds=20, seconds=60, memory_bytes=2 * 1024**3, file_bytes=64 * 1024**2)
"""What one document may cost. Drawing takes some tens of milliseconds a page, signing some hundred, checking half a second."""

ASKED, DRAWN, SIGNED, VERDICT, CERTIFICATE = "asked.json", "drawn.pdf", "signed.pdf", "verdict.json", "certificate.der"
"""The files of one task: what is asked for, as JSON, and the document on its way."""

_server = ForkServer("documents.tasks", LIMITS)


async def get_ready() -> None:
    """Begin to load what makes documents, so that the first one need not wait for it."""
    await _server.start()


async def draw_report(report: ReportContent, *, preview: bool = False) -> bytes:
    """`render_report` within limits. Raises ConfinedError (`confined`) when it comes to no end within them."""
    with await asyncio.to_thread(_new_folder) as name:
        folder = Path(name)
        await _ask(folder, {"report": report.model_dump(mode="json"), "preview": preview})
        await _server.run("draw", folder)
        return await asyncio.to_thread((folder / DRAWN).read_bytes)


async def draw_case(case: CaseContent, pictures: Mapping[str, bytes]) -> bytes:
    """`render_case` within limits, with the pictures by the names that the case gives them. Raises ConfinedError."""
    with await asyncio.to_thread(_new_folder) as name:
        folder = Path(name)
        await _ask(folder, {"case": case.model_dump(mode="json")})
        for file, picture in pictures.items():
            await asyncio.to_thread((folder / file).write_bytes, picture)
        await _server.run("draw_whole", folder)
        return await asyncio.to_thread((folder / DRAWN).read_bytes)


async def draw_journal(journal: JournalContent) -> bytes:
    """`render_journal` within limits. Raises ConfinedError."""
    with await asyncio.to_thread(_new_folder) as name:
        folder = Path(name)
        await _ask(folder, {"journal": journal.model_dump(mode="json")})
        await _server.run("draw_journal", folder)
        return await asyncio.to_thread((folder / DRAWN).read_bytes)


@dataclass(frozen=True)
class SignedReport:
    """A signed file, and the certificate (DER) that it was signed with."""

    pdf: bytes
    certificate: bytes


async def sign_report(
    drawn: bytes,
    authority: Authority,
    signer_id: UUID,
    signer: Practitioner,
    *,
    reason: str,
    at: datetime,
    revoked: Collection[Revocation] = (),
) -> SignedReport:
    """`sign_pdf` within limits, with the signer's key from `authority`, which the process opens for itself.

    A key whose certificate is among those `revoked` signs nothing any more: another one is made. Raises ConfinedError
    (`confined`) when it comes to no end, when keys and signer do not make a signature, or when the keys that are there now are
    not those of `authority`.
    """
    who = {"id": str(signer_id), **signer.model_dump(mode="json")}
    ended = [
        {"serial_number": str(one.serial_number), "at": one.at.isoformat(), "reason": one.reason} for one in revoked
    ]
    asked = {
        "signer": who,
        "reason": reason,
        "at": at.isoformat(),
        "revoked": ended,
        "lists_at": authority.lists_at,
        "root_sha256": authority.root_sha256,
    }
    with await asyncio.to_thread(_new_folder) as name:
        folder = Path(name)
        await _ask(folder, asked)
        await asyncio.to_thread((folder / DRAWN).write_bytes, drawn)
        await _server.run("sign", folder, told(authority.place), service_told(authority.stamped_by))
        return SignedReport(
            await asyncio.to_thread((folder / SIGNED).read_bytes),
            await asyncio.to_thread((folder / CERTIFICATE).read_bytes),
        )


async def check_pdf(
    pdf: bytes, trust_roots: Sequence[bytes], *, at: datetime, stamp_roots: Sequence[bytes] = ()
) -> Verification:
    """`verify_pdf` within limits: a file that brings them about is `unreadable`. Raises NoVerdictError (`confined`)."""
    roots, of_stamps = ([root.decode("ascii") for root in given] for given in (trust_roots, stamp_roots))
    with await asyncio.to_thread(_new_folder) as name:
        folder = Path(name)
        await _ask(folder, {"roots": roots, "stamp_roots": of_stamps, "at": at.isoformat()})
        await asyncio.to_thread((folder / SIGNED).write_bytes, pdf)
        try:
            await _server.run("check", folder)
        except NoVerdictError:  # that says nothing of the signature
            raise
        except ConfinedError:
            return Verification(problems=("unreadable",))
        return Verification.model_validate_json(await asyncio.to_thread((folder / VERDICT).read_text))


async def _ask(folder: Path, what: dict[str, Any]) -> None:
    await asyncio.to_thread((folder / ASKED).write_text, json.dumps(what))


def _new_folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="relais-", ignore_cleanup_errors=True)
