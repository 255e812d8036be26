"""What a check of a signed report finds: the verdict, without what it takes to come to it."""

from datetime import datetime
from hashlib import sha256
from typing import Literal

from pydantic import ConfigDict

from domain.model import Discreet

Problem = Literal[
    "unreadable",  # not a PDF, or too damaged to be read
    "not_signed",  # a PDF without any signature
    "several_signatures",  # signed by more people than the one that Relais lets sign
    "altered",  # the signed bytes are not the ones that were signed
    "modified_after_signing",  # something was appended that is not part of the signature's own maintenance
    "not_covered",  # bytes of the file lie outside of the last time stamp
    "time_stamp_missing",  # no valid time stamp: nobody can say when it was signed
    "revoked",  # the signer's certificate was revoked before
    "not_trusted",  # no valid way from the signer's certificate to a trusted root
]


class Certificate(Discreet):
    """The signer's certificate. `serial_number` and `sha256` are in hexadecimal."""

    model_config = ConfigDict(frozen=True)

    issuer: str
    serial_number: str
    sha256: str
    valid_from: datetime
    valid_until: datetime


class Verification(Discreet):
    """The verdict on one file. It is good only if `problems` is empty; the other fields say what was found.

    `signed_at` is the time that the signer states, `stamped_at` the one that the time stamp proves. `checkable_until` is when the
    certificate of the last time stamp ends: until then the file proves everything by itself.
    """

    model_config = ConfigDict(frozen=True)

    intact: bool = False
    trusted: bool = False
    covers_whole_document: bool = False
    modified_after_signing: bool = False
    signer_name: str | None = None
    signer_licence: str | None = None
    signed_at: datetime | None = None
    stamped_at: datetime | None = None
    checkable_until: datetime | None = None
    certificate: Certificate | None = None
    problems: tuple[Problem, ...]

    @property
    def valid(self) -> bool:
        return not self.problems


def document_hash(pdf: bytes) -> str:
    """SHA-256 of a whole file, in hexadecimal: how the records and later documents refer to it."""
    return sha256(pdf).hexdigest()
