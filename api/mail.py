"""E-mails that reached nobody, with a way to send them again; and for operators, how mail stands."""

from uuid import UUID

from fastapi import APIRouter

from use_cases import mail
from use_cases.mail import MailView, SentAgainView, UndeliverableView
from web.services import ServicesOf
from web.session import CallerOf

router = APIRouter(tags=["operations"])


@router.get("/undeliverable", summary="E-mails that reached nobody")
async def list_undeliverable(caller: CallerOf, services: ServicesOf) -> list[UndeliverableView]:
    """For dispatchers and administrators of the clinic, and for operators: who was not told, and about which request."""
    return await mail.list_undeliverable(services, caller)


@router.post(
    "/undeliverable/{notice_id}/send-again",
    status_code=202,
    summary="Send an e-mail again that reached nobody",
)
async def send_again(notice_id: UUID, caller: CallerOf, services: ServicesOf) -> SentAgainView:
    """For those who see it on the list: it goes to the person's present address. Asked twice, it is sent once."""
    return await mail.send_again(services, caller, notice_id)


@router.get("/mail", summary="How mail stands")
async def show_mail(caller: CallerOf, services: ServicesOf) -> MailView:
    """For operators: what waits for the mail server and why, and how much reached nobody."""
    return await mail.how_mail_stands(services, caller)
