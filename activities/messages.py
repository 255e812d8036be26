"""Composes the e-mails: from a notice, or from the notices that a person gets grouped, to a message ready to be sent.

Pure: the same input gives the same message. An e-mail travels in the clear, so it holds the request's number, what happened in
neutral words, what is to be done by when, and a link; nothing of the patient and nothing that a person wrote in a request.
"""

import unicodedata
from base64 import b64encode
from binascii import b2a_qp
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from functools import cache, lru_cache
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from pydantic import AwareDatetime, Field

from activities.account_texts import ACCOUNT_TEXTS, VOICE_CODE
from activities.notice_texts import TO_DO, NoticeEvent, text_of
from domain.accounts import LetterKind
from domain.addresses import AddressError, ascii_domain, checked_address
from domain.calendar import TIME_ZONE
from domain.model import Frozen
from domain.notices import Importance, Recipient
from domain.requests import Status
from settings import Settings
from translations import Language, gettext_for
from translations.dates import moment

LONGEST_NAME = 80
"""Characters of a person's name that an e-mail shows."""

RECIPIENTS_KEPT = 500

WORD_BYTES = 39
"""Of an encoded word, so that a line with it and with the header's name has 76 signs at the most."""

ACCOUNT_PATH = "/account"
"""The page on which people choose how they are told."""


class OutgoingNotice(Frozen):
    """One notice to one person, with all that its e-mail says."""

    notice_id: UUID
    message_id: str = Field(
        pattern=r"^<[!-=?A-~]+@[!-=?A-~]+>$", description="The Message-ID header, with its brackets."
    )
    request_id: UUID
    number: str = Field(description="The request's number as people read it, e.g. TC-2026-000123.")
    event: NoticeEvent
    recipient: Recipient = Field(description="As which party of the request the person is told.")
    importance: Importance = Field(description="INFORMATION also when there was something to do that is done by now.")
    status: Status = Field(description="The request's status after the event.")
    due_at: AwareDatetime | None = Field(None, description="When the recipient must have acted.")
    created_at: AwareDatetime
    address: str
    display_name: str
    language: Language


class OutgoingAccountLetter(Frozen):
    """One e-mail about an account, with all that it says. `code` is what its link opens, where it brings one."""

    letter_id: UUID
    kind: LetterKind
    address: str
    display_name: str
    language: Language
    created_at: AwareDatetime
    clinic: str
    username: str
    number: str = Field("", description="Of a request that was opened in an emergency, by the `reader`.")
    reader: str = ""
    ended: str = Field("", description="How much that others had opened they have ended within a day or so.")
    code: str = Field("", repr=False)
    expires_at: AwareDatetime | None = None
    needs_voice_code: bool = False


LINK_PATHS = {LetterKind.INVITATION: "/invitation/", LetterKind.PASSWORD_RESET: "/new-password/"}
"""The page to which each letter's link leads; the code follows."""


def compose_notice(notices: Sequence[OutgoingNotice], settings: Settings) -> EmailMessage:
    """The e-mail of one notice, or of several about one request to one person, oldest first: then it tells all of them.

    What waits for the person comes first. Its Message-ID is that of the first notice. Raises AddressError when its address can't
    be written to.
    """
    acting = [notice for notice in notices if notice.importance is Importance.ACTION]
    main, first = (acting or notices)[-1], notices[0]
    others = [notice for notice in notices if notice is not main]
    _ = gettext_for(main.language)
    text = text_of(main.event, main.recipient)
    subject = _("Relais – request {number}: {subject}").format(number=main.number, subject=_(text.subject))
    if others:
        subject = _("{subject} (and {others} more)").format(subject=subject, others=len(others))
    message = _envelope(
        settings,
        to=_recipient(main.display_name, main.address),
        subject=subject,
        message_id=first.message_id,
        date=main.created_at,
    )
    # A message that never existed, named by all e-mails of a request: mail clients show them as one conversation.
    for header in ("References", "In-Reply-To"):
        message.set_raw(header, f"<request-{main.request_id}@relais>")
    page = _Page(
        subject=subject,
        greeting=_greeting(main.display_name, main.language),
        why=_("You receive this e-mail because you take part in this request."),
    )
    shown = [_shown(notice, settings) for notice in others]
    return _with_content(message, "notice", page, settings, main.language, notice=_shown(main, settings), others=shown)


