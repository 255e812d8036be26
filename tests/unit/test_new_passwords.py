"""Which new passwords will do. Source: ASVS 5.0.0, V6.2."""

import pytest
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from use_cases.new_passwords import COMMON_HERE, MIN_PASSWORD, check_new_password
from use_cases.problems import Problem

ABOUT = ("Élise", "Côté-Tremblay", "elise.cote@clinique-du-fleuve.example.ca")


async def fault(password: str) -> str | None:
    """What is wrong with it for Élise, as a code."""
    try:
        await check_new_password(password, "elise.cote", "new", ABOUT)
    except Problem as problem:
        [error] = problem.errors
        assert error.field == "new"
        return error.code
    return None


@pytest.mark.parametrize(
    "password",
    [
        "quatre mots sans aucun lien",
        "correct horse battery staple",
        "Kx9#mQ2$vL7p",
        "ᐊᐅᓚᔾᔭᒃᑯᑦ ᓄᓇᕗᑦ",
        "le héron lit un tramway " * 40,
    ],
)
async def test_what_nobody_guesses_soon_will_do(password: str) -> None:
    assert await fault(password) is None


@pytest.mark.parametrize(
    "password",
    [
        "xxxxxxxxxxxx",
        "123456789012",
        "abcdefghijklmno",
        "azertyuiop12",
        "Motdepasse2026!",
        "P@ssw0rd2026!",
        "bonjourbonjour",
        "Clinique-2026",
        "relais2026relais",
        "Montreal2026!",
        "elise.cote.1",
        "CoteElise1980",
        "cote-tremblay!",
        "clinique-du-fleuve",
    ],
)
async def test_what_is_soon_guessed_will_not_do(password: str) -> None:
    assert await fault(password) == "password_guessed"


async def test_none_of_the_most_common_ones_will_do() -> None:
    most_common = FREQUENCY_LISTS["passwords"]
    assert len(most_common) > 3_000
    long = [password for password in most_common if len(password) >= MIN_PASSWORD]
    assert {await fault(password) for password in long} == {"password_guessed"}
    assert {await fault(password) for password in most_common[:3_000:10]} <= {"password_too_short", "password_guessed"}


async def test_nor_a_word_of_this_place_with_what_everybody_puts_behind_it() -> None:
    for word in COMMON_HERE:
        assert await fault(f"{word}2026!".ljust(MIN_PASSWORD, "!")) == "password_guessed", word


@pytest.mark.parametrize("before", [0, 9])
async def test_spaces_around_it_do_not_make_it_better(before: int) -> None:
    assert await fault(" " * before + "motdepasse12" + " " * 9) == "password_guessed"


async def test_nor_a_long_name() -> None:
    with pytest.raises(Problem):
        await check_new_password(
            "marie-josephe.charbonneau-villeneuve1!", "marie-josephe.charbonneau-villeneuve", "new"
        )
