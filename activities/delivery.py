"""Hands one e-mail to the mail server, and tells what failed for now from what was refused for good.

Refused for good (`Refused`) is what speaks of this recipient's address, by the table of `activities.smtp_answers`. Everything
else comes and goes, or is for an operator to set right, and will be tried again (`NotTaken`): no connection, no answer in time,
a login or a sender that is not accepted, a quota, a policy, a server without the encryption that the settings ask for.

Each step waits as long as RFC 5321 (4.5.3.2) asks for. After the final dot that is ten minutes: who leaves sooner sends again
what the server has taken already.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from email.message import EmailMessage
from email.policy import EmailPolicy
from functools import lru_cache
from typing import Any

import aiosmtplib
from aiosmtplib import SMTP

from activities.smtp_answers import Answer, Fault, Stage
from settings import Settings

FAREWELL_SECONDS = 5.0
"""How long the server may take to say goodbye."""

KEPT_FOR_SECONDS = 5.0
"""How long a connection waits for the next e-mail. RFC 5321 (4.5.3.2.7) lets servers wait for five minutes."""

MOST_KEPT = 16
"""At a busy moment so many events are told beside each other; each connection beyond that is a new one."""

MOST_OVER_ONE_CONNECTION = 50
"""Many servers end a connection after a hundred e-mails."""

SERVICE_ENDS = 421


SAME_IN_MANY = frozenset({"From", "To", "Content-Type"})
"""Headers that say the same in many e-mails."""

FOLDED_KEPT = 500


class _Headers(EmailPolicy):
    """How headers are written out (RFC 5322, 2.2.3). What is the same in many is folded once: it costs more than all others."""

    def fold_binary(self, name: str, value: Any) -> bytes:
        return _folded(self.utf8, name, value) if name in SAME_IN_MANY else super().fold_binary(name, value)


ASCII_HEADERS, UTF8_HEADERS = _Headers(linesep="\r\n"), _Headers(linesep="\r\n", utf8=True)


@lru_cache(maxsize=FOLDED_KEPT)
def _folded(utf8: bool, name: str, value: Any) -> bytes:
    return EmailPolicy(linesep="\r\n", utf8=utf8).fold_binary(name, value)


class DeliveryError(Exception):
    """The e-mail was not taken. `code` says why, e.g. ``recipient_smtp_550_5.1.1`` or ``timeout``, without any address."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class NotTaken(DeliveryError):  # noqa: N818 - an answer among others
    """Not for now: to be tried again. `ours` when it will not pass before an operator has set something right."""

    def __init__(self, code: str, *, ours: bool = False) -> None:
        super().__init__(code)
        self.ours = ours


class Refused(DeliveryError):  # noqa: N818 - an answer among others
    """Refused for good, because of the address: trying again would change nothing."""


