"""The words that users see: English in the code, French in ``translations/fr/LC_MESSAGES/``.

`relais.po` holds the words of the API, the e-mails and the documents, `portal.po` those of the web pages.

    _ = gettext_for("fr")
    _("Final report")  # « Rapport final »

The catalogue is read and compiled in memory, so there is no build step and no binary file to keep in step. A text that has no
French entry shows in English; a test fails first.
"""

from collections.abc import Callable
from functools import cache
from gettext import GNUTranslations
from io import BytesIO
from pathlib import Path
from typing import Literal, get_args

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

Language = Literal["fr", "en"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

CATALOGUES = Path(__file__).resolve().parent


def language_named(code: str) -> Language:
    """The language that an account or a browser names; French for any that is not ours."""
    return next((known for known in LANGUAGES if known == code), "fr")


def gettext_for(language: Language) -> Callable[[str], str]:
    """The function that turns an English text of the code into the given language."""
    return gettext_noop if language == "en" else _catalogue(language).gettext


def gettext_noop(message: str) -> str:
    """Marks a text for translation without translating it: for tables of words, made before the language is known."""
    return message


@cache
def _catalogue(language: Language) -> GNUTranslations:
    entries = Catalog(locale=language)
    for file in sorted((CATALOGUES / language / "LC_MESSAGES").glob("*.po")):
        with file.open("rb") as source:
            for entry in read_po(source, locale=language):
                if entry.id:
                    entries[entry.id] = entry
    compiled = BytesIO()
    write_mo(compiled, entries)
    compiled.seek(0)
    return GNUTranslations(compiled)
