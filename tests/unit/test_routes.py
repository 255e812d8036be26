"""What holds of every route of the faces."""

from collections.abc import Iterator
from importlib import import_module
from inspect import iscoroutinefunction, isfunction
from pkgutil import iter_modules

from fastapi import APIRouter
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

import api
import portal


def test_no_call_waits_for_a_thread() -> None:
    """Plain functions among routes and dependencies would run in threads, of which there are few: a hop for every call."""
    called = {one for route in routes() for one in functions(route.dependant)}
    assert len(called) > 100
    assert {one for one in called if not iscoroutinefunction(one)} == set()


def routes() -> Iterator[APIRoute]:
    for package in (api, portal):
        for found in iter_modules(package.__path__):
            for value in vars(import_module(f"{package.__name__}.{found.name}")).values():
                if isinstance(value, APIRouter):
                    yield from (route for route in value.routes if isinstance(route, APIRoute))


def functions(dependant: Dependant) -> Iterator[object]:
    """What is called for a route: itself, and all on which it depends; of an object, its method."""
    call = dependant.call
    assert call is not None
    yield call if isfunction(call) else type(call).__call__
    for below in dependant.dependencies:
        yield from functions(below)
