"""Whose fault an answer of a mail server is: every row of the table, said by a real server to the real client."""

import pytest

from activities.delivery import DeliveryError, NotTaken, Refused, Relay
from activities.messages import compose_notice
from activities.smtp_answers import enhanced_code
from settings import Settings
from tests.mail.post_office import open_relay
from tests.unit.test_messages import notice

ADDRESS, OURS, PASSING = "address", "ours", "passing"


async def said(step: str, answer: str) -> tuple[str, str]:
    """Whose fault it is, and the code, when a server says this at this step."""
    async with open_relay({step: answer}) as port:
        settings = Settings(smtp_port=port, smtp_security="none", smtp_timeout_seconds=5.0)
        with pytest.raises(DeliveryError) as error:
            await Relay(settings).deliver(compose_notice([notice()], settings))
    match error.value:
        case Refused():
            return ADDRESS, error.value.code
        case NotTaken(ours=ours):
            return OURS if ours else PASSING, error.value.code
    raise AssertionError


@pytest.mark.parametrize(
    ("answer", "fault", "code"),
    [
        # what speaks of the address
        ("550 5.1.1 <a@b>: User unknown in local recipient table", ADDRESS, "550_5.1.1"),
        ("550-5.1.1 The email account that you tried to reach\r\n550 5.1.1 does not exist.", ADDRESS, "550_5.1.1"),
        ("550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP lookup", ADDRESS, "550_5.1.10"),
        ("550 5.1.2 Host or domain name not found", ADDRESS, "550_5.1.2"),
        ("501 5.1.3 Bad recipient address syntax", ADDRESS, "501_5.1.3"),
        ("553 5.1.3 Error: malformed address", ADDRESS, "553_5.1.3"),
        ("550 5.1.4 Ambiguous", ADDRESS, "550_5.1.4"),
        ("551 5.1.6 Has moved", ADDRESS, "551_5.1.6"),
        ("550 5.2.1 The email account that you tried to reach is disabled", ADDRESS, "550_5.2.1"),
        ("556 5.1.10 Domain does not accept mail (nullMX)", ADDRESS, "556_5.1.10"),
        ("550 #5.1.0 Unknown address", ADDRESS, "550_5.1.0"),
        ("550 sorry, no mailbox here by that name (#5.1.1)", ADDRESS, "550_5.1.1"),
        # without an enhanced code, or with one that says nothing
        ("550 No such person", ADDRESS, "550"),
        ("550 No such user at this host", ADDRESS, "550"),
        ("550 <relay@host.example>: mailbox not known on this server", ADDRESS, "550"),
        ("550 Requested action not taken: mailbox unavailable", ADDRESS, "550"),
        ("550 Unrouteable address", ADDRESS, "550"),
        ("550 5.0.0 <block@relay-policy.example>... User unknown", ADDRESS, "550_5.0.0"),
        ("501 <a@b..c>: malformed address", ADDRESS, "501"),
        ("551 User not local; please try <c@d.example>", ADDRESS, "551"),
        ("553 Mailbox name not allowed", ADDRESS, "553"),
        ("556 Domain does not accept mail", ADDRESS, "556"),
        # whose words do not speak of a mailbox
        ("550 No", OURS, "550"),
        ("550", OURS, "550"),
        ("550 Rejected", OURS, "550"),
        ("550 Message rejected", OURS, "550"),
        ("550 Service unavailable", OURS, "550"),
        ("550 Service refused", OURS, "550"),
        ("550 Connection refused", OURS, "550"),
        ("550 temporarily rejected", OURS, "550"),
        ("550 Requested action not taken", OURS, "550"),
        ("550 #5.1.0 Address rejected", OURS, "550_5.1.0"),
        ("501 Bad MAIL command order", OURS, "501"),
        # whose words speak of us
        ("550 Your account is closed", OURS, "550"),
        ("550 Relaying denied", OURS, "550"),
        ("550 relay not permitted", OURS, "550"),
        ("550 Administrative prohibition", OURS, "550"),
        ("550 Rejected because 192.0.2.1 is in a black list at zen.spamhaus.example", OURS, "550"),
        ("550 Sender verify failed", OURS, "550"),
        ("550 5.1.0 <relais@clinic.example>: Sender address rejected: User unknown", OURS, "550_5.1.0"),
        ("550 Mailbox quota exceeded", OURS, "550"),
        ("550 SPF check failed", OURS, "550"),
        ("553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)", OURS, "553_5.7.1"),
        ("554 Relay access denied", OURS, "554"),
        ("554 Transaction failed", OURS, "554"),
        ("521 Host does not accept mail", OURS, "521"),
        ("500 What?", OURS, "500"),
        ("503 Bad sequence of commands", OURS, "503"),
        ("552 Exceeded storage allocation", OURS, "552"),
        # what speaks of us or of now, however final it sounds
        ("550 5.1.1 <relais@clinic.example>: Sender address rejected: User unknown", OURS, "550_5.1.1"),
        (
            "550-5.2.1 The user you are trying to contact is receiving mail at a rate that prevents\r\n"
            "550 5.2.1 additional messages from being delivered.",
            OURS,
            "550_5.2.1",
        ),
        ("550 5.2.1 The user you are trying to contact is receiving mail too quickly.", OURS, "550_5.2.1"),
        ("550 5.2.1 Mailbox temporarily disabled", OURS, "550_5.2.1"),
        ("550 User temporarily unavailable", OURS, "550"),
        ("550 5.1.7 Bad sender's mailbox address syntax", OURS, "550_5.1.7"),
        ("550 5.1.8 Access denied, bad outbound sender", OURS, "550_5.1.8"),
        ("552 5.2.2 Mailbox full", OURS, "552_5.2.2"),
        ("552 5.2.3 Message exceeds the mailbox's limit", OURS, "552_5.2.3"),
        ("550 5.2.0 Mailbox trouble", OURS, "550_5.2.0"),
        ("552 5.3.4 Message size exceeds fixed limit", OURS, "552_5.3.4"),
        ("554 5.3.0 Too busy", OURS, "554_5.3.0"),
        ("550 5.4.1 Recipient address rejected: Access denied", OURS, "550_5.4.1"),
        ("550 5.4.5 Daily sending quota exceeded", OURS, "550_5.4.5"),
        ("554 5.4.6 Too many hops", OURS, "554_5.4.6"),
        ("503 5.5.1 Error: need MAIL command", OURS, "503_5.5.1"),
        ("501 5.5.4 Invalid arguments", OURS, "501_5.5.4"),
        ("554 5.5.1 Error: no valid recipients", OURS, "554_5.5.1"),
        ("554 5.6.0 Content", OURS, "554_5.6.0"),
        ("554 5.7.0 Reputation", OURS, "554_5.7.0"),
        ("550 5.7.1 Relaying denied", OURS, "550_5.7.1"),
        ("550-5.7.26 This mail is unauthenticated.\r\n550 5.7.26 See 5.1.1 for more", OURS, "550_5.7.26"),
        ("530 5.7.0 Authentication required", OURS, "530_5.7.0"),
        ("550 5.9.9 Nobody knows this one", OURS, "550_5.9.9"),
        # numbers in the text are no enhanced code
        ("554 Your address 192.5.1.1 is listed, see 5.1.1", OURS, "554"),
        ("550 5.1.1.9 is listed", OURS, "550"),
        # what passes
        ("450 4.1.1 Unverified address", PASSING, "450_4.1.1"),
        ("451 4.3.2 Try again later", PASSING, "451_4.3.2"),
        ("452 4.2.2 Over quota", PASSING, "452_4.2.2"),
        ("450 5.1.1 Codes that contradict each other", PASSING, "450_5.1.1"),
        ("550 4.1.1 The other way round", PASSING, "550_4.1.1"),
    ],
)
async def test_at_the_recipient(answer: str, fault: str, code: str) -> None:
    assert await said("RCPT", answer) == (fault, f"recipient_smtp_{code}")


