"""Calls with made-up bodies, signed as Relais signs; and what libraries of others find.

``python -m tests.webhooks.bodies 10000`` has that many looked at by three libraries, and says what they found.
"""

import asyncio
import json
import random
import sys
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from domain.webhooks import secret_text, signature
from tests.npm import install

FOLDER = Path(__file__).with_name("receivers")
OTHERS = ("standardwebhooks", "svix")
"""The libraries for node, from the locked files in `FOLDER`."""

_TEXTS = ("", "é", "\U0001f600 中文 العربية", "\x00\x7f\u2028", '\\"{}[]', "x" * 18_000)


@dataclass(frozen=True)
class Signed:
    """A call: the receiver's secret, the headers and the body. `is_right` says whether it is as it was signed."""

    secret: str
    headers: dict[str, str]
    body: bytes
    is_right: bool


def made_up(count: int, seed: int = 11) -> Iterator[Signed]:
    """Bodies with all of Unicode, empty data, and up to 20 kB; by the newer or the older secret of a rotation. One in four was
    changed on its way.
    """
    chance = random.Random(seed)  # noqa: S311
    for number in range(count):
        text = chance.choice(_TEXTS) + "".join(chr(chance.choice((chance.randrange(1, 0xD800), 233))) for _ in range(9))
        data = {} if number % 7 == 0 else {text[:20]: text, "n": chance.getrandbits(60), "list": [None, True, 1.5]}
        body = json.dumps({"type": "webhook.test", "data": data}, ensure_ascii=number % 2 == 0).encode()
        secrets = [chance.randbytes(chance.randint(24, 64)) for _ in range(chance.randint(1, 2))]
        id_, at = f"msg_{chance.getrandbits(64):x}", int(datetime.now(UTC).timestamp())
        headers = {
            "webhook-id": id_,
            "webhook-timestamp": str(at),
            "webhook-signature": signature(secrets, id_, at, body),
        }
        is_right, kept = True, chance.choice(secrets)
        if number % 4 == 3:
            is_right = False
            match number // 4 % 4:
                case 0:
                    body += b" "
                case 1:
                    headers["webhook-id"] += "x"
                case 2:
                    headers["webhook-timestamp"] = str(at - 1)
                case _:
                    kept = bytes(32)
        yield Signed(secret_text(kept), headers, body, is_right)


def found_in_python(call: Signed) -> bool:
    """What the library of Standard Webhooks for Python says."""
    try:
        Webhook(call.secret).verify(call.body, call.headers)
    except WebhookVerificationError:
        return False
    return True


async def found_in_node(calls: list[Signed]) -> list[dict[str, bool]]:
    """What each of `OTHERS` says of each call. Skips where node is missing."""
    await asyncio.to_thread(install, FOLDER)
    process = await asyncio.create_subprocess_exec(
        *("node", "verify.mjs"), cwd=FOLDER, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    said = "".join(
        json.dumps({"secret": call.secret, "headers": call.headers, "body": b64encode(call.body).decode()}) + "\n"
        for call in calls
    )
    out, _ = await process.communicate(said.encode())
    return [{name: found == "ok" for name, found in json.loads(line).items()} for line in out.splitlines()]


async def main(count: int) -> None:
    """Print how often each library was of our opinion."""
    calls = list(made_up(count))
    wrong = Counter({"python standardwebhooks": sum(found_in_python(call) != call.is_right for call in calls)})
    for call, found in zip(calls, await found_in_node(calls), strict=True):
        wrong.update({f"npm {name}": found[name] != call.is_right for name in OTHERS})
    right = sum(call.is_right for call in calls)
    sys.stdout.write(f"{count} bodies, {right} as they were signed, {count - right} changed; found otherwise:\n")
    for name, number in sorted(wrong.items()):
        sys.stdout.write(f"  {name}: {number}\n")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000))
