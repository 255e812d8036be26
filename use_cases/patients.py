"""The patient of a request."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool, StringConstraints, ValidationInfo
from pydantic_core import PydanticCustomError

from domain import health_insurance, texts
from domain.calendar import day_of
from domain.health_insurance import EARLIEST_BIRTH, HealthNumberWarning, Issuer, PatientSuggestion
from domain.model import COMPOSED, ONE_LINE, Frozen, is_unset
from domain.offerings import FieldProblem
from domain.partial_dates import PartialDate, WrittenPartialDate
from domain.sex import Sex
from translations import Language, gettext_for
from translations import gettext_noop as _
from translations.dates import birth
from translations.problems import FIELD_PROBLEMS
from translations.words import ISSUERS, SEXES, baby_of

Name = Annotated[str, StringConstraints(strip_whitespace=True, max_length=1_000), COMPOSED, ONE_LINE]
"""A name as it is written. The longest that somebody is known to have has 750 letters."""

HealthNumber = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200), COMPOSED, ONE_LINE]


def _written(value: object) -> object:
    """A number of seconds is a date for pydantic, and for nobody else."""
    if value is not None and not isinstance(value, str | date):
        raise PydanticCustomError("not_a_date", FIELD_PROBLEMS["not_a_date"])
    return value


def _somebodys(value: object) -> object:
    """A birth date as far as it is known, at which somebody can have been born."""
    if value is None:
        return None
    try:
        born = PartialDate.read(value.strip() if isinstance(value, str) else "")
    except ValueError:
        raise PydanticCustomError("not_a_partial_date", FIELD_PROBLEMS["not_a_partial_date"]) from None
    if not (EARLIEST_BIRTH <= born.first <= day_of(datetime.now(UTC))):
        raise PydanticCustomError("not_a_birth_date", FIELD_PROBLEMS["not_a_birth_date"])
    return str(born)


def _not_given_too(is_unknown: bool, info: ValidationInfo) -> bool:
    if is_unknown and info.data.get("birth_date"):
        raise PydanticCustomError("birth_date_is_given", FIELD_PROBLEMS["birth_date_is_given"])
    return is_unknown


WrittenDate = Annotated[date, BeforeValidator(_written)]
"""A date such as 2026-11-22, and no number."""


class RecordedPatient(Frozen):
    """The patient as on record. What is on record was taken by the rules of its own time."""

    given_name: str = ""
    family_name: str = ""
    mother_name: str = Field("", exclude_if=is_unset)
    birth_date: WrittenPartialDate | None = None
    birth_date_unknown: StrictBool = Field(False, exclude_if=is_unset)
    health_insurance_number: str = ""
    health_insurance_issuer: Issuer | None = Field(None, exclude_if=is_unset)
    chart_number: str = Field("", exclude_if=is_unset)
    sex: Sex | None = None

    @property
    def lines(self) -> dict[str, str]:
        """What is written in words, by field."""
        return {
            "given_name": self.given_name,
            "family_name": self.family_name,
            "mother_name": self.mother_name,
            "health_insurance_number": self.health_insurance_number,
            "chart_number": self.chart_number,
        }

    @property
    def born(self) -> PartialDate | None:
        """The birth date, as far as it is known."""
        return PartialDate.read(self.birth_date) if self.birth_date else None

    @property
    def health_number_warnings(self) -> tuple[HealthNumberWarning, ...]:
        """What of the number does not fit the rest. A newborn may have their mother's for now, which says nothing of them."""
        own = None if self.mother_name else self
        return health_insurance.check_health_number(
            self.health_insurance_number,
            issuer=self.health_insurance_issuer,
            given_name=own.given_name if own else "",
            family_name=own.family_name if own else "",
            birth_date=own.born if own else None,
            sex=own.sex if own else None,
        )

    def suggestions(self, today: date) -> tuple[PatientSuggestion, ...]:
        """What the number says of the patient and is not written down; nothing where it may be the mother's."""
        if self.mother_name:
            return ()
        return health_insurance.suggestions(
            self.health_insurance_number,
            issuer=self.health_insurance_issuer,
            birth_date=self.born,
            sex=self.sex,
            today=today,
        )

    def full_name(self, language: Language) -> str:
        """Given name, family name; of a child without a given name, whose baby it is. Empty where no name is known."""
        name = " ".join(part for part in (self.given_name, self.family_name) if texts.says_something(part))
        if texts.says_something(self.given_name) or not texts.says_something(self.mother_name):
            return name
        baby = baby_of(self.mother_name, language)
        return f"{name} ({baby})" if name else baby


