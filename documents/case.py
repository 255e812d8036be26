"""The whole case as a document: its drawing as a PDF, PDF/A-3a and PDF/UA-1 like a report, but not signed."""

import json
import shutil
from functools import partial
from pathlib import Path

from documents import typefaces
from documents.case_content import CaseContent
from documents.report import FOLDER, drawable, drawn
from documents.typesetting import FamiliesWith, typeset


def render_case(case: CaseContent, folder: Path) -> bytes:
    """The case as a PDF, with the pictures that lie in the folder. Takes about as long as a report, and more for each picture."""
    for part in ("case.typ", "style.typ"):
        shutil.copy(FOLDER / part, folder / part)
    return drawn(folder / "case.typ", partial(_inputs, case), case.made_at, is_kept=True)


def _inputs(case: CaseContent, families_with: FamiliesWith) -> dict[str, str]:
    texts = drawable(
        case.model_dump(mode="json", exclude={"made_at"}), lambda text: typeset(text, case.language, families_with)
    )
    return {"page": json.dumps({**texts, "fonts": typefaces.families()}, ensure_ascii=False)}
