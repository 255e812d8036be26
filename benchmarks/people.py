"""The people of the demonstration clinics, as the benchmarks let them act: signed in, over HTTP."""

import asyncio
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx
from PIL import Image

CAST = {
    "requester": "demandeur.fleuve",
    "dispatcher": "repartiteur.fleuve",
    "provider": "fournisseur.fleuve",
    "operator": "operateur",
}
OFFERING = "wound_care"


@dataclass(frozen=True)
class People:
    """One of each role: their ids and tokens, by role. Every call raises RuntimeError when it is not answered by success."""

    http: httpx.AsyncClient
    ids: dict[str, str]
    tokens: dict[str, str]
    passwords: dict[str, str]
    answers: dict[str, Any]
    report: dict[str, Any]
    photo: bytes

    @classmethod
    async def sign_in(cls, http: httpx.AsyncClient, folder: Path) -> Self:
        """Everybody, with the passwords in the data folder."""
        accounts = {a["username"]: a for a in json.loads((folder / "demo-accounts.json").read_text())}
        ids = {role: accounts[username]["account_id"] for role, username in CAST.items()}
        passwords = {role: accounts[username]["password"] for role, username in CAST.items()}
        people = cls(http, ids, {}, passwords, {}, {}, _photo())
        for role, username in CAST.items():
            who = {"username": username, "password": passwords[role]}
            people.tokens[role] = (await people._asked(http.post("/api/v1/tokens", json=who)))["access_token"]
        offering = await people.get("requester", f"/offerings/{OFFERING}")
        people.answers.update({one["name"]: an_answer(one) for one in offering["form"] if one["required"]})
        people.report.update({one["name"]: an_answer(one) for one in offering["report"] if one["required"]})
        return people

    async def get(self, who: str, path: str) -> Any:
        """What the API answers to this one."""
        return await self._asked(self.http.get(f"/api/v1{path}", headers=self._headers(who)))

    async def post(self, who: str, path: str, body: Any, **more: Any) -> Any:
        """The same, for what changes something."""
        return await self._asked(self.http.post(f"/api/v1{path}", json=body, headers=self._headers(who), **more))

    async def draft(self) -> str:
        """A form that can be submitted, with its photos; its id."""
        patient = {"given_name": "Jeanne", "family_name": "Tremblay", "birth_date": "1958-03-14"}
        draft = {"offering": OFFERING, "patient": patient, "answers": self.answers}
        request_id = str((await self.post("requester", "/requests", draft))["id"])
        for _ in range(3):
            files = {"file": ("photo.jpg", self.photo, "image/jpeg")}
            await self.post("requester", f"/requests/{request_id}/attachments", None, files=files)
        return request_id

    async def write_report(self, request_id: str) -> None:
        """By the provider, complete."""
        path = f"/api/v1/requests/{request_id}/report"
        await self._asked(self.http.put(path, json={"answers": self.report}, headers=self._headers("provider")))

    async def sign(self, request_id: str) -> None:
        """By the provider. The answer comes with the document, or without it when that takes longer than the API waits."""
        body = {"kind": "final", "password": self.passwords["provider"]}
        await self.post("provider", f"/requests/{request_id}/report/sign", body)

    async def all_mail_is_handed_over(self) -> None:
        """Wait until no e-mail waits any more."""
        while (await self.get("operator", "/mail"))["waiting"]:  # noqa: ASYNC110 - it can only be asked
            await asyncio.sleep(0.1)

    def _headers(self, who: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens[who]}"}

    async def _asked(self, call: Any) -> Any:
        answer: httpx.Response = await call
        if not answer.is_success:
            raise RuntimeError(f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text}")
        return answer.json()


def an_answer(field: dict[str, Any]) -> Any:
    """Something that a field takes."""
    match field["kind"]:
        case "choice":
            return field["options"][0]["value"]
        case "choices":
            return [field["options"][0]["value"]]
        case "number":
            return field["minimum"] or 1
        case "date":
            return "2026-11-01"
        case "yes_no":
            return True
        case _:
            return "…"


def _photo() -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (640, 480), "#c68863").save(made, "JPEG")
    return made.getvalue()