class Patient(RecordedPatient):
    """Who the advice is for. A draft may know little.

    To submit, one name is needed (some people have no other), or the mother's of a newborn; and the birth date, as far as it is
    known, or `birth_date_unknown`.
    """

    given_name: Name = Field("", description="Empty for somebody who has one name only.", examples=["Jeanne"])
    family_name: Name = Field("", description="Empty for somebody who has one name only.", examples=["Tremblay"])
    mother_name: Name = Field(
        "",
        exclude_if=is_unset,
        description="Of a newborn without names or number of their own: the mother's name, by which it is shown and found.",
    )
    birth_date: Annotated[str | None, BeforeValidator(_somebodys)] = Field(
        None,
        description="A day, or only the month or the year where no more is known (a FHIR `date`): 1958-03-14, 1958-03, 1958.",
        examples=["1958-03-14"],
    )
    birth_date_unknown: Annotated[StrictBool, AfterValidator(_not_given_too)] = Field(
        False, exclude_if=is_unset, description="The birth date is not known at all."
    )
    health_insurance_number: HealthNumber = Field(
        "", description="RAMQ number or another.", examples=["TREJ 5853 1412"]
    )
    health_insurance_issuer: Issuer | None = Field(
        None,
        exclude_if=is_unset,
        description="Who gave out the number: a province or territory (ISO 3166-2), `CA` for a federal program, or `other`. "
        "Where it is empty, what begins with four letters is taken for a number of Québec.",
    )
    chart_number: HealthNumber = Field(
        "",
        exclude_if=is_unset,
        description="Of the patient’s chart at the requester’s clinic, as its record system has it.",
    )


PATIENT_PARTS: Mapping[str, str] = {
    "given_name": _("Given name"),
    "family_name": _("Family name"),
    "mother_name": _("Mother’s name"),
    "birth_date": _("Birth date"),
    "birth_date_unknown": _("Birth date unknown"),
    "health_insurance_number": _("Health insurance number"),
    "health_insurance_issuer": _("Issuer of the number"),
    "chart_number": _("Chart number"),
    "sex": _("Sex"),
}
"""What is known of a patient, as people call it."""


def part_in_words(name: str, language: Language, value: Any) -> str:
    """The value of one of these parts. Raises ValueError for a birth date that is none."""
    say = gettext_for(language)
    match name:
        case "sex":
            return say(SEXES.get(value, value))
        case "health_insurance_issuer":
            return say(ISSUERS.get(value, value))
        case "birth_date":
            return birth(value, language)
        case "birth_date_unknown":
            return say(_("Yes")) if value else ""
        case _:
            return str(value)


def check_patient(patient: RecordedPatient) -> tuple[FieldProblem, ...]:
    """What stands in the way of a submission; the fields are named ``patient.…``."""
    names = ("given_name", "family_name")
    is_named = any(texts.says_something(patient.lines[name]) for name in (*names, "mother_name"))
    missing = [] if is_named else list(names)
    if patient.birth_date is None and not patient.birth_date_unknown:
        missing.append("birth_date")
    unseen = {name: found for name, text in patient.lines.items() if (found := texts.misplaced_in_line(text))}
    return (
        *(FieldProblem(field=f"patient.{name}", code="required") for name in missing),
        *(
            FieldProblem(field=f"patient.{name}", code="not_one_line", characters=texts.code_points(found))
            for name, found in unseen.items()
            if name not in missing
        ),
    )