def compose_digest(
    notices: Sequence[OutgoingNotice], settings: Settings, *, account_id: UUID, sent_at: datetime
) -> EmailMessage:
    """One e-mail with all the `notices` (at least one) that a person gets grouped.

    They are grouped by request: first the requests that wait for the person, the most urgent one on top, then the others.
    The Message-ID follows from the account and the newest notice: the same notices give the same id. Raises AddressError when
    the address can't be written to.
    """
    newest = max(notices, key=lambda notice: (notice.created_at, notice.notice_id))
    language = newest.language
    _ = gettext_for(language)
    waiting, others = _by_request(notices, settings)
    subject = {
        (True, True): _("Relais – grouped notices: to do ({waiting}), for information ({others})"),
        (True, False): _("Relais – grouped notices: to do ({waiting})"),
        (False, True): _("Relais – grouped notices: for information ({others})"),
    }[bool(waiting), bool(others)].format(waiting=len(waiting), others=len(others))
    domain = newest.message_id.rpartition("@")[2].rstrip(">")
    message = _envelope(
        settings,
        to=_recipient(newest.display_name, newest.address),
        subject=subject,
        message_id=f"<{uuid5(account_id, str(newest.notice_id))}@{domain}>",
        date=sent_at,
    )
    page = _Page(
        subject=subject,
        greeting=_greeting(newest.display_name, language),
        why=_("You receive this e-mail because you chose to get your notices grouped."),
    )
    return _with_content(message, "digest", page, settings, language, waiting=waiting, others=others)


def compose_account_letter(letter: OutgoingAccountLetter, settings: Settings) -> EmailMessage:
    """An e-mail about somebody's account. Raises AddressError when the address can't be written to."""
    _ = gettext_for(letter.language)
    text = ACCOUNT_TEXTS[letter.kind]
    subject = _("Relais – {subject}").format(subject=_(text.subject))
    message = _envelope(
        settings,
        to=_recipient(letter.display_name, letter.address),
        subject=subject,
        message_id=f"<{letter.letter_id}@relais>",
        date=letter.created_at,
    )
    facts = {
        "clinic": letter.clinic,
        "username": letter.username,
        "number": letter.number,
        "reader": letter.reader,
        "ended": letter.ended,
    }
    path = LINK_PATHS.get(letter.kind)
    shown = _ShownLetter(
        heading=_sentence_case(_(text.subject)),
        happened=_(text.happened).format(**facts),
        to_do=_(text.to_do).format(**facts) if text.to_do else None,
        voice=_(VOICE_CODE) if letter.needs_voice_code else None,
        link=f"{settings.public_url.rstrip('/')}{path}{letter.code}" if path else None,
        button=_(text.button) if text.button else None,
        due=_("Valid until: {moment}").format(
            moment=moment(letter.expires_at, letter.language, weekday=True, zone=True)
        )
        if letter.expires_at
        else None,
    )
    page = _Page(
        subject=subject,
        greeting=_greeting(letter.display_name, letter.language),
        why=_("You receive this e-mail because it concerns your access to Relais."),
        is_of_a_request=False,
    )
    return _with_content(message, "account", page, settings, letter.language, letter=shown)


# What the templates show


_NO_LIMIT = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class _Page:
    """What every kind of e-mail has around its content."""

    subject: str
    greeting: str
    why: str
    is_of_a_request: bool = True


@dataclass(frozen=True)
class _ShownNotice:
    """One notice in the recipient's language."""

    number: str
    link: str
    label: str
    heading: str
    happened: str
    to_do: str | None
    due: str | None
    at: str


