"""The e-mails: complete in both languages, sober, safe in their headers, and without a word about the patient."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from html.parser import HTMLParser
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from activities.account_texts import ACCOUNT_TEXTS
from activities.messages import (
    LINK_PATHS,
    OutgoingAccountLetter,
    OutgoingNotice,
    compose_account_letter,
    compose_digest,
    compose_notice,
)
from activities.notice_texts import ABOUT_MESSAGES, ABOUT_NOTICES, TEXTS, TO_DO, text_of
from activities.notifications import outgoing_notice
from domain import commands as c
from domain.accounts import LetterKind
from domain.addresses import AddressError
from domain.events import Event
from domain.notices import MATRIX, Importance, Recipient
from domain.priority import Priority
from domain.requests import EventName, Request, Status
from records.models import Account, EventRecord, Notice
from settings import Settings
from tests.unit.domain.scenes import (
    COLLEAGUE,
    DISPATCHER,
    PROVIDER,
    REQUESTER,
    Story,
    accepted,
    assigned,
    command_id,
    form,
    reported,
    submitted,
    toronto,
    who,
)
from translations import LANGUAGES, Language, gettext_for

SETTINGS = Settings(
    public_url="https://relais.example/",
    mail_from="Relais <ne-pas-repondre@relais.example>",
    support_phone="1 844 555-0123",
    support_email="soutien@relais.example",
    support_hours_fr="du lundi au vendredi, de 7 h à 19 h",
    support_hours_en="Monday to Friday, 7 am to 7 pm",
)
EVERY_NOTICE = [(event, recipient) for event, recipients in MATRIX.items() for recipient in recipients]
NOW = toronto("2026-11-30 09:05")
REQUEST_ID = UUID("0193a5c0-0000-7000-8000-000000000123")


def notice(**changes: Any) -> OutgoingNotice:
    """A provider is told that the request TC-2026-000123 is theirs to accept."""
    number = changes.pop("nth", 1)
    notice_id = UUID(int=number)
    return OutgoingNotice.model_validate(
        {
            "notice_id": notice_id,
            "message_id": f"<{notice_id}@relais>",
            "request_id": REQUEST_ID,
            "number": "TC-2026-000123",
            "event": EventName.ASSIGNED,
            "recipient": Recipient.HOLDER,
            "importance": Importance.ACTION,
            "status": Status.AWAITING_ACCEPTANCE,
            "due_at": NOW + timedelta(days=1),
            "created_at": NOW + timedelta(minutes=number),
            "address": "e.tremblay@clinique.example",
            "display_name": "Éloïse Tremblay",
            "language": "fr",
            **changes,
        }
    )


def delivered(message: EmailMessage) -> EmailMessage:
    """The message as its recipient's program reads it."""
    read = message_from_bytes(message.as_bytes(), policy=policy.default)
    assert isinstance(read, EmailMessage)
    assert not read.defects
    return read


def part(message: EmailMessage, kind: str) -> str:
    body = delivered(message).get_body((kind,))
    assert body is not None
    return str(body.get_content())


class Page(HTMLParser):
    """The visible text of a page, its links and attributes; fails on tags that are not closed in order."""

    EMPTY = frozenset({"meta", "br"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "title"} & set(self.open):
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"[ \n]+", " ", " ".join(self.words))

    def values(self, name: str) -> list[str | None]:
        return [value for _tag, attribute, value in self.attributes if attribute == name]


# The table of texts


def test_every_recipient_of_every_event_has_a_text() -> None:
    told = {event: set(recipients) for event, recipients in MATRIX.items() if recipients}
    assert {event: set(texts) for event, texts in TEXTS.items()} == told, "activities/notice_texts.py, as in the matrix"


def test_whoever_must_act_is_told_what_to_do() -> None:
    silent = [
        (event, recipient)
        for event, recipient in EVERY_NOTICE
        if MATRIX[event][recipient] is Importance.ACTION
        and recipient is not Recipient.HOLDER
        and text_of(event, recipient).to_do is None
    ]
    assert silent == []


