"""The e-mails that the local mail server took: one file each in ``mail/``, named after the Message-ID.

An e-mail that comes twice with the same Message-ID is kept once and its deliveries are counted: so it shows whether Relais ever
sent the same notice twice. A second file beside it holds what the e-mail itself does not say.
"""

import email.policy
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.parser import BytesHeaderParser
from pathlib import Path

from pydantic import AwareDatetime, ConfigDict

from domain.model import Discreet
from embedded.files import write_privately


class Mail(Discreet):
    """What the list shows of one e-mail. `name` is the name of its file; `recipients` are those of all deliveries."""

    model_config = ConfigDict(frozen=True)

    name: str
    message_id: str
    sender: str
    recipients: tuple[str, ...]
    subject: str
    received_at: AwareDatetime
    last_received_at: AwareDatetime
    deliveries: int


class MailContent(Discreet):
    """The inside of one e-mail. `attachments` are file names."""

    model_config = ConfigDict(frozen=True)

    headers: tuple[tuple[str, str], ...]
    text: str
    html: str
    attachments: tuple[str, ...]


class MailStore:
    """The folder of e-mails, for one process. `keep`, `source` and `content` block on the disk: call them in a thread, and one
    `keep` at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._mails = {path.stem: self._known(path) for path in folder.glob("*.eml")}

    def keep(self, content: bytes, recipients: Sequence[str]) -> Mail:
        """Keeps one delivery. When it returns, the e-mail survives a crash."""
        message = _headers(content)
        identity = str(message["Message-ID"] or "").strip()
        name = hashlib.sha256(identity.encode() or content).hexdigest()[:24]
        now = datetime.now(UTC)
        first = self._mails.get(name)
        if first is None:
            mail = _summary(name, message, recipients, received_at=now)
            write_privately(self._folder / f"{name}.eml", content)
            says_it_all = mail.recipients == _addressees(message)
        else:
            mail = first.model_copy(
                update={
                    "recipients": tuple(dict.fromkeys((*first.recipients, *recipients))),
                    "last_received_at": now,
                    "deliveries": first.deliveries + 1,
                }
            )
            says_it_all = False
        if not says_it_all:
            write_privately(self._folder / f"{name}.json", mail.model_dump_json(indent=2) + "\n")
        self._mails[name] = mail
        return mail

    def newest_first(self, *, recipient: str | None = None, limit: int | None = None) -> list[Mail]:
        """The e-mails, the last received first; only those to one address when it is given."""
        wanted = [mail for mail in self._mails.values() if recipient is None or recipient in mail.recipients]
        return sorted(wanted, key=lambda mail: mail.received_at, reverse=True)[:limit]

    def find(self, name: str) -> Mail | None:
        return self._mails.get(name)

    def source(self, name: str) -> bytes:
        """The e-mail as it came. Raises FileNotFoundError."""
        return (self._folder / f"{name}.eml").read_bytes()

    def content(self, name: str) -> MailContent:
        """The parts of an e-mail. Raises FileNotFoundError."""
        message = _parse(self.source(name))
        return MailContent(
            headers=tuple((header, str(value)) for header, value in message.items()),
            text=_part(message, "plain"),
            html=_part(message, "html"),
            attachments=tuple(part.get_filename() or part.get_content_type() for part in message.iter_attachments()),
        )

    def _known(self, path: Path) -> Mail:
        """What is known of a kept e-mail: by the file beside it where there is one, else by itself."""
        try:
            return Mail.model_validate_json(path.with_suffix(".json").read_bytes())
        except (FileNotFoundError, ValueError):
            message = _headers(path.read_bytes())
            received_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            return _summary(path.stem, message, _addressees(message), received_at=received_at)


def _summary(name: str, message: EmailMessage, recipients: Sequence[str], *, received_at: datetime) -> Mail:
    return Mail(
        name=name,
        message_id=str(message["Message-ID"] or "").strip(),
        sender=str(message["From"] or ""),
        recipients=tuple(recipients),
        subject=str(message["Subject"] or ""),
        received_at=received_at,
        last_received_at=received_at,
        deliveries=1,
    )


def _addressees(message: EmailMessage) -> tuple[str, ...]:
    return tuple(address.addr_spec for address in getattr(message["To"], "addresses", ()))


def _headers(content: bytes) -> EmailMessage:
    return BytesHeaderParser(policy=email.policy.default).parsebytes(content)


def _parse(content: bytes) -> EmailMessage:
    return message_from_bytes(content, policy=email.policy.default)


def _part(message: EmailMessage, kind: str) -> str:
    part = message.get_body(preferencelist=(kind,))
    return str(part.get_content()) if part else ""
