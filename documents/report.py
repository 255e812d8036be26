"""The report as a document: its drawing as a PDF.

The result is at the same time PDF/A-3a (to be kept for decades) and PDF/UA-1 (readable by a screen reader), and carries its own
content as an attached JSON file, so that a machine never has to read it back from the page.

Drawing is deterministic: the same content gives the same bytes.
"""

import json
from collections.abc import Callable, Iterator
from datetime import UTC
from functools import cache
from pathlib import Path
from typing import Any, cast

import typst

from documents import typefaces
from documents.content import ReportContent
from documents.page import page
from documents.typesetting import FamiliesWith, typeset, unprintable

FOLDER = Path(__file__).resolve().parent


@cache
def fonts() -> typst.Fonts:
    """All that `documents.typefaces` knows, and no other: what is installed on the machine changes no page."""
    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[typefaces.FOLDER])


def render_report(report: ReportContent, *, preview: bool = False) -> bytes:
    """The report as PDF/A-3a and PDF/UA-1, ready to be signed.

    A preview shows the same page under a mark that it is not signed. It is no PDF/A and has nothing attached: it is to be looked
    at and thrown away.

    Takes some tens of milliseconds of processor time: call it in a thread. Signs that the fonts cannot draw (an emoji, a rare
    ideograph) are printed as their code, e.g. ``[U+1F642]``; the attached JSON has them as they were written.
    """
    try:
        return _compiled(report, typefaces.families_with, preview=preview)
    except typst.TypstError:  # signs that each have a font, but not together
        return _compiled(report, typefaces.main_family_only, preview=preview)


def inputs(report: ReportContent, families_with: FamiliesWith, *, preview: bool) -> dict[str, str]:
    """What the template is given: the texts of the page, made fit for it, and the content that it attaches; both as JSON."""
    texts = drawable(page(report, preview=preview), lambda text: typeset(text, report.language, families_with))
    fallback = {"fonts": typefaces.families(), "has_stand_ins": _has_stand_ins(report, families_with)}
    return {
        "page": json.dumps({**texts, **fallback}, ensure_ascii=False),
        "content": report.model_dump_json(indent=2),
    }


def _compiled(report: ReportContent, families_with: FamiliesWith, *, preview: bool) -> bytes:
    compiler = typst.Compiler(
        input=FOLDER / "report.typ",
        root=FOLDER,
        font_paths=fonts(),
        ignore_system_fonts=True,
        sys_inputs=inputs(report, families_with, preview=preview),
    )
    pdf = compiler.compile(
        format="pdf",
        pdf_standards=["ua-1"] if preview else ["a-3a", "ua-1"],
        timestamp=report.signed_at.astimezone(UTC).replace(microsecond=0),
    )
    # PDF/A wants an end-of-line after the last mark of the file before anything is appended, as the signature will be.
    return cast(bytes, pdf) + b"\n"


def _has_stand_ins(report: ReportContent, families_with: FamiliesWith) -> bool:
    return bool(unprintable(" ".join(_texts(report.model_dump(mode="json"))), families_with))


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for item in value:
                yield from _texts(item)
        case dict():
            for item in value.values():
                yield from _texts(item)


def drawable(value: Any, fit: Callable[[str], str]) -> Any:
    """The same tree with every text made fit for the page."""
    match value:
        case str():
            return fit(value)
        case list() | tuple():
            return [drawable(item, fit) for item in value]
        case dict():
            return {key: drawable(item, fit) for key, item in value.items()}
    return value
