"""Who gets what of a photo or video: its sender the very bytes, everybody else clean copies; and how a video becomes one."""

import asyncio
import hashlib
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from PIL import ExifTags
from sqlalchemy import update

import activities.media
from api.server import create_app
from media import videos
from records.feed import Change
from records.models import Attachment
from tests.api.answers import any_problem, problem, stored_files
from tests.api.test_report import lost_engine
from tests.clips import MAKER, POSITION, arrow, clip, encoded, opened, run, telephone_exif, told_of, turned_clip
from tests.eventually import PATIENCE_SECONDS, eventually
from tests.journeys import draft, ok, upload
from tests.media import of_each_set
from tests.system import Clinician, System, photo
from web.observe import CLOSED

SECRETS = (
    MAKER.encode(),
    POSITION[1:8].encode(),
    b"46.81",
    b"Apple",
    b"iPhone",
    b"NIKON",
    b"51.41",
    b"32.09",
    b"<script",
)


async def sent_with(system: System, content: bytes, slot: str, name: str) -> tuple[str, dict[str, Any]]:
    """A request with this file that waits for `provider`: the attachment's path, and how it was answered."""
    request_id = await draft(system)
    view = ok(await upload(system.requester, request_id, content, slot, name), 201)
    ok(await system.requester.post(f"/requests/{request_id}/submit"))
    ok(await system.dispatcher.post(f"/requests/{request_id}/assign", {"provider_id": system.provider.id}))
    return f"/requests/{request_id}/attachments/{view['id']}", view


async def view_of(who: Clinician, path: str) -> dict[str, Any]:
    folder, _, attachment_id = path.rpartition("/")
    there = (await who.get(folder)).json()
    return dict(next(a for a in there if a["id"] == attachment_id))


async def ready(who: Clinician, path: str) -> dict[str, Any]:
    """The attachment, when its video has been prepared."""

    async def is_over() -> bool:
        return bool((await view_of(who, path))["state"] != "preparing")

    await eventually(is_over)
    return await view_of(who, path)


def is_clean(content: bytes) -> bool:
    return not [secret for secret in SECRETS if secret in content]


async def looks(system: System, path: str) -> list[tuple[str, str]]:
    """Who looked at this attachment, and what was written down of it, oldest first."""
    request_id, attachment_id = path.split("/")[2], path.split("/")[4]
    entries = (await system.requester.get(f"/requests/{request_id}/accesses")).json()
    return [(e["by"]["id"], e["what"]) for e in reversed(entries) if e["object_id"] == attachment_id]


# Photos


async def test_a_photo_is_clean_for_everybody_but_its_sender(system: System) -> None:
    original = encoded(arrow(), exif=telephone_exif()) + b"<script>alert(1)</script>"
    path, view = await sent_with(system, original, "photos", "Genou gauche.jpeg")
    assert (view["captured_at"], view["state"], view["warnings"]) == ("2026-11-20T13:15:30Z", "ready", [])
    assert (await view_of(system.provider, path))["sha256"] == hashlib.sha256(original).hexdigest()

    mine = await system.requester.get(path)
    assert (mine.content, mine.headers["content-type"]) == (original, "image/jpeg")
    for who in (system.provider, system.dispatcher):
        answer = await who.get(path)
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.headers["content-disposition"] == 'attachment; filename="Genou gauche.jpg"'
        assert answer.headers["cache-control"] == "private, no-store"
        assert is_clean(answer.content)
        assert opened(answer.content).size == (900, 700)
        assert set(opened(answer.content).getexif()) == {ExifTags.IFD.Exif}
    problem(await system.far_provider.get(path), 404, "not_found")


async def test_the_copies_of_a_photo(system: System) -> None:
    path, _ = await sent_with(system, encoded(arrow((1_500, 1_000)), "HEIF", exif=telephone_exif()), "photos", "a.heic")
    sizes = {"full": (1_500, 1_000), "preview": (1_200, 800), "thumbnail": (320, 213)}
    for name, size in sizes.items():
        answer = await system.provider.get(f"{path}/{name}")
        assert (answer.status_code, opened(answer.content).size) == (200, size)
        assert is_clean(answer.content)
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"].startswith(
            "default-src 'none'; style-src 'unsafe-inline'; sandbox; "
        )
        assert answer.headers["content-security-policy"].endswith(CLOSED)
        assert answer.headers["cache-control"] == "private, max-age=3600, immutable"
        assert answer.headers["vary"] == "Authorization, Cookie"
        assert "content-disposition" not in answer.headers
        problem(await system.far_provider.get(f"{path}/{name}"), 404, "not_found")
        problem(await system.provider2.get(f"{path}/{name}"), 404, "not_found")
    problem(await system.provider.get(f"{path}/video"), 404, "not_found")
    assert await looks(system, path) == [(system.provider.id, "attachment"), (system.provider.id, "preview")]


