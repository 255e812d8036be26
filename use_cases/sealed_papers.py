"""Papers that a clinic gives out, and that are no reports: sealed in its name, so that anybody can check them."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from cryptography import x509
from temporalio.exceptions import ApplicationError

from activities.reports import revocations
from confined import ConfinedError, NoVerdictError
from documents.authority import Authority
from documents.bounded import sign_report
from documents.content import Practitioner
from records import signing_roots
from records.database import Database
from records.errors import ContentConflictError
from records.models import Clinic
from records.store import DocumentStore


async def sealed(
    database: Database, authority: Authority, drawn: bytes, clinic: Clinic, *, reason: str, at: datetime
) -> bytes:
    """The paper with the clinic's seal, as a signed report has its signer's. `reason` is what the seal says that it is.

    Raises ConfinedError (`confined`).
    """
    async with database.session() as session:
        revoked = await revocations(session, authority)
    ended = drawn + b"\n"  # PDF/A wants the end of a line before anything is appended, see `documents.report`
    signer = Practitioner(name=clinic.name, clinic=clinic.name)
    made = await sign_report(ended, authority, clinic.id, signer, reason=reason, at=at, revoked=revoked)
    async with database.session() as session:
        await signing_roots.note_certificate(
            session,
            root_sha256=authority.root_sha256,
            serial_number=x509.load_der_x509_certificate(made.certificate).serial_number,
            signer_id=None,
            now=datetime.now(UTC),
        )
    return made.pdf


@contextmanager
def never_made(type_: str) -> Iterator[None]:
    """What can't be drawn or sealed raises an ApplicationError of that type, which is not tried again.

    Raises NoVerdictError (`confined`) where nobody knows whether it can.
    """
    try:
        yield
    except NoVerdictError:
        raise
    except ConfinedError as error:
        raise ApplicationError(str(error), type=type_, non_retryable=True) from None


async def keep(store: DocumentStore, key: str, paper: bytes) -> None:
    """Store a paper; a second try leaves what the first has stored. Raises as the store does."""
    try:
        await store.put_new(key, paper)
    except ContentConflictError:  # another try was first; its seal has another time stamp
        await store.must_be_there(key)
