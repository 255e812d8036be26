"""What is given out of the document store: compared with its SHA-256 before, and named as its sender named it.

A file that is gone, or is another one, is never given out: who asked is told, and so are the operators (the log, the metric,
and the list of failures, once a day for each file).
"""

import re
import unicodedata
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import quote
from uuid import UUID

import structlog
from prometheus_client import Counter

from records import failures
from use_cases.problems import Problem
from use_cases.services import Services

Fault = Literal["missing", "differs"]

FAULTS = Counter("relais_stored_files_faulty_total", "Stored files that were asked for and not given out", ["fault"])

log = structlog.get_logger(__name__)


async def fault(services: Services, request_id: UUID, key: str, what: Fault) -> Problem:
    """Tell the operators of a file that can't be given out; the answer to who asked for it."""
    now = datetime.now(UTC)
    log.error("a stored file is faulty", fault=what, key=key, request_id=str(request_id))
    FAULTS.labels(what).inc()
    async with services.database.session() as session:
        await failures.note_failure(
            session,
            effect_id=f"{key.replace('/', ':')}:{what}:{now:%Y-%m-%d}",
            request_id=request_id,
            kind="stored_file",
            code=f"stored_file_{what}",
            at=now,
        )
    return Problem(f"stored_file_{what}")


def content_disposition(kind: Literal["inline", "attachment"], filename: str) -> str:
    """The header by which a browser names what it saves (RFC 6266): in full, and in ASCII for programs that know no more."""
    filename = filename or "file"
    plain = unicodedata.normalize("NFKD", filename).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^A-Za-z0-9 ._()-]", "_", plain).strip() or "file"
    full = "" if plain == filename else f"; filename*=UTF-8''{quote(filename, safe='')}"
    return f'{kind}; filename="{plain}"{full}'
