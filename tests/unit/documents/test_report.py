"""What is on the paper, and that the paper is what archives and screen readers need."""

from io import BytesIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from pypdf import PdfReader

from documents.content import Entry, Patient, Practitioner, ReportContent
from documents.report import render_report
from documents.typesetting import french_spaces
from translations.typography import NO_BREAK_SPACE

SMALL_REPORT: dict[str, Any] = {
    "language": "fr",
    "kind": "preliminary",
    "document_id": "01936d3c-7b2a-7cc1-8a55-1f2e3d4c5b6a",
    "request_number": "TC-2026-000001",
    "priority": "routine",
    "offering_title": "Télédermatologie",
    "asked_at": "2026-11-01T14:05:00Z",
    "signed_at": "2026-07-01T03:30:00Z",
    "clinic": {"name": "Clinique"},
    "patient": {"name": "A. B."},
    "requester": {"name": "C. D."},
    "signer": {"name": "E. F."},
    "question": [],
    "answer": [{"label": "Impression", "value": "Rien à signaler."}],
}


def small(**changes: Any) -> ReportContent:
    return ReportContent.model_validate(SMALL_REPORT | changes)


def pages(pdf: bytes) -> list[str]:
    """The words of each page, with single spaces."""
    return [" ".join(page.extract_text().split()) for page in PdfReader(BytesIO(pdf)).pages]


def text(report: ReportContent) -> str:
    return " ".join(pages(render_report(report)))


def test_same_content_gives_the_same_bytes(report: ReportContent, unsigned: bytes) -> None:
    assert render_report(report) == unsigned
    assert unsigned.endswith(b"%%EOF\n")


def test_is_identified_as_pdf_a_3a_and_pdf_ua_1(unsigned: bytes) -> None:
    catalogue: Any = PdfReader(BytesIO(unsigned)).trailer["/Root"]
    metadata = catalogue["/Metadata"].get_data().decode()
    assert "<pdfaid:part>3</pdfaid:part>" in metadata
    assert "<pdfaid:conformance>A</pdfaid:conformance>" in metadata
    assert "<pdfuaid:part>1</pdfuaid:part>" in metadata
    assert catalogue["/OutputIntents"][0]["/S"] == "/GTS_PDFA1"
    assert catalogue["/MarkInfo"]["/Marked"].value is True
    assert catalogue["/Lang"] == "fr-CA"
    assert catalogue["/ViewerPreferences"]["/DisplayDocTitle"].value is True


def test_every_font_is_embedded(unsigned: bytes) -> None:
    fonts: dict[str, Any] = {}
    for page in PdfReader(BytesIO(unsigned)).pages:
        resources: Any = page["/Resources"]
        fonts |= {font["/BaseFont"]: font["/DescendantFonts"][0] for font in resources["/Font"].values()}
    assert {name.split("+")[1] for name in fonts} == {"SourceSans3-Regular", "SourceSans3-Semibold", "SourceSans3-It"}
    assert all("/FontFile2" in font["/FontDescriptor"] for font in fonts.values())


def test_says_when_it_was_made_and_what_it_is(report: ReportContent, unsigned: bytes) -> None:
    information = PdfReader(BytesIO(unsigned)).metadata
    assert information is not None
    assert information.creation_date == report.signed_at
    assert information.title == "Rapport final – TC-2026-000123"
    assert information.author == "Dr Étienne Gagnon"


def test_carries_its_own_content(report: ReportContent, unsigned: bytes) -> None:
    attachment = next(iter(PdfReader(BytesIO(unsigned)).attachment_list))
    assert attachment.name == "report.json"
    assert ReportContent.model_validate_json(attachment.content) == report


def test_every_page_names_the_request_the_document_the_patient_and_its_place(
    report: ReportContent, unsigned: bytes
) -> None:
    words = pages(unsigned)
    assert len(words) == 3
    for number, page in enumerate(words, start=1):
        assert f"Demande {report.request_number} · Document {report.document_id}" in page
        assert f"Page {number} de 3" in page
        assert "Marie-Ève Côté-Lafrenière" in page
        assert "1ᵉʳ mai 1984" in page
        assert "COTM 8455 0112" in page


def test_shows_everything(report: ReportContent) -> None:
    words = text(report)
    for expected in (
        "Clinique de dermatologie du Saint-Laurent",
        "1200, rue des Érables, bureau 300",
        "418 555-0123",
        "Rapport final Télédermatologie",
        "Ce rapport remplace le rapport préliminaire du 2 novembre 2026 à 7 h 30.",
        "Naissance 1ᵉʳ mai 1984",
        "Assurance maladie COTM 8455 0112",
        "Sexe Féminin",
        "Dre Nathalie Tremblay Médecin de famille Permis 12345 GMF des Deux-Rives",
        "Priorité Rapide",
        "Demandée le 1ᵉʳ novembre 2026 à 9 h 05",
        "Motif de consultation Lésion de l’avant-bras gauche",
        "Allergies Non précisé",
        "Dr Étienne Gagnon 2 novembre 2026 à 10 h 00 Y a-t-il eu de la fièvre ?",
        "Signé électroniquement par Dr Étienne Gagnon Dermatologue Permis 98765",
        "3 novembre 2026 à 14 h 05 (HNE)",
        "Impression diagnostique Eczéma nummulaire probable. À revoir.",
        "Photo 1 Vue d’ensemble, prise le 31 octobre 2026 à 16 h 12",
        "Photo 2 Gros plan, moment de la prise inconnu",
        "elle prouve qui a signé",
    ):
        assert expected in words