class Relay:
    """The way to the mail server of the settings. A connection that has just handed over an e-mail is kept for the next one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._kept: list[_Connection] = []

    async def deliver(self, message: EmailMessage) -> None:
        """Send `message` to the one recipient in its header. Raises NotTaken or Refused."""
        while self._kept:
            connection = self._kept.pop()
            connection.wait_no_longer()
            with suppress(_ConnectionLeftError):
                await self._over(connection, message)
                return
        await self._over(await self._connected(), message)

    async def close(self) -> None:
        """Take leave of the mail server."""
        while self._kept:
            await self._kept.pop().part()

    async def _connected(self) -> "_Connection":
        settings = self._settings
        smtp = SMTP(
            hostname=settings.smtp_host,
            port=settings.smtp_port,
            timeout=settings.smtp_timeout_seconds,
            use_tls=settings.smtp_security == "tls",
            start_tls=settings.smtp_security == "starttls",
            username=settings.smtp_username,
            password=settings.smtp_password.get_secret_value() if settings.smtp_password else None,
        )
        try:
            with _problems_of_the_line():
                await _connect(smtp)
        except BaseException:
            smtp.close()
            raise
        return _Connection(smtp)

    async def _over(self, connection: "_Connection", message: EmailMessage) -> None:
        """Hand over one e-mail; the connection is closed when that fails. Raises _ConnectionLeftError, NotTaken or Refused."""
        try:
            with _problems_of_the_line():
                await _hand_over(connection.smtp, message, self._settings, is_kept=connection.handed_over > 0)
        except BaseException:
            connection.smtp.close()
            raise
        connection.handed_over += 1
        if connection.handed_over < MOST_OVER_ONE_CONNECTION and len(self._kept) < MOST_KEPT:
            self._kept.append(connection)
            connection.wait_for_another(lambda: self._kept.remove(connection))
        else:
            await connection.part()


class _ConnectionLeftError(Exception):
    """The server had left a connection that was kept, before anything of the e-mail was said."""


class _Connection:
    """A connection to the mail server, for one e-mail at a time."""

    def __init__(self, smtp: SMTP) -> None:
        self.smtp = smtp
        self.handed_over = 0
        self._waiting: asyncio.TimerHandle | None = None
        self._parting: asyncio.Task[None] | None = None

    def wait_for_another(self, no_longer_kept: Callable[[], None]) -> None:
        """Should no e-mail come within some seconds, take leave."""

        def leave() -> None:
            no_longer_kept()
            self._parting = asyncio.create_task(self.part())

        self._waiting = asyncio.get_running_loop().call_later(KEPT_FOR_SECONDS, leave)

    def wait_no_longer(self) -> None:
        """It is in use."""
        if self._waiting is not None:
            self._waiting.cancel()

    async def part(self) -> None:
        """Take leave. How that goes does not matter: what was handed over is handed over."""
        self.wait_no_longer()
        with suppress(aiosmtplib.SMTPException, OSError):
            await self.smtp.quit(timeout=FAREWELL_SECONDS)
        self.smtp.close()


@contextmanager
def _problems_of_the_line() -> Iterator[None]:
    try:
        yield
    except TimeoutError:  # aiosmtplib's time-outs as well
        raise NotTaken("timeout") from None
    except OSError:
        raise NotTaken("connection_lost") from None


async def _connect(smtp: SMTP) -> None:
    """Connect, encrypt and log in, as the settings say. Whatever the server has against that, it is not the recipient."""
    try:
        async with _answers_at(Stage.CONNECTION):
            await smtp.connect()
            if smtp.is_ehlo_or_helo_needed:
                await _greet(smtp)
    except aiosmtplib.SMTPTimeoutError:
        raise
    except ssl.SSLError:
        raise NotTaken("encryption_failed", ours=True) from None
    except ConnectionError as error:  # aiosmtplib's own as well
        if isinstance(error.__cause__, ssl.SSLError):
            raise NotTaken("encryption_failed", ours=True) from None
        raise NotTaken("no_connection") from None
    except aiosmtplib.SMTPException:
        raise NotTaken("encryption_or_login_not_supported", ours=True) from None


async def _greet(smtp: SMTP) -> None:
    """An old server knows no EHLO."""
    try:
        await smtp.ehlo()
    except aiosmtplib.SMTPHeloError:
        if not smtp.is_connected:
            raise
        await smtp.helo()


async def _hand_over(smtp: SMTP, message: EmailMessage, settings: Settings, *, is_kept: bool) -> None:
    sender, recipient = (message[header].addresses[0].addr_spec for header in ("From", "To"))
    needs_utf8 = not (sender.isascii() and recipient.isascii())
    if needs_utf8 and not smtp.supports_extension("smtputf8"):
        raise Refused("address_not_supported") if sender.isascii() else NotTaken("sender_not_supported", ours=True)
    options, encoding = (["SMTPUTF8", "BODY=8BITMIME"], "utf-8") if needs_utf8 else ([], "ascii")
    content = message.as_bytes(policy=UTF8_HEADERS if needs_utf8 else ASCII_HEADERS)
    try:
        async with _answers_at(Stage.SENDER):
            await _begin(smtp, sender, options, encoding, is_kept=is_kept)
        async with _answers_at(Stage.RECIPIENT):
            await smtp.rcpt(recipient, encoding=encoding)
        async with _answers_at(Stage.MESSAGE):
            await smtp.data(content, timeout=settings.smtp_final_timeout_seconds)
    except aiosmtplib.SMTPTimeoutError:
        raise
    except ValueError:  # signs that can't stand in an address
        raise Refused("address_malformed") from None
    except aiosmtplib.SMTPException:
        raise NotTaken("connection_lost") from None


async def _begin(smtp: SMTP, sender: str, options: list[str], encoding: str, *, is_kept: bool) -> None:
    """The first word of an e-mail: over a connection that was kept, the server may have left meanwhile."""
    try:
        await smtp.mail(sender, options=options, encoding=encoding)
    except aiosmtplib.SMTPTimeoutError:
        raise
    except (aiosmtplib.SMTPServerDisconnected, ConnectionError):
        if is_kept:
            raise _ConnectionLeftError from None
        raise
    except aiosmtplib.SMTPResponseException as answer:
        if is_kept and answer.code == SERVICE_ENDS:
            raise _ConnectionLeftError from None
        raise


@asynccontextmanager
async def _answers_at(stage: Stage) -> AsyncIterator[None]:
    """What the server answers within the block belongs to this step."""
    try:
        yield
    except aiosmtplib.SMTPResponseException as error:
        answer = Answer(stage, error.code, error.message)
        if answer.fault is Fault.ADDRESS:
            raise Refused(answer.name) from None
        raise NotTaken(answer.name, ours=answer.fault is Fault.OURS) from None
