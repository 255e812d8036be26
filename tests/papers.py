"""PDFs for tests: of laboratories and scanners, and such as are made to do more than to be read."""

import io
from collections.abc import Sequence

from PIL import Image, ImageDraw

AUTHOR = "Laboratoire Untel"
SCRIPT = "app.alert(1)"


def paper(pages: int = 1, *, active: bool = False, size: tuple[int, int] = (612, 792)) -> bytes:
    """A PDF with text on each page and its author; one that is `active` has a script, a link, and a field that was filled in."""
    kids = " ".join(f"{10 + 2 * n} 0 R" for n in range(pages))
    catalog = "/Type /Catalog /Pages 2 0 R"
    if active:
        catalog += (
            f" /OpenAction << /S /JavaScript /JS ({SCRIPT}) >> /AcroForm << /Fields [5 0 R] /DA (/F 12 Tf 0 g) >>"
        )
    objects = {
        1: f"<< {catalog} >>",
        2: f"<< /Type /Pages /Kids [{kids}] /Count {pages} >>",
        3: "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        4: f"<< /Author ({AUTHOR}) /Title (Patient Untel) >>",
    }
    annotations = ""
    if active:
        appearance = _stream("0 0 0 rg 0 0 200 40 re f", "/Type /XObject /Subtype /Form /BBox [0 0 200 40]")
        objects[5] = (
            "<< /Type /Annot /Subtype /Widget /FT /Tx /T (value) /V (42) /F 4 /Rect [100 100 300 140] /AP << /N 6 0 R >> >>"
        )
        objects[6] = appearance
        objects[7] = (
            "<< /Type /Annot /Subtype /Link /Rect [0 0 50 50] /A << /S /URI /URI (https://example.org/spy) >> >>"
        )
        annotations = "/Annots [5 0 R 7 0 R]"
    for n in range(pages):
        text = f"BT /F 36 Tf 72 {size[1] - 92} Td (Hemoglobine, page {n + 1}) Tj ET"
        objects[10 + 2 * n] = (
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {size[0]} {size[1]}] /Contents {11 + 2 * n} 0 R {annotations} "
            "/Resources << /Font << /F 3 0 R >> >> >>"
        )
        objects[11 + 2 * n] = _stream(text)
    return _written(objects)


def _stream(content: str, entries: str = "") -> str:
    return f"<< {entries} /Length {len(content)} >>\nstream\n{content}\nendstream"


def _written(objects: dict[int, str]) -> bytes:
    made, places = io.BytesIO(), dict[int, int]()
    made.write(b"%PDF-1.7\n")
    for number, content in objects.items():
        places[number] = made.tell()
        made.write(f"{number} 0 obj\n{content}\nendobj\n".encode())
    start, last = made.tell(), max(objects)
    made.write(f"xref\n0 {last + 1}\n".encode())
    for number in range(last + 1):
        at = places.get(number)
        made.write(b"0000000000 65535 f \n" if at is None else f"{at:010d} 00000 n \n".encode())
    made.write(f"trailer\n<< /Size {last + 1} /Root 1 0 R /Info 4 0 R >>\nstartxref\n{start}\n%%EOF\n".encode())
    return made.getvalue()


def scan(pages: int = 2, compression: str = "group4") -> bytes:
    """A TIFF of several pages, as a scanner or a fax makes it."""
    drawn = []
    for n in range(pages):
        page = Image.new("1", (850, 1_100), 1)
        ImageDraw.Draw(page).rectangle((50, 50 + 100 * n, 300, 120 + 100 * n), fill=0)
        drawn.append(page)
    return _together(drawn, compression)


def _together(pages: Sequence[Image.Image], compression: str) -> bytes:
    made = io.BytesIO()
    pages[0].save(made, "TIFF", save_all=True, append_images=pages[1:], compression=compression)
    return made.getvalue()
