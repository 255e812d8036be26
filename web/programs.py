"""By which program somebody calls, in words that its person knows it by.

A program may say of itself whatever it likes (RFC 9110, 10.1.5): it is shown to who signed in with it, and nothing depends on it.
"""

import re

LONGEST = 40

_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
"""What tells each, those first that name others besides themselves."""

_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


def program_of(user_agent: str) -> str | None:
    """Browser and system, e.g. ``Firefox, Windows``; of other programs their name; None for what names itself not at all."""
    named = [next((name for sign, name in known if sign in user_agent), None) for known in (_BROWSERS, _SYSTEMS)]
    if user_agent.startswith("Mozilla/") and any(named):
        return ", ".join(name for name in named if name)
    product = re.match(r"[\w!#$%&'*+.^`|~-]+", user_agent, re.ASCII)
    return product[0][:LONGEST] if product else None
