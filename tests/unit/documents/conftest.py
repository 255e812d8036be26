"""One report, one authority and one signed file, made once for all tests of the folder."""

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from documents.authority import Authority
from documents.content import (
    Clinic,
    EarlierDocument,
    Entry,
    Image,
    Message,
    Patient,
    Practitioner,
    ReportContent,
)
from documents.credentials import SignerCredentials
from documents.credentials import credentials as credentials_of
from documents.key_folder import KeyFolder
from documents.report import render_report
from documents.signature import sign_pdf

SECRET = b"a secret that only these tests know"
SIGNER_ID = UUID("01936d3c-7b2a-7cc1-8a55-000000000001")
SIGNED_AT = datetime(2026, 11, 3, 19, 5, 33, tzinfo=UTC)


@pytest.fixture(scope="session")
def report() -> ReportContent:
    """A final report in French, with everything in it, on three pages."""
    return ReportContent(
        language="fr",
        kind="final",
        document_id=UUID("01936d3c-7b2a-7cc1-8a55-1f2e3d4c5b6a"),
        earlier=EarlierDocument(
            document_id=UUID("01936d3c-0000-7cc1-8a55-1f2e3d4c5b6a"),
            sha256="ab" * 32,
            kind="preliminary",
            signed_at=datetime(2026, 11, 2, 12, 30, tzinfo=UTC),
        ),
        request_number="TC-2026-000123",
        priority="urgent",
        offering_title="Télédermatologie",
        asked_at=datetime(2026, 11, 1, 14, 5, tzinfo=UTC),
        signed_at=SIGNED_AT,
        clinic=Clinic(
            name="Clinique de dermatologie du Saint-Laurent",
            address_lines=("1200, rue des Érables, bureau 300", "Québec (Québec)  G1R 2S5"),
            phone="418 555-0123",
        ),
        patient=Patient(
            name="Marie-Ève Côté-Lafrenière",
            birth_date="1984-05-01",
            health_insurance_number="COTM 8455 0112",
            sex="female",
        ),
        requester=Practitioner(
            name="Dre Nathalie Tremblay",
            title="Médecin de famille",
            clinic="GMF des Deux-Rives",
            licence_number="12345",
        ),
        signer=Practitioner(
            name="Dr Étienne Gagnon",
            title="Dermatologue",
            clinic="Clinique de dermatologie du Saint-Laurent",
            licence_number="98765",
        ),
        question=(
            Entry(label="Motif de consultation", value="Lésion de l’avant-bras gauche"),
            Entry(label="Allergies", value=""),
        ),
        exchange=(
            Message(
                author="Dr Étienne Gagnon",
                at=datetime(2026, 11, 2, 15, 0, tzinfo=UTC),
                text="Y a-t-il eu de la fièvre ?",
            ),
            Message(author="Dre Nathalie Tremblay", at=datetime(2026, 11, 2, 18, 30, tzinfo=UTC), text="Non."),
        ),
        answer=(
            Entry(label="Impression diagnostique", value="Eczéma nummulaire probable.\nÀ revoir."),
            Entry(label="Plan de traitement", value="Émollient, deux fois par jour. " * 120),
        ),
        images=(
            Image(
                number=1,
                id=UUID("01936d3c-7b2a-7cc1-8a55-000000000011"),
                kind="photo",
                slot="Vue d’ensemble",
                captured_at=datetime(2026, 10, 31, 20, 12, tzinfo=UTC),
                sha256="cd" * 32,
            ),
            Image(
                number=2,
                id=UUID("01936d3c-7b2a-7cc1-8a55-000000000012"),
                kind="photo",
                slot="Gros plan",
                captured_at=None,
                sha256="ef" * 32,
            ),
        ),
    )


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.open(KeyFolder(tmp_path_factory.mktemp("documents") / "authority", SECRET))


@pytest.fixture(scope="session")
def credentials(authority: Authority) -> SignerCredentials:
    keys = authority.signer(SIGNER_ID, "Dr Étienne Gagnon", "Clinique de dermatologie du Saint-Laurent", "98765")
    return credentials_of(keys)


@pytest.fixture(scope="session")
def unsigned(report: ReportContent) -> bytes:
    return render_report(report)


@pytest.fixture(scope="session")
async def signed(unsigned: bytes, credentials: SignerCredentials) -> bytes:
    return await sign_pdf(unsigned, credentials, reason="Rapport final", at=SIGNED_AT)


@pytest.fixture(scope="session")
def signed_file(signed: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("signed") / "report.pdf"
    path.write_bytes(signed)
    return path


@pytest.fixture(scope="session")
def root_file(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("root") / "root.pem"
    path.write_bytes(authority.root_certificate_pem)
    return path
