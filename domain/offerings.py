"""Service offerings: what a request of one kind must contain, who gets it, how fast, and what its report says.

The files are in ``offerings/``; ``use_cases/offering_files.py`` reads them. Here are their meaning, and the checks of a form and
of a report against them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, StrictBool, StrictInt, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from domain import consents, texts
from domain.calendar import Calendar, Span
from domain.model import Frozen, is_storable, is_unset, storable
from domain.partial_dates import read_day
from domain.photos import MIN_EDGE
from domain.priority import Priority

Code = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{1,63}$")]
"""A short stable name: lower case, digits, hyphens, underscores."""

MAX_VERSION = 2_000_000_000
"""The highest number that a version of an offering can have."""

Version = Annotated[StrictInt, Field(ge=1, le=MAX_VERSION)]
"""The version of an offering. A version never changes: whoever changes an offering gives it a higher number."""

Answers = Mapping[str, Any]
"""Field name to answer: a string, a list of strings, a number, a boolean, a date as ``2026-11-22``, or the parts of a consent
(`domain.consents`)."""


class Localized(Frozen):
    """One text in the two languages of Relais."""

    fr: Annotated[str, StringConstraints(min_length=1), AfterValidator(storable)]
    en: Annotated[str, StringConstraints(min_length=1), AfterValidator(storable)]


class DeadlineName(StrEnum):
    """The eight deadlines of docs/requirements.md."""

    DISPATCH = "dispatch"
    ACCEPTANCE = "acceptance"
    REPORT = "report"
    INFORMATION = "information"
    RESUBMISSION = "resubmission"
    ACKNOWLEDGEMENT = "acknowledgement"
    URGENT_ACKNOWLEDGEMENT = "urgent_acknowledgement"
    FOLLOW_UP = "follow_up"


class FieldKind(StrEnum):
    """What a field holds."""

    TEXT = "text"
    LONG_TEXT = "long_text"
    CHOICE = "choice"
    CHOICES = "choices"
    NUMBER = "number"
    DATE = "date"
    YES_NO = "yes_no"
    CONSENT = "consent"


WRITTEN = frozenset({FieldKind.TEXT, FieldKind.LONG_TEXT})
"""The kinds that are written in one's own words; the others are chosen or counted."""


class CalledFor(StrEnum):
    """What a report asks of whoever gets it, by what was chosen in one of its fields."""

    READING_WITHOUT_DELAY = "reading_without_delay"
    NEW_PHOTOS = "new_photos"


class Option(Frozen):
    """One answer among those that a choice offers. In a report, it may call for something: that then follows."""

    value: Code
    label: Localized
    calls_for: CalledFor | None = Field(None, exclude_if=is_unset)


class FormField(Frozen):
    """One field of a form or of a report."""

    name: Code
    label: Localized
    kind: FieldKind
    required: StrictBool = False
    help: Localized | None = None
    options: tuple[Option, ...] = ()
    max_length: Annotated[StrictInt, Field(ge=1, le=100_000)] = 4_000
    minimum: float | None = None
    maximum: float | None = None
    unit: Localized | None = None

    @model_validator(mode="after")
    def _choices_have_options(self) -> Self:
        is_choice = self.kind in (FieldKind.CHOICE, FieldKind.CHOICES)
        if is_choice != bool(self.options):
            raise ValueError(f"field '{self.name}': options belong to the kinds choice and choices, and they need them")
        _unique("options", "value", (option.value for option in self.options))
        return self


LEADING_FIELDS = frozenset(
    {"diagnostic_impression", "recommendations", "treatment_plan", "urgency_reassessment", "follow_up"}
)
"""What a reader of a report looks for first, by the names that offerings give it."""

FINDINGS = "findings"
"""How the names begin under which a report tells what was seen; that explains the answer, and follows it."""


