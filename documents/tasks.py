"""What runs in processes of its own: drawing, signing and checking one document, on the files of one folder.

Only these processes load typst and pyHanko; `documents.bounded` starts them. Whoever draws what somebody wrote, or checks a file
from outside, knows no key: a signature has a process to itself, which opens the authority and ends with the one signature.
"""

import json
import tempfile
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from uuid import UUID

from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko.pdf_utils.generic import StreamObject
from pyhanko.pdf_utils.writer import PageObject, PdfFileWriter

from documents import typefaces
from documents.authority import Authority, Revocation
from documents.bounded import ASKED, CERTIFICATE, DRAWN, SIGNED, VERDICT
from documents.case import render_case
from documents.case_content import CaseContent
from documents.content import ReportContent
from documents.credentials import credentials
from documents.journal import render_journal
from documents.journal_content import JournalContent
from documents.key_folder import KeyFolder
from documents.key_places import heard
from documents.keys import KeysAwayError
from documents.report import fonts, render_report
from documents.signature import sign_now, verify_now
from documents.stamp_service import service_heard


def prepare() -> None:
    """Load what every process needs: the fonts, and what pyHanko finds out with its first signature. Draws nothing: typst would
    start threads, which no fork survives.
    """
    fonts()
    typefaces.families_with("a")
    with tempfile.TemporaryDirectory(prefix="relais-") as folder:
        place = KeyFolder(Path(folder), b"of an authority for one signature")
        keys = Authority.open(place).signer(UUID(int=0), "-", "", "")
        sign_now(_empty_page(), credentials(keys), "-", datetime.now(UTC))


def draw(folder: Path) -> None:
    """From `ASKED` (the report, and whether it is a preview) to `DRAWN`."""
    asked = json.loads((folder / ASKED).read_text())
    report = ReportContent.model_validate_json(json.dumps(asked["report"]))
    (folder / DRAWN).write_bytes(render_report(report, preview=asked["preview"]))


def draw_whole(folder: Path) -> None:
    """From `ASKED` (the whole case) and its pictures to `DRAWN`."""
    asked = json.loads((folder / ASKED).read_text())
    case = CaseContent.model_validate_json(json.dumps(asked["case"]))
    (folder / DRAWN).write_bytes(render_case(case, folder))


def draw_journal(folder: Path) -> None:
    """From `ASKED` (the journal of accesses) to `DRAWN`."""
    asked = json.loads((folder / ASKED).read_text())
    journal = JournalContent.model_validate_json(json.dumps(asked["journal"]))
    (folder / DRAWN).write_bytes(render_journal(journal))


def sign(folder: Path, keys_at: str, stamped_by: str) -> None:
    """From `DRAWN` and `ASKED` (who signs, why, and when; what is revoked) to `SIGNED` and its `CERTIFICATE`.

    `keys_at` tells where the authority's keys are, with what opens them (`documents.key_places`), and `stamped_by` which service
    stamps the time (`documents.stamp_service`). Signs with the authority that is asked for, or not at all: it makes none where
    the place was emptied. Raises NoAuthorityError and KeysAwayError.
    """
    asked = json.loads((folder / ASKED).read_text())
    who = asked["signer"]
    revoked = [
        Revocation(int(one["serial_number"]), datetime.fromisoformat(one["at"]), one["reason"])
        for one in asked["revoked"]
    ]
    service = service_heard(stamped_by)
    authority = Authority.open(heard(keys_at), may_make=False, lists_at=asked["lists_at"], stamped_by=service)
    if authority.root_sha256 != asked["root_sha256"]:
        raise KeysAwayError(f"{authority.place} holds another signing authority than the one that is to sign")
    keys = authority.signer(UUID(who["id"]), who["name"], who["clinic"] or "", who["licence_number"] or "", revoked)
    (folder / CERTIFICATE).write_bytes(keys.signer.certificate.public_bytes(Encoding.DER))
    at = datetime.fromisoformat(asked["at"])
    (folder / SIGNED).write_bytes(sign_now((folder / DRAWN).read_bytes(), credentials(keys), asked["reason"], at))


def check(folder: Path) -> None:
    """From `SIGNED` and `ASKED` (trusted roots in PEM, and as of when) to `VERDICT`."""
    asked = json.loads((folder / ASKED).read_text())
    roots, of_stamps = ([root.encode("ascii") for root in asked[name]] for name in ("roots", "stamp_roots"))
    at = datetime.fromisoformat(asked["at"])
    verdict = verify_now((folder / SIGNED).read_bytes(), roots, at, stamp_roots=of_stamps)
    (folder / VERDICT).write_text(verdict.model_dump_json())


def _empty_page() -> bytes:
    writer, made = PdfFileWriter(), BytesIO()  # type: ignore[no-untyped-call]
    nothing = writer.add_object(StreamObject(stream_data=b""))
    writer.insert_page(PageObject(nothing, media_box=(0, 0, 100, 100)))  # type: ignore[no-untyped-call]
    writer.write(made)  # type: ignore[no-untyped-call]
    return made.getvalue()
