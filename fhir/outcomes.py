"""What can't be done, as FHIR says it: an OperationOutcome with a code of FHIR's, ours beside it, and a sentence for people."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fhir.addresses import Server
from fhir.elements import CodeableConcept, Coding
from fhir.resources import Issue, OperationOutcome
from translations import gettext_for
from translations import gettext_noop as _

_CODES: Mapping[int, str] = {
    400: "invalid",
    401: "login",
    403: "forbidden",
    404: "not-found",
    405: "not-supported",
    406: "not-supported",
    409: "conflict",
    410: "deleted",
    412: "conflict",
    413: "too-long",
    415: "not-supported",
    422: "invalid",
    429: "throttled",
    500: "exception",
    503: "transient",
    507: "no-store",
}
"""FHIR's issue types (http://hl7.org/fhir/issue-type) for the statuses that are answered."""


class NotTaken(Exception):  # noqa: N818 - what it is to who asks
    """A call that can't be answered as it is: a status, FHIR's code of the issue, and the parameter that it is about."""

    def __init__(self, sentence: str, *, status: int = 400, code: str = "invalid", about: str | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.status = status
        self.code = code
        self.about = about

    def outcome(self, server: Server) -> OperationOutcome:
        """The same, in the reader's language."""
        said = gettext_for(server.language)(self.sentence) % {"name": self.about or ""}
        return OperationOutcome(
            issue=(
                Issue(
                    severity="error", code=self.code, details=CodeableConcept(text=said), expression=_place(self.about)
                ),
            )
        )


@dataclass(frozen=True)
class Fault:
    """What is wrong with one element of what was sent: FHIR's code of the issue, a sentence, and the element."""

    code: str
    sentence: str
    about: str


class Faults(NotTaken):
    """What can be read, and breaks what it must hold: an issue for each fault."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)[:MOST_FAULTS]
        super().__init__(self.faults[0].sentence, status=422, code=self.faults[0].code, about=self.faults[0].about)

    def outcome(self, server: Server) -> OperationOutcome:
        """All of them, in the reader's language."""
        say = gettext_for(server.language)
        return OperationOutcome(
            issue=tuple(
                Issue(
                    severity="error",
                    code=fault.code,
                    details=CodeableConcept(text=say(fault.sentence) % {"name": fault.about}),
                    expression=(fault.about,),
                )
                for fault in self.faults
            )
        )


MOST_FAULTS = 50
"""So many are told at once."""

UNKNOWN_PARAMETER = _("There is no search parameter “%(name)s” here.")
NOT_IN_ADDRESS = _(
    "A health-insurance number must not stand in an address, where it would be kept in logs: send “%(name)s” by POST to _search."
)
NOT_READ = _("“%(name)s” can't be read.")
REQUEST_NEEDED = _("Say of which request, by “%(name)s”.")
OTHER_FORMAT = _("Answers are given as application/fhir+json.")
NOT_A_FORM = _("A search by POST has a body of the type application/x-www-form-urlencoded.")


def outcome_of(problem: Mapping[str, Any], status: int, server: Server) -> OperationOutcome:
    """What a problem of the API says, as an outcome: one issue for each field that is wrong."""
    code = _CODES.get(status, "processing")
    own = Coding(system=server.codes("problem"), code=str(problem.get("code", "")) or None)
    details = CodeableConcept(coding=(own,), text=problem.get("detail"))
    fields = problem.get("errors") or [None]
    return OperationOutcome(
        issue=tuple(
            Issue(
                severity="fatal" if status >= 500 else "error",
                code=code,
                details=details if field is None else CodeableConcept(coding=(own,), text=field.get("message")),
                diagnostics=problem.get("instance"),
                expression=_place(field.get("field") if field else None),
            )
            for field in fields
        )
    )


def _place(name: str | None) -> tuple[str, ...] | None:
    """Where in the call: FHIR names a parameter of a search so."""
    return (f"http.{name}",) if name else None