_BEFORE_IT_WAS_SAID = {
    ("urgency_reassessment", "emergency"): CalledFor.READING_WITHOUT_DELAY,
    ("photo_quality", "insufficient"): CalledFor.NEW_PHOTOS,
    ("image_quality", "insufficient"): CalledFor.NEW_PHOTOS,
}
"""What choices of these names call for in a template that says of none what it calls for: it is older than that."""


def calls_of(report: Iterable[FormField], answers: Answers) -> frozenset[CalledFor]:
    """What a report with these answers to the fields of its template calls for."""
    calling = calling_choices(report)
    chosen = ((name, choice) for name, answer in answers.items() for choice in _chosen(answer))
    return frozenset(calling[choice] for choice in chosen if choice in calling)


def calling_choices(report: Iterable[FormField]) -> Mapping[tuple[str, str], CalledFor]:
    """Which choices of a report's template call for something: by the name of the field, and the value."""
    choices = {(field.name, option.value): option.calls_for for field in report for option in field.options}
    said = {choice: call for choice, call in choices.items() if call}
    return said or {choice: call for choice, call in _BEFORE_IT_WAS_SAID.items() if choice in choices}


def _chosen(answer: Any) -> list[Any]:
    choices = answer if isinstance(answer, list) else [answer]
    return [choice for choice in choices if isinstance(choice, str)]


def leads(field: FormField) -> bool:
    """Whether a field of a report stands on page one: what is named so, what must be written, what is chosen or counted."""
    if field.name in LEADING_FIELDS or field.kind not in WRITTEN:
        return True
    return field.required and not field.name.startswith(FINDINGS)


FileKind = Literal["photo", "video", "document"]
"""What a file that is sent along is taken for."""


class AttachmentSlot(Frozen):
    """A kind of attachment that the offering asks for, and how many.

    Photos whose shortest edge is below `min_edge` pixels are taken with a warning.
    """

    name: Code
    label: Localized
    help: Localized | None = None
    accepts: tuple[FileKind, ...] = ("photo",)
    minimum: Annotated[StrictInt, Field(ge=0, le=50)] = 0
    maximum: Annotated[StrictInt, Field(ge=1, le=50)] = 20
    min_edge: Annotated[StrictInt, Field(ge=1, le=10_000)] = MIN_EDGE


class DeadlineTerms(Frozen):
    """The terms of one deadline: how long by priority, when to remind, how often to repeat after the end."""

    limit: dict[Priority, Span]
    remind_at: tuple[Annotated[float, Field(gt=0, lt=1)] | Span, ...] = ()
    repeat: Span | None = None

    def reminders(self, priority: Priority) -> tuple[timedelta, ...]:
        """The offsets of the reminders since the start, in the deadline's own kind of time, in order."""
        limit = self.limit[priority]
        offsets = (
            reminder.length if isinstance(reminder, Span) else limit.length * reminder for reminder in self.remind_at
        )
        return tuple(sorted(offset for offset in offsets if offset < limit.length))


def _every_priority(*spans: str) -> dict[Priority, Span]:
    texts = spans * 3 if len(spans) == 1 else spans
    return dict(zip((Priority.ASAP, Priority.URGENT, Priority.ROUTINE), map(Span.of, texts), strict=True))


NOT_NAMED: Mapping[DeadlineName, DeadlineTerms] = {
    DeadlineName.URGENT_ACKNOWLEDGEMENT: DeadlineTerms(
        limit=_every_priority("4h"), remind_at=(Span.of("1h"), Span.of("2h"), Span.of("3h")), repeat=Span.of("1h")
    ),
    DeadlineName.FOLLOW_UP: DeadlineTerms(limit=_every_priority("3bd"), remind_at=(0.5,), repeat=Span.of("1d")),
}
"""By which requests live whose terms do not name these, which few meet. They are under way, so it never changes.

Another default is written in `DEFAULT_DEADLINES` alone: it stands in the terms of new requests then.
"""

