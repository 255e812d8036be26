"""A specialist's past cases: those whose final report they signed, with what the requester said of the answer."""

from uuid import uuid4

from tests.api.answers import problem
from tests.journeys import ok, reported
from tests.system import System


async def test_ones_own_with_their_outcome_newest_first(system: System) -> None:
    before = ok(await system.provider.get("/me/past-cases?limit=1"))["items"]
    first, second = await reported(system), await reported(system)
    outcome = {"advice_followed": "partly", "visit_avoided": True, "comment": "La patiente va mieux."}
    ok(await system.requester.post(f"/requests/{first}/acknowledge", {"outcome": outcome}))

    page = ok(await system.provider.get("/me/past-cases?limit=1"))
    (newest,) = page["items"]
    assert (newest["request"]["id"], newest["outcome"], newest["acknowledged_at"]) == (second, None, None)
    assert newest["request"]["patient"]["family_name"] == "Tremblay"
    page = ok(await system.provider.get(f"/me/past-cases?limit=1&cursor={page['next_cursor']}"))
    (older,) = page["items"]
    assert (older["request"]["id"], older["outcome"]) == (first, outcome)
    assert older["request"]["status"] == "closed"
    rest = ok(await system.provider.get(f"/me/past-cases?limit=1&cursor={older['report_id']}"))["items"]
    assert [case["request"]["id"] for case in rest] == [case["request"]["id"] for case in before]

    others = ok(await system.provider2.get("/me/past-cases?limit=200"))["items"]
    assert not {first, second} & {case["request"]["id"] for case in others}
    for name in ("requester", "dispatcher", "administrator", "operator"):
        problem(await system.people[name].get("/me/past-cases"), 403, "forbidden")
    problem(await system.provider2.get(f"/me/past-cases?cursor={older['report_id']}"), 422, "invalid_input")
    problem(await system.provider.get(f"/me/past-cases?cursor={uuid4()}"), 422, "invalid_input")
