"""In which language a caller reads."""

from fastapi import Request

from translations import Language, language_accepted


def language_of(request: Request) -> Language:
    """The first of ours in Accept-Language, else that of the caller's account, else French."""
    spoken: Language = getattr(request.state, "language", "fr")
    return language_accepted(request.headers.get("accept-language", "")) or spoken
