"""Every text of the code has its French words, and no French words are left over."""

import re
from collections import Counter
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir, extract_from_file
from babel.messages.pofile import read_po

from settings import PROJECT_ROOT
from translations import CATALOGUES, LANGUAGES, Language, gettext_for, language_accepted
from translations.typography import set_in_french

PACKAGES = [
    "domain",
    "workflows",
    "activities",
    "engine",
    "records",
    "documents",
    "translations",
    "use_cases",
    "web",
    "api",
    "fhir",
    "portal",
    "embedded",
]
MODULES = ("settings.py", "worker.py", "server.py", "cli.py")
KEYWORDS = {"_": None, "gettext": None, "gettext_noop": None}
EXTRACTORS = [("**.py", "python"), ("**.j2", "jinja2")]
IDS = re.compile(r"^msgid (?!\"\"$)(.+)$", re.MULTILINE)
OF_MEN = re.compile(
    r"\b(demandeur|répartiteur|fournisseur|administrateur|opérateur|clinicien|infirmier)s?\b", re.IGNORECASE
)
OF_WOMEN = re.compile(
    r"demandeuse|répartitrice|fournisseuse|administratrice|opératrice|clinicienne|infirmière", re.IGNORECASE
)
THE_GUIDES_OWN = {"Retourner au demandeur", "Retournée au demandeur", "retournée au demandeur"}
"""Names of a step and of a status, as whoever has the process prescribes them (docs/requirements.md)."""
PLACEHOLDER = re.compile(r"\{\w*\}|%\(\w+\)[a-z]")


def texts_of(root: Path) -> set[str]:
    """The texts that the Python files and the templates under `root` hand to gettext."""
    found = {
        message
        for package in PACKAGES
        if (root / package).is_dir()
        for _, _, message, _, _ in extract_from_dir(root / package, EXTRACTORS, keywords=KEYWORDS)
    }
    for module in MODULES:
        if (root / module).exists():
            found |= {message for _, message, _, _ in extract_from_file("python", root / module, keywords=KEYWORDS)}
    assert all(isinstance(message, str) for message in found), "plural forms are not used in this project"
    return {str(message) for message in found}


def french_entries() -> dict[str, str]:
    found: dict[str, str] = {}
    for file in (CATALOGUES / "fr" / "LC_MESSAGES").glob("*.po"):
        with file.open("rb") as source:
            entries = [entry for entry in read_po(source, locale="fr", abort_invalid=True) if entry.id]
        assert not [entry.id for entry in entries if entry.fuzzy], "a fuzzy entry is never shown"
        assert not [entry.id for entry in entries if entry.id in found], "a text has one place"
        found |= {str(entry.id): str(entry.string) for entry in entries}
    return found


def test_texts_are_found_in_python_and_in_templates(tmp_path: Path) -> None:
    package = tmp_path / "documents"
    package.mkdir()
    (package / "module.py").write_text('_("From code")\nTITLE = gettext_noop("From a table")\n_(variable)\n')
    (package / "page.html.j2").write_text("<h1>{{ _('From a page') }}</h1>{% trans %}From a block{% endtrans %}")
    assert texts_of(tmp_path) == {"From code", "From a table", "From a page", "From a block"}


@pytest.mark.parametrize("file", sorted(CATALOGUES.glob("fr/LC_MESSAGES/*.po")), ids=lambda file: file.name)
def test_a_text_stands_once(file: Path) -> None:
    """The reader of catalogues takes the last one, so that what is changed in the first says nothing."""
    assert [text for text, times in Counter(IDS.findall(file.read_text())).items() if times > 1] == []


def test_every_text_has_its_french_words() -> None:
    french = french_entries()
    missing = sorted(text for text in texts_of(PROJECT_ROOT) if not french.get(text))
    assert missing == [], "\n".join(("no French in translations/fr/LC_MESSAGES for", *missing))


def test_no_french_words_are_left_over() -> None:
    left_over = sorted(french_entries().keys() - texts_of(PROJECT_ROOT))
    assert left_over == [], "\n".join(("the code does not say this any more, the catalogue does", *left_over))


def test_placeholders_agree() -> None:
    entries = french_entries().items()
    differing = [
        text for text, french in entries if sorted(PLACEHOLDER.findall(text)) != sorted(PLACEHOLDER.findall(french))
    ]
    assert differing == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_unknown_text_is_shown_as_it_is(language: str) -> None:
    assert gettext_for(language)("A text that no catalogue has") == "A text that no catalogue has"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("en-CA,en;q=0.9", "en"),
        ("en;q=0.5,fr;q=0.8", "fr"),
        ("de,FR-ca;q=0.1", "fr"),
        ("en;q=0,fr;q=0.1", "fr"),
        ("de;q=1", None),
        ("en;q=much", None),
        ("", None),
    ],
)
def test_the_language_that_a_browser_wants_most(header: str, language: Language | None) -> None:
    assert language_accepted(header) == language


def test_french_is_read_from_the_catalogue() -> None:
    text, french = next(iter(french_entries().items()))
    assert gettext_for("fr")(text) == french
    assert gettext_for("en")(text) == text


def test_french_is_set_as_in_quebec() -> None:
    """Spaces that no line breaks at, whether or not whoever translated has thought of them; addresses and times stay."""
    assert set_in_french("Erreur: « a » et «b», 5 %.") == "Erreur\xa0: «\xa0a\xa0» et «\xa0b\xa0», 5\xa0%."
    assert set_in_french("Erreur\xa0: déjà") == "Erreur\xa0: déjà"
    assert set_in_french("<b>Échelle</b>: une règle") == "<b>Échelle</b>\xa0: une règle"
    for left in ("https://relais.example/a:b", "à 7:42", '<a href="tel:911">911</a>', "Quoi? Oui; non!"):
        assert set_in_french(left) == left


FAULTS = (r"[^\s\xa0]:(\s|<|$)", r" :", r"«[^\xa0]", r"[^\xa0]»", r"\((s|e|es|ne|se)\)", r"\w'\w")
"""A sign without its no-break space, a plural in brackets, a straight apostrophe."""


def test_no_french_text_breaks_the_rules() -> None:
    translate = gettext_for("fr")
    texts = {translate(text) for text in french_entries()}
    assert {text for text in texts for fault in FAULTS if re.search(fault, text)} == set()


def test_french_speaks_of_women_and_men() -> None:
    """By both forms, by words that are one for both, or by what somebody does; of sign-ins, a provider is a thing."""
    guide = (PROJECT_ROOT / "portal" / "templates" / "guide" / "fr.html.j2").read_text()
    sentences = [*french_entries().values(), *re.split(r"(?<=[.?!:])\s|\n", guide)]
    named = [text for text in sentences if OF_MEN.search(text.replace("fournisseur d’identité", ""))]
    assert [
        text for text in named if not OF_WOMEN.search(text) and not any(own in text for own in THE_GUIDES_OWN)
    ] == []
