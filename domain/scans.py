"""Whether a file was scanned for viruses, and to whom it is given out then."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class ScanState(StrEnum):
    """What a scanner has said of a file."""

    NOT_SCANNED = "not_scanned"  # there was no scanner, or it can't take this file
    PENDING = "pending"  # it waits for its turn, or for the scanner to come back
    CLEAN = "clean"  # nothing was found
    INFECTED = "infected"  # a virus was found; the file was destroyed


class WhyNotScanned(StrEnum):
    """Why a scanner that is there has said nothing of a file. An older one, which nobody asked it of, has none of these."""

    TOO_LARGE = "too_large"  # larger than it takes
    FAILED = "failed"  # it failed on this file again and again
    UNREADABLE = "unreadable"  # the stored file is gone, or is another one


class Hold(StrEnum):
    """Why a file is not given out. The names are codes of problems."""

    BEING_CHECKED = "file_being_checked"
    NOT_SCANNED = "file_not_scanned"
    INFECTED = "file_infected"


MOST_TRIES = 36
"""A file on which a scanner that answers fails so often, which takes it a day, counts as one that can't be scanned."""

LONGEST_PAUSE = timedelta(hours=1)


def pause_after(failed: int) -> timedelta:
    """How long a file waits after so many scans of it have failed: a second at first, twice as long each time, up to an hour."""
    return min(timedelta(seconds=2 ** min(failed - 1, 12)), LONGEST_PAUSE)


@dataclass(frozen=True)
class ScanRule:
    """How an installation goes about files: whether it has a scanner, and whether what this one has not passed is kept back."""

    has_scanner: bool
    is_required: bool

    def hold(self, state: ScanState, *, shows_sender: bool = False) -> Hold | None:
        """Why a file in that state is not given out; None where it is.

        `shows_sender`: it is a picture that was made anew of the file, for the one who sent it and has it. What is infected
        nobody gets, whatever the rule.
        """
        if state is ScanState.INFECTED:
            return Hold.INFECTED
        if state is ScanState.CLEAN or shows_sender or not (self.has_scanner and self.is_required):
            return None
        return Hold.BEING_CHECKED if state is ScanState.PENDING else Hold.NOT_SCANNED
