"""What one person may ask for of what is costly: each kind has its limit, which the answers tell; others go on."""

import httpx

from tests.api.answers import problem
from tests.journeys import draft, submitted, upload
from tests.system import Clinician, System, hasty, photo
from web.rates import Spent


async def test_who_searches_too_often_waits(system: System) -> None:
    """Only searches count, not the worklist itself, and for that person alone."""
    who, other = system.far_requester, system.far_dispatcher
    system.app.state.spent = Spent()
    with hasty(system.app, searches_per_minute=3):
        answers = [await who.get("/requests?q=Tremblay") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert [answer.headers["ratelimit-policy"] for answer in answers] == ['"searches";q=3;w=60'] * 4
        told = [answer.headers["ratelimit"] for answer in answers]
        assert [one.split(";")[:2] for one in told] == [['"searches"', f"r={left}"] for left in (2, 1, 0, 0)]
        assert all(0 < int(one.rpartition("t=")[2]) <= 60 for one in told)
        problem(answers[-1], 429, "too_many_requests")
        assert 0 < int(answers[-1].headers["retry-after"]) <= 20
        assert (await who.get("/requests")).status_code == 200
        assert "ratelimit" not in (await who.get("/requests")).headers
        assert (await other.get("/requests?q=Tremblay")).status_code == 200
        head = await who.http.head("/api/v1/requests?q=Tremblay")
        assert (head.status_code, "ratelimit" in head.headers, head.content) == (429, True, b"")
    with hasty(system.app, searches_per_minute=0):
        answer = await who.get("/requests?q=Tremblay")
        assert (answer.status_code, "ratelimit" in answer.headers) == (200, False)


async def test_every_kind_counts_by_itself(system: System) -> None:
    system.app.state.spent = Spent()
    request_id = await submitted(system)
    view = await system.requester.view(request_id)
    picture = f"/requests/{request_id}/attachments/{view['attachments'][0]['id']}/thumbnail"
    form = await draft(system)

    async def asked(who: Clinician, kind: str) -> httpx.Response:
        match kind:
            case "pictures":
                return await who.get(picture)
            case "documents":
                return await who.get(f"/requests/{request_id}/case.pdf")
            case _:
                return await upload(who, form, photo((64, 48)))

    with hasty(system.app, pictures_per_minute=2, documents_per_minute=1, uploads_per_minute=1):
        for kind, most in (("pictures", 2), ("documents", 1), ("uploads", 1)):
            for _ in range(most):
                assert (await asked(system.requester, kind)).is_success
            problem(await asked(system.requester, kind), 429, "too_many_requests")
