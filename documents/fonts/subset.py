"""Makes the fallback fonts of this folder from well-kept packages, and the table of what can be drawn (`coverage.json`).

The signed report is set in Source Sans 3. What it lacks comes from Noto: scripts in which names are written, symbols, pictures
(emoji, in black), and one font for Chinese, Japanese and Korean. Run it where the packages of Debian 12 and of npm are unpacked;
the same packages give the same files::

    apt-get download fonts-noto-core fonts-noto-cjk
    for package in *.deb; do dpkg-deb -x "$package" noto; done
    npm pack @fontsource/noto-emoji@5.3.2 && tar -xzf fontsource-noto-emoji-5.3.2.tgz -C noto
    pip install fonttools brotli && python documents/fonts/subset.py noto
"""

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from fontTools import subset
from fontTools.ttLib import TTCollection, TTFont

FOLDER = Path(__file__).resolve().parent
CORE = "usr/share/fonts/truetype/noto/{name}-Regular.ttf"
CJK = "usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc"
EMOJI = "package/files/noto-emoji-emoji-400-normal.woff2"
CJK_FAMILY = "Noto Sans CJK SC"

# In the order in which a character is looked for: the first font that has it draws it (documents/typefaces.py).
FAMILIES = (
    "NotoSans",
    "NotoSansCanadianAboriginal",
    "NotoSansArabic",
    "NotoSansHebrew",
    "NotoSansDevanagari",
    "NotoSansBengali",
    "NotoSansGurmukhi",
    "NotoSansGujarati",
    "NotoSansOriya",
    "NotoSansTamil",
    "NotoSansTelugu",
    "NotoSansKannada",
    "NotoSansMalayalam",
    "NotoSansSinhala",
    "NotoSansThai",
    "NotoSansLao",
    "NotoSansKhmer",
    "NotoSansMyanmar",
    "NotoSerifTibetan",
    "NotoSansGeorgian",
    "NotoSansArmenian",
    "NotoSansEthiopic",
    "NotoSansCherokee",
    "NotoSansOsage",
    "NotoSansSyriac",
    "NotoSansThaana",
    "NotoSansTifinagh",
    "NotoSansNKo",
    "NotoSansAdlam",
    "NotoSansVai",
    "NotoSansMongolian",
    "NotoSansOlChiki",
    "NotoSansMeeteiMayek",
    "NotoSansChakma",
    "NotoSansHanifiRohingya",
    "NotoSansSymbols",
    "NotoSansSymbols2",
    "NotoSansMath",
)

EAST_ASIAN_ENCODINGS = ("gb2312", "big5", "big5hkscs", "shift_jis", "euc_kr")
EAST_ASIAN_BLOCKS = (
    range(0x1100, 0x1200),  # Hangul, letter by letter
    range(0x3000, 0x3400),  # punctuation, kana, Bopomofo, marks
    range(0x4E00, 0xA000),  # every ideograph of the basic block
    range(0xAC00, 0xD7A4),  # Hangul
    range(0xF900, 0xFB00),  # ideographs that were encoded twice
    range(0xFE30, 0xFE50),
    range(0xFF00, 0xFFF0),  # letters of full width
)


def main(packages: Path) -> None:
    for name in FAMILIES:
        font = TTFont(packages / CORE.format(name=name))
        _write(font, font.getBestCmap(), ["*"], FOLDER / f"{name}-Regular.ttf")
    font = TTFont(packages / EMOJI)
    font.flavor = None
    _write(font, font.getBestCmap(), [], FOLDER / "NotoEmoji-Regular.ttf")
    collection = TTCollection(packages / CJK)
    font = next(font for font in collection.fonts if font["name"].getDebugName(1) == CJK_FAMILY)
    _write(font, _east_asian(), ["ccmp", "ljmo", "vjmo", "tjmo"], FOLDER / "NotoSansCJKsc-Regular.otf")
    _write_coverage()


def _east_asian() -> Iterator[int]:
    """What the national standards hold that are used for names and texts, and the blocks that hold nearly all of it."""
    for block in EAST_ASIAN_BLOCKS:
        yield from block
    for code in range(0x2E80, 0x30000):
        if any(_is_encoded(code, encoding) for encoding in EAST_ASIAN_ENCODINGS):
            yield code


def _is_encoded(code: int, encoding: str) -> bool:
    try:
        chr(code).encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _write(font: TTFont, characters: Iterable[int], features: list[str], to: Path) -> None:
    """The font with those characters and the glyphs that those features make of them; without hints for screens."""
    options = subset.Options()
    options.hinting = False
    options.layout_features = features
    options.drop_tables += ["vhea", "vmtx", "VORG", "BASE"]
    options.name_IDs = ["*"]
    options.notdef_outline = True
    options.recalc_timestamp = False
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=characters)
    subsetter.subset(font)
    font.recalcTimestamp = False
    font.save(to)


def _write_coverage() -> None:
    """The characters of each font, as ranges; of Source Sans 3, those that all its faces have."""
    coverage: dict[str, list[list[int]]] = {}
    main_faces = [set(TTFont(path).getBestCmap()) for path in sorted(FOLDER.glob("SourceSans3-*.ttf"))]
    coverage["Source Sans 3"] = list(_ranges(set.intersection(*main_faces)))
    files = [*(f"{name}-Regular.ttf" for name in FAMILIES), "NotoSansCJKsc-Regular.otf", "NotoEmoji-Regular.ttf"]
    for path in (FOLDER / name for name in files):
        font: Any = TTFont(path)
        coverage[font["name"].getDebugName(1)] = list(_ranges(set(font.getBestCmap())))
    lines = ",\n".join(f'  "{name}": {json.dumps(ranges, separators=(",", ":"))}' for name, ranges in coverage.items())
    (FOLDER / "coverage.json").write_text(f"{{\n{lines}\n}}\n")


def _ranges(codes: set[int]) -> Iterator[list[int]]:
    """First and last of each unbroken run."""
    start = last = None
    for code in sorted(codes):
        if last is not None and code == last + 1:
            last = code
            continue
        if start is not None and last is not None:
            yield [start, last]
        start = last = code
    if start is not None and last is not None:
        yield [start, last]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
