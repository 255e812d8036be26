"""The description of the API: it is what the code would write now, true to itself, and breaks nothing that was released."""

import copy
import json
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any, cast

import httpx
import pytest
from fastapi import Depends, FastAPI
from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from api import catalogue
from api.describe import ALL_CODES, describe, status_of_code, text_of
from api.docs import DESCRIPTION_FILE
from api.problems import MEDIA_TYPE
from api.server import create_app
from settings import Settings
from tests.description.breaking import RELEASED, breaks, shape_of
from translations.problems import FIELD_PROBLEMS
from use_cases.services import Services
from web.deprecation import Deprecated
from web.observe import Observe

Part = dict[str, Any]


@pytest.fixture(scope="module")
def document() -> Part:
    written: Part = json.loads(DESCRIPTION_FILE.read_text())
    return written


def operations(document: Part) -> Iterator[tuple[str, Part]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


@pytest.mark.long
def test_it_is_what_the_code_says() -> None:
    written = text_of(describe(create_app(Settings(embedded=False), cast(Services, None))))
    assert written == DESCRIPTION_FILE.read_text(), "write it anew with: python -m api.describe"


def test_every_error_is_told_with_its_codes_and_none_that_can_not_be(document: Part) -> None:
    schemas = document["components"]["schemas"]
    assert set(schemas["ProblemCode"]["enum"]) == ALL_CODES
    assert set(schemas["FieldCode"]["enum"]) == set(FIELD_PROBLEMS)
    for where, operation in operations(document):
        for status, answer in operation["responses"].items():
            problem = answer.get("content", {}).get(MEDIA_TYPE)
            if problem is None:
                continue
            assert problem["schema"] == {"$ref": "#/components/schemas/ProblemDetails"}
            assert problem["examples"], where
            for code in problem["examples"]:
                assert status_of_code(code) == int(status), f"{where} {code}"
    told = {where: operation["responses"].keys() for where, operation in operations(document)}
    accept = document["paths"]["/api/v1/requests/{request_id}/accept"]["post"]["responses"]
    assert "already_accepted" in accept["409"]["content"][MEDIA_TYPE]["examples"]
    assert "no_open_question" not in accept["409"]["content"][MEDIA_TYPE]["examples"]
    assert {"401", "403", "404", "405", "412", "422", "503"} <= accept.keys()
    assert not {"413", "415", "429"} & accept.keys(), "it has no body and no limit"
    assert not {"401", "404", "409", "412"} & told["GET /healthz"]
    assert not {"404", "409", "412", "413", "415", "429"} & told["GET /api/v1/me"]
    assert {"413", "415", "429"} <= told["POST /api/v1/requests/{request_id}/attachments"]
    limited = {where for where, one in operations(document) if "RateLimit" in str(one["responses"].get("200"))}
    assert limited
    assert all("429" in told[where] for where in limited)
    assert all("405" in answers for answers in told.values())


def test_every_answer_has_an_example_that_fits(document: Part) -> None:
    whole = DRAFT202012.create_resource(document)
    registry: Registry[Any] = Registry().with_resource("urn:relais", whole)
    checked = set()
    for where, operation in operations(document):
        for status, answer in operation["responses"].items():
            for kind, content in answer.get("content", {}).items():
                if "json" not in kind:
                    assert content["schema"]["type"] == "string", where
                    continue
                assert content["examples"], f"{where} {status}"
                for reference in content["examples"].values():
                    name = reference["$ref"].rpartition("/")[2]
                    if (name, json.dumps(content["schema"])) in checked:
                        continue
                    checked.add((name, json.dumps(content["schema"])))
                    schema = json.loads(json.dumps(content["schema"]).replace('"#/', '"urn:relais#/'))
                    checker = Draft202012Validator(schema, registry=registry)
                    checker.validate(document["components"]["examples"][name]["value"])
    assert len(checked) > 200


def test_names_differ_and_everybody_knows_how_to_come_in(document: Part) -> None:
    schemas = document["components"]["schemas"]
    assert all(schema["title"] == name and "-" not in name for name, schema in schemas.items())
    assert document["servers"]
    validator_for(schemas["ProblemDetails"]).check_schema(schemas["ProblemDetails"])
    assert {tag for _, operation in operations(document) for tag in operation["tags"]} == {
        tag["name"] for tag in document["tags"]
    }
    for where, operation in operations(document):
        assert "security" in operation, where
        assert all("X-Request-ID" in answer["headers"] for answer in operation["responses"].values()), where


# What breaks those who call


def test_nothing_that_was_released_is_broken(document: Part) -> None:
    """A change that must break something is for the next major version: see the policy in docs/integrators.md."""
    assert breaks(json.loads(RELEASED.read_text()), shape_of(document)) == []


def _of(document: Part, path: str, method: str) -> Part:
    return cast(Part, document["paths"][path][method])


CHANGES: dict[str, tuple[Callable[[Part], object], bool]] = {
    "an operation goes": (lambda d: d["paths"]["/api/v1/me"].pop("get"), True),
    "an operation comes": (lambda d: d["paths"].update({"/api/v1/new": d["paths"]["/api/v1/me"]}), False),
    "a property of an answer goes": (
        lambda d: d["components"]["schemas"]["RequestView"]["properties"].pop("number"),
        True,
    ),
    "a property of an answer comes": (
        lambda d: d["components"]["schemas"]["RequestView"]["properties"].update(new={"type": "string"}),
        False,
    ),
    "a property may be missing": (
        lambda d: d["components"]["schemas"]["CommandReceipt"]["required"].remove("version"),
        True,
    ),
    "a body asks for more": (
        lambda d: d["components"]["schemas"]["CommentBody"].setdefault("required", []).append("new"),
        True,
    ),
    "a text may be less long": (
        lambda d: d["components"]["schemas"]["QuestionBody"]["properties"]["text"].update(maxLength=3),
        True,
    ),
    "a parameter goes": (
        lambda d: d["paths"]["/api/v1/requests"]["get"].update(
            parameters=[p for p in d["paths"]["/api/v1/requests"]["get"]["parameters"] if p["name"] != "overdue"]
        ),
        True,
    ),
    "a parameter is asked for": (
        lambda d: d["paths"]["/api/v1/me"]["get"].update(
            parameters=[{"in": "query", "name": "new", "required": True, "schema": {"type": "string"}}]
        ),
        True,
    ),
    "a value is taken no more": (
        lambda d: next(p for p in d["paths"]["/api/v1/requests"]["get"]["parameters"] if p["name"] == "sort")["schema"][
            "enum"
        ].remove("due"),
        True,
    ),
    "words change": (lambda d: _of(d, "/api/v1/me", "get").update(summary="Other words"), False),
}


@pytest.mark.parametrize(("change", "is_breaking"), CHANGES.values(), ids=CHANGES)
def test_what_breaks_is_found(document: Part, change: Callable[[Part], object], is_breaking: bool) -> None:
    changed = copy.deepcopy(document)
    change(changed)
    assert bool(breaks(shape_of(document), shape_of(changed))) is is_breaking


async def test_what_is_deprecated_says_so() -> None:
    app = FastAPI()
    old = Deprecated(since=date(2027, 1, 1), until=date(2028, 1, 1), instead="/api/v2/me")

    @app.get("/old", dependencies=[Depends(old)])
    async def get_old() -> dict[str, str]:
        """Something."""
        return {}

    app.include_router(catalogue.router)  # for there are schemas in a description
    app.add_middleware(Observe, over_tls=False)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://relais") as http:
        headers = (await http.get("/old")).headers
    assert headers["deprecation"] == "@1798761600"
    assert headers["sunset"] == "Sat, 01 Jan 2028 00:00:00 GMT"
    assert headers["link"] == '</api/v2/me>; rel="successor-version"'
    described = describe(app)["paths"]["/old"]["get"]
    assert described["deprecated"] is True
    assert {"Deprecation", "Sunset"} <= described["responses"]["200"]["headers"].keys()
