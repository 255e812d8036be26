"""The journal of accesses as a document: its drawing as a PDF, PDF/A-3a and PDF/UA-1 like a report, ready to be sealed."""

import json
from functools import partial

from documents import typefaces
from documents.journal_content import JournalContent
from documents.report import FOLDER, drawable, drawn
from documents.typesetting import FamiliesWith, typeset


def render_journal(journal: JournalContent) -> bytes:
    """The journal as a PDF. Takes about a second for five thousand lines."""
    return drawn(FOLDER / "journal.typ", partial(_inputs, journal), journal.made_at, is_kept=True)


def _inputs(journal: JournalContent, families_with: FamiliesWith) -> dict[str, str]:
    fitted: dict[str, str] = {}

    def fit(text: str) -> str:
        if text not in fitted:  # a long journal says the same again and again
            fitted[text] = typeset(text, journal.language, families_with)
        return fitted[text]

    texts = drawable(journal.model_dump(mode="json", exclude={"made_at"}), fit)
    return {"page": json.dumps({**texts, "fonts": typefaces.families()}, ensure_ascii=False)}