DEFAULT_DEADLINES: Mapping[DeadlineName, DeadlineTerms] = {
    DeadlineName.DISPATCH: DeadlineTerms(limit=_every_priority("2h", "4h", "1bd"), repeat=Span.of("1d")),
    DeadlineName.ACCEPTANCE: DeadlineTerms(limit=_every_priority("4h", "1d", "3bd"), remind_at=(0.5,)),
    DeadlineName.REPORT: DeadlineTerms(
        limit=_every_priority("1d", "3d", "7bd"), remind_at=(0.75,), repeat=Span.of("1d")
    ),
    DeadlineName.INFORMATION: DeadlineTerms(
        limit=_every_priority("2d", "3d", "7d"), remind_at=(0.5,), repeat=Span.of("7d")
    ),
    DeadlineName.RESUBMISSION: DeadlineTerms(limit=_every_priority("30d"), remind_at=(Span.of("7d"), Span.of("14d"))),
    DeadlineName.ACKNOWLEDGEMENT: DeadlineTerms(
        limit=_every_priority("30d"), remind_at=(Span.of("3d"), Span.of("7d"), Span.of("14d"))
    ),
    **NOT_NAMED,
}
"""The defaults of docs/requirements.md, by asap / urgent / routine. An offering's file may set its own."""


_IN_TERMS = {name: terms for name, terms in DEFAULT_DEADLINES.items() if terms != NOT_NAMED.get(name)}
"""What stands in the terms of every new request, whatever its offering sets."""

ServiceHours = Literal["always", "clinic"]
"""Whether the clocks of an offering run around the clock on working days, or pass, end and remind only while the clinic works."""


class Terms(Frozen):
    """What the workflow works by, as it was when the request was submitted: of its offering, and its clinic's calendar."""

    offering: Code
    offering_version: Version
    dispatch: Literal["manual", "automatic"]
    deadlines: dict[DeadlineName, DeadlineTerms]
    service_hours: ServiceHours = "always"
    calendar: Calendar | None = Field(None, description="None under version 1 of the rules, which has one for all.")

    def of_deadline(self, name: DeadlineName) -> DeadlineTerms:
        """The terms of that deadline."""
        return self.deadlines[name] if name in self.deadlines else NOT_NAMED[name]

    def on(self, calendar: Calendar) -> Self:
        """The same terms with a clinic's calendar, of which they take the hours only where the offering says so."""
        return self.model_copy(
            update={"calendar": calendar if self.service_hours == "clinic" else calendar.whole_days()}
        )


class ServiceOffering(Frozen):
    """One service offering, e.g. teledermatology."""

    code: Code
    version: Version
    title: Localized
    description: Localized
    dispatch: Literal["manual", "automatic"]
    form: Annotated[tuple[FormField, ...], Field(min_length=1)]
    attachments: tuple[AttachmentSlot, ...] = ()
    report: Annotated[tuple[FormField, ...], Field(min_length=1)]
    deadlines: dict[DeadlineName, DeadlineTerms] = Field(default_factory=dict)
    service_hours: ServiceHours = "always"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _unique("form", "name", (field.name for field in self.form))
        _unique("report", "name", (field.name for field in self.report))
        _unique("attachments", "name", (slot.name for slot in self.attachments))
        for position, slot in enumerate(self.attachments):
            if slot.minimum > slot.maximum:
                raise _inconsistent("the slot asks for more than it takes", "attachments", position, "minimum")
        for name, terms in self.deadlines.items():
            missing = {Priority.ASAP, Priority.URGENT, Priority.ROUTINE} - terms.limit.keys()
            if missing:
                raise _inconsistent(f"there is no limit for {', '.join(sorted(missing))}", "deadlines", name, "limit")
            if DEFAULT_DEADLINES[name].repeat is not None and terms.repeat is None:
                raise _inconsistent(
                    "this deadline must repeat, or an overdue request would fall silent", "deadlines", name
                )
        for position, field in enumerate(self.report):
            if field.kind is FieldKind.CONSENT:
                raise _inconsistent("consent is noted in the form, not in the report", "report", position, "kind")
        if not any(field.required for field in self.report):
            raise _inconsistent("at least one field must be required", "report")
        return self

    @model_validator(mode="after")
    def _only_reports_call_for_something(self) -> Self:
        for position, field in enumerate(self.form):
            if any(option.calls_for for option in field.options):
                raise _inconsistent("a choice calls for something in the report only", "form", position, "options")
        return self

    @property
    def accepts(self) -> tuple[FileKind, ...]:
        """The kinds of files that it takes, of one place after the other."""
        return tuple(kind for slot in self.attachments for kind in slot.accepts)

    def question(self, field: FormField) -> bool:
        """Whether this field of the form is the question: the first long text that must be written."""
        asked = next((f for f in self.form if f.required and f.kind is FieldKind.LONG_TEXT), None)
        return asked is not None and field.name == asked.name

    @property
    def terms(self) -> Terms:
        """What a new request of this offering will work by."""
        return Terms(
            offering=self.code,
            offering_version=self.version,
            dispatch=self.dispatch,
            deadlines={**_IN_TERMS, **self.deadlines},
            service_hours=self.service_hours,
        )


