"""An upload for which there is no room is told so, /readyz says that the disk is full, and nothing is half done."""

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from api.server import create_app
from records.store import DocumentStore
from tests.api.answers import metrics_of
from tests.journeys import draft
from tests.system import System, photo


@pytest.fixture
def full_store(tmp_path: Path) -> Iterator[DocumentStore]:
    """A store in a file system of 64 KiB, which is full."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounting = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(folder)], capture_output=True, check=False
    )
    if mounting.returncode != 0:
        pytest.skip("only root may mount a small file system")
    store = DocumentStore(folder.as_uri())
    with (folder / "filler").open("wb", buffering=0) as filler, suppress(OSError):
        while filler.write(bytes(4096)):
            pass
    yield store
    subprocess.run(["umount", str(folder)], check=True)


async def test_no_room_for_a_photo(system: System, full_store: DocumentStore) -> None:
    request_id = await draft(system)
    before = await system.requester.view(request_id)
    app = create_app(system.settings, replace(system.of_api, store=full_store))
    headers = {"Authorization": system.requester.http.headers["Authorization"]}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://relais.test", headers=headers
    ) as http:
        answer = await http.post(
            f"/api/v1/requests/{request_id}/attachments",
            files={"file": ("photo.jpg", photo((1200, 900), "#123456"), "image/jpeg")},
            data={"slot": ""},
        )
        ready = await http.get("/readyz")
    metrics = await metrics_of(replace(system.services, store=full_store))
    assert (answer.status_code, answer.json()["code"]) == (507, "storage_full")
    assert "place" in answer.json()["detail"]
    assert answer.headers["retry-after"]
    assert (ready.status_code, ready.json()["parts"]["disk"]) == (503, False)
    assert "0 MiB left for documents" in ready.json()["reasons"]["disk"]
    assert 'relais_disk_free_bytes{place="documents"} 0.0' in metrics
    assert 'relais_passing_problems_total{code="storage_full"}' in metrics
    assert (await system.requester.view(request_id))["attachments"] == before["attachments"]
    assert full_store.folder is not None
    assert [path.name for path in full_store.folder.rglob("*") if path.is_file()] == ["filler"]
