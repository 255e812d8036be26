"""A text that is too long is told as one, by how many characters, whatever else is asked of it."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from domain.model import KeptName, Said
from domain.photos import Caption
from use_cases.absences import Note
from use_cases.marks import Label
from use_cases.patients import HealthNumber, Name
from use_cases.problems import input_faults
from use_cases.snippets import SnippetText


@pytest.mark.parametrize(
    "text",
    [Caption, HealthNumber, KeptName, Label, Name, Note, Said, SnippetText],
    ids=["caption", "number", "kept name", "label", "name", "note", "said", "snippet"],
)
def test_by_how_many_characters(text: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(text).validate_python("e\u0301" * 9_000)
    (fault,) = input_faults(refused.value)
    assert fault.code == "too_long"
    assert isinstance(fault.limit, int)
    assert fault.excess == 9_000 - fault.limit