class FieldProblem(Frozen):
    """Something that a form or a report lacks, or has wrong. `field` names it; `code` is stable and has a text per language."""

    field: str
    code: Literal[
        "required",
        "unknown_field",
        "not_a_text",
        "too_long",
        "not_an_option",
        "not_a_list",
        "not_a_number",
        "too_small",
        "too_large",
        "not_a_date",
        "not_a_yes_or_no",
        "not_a_consent",
        "not_a_day_of_consent",
        "not_storable",
        "not_one_line",
        "not_printable",
        "too_many_pages",
        "gap_left",
        "too_few_attachments",
        "too_many_attachments",
        "infected_attachment",
        "outdated_answer",
        "slot_gone",
    ]
    limit: float | None = None
    excess: int | None = Field(None, description="How many characters too many a text has.")
    characters: str = Field("", description="The characters that the code is about, as ``U+202E, U+000A``.")


def composed(answers: Answers) -> dict[str, Any]:
    """The same answers with every text in Unicode's composed form (NFC), however it was typed."""
    return {name: _composed(answer) for name, answer in answers.items()}


def _composed(answer: Any) -> Any:
    match answer:
        case str():
            return texts.composed(answer)
        case list():
            return [_composed(part) for part in answer]
        case dict():
            return {name: _composed(part) for name, part in answer.items()}
    return answer


def check_answers(
    fields: Iterable[FormField], answers: Answers, *, complete: bool, today: date | None = None
) -> tuple[FieldProblem, ...]:
    """What is wrong with `answers`. A draft (`complete` false) may lack required fields, but may hold nothing that is wrong.

    A day of consent is not after `today`, where that is said.
    """
    known = {field.name: field for field in fields}
    problems = [FieldProblem(field=name[:100], code="unknown_field") for name in answers if name not in known]
    for name, field in known.items():
        answer = answers.get(name)
        if _is_empty(answer):
            if complete and field.required:
                problems.append(FieldProblem(field=name, code="required"))
        elif field.kind is FieldKind.CONSENT:
            problems += _check_consent(field, answer, complete, today)
        elif problem := _CHECKS[field.kind](field, answer):
            problems.append(problem)
    return tuple(problems)


def check_attachments(offering: ServiceOffering, counts: Mapping[str, int]) -> tuple[FieldProblem, ...]:
    """What is wrong with the number of attachments, given as slot name to count."""
    problems = []
    for slot in offering.attachments:
        count = counts.get(slot.name, 0)
        if count < slot.minimum:
            problems.append(FieldProblem(field=slot.name, code="too_few_attachments", limit=slot.minimum))
        elif count > slot.maximum:
            problems.append(FieldProblem(field=slot.name, code="too_many_attachments", limit=slot.maximum))
    return tuple(problems)


def _is_empty(answer: Any) -> bool:
    if isinstance(answer, dict):
        return not consents.given(answer)
    return answer is None or answer == [] or (isinstance(answer, str) and _says_nothing(answer))


