"""The words that users see: English in the code, French in ``translations/fr/LC_MESSAGES/``; and which languages there are.

`relais.po` holds the words of the API, the e-mails and the documents, `portal.po` those of the web pages.

    _ = gettext_for("fr")
    _("Final report")  # « Rapport final »

The catalogue is read, typeset and compiled in memory, so there is no build step and no binary file to keep in step: whoever
translates need not think of no-break spaces. A text that has no French entry shows in English; a test fails first.
"""

from collections.abc import Callable, Mapping
from functools import cache
from gettext import GNUTranslations
from io import BytesIO
from pathlib import Path
from typing import Literal, get_args

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from translations.typography import set_in_french

Language = Literal["fr", "en"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
LOCALES: Mapping[Language, str] = {"fr": "fr_CA", "en": "en_CA"}
"""How each language writes dates, numbers and lists: as here."""

CATALOGUES = Path(__file__).resolve().parent


def language_named(code: str) -> Language:
    """The language that an account or a browser names; French for any that is not ours."""
    return _ours(code) or "fr"


def language_accepted(header: str) -> Language | None:
    """The first of our languages in an Accept-Language, the most wanted first; None if it names none of them."""
    ranked = sorted(map(_weighed, header.split(",")), key=lambda part: -part[0])
    return next((known for weight, code in ranked if weight > 0 and (known := _ours(code))), None)


def gettext_for(language: Language) -> Callable[[str], str]:
    """The function that turns an English text of the code into the given language."""
    return gettext_noop if language == "en" else _catalogue(language).gettext


def gettext_noop(message: str) -> str:
    """Marks a text for translation without translating it: for tables of words, made before the language is known."""
    return message


def _ours(code: str) -> Language | None:
    return next((known for known in LANGUAGES if known == code), None)


def _weighed(part: str) -> tuple[float, str]:
    """One part of Accept-Language, such as ``en-CA;q=0.8``: how much it is wanted, and the language without its country."""
    tag, _, weight = part.partition(";q=")
    try:
        return float(weight or 1), tag.strip().split("-")[0].lower()
    except ValueError:
        return 0.0, ""


@cache
def _catalogue(language: Language) -> GNUTranslations:
    entries = Catalog(locale=language)
    for file in sorted((CATALOGUES / language / "LC_MESSAGES").glob("*.po")):
        with file.open("rb") as source:
            for entry in read_po(source, locale=language):
                if entry.id and isinstance(entry.string, str):
                    entry.string = set_in_french(entry.string)
                    entries[entry.id] = entry
    compiled = BytesIO()
    write_mo(compiled, entries)
    compiled.seek(0)
    return GNUTranslations(compiled)
