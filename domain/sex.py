"""How the sex of a patient is recorded: the codes of FHIR's administrative-gender."""

from typing import Literal

Sex = Literal["female", "male", "other", "unknown"]
