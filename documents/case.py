"""The whole case as a document: its drawing as a PDF, PDF/A-3a and PDF/UA-1 like a report, but not signed."""

import json
import shutil
from collections.abc import Callable
from datetime import UTC
from pathlib import Path
from typing import cast

import typst

from documents import typefaces
from documents.case_content import CaseContent
from documents.report import FOLDER, drawable, fonts
from documents.typesetting import FamiliesWith, typeset


def render_case(case: CaseContent, folder: Path) -> bytes:
    """The case as a PDF, with the pictures that lie in the folder. Takes about as long as a report, and more for each picture."""
    for part in ("case.typ", "style.typ"):
        shutil.copy(FOLDER / part, folder / part)
    try:
        return _compiled(case, folder, typefaces.families_with)
    except typst.TypstError:  # signs that each have a font, but not together
        return _compiled(case, folder, typefaces.main_family_only)


def _compiled(case: CaseContent, folder: Path, families_with: FamiliesWith) -> bytes:
    fit: Callable[[str], str] = lambda text: typeset(text, case.language, families_with)  # noqa: E731
    texts = drawable(case.model_dump(mode="json", exclude={"made_at"}), fit)
    compiler = typst.Compiler(
        input=folder / "case.typ",
        root=folder,
        font_paths=fonts(),
        ignore_system_fonts=True,
        sys_inputs={"page": json.dumps({**texts, "fonts": typefaces.families()}, ensure_ascii=False)},
    )
    pdf = compiler.compile(
        format="pdf",
        pdf_standards=["a-3a", "ua-1"],
        timestamp=case.made_at.astimezone(UTC).replace(microsecond=0),
    )
    return cast(bytes, pdf)
