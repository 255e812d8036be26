"""Sending e-mails: through a real SMTP server, out of the real records, once and honestly."""

import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import select, update
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.notifications import NotificationActivities
from domain.notices import NoticeMode, SendResult
from records import notices, requests
from records.database import Database
from records.models import Notice, NoticeStatus
from records.projection import record_event
from settings import Settings
from tests.mail.post_office import PostOffice, open_post_office
from tests.records.scenes import Scene, Story, make_draft, set_scene, usual_story

SENT, ALREADY_SENT = SendResult(status="sent"), SendResult(status="already_sent")


@pytest.fixture
async def office() -> AsyncIterator[PostOffice]:
    async with open_post_office() as office:
        yield office


@dataclass
class Played:
    """The beginning of the usual story, recorded, with the ids of the notices that each event made."""

    database: Database
    scene: Scene
    story: Story
    queued: dict[int, list[UUID]]

    def address(self, name: str) -> str:
        return self.scene.accounts[name].email

    async def notice(self, version: int, name: str) -> Notice:
        """The row of the notice of that event to that person, as it is now."""
        query = select(Notice).where(
            Notice.request_id == self.story.request.id,
            Notice.version == version,
            Notice.account_id == self.scene.accounts[name].id,
            Notice.refused_notice_id.is_(None),
        )
        async with self.database.session() as session:
            return (await session.scalars(query)).one()


async def play(database: Database, steps: int = 2, modes: dict[str, NoticeMode] | None = None) -> Played:
    async with database.session() as session:
        scene = await set_scene(session, modes)
        story = usual_story(scene, requests.process_of(await make_draft(session, scene)))
        queued = {event.version: await record_event(session, event, request) for event, request in story.steps[:steps]}
    return Played(database, scene, story, queued)


async def send(settings: Settings, database: Database, notice_id: UUID, attempt: int = 1) -> SendResult:
    environment = ActivityEnvironment()
    environment.info = environment.default_info()
    environment.info = type(environment.info)(**{**vars(environment.info), "attempt": attempt})
    return await environment.run(NotificationActivities(settings, database).send_notice, notice_id)


async def send_digest(settings: Settings, database: Database, account_id: UUID, slot: str = "morning") -> SendResult:
    activities = NotificationActivities(settings, database)
    return await ActivityEnvironment().run(activities.send_digest, account_id, slot)


def plain(message: EmailMessage) -> str:
    body = message.get_body(("plain",))
    assert body is not None
    return str(body.get_content()).replace("\N{NO-BREAK SPACE}", " ")


# Taken


async def test_a_notice_is_sent_once(office: PostOffice, database: Database) -> None:
    played = await play(database)
    row = await played.notice(2, "provider")
    assert await send(office.settings(), database, row.id) == SENT
    assert await send(office.settings(), database, row.id) == ALREADY_SENT
    (message,) = office.kept_for(played.address("provider"))
    assert message["Message-ID"] == row.message_id
    assert message["Subject"].startswith(f"Relais – demande {played.story.request.number}")
    assert f"https://relais.example/requests/{played.story.request.id}" in plain(message)
    row = await played.notice(2, "provider")
    assert (row.status, row.attempts, row.last_error) == (NoticeStatus.SENT, 1, None)
    assert row.sent_at is not None


async def test_everyone_in_a_whole_story_is_told(office: PostOffice, database: Database) -> None:
    played = await play(database, steps=8)
    everything = [notice_id for ids in played.queued.values() for notice_id in ids]
    assert {(await send(office.settings(), database, notice_id)).status for notice_id in everything} == {"sent"}
    assert len(office.kept) == len(everything) > 10
    assert len({message["Message-ID"] for _, message in office.kept}) == len(everything)
    assert len({message["References"] for _, message in office.kept}) == 1
    assert not [message for _, message in office.kept if "semaines" in plain(message) or "lésion" in plain(message)]


async def test_what_was_to_do_and_is_done_by_now_is_told_as_information(office: PostOffice, database: Database) -> None:
    played = await play(database, steps=3)  # the provider has accepted; the colleague's mail was slow
    await send(office.settings(), database, (await played.notice(2, "colleague")).id)
    (message,) = office.kept_for(played.address("colleague"))
    assert "Pour information" in plain(message)
    assert "À faire" not in plain(message)


