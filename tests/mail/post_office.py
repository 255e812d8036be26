"""A real SMTP server on the loopback that the tests can make moody: it refuses, hangs up, or says nothing."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, cast

from aiosmtpd.smtp import SMTP, Envelope, Session

from embedded.ports import LOOPBACK
from settings import Settings


class PostOffice:
    """What the server was given, and how it behaves: answers by address to RCPT and to DATA, and its mood at DATA."""

    def __init__(self) -> None:
        self.port = 0
        self.kept: list[tuple[str, EmailMessage]] = []
        self.conversations = 0
        self.at_recipient: dict[str, str] = {}
        self.at_sender: str | None = None
        self.at_data: dict[str, str] = {}
        self.hangs_up = False
        self.says_nothing = False
        self._silence = asyncio.Event()

    def settings(self, **changes: Any) -> Settings:
        """Settings that lead here, without encryption unless `changes` say so."""
        return Settings(
            **{"smtp_port": self.port, "smtp_security": "none", "smtp_timeout_seconds": 5.0, **changes},
            public_url="https://relais.example",
        )

    def kept_for(self, address: str) -> list[EmailMessage]:
        """The messages that were taken for `address`, oldest first."""
        return [message for recipient, message in self.kept if recipient == address]

    def calm_down(self) -> None:
        """From now on everything is taken."""
        self.at_recipient, self.at_data, self.at_sender = {}, {}, None
        self.hangs_up = self.says_nothing = False

    def close(self) -> None:
        """Let go of those who wait for an answer."""
        self._silence.set()

    # aiosmtpd's names

    async def handle_EHLO(  # noqa: N802
        self, _server: SMTP, session: Session, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        self.conversations += 1
        session.host_name = hostname
        return responses

    async def handle_MAIL(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return self.at_sender or "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if refusal := self.at_recipient.get(address):
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        address = str(envelope.rcpt_tos[0])
        if self.says_nothing:
            await self._silence.wait()
        if self.hangs_up:
            cast(asyncio.Transport, server.transport).abort()
            return "421 Gone"
        if refusal := self.at_data.get(address):
            return refusal
        message = message_from_bytes(cast(bytes, envelope.content), policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.kept.append((address, message))
        return "250 Kept"


@asynccontextmanager
async def open_post_office(tls: ssl.SSLContext | None = None, **smtp_options: Any) -> AsyncIterator[PostOffice]:
    """A post office that is open, encrypted from the first byte with `tls`. `smtp_options` are aiosmtpd's: STARTTLS, login."""
    office = PostOffice()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(office, hostname="localhost", **smtp_options), LOOPBACK, 0, ssl=tls)
    office.port = server.sockets[0].getsockname()[1]
    try:
        yield office
    finally:
        office.close()
        server.close()
