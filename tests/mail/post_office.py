"""A real SMTP server on the loopback that the tests can make moody: it refuses, hangs up, or says nothing."""

import asyncio
import re
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import cached_property
from types import SimpleNamespace
from typing import Any, cast

from aiosmtpd.smtp import SMTP, Envelope, Session

from embedded.ports import LOOPBACK
from settings import Settings

_MESSAGE_ID = re.compile(rb"^message-id:\s*(\S+)", re.IGNORECASE | re.MULTILINE)


@dataclass
class Taken:
    """An e-mail that was taken for an address. It is read when a test looks at it: of most, nobody reads more than the name."""

    address: str
    content: bytes

    @cached_property
    def message(self) -> EmailMessage:
        message = message_from_bytes(self.content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        return message

    @cached_property
    def message_id(self) -> str:
        found = _MESSAGE_ID.search(self.content)
        assert found
        return found[1].decode()


class PostOffice:
    """What the server was given, and how it behaves: answers by address to RCPT and to DATA, and its mood at DATA.

    `asked` counts how often somebody wanted to write to an address.
    `at_next_sender` makes the answer to the next MAIL, and to no other.
    `slow_for` makes it keep an e-mail to that address at once and say so only when it calms down.
    """

    def __init__(self) -> None:
        self.port = 0
        self.taken: list[Taken] = []
        self.conversations = 0
        self.asked: Counter[str] = Counter()
        self.at_recipient: dict[str, str] = {}
        self.at_sender: str | None = None
        self.at_next_sender: Callable[[SMTP], str] | None = None
        self.at_data: dict[str, str] = {}
        self.hangs_up = False
        self.says_nothing = False
        self.slow_for: set[str] = set()
        self._hurry = asyncio.Event()
        self.when_kept: Callable[[], None] | None = None
        self._silence = asyncio.Event()

    def settings(self, **changes: Any) -> Settings:
        """Settings that lead here, without encryption unless `changes` say so."""
        return Settings(
            **{"smtp_port": self.port, "smtp_security": "none", "smtp_timeout_seconds": 5.0, **changes},
            public_url="https://relais.example",
        )

    @property
    def kept(self) -> list[tuple[str, EmailMessage]]:
        """The messages that were taken, each with its address, oldest first."""
        return [(taken.address, taken.message) for taken in self.taken]

    def kept_for(self, address: str) -> list[EmailMessage]:
        """The messages that were taken for `address`, oldest first."""
        return [taken.message for taken in self.taken if taken.address == address]

    def calm_down(self) -> None:
        """From now on everything is taken."""
        self.at_recipient, self.at_data, self.at_sender = {}, {}, None
        self.hangs_up = self.says_nothing = False
        self.slow_for = set()
        self._hurry.set()
        self._hurry = asyncio.Event()

    def close(self) -> None:
        """Let go of those who wait for an answer."""
        self._silence.set()
        self._hurry.set()

    def at_the_counter(self) -> SimpleNamespace:
        """What aiosmtpd is shown: it asks for each attribute of what it is given, and `kept` would read all e-mails."""
        return SimpleNamespace(
            handle_EHLO=self.handle_EHLO,
            handle_MAIL=self.handle_MAIL,
            handle_RCPT=self.handle_RCPT,
            handle_DATA=self.handle_DATA,
        )

    # aiosmtpd's names

    async def handle_EHLO(  # noqa: N802
        self, _server: SMTP, session: Session, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        self.conversations += 1
        session.host_name = hostname
        return responses

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.at_next_sender is not None:
            answer, self.at_next_sender = self.at_next_sender, None
            return answer(server)
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return self.at_sender or "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        self.asked[address] += 1
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
        self.taken.append(Taken(address, cast(bytes, envelope.content)))
        if address in self.slow_for:
            await self._hurry.wait()
        if self.when_kept is not None:
            self.when_kept()
        return "250 Kept"


class AnyAddress(dict[str, str]):
    """The same answer for every address."""

    def __init__(self, answer: str) -> None:
        super().__init__()
        self._answer = answer

    def get(self, _address: str, _default: Any = None) -> Any:
        return self._answer


@asynccontextmanager
async def open_post_office(tls: ssl.SSLContext | None = None, **smtp_options: Any) -> AsyncIterator[PostOffice]:
    """A post office that is open, encrypted from the first byte with `tls`. `smtp_options` are aiosmtpd's: STARTTLS, login."""
    office = PostOffice()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(office.at_the_counter(), hostname="localhost", **smtp_options), LOOPBACK, 0, ssl=tls
    )
    office.port = server.sockets[0].getsockname()[1]
    try:
        yield office
    finally:
        office.close()
        server.close()


@asynccontextmanager
async def open_relay(answers: Mapping[str, str]) -> AsyncIterator[int]:
    """A mail server that answers as it is told at each step, and takes everything at the others; gives its port.

    The steps are ``greeting``, ``EHLO``, ``MAIL``, ``RCPT``, ``DATA`` and ``.``; lines of an answer end with CR LF.
    """
    usual = {"greeting": "220 here", "EHLO": "250 here", "DATA": "354 go on", "QUIT": "221 bye"}

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def say(step: str) -> None:
            writer.write(f"{answers.get(step) or usual.get(step, '250 well')}\r\n".encode())

        say("greeting")
        in_message = False
        while line := await reader.readline():
            step = "." if in_message else line[:4].decode().strip().upper()
            if in_message and line != b".\r\n":
                continue
            in_message = step == "DATA" and "DATA" not in answers
            say(step)
        writer.close()

    server = await asyncio.start_server(talk, LOOPBACK, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
