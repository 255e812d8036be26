"""Reads the service-offering files, puts them in force, and says precisely what is wrong with one: file, line, place, reason.

    offerings = load_offerings(settings.offerings_dir)
    offerings["teledermatology"].title.fr
    await put_in_force(session, settings.offerings_dir, offerings, now)

One file is one offering, named like its code. The files are YAML in its plain form: ``true`` and ``false`` are the only
booleans (so an option may be called ``no``), and a date is a text.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from sqlalchemy.ext.asyncio import AsyncSession

from domain.offerings import ServiceOffering
from records import offering_versions
from records.offering_versions import Objection, ObjectionError, Place


class OfferingError(Exception):
    """What is wrong with the offering files: one sentence per problem, one problem per line of the text."""


@dataclass(frozen=True)
class _Problem:
    """One thing that is wrong in one file. `line` counts from 1; `where` is a place in words, or empty."""

    line: int
    where: str
    reason: str


class _WrongFileError(Exception):
    def __init__(self, *problems: _Problem) -> None:
        super().__init__(*problems)
        self.problems = problems


def load_offerings(folder: Path) -> Mapping[str, ServiceOffering]:
    """Every offering in `folder` (``*.yaml``), by code, in the order of the codes.

    Raises `OfferingError` that tells of every problem in every file, or that there is no file at all.
    """
    offerings: dict[str, ServiceOffering] = {}
    sentences: list[str] = []
    files = sorted(folder.glob("*.yaml"))
    if not files:
        sentences.append(f"{folder}: there is no service offering here; Relais needs at least one file <code>.yaml.")
    for file in files:
        try:
            offering = _read(file)
        except _WrongFileError as wrong:
            sentences += _sentences(file, wrong)
        else:
            offerings[offering.code] = offering
    if sentences:
        raise OfferingError("\n".join(sentences))
    return offerings


async def put_in_force(
    session: AsyncSession, folder: Path, offerings: Mapping[str, ServiceOffering], now: datetime
) -> None:
    """Add to the records what they do not know yet of the `offerings` that were read from `folder`.

    Raises `OfferingError` where a file says something else than the records under a version that they know, or has a number
    that was passed over.
    """
    try:
        await offering_versions.put_in_force(session, offerings, now)
    except ObjectionError as error:
        raise _of_files(error.objections, partial(_file, folder)) from None


async def objection(
    session: AsyncSession, folder: Path, offerings: Mapping[str, ServiceOffering]
) -> OfferingError | None:
    """Why the offerings that were read from `folder` can't be in force beside what the records know; None when they can."""
    found = await offering_versions.objections(session, offerings)
    return _of_files(found, partial(_file, folder)) if found else None


async def keep_earlier(session: AsyncSession, file: Path, now: datetime) -> ServiceOffering:
    """Add the version in a file that was in force before versions were kept. Raises `OfferingError` when it can't be that."""
    try:
        offering = _read(file)
    except _WrongFileError as wrong:
        raise OfferingError("\n".join(_sentences(file, wrong))) from None
    try:
        await offering_versions.keep_earlier(session, offering, now)
    except ObjectionError as error:
        raise _of_files(error.objections, lambda _: file) from None
    return offering


def _file(folder: Path, code: str) -> Path:
    return folder / f"{code}.yaml"


def _of_files(objections: Iterable[Objection], file_of: Callable[[str], Path]) -> OfferingError:
    """What the records object to, by the file and the line that says it."""
    return OfferingError("\n".join(_sentence_at(file_of(one.code), one.place, one.reason) for one in objections))


def _sentence_at(file: Path, place: Place, reason: str) -> str:
    """The sentence of an `OfferingError` about a place in a file that could be read."""
    found = _locate(_parse(file), place)
    where = f"{found.where}: " if found.where else ""
    return f"{file}, line {found.line}: {where}{reason}."


def _sentences(file: Path, wrong: _WrongFileError) -> Iterator[str]:
    for problem in sorted(wrong.problems, key=lambda problem: problem.line):
        where = f"{problem.where}: " if problem.where else ""
        yield f"{file}, line {problem.line}: {where}{problem.reason}."


def _read(file: Path) -> ServiceOffering:
    root = _parse(file)
    value = _value_of(root)
    try:
        offering = ServiceOffering.model_validate(value)
    except ValidationError as invalid:
        raise _WrongFileError(*_problems_of(invalid, root)) from None
    if offering.code != file.stem:
        reason = f"the code '{offering.code}' differs from the name of the file, '{file.stem}'"
        raise _WrongFileError(_Problem(_locate(root, ("code",)).line, "code", reason))
    return offering


# From text to nodes, which know their lines, and from nodes to plain values


class _PlainYaml(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML in which only null, true, false and plain decimal numbers are anything but text; read by libyaml where it is there."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - the attribute is PyYAML's


_SCALARS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "tag:yaml.org,2002:null": (r"null|~|", lambda _: None),
    "tag:yaml.org,2002:bool": (r"true|false", {"true": True, "false": False}.__getitem__),
    "tag:yaml.org,2002:int": (r"-?(0|[1-9][0-9]{0,15})", int),
    "tag:yaml.org,2002:float": (r"-?(0|[1-9][0-9]{0,15})\.[0-9]{1,15}", float),
    "tag:yaml.org,2002:str": (r".*", str),
}
"""Tag of a scalar: how it is written, and what reads it."""

