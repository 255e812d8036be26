"""Whether two requests are about the same patient, by what stands in their forms: there is no register of patients.

It is likely, never certain: who is told so decides. Source of the two ways: what a reception desk asks for, the number of the
card, or name and birth date.
"""

from collections.abc import Iterator, Mapping, Sequence

from domain.search import LONGEST_BEGINNING, compact, names_in
from domain.texts import plain

_SHORTEST_NUMBER = 6
_WHOLE_DATE = len("1958-03-14")


def is_same_patient(one: Mapping[str, object], other: Mapping[str, object]) -> bool:
    """Whether these patients, as recorded, are probably one: the same number, or the same names born on the same day.

    A newborn may have the mother's number: births that differ tell them apart.
    """
    births = [born for patient in (one, other) if len(born := _text(patient, "birth_date")) == _WHOLE_DATE]
    are_known = len(births) == 2
    if len(set(births)) > 1 or (_is_newborn(one) != _is_newborn(other) and not are_known):
        return False
    if _number(one) and _number(one) == _number(other):
        return True
    return are_known and bool(_names(one)) and _names(one) == _names(other)


def is_surely_another(one: Mapping[str, object], known: Sequence[Mapping[str, object]]) -> bool:
    """Whether this is nobody who is `known`, by all that was ever said of one patient: another number, or another name and day of
    birth. Who lacks these may be anybody.

    A newborn may have the mother's number; letters may follow a number (Ontario's versions of a card); one who is born on another
    day and has a name in common may have been written down wrongly.
    """
    numbers = [number for patient in known if not _is_newborn(patient) and (number := _number(patient))]
    own = _number(one)
    if own and numbers and not any(own.startswith(other) or other.startswith(own) for other in numbers):
        return True
    births = [born for patient in known if len(born := _text(patient, "birth_date")) == _WHOLE_DATE]
    names = [found for patient in known if (found := _names(patient))]
    born = _text(one, "birth_date")
    is_born_otherwise = len(born) == _WHOLE_DATE and bool(births) and born not in births
    is_named_otherwise = bool(_names(one)) and bool(names) and all(found.isdisjoint(_names(one)) for found in names)
    return is_born_otherwise and is_named_otherwise


def words_in_common(patient: Mapping[str, object]) -> Iterator[Sequence[str]]:
    """Words (`domain.search`), in one or two sets: who is the same patient has all the words of one of these, and may not be it.

    First comes what fewest have: fewer are born on one day than have one name, and the longest name is seldom the commonest.
    """
    if number := _number(patient):
        yield (f"number:{number}",)
    born, names = _text(patient, "birth_date"), _names(patient)
    if names and len(born) == _WHOLE_DATE:
        longest_first = sorted({name[:LONGEST_BEGINNING] for name in names}, key=lambda name: (-len(name), name))
        yield (f"born:{born}", *(f"name:{name}" for name in longest_first))


def _is_newborn(patient: Mapping[str, object]) -> bool:
    return bool(_text(patient, "mother_name"))


def _names(patient: Mapping[str, object]) -> frozenset[str]:
    names = " ".join(_text(patient, name) for name in ("given_name", "family_name", "mother_name"))
    return frozenset(names_in(plain(names)))


def _number(patient: Mapping[str, object]) -> str:
    number = compact(plain(_text(patient, "health_insurance_number")))
    return number if len(number) >= _SHORTEST_NUMBER else ""


def _text(patient: Mapping[str, object], name: str) -> str:
    return str(patient.get(name) or "")
