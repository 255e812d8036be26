"""Writes the description of the API, `api/openapi.json`, which is served as it is: ``python -m api.describe``.

FastAPI tells the operations, what they take and what they give; here comes what it does not know: which errors a route really
has, by what it calls (`api.raised`); examples of every answer; headers; what is no JSON.
"""

import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, cast

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts

from api.docs import DESCRIPTION_FILE, TAGS
from api.examples import Examples
from api.problems import MEDIA_TYPE, ProblemDetails
from api.raised import codes_of
from api.server import V1, create_app
from domain.refusals import Refusal, RefusalCode
from settings import Settings
from translations.problems import FIELD_PROBLEMS, PROBLEMS, problem_sentence
from use_cases.services import Services
from web.deprecation import Deprecated
from web.problems import RETRY_AFTER, STATUSES, status_of
from web.rates import Limit
from web.session import READING

Part = dict[str, Any]
"""A part of the document, as it is written."""

Call = Callable[..., object]

_PROBLEM = {"$ref": f"#/components/schemas/{ProblemDetails.__name__}"}

_HEADERS: Mapping[str, tuple[str, Part]] = {
    "ETag": (
        "Which version was read or made, for `If-Match`; of what was read also a tag of just that, for `If-None-Match`.",
        {"type": "string", "examples": ['"7.5d41402abc4b2a76b9719d911017c592"']},
    ),
    "Location": ("Where what was made, or became of it, is found.", {"type": "string", "format": "uri-reference"}),
    "Link": ('The next page, where there is one: `<…>; rel="next"` (RFC 8288).', {"type": "string"}),
    "Retry-After": ("After how many seconds to try again.", {"type": "integer", "minimum": 1, "examples": [2]}),
    "Allow": ("The methods that this address takes.", {"type": "string", "examples": ["GET, HEAD, OPTIONS"]}),
    "WWW-Authenticate": ("How to sign in, or which scope is missing.", {"type": "string", "examples": ["Bearer"]}),
    "RateLimit-Policy": ("What is allowed in which time.", {"type": "string", "examples": ['"searches";q=60;w=60']}),
    "RateLimit": (
        "What of it is left, and in how many seconds all of it is there again.",
        {"type": "string", "examples": ['"searches";r=59;t=1']},
    ),
    "X-Request-ID": (
        "Which call this was: as the caller named it, or a new name.",
        {"type": "string", "pattern": "^[A-Za-z0-9._~+/=:-]{1,128}$"},
    ),
    "traceparent": (
        "The trace of which the call was a part (W3C Trace Context): the caller's, or a new one.",
        {"type": "string", "examples": ["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"]},
    ),
    "Deprecation": ("Since when this is deprecated (RFC 9745).", {"type": "string", "examples": ["@1798761600"]}),
    "Sunset": ("From when on this will be gone (RFC 8594).", {"type": "string"}),
}

_IF_NONE_MATCH: Part = {
    "name": "If-None-Match",
    "in": "header",
    "description": "The `ETag` of what you have: the answer is 304, without a body, while it would say the same.",
    "required": False,
    "schema": {"type": "string", "examples": ['"7.5d41402abc4b2a76b9719d911017c592"']},
}

_RATES = ("RateLimit-Policy", "RateLimit")


def describe(app: FastAPI) -> Part:
    """The whole description of what `app` serves."""
    document = _plain(app)
    examples = Examples(document["components"]["schemas"])
    for route in iter_route_contexts(app.routes):
        methods = document["paths"].get(route.path_format, {})
        for method in {one.lower() for one in route.methods or ()} & methods.keys():
            if method == "get" and str(route.path).startswith(V1):
                _tell_condition(methods[method])
            _complete(method, methods[method], list(_calls(cast(Dependant, route.dependant))), examples)
    document["components"]["examples"] = dict(sorted(examples.named.items()))
    told = json.dumps(document["paths"])
    document["components"]["headers"] = {
        name: {"description": text, "schema": schema}
        for name, (text, schema) in _HEADERS.items()
        if f"headers/{name}" in told
    }
    return document


