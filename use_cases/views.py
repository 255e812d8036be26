"""What every answer has in common, whichever face shows it."""

from pydantic import ConfigDict

from domain.model import Discreet


class View(Discreet):
    """What somebody is shown: a value, language-neutral but for what a reading says in the language that it was given."""

    model_config = ConfigDict(frozen=True)
