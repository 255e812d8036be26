"""What was typed is what stands on the page: white space, invisible characters, and the scripts that people write names in."""

import sys
import unicodedata
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pypdf import PdfReader

from documents import typefaces
from documents.report import fonts, render_report
from documents.typesetting import typeset, unprintable
from tests.unit.documents.test_report import pages, small
from translations.typography import NO_BREAK_SPACE

EVERY_CHARACTER = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code <= 0xDFFF]
WHITE_SPACE = [c for c in EVERY_CHARACTER if c.isspace() or unicodedata.category(c) in ("Zs", "Zl", "Zp")]
LINE_BREAKS = "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
INVISIBLE = [c for c in EVERY_CHARACTER if unicodedata.category(c) in ("Cc", "Cf") and c not in WHITE_SPACE]
SEEN_FORMAT_CHARACTERS = "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"

NAMES = {
    "Inuktitut": "ᐃᓄᒃᑎᑐᑦ ᓄᓇᕗᑦ",
    "Cree": "ᓀᐦᐃᔭᐍᐏᐣ",
    "Chinese": "王小明 歐陽詢 喆堃",
    "Japanese": "さくら タナカ 田中",
    "Korean": "김철수",
    "Devanagari": "नमस्ते शर्मा",
    "Bengali": "রবীন্দ্রনাথ",
    "Punjabi": "ਗੁਰਪ੍ਰੀਤ ਸਿੰਘ",
    "Tamil": "தமிழ்ச்செல்வி",
    "Thai": "สมชาย",
    "Khmer": "សុខា",
    "Vietnamese": "Nguyễn Thị Ánh Ngọc",
    "Cyrillic": "Олександр Їжакевич",
    "Greek": "Ελένη Παπαδοπούλου",
    "Armenian": "Հայկ",
    "Georgian": "თამარ",
    "Amharic": "ኃይለ",
    "Arabic": "محمد عبد الله",
    "Persian": "می‌خواهم",
    "Urdu": "ٹیپو",
    "Hebrew": "יעל כהן",
    "Syriac": "ܫܠܡܐ",
    "Innu": "Tshikuanᵘ Mishtikushiu’",
    "Inuktitut in Latin letters": "Kiviuq Łapaŋi ʼꞌˀ",
    "Abenaki": "W8banaki Wôbanaki",
    "Mohawk": "Kanien’kehá꞉ka",
    "Wendat": "Ȣendat",
}
RIGHT_TO_LEFT = ("Arabic", "Persian", "Urdu", "Hebrew", "Syriac")


def drawn(value: str, **more: Any) -> list[str]:
    """The words of the first page's answer, as a reader of the PDF finds them."""
    (page,) = pages(render_report(small(answer=[{"label": "Avis", "value": value}], **more)))
    return page.partition(" Avis ")[2].partition(" Demande TC-")[0].split()


@pytest.mark.parametrize("language", ["fr", "en"])
def test_no_white_space_disappears(language: Any) -> None:
    """Every white-space character of Unicode between a number and its unit; the separators of lines end a line."""
    assert len(WHITE_SPACE) >= 29
    for character in WHITE_SPACE:
        text = typeset(f"5{character}mg", language)
        assert text.split() == ["5", "mg"], f"U+{ord(character):04X}"
        assert ("\n" in text) == (character in LINE_BREAKS), f"U+{ord(character):04X}"
        assert unprintable(f"5{character}mg") == ()


def test_no_white_space_disappears_from_the_page() -> None:
    value = "".join(f"{number}{character}mg " for number, character in enumerate(WHITE_SPACE, start=100))
    expected = [word for number in range(100, 100 + len(WHITE_SPACE)) for word in (str(number), "mg")]
    assert drawn(value) == expected