def test_every_open_status_says_what_its_holder_must_do() -> None:
    assert set(TO_DO) == {status for status in Status if status.is_open}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("event", "recipient"),
    [
        *EVERY_NOTICE,
        *((event, Recipient.DISPATCHERS) for event in ABOUT_NOTICES),
        *(("message_lost", recipient) for recipient in ABOUT_MESSAGES),
    ],
)
def test_every_notice_says_what_happened_and_what_to_do(
    event: EventName, recipient: Recipient, language: Language
) -> None:
    acts = text_of(event, recipient).to_do is not None
    importance = MATRIX[event][recipient] if event in MATRIX else Importance(["information", "action"][acts])
    told = notice(event=event, recipient=recipient, importance=importance, language=language)
    message = delivered(compose_notice([told], SETTINGS))
    _ = gettext_for(language)
    text = text_of(event, recipient)
    plain, page = part(message, "plain"), Page(part(message, "html"))
    for content in (plain, page.text):
        assert _(text.happened) in content
        assert "TC-2026-000123" in content
        assert (_("To do:") in content) is (importance is Importance.ACTION)
    assert message["subject"].endswith(_(text.subject))
    assert _(text.happened) == text.happened or language == "fr"


@pytest.mark.parametrize(("event", "recipient"), EVERY_NOTICE)
def test_french_signs_never_stand_alone_on_a_line(event: EventName, recipient: Recipient) -> None:
    message = delivered(compose_notice([notice(event=event, recipient=recipient)], SETTINGS))
    for content in (str(message["subject"]), part(message, "plain"), Page(part(message, "html")).text):
        assert not re.search(r" [:!?»]|« |'", content)


# The message


def test_a_notice_has_a_text_and_a_page_that_say_the_same() -> None:
    message = delivered(compose_notice([notice()], SETTINGS))
    assert message.get_content_type() == "multipart/alternative"
    assert [p.get_content_type() for p in message.iter_parts()] == ["text/plain", "text/html"]
    page = Page(part(message, "html"))
    for line in filter(None, map(str.strip, part(message, "plain").splitlines())):
        shown = line == "--" or line.endswith("/account") or line in page.text
        assert shown, line


def test_the_page_loads_nothing_and_leads_only_to_relais_and_to_the_support() -> None:
    page = Page(part(compose_notice([notice()], SETTINGS), "html"))
    assert page.values("src") == []
    assert set(page.values("href")) == {
        f"https://relais.example/requests/{REQUEST_ID}",
        "https://relais.example/account",
        "mailto:soutien@relais.example",
    }
    assert ("html", "lang", "fr") in page.attributes
    assert set(page.values("role")) == {"presentation"}


def test_the_headers_are_those_of_an_automatic_message() -> None:
    message = delivered(compose_notice([notice(nth=7)], SETTINGS))
    assert message["Message-ID"] == f"<{UUID(int=7)}@relais>"
    assert message["From"] == "Relais <ne-pas-repondre@relais.example>"
    assert message["To"].addresses[0].display_name == "Éloïse Tremblay"
    assert message["To"].addresses[0].addr_spec == "e.tremblay@clinique.example"
    assert message["Date"].datetime == NOW + timedelta(minutes=7)
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["X-Auto-Response-Suppress"] == "All"
    assert message["List-Id"] is None


def test_mail_clients_put_the_notices_of_a_request_together() -> None:
    first, second = (compose_notice([notice(nth=nth)], SETTINGS) for nth in (1, 2))
    other = compose_notice([notice(request_id=UUID(int=9))], SETTINGS)
    assert first["References"] == second["References"] == first["In-Reply-To"]
    assert first["References"] != other["References"]
    assert first["Message-ID"] != second["Message-ID"]


