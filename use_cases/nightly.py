"""The round of each night: what is done once a day and waits for nobody."""

from collections.abc import Callable

from activities.contract import SweepReport
from documents.authority import Authority
from use_cases import access_analysis, destruction, old_drafts
from use_cases.each import all_of_them
from use_cases.parts import PartsWithEngine
from use_cases.signing_roots import publish_revocations
from use_cases.sweep import sweep


async def each_night(services: PartsWithEngine, authority: Callable[[], Authority]) -> SweepReport:
    """All parts of it, whichever of them fails; the last failure is raised when all were tried.

    `authority` gives the one that signs here, or raises KeysAwayError.
    """
    swept = SweepReport()
    with all_of_them("a part of the nightly round failed") as each:
        with each("sweep"):
            swept = await sweep(services)
        with each("revocations"):
            await publish_revocations(services.settings, services.database, authority())
        with each("destructions"):
            await destruction.take_up(services)
        with each("accesses"):
            await access_analysis.analyse_and_remind(services)
        with each("drafts"):
            await old_drafts.warn_and_remove(services)
    return swept
