"""The second factor in the pages: scanned, confirmed, asked for at the sign-in and at a signature, removed."""

import base64
import re
from datetime import UTC, datetime
from uuid import UUID

from fastapi import FastAPI
from sqlalchemy import update

from domain.requests import Role
from records.models import SecondFactor
from tests.api.test_guessing import report_of
from tests.portal.browsing import hidden, shown, visitor
from tests.system import PASSWORD, System, add_person
from use_cases.one_time_codes import STEP_SECONDS, code_of


def code(secret: str, ahead: int = 0) -> str:
    step = int(datetime.now(UTC).timestamp()) // STEP_SECONDS + ahead
    return code_of(base64.b32decode(secret), step).decode()


async def long_after(system: System, account_id: str) -> None:
    """All codes that were taken were taken long ago."""
    async with system.services.database.session() as session:
        mine = SecondFactor.account_id == UUID(account_id)
        await session.execute(update(SecondFactor).where(mine).values(last_step=0, spent_for=None))


async def test_it_is_set_up_asked_for_and_removed(portal_app: FastAPI, system: System) -> None:
    who = await add_person(system, "careful", system.clinics["near"], Role.PROVIDER)
    signature = (await report_of(system, who)).removesuffix("/sign")
    path = "/account/second-factor"
    credentials = {"username": who.account.username, "password": PASSWORD, "next": "/providers"}
    async with visitor(portal_app, who) as http:
        assert "Activer un second facteur" in shown(await http.get(path))
        assert "pas votre mot de passe actuel" in shown(await http.post(path, data={"password": "x"}), 403)
        page = await http.post(path, data={"password": PASSWORD})
        assert 'class="qr-code"' in page.text
        assert "style" not in page.text.split("<svg")[1].split("</svg>")[0]
        found = re.search(r'class="secret">([A-Z2-7 ]+)<', page.text)
        assert found
        secret = found[1].replace(" ", "")
        wrong = await http.post(f"{path}/confirm", data={"code": "000000"})
        assert found[1] in wrong.text, "it can be scanned again"
        assert "Le code est incorrect" in shown(wrong, 403)
        made = await http.post(f"{path}/confirm", data={"code": code(secret)})
        codes = re.findall(r"<code>([A-Z2-7-]{29})</code>", made.text)
        assert len(codes) == 10
        text = shown(await http.get(path))
        assert "Codes de secours restants : 10" in text
        assert secret not in text

        await http.post("/signout")
        asked = await http.post("/signin", data=credentials)
        assert "Entrez le code qu’affiche" in shown(asked)
        assert "set-cookie" not in asked.headers
        fields = dict(re.findall(r'name="(proof|next)" value="([^"]*)"', asked.text))
        assert fields["next"] == "/providers"
        wrong = await http.post("/signin/code", data={**fields, "code": "000000"})
        assert "Le code est incorrect" in shown(wrong, 403)
        assert fields["proof"] in wrong.text
        made_up = fields["proof"][:-1] + ("1" if fields["proof"].endswith("0") else "0")
        stale = await http.post("/signin/code", data={**fields, "proof": made_up, "code": codes[0]})
        assert "Reconnectez-vous" in shown(stale, 401)
        answer = await http.post("/signin/code", data={**fields, "code": codes[0]})
        assert (answer.status_code, answer.headers["location"]) == (303, "/providers")

        page = await http.get(f"{signature}/sign")
        assert 'autocomplete="one-time-code"' in page.text
        form = {**hidden(page), "kind": "final", "password": PASSWORD, "revision": "1"}
        missing = await http.post(f"{signature}/sign", data=form)
        assert "Un code de votre application d’authentification" in shown(missing, 403)
        await long_after(system, who.id)
        signed = await http.post(f"{signature}/sign", data={**form, **hidden(missing), "code": code(secret)})
        assert signed.status_code == 303

        await long_after(system, who.id)
        assert "Retirer le second facteur" in shown(await http.get(f"{path}?do=remove"))
        removed = await http.post(f"{path}/remove", data={"password": PASSWORD, "code": code(secret)})
        assert removed.headers["location"] == f"{path}?done=second_factor_removed"
        await http.post("/signout")
        assert (await http.post("/signin", data=credentials)).headers["location"] == "/providers"
    await system.people.pop("careful").http.aclose()
