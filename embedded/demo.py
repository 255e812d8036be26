"""``relais demo``: one teleconsultation from the first draft to the end, against the running system and through its API alone.

Reads top-down: `_tell` is the story. `Stage` sends each step, shows who did what and how it was answered, and stops the story at
the first answer that is not the expected one. At the end the signed documents are checked against the local signing authority,
and the e-mails are counted: each that was due must have come, once.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import yaml
from rich.console import Console

from documents.signature import verify_pdf
from domain.notices import NoticeMode
from embedded.cast import Cast, open_cast, problem
from embedded.control import running
from embedded.demo_accounts import DATA
from embedded.demonstration_requests import EYE, PHOTOS
from embedded.errors import StartError
from embedded.files import write_privately
from embedded.ports import LOOPBACK
from embedded.runtime import Runtime
from engine.temporal_ui import workflow_page
from settings import Settings, get_settings
from workflows.contract import workflow_id

REQUESTER = "demandeur.fleuve"
DISPATCHER = "repartiteur.capitale"
PROVIDER = "fournisseur.capitale"
COLLEAGUE = "fournisseur2.capitale"

MAIL_PATIENCE_SECONDS = 60.0
LOOK_EVERY_SECONDS = 0.3


async def play(photos: Path | None = None) -> None:
    """Plays the story with the shipped photographs, or with the first four of the folder `photos` (three at least).

    Raises StartError, with one sentence, when nothing runs, an answer is not the expected one, or a check at the end fails.
    """
    settings = get_settings()
    data_dir = settings.data_dir.absolute()
    runtime = running(data_dir)
    first, extra = _pictures(photos)
    said = yaml.safe_load((DATA / "demo.yaml").read_text())
    console = Console(highlight=False, soft_wrap=True)
    try:
        async with open_cast(data_dir, runtime.address_of("api")) as cast:
            stage = Stage(console, cast)
            await stage.enter(REQUESTER, DISPATCHER, PROVIDER, COLLEAGUE)
            await _tell(stage, said, first, extra)
            folder = data_dir / "demo" / stage.number
            await asyncio.to_thread(folder.mkdir, mode=0o700, parents=True, exist_ok=True)
            await _check_documents(stage, settings, folder)
            await _check_mails(stage, runtime, folder)
            await _save_timeline(stage, folder)
    except httpx.HTTPError as error:
        raise StartError(f"The running system does not answer ({type(error).__name__}): see `relais status`.") from None
    _say_where(console, runtime, stage, folder)


async def _tell(
    stage: "Stage", said: Mapping[str, Any], first: list[tuple[str, bytes]], extra: tuple[str, bytes] | None
) -> None:
    await stage.create(said["draft"])
    for name, picture in first:
        await stage.attach(name, picture)
    await stage.give(REQUESTER, "submit", "submits it to the ophthalmology centre", tells=[PROVIDER, COLLEAGUE])
    await stage.give(
        *(DISPATCHER, "assign", "assigns it to one of the centre’s providers"),
        {"provider": PROVIDER, "comment": said["comment"]},
        tells=[PROVIDER, COLLEAGUE, REQUESTER],
    )
    await stage.give(PROVIDER, "request-information", "asks a question", {"text": said["question"]}, tells=[REQUESTER])
    answered_with = [await stage.attach(*extra)] if extra else []
    await stage.give(
        *(REQUESTER, "answer-information", "answers it"),
        {"text": said["answer"], "attachment_ids": answered_with},
        tells=[PROVIDER],
    )
    await stage.give(
        *(PROVIDER, "transfer", "transfers the request to a colleague"),
        {"provider": COLLEAGUE, "comment": said["transfer_comment"]},
        tells=[COLLEAGUE, REQUESTER, DISPATCHER],
    )
    await stage.give(COLLEAGUE, "accept", "accepts it", tells=[REQUESTER, DISPATCHER])

    report = said["first_report"]
    await stage.write_report(report, "writes a report without its recommendations")
    await stage.give(COLLEAGUE, "report/sign", "tries to sign it", {"kind": "preliminary"}, refused="recommendations")
    report = {**report, "recommendations": said["recommendations"]}
    await stage.write_report(report, "adds the recommendations")
    await stage.give(
        COLLEAGUE, "report/sign", "signs the preliminary report", {"kind": "preliminary"}, tells=[REQUESTER]
    )
    await stage.write_report({**report, **said["final_report"]}, "completes the report")
    await stage.give(
        COLLEAGUE, "report/sign", "signs the final report", {"kind": "final"}, tells=[REQUESTER, DISPATCHER]
    )
    await stage.give(COLLEAGUE, "report/addenda", "adds an addendum", {"text": said["addendum"]}, tells=[REQUESTER])
    await stage.give(
        *(REQUESTER, "acknowledge", "acknowledges, and tells the outcome"),
        {"outcome": said["outcome"]},
        tells=[COLLEAGUE],
    )


class Stage:
    """Where the story is played: the request, its number, and the e-mails that are due by now, by address.

    They are counted for the people who get them at once: a visitor may have chosen otherwise for some.
    """

    def __init__(self, console: Console, cast: Cast) -> None:
        self.console = console
        self.cast = cast
        self.request_id = ""
        self.number = ""
        self.due_mails: Counter[str] = Counter()
        self._told_at_once: set[str] = set()

    async def enter(self, *players: str) -> None:
        """They sign in, and say how they want their e-mails."""
        for who in players:
            account = (await self.cast.send(who, "GET", "/me")).raise_for_status().json()
            if account["notice_mode"] == NoticeMode.AT_ONCE:
                self._told_at_once.add(who)

    async def create(self, draft: Mapping[str, Any]) -> None:
        """The requester begins a draft, which is to go to the centre of ophthalmology."""
        clinic_id = self.cast.account(PROVIDER).clinic_id
        sent = self.cast.send(REQUESTER, "POST", "/requests", json={**draft, "clinic": str(clinic_id)}, key=_new_key())
        request = await self._show(REQUESTER, "creates a draft", sent, 201)
        self.request_id, self.number = request["id"], request["number"]

    async def attach(self, name: str, picture: bytes) -> str:
        """The requester adds a photo; gives its id."""
        sent = self.cast.attach(REQUESTER, self.request_id, name, picture, key=_new_key())
        attachment = await self._show(REQUESTER, f"adds the photo {name}", sent, 201)
        return str(attachment["id"])

    async def write_report(self, answers: Mapping[str, Any], what: str) -> None:
        """The colleague saves the draft of the report."""
        path = f"/requests/{self.request_id}/report"
        await self._show(COLLEAGUE, what, self.cast.send(COLLEAGUE, "PUT", path, json={"answers": answers}), 200)

    async def give(
        self,
        who: str,
        command: str,
        what: str,
        said: Mapping[str, Any] | None = None,
        *,
        tells: list[str] | None = None,
        refused: str = "",
    ) -> None:
        """Somebody gives a command. It must be carried out at once; or, where a field is named, be refused for that one."""
        sent = self.cast.command(who, self.request_id, command, said, key=_new_key())
        answer = await self._show(who, what, sent, 422 if refused else 200)
        if refused:
            named = [error["field"] for error in answer["errors"]]
            if named != [refused]:
                raise StartError(f"The refusal names {named} and should name “{refused}”.")
            self.console.print(f"     refused: {refused}: {answer['errors'][0]['message']}", style="dim")
        self.due_mails.update(self.cast.account(who).email for who in tells or () if who in self._told_at_once)

    async def read(self, path: str = "") -> httpx.Response:
        """What the requester may read of the request."""
        answer = await self.cast.send(REQUESTER, "GET", f"/requests/{self.request_id}{path}")
        if answer.status_code != 200:
            raise StartError(f"The request cannot be read: {problem(answer)}.")
        return answer

    async def _show(self, who: str, what: str, sent: Awaitable[httpx.Response], expected: int) -> dict[str, Any]:
        account = self.cast.account(who)
        began = time.perf_counter()
        answer = await sent
        took = (time.perf_counter() - began) * 1000
        good = answer.status_code == expected
        self.console.print(
            f"  {'✓' if good else '✗'} {account.name:<20} {account.role:<11} {what:<50} {answer.status_code} {took:5.0f} ms",
            markup=False,
        )
        if not good:
            raise StartError(f"{account.name} {what}: expected HTTP {expected}, the answer is {problem(answer)}.")
        return dict(answer.json())


async def _check_documents(stage: Stage, settings: Settings, folder: Path) -> None:
    """Saves the signed documents, and checks each one's bytes and signature. Raises StartError when one does not hold."""
    stage.console.print("\nSigned documents", style="bold")
    root = (settings.authority_path / "root.cert.pem").read_bytes()
    for document in (await stage.read("/reports")).json():
        pdf = (await stage.read(f"/reports/{document['report_id']}.pdf")).content
        file = folder / f"{stage.number}-{document['number']}-{document['kind']}.pdf"
        await asyncio.to_thread(write_privately, file, pdf)
        verdict = await verify_pdf(pdf, [root])
        if not verdict.valid:
            raise StartError(f"The signature of {file} does not hold: {', '.join(verdict.problems)}.")
        stamped = f"{verdict.stamped_at:%Y-%m-%d %H:%M:%S %Z}" if verdict.stamped_at else ""
        stage.console.print(
            f"  ✓ {file.name:<36} valid, signed by {verdict.signer_name} ({verdict.signer_licence}), stamped {stamped}",
            markup=False,
        )


