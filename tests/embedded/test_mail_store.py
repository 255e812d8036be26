"""What the mail store still knows when its process comes back."""

from pathlib import Path

from embedded.mail_store import MailStore

MAIL = (
    b"From: a@x.invalid\r\nTo: b@x.invalid\r\nSubject: =?utf-8?q?Avis_=C3=A0_lire?=\r\n"
    b"Message-ID: <1@x.invalid>\r\n\r\nBonjour\r\n"
)


def test_goes_on_counting_after_a_restart(tmp_path: Path) -> None:
    MailStore(tmp_path).keep(MAIL, ["b@x.invalid"])
    again = MailStore(tmp_path)
    again.keep(MAIL, ["c@x.invalid"])
    (mail,) = again.newest_first()
    assert mail.deliveries == 2
    assert mail.recipients == ("b@x.invalid", "c@x.invalid")
    assert mail.subject == "Avis à lire"


def test_what_the_mail_does_not_say_itself_is_kept_beside_it(tmp_path: Path) -> None:
    MailStore(tmp_path).keep(MAIL, ["c@x.invalid"])
    (mail,) = MailStore(tmp_path).newest_first()
    assert (mail.recipients, mail.deliveries) == (("c@x.invalid",), 1)


def test_a_crash_between_the_two_files_loses_no_mail(tmp_path: Path) -> None:
    kept = MailStore(tmp_path).keep(MAIL, ["c@x.invalid"])
    (tmp_path / f"{kept.name}.json").unlink()
    (mail,) = MailStore(tmp_path).newest_first()
    assert (mail.message_id, mail.recipients, mail.deliveries) == ("<1@x.invalid>", ("b@x.invalid",), 1)


def test_mails_without_an_id_are_told_apart_by_their_content(tmp_path: Path) -> None:
    store = MailStore(tmp_path)
    for text in (b"one", b"two", b"two"):
        store.keep(b"Subject: x\r\n\r\n" + text, ["b@x.invalid"])
    assert sorted(mail.deliveries for mail in store.newest_first()) == [1, 2]


def test_a_mail_that_is_no_mail_is_kept_too(tmp_path: Path) -> None:
    store = MailStore(tmp_path)
    kept = store.keep(b"\xff\xfe\x00 not a mail", ["b@x.invalid"])
    assert store.source(kept.name) == b"\xff\xfe\x00 not a mail"
    assert store.content(kept.name).headers == ()
