"""The report as a document: its drawing as a PDF.

The result is at the same time PDF/A-3a (to be kept for decades) and PDF/UA-1 (readable by a screen reader), and carries its own
content as an attached JSON file, so that a machine never has to read it back from the page.

Drawing is deterministic: the same content gives the same bytes.
"""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache, partial
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
    given = partial(inputs, report, preview=preview)
    pdf = drawn(FOLDER / "report.typ", given, report.signed_at, is_kept=not preview)
    # PDF/A wants an end-of-line after the last mark of the file before anything is appended, as the signature will be.
    return pdf + b"\n"


def drawn(
    template: Path, inputs_with: Callable[[FamiliesWith], dict[str, str]], at: datetime, *, is_kept: bool
) -> bytes:
    """The PDF that a template makes of its inputs, with the fonts that it has, dated `at`. It reads from its own folder alone.

    It is PDF/UA-1, and PDF/A-3a where it is to be kept.
    """
    try:
        return _compiled(template, inputs_with(typefaces.families_with), at, is_kept=is_kept)
    except typst.TypstError:  # signs that each have a font, but not together
        return _compiled(template, inputs_with(typefaces.main_family_only), at, is_kept=is_kept)


def inputs(report: ReportContent, families_with: FamiliesWith, *, preview: bool) -> dict[str, str]:
    """What the template is given: the texts of the page, made fit for it, and the content that it attaches; both as JSON."""
    texts = drawable(page(report, preview=preview), lambda text: typeset(text, report.language, families_with))
    fallback = {"fonts": typefaces.families(), "has_stand_ins": _has_stand_ins(report, families_with)}
    return {
        "page": json.dumps({**texts, **fallback}, ensure_ascii=False),
        "content": report.model_dump_json(indent=2),
    }


def _compiled(template: Path, given: dict[str, str], at: datetime, *, is_kept: bool) -> bytes:
    compiler = typst.Compiler(
        input=template,
        root=template.parent,
        font_paths=fonts(),
        ignore_system_fonts=True,
        sys_inputs=given,
    )
    pdf = compiler.compile(
        format="pdf",
        pdf_standards=["a-3a", "ua-1"] if is_kept else ["ua-1"],
        timestamp=at.astimezone(UTC).replace(microsecond=0),
    )
    return cast(bytes, pdf)


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
