"""The answers of a form or of a report, in words."""

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any

from documents.content import Entry
from domain import consents, texts
from domain.consents import ConsentGiver
from domain.offerings import WRITTEN, FieldKind, FormField
from translations import Language, gettext_for
from translations.dates import day
from translations.numbers import number
from translations.typography import NO_BREAK_SPACE
from translations.words import CONSENT_GIVERS


def entries(
    fields: Iterable[FormField],
    answers: Mapping[str, Any],
    language: Language,
    *,
    leading: Callable[[FormField], bool] = lambda _: False,
    with_missing: bool = False,
    recorded_by: str = "",
) -> tuple[Entry, ...]:
    """The answers that were given, in the order of the form, as text in `language`;
    with `with_missing`, a required field without an answer stands there, too, with an empty one.

    `leading` tells which are read first, `recorded_by` is the name of who noted a consent. An answer to something that the form
    does not ask comes last, under its name: none is ever left out.
    """
    fields = tuple(fields)
    asked = {field.name for field in fields}
    return tuple(
        Entry(label=getattr(field.label, language), value=text, leads=leading(field), brief=field.kind not in WRITTEN)
        for field in fields
        if (text := _text(field, answers.get(field.name), language, recorded_by)) or (with_missing and field.required)
    ) + tuple(
        Entry(label=name, value=text)
        for name, answer in answers.items()
        if name not in asked and (text := _as_it_stands(answer, language))
    )


def outcome_entries(outcome: Mapping[str, Any] | None, language: Language) -> tuple[Entry, ...]:
    """What the requester said of the answer when acknowledging it; what they did not say is left out."""
    _ = gettext_for(language)
    said = outcome or {}
    yes_or_no = {True: _("Yes"), False: _("No"), None: ""}
    followed = {"yes": _("Yes"), "partly": _("In part"), "no": _("No")}
    found = (
        (_("Was the advice followed?"), followed.get(said.get("advice_followed", ""), "")),
        (_("Was a visit to the specialist avoided?"), yes_or_no[said.get("visit_avoided")]),
        (_("What became of the patient"), said.get("comment") or ""),
    )
    return tuple(Entry(label=label, value=value) for label, value in found if value)


def _text(field: FormField, answer: Any, language: Language, recorded_by: str) -> str:
    """The answer in words; as it stands where it is none to this question."""
    try:
        if field.kind is FieldKind.CONSENT and isinstance(answer, dict):
            return _consent(consents.given(answer), language, recorded_by)
        return _in_words(field, answer, language)
    except (TypeError, ValueError, ArithmeticError):
        return _as_it_stands(answer, language)


def _consent(consent: Mapping[str, Any], language: Language, recorded_by: str) -> str:
    """« Parent: Marie Roy, le 20 novembre 2026, consigné par Dre Amélie Gagnon »; what is not said is left out."""
    if not consent:
        return ""
    _ = gettext_for(language)
    giver = _(CONSENT_GIVERS[ConsentGiver(consent["given_by"])]) if "given_by" in consent else ""
    name = str(consent.get("name", "")).strip()
    who = _("%(giver)s: %(name)s") % {"giver": giver, "name": name} if giver and name else giver or name
    on = _("on %(day)s") % {"day": day(date.fromisoformat(consent["date"]), language)} if "date" in consent else ""
    by = _("recorded by %(name)s") % {"name": recorded_by} if recorded_by else ""
    return ", ".join(part for part in (who, on, by) if part)


def _as_it_stands(answer: Any, language: Language) -> str:
    """An answer whose question nobody knows."""
    _ = gettext_for(language)
    match answer:
        case None:
            return ""
        case bool():
            return _("Yes") if answer else _("No")
        case list():
            return ", ".join(_as_it_stands(value, language) for value in answer)
        case dict():
            return json.dumps(answer, ensure_ascii=False)
        case _:
            return str(answer).strip()


def _in_words(field: FormField, answer: Any, language: Language) -> str:
    _ = gettext_for(language)
    labels: dict[str, str] = {option.value: getattr(option.label, language) for option in field.options}
    match field.kind:
        case _ if answer is None or answer == []:
            return ""
        case FieldKind.CHOICE:
            return labels.get(answer, str(answer))
        case FieldKind.CHOICES:
            return ", ".join(labels.get(value, value) for value in answer)
        case FieldKind.YES_NO:
            return _("Yes") if answer else _("No")
        case FieldKind.NUMBER:
            unit = f"{NO_BREAK_SPACE}{getattr(field.unit, language)}" if field.unit else ""
            return number(answer, language) + unit
        case FieldKind.DATE:
            return day(date.fromisoformat(answer), language)
        case _:
            return str(answer).strip() if texts.says_something(str(answer)) else ""
