"""The local mail server of the one-command mode: takes e-mail by SMTP on the loopback, keeps it, and shows it in a page.

Nothing leaves the machine. To show what happens when mail is refused, addresses at ``refuse.invalid`` are refused for good
(550), addresses at ``busy.invalid`` for now (451), and addresses at ``policy.invalid`` because of who sends (550 5.7.1).
"""

import asyncio
from pathlib import Path
from typing import Any, cast

import uvicorn
from aiosmtpd.smtp import SMTP, Envelope, Session
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse
from fastapi.templating import Jinja2Templates

from embedded.mail_store import Mail, MailContent, MailStore
from embedded.ports import LOOPBACK

REFUSALS = {
    "refuse.invalid": "550 5.1.1 This mailbox does not exist (refused for demonstration)",
    "policy.invalid": "550 5.7.1 Your messages are not wanted here (refused for demonstration)",
    "busy.invalid": "451 4.3.2 Try again later (refused for demonstration)",
}
"""Answers to recipients at these domains."""

LARGEST_MAIL_BYTES = 32 * 1024**2
SHOWN_IN_PAGE = 200

PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; base-uri 'none'"
"""What a page may load: nothing from elsewhere, no script. It holds for the e-mail's frame as well."""

_pages = Jinja2Templates(Path(__file__).resolve().parent / "mail_pages")


class MailHandler:
    """Answers aiosmtpd's questions about one SMTP dialogue. The method names are aiosmtpd's."""

    def __init__(self, store: MailStore) -> None:
        self._store = store
        self._one_at_a_time = asyncio.Lock()

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        refusal = REFUSALS.get(address.rpartition("@")[2].lower())
        if refusal:
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        async with self._one_at_a_time:
            recipients = [str(address) for address in envelope.rcpt_tos]
            mail = await asyncio.to_thread(self._store.keep, cast(bytes, envelope.content), recipients)
        return f"250 2.0.0 Kept as {mail.name}"


def mail_app(store: MailStore) -> FastAPI:
    """The read-only pages over the kept e-mails."""
    app = FastAPI(title="Relais: local mail", docs_url=None, redoc_url=None, openapi_url=None)

    @app.middleware("http")
    async def protect(request: Request, call_next: Any) -> Response:
        response = cast(Response, await call_next(request))
        response.headers["Content-Security-Policy"] = PAGE_POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    def find(name: str) -> Mail:
        mail = store.find(name)
        if mail is None:
            raise HTTPException(404, "No such e-mail.")
        return mail

    @app.get("/")
    async def show_list(request: Request) -> HTMLResponse:
        mails = store.newest_first(limit=SHOWN_IN_PAGE)
        return _pages.TemplateResponse(request, "list.html", {"mails": mails, "refusals": REFUSALS})

    @app.get("/mails/{name}.eml")
    async def show_source(name: str) -> Response:
        source = await asyncio.to_thread(store.source, find(name).name)
        return Response(source, media_type="text/plain; charset=utf-8")

    @app.get("/mails/{name}")
    async def show_mail(request: Request, name: str) -> HTMLResponse:
        mail = find(name)
        content = await asyncio.to_thread(store.content, name)
        return _pages.TemplateResponse(request, "mail.html", {"mail": mail, "content": content})

    @app.get("/api/mails")
    async def list_mails(to: str | None = None, limit: int | None = None) -> list[Mail]:
        return store.newest_first(recipient=to, limit=limit)

    @app.get("/api/mails/{name}")
    async def read_mail(name: str) -> MailContent:
        return await asyncio.to_thread(store.content, find(name).name)

    return app


async def serve(folder: Path, *, smtp_port: int, page_port: int) -> None:
    """Serves both until SIGINT or SIGTERM. `folder` is where the e-mails are kept."""
    store = await asyncio.to_thread(MailStore, folder)
    handler = MailHandler(store)

    def dialogue() -> SMTP:
        return SMTP(handler, hostname="localhost", enable_SMTPUTF8=True, data_size_limit=LARGEST_MAIL_BYTES)

    smtp = await asyncio.get_running_loop().create_server(dialogue, LOOPBACK, smtp_port)
    async with smtp:
        config = uvicorn.Config(mail_app(store), host=LOOPBACK, port=page_port, log_level="warning", access_log=False)
        await uvicorn.Server(config).serve()


async def answers(smtp_port: int, page_port: int) -> bool:
    """Whether a mail server answers on both ports. Raises OSError while nothing listens there."""
    for port, question, expected in ((smtp_port, b"", b"220"), (page_port, b"HEAD / HTTP/1.0\r\n\r\n", b"HTTP/1.")):
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
        try:
            writer.write(question)
            async with asyncio.timeout(5):
                if not (await reader.readline()).startswith(expected):
                    return False
        finally:
            writer.close()
    return True
