"""The certificate of the longest list: it is drawn and sealed within the limits of a document, and Relais checks it itself."""

import hashlib
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

from documents.authority import Authority
from documents.bounded import check_pdf, draw_case, sign_report
from documents.content import Practitioner
from domain.retention import MOST_AT_ONCE, MOST_THINGS, RetentionPolicy
from records.canonical import content_sha256
from use_cases.certificates import Certificate, CertifiedDestruction, DestroyedThing, paper_of
from use_cases.names import PersonView
from use_cases.verification import MAX_FILE_BYTES

NOW = datetime(2037, 3, 1, 9, 0, tzinfo=UTC)


def longest() -> Certificate:
    """As much as a list ever holds."""
    things = [
        DestroyedThing(kind="attachment", id=str(uuid4()), sha256=hashlib.sha256(uuid4().bytes).hexdigest())
        for _ in range(MOST_THINGS // MOST_AT_ONCE)
    ]
    destroyed = [
        CertifiedDestruction(
            request_id=uuid4(),
            number=f"TC-2026-{number:06}",
            offering="teledermatology",
            last_entry_at=NOW - timedelta(days=11 * 366),
            kept_until=date(2036, 11, 3),
            destroyed_at=NOW,
            things=things,
            rows={"requests": 1},
        )
        for number in range(MOST_AT_ONCE)
    ]
    clinic_id, account_id = uuid4(), uuid4()
    return Certificate(
        list_id=UUID("01936d3c-7b2a-7cc1-8a55-1f2e3d4c5b6a"),
        clinic="Clinique du Fleuve",
        policies=[RetentionPolicy()],
        listed_at=NOW,
        approved_by=PersonView(id=account_id, name="Anne Roy", clinic_id=clinic_id, clinic="Clinique du Fleuve"),
        approved_at=NOW,
        completed_at=NOW,
        destroyed=destroyed,
        kept=[],
    )


async def test_the_longest_is_made_and_checked(authority: Authority) -> None:
    certificate = longest()
    sha256 = content_sha256(certificate.model_dump(mode="json"))
    drawn = await draw_case(paper_of(certificate, sha256, ["1, rue du Port"], "fr"), {})
    signer = Practitioner(name="Clinique du Fleuve", clinic="Clinique du Fleuve")
    at = datetime.now(UTC)
    sealed = await sign_report(drawn, authority, uuid4(), signer, reason="Certificat", at=at)
    assert len(sealed.pdf) < MAX_FILE_BYTES
    verdict = await check_pdf(sealed.pdf, [authority.root_certificate_pem], at=at)
    assert verdict.valid, verdict.problems


def test_what_was_in_a_request_makes_no_paper_longer() -> None:
    certificate = longest()
    bare = certificate.model_copy(
        update={"destroyed": [one.model_copy(update={"things": one.things[:1]}) for one in certificate.destroyed]}
    )
    lines = [paper_of(one, "0" * 64, [], "en").sections[0].said for one in (certificate, bare)]
    assert [len(said) for said in lines] == [MOST_AT_ONCE, MOST_AT_ONCE]
    assert not any(one.text for said in lines for one in said)
