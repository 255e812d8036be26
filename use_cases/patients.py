"""The patient of a request."""

from datetime import date, datetime
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from domain import texts
from domain.calendar import TIME_ZONE
from domain.health_insurance import HealthNumberWarning, check_health_number
from domain.model import COMPOSED, ONE_LINE, Frozen
from domain.offerings import FieldProblem
from domain.sex import Sex
from translations import gettext_noop as _
from translations.problems import FIELD_PROBLEMS

Name = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200), COMPOSED, ONE_LINE]


EARLIEST_BIRTH = date(1900, 1, 1)


def _written(value: object) -> object:
    """A number of seconds is a date for pydantic, and for nobody else."""
    if value is not None and not isinstance(value, str | date):
        raise PydanticCustomError("not_a_date", FIELD_PROBLEMS["not_a_date"])
    return value


def _somebodys(born: date) -> date:
    if not EARLIEST_BIRTH <= born <= datetime.now(TIME_ZONE).date():
        raise PydanticCustomError(
            "not_a_birth_date", _("Nobody was born on this date: it is in the future or too long ago.")
        )
    return born


WrittenDate = Annotated[date, BeforeValidator(_written)]
"""A date such as 2026-11-22, and no number."""

BirthDate = Annotated[WrittenDate, AfterValidator(_somebodys)]


class RecordedPatient(Frozen):
    """The patient as on record. What is on record was taken by the rules of its own time."""

    given_name: str = ""
    family_name: str = ""
    birth_date: date | None = None
    health_insurance_number: str = ""
    sex: Sex | None = None

    @property
    def lines(self) -> dict[str, str]:
        """What is written in words, by field."""
        return {
            "given_name": self.given_name,
            "family_name": self.family_name,
            "health_insurance_number": self.health_insurance_number,
        }

    @property
    def health_number_warnings(self) -> tuple[HealthNumberWarning, ...]:
        """What of the number does not fit the rest."""
        return check_health_number(
            self.health_insurance_number,
            given_name=self.given_name,
            family_name=self.family_name,
            birth_date=self.birth_date,
            sex=self.sex,
        )

    @property
    def full_name(self) -> str:
        """Given name, family name."""
        return f"{self.given_name} {self.family_name}".strip()


class Patient(RecordedPatient):
    """Who the advice is for. A draft may know little; to submit, the names and the birth date are needed."""

    given_name: Name = Field("", examples=["Jeanne"])
    family_name: Name = Field("", examples=["Tremblay"])
    birth_date: BirthDate | None = Field(None, examples=["1958-03-14"])
    health_insurance_number: Name = Field("", description="RAMQ number or another.", examples=["TREJ 5853 1412"])


def check_patient(patient: RecordedPatient) -> tuple[FieldProblem, ...]:
    """What stands in the way of a submission; the fields are named ``patient.…``."""
    missing = [name for name in ("given_name", "family_name") if not texts.says_something(patient.lines[name])]
    if patient.birth_date is None:
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
