"""Drawing and checking documents in processes of their own, with limits: a text or a file can cost no more than those.

Signing needs no such process: it works on a PDF that was just drawn here, so its size is bounded, and the signer's key stays with
who has it.
"""

import asyncio
import json
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from confined import ConfinedError, ForkServer, Limits, NoVerdictError
from documents.content import ReportContent
from documents.report import render_report
from documents.signature import Verification, verify_now

LIMITS = Limits(cpu_seconds=20, seconds=60, memory_bytes=2 * 1024**3, file_bytes=64 * 1024**2)
"""What one document may cost. Drawing takes some tens of milliseconds a page, checking half a second."""

_ASKED, _PDF, _VERDICT = "asked.json", "document.pdf", "verdict.json"
_server = ForkServer(__name__, LIMITS)


async def draw_report(report: ReportContent, *, preview: bool = False) -> bytes:
    """`render_report` within limits. Raises ConfinedError (`confined`) when it comes to no end within them."""
    with await asyncio.to_thread(_new_folder) as name:
        folder = Path(name)
        asked = json.dumps({"report": report.model_dump(mode="json"), "preview": preview})
        await asyncio.to_thread((folder / _ASKED).write_text, asked)
        await _server.run(_draw.__name__, folder)
        return await asyncio.to_thread((folder / _PDF).read_bytes)


async def check_pdf(pdf: bytes, trust_roots: Sequence[bytes], *, at: datetime) -> Verification:
    """`verify_pdf` within limits: a file that brings them about is `unreadable`. Raises NoVerdictError (`confined`)."""
    with await asyncio.to_thread(_new_folder) as name:
        folder = Path(name)
        asked = {"roots": [root.decode("ascii") for root in trust_roots], "at": at.isoformat()}
        await asyncio.to_thread((folder / _ASKED).write_text, json.dumps(asked))
        await asyncio.to_thread((folder / _PDF).write_bytes, pdf)
        try:
            await _server.run(_check.__name__, folder)
        except NoVerdictError:  # that says nothing of the signature
            raise
        except ConfinedError:
            return Verification(problems=("unreadable",))
        return Verification.model_validate_json(await asyncio.to_thread((folder / _VERDICT).read_text))


def _new_folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="relais-", ignore_cleanup_errors=True)


# What runs in the processes


def _draw(folder: Path) -> None:
    asked = json.loads((folder / _ASKED).read_text())
    report = ReportContent.model_validate_json(json.dumps(asked["report"]))
    (folder / _PDF).write_bytes(render_report(report, preview=asked["preview"]))


def _check(folder: Path) -> None:
    asked = json.loads((folder / _ASKED).read_text())
    roots = [root.encode("ascii") for root in asked["roots"]]
    verdict = verify_now((folder / _PDF).read_bytes(), roots, datetime.fromisoformat(asked["at"]))
    (folder / _VERDICT).write_text(verdict.model_dump_json())