@pytest.mark.parametrize("step", ["DATA", "."])
@pytest.mark.parametrize(
    ("answer", "fault", "code"),
    [
        ("550 5.1.1 No such user after all", ADDRESS, "550_5.1.1"),
        ("550 5.2.1 Mailbox disabled", ADDRESS, "550_5.2.1"),
        ("550 No such user here", OURS, "550"),  # of what? There is more than one address in an e-mail
        ("550 Message rejected as spam", OURS, "550"),
        ("554 Transaction failed", OURS, "554"),
        ("554 5.7.1 Not wanted here", OURS, "554_5.7.1"),
        ("550 5.7.26 Unauthenticated", OURS, "550_5.7.26"),
        ("552 5.3.4 Too big", OURS, "552_5.3.4"),
        ("552 5.2.2 Mailbox full", OURS, "552_5.2.2"),
        ("550 5.4.5 Quota", OURS, "550_5.4.5"),
        ("450 4.7.1 Greylisted", PASSING, "450_4.7.1"),
    ],
)
async def test_at_the_message(step: str, answer: str, fault: str, code: str) -> None:
    assert await said(step, answer) == (fault, f"message_smtp_{code}")


@pytest.mark.parametrize(
    ("step", "answer", "fault", "code"),
    [
        ("MAIL", "550 5.1.1 Sender unknown", OURS, "sender_smtp_550_5.1.1"),
        ("MAIL", "550 5.1.8 Domain not found", OURS, "sender_smtp_550_5.1.8"),
        ("MAIL", "553 Not your address", OURS, "sender_smtp_553"),
        ("MAIL", "452 4.3.1 Insufficient system storage", PASSING, "sender_smtp_452_4.3.1"),
        ("greeting", "554 5.7.1 Your host is not welcome", OURS, "connection_smtp_554_5.7.1"),
        ("greeting", "521 This host takes no mail", OURS, "connection_smtp_521"),
        ("greeting", "421 4.3.2 Shutting down", PASSING, "connection_smtp_421_4.3.2"),
    ],
)
async def test_before_the_recipient_nothing_speaks_of_the_address(
    step: str, answer: str, fault: str, code: str
) -> None:
    assert await said(step, answer) == (fault, code)


async def test_what_is_no_answer_at_all_passes() -> None:
    assert (await said("RCPT", "hello?"))[0] == PASSING


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("5.1.1 No", "5.1.1"),
        ("No\n5.1.1 such user", "5.1.1"),
        ("5.7.26", "5.7.26"),
        ("4.2.2", "4.2.2"),
        ("(#5.7.1)", "5.7.1"),
        ("see 5.1.1", None),
        ("3.1.1", None),
        ("5.1", None),
        ("5.1.1234", None),
        ("", None),
    ],
)
def test_where_an_enhanced_code_stands(text: str, code: str | None) -> None:
    assert enhanced_code(text) == code
