"""Every text that people write × every way to lose it, and who holds each cell.

    .venv/bin/python -m tests.portal.typed_table

The rows are the forms of `typed_texts`, the letters the tests below; `test_every_cell_is_held` finds a cell that is empty.
``make typed`` tries every cell in both browsers.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.portal import test_every_typed_text as every
from tests.portal.typed_texts import FORMS, WHATEVER_ELSE_CHANGES, TypedForm

HOLDERS = {
    "C": "in Chromium, with this form: test_every_typed_text::test_no_text_is_lost",
    "F": "in Firefox, with this form: test_in_firefox::test_no_typed_text_is_lost",
    "S": "with this form, without a browser: test_signed_out_meanwhile, test_changed_meanwhile, test_nothing_typed_is_lost; "
    "of what saves itself test_two_tabs, too",
    "k": "by the same script, with another form: test_idle",
    "w": "in Chromium and in Firefox, with this form, outside `make test`: whole_typed_table",
    "·": "can't be: a short line is refused by its form and not counted; what is one's own or new is changed by nobody else, "
    "and what is handed over is refused request by request",
}


@dataclass(frozen=True)
class Way:
    """A way to lose a text: the function that tries it, and for which forms one without a browser does."""

    name: str
    tried_by: Callable[..., object]
    by_the_server: Callable[[TypedForm], bool] = lambda _: False
    cannot_be: Callable[[TypedForm], bool] = lambda _: False
    as_another: bool = False


def _stays_the_same(form: TypedForm) -> bool:
    return not (form.of_a_request or form.has_a_version) or form.page in WHATEVER_ELSE_CHANGES


WAYS = (
    Way("slip", every.left_by_a_slip),
    Way("reload", every.reloaded),
    Way("Back", every.left_and_back),
    Way("closed tab", every.tab_closed),
    Way("language", every.other_language),
    Way("lost line", every.line_lost),
    Way("session ended", every.session_ended, by_the_server=lambda _: True),
    Way("idle", every.left_alone, as_another=True),
    Way("too long", every.too_long, lambda form: form.counted, lambda form: not form.counted),
    Way("conflict", every.changed_meanwhile, lambda form: not _stays_the_same(form), _stays_the_same),
)


def table() -> list[tuple[str, Mapping[str, str]]]:
    """Of each form its name, and by the name of each way the letters of those who hold it."""
    return [
        (f"{form.who}: {form.to or form.page} ({form.about})", _row(number, form)) for number, form in enumerate(FORMS)
    ]


def _row(number: int, form: TypedForm) -> Mapping[str, str]:
    return {way.name: _cell(way, number, form) for way in WAYS}


def _cell(way: Way, number: int, form: TypedForm) -> str:
    if way.cannot_be(form):
        return "·"
    holds = {
        "C": way.tried_by in every.ways_in_chromium(number),
        "F": way.tried_by in every.ways_in_firefox(number),
        "S": way.by_the_server(form),
        "k": way.as_another,
        "w": way.tried_by in every.EVERY_WAY,
    }
    return "".join(letter for letter, is_held in holds.items() if is_held)


def main() -> None:
    """Write it out."""
    rows = table()
    width = max(len(name) for name, _ in rows)
    head = " ".join([" " * width, *(f"{way.name:13}" for way in WAYS)])
    lines = [" ".join([f"{name:{width}}", *(f"{row[way.name]:13}" for way in WAYS)]) for name, row in rows]
    sys.stdout.write("\n".join([head, *lines, *(f"{letter}  {meaning}" for letter, meaning in HOLDERS.items()), ""]))


if __name__ == "__main__":
    main()