@pytest.mark.parametrize("name", ["Wolfeschlegelsteinhausen" * 30, "ᐊᓂᓄᓇᕗᑦ" * 100])
def test_a_name_of_any_length_is_whole_on_page_one_and_cut_above_the_others(report: ReportContent, name: str) -> None:
    patient = report.patient.model_copy(update={"name": name})
    drawn = [
        page.extract_text()
        for page in PdfReader(BytesIO(render_report(report.model_copy(update={"patient": patient})))).pages
    ]
    assert name in "".join(drawn[0].split())
    assert all(f"{name[:20]}" in text and "…" in text.splitlines()[0] for text in drawn[2:])


def test_speaks_english_too(report: ReportContent) -> None:
    words = text(report.model_copy(update={"language": "en", "kind": "addendum"}))
    for expected in (
        "Addendum Télédermatologie",
        "This addendum completes the final report of November 2, 2026 at 7:30 am, which remains valid.",
        "Birth May 1, 1984 (42 years old)",
        "Signed electronically by",
        "November 3, 2026 at 2:05 pm (EST)",
        "Page 1 of 2",
    ):
        assert expected in words


def test_a_preliminary_report_says_so_on_every_page() -> None:
    words = pages(render_report(small(answer=[{"label": "Avis", "value": "Une phrase assez longue. " * 400}])))
    assert len(words) == 3
    assert "Ce rapport est préliminaire. Un rapport final suivra." in words[0]
    assert all("Rapport préliminaire" in page for page in words)


def test_what_is_not_known_leaves_no_trace() -> None:
    words = text(small())
    for label in ("Naissance", "Assurance maladie", "Sexe", "Permis", "Question", "SHA-256", "None"):
        assert label not in words


def test_times_are_those_of_the_clinics() -> None:
    assert "30 juin 2026 à 23 h 30 (HAE)" in text(small())


def test_typed_text_is_never_markup() -> None:
    typed = '#let x = 1 $a^2$ *gras* _it_ @ref <b> `code` \\ "guillemets" [x] // c /* d */ = e --- ~ #import "x"'
    assert typed in text(small(answer=[{"label": "#a *b*", "value": typed}]))


def test_line_breaks_are_kept() -> None:
    report = small(answer=[{"label": "Plan", "value": "un\r\ndeux\n\ntrois"}])
    lines = PdfReader(BytesIO(render_report(report))).pages[0].extract_text().split("\n")
    assert "".join(f"{line}|" for line in lines if line.strip()).count("Plan|un|deux|trois|") == 1


def test_a_word_longer_than_the_line_is_broken_and_stays_on_the_page() -> None:
    extracted = PdfReader(BytesIO(render_report(small(answer=[{"label": "Mot", "value": "mot" * 100}])))).pages[0]
    broken = [line for line in extracted.extract_text().split("\n") if set(line) == set("mot")]
    assert "".join(broken) == "mot" * 100
    assert len(broken) > 1


def test_french_signs_are_kept_on_the_line_of_their_word() -> None:
    typed = "Quoi ? Ceci : « cela » ! À 10:30 ; voir https://exemple.ca/?a."
    assert french_spaces(typed) == "Quoi_? Ceci_: «_cela_»_! À 10:30_; voir https://exemple.ca/?a.".replace(
        "_", NO_BREAK_SPACE
    )
    assert typed in text(small(answer=[{"label": "Avis", "value": typed}]))


def test_signs_that_no_font_has_are_printed_as_their_code() -> None:
    report = small(
        patient={"name": "\U0002a6b2"},
        answer=[{"label": "Avis", "value": "Bien \U0001f642\ufe0f\u202e\x00 ≤ 5 µg ± ½"}],
    )
    words = text(report)
    assert "[U+2A6B2]" in words
    assert "Un signe que ce document ne peut pas imprimer y figure par son code" in words
    assert "Bien 🙂 ≤ 5 µg ± ½" in words


@settings(max_examples=40, deadline=None)
@given(value=st.text(max_size=400), name=st.text(min_size=1, max_size=80))
def test_any_text_can_be_printed_and_is_attached_as_it_was_written(value: str, name: str) -> None:
    report = small(
        patient=Patient(name=name),
        signer=Practitioner(name=name, title=value),
        answer=(Entry(label=name, value=value),),
    )
    attachment = next(iter(PdfReader(BytesIO(render_report(report))).attachment_list))
    assert ReportContent.model_validate_json(attachment.content) == report


def test_an_addendum_names_what_it_adds_to() -> None:
    with pytest.raises(ValidationError, match="names the document"):
        small(kind="addendum")
