"""Entity tags: which of an answer its reader has."""

import re


def is_known(if_none_match: str, tag: str) -> bool:
    """Whether If-None-Match names this version (compared weakly, RFC 9110, 13.1.2)."""
    return if_none_match.strip() == "*" or tag.removeprefix("W/") in re.findall(r'"[^"]*"', if_none_match)