def _plain(app: FastAPI) -> Part:
    """What FastAPI tells, with names that differ and no titles that only say the name once more."""
    told = FastAPI.openapi(app)
    text = json.dumps(told, ensure_ascii=False)
    for name in told["components"]["schemas"]:
        text = text.replace(f'"#/components/schemas/{name}"', f'"#/components/schemas/{_one_word(name)}"')
    document: Part = json.loads(text)
    ours = ProblemDetails.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas = {**document["components"]["schemas"], **ours.pop("$defs"), ProblemDetails.__name__: ours}
    schemas = {_one_word(name): schema for name, schema in schemas.items() if name not in _NOT_OURS}
    schemas["ProblemCode"] = {
        "type": "string",
        "enum": sorted(ALL_CODES),
        "description": "What can't be done, and why.",
    }
    schemas["FieldCode"] = {
        "type": "string",
        "enum": sorted(FIELD_PROBLEMS),
        "description": "What is wrong with a field.",
    }
    schemas["ProblemDetails"]["properties"]["code"] = {"$ref": "#/components/schemas/ProblemCode"}
    schemas["FieldError"]["properties"]["code"] = {"$ref": "#/components/schemas/FieldCode"}
    document["components"]["schemas"] = {name: _titled(schemas[name], name) for name in sorted(schemas)}
    document["paths"] = _without_titles(document["paths"])
    document["servers"] = [{"url": "/", "description": "Where this description is served."}]
    document["tags"] = [{"name": name, "description": text} for name, text in TAGS.items()]
    return document


_NOT_OURS = ("HTTPValidationError", "ValidationError")

ALL_CODES = frozenset(PROBLEMS) | {code.value for code in RefusalCode}
"""Every code that an error of the API can have."""


def _one_word(name: str) -> str:
    return name.replace("-", "")


def _titled(schema: Part, name: str) -> Part:
    return {"title": name, **cast(Part, _without_titles(schema))}


def _without_titles(part: Any, *, is_names: bool = False) -> Any:
    """The same without titles; of what holds names of properties, every one stays."""
    if isinstance(part, list):
        return [_without_titles(one) for one in part]
    if not isinstance(part, dict):
        return part
    kept = {key: value for key, value in part.items() if is_names or key != "title" or not isinstance(value, str)}
    as_it_is = () if is_names else ("example", "examples", "default")
    return {
        key: value if key in as_it_is else _without_titles(value, is_names=key == "properties" and not is_names)
        for key, value in kept.items()
    }


def _complete(method: str, operation: Part, calls: list[Call], examples: Examples) -> None:
    """Write down what one operation answers; `calls` are what is called for it."""
    operation.setdefault("security", [])
    for parameter in operation.get("parameters", []):
        parameter["schema"] = _never_null(parameter["schema"])
    answers = operation["responses"]
    for status in [status for status, answer in answers.items() if _is_left_to_us(status, answer)]:
        del answers[status]
    deprecated = next((one for one in calls if isinstance(one, Deprecated)), None)
    if deprecated is not None:
        operation["deprecated"] = True
    told = _headers_told(calls)
    for status, answer in answers.items():
        _tell_answer(operation["operationId"], answer, examples)
        answer["headers"] = {**answer.get("headers", {}), **_refs(told if status < "400" else ())}
    for status, codes in sorted(_errors(method, operation, calls).items()):
        if str(status) not in answers:
            answers[str(status)] = _error(status, codes, examples)
    always = ["X-Request-ID", "traceparent", *(_RATES if any(isinstance(one, Limit) for one in calls) else ())]
    always += ["Deprecation", "Sunset"] if deprecated is not None else []
    for answer in answers.values():
        answer["headers"] = {**answer.get("headers", {}), **_refs(always)}
    operation["responses"] = dict(sorted(answers.items()))


def _tell_condition(operation: Part) -> None:
    """What `api.conditional` does with it."""
    answer = operation["responses"]["200"]
    if "application/json" in answer.get("content", {}):
        operation.setdefault("parameters", []).append(_IF_NONE_MATCH)
        answer["headers"] = {**answer.get("headers", {}), **_refs(["ETag"])}
        operation["responses"]["304"] = {"description": "It would say what you have.", "headers": _refs(["ETag"])}


def _is_left_to_us(status: str, answer: Part) -> bool:
    """What FastAPI tells of input that it can't read."""
    return status == "422" and "HTTPValidationError" in json.dumps(answer)


def _calls(dependant: Dependant) -> Iterator[Call]:
    """What is called for a route, itself first."""
    if dependant.call is not None:
        yield dependant.call
    for below in dependant.dependencies:
        yield from _calls(below)


