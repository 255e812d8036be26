"""Whether the patient must be seen in person, as a report says by what was chosen in it."""

from collections.abc import Iterable

from domain.offerings import Answers, FormField

ASKED_UNDER = "urgency_reassessment"
"""The field by which reports say so, where their offering has it."""

NO_VISIT = "no-visit"


def needs_visit(report: Iterable[FormField], answers: Answers) -> bool | None:
    """None where the template does not ask, or nothing was chosen."""
    chosen = answers.get(ASKED_UNDER)
    offered = {option.value for field in report if field.name == ASKED_UNDER for option in field.options}
    return chosen != NO_VISIT if NO_VISIT in offered and chosen in offered else None