async def test_an_e_mail_whose_note_was_lost_is_sent_again_under_the_same_id(
    office: PostOffice, database: Database
) -> None:
    played = await play(database)
    row = await played.notice(2, "provider")
    await send(office.settings(), database, row.id)
    async with database.session() as session:
        await session.execute(update(Notice).where(Notice.id == row.id).values(status=NoticeStatus.QUEUED))
    assert await send(office.settings(), database, row.id) == SENT
    first, second = office.kept_for(played.address("provider"))
    assert first["Message-ID"] == second["Message-ID"]


async def test_what_is_grouped_or_suppressed_is_not_sent_alone(office: PostOffice, database: Database) -> None:
    modes = {"provider": NoticeMode.GROUPED, "requester": NoticeMode.ACTIONS_ONLY}
    played = await play(database, modes=modes)
    for name in modes:
        result = await send(office.settings(), database, (await played.notice(2, name)).id)
        assert result == SendResult(status="suppressed")
    assert office.kept == []


async def test_a_notice_that_nobody_knows_is_not_tried_again(office: PostOffice, database: Database) -> None:
    with pytest.raises(ApplicationError) as unknown:
        await send(office.settings(), database, UUID(int=0))
    assert (unknown.value.type, unknown.value.non_retryable) == ("notice_unknown", True)


# Not for now


async def not_taken(office: PostOffice, database: Database, **settings: Any) -> str:
    """Try to send a notice, which must fail for now; then calm down, and send it. Gives the code that was noted."""
    played = await play(database)
    row = await played.notice(2, "provider")
    with pytest.raises(ApplicationError) as error:
        await send(office.settings(**settings), database, row.id)
    assert (error.value.type, error.value.non_retryable) == ("mail_temporarily_refused", False)
    assert played.address("provider") not in str(error.value)
    assert error.value.__cause__ is None
    assert office.kept == []
    row = await played.notice(2, "provider")
    assert (row.status, row.attempts) == (NoticeStatus.QUEUED, 1)
    office.calm_down()
    assert await send(office.settings(), database, row.id) == SENT
    assert len(office.kept_for(played.address("provider"))) == 1
    assert (await played.notice(2, "provider")).last_error is None
    assert row.last_error is not None
    return row.last_error


async def test_a_recipient_that_is_busy_is_tried_again(office: PostOffice, database: Database) -> None:
    office.at_recipient = AnyAddress("451 4.3.2 Try again later")
    assert await not_taken(office, database) == "smtp_451"


async def test_a_message_that_is_greylisted_is_tried_again(office: PostOffice, database: Database) -> None:
    office.at_data = AnyAddress("450 4.7.1 Greylisted")
    assert await not_taken(office, database) == "smtp_450"


async def test_a_server_that_hangs_up_is_tried_again(office: PostOffice, database: Database) -> None:
    office.hangs_up = True
    assert await not_taken(office, database) == "connection_lost"


async def test_a_server_that_says_nothing_is_left_after_the_timeout(office: PostOffice, database: Database) -> None:
    office.says_nothing = True
    assert await not_taken(office, database, smtp_timeout_seconds=0.3) == "timeout"


async def test_no_server_at_all_is_tried_again(office: PostOffice, database: Database) -> None:
    async with open_post_office() as closed:
        port = closed.port
    assert await not_taken(office, database, smtp_port=port) == "no_connection"


async def test_a_sender_that_is_not_accepted_is_no_fault_of_the_recipient(
    office: PostOffice, database: Database
) -> None:
    office.at_sender = "550 5.7.1 Sender not allowed"
    assert await not_taken(office, database) == "sender_smtp_550"


async def test_nothing_goes_unencrypted_when_encryption_is_asked_for(office: PostOffice, database: Database) -> None:
    assert await not_taken(office, database, smtp_security="starttls") == "encryption_or_login_not_supported"


async def test_a_relay_that_wants_a_login_is_no_fault_of_the_recipient(office: PostOffice, database: Database) -> None:
    office.at_recipient = AnyAddress("530 5.7.0 Authentication required")
    assert await not_taken(office, database) == "smtp_530"


