"""Routes that will go: their answers say since when they should not be used, until when they can be, and what to use instead."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from email.utils import format_datetime

from fastapi import Request

from web.observe import tell


class Deprecated:
    """A dependency of a route that is deprecated; the description of the API says so, too."""

    def __init__(self, *, since: date, until: date, instead: str) -> None:
        """`until` is the first day without it; `instead` the address of what takes its place."""
        self._fields: Mapping[str, str] = {
            "Deprecation": f"@{int(_midnight(since).timestamp())}",
            "Sunset": format_datetime(_midnight(until), usegmt=True),
            "Link": f'<{instead}>; rel="successor-version"',
        }

    async def __call__(self, request: Request) -> None:
        """The fields of RFC 9745 and RFC 8594."""
        tell(request, self._fields)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
