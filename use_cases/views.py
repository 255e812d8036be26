"""What every answer has in common, whichever face shows it."""

from pydantic import BaseModel, ConfigDict


class View(BaseModel):
    """What somebody is shown: a value, language-neutral but for what a reading says in the language that it was given."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)