async def test_a_photo_from_before_there_were_copies(system: System) -> None:
    path, view = await sent_with(system, encoded(arrow((1_500, 1_000))), "photos", "a.jpg")
    async with system.services.database.session() as session:
        old = update(Attachment).where(Attachment.id == UUID(view["id"]))
        await session.execute(old.values(thumbnail_key=None, full_key=None))
    for what in ("", "/full", "/preview", "/thumbnail"):
        assert opened((await system.provider.get(path + what)).content).size == (1_200, 800)


async def test_warnings_advise_and_stop_nobody(system: System) -> None:
    path, view = await sent_with(system, photo((320, 240)), "photos", "a.jpg")
    assert view["warnings"] == ["too_small", "blurred"]
    assert (await view_of(system.provider, path))["warnings"] == ["too_small", "blurred"]
    eye = ok(await system.requester.post("/requests", {"offering": "teleophthalmology"}), 201)["id"]
    fundus = ok(await upload(system.requester, eye, encoded(arrow((500, 450)))), 201)
    assert fundus["warnings"] == []


# Videos


async def test_a_video_is_clean_for_everybody_but_its_sender(system: System, tmp_path: Path) -> None:
    original = await clip("film.mp4", folder=tmp_path, seconds=2)
    assert MAKER in await told_of(original, tmp_path)
    assert POSITION in await told_of(original, tmp_path)
    path, view = await sent_with(system, original, "videos", "Démarche.MP4")
    assert (view["kind"], view["width"], view["height"], view["warnings"]) == ("video", 320, 180, [])
    assert view["captured_at"] == "2026-11-20T13:15:30Z"
    done = await ready(system.provider, path)
    assert (done["state"], done["duration_seconds"]) == ("ready", pytest.approx(2, abs=0.2))

    assert (await system.requester.get(path)).content == original
    download = await system.provider.get(path)
    assert download.headers["content-type"] == "video/mp4"
    named = "attachment; filename=\"Demarche.mp4\"; filename*=UTF-8''D%C3%A9marche.mp4"
    assert download.headers["content-disposition"] == named
    played = await system.provider.get(f"{path}/video")
    assert played.content == download.content
    assert (played.headers["content-type"], played.headers["accept-ranges"]) == ("video/mp4", "bytes")
    assert played.headers["cache-control"] == "private, max-age=3600, immutable"
    assert is_clean(played.content)
    assert played.content.index(b"moov") < played.content.index(b"mdat")
    told = await told_of(played.content, tmp_path)
    assert "Video: h264 (High)" in told
    assert "yuv420p" in told
    assert "Audio: aac" in told
    assert "2026-11-20T13:15:30" in told
    assert not [word for word in ("location", "title", "comment", MAKER) if word in told]
    for what in ("", "/video", "/preview", "/thumbnail"):
        problem(await system.far_provider.get(path + what), 404, "not_found")
    problem(await system.provider.get(f"{path}/full"), 404, "not_found")


async def test_seeking_in_a_video_is_one_look(system: System, tmp_path: Path) -> None:
    path, _ = await sent_with(system, await clip("film.mp4", folder=tmp_path), "videos", "film.mp4")
    await ready(system.provider, path)
    whole = (await system.provider2.get(f"{path}/video")).status_code, await system.requester.get(f"{path}/video")
    content = whole[1].content
    assert whole[0] == 404
    for wanted, expected in {
        "bytes=0-": content,
        "bytes=100-199": content[100:200],
        f"bytes={len(content) - 5}-": content[-5:],
        "bytes=-7": content[-7:],
    }.items():
        answer = await system.provider.get(f"{path}/video", headers={"Range": wanted})
        assert (answer.status_code, answer.content) == (200 if wanted == "bytes=0-" else 206, expected)
    answer = await system.provider.get(f"{path}/video", headers={"Range": f"bytes={len(content)}-"})
    problem(answer, 416, "range_not_satisfiable")
    await system.provider.get(f"{path}/thumbnail")
    assert await looks(system, path) == [(system.requester.id, "attachment"), (system.provider.id, "attachment")]


async def test_a_thumbnail_in_a_list_is_a_look_of_its_own(system: System) -> None:
    """Who has the request open has looked at it; who sees the photo in their worklist alone is written down for that, once."""
    path, _ = await sent_with(system, encoded(arrow()), "photos", "Genou.jpg")
    for _ in range(2):
        assert (await system.dispatcher.get(f"{path}/thumbnail")).status_code == 200
    assert await looks(system, path) == [(system.dispatcher.id, "preview")]
    await system.provider.view(path.split("/")[2])
    assert (await system.provider.get(f"{path}/thumbnail")).status_code == 200
    assert await looks(system, path) == [(system.dispatcher.id, "preview")]


