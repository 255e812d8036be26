"""Which errors a route can answer with, found in the source of what it calls; only for `api.describe`, which writes that down.

From a function on, everything of the project that it names is read: functions, classes whose values it makes, methods of values
whose class the annotations tell. What is found so is a little more than what can be, and what a value of an unknown class does
is not found; the tests hold every answer that they get against the description.
"""

import ast
import builtins
import inspect
import re
import typing
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from enum import Enum
from functools import cache
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from domain import lifecycle
from domain.commands import Accept, AskFollowUp, BaseCommand
from domain.refusals import Refusal, RefusalCode
from domain.rules import UnknownRulesError
from records.database import Database
from records.errors import NotFoundError
from records.store import DocumentStore
from settings import PROJECT_ROOT
from translations.problems import PROBLEMS
from use_cases.commands import Order
from use_cases.problems import Problem

_OF_CLASSES: dict[type, frozenset[str]] = {
    NotFoundError: frozenset({"not_found"}),
    UnknownRulesError: frozenset({"newer_rules"}),
    Database: frozenset({"records_unreachable", "records_busy"}),
    DocumentStore: frozenset({"store_unreachable"}),
}
"""What the use of a class, or the raising of an error, comes to: see `api.problems`."""

_NOT_FOLLOWED = (Database, DocumentStore)

_RULES = (lifecycle.decide, lifecycle.check_allowed)
"""What they say differs by command, see `_codes_of_rules`."""

Thing = Any
"""What a name means: a function, a class, or an instance of one."""


def codes_of(calls: Iterable[Callable[..., object]]) -> frozenset[str]:
    """The codes of all problems and refusals that calling these can raise, with what they are given: a command, for one."""
    calls = list(calls)
    given = [kind for call in calls for hint in _hints_of(call).values() if (kind := _class_in(hint))]
    orders = [kind for kind in given if issubclass(kind, Order)]
    return frozenset().union(
        *map(_READER.codes_in, orders),
        *(
            _READER.codes_in(call if inspect.isfunction(call) else vars(type(call)).get("__call__", call))
            for call in calls
        ),
    )


class _Instance:
    """A value of that class."""

    def __init__(self, kind: type) -> None:
        self.kind = kind


class _Reader:
    def __init__(self) -> None:
        self._known: dict[object, frozenset[str]] = {}

    def codes_in(self, thing: Thing) -> frozenset[str]:
        """What can be raised in there; of what is being read further up, nothing more."""
        if isinstance(thing, classmethod | staticmethod):
            thing = thing.__func__
        elif isinstance(thing, property):
            thing = thing.fget
        thing = inspect.unwrap(thing) if inspect.isfunction(thing) else thing
        if not isinstance(thing, FunctionType | type) or not _is_ours(thing) or thing in _RULES:
            return frozenset()
        if thing not in self._known:
            self._known[thing] = frozenset()
            if isinstance(thing, type):
                self._known[thing] = self._codes_in_class(thing)
            elif (node := _node_of(thing)) is not None:
                self._known[thing] = _codes_told(thing).union(_FunctionReader(thing).codes_in(node.body))
        return self._known[thing]

    def _codes_in_class(self, kind: type) -> frozenset[str]:
        """A value of the class is made: its parts are, and what it is for will be done."""
        codes = _codes_of_class(kind)
        if issubclass(kind, _NOT_FOLLOWED):
            return codes
        members = [member for base in kind.__mro__ if _is_ours(base) for member in vars(base).values()]
        codes = codes.union(*(self.codes_in(member) for member in members if not isinstance(member, type)))
        command = getattr(kind, "command", None)
        if isinstance(command, type) and issubclass(command, BaseCommand):
            codes |= self._codes_of_rules(command)
        return codes

    def _codes_of_rules(self, command: type[BaseCommand]) -> frozenset[str]:
        """What the rules say to a command."""
        codes = {RefusalCode.VERSION_CONFLICT, RefusalCode.ROLE_NOT_ALLOWED, RefusalCode.NOT_ALLOWED_IN_STATUS}
        codes |= {RefusalCode.ALREADY_ACCEPTED} if command is Accept else set()
        codes |= {RefusalCode.WHICH_QUESTION} if "question_id" in command.model_fields else set()
        codes |= {lifecycle.WAITED_FOR[command][0]} if command in lifecycle.WAITED_FOR else set()
        told = self.codes_in(lifecycle.check_may_ask) if command is AskFollowUp else frozenset[str]()
        for row in lifecycle.TABLE:
            if row.command is command:
                codes |= {party.otherwise for party in row.by}
                codes |= set() if row.while_signing else {RefusalCode.REPORT_BEING_SIGNED}
                codes |= {RefusalCode.URGENT_REPORT_UNREAD} if row.once_read else set()
                told |= self.codes_in(row.move)
        return told.union(code.value for code in codes)


_READER = _Reader()


