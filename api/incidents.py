"""The register of confidentiality incidents of a clinic: recorded, corrected by new versions, and what is still owed."""

from uuid import UUID

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse

from api.parameters import ExpectedVersion, IdempotencyKey, ReaderLanguage
from domain.incidents import Incident
from use_cases import incidents, register_papers
from use_cases.incident_texts import Draft, read_draft
from use_cases.incidents import IncidentLine, IncidentView
from web.files import csv_response
from web.rates import DOCUMENTS
from web.services import ServicesOf
from web.session import CallerOf

router = APIRouter(tags=["registers"])


@router.get("/incidents", summary="The clinic's register of incidents")
async def list_incidents(caller: CallerOf, services: ServicesOf) -> list[IncidentLine]:
    """For administrators, of their own clinic: first what still owes something, the longest waiting of these first."""
    return await incidents.list_incidents(services, caller)


@router.post("/incidents", status_code=201, summary="Record an incident")
async def record_incident(
    incident: Incident, caller: CallerOf, services: ServicesOf, key: IdempotencyKey
) -> IncidentView:
    """With what is known so far: the rest is added by a new version. What the law still asks for stands in `owed`."""
    return await incidents.record_incident(services, caller, incident, key)


@router.get(
    "/incidents.csv",
    response_class=Response,
    responses={200: {"content": {"text/csv": {}}, "description": "A line for each incident"}},
    dependencies=[DOCUMENTS],
    summary="The clinic's register of incidents, as a table",
)
async def get_incidents_csv(caller: CallerOf, services: ServicesOf, language: ReaderLanguage) -> Response:
    """What is in force of each, with the points of the regulation as columns. No cell is a formula."""
    return csv_response(await register_papers.incidents_as_csv(services, caller, language), "incidents.csv")


@router.get("/incidents/{incident_id}", summary="One incident")
async def get_incident(incident_id: UUID, caller: CallerOf, services: ServicesOf, response: Response) -> IncidentView:
    """With all its versions, the newest first. The ETag is for `If-Match`."""
    found = await incidents.read_incident(services, caller, incident_id)
    response.headers["ETag"] = f'"{found.version}"'
    return found


@router.put("/incidents/{incident_id}", summary="Correct or complete an incident")
async def correct_incident(
    incident_id: UUID, incident: Incident, caller: CallerOf, services: ServicesOf, version: ExpectedVersion
) -> IncidentView:
    """The whole of it, as a new version: what was written before stays. The same once more is no new version."""
    return await incidents.correct_incident(services, caller, incident_id, incident, version)


@router.get(
    "/incidents/{incident_id}/drafts/{draft}",
    response_class=PlainTextResponse,
    responses={200: {"content": {"text/plain": {}}, "description": "The draft"}},
    summary="A draft of the notice or of the letter about an incident",
)
async def get_incident_draft(
    incident_id: UUID, draft: Draft, caller: CallerOf, services: ServicesOf, language: ReaderLanguage
) -> PlainTextResponse:
    """The notice to the Minister and to the Commission d’accès à l’information, with the points that the regulation asks for; or
    the letter to the persons. What nobody has written yet stands there as `[…]`.
    """
    return PlainTextResponse(await read_draft(services, caller, incident_id, draft, language))
