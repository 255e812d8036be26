"""Parameters that many routes take: the Idempotency-Key, the version in If-Match, the reader's language."""

import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated

from fastapi import Depends, Header, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from domain.told_partners import BY_MESSAGE
from records.canonical import canonical_json
from translations import Language
from use_cases import used_keys
from use_cases.problems import MOST_ERRORS, FieldFault, Problem
from web.language import language_of
from web.services import ServicesOf
from web.session import IdentifiedOf


async def _idempotency_key(
    request: Request,
    services: ServicesOf,
    caller: IdentifiedOf,
    idempotency_key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            description="The same key acts once: it belongs to the caller, this address and this body; send a new one for a new "
            "action. Used for something else, the answer is 422 `idempotency_key_reused`.",
            examples=["8f14e45f-ceea-467f-a0e6"],
        ),
    ] = None,
) -> AsyncIterator[str | None]:
    """What fails leaves the key free: what is wrong with a body can be put right under the same one."""
    if idempotency_key is not None and not re.fullmatch(rf"(?!{BY_MESSAGE})[\x21-\x7e]{{1,120}}", idempotency_key):
        raise Problem("invalid_idempotency_key")
    if idempotency_key is None:
        yield None
        return
    # What a system calls so is not what its person does.
    key = idempotency_key if caller.system is None else f"{caller.actual_id}/{idempotency_key}"
    address = f"{request.method} {request.url.path}"
    use = await used_keys.use_of(services, caller, key, address, await _body(request))
    yield key
    await used_keys.keep(services, use)


async def _body(request: Request) -> bytes:
    """What the body says, however it is written, but for proofs of who sends it: who repeats something proves it anew.

    Files are compared by who takes them.
    """
    if not request.headers.get("content-type", "").startswith("application/json"):
        return b""
    body = await request.body()
    try:
        said = json.loads(body)
        if isinstance(said, dict):
            said = {name: value for name, value in said.items() if name not in PROOFS}
        return canonical_json(said)
    except (ValueError, RecursionError):  # which whoever reads it says better
        return body


PROOFS = {"password", "code", "passkey"}
"""The fields of a body that prove who acts (`use_cases.proofs.Proof`)."""

IdempotencyKey = Annotated[str | None, Depends(_idempotency_key, scope="function")]
"""The caller's Idempotency-Key, if there is one."""


async def _expected_version(
    if_match: Annotated[
        str | None,
        Header(
            alias="If-Match", description="The version that was read; otherwise the answer is 412.", examples=['"7"']
        ),
    ] = None,
) -> int | None:
    if if_match is None or if_match.strip() == "*":
        return None
    match = re.fullmatch(r'(?:W/)?"([0-9]{1,9})(?:\.[0-9a-f]{32})?"|([0-9]{1,9})', if_match.strip())
    if match is None:
        raise Problem("invalid_if_match")
    return int(match[1] or match[2])


ExpectedVersion = Annotated[int | None, Depends(_expected_version)]
"""The version of the request that the caller has seen, if they say so."""


async def _language(request: Request, caller: IdentifiedOf) -> Language:  # noqa: ARG001 - whose language it is
    return language_of(request)


async def known_parameters_only(request: Request) -> None:
    """A dependency of every route: what an address does not know is a mistake of who calls, and not passed over.

    Raises Problem `invalid_input`, which names each.
    """
    if not request.query_params:
        return
    route: APIRoute = request.scope["route"]
    known = _KNOWN.get(route.endpoint)
    if known is None:
        known = _KNOWN[route.endpoint] = frozenset(names_in_query(route.dependant))
    unknown = [name for name in request.query_params if name not in known]
    if unknown:
        raise Problem("invalid_input", [FieldFault(name, "unknown_parameter") for name in unknown[:MOST_ERRORS]])


_KNOWN: dict[Callable[..., object], frozenset[str]] = {}
"""What the address of each route knows, as it was first called."""


def names_in_query(dependant: Dependant) -> Iterator[str]:
    """The names of the parameters that a route, and what it depends on, take from the address."""
    yield from (field.alias for field in dependant.query_params)
    for below in dependant.dependencies:
        yield from names_in_query(below)


def tell_next(request: Request, response: Response, **changed: object) -> None:
    """Name the next page in the answer (RFC 8288): the same address with these parameters changed. One that is None ends it."""
    if None not in changed.values():
        url = request.url.include_query_params(**changed)
        response.headers["Link"] = f'<{url.path}?{url.query}>; rel="next"'


ReaderLanguage = Annotated[Language, Depends(_language)]
"""The language of an answer, see `web.language.language_of`."""
