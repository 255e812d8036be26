"""Hands one e-mail to the mail server, and tells what failed for now from what was refused for good.

Refused for good (`Refused`) is what speaks of this recipient's address, by the table of `activities.smtp_answers`. Everything
else comes and goes, or is for an operator to set right, and will be tried again (`NotTaken`): no connection, no answer in time,
a login or a sender that is not accepted, a quota, a policy, a server without the encryption that the settings ask for.

Each step waits as long as RFC 5321 (4.5.3.2) asks for. After the final dot that is ten minutes: who leaves sooner sends again
what the server has taken already.
"""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from email.message import EmailMessage
from email.policy import SMTP as ASCII_HEADERS
from email.policy import SMTPUTF8 as UTF8_HEADERS

import aiosmtplib
from aiosmtplib import SMTP

from activities.smtp_answers import Answer, Fault, Stage
from settings import Settings

FAREWELL_SECONDS = 5.0
"""How long the server may take to say goodbye to an e-mail that it has taken."""


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


async def deliver(message: EmailMessage, settings: Settings) -> None:
    """Send `message` to the one recipient in its header, over a connection of its own. Raises NotTaken or Refused."""
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
        await _connect(smtp)
        await _hand_over(smtp, message, settings)
    except TimeoutError:  # aiosmtplib's time-outs as well
        raise NotTaken("timeout") from None
    except OSError:
        raise NotTaken("connection_lost") from None
    finally:
        smtp.close()


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


async def _hand_over(smtp: SMTP, message: EmailMessage, settings: Settings) -> None:
    sender, recipient = (message[header].addresses[0].addr_spec for header in ("From", "To"))
    needs_utf8 = not (sender.isascii() and recipient.isascii())
    if needs_utf8 and not smtp.supports_extension("smtputf8"):
        raise Refused("address_not_supported") if sender.isascii() else NotTaken("sender_not_supported", ours=True)
    options, encoding = (["SMTPUTF8", "BODY=8BITMIME"], "utf-8") if needs_utf8 else ([], "ascii")
    content = message.as_bytes(policy=UTF8_HEADERS if needs_utf8 else ASCII_HEADERS)
    try:
        async with _answers_at(Stage.SENDER):
            await smtp.mail(sender, options=options, encoding=encoding)
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
    with suppress(aiosmtplib.SMTPException, OSError):  # the e-mail is taken: how the farewell goes no longer matters
        await smtp.quit(timeout=FAREWELL_SECONDS)


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
