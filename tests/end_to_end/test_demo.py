"""What a person sees first: the demonstration data, and `relais demo`."""

import asyncio
import json
import re
import stat
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

from documents.signature import verify_pdf
from domain.requests import Status
from tests.end_to_end.conftest import RELAIS
from tests.end_to_end.running import REQUESTER, RunningRelais


async def run(environment: dict[str, str], *arguments: str) -> tuple[int, str]:
    """Runs `relais` with those arguments; gives its exit code and output."""
    process = await asyncio.create_subprocess_exec(RELAIS, *arguments, env=environment, stdout=PIPE, stderr=STDOUT)
    output, _ = await process.communicate()
    return await process.wait(), output.decode()


async def test_the_demo_plays_to_the_end(relais: RunningRelais, environment: dict[str, str]) -> None:
    code, output = await run(environment, "demo")
    assert code == 0, output
    told = re.search(r"(TC-\d{4}-\d+) is closed", output)
    assert told is not None, output
    folder = relais.data_dir / "demo" / told[1]

    root = (relais.data_dir / "authority" / "root.cert.pem").read_bytes()
    documents = sorted(folder.glob("*.pdf"))
    assert [file.stem.split("-")[-1] for file in documents] == ["preliminary", "final", "addendum"]
    for file in documents:
        verdict = await verify_pdf(file.read_bytes(), [root])
        assert (verdict.problems, verdict.signer_name) == ((), "Dre Isabelle Haddad")

    mails = json.loads((folder / "mails.json").read_text())
    assert len(mails) == len({mail["message_id"] for mail in mails}) == 17
    assert {mail["deliveries"] for mail in mails} == {1}

    timeline = json.loads((folder / "timeline.json").read_text())
    assert [entry["version"] for entry in timeline] == list(range(1, len(timeline) + 1))
    assert (timeline[-1]["name"], timeline[-1]["status"]) == ("acknowledged", Status.CLOSED)


async def test_the_demo_takes_your_own_photos(
    relais: RunningRelais, environment: dict[str, str], tmp_path: Path
) -> None:
    code, output = await run(environment, "demo", "--photos", str(tmp_path))
    assert (code, output.strip()) == (1, f"relais: The folder {tmp_path} has 0 photos and the story needs three.")


async def test_the_demo_needs_a_running_system(tmp_path: Path, environment: dict[str, str]) -> None:
    code, output = await run(environment, "--data-dir", str(tmp_path), "demo")
    assert (code, output.strip()) == (
        1,
        f"relais: Relais does not run in {tmp_path}: start it with `relais up`.",
    )


async def test_the_demonstration_shows_every_status_and_offering(relais: RunningRelais) -> None:
    seen, offerings = set(), set()
    for who in ("operateur", REQUESTER):  # nobody but its requester sees a draft
        worklist = (await relais.cast.send(who, "GET", "/requests", params={"limit": 200})).json()
        seen |= set(worklist["counts"])
        offerings |= {item["offering"] for item in worklist["items"]}
    assert seen == set(Status)
    assert offerings == {"teledermatology", "teleophthalmology", "wound_care"}


async def test_the_demonstration_shows_loads_and_somebody_away(relais: RunningRelais) -> None:
    providers = (await relais.cast.send("repartiteur.fleuve", "GET", "/providers")).json()
    away = [person for person in providers if person["absent"]]
    assert [(person["name"], person["waiting"]) for person in away] == [("Dr Étienne Caron-Dubé", 1)]
    assert any(person["next_absence"] for person in providers)
    assert sum(person["in_progress"] for person in providers) >= 2
    params = {"holder_absent": True}
    stuck = (await relais.cast.send("repartiteur.fleuve", "GET", "/requests", params=params)).json()["items"]
    assert [request["holder"]["person"]["name"] for request in stuck] == ["Dr Étienne Caron-Dubé"]
    clinics = (await relais.cast.send("repartiteur.fleuve", "GET", "/clinics")).json()
    assert {clinic["code"]: clinic["pool_waiting"] > 0 for clinic in clinics} == {"fleuve": True, "capitale": True}


async def test_seeding_again_changes_nothing(relais: RunningRelais, environment: dict[str, str]) -> None:
    accounts, done = relais.data_dir / "demo-accounts.json", relais.data_dir / "demo-requests.json"
    assert stat.S_IMODE(accounts.stat().st_mode) == 0o600
    assert json.loads(accounts.read_text())[0]["username"] == REQUESTER
    before = accounts.read_text(), done.read_text(), await counts(relais)
    done.unlink()  # as after a start that was interrupted at the last moment
    for command in ("seed", "seed-requests"):
        code, output = await run(environment, command)
        assert code == 0, output
    made = json.loads(done.read_text())
    assert (accounts.read_text(), made, await counts(relais)) == (before[0], json.loads(before[1]), before[2])


async def counts(relais: RunningRelais) -> dict[str, int]:
    answer = await relais.cast.send("operateur", "GET", "/requests")
    return dict(answer.json()["counts"])