async def test_the_pauses_double_up_to_the_longest_one(office: PostOffice, database: Database) -> None:
    office.at_recipient = AnyAddress("451 4.3.2 Try again later")
    played = await play(database)
    row = await played.notice(2, "provider")
    pauses = []
    for attempt in (1, 2, 3, 4, 1_000_000):
        with pytest.raises(ApplicationError) as error:
            await send(office.settings(mail_retry_max_seconds=10), database, row.id, attempt)
        pauses.append(error.value.next_retry_delay)
    assert pauses == [timedelta(seconds=seconds) for seconds in (2, 4, 8, 10, 10)]


class AnyAddress(dict[str, str]):
    """The same answer for every address."""

    def __init__(self, answer: str) -> None:
        super().__init__()
        self._answer = answer

    def get(self, _address: str, _default: Any = None) -> Any:
        return self._answer


# Refused for good


async def test_a_refused_address_is_listed_and_the_dispatchers_are_told(office: PostOffice, database: Database) -> None:
    played = await play(database)
    office.at_recipient[played.address("provider")] = "550 5.1.1 No such mailbox"
    row = await played.notice(2, "provider")
    result = await send(office.settings(), database, row.id)
    assert result.status == "refused"
    assert len(result.follow_up_notice_ids) == 3  # both dispatchers, and the one who is everything
    assert await send(office.settings(), database, row.id) == result  # as after a crash before the answer
    row = await played.notice(2, "provider")
    assert (row.status, row.last_error) == (NoticeStatus.REFUSED, "smtp_550")
    async with database.session() as session:
        assert row.id in {listed.id for listed in await notices.list_undeliverable(session, played.scene.home.id)}
    for notice_id in result.follow_up_notice_ids:
        assert await send(office.settings(), database, notice_id) == SENT
    (told,) = office.kept_for(played.address("dispatcher"))
    assert "courriel non livré" in told["Subject"]
    assert played.address("provider") not in plain(told)
    assert await send(office.settings(), database, row.id) == SendResult(status="refused")


async def test_a_message_may_be_refused_for_good_as_well(office: PostOffice, database: Database) -> None:
    played = await play(database)
    office.at_data[played.address("provider")] = "554 5.7.1 Not wanted here"
    row = await played.notice(2, "provider")
    assert (await send(office.settings(), database, row.id)).status == "refused"
    assert (await played.notice(2, "provider")).last_error == "smtp_554"


@pytest.mark.parametrize("address", ["", "nobody", "a@b.invalid\r\nRCPT TO:<c@d.invalid>", "é@b.invalid"])
async def test_an_address_that_can_not_be_written_to_is_refused_as_well(
    office: PostOffice, database: Database, address: str
) -> None:
    played = await play(database)
    row = await played.notice(2, "provider")
    async with database.session() as session:
        await session.execute(update(Notice).where(Notice.id == row.id).values(address=address))
    result = await send(office.settings(), database, row.id)
    assert (result.status, len(result.follow_up_notice_ids)) == ("refused", 3)
    assert office.kept == []


async def test_a_refused_dispatcher_causes_no_further_notice(office: PostOffice, database: Database) -> None:
    played = await play(database)
    office.at_recipient = {played.address(name): "550 No" for name in ("provider", "dispatcher")}
    first = await send(office.settings(), database, (await played.notice(2, "provider")).id)
    results = [await send(office.settings(), database, notice_id) for notice_id in first.follow_up_notice_ids]
    assert sorted(result.status for result in results) == ["refused", "sent", "sent"]
    assert {result.follow_up_notice_ids for result in results} == {()}


# Digests


async def grouped(database: Database, steps: int = 5) -> Played:
    """A provider and a requester who want their notices grouped, in a story whose question was answered."""
    return await play(database, steps, {"provider": NoticeMode.GROUPED, "requester": NoticeMode.GROUPED})


async def test_a_digest_holds_everything_that_waits_and_is_sent_once(office: PostOffice, database: Database) -> None:
    played = await grouped(database)
    account_id = played.scene.accounts["provider"].id
    activities = NotificationActivities(office.settings(), database)
    assert account_id in await ActivityEnvironment().run(activities.due_digests)
    assert await send_digest(office.settings(), database, account_id) == SENT
    assert await send_digest(office.settings(), database, account_id) == ALREADY_SENT
    assert await send_digest(office.settings(), database, account_id, "noon") == SendResult(status="suppressed")
    assert account_id not in await ActivityEnvironment().run(activities.due_digests)
    (message,) = office.kept_for(played.address("provider"))
    text = plain(message)
    assert text.count("\nDemande TC-") == 1
    assert text.index("Informations supplémentaires reçues") < text.index("Attribuée à vous")  # what waits comes first
    assert "À faire : Poursuivez" in text
    assert "Acceptez la demande" not in text  # it is accepted
    assert (await played.notice(2, "provider")).status is NoticeStatus.SENT


