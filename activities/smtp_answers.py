"""Whose fault an answer of a mail server is: one table, by the step of the dialogue, the code and the enhanced code (RFC 3463).

Only what speaks of the recipient's address is laid to the address. What speaks of Relais, of its mail server or of the message
(its sender, its reputation, a quota, relaying, policy, size, a command out of order) says nothing about the address, however
final it sounds: it is tried again, and operators see it. So is whatever the table does not know.
"""

import re
from dataclasses import dataclass
from enum import StrEnum


class Stage(StrEnum):
    """The step of the dialogue that an answer belongs to, as its code names it."""

    CONNECTION = "connection"  # the greeting, EHLO, STARTTLS and AUTH
    SENDER = "sender"  # MAIL FROM
    RECIPIENT = "recipient"  # RCPT TO
    MESSAGE = "message"  # DATA, and the final dot


class Fault(StrEnum):
    """Whose matter an answer is."""

    ADDRESS = "address"  # no mail will ever reach it: refused for good
    OURS = "ours"  # Relais or its mail server: for an operator to set right, and tried again
    PASSING = "passing"  # will pass by itself: tried again


@dataclass(frozen=True)
class Answer:
    """What the mail server said, at which step. `text` may have several lines."""

    stage: Stage
    code: int
    text: str

    @property
    def name(self) -> str:
        """A stable word for lists and logs, without the text: ``recipient_smtp_550_5.7.1``."""
        enhanced = enhanced_code(self.text)
        return f"{self.stage}_smtp_{self.code}" + (f"_{enhanced}" if enhanced else "")

    @property
    def fault(self) -> Fault:
        """Whose fault it is."""
        if self.code < 500:
            return Fault.PASSING
        if self.stage in (Stage.CONNECTION, Stage.SENDER):
            return Fault.OURS
        enhanced = enhanced_code(self.text)
        if enhanced and not enhanced.startswith("5."):
            return Fault.PASSING  # the two codes contradict each other: one of them says that it passes
        if _SPEAKS_OF_THE_SENDER_OR_OF_NOW.search(self._words):
            return Fault.OURS
        if enhanced in _OF_THE_ADDRESS:
            return Fault.ADDRESS
        if enhanced in _UNDECIDED and self._plain_code_is_of_the_address:
            return Fault.ADDRESS
        return Fault.OURS

    @property
    def _plain_code_is_of_the_address(self) -> bool:
        """Without an enhanced code that says more, 550 may be anything: the words must speak of a mailbox, and not of us."""
        return (
            self.stage is Stage.RECIPIENT
            and self.code in _PLAIN_CODES_OF_THE_ADDRESS
            and _SPEAKS_OF_A_MAILBOX.search(self._words) is not None
            and _SPEAKS_OF_US.search(self._words) is None
        )

    @property
    def _words(self) -> str:
        return _NO_WORDS_OF_ITS_OWN.sub("", self.text)


_OF_THE_ADDRESS = {
    "5.1.1",  # no such mailbox
    "5.1.2",  # no such domain
    "5.1.3",  # not an address
    "5.1.4",  # ambiguous
    "5.1.6",  # has moved
    "5.1.10",  # its domain takes no mail (RFC 7505)
    "5.2.1",  # the mailbox is closed
}
"""Not in here: 5.1.7 and 5.1.8, which speak of the sender's address."""

_UNDECIDED = {None, "5.0.0", "5.1.0"}
"""Enhanced codes that say nothing more than the plain one. Postfix says 5.1.0 of a sender, others of a recipient."""

_PLAIN_CODES_OF_THE_ADDRESS = {
    501,  # the argument of RCPT can't be read
    550,  # no such mailbox, or a policy
    551,  # not local
    553,  # a name that is not allowed
    556,  # its domain takes no mail (RFC 7504)
}

_SPEAKS_OF_US = re.compile(
    r"relay|sender|spam|spf|dkim|dmarc|polic|prohibit|block|black|listed|reput|trust|quota|full|exceed|over|limit|too many"
    r"|rate|auth|login|denied|permitted|permission|helo|client|host|ptr|dns|ip\b|verif|virus|content|tls|encrypt|your\b",
    re.IGNORECASE,
)
"""Words that relays use where the refusal is for them, for us, or for now: then nothing is known of the address."""

_SPEAKS_OF_A_MAILBOX = re.compile(
    r"user|mailbox|recipient|account|person|unrout|no such|not exist|invalid addr|malformed|unknown addr|address unknown"
    r"|domain does not accept",
    re.IGNORECASE,
)
"""Words without which a refusal may be for anything, such as "Rejected" or "Service unavailable"."""

_SPEAKS_OF_THE_SENDER_OR_OF_NOW = re.compile(
    r"\bsender|\brates?\b|too (quickly|fast|many|much)|temporar", re.IGNORECASE
)
"""Words that take the blame from the address whatever the codes say: Gmail says 5.2.1 of a mailbox that gets much mail now."""

_NO_WORDS_OF_ITS_OWN = re.compile(r"<[^<>]*>|\S+@\S+|\b(at|on) this (host|server|system)\b", re.IGNORECASE)
"""Addresses and hosts that an answer repeats, and where there is no such user."""

_ENHANCED = re.compile(
    r"^#?([245]\.[0-9]{1,3}\.[0-9]{1,3})(?![0-9.])|\(#([245]\.[0-9]{1,3}\.[0-9]{1,3})\)", re.MULTILINE
)
"""An enhanced code begins a line (RFC 2034), in some relays after a number sign; qmail puts it into brackets."""


def enhanced_code(text: str) -> str | None:
    """The enhanced status code of an answer, e.g. ``5.1.1``; None when it has none. Other numbers in the text are not one."""
    found = _ENHANCED.search(text)
    return None if found is None else found[1] or found[2]
