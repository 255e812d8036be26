"""Hands one e-mail to the mail server, and tells what failed for now from what was refused for good.

Refused for good (`Refused`) is what the server says of this recipient or of this message with a code of 500 or more. Everything
else comes and goes, or is for an operator to set right, and will be tried again (`NotTaken`): no connection, no answer in time,
codes of the 400s, a login or a sender that the server does not accept, a server without the encryption that the settings ask for.
"""

import asyncio
import ssl
from contextlib import suppress
from email.message import EmailMessage

import aiosmtplib
from aiosmtplib import SMTP

from settings import Settings

LONGEST_DIALOGUE_SECONDS = 90.0
"""For a server that answers every step just in time. Shorter than the time that the workflow gives to one try."""

_LOGIN_IS_WRONG = {530, 534, 535, 538}
"""Answers about our own login (RFC 4954), wherever in the dialogue they come: no fault of the recipient."""


class DeliveryError(Exception):
    """The e-mail was not taken. `code` says why, e.g. ``smtp_550`` or ``timeout``, without any address."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class NotTaken(DeliveryError):  # noqa: N818 - an answer among others
    """Not for now: to be tried again."""


class Refused(DeliveryError):  # noqa: N818 - an answer among others
    """Refused for good: trying again would change nothing."""


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
        async with asyncio.timeout(LONGEST_DIALOGUE_SECONDS):
            await _connect(smtp)
            await _hand_over(smtp, message)
    except TimeoutError:  # aiosmtplib's time-outs as well
        raise NotTaken("timeout") from None
    except OSError:
        raise NotTaken("connection_lost") from None
    finally:
        smtp.close()


async def _connect(smtp: SMTP) -> None:
    """Connect, encrypt and log in, as the settings say. Whatever the server has against that, it is not the recipient."""
    try:
        await smtp.connect()
    except aiosmtplib.SMTPTimeoutError:
        raise
    except aiosmtplib.SMTPResponseException as error:
        raise NotTaken(f"connection_smtp_{error.code}") from None
    except ssl.SSLError:
        raise NotTaken("encryption_failed") from None
    except ConnectionError:  # aiosmtplib's own as well
        raise NotTaken("no_connection") from None
    except aiosmtplib.SMTPException:
        raise NotTaken("encryption_or_login_not_supported") from None


async def _hand_over(smtp: SMTP, message: EmailMessage) -> None:
    try:
        await smtp.send_message(message)
    except aiosmtplib.SMTPTimeoutError:
        raise
    except (aiosmtplib.SMTPHeloError, aiosmtplib.SMTPSenderRefused) as error:
        raise NotTaken(f"sender_smtp_{error.code}") from None
    except aiosmtplib.SMTPRecipientsRefused as error:
        raise _by_code(error.recipients[0].code) from None
    except aiosmtplib.SMTPResponseException as error:
        raise _by_code(error.code) from None
    except (aiosmtplib.SMTPNotSupported, ValueError):  # the address has signs that this server, or SMTP, can't take
        raise Refused("address_not_supported") from None
    except aiosmtplib.SMTPException:
        raise NotTaken("connection_lost") from None
    with suppress(aiosmtplib.SMTPException, OSError):  # the e-mail is taken: how the farewell goes no longer matters
        await smtp.quit()


def _by_code(code: int) -> DeliveryError:
    return Refused(f"smtp_{code}") if code >= 500 and code not in _LOGIN_IS_WRONG else NotTaken(f"smtp_{code}")
