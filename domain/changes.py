"""The feed of changes: what it tells of requests, and for how long. See docs/decisions/feed-of-changes.md."""

from datetime import timedelta
from enum import StrEnum


class ChangeKind(StrEnum):
    """What is told of a request."""

    EVENT = "event"  # a row of its timeline
    BEGUN = "begun"  # a draft was begun
    EDITED = "edited"  # the form was edited; several edits one after the other are told once
    SEEN = "seen"  # nothing happened to it: the reader sees it since their roles have changed, or a restriction ended
    GONE = "gone"  # the reader does not see it any more


KEPT_FOR = timedelta(days=30)
"""How long what has changed can be read; whoever comes later reads the lists anew."""
