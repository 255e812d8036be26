"""What the engine has lost is taken up again from the records: workflows that were terminated, that failed, that are gone.

Their deadlines are called again, those that ended meanwhile at once. It is safe at any time and beside anything: each workflow is
begun under the lock, and by the state, by which commands begin one, and a workflow that runs is never touched.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog
from temporalio.client import Client

from activities.contract import RepairReport
from engine.running import count_stuck, list_stuck, running_ids
from records import account_letters, commands, requests, upkeep
from records.models import GivenCommand
from use_cases import gate, giving
from use_cases.account_letters import start as start_letter
from use_cases.each import all_of_them
from use_cases.gate import Starting
from use_cases.lost_messages import tell_of_lost_messages
from use_cases.service_accounts import tell_of_ends
from use_cases.shut_holders import take_away_all
from use_cases.single_notice import send_by_itself
from use_cases.unasked import ask_for_what_was_left
from workflows.contract import (
    ACCOUNT_LETTER,
    SINGLE_NOTICE,
    TELECONSULTATION,
    letter_workflow_id,
    notice_workflow_id,
    workflow_id,
)

PAGE = 500

MAY_STILL_COME = timedelta(hours=1)
"""How long an e-mail that is due, and the last document of a request that is over, are left to whoever works on them."""

LETTERS_AT_ONCE = 500

ACCOUNT_LETTERS_WAIT = timedelta(minutes=2)
"""After this long an e-mail about an account has a workflow, where the engine was there."""

OVERDUE_AFTER = timedelta(minutes=1)
"""After this long the end of a command is known where a worker answers; one whose end is not is given again."""

COMMANDS_AT_ONCE = 200

LOOKS_BACK = timedelta(days=30)

log = structlog.get_logger(__name__)


async def repair(services: Starting, *, dry_run: bool = False) -> RepairReport:
    """Look at every request that should have a workflow, and begin those that are missing, one after the other.

    Commands whose end is not known come first: a workflow that begins anew calls a deadline that ended meanwhile at once, and
    what was acknowledged before must not come too late for it.

    With `dry_run` nothing is begun, and those that would be are told. Raises RPCError or what the database raises when either is
    away: what was begun until then stays.
    """
    running = {found async for found in running_ids(services.engine, TELECONSULTATION)}
    given = await _give_again(services, dry_run)
    begun = [
        request_id
        async for request_id in _unfinished(services)
        if workflow_id(request_id) not in running and await _take_up(services, request_id, dry_run)
    ]
    for request_id in begun:
        log.warning("a request had no workflow", request_id=str(request_id), status="found" if dry_run else "taken up")
    if not dry_run:
        await tell_of_ends(services)
    taken_away = await take_away_all(services) if not dry_run else 0
    letters = await _send_lost_letters(services, dry_run)
    stuck = await _tell_stuck(services.engine)
    if not dry_run:
        await _about_partners(services)
    return RepairReport(taken_up=tuple(begun), commands=given, letters=letters, stuck=stuck, taken_away=taken_away)


async def _about_partners(services: Starting) -> None:
    """Last, and each whatever became of the other: what fails here keeps nothing else from being done, or told."""
    with all_of_them("partners are not looked after now") as each:
        with each("what was left"):
            await ask_for_what_was_left(services)
        with each("what was lost"):
            await tell_of_lost_messages(services)


async def _unfinished(services: Starting) -> AsyncIterator[UUID]:
    last: UUID | None = None
    while True:
        async with services.database.session() as session:
            page = await upkeep.open_requests(session, after=last, limit=PAGE)
        for request_id in page:
            yield request_id
        if len(page) < PAGE:
            break
        last = page[-1]
    now = datetime.now(UTC)
    async with services.database.session() as session:
        left = await upkeep.left_to_sign(session, since=now - LOOKS_BACK, before=now - MAY_STILL_COME)
    for request_id in left:
        yield request_id


async def _take_up(services: Starting, request_id: UUID, dry_run: bool) -> bool:
    try:
        return await gate.take_up(services, request_id, dry_run=dry_run)
    except requests.UNREADABLE as error:
        log.error("a request can't be taken up", request_id=str(request_id), error=type(error).__name__)
        return False


async def _give_again(services: Starting, dry_run: bool) -> int:
    """Give commands again whose end is not known, in their order; gives how many. Those that lie in the engine are among them."""
    before, last, count = datetime.now(UTC) - OVERDUE_AFTER, 0, 0
    while True:
        async with services.database.session() as session:
            page = await commands.overdue(session, before, limit=COMMANDS_AT_ONCE, after=last)
        for given in page if not dry_run else ():
            await _give_one_again(services, given)
        count += len(page)
        if len(page) < COMMANDS_AT_ONCE:
            return count
        last = page[-1].number


async def _give_one_again(services: Starting, given: GivenCommand) -> None:
    log.warning("a command's end is not known", command=given.name, request_id=str(given.request_id))
    try:
        await giving.give_again(services, given)
    except (*requests.UNREADABLE, gate.GateError) as error:
        log.error("a command can't be given again", request_id=str(given.request_id), error=type(error).__name__)


async def _send_lost_letters(services: Starting, dry_run: bool) -> int:
    """Have e-mails sent that nobody looks after any more; gives how many. One that is in hand after all is sent once."""
    now = datetime.now(UTC)
    async with services.database.session() as session:
        notices = await upkeep.waiting_notices(session, before=now - MAY_STILL_COME, limit=LETTERS_AT_ONCE)
        before = now - ACCOUNT_LETTERS_WAIT
        letters = await account_letters.waiting(session, before=before, limit=LETTERS_AT_ONCE)
    lost = await _lost(services, notices, SINGLE_NOTICE, notice_workflow_id)
    lost_letters = await _lost(services, letters, ACCOUNT_LETTER, letter_workflow_id)
    if not dry_run:
        for notice_id in lost:
            await send_by_itself(services, notice_id)
        for letter_id in lost_letters:
            await start_letter(services, letter_id)
    return len(lost) + len(lost_letters)


async def _lost(services: Starting, waiting: Sequence[UUID], kind: str, workflow: Callable[[UUID], str]) -> list[UUID]:
    """Those of the e-mails that wait for which no workflow of that kind runs."""
    if not waiting:
        return []
    length = len(workflow(waiting[0]))  # an e-mail that is sent again has a number after its id
    looked_after = {found[:length] async for found in running_ids(services.engine, kind)}
    lost = [mail_id for mail_id in waiting if workflow(mail_id) not in looked_after]
    for mail_id in lost:
        log.warning("an e-mail was looked after by nobody", workflow_id=workflow(mail_id))
    return lost


async def _tell_stuck(engine: Client) -> int:
    """How many workflows can't go on; the log names some of them."""
    stuck = await count_stuck(engine, TELECONSULTATION)
    if stuck:
        log.error("workflows can't go on", count=stuck)
        for found in await list_stuck(engine, TELECONSULTATION, limit=10):
            log.error(
                "a workflow can't go on", request_id=found.workflow_id.removeprefix("request-"), code=found.problem
            )
    return stuck
