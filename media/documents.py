"""Clean copies of a document: its pages as pictures, and a PDF made of these. Nothing in them is active, or says who wrote it.

PDFs are drawn by PDFium, built without JavaScript; scans of several pages come as TIFF; a DICOM file is one picture (`dicom`).
"""

import io
from collections.abc import Callable, Iterable, Mapping
from typing import BinaryIO

import pypdfium2 as pdfium
from PIL import Image
from pypdfium2.raw import FPDF_ERR_PASSWORD

from media import dicom
from media.containers import is_cut_off
from media.dicom_files import ends_early as ends_early_dicom
from media.kinds import (
    DICOM,
    MAX_PAGES,
    PDF,
    DamagedMediaError,
    Media,
    MediaError,
    ProtectedMediaError,
    TooManyPagesError,
    TruncatedMediaError,
)
from media.photos import PREVIEW_EDGE, THUMBNAIL_EDGE, clean_tiff_pages, jpeg, reduced

PAGE_EDGE = 2_000
"""The longest edge of a page, in pixels: a letter or A4 has then some 180 to the inch, as much as small print needs."""
_POINTS = 72 / 180
"""Of a page of the clean PDF, for each pixel."""


def render(file: BinaryIO, media_type: str) -> Media:
    """Draw every page of a document, and make its copies.

    The file is a stranger's: call it in a process with limits. Raises TooManyPagesError, TooManyPixelsError, ProtectedMediaError,
    TruncatedMediaError, DamagedMediaError, what `dicom.pictures` raises, or MemoryError.
    """
    draw, edge = _DRAWN.get(media_type, (clean_tiff_pages, PAGE_EDGE))
    try:
        return _render(draw(file), media_type, edge)
    except (MediaError, MemoryError):
        raise
    except Exception as error:  # damaged files are met with errors of every kind
        if "memory" in str(error).lower():
            raise MemoryError from error
        ends_early = ends_early_dicom(file) if media_type == DICOM else is_cut_off(file, media_type)
        raise (TruncatedMediaError if ends_early else DamagedMediaError) from error


def _render(drawn: Iterable[Image.Image], media_type: str, edge: int) -> Media:
    pages: list[bytes] = []
    first: Image.Image | None = None
    sizes: list[tuple[int, int]] = []
    for drawn_page in drawn:
        page = reduced(drawn_page, edge)
        first = first or page
        sizes.append(page.size)
        pages.append(jpeg(page))
    if first is None:
        raise DamagedMediaError
    preview = reduced(first, PREVIEW_EDGE)
    return Media(
        kind="document",
        media_type=media_type,
        width=first.width,
        height=first.height,
        preview=jpeg(preview),
        thumbnail=jpeg(reduced(preview, THUMBNAIL_EDGE)),
        full=_pdf_of(pages, sizes),
        captured_at=None,
        sharpness=None,
        pages=tuple(pages),
    )


def _pdf_pages(file: BinaryIO) -> Iterable[Image.Image]:
    file.seek(0)
    try:
        document = pdfium.PdfDocument(file.read())
    except pdfium.PdfiumError as error:
        if getattr(error, "err_code", None) == FPDF_ERR_PASSWORD:
            raise ProtectedMediaError from error
        raise
    if len(document) > MAX_PAGES:
        raise TooManyPagesError(len(document), MAX_PAGES)
    if document.get_formtype():
        document.init_forms()  # so that what was filled in is drawn
    for number in range(len(document)):
        yield _drawn(document[number])


def _drawn(page: pdfium.PdfPage) -> Image.Image:
    width, height = page.get_size()
    if not (0 < width < 1e6 and 0 < height < 1e6):
        raise DamagedMediaError
    bitmap = page.render(scale=PAGE_EDGE / max(width, height), rev_byteorder=True)
    picture: Image.Image = bitmap.to_pil().convert("RGB")
    page.close()
    return picture


_DRAWN: Mapping[str, tuple[Callable[[BinaryIO], Iterable[Image.Image]], int]] = {
    PDF: (_pdf_pages, PAGE_EDGE),
    DICOM: (dicom.pictures, dicom.PICTURE_EDGE),
}
"""What draws the pages, and the longest edge of each, by the kind of file; all others are TIFFs."""


def _pdf_of(pages: list[bytes], sizes: list[tuple[int, int]]) -> bytes:
    """A PDF whose pages are these JPEGs."""
    made = pdfium.PdfDocument.new()
    for content, (width, height) in zip(pages, sizes, strict=True):
        page = made.new_page(width * _POINTS, height * _POINTS)
        image = pdfium.PdfImage.new(made)
        image.load_jpeg(io.BytesIO(content), inline=True)
        image.set_matrix(pdfium.PdfMatrix().scale(width * _POINTS, height * _POINTS))
        page.insert_obj(image)
        page.gen_content()
        page.close()
    written = io.BytesIO()
    made.save(written)
    made.close()
    return written.getvalue()