async def test_a_digest_that_was_not_taken_says_the_same_later(office: PostOffice, database: Database) -> None:
    played = await grouped(database, steps=2)
    account_id = played.scene.accounts["provider"].id
    office.hangs_up = True
    with pytest.raises(ApplicationError) as error:
        await send_digest(office.settings(), database, account_id)
    assert error.value.type == "mail_temporarily_refused"
    office.calm_down()
    async with database.session() as session:  # more happens in the meantime
        for event, request in played.story.steps[2:5]:
            await record_event(session, event, request)
    assert await send_digest(office.settings(), database, account_id) == SENT
    assert await send_digest(office.settings(), database, account_id, "noon") == SENT
    first, second = map(plain, office.kept_for(played.address("provider")))
    assert "Attribuée à vous" in first
    assert "Informations supplémentaires reçues" not in first
    assert "Attribuée à vous" not in second
    assert "Informations supplémentaires reçues" in second


async def test_a_refused_digest_is_listed_and_the_dispatchers_are_told_once_a_request(
    office: PostOffice, database: Database
) -> None:
    played = await grouped(database)
    account_id = played.scene.accounts["provider"].id
    office.at_recipient[played.address("provider")] = "550 5.1.1 No such mailbox"
    result = await send_digest(office.settings(), database, account_id)
    assert (result.status, len(result.follow_up_notice_ids)) == ("refused", 3)
    assert await send_digest(office.settings(), database, account_id) == result
    assert {(await played.notice(version, "provider")).status for version in (2, 5)} == {NoticeStatus.REFUSED}
    assert {(await send(office.settings(), database, one)).status for one in result.follow_up_notice_ids} == {"sent"}


# Encryption and login


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for the loopback, and its key, as files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "post office")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "certificate.pem", folder / "key.pem"
    certificate_file.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate_file, key_file


def check_login(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, login: Any) -> AuthResult:
    right = isinstance(login, LoginPassword) and (login.login, login.password) == (b"relais", b"secret")
    return AuthResult(success=right, handled=False)


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's side of TLS, with a certificate that this process trusts."""
    certificate_file, key_file = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate_file))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate_file, key_file)
    return context


@pytest.fixture
async def guarded_office(tls: ssl.SSLContext) -> AsyncIterator[PostOffice]:
    """A post office that takes mail only over TLS and after a login."""
    async with open_post_office(
        tls_context=tls, require_starttls=True, auth_required=True, authenticator=check_login
    ) as office:
        yield office


LOGIN = {"smtp_security": "starttls", "smtp_username": "relais", "smtp_password": "secret"}


async def test_encrypted_and_logged_in(guarded_office: PostOffice, database: Database) -> None:
    played = await play(database)
    row = await played.notice(2, "provider")
    assert await send(guarded_office.settings(**LOGIN), database, row.id) == SENT
    assert len(guarded_office.kept) == 1


async def test_encrypted_from_the_first_byte(tls: ssl.SSLContext, database: Database) -> None:
    played = await play(database)
    row = await played.notice(2, "provider")
    async with open_post_office(tls) as office:
        assert await send(office.settings(smtp_security="tls"), database, row.id) == SENT
        assert len(office.kept) == 1


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"smtp_password": "guess"}, "connection_smtp_535"),
        ({"smtp_username": None}, "sender_smtp_530"),
        ({"smtp_host": "localhost"}, "encryption_failed"),  # the certificate is for another name
    ],
)
async def test_a_wrong_setting_is_tried_again_until_it_is_right(
    guarded_office: PostOffice, database: Database, wrong: dict[str, Any], code: str
) -> None:
    played = await play(database)
    row = await played.notice(2, "provider")
    with pytest.raises(ApplicationError):
        await send(guarded_office.settings(**{**LOGIN, **wrong}), database, row.id)
    assert (await played.notice(2, "provider")).last_error == code
    assert guarded_office.kept == []
