"""One journal of accesses."""

from temporalio import workflow

from workflows.papers import made

with workflow.unsafe.imports_passed_through():
    from activities.contract import MAKE_JOURNAL, JournalOrder, MadeJournal
    from workflows.contract import JOURNAL


@workflow.defn(name=JOURNAL)
class JournalWorkflow:
    """Makes one journal."""

    @workflow.run
    async def run(self, order: JournalOrder) -> MadeJournal:
        """As `workflows.papers` says."""
        return await made(MAKE_JOURNAL, order, MadeJournal, summary="a journal of accesses", never="journal_not_made")
