"""The local mail server, spoken to over real SMTP and HTTP."""

import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

import aiosmtplib
import httpx
import pytest

from embedded.mail_server import answers
from embedded.ports import choose_ports
from tests.embedded.processes import running
from tests.eventually import PATIENCE_SECONDS, eventually


@dataclass(frozen=True)
class MailServer:
    folder: Path
    smtp_port: int
    page: httpx.AsyncClient
    pid: int

    async def send(self, message: EmailMessage, *, to: str | None = None) -> None:
        await aiosmtplib.send(
            message, recipients=[to] if to else None, hostname="127.0.0.1", port=self.smtp_port, start_tls=False
        )

    async def mails(self, **query: str) -> list[dict[str, object]]:
        return list((await self.page.get("/api/mails", params=query)).raise_for_status().json())


@pytest.fixture
async def mail_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MailServer]:
    monkeypatch.setenv("RELAIS_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    ports = choose_ports({"smtp": "RELAIS_TEST_SMTP", "page": "RELAIS_TEST_PAGE"}, {})
    command = [sys.executable, "-m", "cli", "mail"]
    command += ["--smtp-port", str(ports["smtp"]), "--page-port", str(ports["page"])]
    page = f"http://127.0.0.1:{ports['page']}"
    async with (
        running(command, tmp_path / "log") as process,
        httpx.AsyncClient(base_url=page, trust_env=False, timeout=PATIENCE_SECONDS) as client,
    ):
        await eventually(lambda: answers(ports["smtp"], ports["page"]))
        yield MailServer(tmp_path / "mail", ports["smtp"], client, process.pid)


def notice(message_id: str = "<one@relais.invalid>", *, subject: str = "Demande TC-2026-000001") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Relais <ne-pas-repondre@relais.invalid>"
    message["To"] = "d.tremblay@clinique.invalid"
    message["Subject"] = subject
    message["Message-ID"] = message_id
    message.set_content("Une demande vous attend à l’adresse http://127.0.0.1:8000/")
    message.add_alternative("<p>Une demande <b>vous attend</b>.</p><script>alert(1)</script>", subtype="html")
    return message


async def test_keeps_the_same_message_id_once_and_counts_the_deliveries(mail_server: MailServer) -> None:
    await mail_server.send(notice())
    await mail_server.send(notice())
    await mail_server.send(notice("<two@relais.invalid>"))
    assert {(mail["message_id"], mail["deliveries"]) for mail in await mail_server.mails()} == {
        ("<one@relais.invalid>", 2),
        ("<two@relais.invalid>", 1),
    }
    assert len(list(mail_server.folder.glob("*.eml"))) == 2


async def test_the_file_is_the_mail_that_was_sent(mail_server: MailServer) -> None:
    sent = notice()
    sent.as_bytes()  # chooses the boundary between the parts, once
    await mail_server.send(sent)
    (kept,) = mail_server.folder.glob("*.eml")
    assert kept.read_bytes().replace(b"\r\n", b"\n").strip() == sent.as_bytes().strip()
    assert kept.stat().st_mode & 0o777 == 0o600


async def test_lists_the_newest_first_and_by_recipient(mail_server: MailServer) -> None:
    for number in range(3):
        await mail_server.send(notice(f"<{number}@relais.invalid>", subject=f"Avis {number}"))
    await mail_server.send(notice("<other@relais.invalid>", subject="Autre"), to="a.roy@clinique.invalid")
    assert [mail["subject"] for mail in await mail_server.mails()] == ["Autre", "Avis 2", "Avis 1", "Avis 0"]
    assert [mail["subject"] for mail in await mail_server.mails(to="a.roy@clinique.invalid")] == ["Autre"]


@pytest.mark.parametrize(("domain", "code"), [("refuse.invalid", 550), ("busy.invalid", 451), ("BUSY.invalid", 451)])
async def test_refuses_addresses_for_demonstration(mail_server: MailServer, domain: str, code: int) -> None:
    with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as refusal:
        await mail_server.send(notice(), to=f"someone@{domain}")
    assert [recipient.code for recipient in refusal.value.recipients] == [code]
    assert await mail_server.mails() == []


async def test_shows_a_mail_without_running_what_is_in_it(mail_server: MailServer) -> None:
    await mail_server.send(notice(subject="<script>alert(2)</script>"))
    listed = await mail_server.page.get("/")
    (mail,) = await mail_server.mails()
    shown = await mail_server.page.get(f"/mails/{mail['name']}")
    assert "d.tremblay@clinique.invalid" in listed.text
    assert "Une demande vous attend à l’adresse" in shown.text
    assert "<script" not in listed.text + shown.text
    assert 'sandbox="allow-popups' in shown.text
    assert "default-src 'none'" in shown.headers["content-security-policy"]
    source = await mail_server.page.get(f"/mails/{mail['name']}.eml")
    assert source.headers["content-type"].startswith("text/plain")


async def test_gives_the_parts_to_programs(mail_server: MailServer) -> None:
    await mail_server.send(notice())
    (mail,) = await mail_server.mails()
    content = (await mail_server.page.get(f"/api/mails/{mail['name']}")).json()
    assert content["text"].startswith("Une demande vous attend")
    assert content["html"].startswith("<p>Une demande")
    assert ["Message-ID", "<one@relais.invalid>"] in content["headers"]
    assert (await mail_server.page.get("/api/mails/none")).status_code == 404
