"""The floor of a signature: nothing but Argon2, typst and pyHanko, on the same inputs, one after the other in a process."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import typst
from argon2 import PasswordHasher

from documents.authority import Authority
from documents.content import ReportContent
from documents.credentials import SignerCredentials, credentials
from documents.key_folder import KeyFolder
from documents.report import FOLDER, fonts, inputs
from documents.signature import sign_now
from documents.typefaces import families_with

PASSWORD = "correct horse battery staple"  # noqa: S105 - nobody's


@dataclass(frozen=True)
class Inputs:
    """What one signature is made of, prepared: the hash of a password, what typst draws, whose keys sign."""

    password_hash: str
    drawing: dict[str, str]
    at: datetime
    credentials: SignerCredentials


_ready: list[Inputs] = []


def prepare(content: dict[str, Any], folder: Path) -> None:
    """Make the inputs of this process, from a report's content as the API gives it and a folder for an authority's keys."""
    report = ReportContent.model_validate_json(json.dumps(content))
    keys = Authority.open(KeyFolder(folder, b"of a benchmark and of nothing else")).signer(
        uuid4(), "Dre Anne Roy", "Clinique", "1"
    )
    drawing = inputs(report, families_with, preview=False)
    _ready.append(Inputs(PasswordHasher().hash(PASSWORD), drawing, datetime.now(UTC), credentials(keys)))
    fonts()


def sign(_: int) -> int:
    """One signature; the size of the document."""
    one = _ready[0]
    PasswordHasher().verify(one.password_hash, PASSWORD)
    standards: Sequence[Any] = ["a-3a", "ua-1"]
    compiler = typst.Compiler(
        FOLDER / "report.typ", FOLDER, font_paths=fonts(), ignore_system_fonts=True, sys_inputs=one.drawing
    )
    pdf = compiler.compile(format="pdf", pdf_standards=list(standards), timestamp=one.at.replace(microsecond=0))
    assert isinstance(pdf, bytes)
    return len(sign_now(pdf + b"\n", one.credentials, "TC-2026-000001", one.at))
