"""The description of the API: whole, true (held against calls made up from it), and shown without any other host."""

import asyncio
import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, note, seed, settings
from hypothesis import strategies as st
from schemathesis import Case, CheckContext, GenerationMode, Response
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.server import create_app
from domain.requests import Role
from tests.eventually import PATIENCE_SECONDS
from tests.journeys import ok
from tests.rounds import LONGER
from tests.serving import served
from tests.system import Clinician, System, add_person

EXAMPLES = 4 * LONGER if LONGER > 1 else 2
"""Calls made up per operation (as described, or not: by chance, which is the same in every run); each person makes them."""

LEFT_OUT = {
    ("DELETE", "/api/v1/tokens/current"),
    ("DELETE", "/api/v1/me/sessions"),
    ("POST", "/api/v1/tokens"),
    ("POST", "/api/v1/me/password"),
    ("POST", "/api/v1/invitations/acceptance"),
    ("POST", "/api/v1/forgotten-passwords/new"),
    ("DELETE", "/api/v1/requests/{request_id}"),
}
"""What would sign the caller out, what costs the time of a password hash (`test_accounts` has them), and what would take away the
drafts that the others are made up for (`test_draft_removal`)."""

schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")  # parts of an upload
schemathesis.serializer.alias("application/pdf", "application/octet-stream")
schemathesis.serializer.alias("application/ocsp-request", "application/octet-stream")

FOR_ANYBODY = {
    "/api/v1/tokens",
    "/api/v1/oauth/token",
    "/api/v1/invitations/acceptance",
    "/api/v1/forgotten-passwords",
    "/api/v1/forgotten-passwords/new",
    "/api/v1/verifications",
    "/api/v1/signing-roots",
    "/api/v1/signing-roots/{sha256}.pem",
    "/api/v1/signing-roots/{sha256}.cer",
    "/api/v1/signing-roots/{sha256}.crl",
    "/api/v1/signing-roots/{sha256}/ocsp",
    "/api/v1/signing-roots/{sha256}/ocsp/{question}",
}
"""What needs no sign-in."""


@pytest.fixture(scope="module")
def document(system: System) -> dict[str, Any]:
    return system.app.openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def examples_in(document: dict[str, Any], schema: dict[str, Any]) -> list[Any]:
    """The examples of a schema and of its direct properties."""
    name = schema.get("$ref", "").rpartition("/")[2] or next(
        (s["$ref"].rpartition("/")[2] for s in schema.get("anyOf", []) if "$ref" in s), ""
    )
    whole = document["components"]["schemas"][name] if name else schema
    parts = [whole, *whole.get("properties", {}).values()]
    nested = [part for part in whole.get("properties", {}).values() if "anyOf" in part and "$ref" in str(part["anyOf"])]
    return [
        *(example for part in parts for example in part.get("examples", [])),
        *(example for part in nested if part is not whole for example in examples_in(document, part)),
    ]


