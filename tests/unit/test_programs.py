"""What people are told of the program with which they signed in."""

import pytest

from web.programs import LONGEST, program_of

APPLE = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
CHROMIUM = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROMIUM} Safari/537.36", "Chrome, Windows"),
        (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROMIUM} Safari/537.36 Edg/140.0.0.0", "Edge, Windows"),
        (f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {CHROMIUM} Safari/537.36", "Chrome, ChromeOS"),
        (f"Mozilla/5.0 (Linux; Android 10; K) {CHROMIUM} Mobile Safari/537.36", "Chrome, Android"),
        (f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {APPLE} Version/18.5 Safari/605.1.15", "Safari, macOS"),
        (
            f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) {APPLE} Version/18.5 Mobile/15E148 Safari/604.1",
            "Safari, iPhone",
        ),
        (
            f"Mozilla/5.0 (iPad; CPU OS 18_5 like Mac OS X) {APPLE} FxiOS/140.0 Mobile/15E148 Safari/605.1.15",
            "Firefox, iPad",
        ),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox, Linux"),
        ("Mozilla/5.0 (compatible)", "Mozilla"),
        ("python-httpx/0.28.1", "python-httpx"),
        ("DossierMedical/4.2 (Windows)", "DossierMedical"),
        ("x" * 1000, "x" * LONGEST),
        ("", None),
        ("<script>", None),
        ("\u202eé", None),
    ],
)
def test_a_program_is_named_as_people_know_it(said: str, told: str | None) -> None:
    assert program_of(said) == told
