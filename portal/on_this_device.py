"""Choices that a browser keeps: the language before anybody has signed in, the order of the worklist, the look of the pages."""

from fastapi import Request, Response

from settings import Settings


def keep(response: Response, settings: Settings, name: str, value: str) -> None:
    """For a year, whoever signs in there. It is no secret."""
    response.set_cookie(
        _cookie(settings, name),
        value,
        max_age=365 * 86_400,
        secure=settings.over_tls,
        httponly=True,
        samesite="lax",
    )


def kept(request: Request, name: str) -> str | None:
    """What the browser keeps under that name; one of before, too, in which names had no prefix."""
    settings: Settings = request.app.state.services.settings
    return request.cookies.get(_cookie(settings, name), request.cookies.get(name))


def _cookie(settings: Settings, name: str) -> str:
    """With TLS, ``__Host-`` binds it to this host."""
    return f"__Host-{name}" if settings.over_tls else name