def _never_null(schema: Part) -> Part:
    """The schema of a parameter, which is there or is not: what an address or a header says is never null."""
    kinds = [kind for kind in schema.get("anyOf", []) if kind.get("type") != "null"]
    if len(kinds) == len(schema.get("anyOf", [])):
        return schema
    rest = {key: value for key, value in schema.items() if key not in ("anyOf", "description") and value is not None}
    return {**(kinds[0] if len(kinds) == 1 else {"anyOf": kinds}), **rest}


def _errors(method: str, operation: Part, calls: list[Call]) -> dict[int, set[str]]:
    """The codes of the errors that an operation can answer with, by status."""
    codes = {*codes_of(calls), "method_not_allowed"}
    if "requestBody" in operation:
        codes |= {"too_large", "unsupported_charset"}
        if "application/json" in operation["requestBody"]["content"]:
            codes |= {"malformed_json", "not_json"}
    if "records_busy" in codes:
        codes.add("storage_full")
    if method.upper() in READING:
        codes.discard("other_site")
    found: dict[int, set[str]] = {}
    for code in codes:
        found.setdefault(status_of_code(code), set()).add(code)
    return found


def status_of_code(code: str) -> int:
    """The status of an error by its code, also of a refusal."""
    return STATUSES[code] if code in STATUSES else status_of(Refusal(RefusalCode(code), ""))


def _error(status: int, codes: set[str], examples: Examples) -> Part:
    for code in codes:
        examples.named[f"problem_{code}"] = {"summary": code, "value": _problem(status, code)}
    names = sorted(codes)
    headers = []
    if status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS) or codes & RETRY_AFTER.keys():
        headers.append("Retry-After")
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers.append("Allow")
    if status == HTTPStatus.UNAUTHORIZED or "insufficient_scope" in codes:
        headers.append("WWW-Authenticate")
    shown = {code: {"$ref": f"#/components/examples/problem_{code}"} for code in names}
    return {
        "description": f"{HTTPStatus(status).phrase}: " + ", ".join(f"`{code}`" for code in names),
        "content": {MEDIA_TYPE: {"schema": _PROBLEM, "examples": shown}},
        "headers": _refs(headers),
    }


class _Numbers(dict[str, str]):
    """Some number for whatever a sentence names."""

    def __missing__(self, name: str) -> int:
        return 5


def _problem(status: int, code: str) -> Part:
    """An example of the error with that code."""
    sentence = (
        PROBLEMS[code] % _Numbers(wait="5\N{NO-BREAK SPACE}s") if code in PROBLEMS else problem_sentence(code, "en")
    )
    told: Part = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "code": code}
    told |= {"detail": sentence, "instance": "urn:uuid:01a20528-2326-771d-b244-f33a25c63e64"}
    if code in ("invalid_input", "form_incomplete"):
        told["errors"] = [{"field": "patient.birth_date", "code": "required", "message": FIELD_PROBLEMS["required"]}]
    return told


def _tell_answer(operation_id: str, answer: Part, examples: Examples) -> None:
    for kind, content in answer.get("content", {}).items():
        if kind == "application/json" or kind.endswith("+json"):
            name = examples.of_answer(content["schema"], operation_id)
            content["examples"] = {"answer": {"$ref": f"#/components/examples/{name}"}}
        elif kind.startswith("text/"):
            content["schema"] = {"type": "string"}
        else:
            content["schema"] = {"type": "string", "format": "binary"}


def _headers_told(calls: list[Call]) -> list[str]:
    """The headers of an answer that went well: those that the route, or a function of the API that it calls, sets."""
    sources = "".join(inspect.getsource(one) for call in calls for one in _of_the_api(call))
    return [name for name in _HEADERS if f'"{name}"] =' in sources or f'"{name}": ' in sources]


def _of_the_api(call: Call) -> Iterator[Any]:
    """The function, those of the API that it names, and the class of what it gives."""
    if inspect.isfunction(call) and call.__module__.startswith("api."):
        given = call.__globals__.get(str(getattr(call.__annotations__.get("return"), "__name__", "")))
        named = (call.__globals__.get(name) for name in call.__code__.co_names)
        yield call
        yield from (
            one
            for one in (given, *named)
            if (inspect.isfunction(one) or one is given) and getattr(one, "__module__", "").startswith("api.")
        )


def _refs(names: Any) -> Part:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def text_of(document: Part) -> str:
    """The document as it is kept."""
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def main() -> None:
    """Write the description anew."""
    app = create_app(Settings(embedded=False), cast(Services, None))
    DESCRIPTION_FILE.write_text(text_of(describe(app)))


if __name__ == "__main__":
    main()
