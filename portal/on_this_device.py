"""Choices that a browser keeps: the language before anybody has signed in, the order of the worklist, the look of the pages."""

from fastapi import Response


def keep(response: Response, name: str, value: str) -> None:
    """For a year, whoever signs in there. It is no secret."""
    response.set_cookie(name, value, max_age=365 * 86_400, samesite="lax", httponly=True)
