"""A provider that others wrote, certified for OpenID Connect: npm's ``oidc-provider``, started on the loopback.

It is installed from the locked files beside its script, once; where node or npm are missing, what needs it is skipped.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.npm import install

FOLDER = Path(__file__).with_name("provider")
CLIENT = "relais"
SECRET = "a secret of the tests, longer than it need be"

STEPPED_UP = "loa:2"

_FORM = re.compile(r'<form[^>]* action="([^"]+)"[^>]*>(.*?)</form>', re.DOTALL)
"""The provider's page that asks whether to sign out there as well."""


@asynccontextmanager
async def certified_provider(relais: str) -> AsyncIterator[str]:
    """The issuer's address. It knows the Relais at that address as a client."""
    await asyncio.to_thread(install, FOLDER)
    client = {
        "client_id": CLIENT,
        "client_secret": SECRET,
        "redirect_uris": [f"{relais}/sign-on/network/return"],
        "post_logout_redirect_uris": [f"{relais}/sign-on/signed-out"],
        "backchannel_logout_uri": f"{relais}/oidc/backchannel-logout",
        "backchannel_logout_session_required": True,
        "require_auth_time": True,
    }
    said = json.dumps({"client": client, "acrValues": ["loa:1", STEPPED_UP]})
    process = await asyncio.create_subprocess_exec(
        "node", "provider.mjs", said, cwd=FOLDER, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    assert process.stdout is not None
    try:
        issuer = (await process.stdout.readline()).decode().strip()
        assert issuer, "the provider did not start"
        yield issuer
    finally:
        process.kill()
        await process.wait()


@dataclass
class Browser:
    """A browser without scripts, in front of Relais and of the provider: each keeps its own cookies."""

    relais: httpx.AsyncClient
    provider: httpx.AsyncClient

    async def sign_in_there(self, address: str, login: str = "", acr: str = "loa:1") -> str:
        """Follow the address to the provider, sign in where it asks for that; gives where it sends the browser back to.

        Without a `login` nobody signs in, and the provider says so.
        """
        answer = await self.provider.get(address)
        for _ in range(10):
            onwards = httpx.URL(str(answer.request.url)).join(answer.headers.get("location", ""))
            if (
                answer.status_code in (302, 303)
                and onwards.host == self.relais.base_url.host
                and (onwards.port == self.relais.base_url.port)
            ):
                return str(onwards)
            if answer.status_code in (302, 303):
                answer = await self.provider.get(onwards)
            elif answer.request.url.path.startswith("/interaction/"):
                answer = await self.provider.post(answer.request.url, data={"login": login, "acr": acr})
            elif form := _FORM.search(answer.text):
                fields = dict(re.findall(r'name="([^"]+)" value="([^"]*)"', form[2]))
                answer = await self.provider.post(form[1], data={**fields, "logout": "yes"})
            else:
                break
        raise AssertionError(f"the provider did not send back: {answer.status_code} {answer.text[:500]}")


@asynccontextmanager
async def browser(relais: str, **more: Any) -> AsyncIterator[Browser]:
    """A new one."""
    here = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate"}
    async with (
        httpx.AsyncClient(base_url=relais, headers=here, **more) as first,
        httpx.AsyncClient(timeout=30) as second,
    ):
        yield Browser(first, second)