def test_a_space_that_holds_stays_one() -> None:
    for character in "\u00a0\u2007\u202f":
        assert typeset(f"12{character}500{character}UI", "fr") == f"12{NO_BREAK_SPACE}500{NO_BREAK_SPACE}UI"
    assert typeset("5\u2009mg\u3000x\u2002y", "fr") == "5 mg x y"


def test_what_is_invisible_glues_nothing_to_a_number() -> None:
    for character in INVISIBLE:
        if character not in SEEN_FORMAT_CHARACTERS:
            for text in (f"5{character}mg", f"mg{character}5", f"5{character}10"):
                assert len(typeset(text, "fr").split()) == 2, f"U+{ord(character):04X}"


def test_what_is_invisible_splits_no_number() -> None:
    for character in "\u200b\u2060\u200d\ufeff":
        for written in ("0,5 mg", "0.5 mg", "1 000,50"):
            split = written.replace(",", f",{character}").replace(".", f".{character}")
            assert typeset(split, "en") == written, f"U+{ord(character):04X}"


def test_what_is_invisible_leaves_nothing_elsewhere() -> None:
    assert typeset("\ufeffLé\u00adsion\u202e \u200bnette.\u2060", "fr") == "Lésion nette."
    assert typeset("nom\x07prénom", "fr") == "nom prénom"
    assert typeset("می\u200cخواهم", "fr") == "می\u200cخواهم"
    assert typeset("\u200cmot\u200d", "fr") == "mot"


def test_empty_lines_are_kept_but_not_pages_of_them() -> None:
    assert typeset("un\r\n\r\ndeux", "fr") == "un\n\ndeux"
    assert typeset("un" + "\n \r" * 500 + "deux", "fr") == "un\n\n\ndeux"


@pytest.mark.parametrize("script", NAMES)
def test_names_are_printed_in_their_own_script(script: str) -> None:
    name = NAMES[script]
    assert unprintable(name) == ()
    (page,) = pages(render_report(small(patient={"name": name}, signer={"name": name})))
    assert "[U+" not in page
    assert "par son code" not in page
    if script in RIGHT_TO_LEFT:  # a page is read back in the order in which it was drawn
        assert set(name) - set(page) - set("\u200c ") <= set(unicodedata.normalize("NFKC", name)) - set(page)
    elif script not in ("Devanagari", "Bengali", "Punjabi", "Tamil", "Thai", "Khmer"):  # nor do vowels keep their place
        assert page.count(name) == 2


def places(value: str) -> list[tuple[float, float]]:
    """Where on the first page each run of text begins, across and up, in points."""
    found = []

    def look(operator: bytes, _operands: Any, current: Any, text: Any) -> None:
        if operator in (b"Tj", b"TJ"):
            found.append((current[4] + current[0] * text[4], current[5] + current[3] * text[5]))

    document = PdfReader(BytesIO(render_report(small(answer=[{"label": "Avis", "value": value}]))))
    document.pages[0].extract_text(visitor_operand_before=look)
    return found


def test_lines_run_in_the_direction_of_their_first_letter() -> None:
    edges = {across for across, _ in places("mot")}
    arabic = {across for across, _ in places("mot\nكلمة 5 mg")} - edges
    assert arabic
    assert min(arabic) > 400
    assert max(across for across, _ in places("mot\nmot كلمة") if across not in edges) < 200


def test_a_mark_needs_the_font_of_its_letter() -> None:
    assert unprintable("e\u05b0") == ("\u05b0",)
    assert typeset("e\u05b0", "fr") == "e[U+05B0]"
    assert unprintable("\U0002a6b2, \ue000 et 🙂") == ("\U0002a6b2", "\ue000")


def test_the_table_of_characters_is_that_of_the_fonts() -> None:
    assert set(typefaces.families()) == set(fonts().families())


@given(st.text(max_size=200))
def test_typesetting_twice_changes_nothing_more(text: str) -> None:
    once = typeset(text, "fr")
    assert typeset(once, "fr") == once
    assert unprintable(once) == ()