def _codes_told(function: FunctionType) -> frozenset[str]:
    """The codes that its docstring says it raises: of many a place that is the only one where they stand by name."""
    _, _, raises = (function.__doc__ or "").partition("Raises ")
    return frozenset(code for code in re.findall(r"`(\w+)`", raises) if code in PROBLEMS or code in set(RefusalCode))


def _codes_of_its_own(kind: type[Problem | Refusal]) -> set[str]:
    """The code that a class of problems gives itself when it is made."""
    made = vars(kind).get("__init__")
    if kind in (Problem, Refusal) or not isinstance(made, FunctionType) or (node := _node_of(made)) is None:
        return set()
    return {str(part.value) for part in ast.walk(node) if isinstance(part, ast.Constant) and part.value in PROBLEMS}


def _codes_of_class(kind: type) -> frozenset[str]:
    return frozenset().union(*(codes for known, codes in _OF_CLASSES.items() if issubclass(kind, known)))


class _FunctionReader(ast.NodeVisitor):
    def __init__(self, function: FunctionType) -> None:
        self._codes: set[str] = set()
        self._names: dict[str, Thing] = dict(function.__globals__)
        self._written: dict[str, ast.AST] = {}
        hints = _hints_of(function)
        parameters = list(inspect.signature(function).parameters)
        for name in parameters:
            kind = _class_in(hints.get(name))
            self._names[name] = _Instance(kind) if kind else None
        owner = _owner_of(function)
        if owner is not None and parameters[:1] == ["self"]:
            self._names["self"] = _Instance(owner)
        elif owner is not None and parameters[:1] == ["cls"]:
            self._names["cls"] = owner

    def codes_in(self, statements: Iterable[ast.AST]) -> set[str]:
        """What can be raised in these; what is noted of names stays."""
        before, self._codes = self._codes, set()
        for statement in statements:
            self.visit(statement)
        found, self._codes = self._codes, before
        return found

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        for target in node.targets:
            self._note(target, node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.visit(node.value)
        self._note(node.target, node.value)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._codes |= self.codes_in(node.body)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815

    def visit_With(self, node: ast.With | ast.AsyncWith) -> None:
        caught: frozenset[type] = frozenset()
        for item in node.items:
            self.visit(item.context_expr)
            if item.optional_vars is not None:
                self._note(item.optional_vars, item.context_expr)
            if isinstance(item.context_expr, ast.Call) and self._meaning(item.context_expr.func) is suppress:
                caught |= self._classes_in(item.context_expr.args)
        self._codes |= _without(caught, self.codes_in(node.body))

    visit_AsyncWith = visit_With  # noqa: N815

    def visit_Try(self, node: ast.Try) -> None:
        caught: frozenset[type] = frozenset()
        for handler in node.handlers:
            kinds = self._classes_in([handler.type] if handler.type else [])
            if handler.name:
                self._names[handler.name] = _one_of(kinds)
            if not any(isinstance(part, ast.Raise) and part.exc is None for part in ast.walk(handler)):
                caught |= kinds
        self._codes |= _without(caught, self.codes_in(node.body))
        self._codes |= self.codes_in(part for handler in node.handlers for part in handler.body)
        self._codes |= self.codes_in([*node.orelse, *node.finalbody])

    def visit_Name(self, node: ast.Name) -> None:
        self._use(self._names.get(node.id))

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self.visit(node.value)
        self._use(self._meaning(node))

    def visit_Call(self, node: ast.Call) -> None:
        made = self._meaning(node.func)
        if made is isinstance:
            self.visit(node.args[0])
            return
        if isinstance(made, type) and issubclass(made, Problem | Refusal):
            self._codes |= _codes_of_its_own(made)
            self._codes |= set(self._codes_named(node.args[0])) if node.args else set()
        self.generic_visit(node)

    def visit_match_case(self, node: ast.match_case) -> None:
        for statement in node.body:
            self.visit(statement)

    def _note(self, target: ast.AST, value: ast.AST) -> None:
        if isinstance(target, ast.Name):
            self._names[target.id] = self._meaning(value)
            self._written[target.id] = value
        elif isinstance(target, ast.Tuple):
            for one in target.elts:
                self._note(one, value)

    def _use(self, thing: Thing) -> None:
        if isinstance(thing, _Instance):
            self._codes |= _codes_of_class(thing.kind)
        elif not isinstance(thing, type) or not issubclass(thing, Problem | Refusal):
            self._codes |= _READER.codes_in(thing)

    def _classes_in(self, nodes: Iterable[ast.AST]) -> frozenset[type]:
        """The classes that are named there, also through a tuple of them."""
        found: set[type] = set()
        for node in nodes:
            for part in node.elts if isinstance(node, ast.Tuple) else [node]:
                meant = self._meaning(part)
                found |= {one for one in (meant if isinstance(meant, tuple) else (meant,)) if isinstance(one, type)}
        return frozenset(found)

    def _codes_named(self, node: ast.AST) -> Iterator[str]:
        """Every code that is written there, or in what is looked up there."""
        match node:
            case ast.JoinedStr(values=[ast.Constant(value=str(beginning)), *_]):
                yield from (code for code in PROBLEMS if code.startswith(beginning))
                return
            case ast.Name(id=name) if name in self._written:
                yield from self._codes_named(self._written[name])
                return
        for part in ast.walk(node):
            if isinstance(part, ast.Constant) and part.value in PROBLEMS:
                yield str(part.value)
            elif isinstance(part, ast.Attribute):
                yield from self._codes_meant(part)
            elif isinstance(part, ast.Name):
                yield from _codes_within(self._names.get(part.id))

    def _codes_meant(self, node: ast.Attribute) -> Iterator[str]:
        if isinstance(code := self._meaning(node), RefusalCode):
            yield code.value
        elif isinstance(of := self._meaning(node.value), _Instance):
            hints = {**_hints_of(vars(of.kind).get("__init__")), **_hints_of(of.kind)}
            hint = hints.get(node.attr)
            values = hint if isinstance(hint, type) and issubclass(hint, Enum) else typing.get_args(hint)
            yield from (str(code) for code in values if code in PROBLEMS)

    def _meaning(self, node: ast.AST) -> Thing:
        match node:
            case ast.Await(value=value):
                return self._meaning(value)
            case ast.Name(id=name):
                return self._names.get(name, getattr(builtins, name, None))
            case ast.Attribute(value=value, attr=attr):
                return _member(self._meaning(value), attr)
            case ast.Call(func=func):
                called = self._meaning(func)
                return _Instance(called) if isinstance(called, type) else _given_by(called)
        return None


def _codes_within(value: object) -> Iterator[str]:
    """The codes that a table holds."""
    if isinstance(value, dict):
        value = tuple(value.values())
    if isinstance(value, tuple):
        for one in value:
            yield from _codes_within(one)
    elif isinstance(value, RefusalCode) or (isinstance(value, str) and value in PROBLEMS):
        yield str(value)


def _one_of(caught: frozenset[type]) -> _Instance | None:
    """What stands for an error of these classes: one that has a code, else nothing where they are many."""
    coded = sorted((kind for kind in caught if issubclass(kind, Problem | Refusal)), key=lambda kind: kind.__qualname__)
    if coded:
        return _Instance(coded[0])
    return _Instance(next(iter(caught))) if len(caught) == 1 else None


def _without(caught: frozenset[type], codes: set[str]) -> set[str]:
    """What is left of these codes when errors of these classes go no further."""
    left = set(codes)
    if any(issubclass(Refusal, kind) for kind in caught):
        left -= {code.value for code in RefusalCode}
    if any(issubclass(Problem, kind) for kind in caught):
        left -= PROBLEMS.keys()
    for known, of_class in _OF_CLASSES.items():
        if known in caught:
            left -= of_class
    return left


def _member(of: Thing, name: str) -> Thing:
    """What ``of.name`` is."""
    if isinstance(of, _Instance):
        found = inspect.getattr_static(of.kind, name, None)
        if isinstance(found, property):
            return _given_by(found.fget) or found
        if found is not None and not isinstance(found, str | int | float | bool):
            return found
        kind = _class_in(_hints_of(of.kind).get(name))
        return _Instance(kind) if kind else None
    if isinstance(of, ModuleType | type):
        return inspect.getattr_static(of, name, None)
    return None


def _given_by(function: Thing) -> Thing:
    if isinstance(function, classmethod | staticmethod):
        function = function.__func__
    if not isinstance(function, FunctionType):
        return None
    kind = _class_in(_hints_of(inspect.unwrap(function)).get("return"))
    return _Instance(kind) if kind else None


def _class_in(hint: Any) -> type | None:
    """The class of ours that an annotation tells of, also of an optional value."""
    if isinstance(hint, type):
        return hint if _is_ours(hint) else None
    return next((found for arg in typing.get_args(hint) if (found := _class_in(arg))), None)


@cache
def _hints_of(thing: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(thing)
    except (NameError, TypeError):  # what is imported for annotations only
        return {}


def _is_ours(thing: Any) -> bool:
    return getattr(thing, "__module__", "").partition(".")[0] in _PACKAGES


_PACKAGES = {"api", "web", "use_cases", "records", "documents", "media", "sign_on", "engine", "domain", "activities"}


@cache
def _nodes_of(path: str) -> dict[int, ast.FunctionDef | ast.AsyncFunctionDef]:
    """The functions of a file, by their first line (of their decorators)."""
    functions = [
        node
        for node in ast.walk(ast.parse(Path(path).read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return {min([node.lineno, *(one.lineno for one in node.decorator_list)]): node for node in functions}


def _node_of(function: FunctionType) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    path = function.__code__.co_filename
    if not path.startswith(str(PROJECT_ROOT)):
        return None
    return _nodes_of(path).get(function.__code__.co_firstlineno)


def _owner_of(function: FunctionType) -> type | None:
    """The class to which a method belongs."""
    *path, _ = function.__qualname__.split(".")
    if not path or "<locals>" in path:
        return None
    found: Any = inspect.getmodule(function)
    for name in path:
        found = getattr(found, name, None)
    return found if isinstance(found, type) else None
