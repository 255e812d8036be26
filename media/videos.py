"""Clean copies of a video, made by ffmpeg: a poster (its first frame) and an MP4 that every browser plays.

Picture and sound are always decoded and encoded anew: position and device hide in atoms, in data streams and in the encoded
picture itself. A stranger's file is read by a process of its own, with little time and memory, that reads nothing but this
file: the container is told to ffmpeg and not guessed, so a playlist in a video's clothes leads nowhere.
"""

import asyncio
import os
import re
import shutil
import signal
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from functools import cache
from pathlib import Path

from media.kinds import (
    MP4,
    DamagedMediaError,
    MediaError,
    NoFfmpegError,
    SlowMediaError,
    TooManyPixelsError,
    plausible,
)

PLAYABLE_EDGE = 1_920
"""Longest edge of a playable video, in pixels."""

LOOK_SECONDS = 30
"""Time to decode the first frame."""
MAKING_SECONDS = 3_600
"""Time to make a playable copy: some twenty minutes of full HD on two slow cores."""

_LOOK_MEMORY_KIB = 2 * 1024**2
_MAKING_MEMORY_KIB = 4 * 1024**2
_FILE_BLOCKS = 4 * 1024**2
_MAX_PIXELS = 50_000_000
_THREADS = "2"
_TOLD_BYTES = 64 * 1024

_LIMITS = 'ulimit -c 0; ulimit -f "$1"; ulimit -t "$2"; ulimit -v "$3" 2>/dev/null; shift 3; exec "$@"'
"""Blocks of 512 bytes in a file, seconds of CPU, KiB of memory (which macOS can't limit); then the command."""

_NO_METADATA = ("-map_metadata", "-1", "-map_chapters", "-1", "-sn", "-dn")
_NO_VERSIONS = ("-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact")

_SCALE = f"min(1,{PLAYABLE_EDGE}/max(iw*sar,ih))"
_FIT = f"scale='max(16,trunc(iw*sar*{_SCALE}/2)*2)':'max(16,trunc(ih*{_SCALE}/2)*2)',setsar=1"
"""Square pixels and even sizes, as H.264 in browsers wants them. ffmpeg has turned the picture upright before."""
_TO_STANDARD_RANGE = (
    "zscale=t=linear:npl=203,format=gbrpf32le,zscale=p=bt709,tonemap=hable:desat=0,zscale=t=bt709:m=bt709:r=tv"
)
"""From the wide range of light of newer telephones to that of every screen; left as it is, skin would look grey."""

# What ffmpeg tells of a file, before it says what it makes of it. What the file itself says stands further to the right.
_TOO_LARGE = re.compile(r"Picture size (\d+)x(\d+) (?:is invalid|exceeds)")
_DURATION = re.compile(r"^  Duration: (\d+):(\d\d):(\d\d\.\d+)", re.MULTILINE)
_WIDE_RANGE = re.compile(r"^  Stream #0:\d+.*: Video: .*\b(arib-std-b67|smpte2084)\b", re.MULTILINE)
_CREATION = tuple(
    re.compile(rf"^    {name} *: (\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?(Z|[+-]\d{{4}})\s*$", re.MULTILINE)
    for name in (r"com\.apple\.quicktime\.creationdate", "creation_time")
)


class VideoFaultError(Exception):
    """ffmpeg could not do what was asked: it gave up on the file, ran out of time or memory, or was ended.

    `told` is what it said of that.
    """

    def __init__(self, reason: str, told: str = "", *, out_of_time: bool = False) -> None:
        super().__init__(reason)
        self.told = told
        self.out_of_time = out_of_time


@cache
def ffmpeg() -> str:
    """The program: the system's own, else the one of the package imageio-ffmpeg. Raises NoFfmpegError."""
    if found := shutil.which("ffmpeg"):
        return found
    try:
        import imageio_ffmpeg  # comes with the one-command mode only

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        raise NoFfmpegError from None


async def take_frame(source: Path, media_type: str, frame: Path) -> datetime | None:
    """Write the first frame of an uploaded video to `frame` as a BMP, as proof that it is one; when it was made, if it says so.

    Raises MediaError: TooManyPixelsError, SlowMediaError, DamagedMediaError or NoFfmpegError.
    """
    try:
        told = await _tell(source, media_type)
        filters = ("-vf", _TO_STANDARD_RANGE) if _WIDE_RANGE.search(told) else ()
        taking = [*_reading(source, media_type), "-map", "0:V:0", *_NO_METADATA, "-frames:v", "1", *filters]
        await _run([*taking, "-c:v", "bmp", "-f", "image2", str(frame)], LOOK_SECONDS)
    except VideoFaultError as error:
        raise _reason(error) from error
    if not await asyncio.to_thread(frame.exists):  # ffmpeg was content, and yet there is no picture
        raise DamagedMediaError
    return _created(told)