@pytest.mark.parametrize(
    ("language", "moment", "expected"),
    [
        ("fr", "2026-12-01 09:05", "Échéance : mardi 1ᵉʳ décembre 2026 à 9 h 05 (HNE)"),
        ("fr", "2026-07-02 14:00", "Échéance dépassée : jeudi 2 juillet 2026 à 14 h 00 (HAE)"),
        ("en", "2026-12-01 09:05", "Due: Tuesday, December 1, 2026 at 9:05 am (EST)"),
        ("en", "2026-07-02 14:00", "Was due: Thursday, July 2, 2026 at 2:00 pm (EDT)"),
    ],
)
def test_the_due_date_is_in_the_reader_s_words_and_in_the_clinics_time(
    language: str, moment: str, expected: str
) -> None:
    message = compose_notice([notice(language=language, due_at=toronto(moment))], SETTINGS)
    for content in (part(message, "plain"), Page(part(message, "html")).text):
        assert expected in content.replace("\N{NO-BREAK SPACE}", " ")


def test_what_is_only_to_know_has_neither_a_task_nor_a_due_date() -> None:
    told = notice(event=EventName.ACCEPTED, recipient=Recipient.REQUESTER, importance=Importance.INFORMATION)
    plain = part(compose_notice([told], SETTINGS), "plain")
    assert "Pour information" in plain
    assert "À faire" not in plain
    assert "Échéance" not in plain


def test_the_support_block_shows_what_is_set_and_nothing_else() -> None:
    french = part(compose_notice([notice()], SETTINGS), "plain")
    assert "du lundi au vendredi" in french
    assert "1 844 555-0123" in french
    english = part(compose_notice([notice(language="en")], SETTINGS), "plain")
    assert "Monday to Friday" in english
    without_phone = SETTINGS.model_copy(update={"support_phone": ""})
    assert "Téléphone" not in part(compose_notice([notice()], without_phone), "plain")
    nothing = SETTINGS.model_copy(update={"support_email": "", "support_phone": "", "support_hours_fr": ""})
    for kind in ("plain", "html"):
        assert "Service de soutien" not in part(compose_notice([notice()], nothing), kind)


# What people could smuggle in


@pytest.mark.parametrize(
    "address",
    [
        "",
        "no-address",
        "@clinique.example",
        "a@",
        "a@b@clinique.example",
        "a@clinique.example\r\nBcc: all@clinique.example",
        "a@clinique.example, b@clinique.example",
        "a b@clinique.example",
        "<a@clinique.example>",
    ],
)
def test_what_is_no_single_address_is_refused_without_being_repeated(address: str) -> None:
    with pytest.raises(AddressError) as refused:
        compose_notice([notice(address=address)], SETTINGS)
    assert not address or address not in str(refused.value)


def test_a_domain_with_accents_is_written_in_ascii() -> None:
    message = compose_notice([notice(address="e.tremblay@clinique-santé.example")], SETTINGS)
    assert message["To"].addresses[0].domain == "xn--clinique-sant-nhb.example"


@given(name=st.text(max_size=150))
@hypothesis_settings(deadline=None)
def test_a_name_can_neither_add_a_header_nor_a_recipient(name: str) -> None:
    sent = compose_notice([notice(display_name=name)], SETTINGS)
    message = delivered(sent)
    assert sorted(message.keys()) == sorted(delivered(compose_notice([notice()], SETTINGS)).keys())
    assert [a.addr_spec for a in message["To"].addresses] == ["e.tremblay@clinique.example"]
    assert "\n" not in message["To"].addresses[0].display_name


def test_a_name_is_text_and_not_markup() -> None:
    message = compose_notice([notice(display_name='<img src="https://evil.example/">')], SETTINGS)
    page = Page(part(message, "html"))
    assert page.values("src") == []
    assert '<img src="https://evil.example/">' in page.text