async def _check_mails(stage: Stage, runtime: Runtime, folder: Path) -> None:
    """Waits for the e-mails that are due, lists them, and saves the list. Raises StartError when one is missing or came twice."""
    stage.console.print("\nE-mails", style="bold")
    async with httpx.AsyncClient(base_url=runtime.address_of("mail"), trust_env=False) as http:
        give_up_at = time.monotonic() + MAIL_PATIENCE_SECONDS
        while True:
            kept = (await http.get("/api/mails")).raise_for_status().json()
            mails = [mail for mail in reversed(kept) if stage.number in mail["subject"]]
            came = Counter(to for mail in mails for to in mail["recipients"] if to in stage.due_mails)
            if came == stage.due_mails or time.monotonic() > give_up_at:
                break
            await asyncio.sleep(LOOK_EVERY_SECONDS)
    for mail in mails:
        stage.console.print(f"  ✓ {', '.join(mail['recipients']):<34} {mail['subject']}", markup=False)
    await asyncio.to_thread(write_privately, folder / "mails.json", json.dumps(mails, indent=2, ensure_ascii=False))
    if came != stage.due_mails:
        raise StartError(f"The e-mails that came are {dict(came)}; due were {dict(stage.due_mails)}.")
    if twice := [mail["message_id"] for mail in mails if mail["deliveries"] != 1]:
        raise StartError(f"These e-mails came more than once: {', '.join(twice)}.")


