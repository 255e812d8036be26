"""The demonstration's people at the API: each signs in when first needed, and sends what a person would send."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx

from embedded.demo_accounts import DemoAccount, demo_accounts
from embedded.errors import StartError

PATIENCE_SECONDS = 60.0


class Cast:
    """People by username, at one running API."""

    def __init__(self, http: httpx.AsyncClient, accounts: list[DemoAccount]) -> None:
        self._http = http
        self._accounts = {account.username: account for account in accounts}
        self._tokens: dict[str, asyncio.Task[str]] = {}

    def account(self, username: str) -> DemoAccount:
        """Raises StartError when there is no such demonstration account."""
        try:
            return self._accounts[username]
        except KeyError:
            raise StartError(f"The demonstration has no account {username!r}: run `relais seed`.") from None

    def clinic_id(self, code: str) -> UUID:
        """The clinic of that code, by which the addresses of its people end."""
        return next(a.clinic_id for a in self._accounts.values() if a.email.endswith(f"@{code}.invalid"))

    async def send(self, username: str, method: str, path: str, *, key: str = "", **content: Any) -> httpx.Response:
        """Sends as that person. `path` is below ``/api/v1``, `key` the Idempotency-Key. Raises httpx.TransportError."""
        headers = {"Authorization": f"Bearer {await self._token(username)}"}
        if key:
            headers["Idempotency-Key"] = key
        return await self._http.request(method, f"/api/v1{path}", headers=headers, **content)

    async def command(
        self, username: str, request_id: str, name: str, said: Mapping[str, Any] | None = None, *, key: str = ""
    ) -> httpx.Response:
        """Gives a command to a request. `name` is the last part of its address, `said` what goes with it.

        A `provider` (username) or `clinic` (code) in it becomes the id, and who signs adds their password.
        """
        body = dict(said or {})
        if "provider" in body:
            body["provider_id"] = str(self.account(body.pop("provider")).account_id)
        if "clinic" in body:
            body["clinic_id"] = str(self.clinic_id(body.pop("clinic")))
        if name in ("report/sign", "report/addenda"):
            body.setdefault("password", self.account(username).password)
        return await self.send(username, "POST", f"/requests/{request_id}/{name}", key=key, json=body or None)

    async def attach(
        self, username: str, request_id: str, name: str, picture: bytes, *, key: str = ""
    ) -> httpx.Response:
        """Uploads a picture."""
        files = {"file": (name, picture, "image/jpeg")}
        return await self.send(username, "POST", f"/requests/{request_id}/attachments", key=key, files=files)

    async def _token(self, username: str) -> str:
        if username not in self._tokens:
            self._tokens[username] = asyncio.create_task(self._sign_in(self.account(username)))
        return await self._tokens[username]

    async def _sign_in(self, account: DemoAccount) -> str:
        credentials = {"username": account.username, "password": account.password}
        answer = await self._http.post("/api/v1/tokens", json=credentials)
        if answer.status_code != 201:
            raise StartError(f"{account.username} cannot sign in: {problem(answer)}.")
        return str(answer.json()["access_token"])


@asynccontextmanager
async def open_cast(data_dir: Path, api_address: str) -> AsyncIterator[Cast]:
    """The people of the data folder, at the API that is reached at `api_address`, e.g. ``http://127.0.0.1:8000``.

    Raises StartError when there is no demonstration data.
    """
    accounts = demo_accounts(data_dir)
    if not accounts:
        raise StartError(f"There are no demonstration accounts in {data_dir}: start Relais with `relais up`.")
    async with httpx.AsyncClient(base_url=api_address, timeout=PATIENCE_SECONDS, trust_env=False) as http:
        yield Cast(http, accounts)


def problem(answer: httpx.Response) -> str:
    """What an unexpected answer says, in one line: its status, and the code and fields of its problem if it has one."""
    try:
        told = answer.json()
        fields = ", ".join(f"{e['field']}: {e['code']}" for e in told.get("errors", ()))
        return f"HTTP {answer.status_code} {told['code']}" + (f" ({fields})" if fields else "")
    except (ValueError, KeyError, AttributeError):
        return f"HTTP {answer.status_code}"
