"""To whom a file is given out, after what the scanner said of it: the one place in which that is decided.

Whatever reads a file of an attachment, or what was made of it, to show it to somebody asks here before
(`tests/unit/test_scans.py` knows the modules that read any). How files are scanned is in `use_cases.scanning`.
"""

from dataclasses import dataclass
from uuid import UUID

from domain.scans import Hold, ScanRule
from records.models import Attachment
from settings import Settings
from use_cases.caller import Caller
from use_cases.problems import Problem


def scan_rule(settings: Settings) -> ScanRule:
    """That of this installation."""
    return ScanRule(settings.clamd_url is not None, settings.scan_required)


@dataclass(frozen=True)
class Viewer:
    """Who wants to see files, under the rule of this installation."""

    rule: ScanRule
    account_id: UUID

    @classmethod
    def of(cls, settings: Settings, caller: Caller) -> "Viewer":
        """The caller."""
        return cls(scan_rule(settings), caller.id)

    def hold(self, attachment: Attachment, *, picture: bool = False) -> Hold | None:
        """Why the viewer does not get the file, or a `picture` that was made of it; None where they do."""
        return self.rule.hold(attachment.scan, shows_sender=picture and attachment.uploaded_by == self.account_id)


def check_given_out(viewer: Viewer, attachment: Attachment, *, picture: bool) -> None:
    """Raises Problem `file_being_checked`, `file_not_scanned` or `file_infected` where the viewer does not get it."""
    if (hold := viewer.hold(attachment, picture=picture)) is not None:
        raise Problem(hold.value)
