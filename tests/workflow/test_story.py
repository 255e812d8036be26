"""The whole story on the real engine, from a draft to the acknowledgement."""

from tests.journeys import accepted, ok, signed, written
from tests.system import System


async def test_from_draft_to_acknowledgement(system: System) -> None:
    request_id = await accepted(system)
    await written(system, request_id)
    preliminary = await signed(system, request_id, "preliminary")
    assert preliminary["status"] == "accepted"
    final = await signed(system, request_id, "final")
    assert final["status"] == "reported"
    pdf = await system.requester.get(f"/requests/{request_id}/reports/{final['document']['report_id']}.pdf")
    assert pdf.content.startswith(b"%PDF")
    closed = ok(await system.requester.post(f"/requests/{request_id}/acknowledge"))
    assert closed["status"] == "closed"
    view = await system.provider.view(request_id)
    assert view["status"] == "closed"