def told(event: Event, request: Request) -> Iterator[OutgoingNotice]:
    """The notices of an event, one for each of its recipients, made of rows as the records have them."""
    row = EventRecord(
        request_id=event.request_id,
        version=event.version,
        name=event.name,
        command_id=event.command.id,
        status=event.status,
        holder=event.holder.model_dump(mode="json"),
        command=event.command.model_dump(mode="json"),
    )
    for recipient, importance in MATRIX[event.name].items():
        notice_row = Notice(
            id=UUID(int=event.version),
            request_id=event.request_id,
            version=event.version,
            event=event.name,
            recipient=recipient,
            address="e@clinique.example",
            language="fr",
            importance=importance,
            message_id=f"<{event.version}@relais>",
            created_at=event.at,
        )
        yield outgoing_notice(notice_row, Account(given_name="Éloïse", family_name="Tremblay"), row, request)


def wordy_stories(words: str) -> Iterator[Story]:
    """Two requests in which people say `words` wherever they can say something."""
    story = submitted()
    story.take(c.ChangePriority(id=command_id(), actor=DISPATCHER, priority=Priority.ASAP, reason=words))
    story.take(c.Assign(id=command_id(), actor=DISPATCHER, to=who(PROVIDER), comment=words))
    story.take(c.RequestInformation(id=command_id(), actor=PROVIDER, text=words))
    story.take(c.AnswerInformation(id=command_id(), actor=REQUESTER, text=words))
    story.take(c.ReturnToDispatch(id=command_id(), actor=PROVIDER, comment=words))
    story.assign()
    story.take(c.Transfer(id=command_id(), actor=PROVIDER, to=who(COLLEAGUE), comment=words))
    reason = c.ReturnReason.NOT_ELIGIBLE
    story.take(c.ReturnToRequester(id=command_id(), actor=COLLEAGUE, reason=reason, text=words))
    story.take(c.Resubmit(id=command_id(), actor=REQUESTER, form=form(2)))
    story.take(c.Cancel(id=command_id(), actor=REQUESTER, reason=words))
    yield story
    story = reported()
    outcome = c.Outcome(advice_followed="partly", comment=words)
    story.take(c.Acknowledge(id=command_id(), actor=REQUESTER, outcome=outcome))
    yield story


@given(words=st.text(st.characters(exclude_categories=["C", "Z"]), max_size=40).map(lambda text: f"QXQ{text}QXQ"))
@hypothesis_settings(max_examples=8, deadline=None)
def test_nothing_that_people_write_gets_into_an_e_mail(words: str) -> None:
    for story in wordy_stories(words):
        every_notice = [one for event in story.events for one in told(event, story.request)]
        everyone = [compose_notice([one], SETTINGS) for one in every_notice]
        everyone.append(compose_digest(every_notice, SETTINGS, account_id=UUID(int=1), sent_at=NOW))
        for message in map(delivered, everyone):
            said = " ".join([*map(str, message.values()), part(message, "plain"), Page(part(message, "html")).text])
            assert "QXQ" not in said
            assert "dermato" not in said.lower()


# By the present state of the request


def notice_of(event: Event, request: Request, recipient: Recipient) -> OutgoingNotice:
    return next(one for one in told(event, request) if one.recipient is recipient)


def test_a_task_carries_the_present_due_date() -> None:
    story = assigned()
    accepted_in_time = notice_of(story.events[-1], story.request, Recipient.HOLDER)
    assert accepted_in_time.importance is Importance.ACTION
    assert accepted_in_time.due_at == story.request.due_at


def test_a_task_that_is_done_is_told_as_information() -> None:
    story = accepted()
    late = notice_of(story.events[1], story.request, Recipient.HOLDER)
    assert late.event is EventName.ASSIGNED
    assert late.importance is Importance.INFORMATION
    assert late.due_at is None


def test_a_question_is_to_be_answered_by_its_own_due_date_while_it_is_open() -> None:
    story = assigned()
    question = story.ask()
    asked = story.events[-1]
    deadline = next(d for d in story.request.deadlines if d.question_id == question)
    assert notice_of(asked, story.request, Recipient.REQUESTER).due_at == deadline.due_at
    story.answer(question)
    assert notice_of(asked, story.request, Recipient.REQUESTER).importance is Importance.INFORMATION


# Digests


def digest(*notices: OutgoingNotice) -> EmailMessage:
    return compose_digest(notices, SETTINGS, account_id=UUID(int=1), sent_at=NOW)


