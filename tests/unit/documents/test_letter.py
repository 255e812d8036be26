"""The report reads like a clinician's letter: the answer and its signer on page one, whatever is long after them."""

import random
import re
from datetime import UTC, datetime
from io import BytesIO
from typing import Any
from uuid import UUID

import pytest
from pypdf import PdfReader

from documents.content import Entry, Image, Message, ReportContent
from documents.length import MAX_PAGES, pages_of
from documents.page import CUT, shortened
from documents.report import render_report
from tests.unit.documents.test_report import pages, small

UUID_OR_HASH = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-|[0-9a-f]{32}")
WORDS = [
    "lésion",
    "érythémateuse",
    "de",
    "12 mm",
    "sur",
    "8 mm,",
    "à bords",
    "nets,",
    "sans",
    "ulcération",
    "ni",
    "saignement",
    "depuis",
]


def prose(length: int, seed: int = 1) -> str:
    """A text of about that many characters, in sentences and lines."""
    chance = random.Random(seed)  # noqa: S311 - the same text every time
    text = ""
    while len(text) < length:
        text += " ".join(chance.choices(WORDS, k=chance.randint(4, 14))) + chance.choice([". ", ". ", ".\n", ".\n\n"])
    return text[:length].strip()


def letter(report: ReportContent, written: int, exchange: int, form: int, **changes: Any) -> ReportContent:
    """A report whose texts, messages and form's answers have about those lengths."""
    answer = (
        Entry(label="Qualité des photos", value="Bonne", leads=True, brief=True),
        Entry(label="Observations", value="OBS " + prose(written)),
        Entry(label="Impression diagnostique", value="IMPRESSION " + prose(written // 2, 2), leads=True),
        Entry(label="Recommandations", value="RECOMMANDATION " + prose(written, 3), leads=True),
        Entry(label="Plan de traitement", value="PLAN " + prose(written, 4), leads=True),
        Entry(label="Biopsie", value="Recommandée, par le demandeur", leads=True, brief=True),
        Entry(label="Urgence", value="Diriger le patient sans délai", leads=True, brief=True),
        Entry(label="Suivi", value="SUIVI " + prose(written // 4, 5), leads=True),
    )
    at = datetime(2026, 11, 2, 15, tzinfo=UTC)
    said = tuple(Message(author="Dr Étienne Gagnon", at=at, text=prose(exchange, n)) for n in range(8) if exchange)
    asked = (
        Entry(label="Motif", value="MOTIF " + prose(form), leads=True),
        *(Entry(label=f"Champ {n}", value=f"F{n}F " + prose(form, n)) for n in range(20) if form),
    )
    return report.model_copy(update={"answer": answer, "exchange": said, "question": asked, **changes})


@pytest.mark.parametrize("written", [40, 1_500, 12_000])
@pytest.mark.parametrize(
    ("exchange", "form", "kind", "language"), [(0, 0, "preliminary", "en"), (3_000, 400, "final", "fr")]
)
def test_the_answer_and_its_signer_stand_on_page_one(
    report: ReportContent, written: int, exchange: int, form: int, kind: Any, language: Any
) -> None:
    printed = pages(render_report(letter(report, written, exchange, form, kind=kind, language=language)))
    first = printed[0]
    for expected in (
        "Dr Étienne Gagnon",
        "98765",
        "Dermatologue",
        "IMPRESSION",
        "RECOMMANDATION",
        "PLAN",
        "SUIVI",
        "Recommandée, par le demandeur",
        "Diriger le patient sans délai",
        "Signé électroniquement par" if language == "fr" else "Signed electronically by",
    ):
        assert expected in first
    whole = " ".join(printed)
    assert f"F19F {prose(form, 19)[:30]}".split("\n")[0] in whole if form else True
    assert [word in whole for word in ("OBS", "MOTIF")] == [True, True]


def test_what_was_cut_on_page_one_follows_whole(report: ReportContent) -> None:
    content = letter(report, 3_000, 0, 0)
    printed = pages(render_report(content))
    assert CUT in printed[0]
    body = " ".join(
        " ".join(page.partition("Rapport final")[2].split(" Demande TC-")[0].split()) for page in printed[1:]
    )
    for entry in content.answer:
        assert entry.brief or " ".join(entry.value.split()) in body or " ".join(entry.value.split()) in printed[0]


def test_what_fits_is_neither_cut_nor_printed_twice(report: ReportContent) -> None:
    printed = pages(render_report(letter(report, 120, 0, 0)))
    assert CUT not in printed[0]
    assert "Réponse complète" not in " ".join(printed)
    assert " ".join(printed).count("RECOMMANDATION") == 1


def test_an_addendum_is_one_page_and_repeats_nothing(report: ReportContent) -> None:
    content = letter(report, 2_000, 900, 500, kind="addendum")
    content = content.model_copy(update={"answer": (Entry(label="Addenda", value="Culture négative.", leads=True),)})
    (page,) = pages(render_report(content))
    for expected in ("Addenda", "Culture négative.", "Marie-Ève Côté-Lafrenière", "1ᵉʳ mai 1984", "Dr Étienne Gagnon"):
        assert expected in page
    for repeated in ("MOTIF", "F3F", "Photo 1", "Questions et réponses"):
        assert repeated not in page


def test_no_page_is_left_for_a_signature_or_a_note_alone(report: ReportContent) -> None:
    """Texts of growing length push the end of the document over every edge of a page."""
    for length in range(250, 1_300, 150):
        printed = pages(render_report(letter(report, length, 0, 0, images=())))
        for number, page in enumerate(printed):
            assert ("Signé électroniquement" in page) == (number == 0)
            said = page.partition("Rapport final")[2].rpartition(" Demande TC-")[0]
            assert len(said) > 20, (length, number, page)


def test_nothing_above_the_patient_but_the_clinic_and_what_it_is(report: ReportContent) -> None:
    for kind in ("preliminary", "final", "addendum"):
        for page in pages(render_report(report.model_copy(update={"kind": kind}))):
            above, _, _ = page.partition("Marie-Ève Côté-Lafrenière")
            assert not UUID_OR_HASH.search(above)
            assert not re.search(r"[0-9a-f]{32}", page)


def test_a_document_whose_date_is_not_known_is_still_named() -> None:
    earlier = {"document_id": "01936d3c-0000-7cc1-8a55-1f2e3d4c5b6a", "sha256": "ab" * 32}
    for kind, words in (
        ("final", "remplace un rapport préliminaire antérieur."),
        ("addendum", "complète le rapport final, qui demeure valide."),
    ):
        assert words in pages(render_report(small(kind=kind, earlier=earlier)))[0]


def test_a_long_name_stays_in_the_head_of_the_page(report: ReportContent) -> None:
    name = "Marie-Philomène " * 24
    patient = report.patient.model_copy(update={"name": name.strip()})
    printed = pages(render_report(letter(report, 3_000, 0, 0, patient=patient)))
    assert all("Marie-Philomène Marie-Philomène" in page and "1ᵉʳ mai 1984" in page for page in printed)


def test_content_frozen_before_is_printed_as_a_letter_too() -> None:
    """Nothing in it says what leads, what is brief, when the earlier document was signed, or which photos there are."""
    answer = [{"label": label, "value": prose(3_000)} for label in ("Observations", "Impression", "Recommandations")]
    first = pages(render_report(small(kind="final", question=[{"label": "Motif", "value": "Eczéma"}], answer=answer)))[
        0
    ]
    for expected in ("Observations", "Impression", "Recommandations", "Signé électroniquement par E. F."):
        assert expected in first


def test_the_data_names_every_image(report: ReportContent) -> None:
    attachment = next(iter(PdfReader(BytesIO(render_report(report))).attachment_list))
    read = ReportContent.model_validate_json(attachment.content)
    assert [(image.number, image.id, image.sha256) for image in read.images] == [
        (1, UUID("01936d3c-7b2a-7cc1-8a55-000000000011"), "cd" * 32),
        (2, UUID("01936d3c-7b2a-7cc1-8a55-000000000012"), "ef" * 32),
    ]


def test_many_images_break_over_pages(report: ReportContent) -> None:
    image = report.images[0]
    images = tuple(Image.model_validate({**image.model_dump(), "number": number}) for number in range(1, 61))
    printed = " ".join(pages(render_report(letter(report, 200, 0, 0, images=images))))
    assert all(f"Photo {number} " in printed for number in range(1, 61))


def test_texts_are_cut_between_words() -> None:
    assert shortened("un deux trois", 100) == "un deux trois"
    assert shortened("Bétaméthasone 0,1\u00a0% deux fois", 18) == "Bétaméthasone […]"
    assert shortened("a\nb\nc\nd\ne", 60) == "a\nb […]"
    assert shortened("mot" * 100, 60) == "mot" * 20 + " […]"
    for length in range(1, 200):
        cut = shortened(prose(400), length)
        assert prose(400).startswith(cut.removesuffix(f" {CUT}"))


def test_the_length_is_told_in_pages() -> None:
    assert pages_of([]) == pages_of(["", "  "]) == 0
    assert pages_of(["un mot"]) == 1
    assert pages_of([prose(20_000)]) < MAX_PAGES < pages_of([prose(20_000)] * 3)
    assert pages_of(["\v" * 100 + "x\u2028" * 900]) > MAX_PAGES
    assert pages_of(["字" * 40_000]) > MAX_PAGES
