"""The names of the activities and what they answer: all that workflows know of them."""

from domain.model import Frozen, Sha256

RECORD_EVENT = "record_event"
NOTE_REFUSAL = "note_refusal"
NOTE_FAILURE = "note_failure"
FINALIZE_REPORT = "finalize_report"
SEND_NOTICE = "send_notice"
DUE_DIGESTS = "due_digests"
SEND_DIGEST = "send_digest"


class FinalizedReport(Frozen):
    """The answer of `finalize_report`: the document is stored."""

    pdf_sha256: Sha256