def about(number: int, **changes: Any) -> OutgoingNotice:
    return notice(request_id=UUID(int=number), number=f"TC-2026-{number:06}", **changes)


KNOWN = {
    "event": EventName.ACKNOWLEDGED,
    "recipient": Recipient.SIGNER,
    "importance": Importance.INFORMATION,
    "status": Status.CLOSED,
    "due_at": None,
}


def test_a_digest_is_grouped_by_request_with_the_most_urgent_task_on_top() -> None:
    message = digest(
        about(1, nth=1, **KNOWN),
        about(2, nth=2, due_at=NOW + timedelta(days=3)),
        about(3, nth=3, due_at=NOW + timedelta(days=1)),
        about(2, nth=4, **{**KNOWN, "event": EventName.PRIORITY_CHANGED, "recipient": Recipient.HOLDER}),
        about(4, nth=5, **KNOWN),
    )
    for content in (part(message, "plain"), Page(part(message, "html")).text):
        order = re.findall(r"TC-2026-00000\d|À faire(?!.:)|Pour information", content)
        assert order == [
            *("À faire", "TC-2026-000003", "TC-2026-000002"),
            *("Pour information", "TC-2026-000004", "TC-2026-000001"),
        ]
        assert content.index("TC-2026-000002") < content.index("Priorité modifiée")
    assert message["subject"].replace("\N{NO-BREAK SPACE}", " ").endswith("à faire (2), pour information (2)")
    assert message["Date"].datetime == NOW


@pytest.mark.parametrize(
    ("notices", "subject"),
    [
        ([notice()], "Relais – avis groupés : à faire (1)"),
        ([about(1, **KNOWN), about(2, nth=2, **KNOWN)], "Relais – avis groupés : pour information (2)"),
    ],
)
def test_the_subject_of_a_digest_counts_requests(notices: list[OutgoingNotice], subject: str) -> None:
    assert digest(*notices)["subject"].replace("\N{NO-BREAK SPACE}", " ") == subject


def test_the_same_notices_give_a_digest_the_same_id() -> None:
    one, two = notice(nth=1), notice(nth=2)
    assert digest(one, two)["Message-ID"] == digest(two, one)["Message-ID"]
    assert digest(one, two)["Message-ID"] != digest(one)["Message-ID"]
    other_account = compose_digest([one, two], SETTINGS, account_id=UUID(int=2), sent_at=datetime.now(UTC))
    assert digest(one, two)["Message-ID"] != other_account["Message-ID"]


# About accounts


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", LetterKind)
def test_every_letter_about_an_account_is_whole_and_says_nothing_of_patients(
    kind: LetterKind, language: Language
) -> None:
    has_link = kind in LINK_PATHS
    letter = OutgoingAccountLetter(
        letter_id=UUID(int=5),
        kind=kind,
        address="e.tremblay@clinique.example",
        display_name="Éloïse Tremblay",
        language=language,
        created_at=NOW,
        clinic="Clinique du Fleuve",
        username="e.tremblay",
        code="a-code" if has_link else "",
        expires_at=NOW + timedelta(days=5) if has_link else None,
        needs_voice_code=has_link,
    )
    message = delivered(compose_account_letter(letter, SETTINGS))
    plain, page = part(message, "plain"), Page(part(message, "html"))
    say = gettext_for(language)
    for content in (plain, page.text):
        assert say(ACCOUNT_TEXTS[kind].happened).format(clinic="Clinique du Fleuve", username="e.tremblay") in content
        assert not re.search(r"patient|TC-", content)
        if language == "fr":
            assert not re.search(r" [:!?»]|« |'", content)
    assert set(page.values("href")) == {
        *([f"https://relais.example{LINK_PATHS[kind]}a-code"] if has_link else []),
        "mailto:soutien@relais.example",
    }
    assert message["Message-ID"] == f"<{UUID(int=5)}@relais>"
    assert say(ACCOUNT_TEXTS[kind].subject) in message["Subject"]