async def _save_timeline(stage: Stage, folder: Path) -> None:
    timeline = (await stage.read("/timeline")).json()
    await asyncio.to_thread(
        write_privately, folder / "timeline.json", json.dumps(timeline, indent=2, ensure_ascii=False)
    )
    status = (await stage.read()).json()["status"]
    if status != "closed":
        raise StartError(f"The request is {status} at the end and should be closed.")


def _say_where(console: Console, runtime: Runtime, stage: Stage, folder: Path) -> None:
    temporal_ui = f"http://{LOOPBACK}:{runtime.ports['temporal-ui']}"
    namespace = runtime.environment["TEMPORAL_NAMESPACE"]
    places = {
        "Workflow": workflow_page(temporal_ui, namespace, workflow_id(UUID(stage.request_id))),
        "E-mails": runtime.address_of("mail"),
        "Documents": str(folder),
    }
    console.print(f"\n{stage.number} is closed. Where to look:", style="bold")
    for name, place in places.items():
        console.print(f"  {name:<10} {place}", markup=False)


def _pictures(folder: Path | None) -> tuple[list[tuple[str, bytes]], tuple[str, bytes] | None]:
    """Three photos to begin with, and one for the answer, if there are four. Raises StartError when there are not enough."""
    if folder is None:
        files = [*(PHOTOS / name for name in EYE), PHOTOS / "left-eye-temporal-arcade.jpg"]
    else:
        kinds = {".jpg", ".jpeg", ".png", ".webp", ".heic", ".heif"}
        files = sorted(path for path in folder.glob("*") if path.suffix.lower() in kinds)[:4]
    if len(files) < 3:
        raise StartError(f"The folder {folder} has {len(files)} photos and the story needs three.")
    pictures = [(file.name, file.read_bytes()) for file in files]
    return pictures[:3], pictures[3] if len(pictures) > 3 else None


def _new_key() -> str:
    return str(uuid4())
