"""Whether a file that somebody was given is what was signed here: for anybody, also without an account. Nothing of it is kept."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar

from pydantic import Field

from documents.verification import Certificate, Verification, document_hash
from documents.verification import Problem as SignatureProblem
from domain.calendar import day_of
from records.destruction import find_destroyed_document
from use_cases.attended import Attended
from use_cases.problems import Problem
from use_cases.services import Services
from use_cases.signing_roots import checked
from use_cases.views import View

T = TypeVar("T")

MAX_FILE_BYTES = 10 * 1024**2
"""A signed report has some hundred kilobytes, with its fonts; the longest journal of accesses some six million bytes."""

RECEIVED_WITHIN = timedelta(minutes=1)

VERIFICATION_PAGE = "/verify"
"""The address of the page; signed documents print it."""


class Findings(View):
    """What a check of a signed document found. It is good only when `valid`.

    `signed_at` is the time that the signer states, `stamped_at` the one that the time stamp proves; until `checkable_until` the
    file proves everything by itself.
    """

    valid: bool
    signer_name: str | None
    signer_licence: str | None
    signed_at: datetime | None
    stamped_at: datetime | None
    checkable_until: datetime | None
    certificate: Certificate | None
    checked_at: datetime


def found(verdict: Verification) -> dict[str, object]:
    """What `Findings` tells of a verdict, but whether it is good and when it was come to."""
    return verdict.model_dump(include=set(Findings.model_fields) & set(Verification.model_fields))


class FileVerification(Findings):
    """The verdict on a file; `problems` says what is wrong, the other fields what was found."""

    problems: list[SignatureProblem]
    sha256: str = Field(description="Of the file.")
    destroyed_on: date | None = Field(
        None, description="It was signed here, and its record was destroyed that day, when its time was over."
    )


async def received(services: Services, address: str, read: Callable[[], Awaitable[T]]) -> T:
    """What a stranger sends, if there is room for it: a body is held whole, and nobody may let it hang.

    Raises Problem `too_many_at_once` or `busy`, and `too_slow` when it does not come within `RECEIVED_WITHIN`.
    """
    async with services.strangers_files.place_for(address):
        try:
            async with asyncio.timeout(RECEIVED_WITHIN.total_seconds()):
                return await read()
        except TimeoutError:
            raise Problem("too_slow") from None


async def verify_file(services: Services, address: str | None, pdf: bytes, attended: Attended) -> FileVerification:
    """Checks a file against the root certificates of this installation's authorities, those of earlier ones too.

    Raises Problem `too_many_at_once` or `busy`: strangers have a place of their own, and few may wait for it.
    """
    now = datetime.now(UTC)

    async def verified() -> FileVerification:
        async with services.strangers.place_for(address):
            verdict = await checked(services, pdf, now)
        sha256 = document_hash(pdf)
        async with services.database.statement() as session:
            gone = await find_destroyed_document(session, sha256=sha256)
        return FileVerification(
            valid=verdict.valid,
            problems=list(verdict.problems),
            sha256=sha256,
            destroyed_on=day_of(gone.destroyed_at) if gone else None,
            checked_at=now,
            **found(verdict),
        )

    return await attended(verified())
