"""What can be an e-mail address, and where one is asked for."""

import pytest

from domain.addresses import AddressError, ascii_domain, checked_address
from settings import Settings, SettingsError, get_settings


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("anne.roy@clinique.example.com", "anne.roy@clinique.example.com"),
        ("  anne@Example.COM ", "anne@example.com"),
        ("zoé@clinique-santé.ca", "zoé@clinique-santé.ca"),
        ("o'brien+relais@example.ca", "o'brien+relais@example.ca"),
    ],
)
def test_an_address_in_its_usual_form(text: str, address: str) -> None:
    assert checked_address(text) == address


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "nobody",
            "@example.ca",
            "anne@",
            "a b@example.ca",
            "anne@example..ca",
            "anne@@example.ca",
            "anne@localhost",
        ),
        *("Anne <anne@example.ca>", "anne@example.ca, b@example.ca", "anne@example.ca\r\nRCPT TO:<b@example.ca>"),
        *(
            "anne@clinic.invalid",
            "anne@clinic.test",
            "anne@192.0.2.1",
            "anne\u200b@example.ca",
        ),
    ],
)
def test_what_is_none_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(AddressError, match=r"\.$|\)$") as error:
        checked_address(text)
    assert not text or text not in str(error.value)


def test_a_demonstration_may_have_addresses_that_reach_nobody() -> None:
    assert checked_address("anne@clinic.invalid", reachable=False) == "anne@clinic.invalid"
    with pytest.raises(AddressError):
        checked_address("anne", reachable=False)


def test_a_domain_as_mail_servers_know_it() -> None:
    assert ascii_domain("clinique-santé.example") == "xn--clinique-sant-nhb.example"
    assert ascii_domain("straße.de") == "xn--strae-oqa.de"  # not the one with ss: that is another domain
    with pytest.raises(AddressError):
        ascii_domain("é..ca")


@pytest.mark.parametrize("setting", ["mail_from", "support_email"])
def test_the_settings_hold_addresses(monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    monkeypatch.setenv(f"RELAIS_{setting.upper()}", "Relais <nobody>")
    get_settings.cache_clear()
    with pytest.raises(SettingsError, match=f"RELAIS_{setting.upper()}"):
        get_settings()
    get_settings.cache_clear()


def test_the_settings_as_delivered_hold_addresses() -> None:
    assert Settings().mail_from
