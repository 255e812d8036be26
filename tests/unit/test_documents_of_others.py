"""Documents of laboratories and scanners: every page as a picture made anew, with nothing active and nothing else of the file."""

import io
from collections.abc import Callable
from typing import Any

import pypdfium2 as pdfium
import pytest
from PIL import Image, ImageDraw, ImageOps
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.pdf_utils.writer import copy_into_new_writer

from media.examine import examine
from media.kinds import (
    MAX_PAGES,
    DamagedMediaError,
    Media,
    MediaError,
    ProtectedMediaError,
    TooManyPagesError,
    TruncatedMediaError,
    UnsupportedMediaError,
)
from tests.clips import arrow, encoded
from tests.papers import AUTHOR, SCRIPT, paper, scan


async def examined(content: bytes) -> Media:
    return await examine(io.BytesIO(content))


def darkness(page: bytes, box: tuple[int, int, int, int]) -> float:
    """How dark a part of a page is, from 0 to 1; in thousandths of its edges."""
    picture = Image.open(io.BytesIO(page)).convert("L")
    left, top, right, bottom = (
        round(edge * length / 1_000) for edge, length in zip(box, (picture.width, picture.height) * 2, strict=True)
    )
    levels = picture.crop((left, top, right, bottom)).tobytes()
    return 1 - sum(levels) / len(levels) / 255


async def test_every_page_of_a_pdf_is_drawn() -> None:
    found = await examined(paper(3))
    assert (found.kind, found.media_type, len(found.pages)) == ("document", "application/pdf", 3)
    assert (found.width, found.height) == (1_546, 2_000)
    for page in found.pages:
        assert Image.open(io.BytesIO(page)).size == (1_546, 2_000)
        assert darkness(page, (100, 60, 700, 130)) > 0.05
        assert darkness(page, (100, 300, 700, 900)) == 0
    assert len(set(found.pages)) == 3
    assert max(Image.open(io.BytesIO(found.preview)).size) == 1_200
    assert max(Image.open(io.BytesIO(found.thumbnail)).size) == 320


async def test_nothing_active_and_no_metadata_gets_through() -> None:
    content = paper(2, active=True)
    assert SCRIPT.encode() in content
    found = await examined(content)
    assert darkness(found.pages[0], (170, 830, 480, 870)) > 0.9, "what was filled in is seen"
    assert found.full is not None
    for copy in (found.full, found.preview, found.thumbnail, *found.pages):
        for word in (AUTHOR, SCRIPT, "Untel", "JavaScript", "/URI", "example.org", "/Annot", "AcroForm", "Hemoglobine"):
            assert word.encode() not in copy
            assert word.encode("utf-16-be") not in copy
    made = pdfium.PdfDocument(found.full)
    assert (len(made), [value for value in made.get_metadata_dict().values() if AUTHOR in value]) == (2, [])
    assert [round(edge) for edge in made[0].get_size()] == [618, 800]
    page = io.BytesIO()
    made[0].render(scale=1).to_pil().save(page, "PNG")
    assert darkness(page.getvalue(), (100, 60, 700, 130)) > 0.05


async def test_a_scan_of_several_pages_is_a_document_and_of_one_a_photo() -> None:
    found = await examined(scan(3))
    assert (found.kind, found.media_type, len(found.pages)) == ("document", "image/tiff", 3)
    assert [darkness(page, (60, 140, 350, 195)) > 0.9 for page in found.pages] == [False, True, False]
    assert (await examined(scan(1))).kind == "photo"


@pytest.mark.parametrize("pages", [1, 2])
async def test_a_fax_is_not_flat(pages: int) -> None:
    """It has 204 pixels to the inch across and 98 down; what is round on the paper is round again."""
    sheet = Image.new("1", (1728, 1100), 1)
    ImageDraw.Draw(sheet).ellipse((100, 100, 100 + 816, 100 + 392), fill=0)  # four inches across and down
    found = await examined(
        encoded(sheet, "TIFF", compression="group4", dpi=(204, 98), save_all=True, append_images=[sheet] * (pages - 1))
    )
    seen = Image.open(io.BytesIO(found.pages[0] if pages > 1 else found.preview)).convert("L")
    left, top, right, bottom = ImageOps.invert(seen).point(lambda level: 255 * (level > 127)).getbbox() or (0, 0, 1, 9)
    assert (right - left) / (bottom - top) == pytest.approx(1, abs=0.02)
    assert (found.height or 0) > (found.width or 0)


async def test_a_tiff_with_a_small_copy_beside_it_is_one_photo() -> None:
    small = arrow((90, 70))
    small.encoderinfo = {"tiffinfo": {254: 1}}
    found = await examined(encoded(arrow(), "TIFF", save_all=True, append_images=[small]))
    assert (found.kind, found.width) == ("photo", 900)


async def test_pages_of_every_shape() -> None:
    for size, expected in (((20, 5_000), (8, 2_000)), ((5_000, 20), (2_000, 8)), ((1, 14_400), (1, 2_000))):
        found = await examined(paper(size=size))
        assert (found.width, found.height) == expected


async def test_a_pdf_with_something_before_it() -> None:
    assert (await examined(b"\xef\xbb\xbf\r\n" + paper())).kind == "document"


def protected() -> bytes:
    writer: Any = copy_into_new_writer(PdfFileReader(io.BytesIO(paper())))
    writer.encrypt(owner_pass="owner", user_pass="reader")
    made = io.BytesIO()
    writer.write(made)
    return made.getvalue()


REFUSED: dict[str, tuple[Callable[[], bytes], type[MediaError]]] = {
    "password": (protected, ProtectedMediaError),
    "too many pages": (lambda: paper(MAX_PAGES + 1), TooManyPagesError),
    "too long a scan": (lambda: scan(MAX_PAGES + 1), TooManyPagesError),
    "cut off": (lambda: paper()[:300], TruncatedMediaError),
    "head only": (lambda: b"%PDF-1.7\n", TruncatedMediaError),
    "damaged": (lambda: b"%PDF-1.7\n" + b"nonsense " * 300 + b"%%EOF", DamagedMediaError),
    "no pages": (lambda: paper(0), DamagedMediaError),
    "no document": (lambda: b"{\\rtf1 Bonjour}", UnsupportedMediaError),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_each_reason_is_told_apart(name: str) -> None:
    make, error = REFUSED[name]
    with pytest.raises(error):
        await examined(make())


async def test_the_longest_that_is_taken() -> None:
    assert len((await examined(paper(MAX_PAGES))).pages) == MAX_PAGES