for _tag, (_written, _) in _SCALARS.items():
    _PlainYaml.add_implicit_resolver(_tag, re.compile(f"(?:{_written})\\Z", re.DOTALL), None)


def _parse(file: Path) -> yaml.Node:
    content = file.read_bytes()
    try:
        root = yaml.compose(content.decode(), _PlainYaml)
    except UnicodeDecodeError as error:
        line = 1 + content.count(b"\n", 0, error.start)
        raise _WrongFileError(_Problem(line, "", "a character is not written in UTF-8")) from None
    except yaml.reader.ReaderError:  # libyaml says elsewhere where it is
        text = content.decode()
        found = yaml.reader.Reader.NON_PRINTABLE.search(text)
        line = 1 + text.count("\n", 0, found.start() if found else 0)
        raise _WrongFileError(_Problem(line, "", "a control character has no place here")) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise _WrongFileError(_Problem(line, "", f"this is not YAML: {error.problem or error.context}")) from None
    if root is None:
        raise _WrongFileError(_Problem(1, "", "the file is empty"))
    return root


def _value_of(root: yaml.Node) -> Any:
    """The plain value that the document stands for. Raises `_WrongFileError` for what YAML allows and Relais does not."""
    reading = _Reading(root, [])
    value = reading.value_of(root, (), ())
    if reading.problems:
        raise _WrongFileError(*reading.problems)
    return value


@dataclass(frozen=True)
class _Reading:
    """One way through a document, and what was found wrong on it."""

    root: yaml.Node
    problems: list[_Problem]

    def value_of(self, node: yaml.Node, place: Place, around: tuple[yaml.Node, ...]) -> Any:
        """The value at `place`, inside the nodes `around` it; None where it can't be read."""
        if any(node is outer for outer in around):
            return self._wrong(node, place, "the value holds itself")
        around = (*around, node)
        if isinstance(node, yaml.SequenceNode):
            return [self.value_of(item, (*place, position), around) for position, item in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place, around)
        try:
            return _SCALARS[node.tag][1](node.value)
        except (KeyError, ValueError):
            return self._wrong(node, place, f"Relais can't read the tag {node.tag} here")

    def _mapping(self, node: yaml.MappingNode, place: Place, around: tuple[yaml.Node, ...]) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._wrong(key, place, "a key must be a text")
            elif key.value in mapping:
                self._wrong(key, place, f"the key '{key.value}' stands twice")
            else:
                mapping[key.value] = self.value_of(value, (*place, key.value), around)
        return mapping

    def _wrong(self, node: yaml.Node, place: Place, reason: str) -> None:
        self.problems.append(_Problem(node.start_mark.line + 1, _locate(self.root, place).where, reason))


# From what the model says to what an engineer reads


def _problems_of(invalid: ValidationError, root: yaml.Node) -> tuple[_Problem, ...]:
    """One problem per place: where a value may be one of several kinds, the model complains once for each kind."""
    reasons: dict[tuple[int, str], list[str]] = {}
    for error in invalid.errors(include_url=False):
        if error["type"] == "too_short" and len(error["input"]) >= error["ctx"]["min_length"]:
            continue  # it is long enough; an item of it is wrong, and that is told by itself
        found = _locate(root, (*error["loc"], *error.get("ctx", {}).get("at", ())))
        is_missing = error["type"] == "missing"
        where = ".".join(filter(None, (found.where, str(error["loc"][-1])))) if is_missing else found.where
        reasons.setdefault((found.line, where), []).append(_reason(error))
    return tuple(_Problem(line, where, ", or ".join(told)) for (line, where), told in reasons.items())


def _reason(error: ErrorDetails) -> str:
    given = error["input"]
    match error["type"]:
        case "missing":
            return "this is missing"
        case "extra_forbidden":
            return "Relais knows no such key here"
        case "value_error":
            return str(error["ctx"]["error"])
        case "inconsistent":
            return error["msg"]
        case "too_short":
            return "at least one item is needed"
        case "string_pattern_mismatch":
            return f"'{given}' is no name: a small letter first, then small letters, digits, - or _, 2 to 64 in all"
        case "model_type" | "dict_type" | "model_attributes_type":
            return "this should be a group of keys and values"
    reason = error["msg"].removeprefix("Input ").partition(", unable")[0]
    return reason + (f", not '{given}'" if isinstance(given, str | int | float) else "")


@dataclass(frozen=True)
class _Location:
    line: int
    where: str


def _locate(root: yaml.Node, place: Place) -> _Location:
    """The line and the words of `place`, as far as the document has it: the model's places may go on beyond.

    An item of a list is called by its name or value, or else by its position, counted from 1.
    """
    node, line, words = root, root.start_mark.line, []
    for part in place:
        if isinstance(node, yaml.MappingNode):
            pair = next(((key, value) for key, value in node.value if key.value == part), None)
            if pair is None:
                break
            line, node = pair[0].start_mark.line, pair[1]
            words.append(str(part))
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            node = node.value[part]
            line = node.start_mark.line
            words.append(_name_of(node) or str(part + 1))
        else:
            break
    return _Location(line + 1, ".".join(words))


def _name_of(item: yaml.Node) -> str | None:
    if not isinstance(item, yaml.MappingNode):
        return None
    names = (value.value for key, value in item.value if key.value in ("name", "value"))
    return next((name for name in names if isinstance(name, str)), None)
