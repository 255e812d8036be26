"""The API's own pages, without any outside host: Swagger UI from a package, and one script of ours."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import fastapi_offline
from fastapi import APIRouter, FastAPI
from fastapi.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

from web.observe import CLOSED

ASSETS = Path(fastapi_offline.__file__).parent / "static"

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Relais API</title>
<link rel="stylesheet" href="/api/docs/assets/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/api/docs/assets/swagger-ui-bundle.js"></script>
<script src="/api/docs/start.js"></script>
</body>
</html>
"""
_SCRIPT = """SwaggerUIBundle({
  url: "/api/openapi.json", dom_id: "#swagger-ui", deepLinking: true, persistAuthorization: false, docExpansion: "none"
});
"""
_POLICY = f"default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; {CLOSED}"

DESCRIPTION = """
Asynchronous medical teleconsultation. A clinician (requester) asks a specialist (provider) for advice about a patient; the
specialist accepts, asks for more, transfers to a colleague, returns the request, or signs a report.

**To begin**: `POST /api/v1/tokens` with a user name and a password, then send `Authorization: Bearer …` (the *Authorize* button).

**Systems of a clinic** come in by a service account, whose secret they send as `Authorization: Bearer relais_sk_…`; or an access
token for their signature (`POST /api/v1/oauth/token`, as SMART Backend Services ask). They may
use the operations that name `ServiceAccount` among their security, with one of the scopes named there; all others answer 403
`insufficient_scope`. What they write and submit is for a person of the clinic, named in `Relais-On-Behalf-Of`.

**Every POST that makes or moves something** takes an `Idempotency-Key`: the same key acts once, however often it is sent,
and is good for nothing else: no other body, no other address. Operations that don't name it don't take it.
**Every request** carries its `version`; send it back as `If-Match` and a change that somebody else overtook answers 412 instead
of overwriting theirs.

**Answers to commands**: 200 when the workflow took it and the next GET shows it; 202 when it is durably queued; 409 with the
code of the refusal; 503 when the engine can't be reached, or `not_yet` when something that was queued before must come first
(`Retry-After` says when to ask again). `Location` tells what became of the command: queued, done, or refused with its code. From
the moment at which a submission or a signature is taken, what it froze can't be changed until its end is known.

**Limits**: searches, pictures, documents, uploads and sign-ins are limited per person or address, far above what people do.
`RateLimit-Policy` and `RateLimit` say what is allowed and what is left; 429 (`too_many_requests`, `too_many_attempts`) says
that it was too much, and `Retry-After` when to go on.

Errors are `application/problem+json` with a stable `code` and a sentence in the language of `Accept-Language` (French by
default). What you may not see answers 404, what you may not do 403.
"""

router = APIRouter(include_in_schema=False)


@router.get("/api/docs")
async def page() -> HTMLResponse:
    """Swagger UI over this API."""
    return HTMLResponse(_PAGE, headers={"Content-Security-Policy": _POLICY})


@router.get("/api/docs/start.js")
async def script() -> Response:
    """Starts Swagger UI."""
    return Response(_SCRIPT, media_type="text/javascript")


DESCRIPTION_FILE = Path(__file__).with_name("openapi.json")
"""The description of the API. It is written by `api.describe`, and served as it stands there."""

TAGS = {
    "accounts": "Signing in; one's own account.",
    "absences": "When people are away.",
    "catalogue": "What can be asked for, and where.",
    "people": "For administrators: the people of a clinic, and the clinic.",
    "service accounts": "Systems of clinics that call by themselves.",
    "retention": "For administrators: how long a clinic keeps what is over, and what was destroyed.",
    "restrictions": "For administrators: to whom a request is shut, at the wish of the person whom it is about.",
    "emergencies": "What somebody who would not see it reads in an emergency, and who is told.",
    "access reviews": "For administrators: the accesses of each month, what is to be looked at, and who signed it off.",
    "webhooks": "Where a clinic's systems hear of events.",
    "requests": "Writing and reading requests.",
    "commands": "What people do with a request.",
    "attachments": "Photos, videos and documents.",
    "uploads": "Files that come in parts (tus).",
    "reports": "The report, its draft and its signature.",
    "journals": "For administrators: who has seen what is on file about somebody.",
    "registers": "For administrators: confidentiality incidents of the clinic, and when data about patients left it.",
    "verification": "Whether a signed document is as it was signed; for anybody.",
    "operations": "For those who run Relais.",
}
"""The groups of operations."""


def install(app: FastAPI) -> None:
    """Serve the pages, their assets, and the description."""
    app.openapi = _description  # type: ignore[method-assign]
    app.include_router(router)
    app.mount("/api/docs/assets", StaticFiles(directory=ASSETS), name="api-docs-assets")


@cache
def _description() -> dict[str, Any]:
    """The OpenAPI document."""
    document: dict[str, Any] = json.loads(DESCRIPTION_FILE.read_text())
    return document
