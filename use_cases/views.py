"""What every answer has in common, whichever face shows it."""

from typing import Any

from pydantic import BaseModel, ConfigDict

JSONObject = dict[str, Any]
"""An object whose names others decide: the answers to an offering's form, a patient as recorded once, what a command said."""


class View(BaseModel):
    """What somebody is shown: a value, language-neutral but for what a reading says in the language that it was given."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)
