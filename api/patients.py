"""The patient of a request, as the API takes it."""

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from api.problems import FIELD_PROBLEMS
from domain.calendar import TIME_ZONE
from domain.model import Frozen, storable
from domain.offerings import FieldProblem
from translations import gettext_noop as _

Name = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200), AfterValidator(storable)]


EARLIEST_BIRTH = date(1850, 1, 1)


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


class Patient(Frozen):
    """Who the advice is for. A draft may know little; to submit, the names and the birth date are needed."""

    given_name: Name = Field("", examples=["Jeanne"])
    family_name: Name = Field("", examples=["Tremblay"])
    birth_date: BirthDate | None = Field(None, examples=["1958-03-14"])
    health_insurance_number: Name = Field("", description="RAMQ number or another.", examples=["TREJ 5853 1412"])
    sex: Literal["female", "male", "other", "unknown"] | None = None

    @property
    def full_name(self) -> str:
        """Given name, family name."""
        return f"{self.given_name} {self.family_name}".strip()


def check_patient(patient: Patient) -> tuple[FieldProblem, ...]:
    """What a submission lacks; the fields are named ``patient.…``."""
    needed = {
        "patient.given_name": patient.given_name,
        "patient.family_name": patient.family_name,
        "patient.birth_date": patient.birth_date,
    }
    return tuple(FieldProblem(field=name, code="required") for name, value in needed.items() if not value)