def _says_nothing(answer: str) -> bool:
    """Nothing to be seen. What can't even be stored is not nothing: it is refused."""
    return not texts.says_something(answer) and is_storable(answer)


def _check_text(field: FormField, answer: Any) -> FieldProblem | None:
    if not isinstance(answer, str):
        return FieldProblem(field=field.name, code="not_a_text")
    if len(answer) > field.max_length:
        excess = len(answer) - field.max_length
        return FieldProblem(field=field.name, code="too_long", limit=field.max_length, excess=excess)
    if not is_storable(answer):
        return FieldProblem(field=field.name, code="not_storable")
    misplaced = texts.misplaced_in_line(answer.strip()) if field.kind is FieldKind.TEXT else ()
    if misplaced:
        return FieldProblem(field=field.name, code="not_one_line", characters=texts.code_points(misplaced))
    return None


def _check_choice(field: FormField, answer: Any) -> FieldProblem | None:
    is_option = isinstance(answer, str) and answer in {option.value for option in field.options}
    return None if is_option else FieldProblem(field=field.name, code="not_an_option")


def _check_choices(field: FormField, answer: Any) -> FieldProblem | None:
    if not isinstance(answer, list):
        return FieldProblem(field=field.name, code="not_a_list")
    problems = (_check_choice(field, value) for value in answer)
    return next((problem for problem in problems if problem), None)


def _check_number(field: FormField, answer: Any) -> FieldProblem | None:
    if isinstance(answer, bool) or not isinstance(answer, int | float) or not -1e300 < answer < 1e300:
        return FieldProblem(
            field=field.name, code="not_a_number"
        )  # nor infinite, nor NaN: no store of JSON takes these
    if field.minimum is not None and answer < field.minimum:
        return FieldProblem(field=field.name, code="too_small", limit=field.minimum)
    if field.maximum is not None and answer > field.maximum:
        return FieldProblem(field=field.name, code="too_large", limit=field.maximum)
    return None


def _check_date(field: FormField, answer: Any) -> FieldProblem | None:
    return None if read_day(answer) else FieldProblem(field=field.name, code="not_a_date")


def _check_yes_no(field: FormField, answer: Any) -> FieldProblem | None:
    return None if isinstance(answer, bool) else FieldProblem(field=field.name, code="not_a_yes_or_no")


def _check_consent(field: FormField, answer: Any, complete: bool, today: date | None) -> Iterator[FieldProblem]:
    """Each part is named as ``consent.date``, after the name of the field."""
    for part, code in consents.faults(answer, complete=complete, today=today):
        excess = len(answer["name"]) - consents.MAX_NAME if code == "too_long" else None
        yield FieldProblem(
            field=f"{field.name}.{part}" if part else field.name,
            code=code,
            limit=consents.MAX_NAME if code == "too_long" else None,
            excess=excess,
            characters=texts.code_points(texts.misplaced_in_line(answer["name"].strip()))
            if code == "not_one_line"
            else "",
        )


_CHECKS: Mapping[FieldKind, Callable[[FormField, Any], FieldProblem | None]] = {
    FieldKind.TEXT: _check_text,
    FieldKind.LONG_TEXT: _check_text,
    FieldKind.CHOICE: _check_choice,
    FieldKind.CHOICES: _check_choices,
    FieldKind.NUMBER: _check_number,
    FieldKind.DATE: _check_date,
    FieldKind.YES_NO: _check_yes_no,
}
"""What is wrong with an answer that says something, by the kind of its field."""


def _unique(group: str, key: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for position, name in enumerate(names):
        if name in seen:
            raise _inconsistent(f"the name '{name}' stands twice", group, position, key)
        seen.add(name)


def _inconsistent(reason: str, *at: str | int) -> PydanticCustomError:
    """Two parts of an offering contradict each other. `at` is the place below the model, for the line in the file."""
    return PydanticCustomError("inconsistent", "{reason}", {"reason": reason, "at": at})