@dataclass(frozen=True)
class _ShownRequest:
    """The notices of one request in a digest."""

    number: str
    link: str
    notices: tuple[_ShownNotice, ...]


@dataclass(frozen=True)
class _ShownLetter:
    """An e-mail about an account in the recipient's language."""

    heading: str
    happened: str
    to_do: str | None
    voice: str | None
    link: str | None
    button: str | None
    due: str | None


@dataclass(frozen=True)
class _SupportLine:
    """One line of the support block."""

    label: str
    value: str
    link: str | None = None


def _shown(notice: OutgoingNotice, settings: Settings) -> _ShownNotice:
    _ = gettext_for(notice.language)
    text = text_of(notice.event, notice.recipient)
    must_act = notice.importance is Importance.ACTION
    to_do = (text.to_do or TO_DO.get(notice.status)) if must_act else None
    has_limit = must_act or notice.recipient is Recipient.HOLDER
    return _ShownNotice(
        number=notice.number,
        link=f"{settings.public_url.rstrip('/')}/requests/{notice.request_id}",
        label=_("Action expected") if must_act else _("For information"),
        heading=_sentence_case(_(text.subject)),
        happened=_(text.happened),
        to_do=_(to_do) if to_do else None,
        due=_limit(notice.due_at, notice.created_at, notice.language) if notice.due_at and has_limit else None,
        at=moment(notice.created_at, notice.language, weekday=True, zone=True),
    )


def _by_request(
    notices: Sequence[OutgoingNotice], settings: Settings
) -> tuple[list[_ShownRequest], list[_ShownRequest]]:
    """The requests that wait for the recipient, the most urgent first, and the other ones, the latest first."""
    by_request: dict[UUID, list[OutgoingNotice]] = {}
    for notice in sorted(notices, key=lambda n: (n.importance is not Importance.ACTION, n.created_at, n.notice_id)):
        by_request.setdefault(notice.request_id, []).append(notice)
    waiting = [group for group in by_request.values() if group[0].importance is Importance.ACTION]
    others = [group for group in by_request.values() if group[0].importance is not Importance.ACTION]
    waiting.sort(key=lambda group: min((n.due_at for n in group if n.due_at), default=_NO_LIMIT))
    others.sort(key=lambda group: group[-1].created_at, reverse=True)
    return [_shown_request(group, settings) for group in waiting], [_shown_request(group, settings) for group in others]


def _shown_request(notices: Sequence[OutgoingNotice], settings: Settings) -> _ShownRequest:
    shown = tuple(_shown(notice, settings) for notice in notices)
    return _ShownRequest(shown[0].number, shown[0].link, shown)


def _greeting(display_name: str, language: Language) -> str:
    _ = gettext_for(language)
    name = _printable(display_name)
    return _("Hello {name},").format(name=name) if name else _("Hello,")


def _limit(due_at: datetime, created_at: datetime, language: Language) -> str:
    _ = gettext_for(language)
    sentence = _("Due: {moment}") if due_at > created_at else _("Was due: {moment}")
    return sentence.format(moment=moment(due_at, language, weekday=True, zone=True))


def _support(settings: Settings, language: Language) -> list[_SupportLine]:
    """The support block: only the lines that are set."""
    _ = gettext_for(language)
    email = settings.support_email
    lines = [
        _SupportLine(_("Hours:"), settings.support_hours_fr if language == "fr" else settings.support_hours_en),
        _SupportLine(_("Phone:"), settings.support_phone),
        _SupportLine(_("E-mail:"), email, link=f"mailto:{email}"),
    ]
    return [line for line in lines if line.value]


def _sentence_case(text: str) -> str:
    return text[:1].upper() + text[1:]


# The message

_BOUNDARY = "=_relais"
"""Between the two parts. Its first two signs never stand in quoted-printable text (RFC 2045, 6.7)."""

