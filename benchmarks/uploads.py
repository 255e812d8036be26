"""What it costs to decode photos in processes of their own: python -m benchmarks.uploads [FILE …]

Without files, photos of 12 megapixels are made. For each, the time in this process is compared with the time in a
process of its own, one after another and as many at once as there are places; the ratio is what the process costs.
"""

import asyncio
import io
import sys
from pathlib import Path
from time import perf_counter

import filetype
from PIL import Image

from domain.calendar import TIME_ZONE
from media import photos
from media.examine import examine
from use_cases.places import PLACES

ROUNDS = 6


def made(kind: str, size: tuple[int, int] = (4_000, 3_000)) -> bytes:
    """A photo with as much detail as a real one has."""
    noise = Image.effect_noise((size[0] // 4, size[1] // 4), 60).resize(size, Image.Resampling.BICUBIC)
    content = io.BytesIO()
    Image.merge("RGB", (noise, noise.transpose(Image.Transpose.ROTATE_180), noise)).save(content, kind, quality=85)
    return content.getvalue()


def in_this_process(content: bytes) -> float:
    """Seconds for one photo."""
    media_type = filetype.guess(content).mime
    began = perf_counter()
    for _ in range(ROUNDS):
        photos.render(io.BytesIO(content), media_type, TIME_ZONE)
    return (perf_counter() - began) / ROUNDS


async def in_processes(content: bytes, at_once: int) -> float:
    """Seconds for one photo, `at_once` at a time."""
    places = asyncio.Semaphore(at_once)

    async def one() -> None:
        async with places:
            await examine(io.BytesIO(content))

    await one()  # starts the fork server
    began = perf_counter()
    await asyncio.gather(*(one() for _ in range(ROUNDS)))
    return (perf_counter() - began) / ROUNDS


async def main() -> None:
    """Measure and print."""
    named = {Path(path).name: await asyncio.to_thread(Path(path).read_bytes) for path in sys.argv[1:]}
    named = named or {"12 MP JPEG": made("JPEG"), "12 MP HEIC": made("HEIF"), "64 × 48 JPEG": made("JPEG", (64, 48))}
    print(f"{'photo':24}{'bytes':>10}{'here':>9}{'apart':>9}{'ratio':>7}{f'{PLACES} at once':>12}")
    for name, content in named.items():
        here = await asyncio.to_thread(in_this_process, content)
        apart, together = await in_processes(content, 1), await in_processes(content, PLACES)
        print(f"{name:24}{len(content):10,}{here:8.3f}s{apart:8.3f}s{apart / here:7.2f}{together:11.3f}s")


if __name__ == "__main__":
    asyncio.run(main())
