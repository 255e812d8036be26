"""The addresses of FHIR, put before an application: a route for each type and each thing that is done with it.

They are not part of the description of the API: FHIR has its own, at /fhir/metadata.
"""

import base64
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse

from domain import smart_scopes
from domain.service_accounts import Scope
from domain.smart_scopes import OPENED_BY
from fhir import errors, messages, subscription_routes
from fhir.addresses import BASE_PATH, Server
from fhir.capability import capability_statement, smart_configuration
from fhir.documents import PDF
from fhir.elements import reference_to
from fhir.formats import answer_with, format_wanted, is_known, wants_file
from fhir.kinds import BESIDE, BY_IDENTIFIER, OF_REQUESTS, known_parameters, read_of_request, uuid_in
from fhir.parameters import check_known, parameters_of
from fhir.patients import find_patients
from fhir.resources import Binary
from fhir.searches import Asked, address_of, page, search
from use_cases import documents
from use_cases.caller import Caller
from use_cases.cases import request_of_document
from use_cases.client_credentials import OF_FHIR
from use_cases.problems import Problem
from use_cases.services import Services
from web.connected import AttendedBy
from web.files import pdf_response
from web.language import language_of
from web.oauth import answer_with_token
from web.origin import OriginOf
from web.rates import DOCUMENTS, MESSAGES, OF_ONE_PATIENT
from web.services import ServicesOf
from web.session import SmartNeed, opened_by

Route = Callable[..., Awaitable[Response]]

router = APIRouter(prefix=BASE_PATH, include_in_schema=False)


def install(app: FastAPI) -> None:
    """Put FHIR before what `app` serves already; what goes wrong there is told as an OperationOutcome."""
    app.router.routes.extend([*router.routes, *subscription_routes.router.routes])
    errors.install(app)


@router.get("/metadata", name="fhir_metadata")
async def metadata(request: Request, services: ServicesOf) -> Response:
    """What this server does, for anybody."""
    kind = format_wanted(request)
    return JSONResponse(capability_statement(services.settings), media_type=f"{kind}; charset=utf-8")


@router.get("/.well-known/smart-configuration", name="fhir_smart_configuration")
async def configuration(services: ServicesOf) -> Response:
    """How a system gets in, for anybody."""
    return JSONResponse(smart_configuration(services.settings))


@router.post("/token", name="fhir_token")
async def token(request: Request, services: ServicesOf, origin: OriginOf) -> Response:
    """An access token for a system that signs (SMART Backend Services)."""
    return await answer_with_token(request, services, origin, OF_FHIR)


@router.post("/$process-message", name="fhir_process_message", dependencies=[MESSAGES])
@router.post("/$process-messages", name="fhir_process_messages", dependencies=[MESSAGES])
async def process_message(
    request: Request,
    services: ServicesOf,
    attended: AttendedBy,
    caller: Annotated[Caller, Depends(opened_by(Scope.MESSAGES_SEND, smart=SmartNeed(smart_scopes.MESSAGES, "c")))],
) -> Response:
    """A message of a partner's system, done and answered."""
    return await messages.process(request, services, caller, attended)


def _asked(request: Request, services: Services, caller: Caller) -> Asked:
    return Asked(services, caller, Server.of(services.settings, language_of(request)))


def _reader(kind: str) -> Route:
    async def read(
        request: Request,
        resource_id: str,
        services: ServicesOf,
        caller: Annotated[Caller, Depends(opened_by(*OPENED_BY[kind], smart=SmartNeed(kind, "r")))],
    ) -> Response:
        wanted = format_wanted(request)
        check_known(request, request.query_params.keys(), ("_format",))
        asked = _asked(request, services, caller)
        if "\0" in resource_id:
            raise Problem("not_found")
        if kind in OF_REQUESTS:
            resource = await read_of_request(asked, kind, resource_id)
        else:
            resource = await BESIDE[kind].read(asked, resource_id)
        return answer_with(request, resource, wanted)

    return read


def _searcher(kind: str) -> Route:
    async def find(
        request: Request,
        services: ServicesOf,
        caller: Annotated[Caller, Depends(opened_by(*OPENED_BY[kind], smart=SmartNeed(kind, "s")))],
    ) -> Response:
        wanted = format_wanted(request)
        parameters = await parameters_of(request, kind, known_parameters(kind))
        asked = _asked(request, services, caller)
        links = {"self": address_of(kind, parameters, None, asked.server)}
        if kind == "Patient" and BY_IDENTIFIER in parameters:
            links = {"self": address_of(kind, {}, None, asked.server)}  # the number stands in no address
            found = await find_patients(asked, parameters)
        elif kind in OF_REQUESTS:
            found, cursor = await search(asked, OF_REQUESTS[kind], parameters)
            if cursor is not None:
                links["next"] = address_of(kind, parameters, cursor, asked.server)
        else:
            look = BESIDE[kind].find
            found, cursor = await look(asked, parameters) if look else ([], None)
            if cursor is not None:
                links["next"] = address_of(kind, parameters, cursor, asked.server)
        return answer_with(request, page(kind, found, links, asked.server, datetime.now(UTC)), wanted)

    return find


async def binary(
    request: Request,
    resource_id: str,
    services: ServicesOf,
    caller: Annotated[Caller, Depends(opened_by(*OPENED_BY["Binary"], smart=SmartNeed("Binary", "r")))],
) -> Response:
    """The very bytes of a signed document, or the resource that holds them, where FHIR's format is asked for."""
    as_file = wants_file(request)
    wanted = "" if as_file else format_wanted(request)
    check_known(request, request.query_params.keys(), ("_format",))
    report_id = uuid_in(resource_id)
    request_id = await request_of_document(services, report_id)
    document = await documents.read_document(services, caller, request_id, report_id)
    tag = f'"{document.sha256}"'
    if is_known(request, tag):
        return Response(status_code=304, headers={"ETag": tag})
    if as_file:
        response = pdf_response(document.pdf, document.filename, opens=not document.outside)
    else:
        held = Binary(
            id=str(report_id),
            content_type=PDF,
            security_context=reference_to("ServiceRequest", request_id),
            data=base64.b64encode(document.pdf).decode(),
        )
        response = answer_with(request, held, wanted)
    response.headers["ETag"] = tag
    response.headers["Cache-Control"] = "private, no-store"
    return response


def _add_routes() -> None:
    for kind in OPENED_BY:
        name = f"fhir_{kind}"
        if kind == "Binary":
            router.get("/Binary/{resource_id}", name=f"{name}_read", dependencies=[DOCUMENTS])(binary)
            continue
        router.get(f"/{kind}/{{resource_id}}", name=f"{name}_read")(_reader(kind))
        if kind in OF_REQUESTS or BESIDE[kind].find is not None:
            find = _searcher(kind)
            router.get(f"/{kind}", name=f"{name}_search")(find)
            limits = [OF_ONE_PATIENT] if kind == "Patient" else []
            router.post(f"/{kind}/_search", name=f"{name}_search_by_post", dependencies=limits)(find)


_add_routes()