_CONTENT_TYPE = SMTP.header_factory("Content-Type", f'multipart/alternative; boundary="{_BOUNDARY}"')
"""Parsed once, for it is asked again and again while an e-mail is written out."""

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).resolve().parent / "mail"),
    autoescape=select_autoescape(enabled_extensions=("html.j2",), default=False),
    undefined=StrictUndefined,
    auto_reload=False,
    trim_blocks=True,
    lstrip_blocks=True,
)


def _envelope(settings: Settings, *, to: Any, subject: str, message_id: str, date: datetime) -> EmailMessage:
    """What stands above the content. What is plain and short as we write it is taken as it is: to parse it, and to write it out
    again from its parts, costs more than all else in an e-mail."""
    message = EmailMessage(policy=SMTP)
    message["From"] = _sender(settings.mail_from)
    message["To"] = to
    message.set_raw("Subject", _encoded(subject))
    message.set_raw("Date", format_datetime(date.astimezone(TIME_ZONE)))
    message.set_raw("Message-ID", message_id)
    message.set_raw("Auto-Submitted", "auto-generated")
    message.set_raw("X-Auto-Response-Suppress", "All")
    return message


def _encoded(text: str) -> str:
    """A header's text as encoded words of whole characters, one a line (RFC 2047, 2)."""
    words = [b""]
    for sign in text:
        if len(words[-1]) + len(sign.encode()) > WORD_BYTES:
            words.append(b"")
        words[-1] += sign.encode()
    return "\n ".join(f"=?utf-8?b?{b64encode(word).decode()}?=" for word in words)


def _with_content(
    message: EmailMessage, template: str, page: _Page, settings: Settings, language: Language, **content: Any
) -> EmailMessage:
    """`message` with its two parts, drawn from the templates of that name."""
    values = {
        "_": gettext_for(language),
        "language": language,
        "page": page,
        "account_link": settings.public_url.rstrip("/") + ACCOUNT_PATH,
        "support": _support(settings, language),
        **content,
    }
    message.set_raw("Content-Language", language)
    message.set_raw("MIME-Version", "1.0")
    message["Content-Type"] = _CONTENT_TYPE
    plain = _part("plain", _TEMPLATES.get_template(f"{template}.txt.j2").render(values))
    html = _part("html", _TEMPLATES.get_template(f"{template}.html.j2").render(values))
    message.set_payload(f"{plain}{html}--{_BOUNDARY}--\r\n")
    return message


def _part(subtype: str, text: str) -> str:
    """A part as it travels: written out by the library from objects of its own, it would cost as much as to draw it."""
    content = b2a_qp(text.encode()).decode("ascii").replace("\n", "\r\n")
    return (
        f'--{_BOUNDARY}\r\nContent-Type: text/{subtype}; charset="utf-8"\r\n'
        f"Content-Transfer-Encoding: quoted-printable\r\n\r\n{content}\r\n"
    )


@cache
def _sender(mail_from: str) -> Any:
    return SMTP.header_factory("From", str(_address(*parseaddr(mail_from))))


@lru_cache(maxsize=RECIPIENTS_KEPT)
def _recipient(name: str, address: str) -> Any:
    """Parsed once for somebody who gets several e-mails. Raises AddressError when the address can't be written to."""
    return SMTP.header_factory("To", str(_address(name, address)))


def _address(name: str, address: str) -> Address:
    """An address header without surprises: a name on one line, a domain in ASCII."""
    user, _at, domain = address.strip().rpartition("@")
    domain = ascii_domain(domain)
    try:
        if user.isascii():
            return Address(_printable(name), addr_spec=f"{user}@{domain}")
        checked = checked_address(f"{user}@{domain}", reachable=False)  # the parser of headers knows ASCII only
        return Address(_printable(name), username=checked.rpartition("@")[0], domain=domain)
    except (ValueError, MessageError, IndexError):
        raise AddressError("this is no e-mail address") from None


def _printable(name: str) -> str:
    """`name` on one line, without control signs or invisible ones, and not too long."""
    visible = "".join(" " if unicodedata.category(sign)[0] in "CZ" else sign for sign in name)
    return " ".join(visible.split())[:LONGEST_NAME]
