"""How long a clinic keeps what is over: its policy, holds, lists to approve, and certificates of what was destroyed."""

from uuid import UUID

from fastapi import APIRouter, Response

from api.parameters import ExpectedVersion
from domain.retention import RetentionPolicy
from use_cases import certificates, retention
from use_cases.administrators import Administrator
from use_cases.certificates import Certificate
from use_cases.retention import Approval, HoldView, NewHold, Retention, WholeList
from web.files import pdf_response
from web.services import ServicesOf
from web.session import CallerOf

router = APIRouter(tags=["retention"])


@router.get("/clinics/{clinic_id}/retention", summary="How long a clinic keeps what is over")
async def get_retention(clinic_id: UUID, caller: CallerOf, services: ServicesOf, response: Response) -> Retention:
    """Its policy, what it holds, and its lists, the newest first. The ETag is for `If-Match`."""
    found = await retention.read_retention(services.database, Administrator.of(caller), clinic_id)
    response.headers["ETag"] = f'"{found.version}"'
    return found


@router.put("/clinics/{clinic_id}/retention", summary="Set how long a clinic keeps what is over")
async def set_retention(
    clinic_id: UUID, policy: RetentionPolicy, caller: CallerOf, services: ServicesOf, version: ExpectedVersion
) -> Retention:
    """For administrators of the clinic. It counts at once, also for what stands on a list already."""
    return await retention.change_policy(services, caller, clinic_id, policy, version)


@router.post("/requests/{request_id}/holds", status_code=201, summary="Keep a request beyond its time")
async def hold_request(request_id: UUID, new: NewHold, caller: CallerOf, services: ServicesOf) -> HoldView:
    """For administrators of every clinic that ever had to do with it, also where no chart shows. That clinic lifts it."""
    return await retention.set_hold(services, caller, request_id, new)


@router.delete("/retention/holds/{hold_id}", status_code=204, summary="Lift a hold")
async def lift_hold(hold_id: UUID, caller: CallerOf, services: ServicesOf) -> None:
    """For administrators of the clinic that set it."""
    await retention.lift_hold(services, caller, hold_id)


@router.get("/retention/lists/{list_id}", summary="A list of requests whose time is over")
async def get_retention_list(list_id: UUID, caller: CallerOf, services: ServicesOf) -> WholeList:
    """With everything on it, and what became of it. One that waits is written anew each month."""
    return await retention.read_list(services, Administrator.of(caller), list_id)


@router.post("/retention/lists/{list_id}/approve", status_code=202, summary="Approve that a list is destroyed")
async def approve_retention_list(
    list_id: UUID, approval: Approval, caller: CallerOf, services: ServicesOf
) -> WholeList:
    """For administrators of the clinic, who all get an e-mail. From `destroyed_from` on, what stands on the list and may go is
    destroyed; nothing brings it back then.
    """
    return await retention.approve(services, caller, list_id, approval)


@router.post("/retention/lists/{list_id}/take-back", summary="Take the approval of a list back")
async def take_retention_list_back(list_id: UUID, caller: CallerOf, services: ServicesOf) -> WholeList:
    """For administrators of the clinic, whoever has approved it, until `destroyed_from`. The list waits again."""
    return await retention.take_back(services, caller, list_id)


@router.get(
    "/retention/lists/{list_id}/certificate", response_model=Certificate, summary="What was destroyed of a list"
)
async def get_certificate(list_id: UUID, caller: CallerOf, services: ServicesOf) -> Response:
    """By ids and SHA-256, with when, by whose approval and under which policies. There is none before all is done.

    The SHA-256 of the body, to the byte, stands on the paper.
    """
    made = await certificates.read_certificate(services, Administrator.of(caller), list_id)
    return Response(made, media_type="application/json")


@router.get(
    "/retention/lists/{list_id}/certificate.pdf",
    response_class=Response,
    responses={200: {"content": {"application/pdf": {}}, "description": "The certificate, sealed"}},
    summary="What was destroyed of a list, as a sealed document",
)
async def get_certificate_pdf(list_id: UUID, caller: CallerOf, services: ServicesOf) -> Response:
    """A line for each request, and the SHA-256 of the certificate; sealed in the name of the clinic: anybody can check it, as a
    signed report.
    """
    made = await certificates.read_certificate_pdf(services, Administrator.of(caller), list_id)
    return pdf_response(made.pdf, made.filename)
