"""The patient of a request, as the API takes it."""

from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from domain.model import Frozen, storable
from domain.offerings import FieldProblem

Name = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200), AfterValidator(storable)]


class Patient(Frozen):
    """Who the advice is for. A draft may know little; to submit, the names and the birth date are needed."""

    given_name: Name = Field("", examples=["Jeanne"])
    family_name: Name = Field("", examples=["Tremblay"])
    birth_date: date | None = Field(None, examples=["1958-03-14"])
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