async def test_a_video_that_lies_on_its_side(system: System, tmp_path: Path) -> None:
    path, view = await sent_with(system, await turned_clip(tmp_path), "videos", "film.mp4")
    assert (view["width"], view["height"]) == (180, 320)
    assert opened((await system.provider.get(f"{path}/preview")).content).size == (180, 320)
    assert (await ready(system.provider, path))["state"] == "ready"
    told = await told_of((await system.provider.get(f"{path}/video")).content, tmp_path)
    assert "180x320" in told
    assert "rotation" not in told


WIDE_RANGE = (
    *("-c:v", "libx265", "-pix_fmt", "yuv420p10le", "-tag:v", "hvc1"),
    *("-x265-params", "log-level=error:colorprim=bt2020:transfer=arib-std-b67:colormatrix=bt2020nc"),
)
"""As newer telephones film: HEVC, 10 bits, HLG."""


@pytest.mark.parametrize(
    ("name", "media_type", "options"),
    [
        ("film.mov", "video/quicktime", ()),
        ("film.m4v", "video/mp4", ("-f", "ipod")),
        ("film.webm", "video/webm", ()),
        ("silent.mp4", "video/mp4", ("-an",)),
        (
            "large.mp4",
            "video/mp4",
            ("-vf", "scale=2560:1440:flags=neighbor", "-pix_fmt", "yuv444p", "-preset", "ultrafast"),
        ),
        ("wide.mov", "video/quicktime", WIDE_RANGE),
        ("odd.webm", "video/webm", ("-vf", "scale=321:181")),
    ],
)
async def test_videos_of_every_kind(
    system: System, tmp_path: Path, name: str, media_type: str, options: tuple[str, ...]
) -> None:
    path, view = await sent_with(system, await clip(name, *options, folder=tmp_path), "videos", name)
    assert view["media_type"] == media_type
    assert (await ready(system.provider, path))["state"] == "ready"
    played = (await system.provider.get(f"{path}/video")).content
    told = await told_of(played, tmp_path)
    assert is_clean(played)
    assert "Video: h264 (High)" in told
    assert ("1920x1080" if name == "large.mp4" else "320x180") in told
    assert "arib-std-b67" not in told
    assert ("Audio: aac" in told) is (name != "silent.mp4")


@of_each_set
@pytest.mark.parametrize(("name", "size"), [("with-gps.mp4", (1_920, 1_080)), ("with-gps.mov", (320, 568))])
async def test_videos_of_phones(system: System, tmp_path: Path, media: Path, name: str, size: tuple[int, int]) -> None:
    original = (media / name).read_bytes()
    path, view = await sent_with(system, original, "videos", name)
    assert (view["width"], view["height"]) == size
    assert (await ready(system.provider, path))["state"] == "ready"
    played = (await system.provider.get(path)).content
    assert is_clean(played)
    told = await told_of(played, tmp_path)
    assert f"{size[0]}x{size[1]}" in told
    assert not [word for word in ("location", "apple", "android", "make", "model", "Data:") if word in told]
    assert (await system.requester.get(path)).content == original


async def test_pages_hear_that_a_video_is_ready(system: System, tmp_path: Path) -> None:
    request_id = await draft(system)
    with system.services.feed.subscribe() as told:
        ok(await upload(system.requester, request_id, await clip("film.mp4", folder=tmp_path), "videos"), 201)
        async with asyncio.timeout(PATIENCE_SECONDS):
            async for changes in told:
                if any(isinstance(change, Change) and str(change.request_id) == request_id for change in changes):
                    break
    there = (await system.requester.get(f"/requests/{request_id}/attachments")).json()
    assert [a["state"] for a in there if a["kind"] == "video"] == ["ready"]