def test_every_operation_is_described(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert sorted(set(names)) == sorted(names)
    for method, path, operation in operations(document):
        where = f"{method} {path}"
        assert operation["summary"], where
        assert operation["description"], where
        assert operation["tags"], where
        body = operation.get("requestBody", {}).get("content", {}).get("application/json")
        assert body is None or examples_in(document, body["schema"]), f"{where} has no example"
        if path.startswith("/api/v1/") and path not in FOR_ANYBODY:
            assert operation["security"][0] == {"HTTPBearer": []}, where


NEEDS_NO_KEY = {
    "/api/v1/oauth/token",
    "/api/v1/signing-roots/{sha256}/ocsp",
    "/api/v1/service-accounts/{account_id}/keys",
    "/api/v1/requests/{request_id}/journals",
    "/api/v1/register-papers",
    "/api/v1/verifications",
    "/api/v1/tokens",
    "/api/v1/me/password",
    "/api/v1/me/second-factor",
    "/api/v1/me/second-factor/confirm",
    "/api/v1/me/second-factor/recovery-codes",
    "/api/v1/me/second-factor/remove",
    "/api/v1/undeliverable/{notice_id}/send-again",
    "/api/v1/failures/{effect_id}/resolve",
    "/api/v1/requests/{request_id}/phone-link",
    "/api/v1/clinics",
    "/api/v1/accounts/{account_id}/lock",
    "/api/v1/accounts/{account_id}/second-factor/reset",
    "/api/v1/accounts/{account_id}/identities/{provider}/remove",
    "/api/v1/accounts/{account_id}/reopen",
    "/api/v1/accounts/{account_id}/leave",
    "/api/v1/accounts/{account_id}/confirm",
    "/api/v1/accounts/{account_id}/password-help",
    "/api/v1/invitations/{invitation_id}/send-again",
    "/api/v1/invitations/{invitation_id}/revoke",
    "/api/v1/invitations/acceptance",
    "/api/v1/forgotten-passwords",
    "/api/v1/forgotten-passwords/new",
    "/api/v1/service-accounts",
    "/api/v1/service-accounts/{account_id}/secrets",
    "/api/v1/service-accounts/{account_id}/lock",
    "/api/v1/service-accounts/{account_id}/reopen",
    "/api/v1/requests/{request_id}/holds",
    "/api/v1/requests/{request_id}/restrictions",
    "/api/v1/requests/{request_id}/restrictions/{restriction_id}/end",
    "/api/v1/emergency-openings/{opening_id}/end",
    "/api/v1/retention/lists/{list_id}/approve",
    "/api/v1/retention/lists/{list_id}/take-back",
    "/api/v1/access-reviews/{review_id}/verdicts",
    "/api/v1/access-reviews/{review_id}/sign-off",
    "/api/v1/service-accounts/{account_id}/partner/turn-on",
    "/api/v1/service-accounts/{account_id}/partner/turn-off",
    "/api/v1/service-accounts/{account_id}/partner/replay",
    "/api/v1/service-accounts/{account_id}/partner/messages/{message_id}/replay",
    "/api/v1/subscriptions/{subscription_id}/turn-off",
    "/api/v1/webhooks",
    "/api/v1/webhooks/{webhook_id}/rotate",
    "/api/v1/webhooks/{webhook_id}/test",
    "/api/v1/webhooks/{webhook_id}/replay",
    "/api/v1/webhooks/{webhook_id}/messages/{message_id}/replay",
}
"""What acts once by what it names, or changes nothing; a token, and a link for a telephone, is a new one each time. The README
names them too."""


def test_every_post_takes_a_key_where_it_needs_one(document: dict[str, Any]) -> None:
    without = set()
    for method, path, operation in operations(document):
        headers = {parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "header"}
        if method == "POST" and "Idempotency-Key" not in headers:
            without.add(path)
    assert without == NEEDS_NO_KEY


async def test_the_pages_load_only_what_is_ours(system: System) -> None:
    http = system.requester.http
    page = await http.get("/api/docs")
    assert page.status_code == 200
    assert "default-src 'self'" in page.headers["content-security-policy"]
    links = re.findall(r'(?:src|href)="([^"]*)"', page.text)
    assert links
    for link in links:
        assert link.startswith("/api/docs/")
        answer = await http.get(link)
        assert (answer.status_code, bool(answer.content)) == (200, True), link
    assert "//" not in page.text.replace("<!DOCTYPE html>", "")
    assert (await http.get("/api/docs/assets/nothing.js")).status_code == 404
    assert (await http.get("/api/docs/assets/../start.js")).status_code in (200, 404)
    described = ok(await http.get("/api/openapi.json"))
    assert described == system.app.openapi()


@pytest.mark.parametrize("path", ["/healthz", "/api/v1/me", "/api/docs", "/api/v1/nothing", "/api/openapi.json"])
async def test_headers_of_every_answer(system: System, path: str) -> None:
    headers = (await system.requester.http.get(path)).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert headers["content-security-policy"].endswith("object-src 'none'; base-uri 'none'; frame-ancestors 'none'")
    assert "camera=()" in headers["permissions-policy"]
    assert "server" not in headers
    assert "strict-transport-security" not in headers


async def test_browsers_are_told_to_stay_with_tls(system: System) -> None:
    settings = system.settings.model_copy(update={"public_url": "https://relais.test"})
    app = create_app(settings, system.of_api)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://relais.test") as http:
        for path in ("/healthz", "/api/v1/me", "/nothing"):
            assert (await http.get(path)).headers["strict-transport-security"] == "max-age=63072000; includeSubDomains"


# Calls made up from the description, against the real thing


@pytest.fixture(scope="module")
async def strangers(system: System) -> dict[str, Clinician]:
    """People of their own, who may change what they like of theirs."""
    roles = (Role.REQUESTER, Role.DISPATCHER, Role.PROVIDER, Role.OPERATOR)
    near = system.clinics["near"]
    return {role.value: await add_person(system, f"made_up_{role.value}", near, role) for role in roles}


async def test_made_up_calls(system: System, strangers: dict[str, Clinician]) -> None:
    """Whatever is made up, as described or against it, the answer is one that is described, and never a fault of ours."""
    requester = strangers["requester"]
    ids = [ok(await requester.post("/requests", {"offering": "teledermatology"}), 201)["id"] for _ in range(2)]
    headers = {role: {"Authorization": who.http.headers["Authorization"]} for role, who in strangers.items()}
    # here, not in the thread: it imports, pytest rewrites what is imported, and Python 3.11.7 parses in one thread at a time
    schema = schemathesis.openapi.from_dict(system.app.openapi())
    async with served(system.app) as address:  # over a socket, for a client that does not know asyncio
        await asyncio.to_thread(_make_up_calls, schema, address, headers, [*ids, str(uuid4())])


def no_fault_of_ours(context: CheckContext, response: Response, case: Case[Any]) -> bool | None:
    """No answer of 500 and more, but where that a part does not answer in time, as on a busy machine, is what is asked for."""
    if (case.path, response.status_code) == ("/readyz", 503):
        return None
    return not_a_server_error(context, response, case)


def _make_up_calls(schema: BaseSchema, address: str, headers_of: dict[str, dict[str, str]], ids: list[str]) -> None:
    """Everybody makes the same calls: to make them up costs more than to make them."""
    schema.config.update(base_url=address)
    checks = [no_fault_of_ours, status_code_conformance, content_type_conformance, response_schema_conformance]
    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()
        if (operation.method.upper(), operation.path) in LEFT_OUT:
            continue
        modes = [
            operation.as_strategy(generation_mode=mode) for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
        ]

        @seed(1)
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=st.one_of(modes), request_id=st.sampled_from(ids))
        def call(case: Case[Any], request_id: str) -> None:
            if "request_id" in (case.path_parameters or {}):
                case.path_parameters["request_id"] = request_id
            for role, headers in headers_of.items():
                note(f"as {role}")
                answer = case.call(headers=headers, timeout=PATIENCE_SECONDS)
                case.validate_response(answer, checks=checks)

        call()
