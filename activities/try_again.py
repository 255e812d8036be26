"""How long an e-mail waits that a mail server has not taken for now."""

from datetime import timedelta

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.delivery import NotTaken

FIRST_PAUSE_SECONDS = 2.0


def try_again(problem: NotTaken, longest: float) -> ApplicationError:
    """The error that makes Temporal try again, after a pause that doubles up to `longest` (seconds)."""
    pause = min(FIRST_PAUSE_SECONDS * 2 ** min(activity.info().attempt - 1, 30), longest)
    return ApplicationError(
        f"the mail server did not take the e-mail for now: {problem.code}",
        type="mail_temporarily_refused",
        next_retry_delay=timedelta(seconds=pause),
    )