def _reason(error: VideoFaultError) -> MediaError:
    """Why ffmpeg gave up on a file."""
    if error.out_of_time:
        return SlowMediaError()
    if size := _TOO_LARGE.search(error.told):
        return TooManyPixelsError(int(size[1]), int(size[2]), _MAX_PIXELS)
    return DamagedMediaError()


async def make_playable(source: Path, media_type: str, target: Path) -> float:
    """Write the video at `source` anew to `target`, and return its length in seconds.

    It becomes MP4 with H.264 and AAC, upright, at most `PLAYABLE_EDGE` pixels long, begins to play before it is loaded, and tells
    when it was made and nothing else. Raises VideoFaultError or NoFfmpegError.
    """
    told = await _tell(source, media_type)
    created = _created(told)
    await _run(
        [
            *_reading(source, media_type),
            *("-map", "0:V:0", "-map", "0:a:0?", *_NO_METADATA, *_NO_VERSIONS),
            *(("-metadata", f"creation_time={created.isoformat()}") if created else ()),
            *("-vf", f"{_FIT},{_TO_STANDARD_RANGE}" if _WIDE_RANGE.search(told) else _FIT),
            *("-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-profile:v", "high", "-pix_fmt", "yuv420p"),
            *("-threads", _THREADS, "-c:a", "aac", "-b:a", "128k", "-ac", "2"),
            *("-movflags", "+faststart", "-f", "mp4", str(target)),
        ],
        MAKING_SECONDS,
        _MAKING_MEMORY_KIB,
    )
    length = _DURATION.search(await _tell(target, MP4))
    if length is None:
        raise VideoFaultError("the copy has no length")
    hours, minutes, seconds = length.groups()
    return int(hours) * 3_600 + int(minutes) * 60 + float(seconds)


def _reading(source: Path, media_type: str) -> tuple[str, ...]:
    """ffmpeg, and how it must read `source`."""
    demuxer = "matroska" if media_type == "video/webm" else "mov"
    return (
        *(ffmpeg(), "-hide_banner", "-nostdin", "-nostats", "-y"),
        *("-threads", _THREADS, "-max_pixels", str(_MAX_PIXELS)),
        *("-protocol_whitelist", "file", "-f", demuxer, "-i", f"file:{source}"),
    )


async def _tell(source: Path, media_type: str) -> str:
    """What ffmpeg tells of the file, without decoding it."""
    command = [*_reading(source, media_type), "-map", "0:V:0", "-c", "copy", "-frames:v", "1", "-f", "null", "-"]
    return (await _run(command, LOOK_SECONDS)).partition("\nOutput #0")[0]


async def _run(command: Sequence[str], seconds: int, memory_kib: int = _LOOK_MEMORY_KIB) -> str:
    """Run ffmpeg within limits; what it said (the first part of it). Raises VideoFaultError."""
    process = await asyncio.create_subprocess_exec(
        *("/bin/sh", "-c", _LIMITS, "sh", str(_FILE_BLOCKS), str(2 * seconds), str(memory_kib), *command),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.defpath, "LC_ALL": "C"},  # nothing of ours, secrets least of all
    )
    try:
        async with asyncio.timeout(seconds):
            told = await _first_part(process.stderr)
            code = await process.wait()
    except TimeoutError:
        raise VideoFaultError("out of time", out_of_time=True) from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if code:
        raise VideoFaultError(f"exit code {code}", told, out_of_time=code == -signal.SIGXCPU)
    return told


async def _first_part(stream: asyncio.StreamReader | None) -> str:
    """What comes out of a stream that is read to its end."""
    kept = b""
    while stream is not None and (chunk := await stream.read(_TOLD_BYTES)):
        kept += chunk[: _TOLD_BYTES - len(kept)]
    return kept.decode(errors="replace")


def _created(told: str) -> datetime | None:
    for pattern in _CREATION:
        if found := pattern.search(told):
            with suppress(ValueError):
                return plausible(datetime.fromisoformat("".join(found.groups())))
    return None