async def test_what_is_no_video(system: System, tmp_path: Path) -> None:
    """Nothing of it is stored. A list of other files leads nowhere, in whatever clothes."""
    request_id = await draft(system)
    before = stored_files(system, request_id)
    elsewhere = tmp_path / "elsewhere.mp4"
    elsewhere.write_bytes(whole := await clip("film.mp4", folder=tmp_path))
    playlist = f"#EXTM3U\n#EXTINF:1,\nfile://{elsewhere}\n#EXT-X-ENDLIST\n".encode()
    joined = f"ffconcat version 1.0\nfile '{elsewhere}'\n".encode()
    mp4 = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom"
    for content in (b"Bonjour, ceci n'est pas un film.", playlist, joined):
        problem(await upload(system.requester, request_id, content, "videos", "a.mp4"), 415, "unsupported_media")
    sound = tmp_path / "sound.mp4"
    await make_sound(sound)
    for content in (
        *(mp4 + playlist, mp4 + joined, mp4, mp4 + bytes(5_000), b"\x1aE\xdf\xa3" + b"\x42\x82\x84webm" + playlist),
        *(whole[:600], whole[: len(whole) // 2], sound.read_bytes()),
    ):
        refused = await upload(system.requester, request_id, content, "videos", "a.mp4")
        assert any_problem(refused)["code"] in ("damaged_media", "truncated_media")
    assert stored_files(system, request_id) == before


async def make_sound(path: Path) -> None:
    await run("-f", "lavfi", "-i", "sine=duration=1", "-c:a", "aac", "-brand", "mp42", str(path))


async def test_a_video_outlives_an_engine_that_is_away(system: System, tmp_path: Path) -> None:
    """It is taken, and prepared as soon as somebody asks for it."""
    away = await lost_engine(system)
    hasty = system.settings.model_copy(update={"command_timeout_seconds": 0.5})
    app = create_app(hasty, replace(system.of_api, settings=hasty, engine=away))
    request_id = await draft(system)
    headers = {"Authorization": system.requester.http.headers["Authorization"]}
    content = await clip("film.mp4", folder=tmp_path)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://relais.test", headers=headers
    ) as http:
        answer = await http.post(
            f"/api/v1/requests/{request_id}/attachments", files={"file": ("film.mp4", content)}, data={"slot": "videos"}
        )
        view = ok(answer, 201)
        path = f"/requests/{request_id}/attachments/{view['id']}"
        assert view["state"] == "preparing"
        waiting = await http.get(f"/api/v1{path}/video")
        assert problem(waiting, 409, "video_preparing")
        assert int(waiting.headers["retry-after"]) > 0
    assert (await view_of(system.requester, path))["state"] == "preparing"
    problem(await system.requester.get(f"{path}/video"), 409, "video_preparing")
    assert (await ready(system.requester, path))["state"] == "ready"
    assert (await system.requester.get(f"{path}/video")).status_code == 200


async def test_a_video_that_can_not_be_made_playable(
    system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its poster is seen all the same, and an operator may have it tried again."""
    monkeypatch.setattr(videos, "MAKING_SECONDS", 0)
    monkeypatch.setattr(activities.media, "TRIES", 1)
    content = await clip("film.mp4", folder=tmp_path)
    path, _ = await sent_with(system, content, "videos", "film.mp4")
    done = await ready(system.provider, path)
    assert (done["state"], done["duration_seconds"], done["has_preview"]) == ("failed", None, True)
    for what in ("", "/video"):
        problem(await system.provider.get(path + what), 409, "video_not_playable")
    assert (await system.provider.get(f"{path}/preview")).status_code == 200
    assert (await system.requester.get(path)).content == content

    monkeypatch.undo()
    request_id, attachment_id = path.split("/")[2], path.split("/")[4]
    await system.services.engine.execute_workflow(
        "PrepareVideo",
        {"request_id": request_id, "attachment_id": attachment_id},
        id=f"video-{attachment_id}",
        task_queue=system.settings.media_task_queue,
    )
    assert (await view_of(system.provider, path))["state"] == "ready"
    assert (await system.provider.get(f"{path}/video")).status_code == 200


async def test_a_removed_video_leaves_nothing(system: System, tmp_path: Path) -> None:
    request_id = await draft(system)
    before = stored_files(system, request_id)
    view = ok(await upload(system.requester, request_id, await clip("film.mp4", folder=tmp_path), "videos"), 201)
    path = f"/requests/{request_id}/attachments/{view['id']}"
    await ready(system.requester, path)
    assert (await system.requester.http.delete(f"/api/v1{path}")).status_code == 204
    assert stored_files(system, request_id) == before


async def test_a_machine_without_ffmpeg(system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so, and takes photos all the same."""
    content = await clip("film.mp4", folder=tmp_path)
    request_id = await draft(system)
    with monkeypatch.context() as without:
        without.setenv("PATH", str(tmp_path))
        without.setitem(sys.modules, "imageio_ffmpeg", None)
        videos.ffmpeg.cache_clear()
        answer = await upload(system.requester, request_id, content, "videos")
        assert (answer.status_code, answer.json()["code"]) == (503, "videos_not_possible")
        ok(await upload(system.requester, request_id, photo()), 201)
    videos.ffmpeg.cache_clear()
    ok(await upload(system.requester, request_id, content, "videos"), 201)
