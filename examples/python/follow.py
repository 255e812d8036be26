"""Keeps a clinic's reports: asks what has changed since the last time, and saves the signed documents of each request that did.

`make client` makes the library that this needs, `relais_client`, beside it. Run it each minute, say:

    API_URL=http://127.0.0.1:8000 API_SECRET=relais_sk_… python follow.py FOLDER

The first time it only notes where the feed of changes stands. Whatever ends it, the next time it goes on from where it was.
"""

import os
import sys
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from relais_client import AuthenticatedClient
from relais_client.api.reports import get_document, list_documents
from relais_client.api.requests import get_changes
from relais_client.models.change_kind import ChangeKind
from relais_client.models.problem_code import ProblemCode
from relais_client.models.problem_details import ProblemDetails
from relais_client.types import UNSET

T = TypeVar("T")


class RefusedError(Exception):
    """Relais answered with a problem."""

    def __init__(self, code: ProblemCode | None) -> None:
        super().__init__(code)
        self.code = code


def said(answer: T | ProblemDetails | None) -> T:
    """What an operation answers when all is well. Raises RefusedError."""
    if isinstance(answer, ProblemDetails):
        raise RefusedError(answer.code)
    if answer is None:
        raise RefusedError(None)
    return answer


def follow(client: AuthenticatedClient, folder: Path) -> None:
    """Everything that has changed since the last time; the place is kept once a page is dealt with."""
    kept = folder / "place"
    more = True
    while more:
        page = said(get_changes.sync(client=client, after=kept.read_text() if kept.exists() else UNSET))
        for change in page.items:
            print(change.kind.value, change.number or change.request_id, change.event or "")
        for request_id in {change.request_id for change in page.items if change.kind is not ChangeKind.GONE}:
            save_documents(client, folder, request_id)
        part = kept.with_suffix(".part")
        part.write_text(page.after)
        part.replace(kept)
        more = page.more


def save_documents(client: AuthenticatedClient, folder: Path, request_id: UUID) -> None:
    """Those that are not there yet: a signed document never changes."""
    for document in said(list_documents.sync(request_id, client=client)):
        path = folder / f"{document.report_id}.pdf"
        if not path.exists():
            pdf = said(get_document.sync(request_id, document.report_id, client=client))
            part = path.with_suffix(".part")  # whole under its name, or not there
            part.write_bytes(pdf.payload.read())
            part.replace(path)
            print("saved", path.name)


def main() -> None:
    """One round."""
    folder = Path(sys.argv[1])
    with AuthenticatedClient(base_url=os.environ["API_URL"], token=os.environ["API_SECRET"]) as client:
        try:
            follow(client, folder)
        except RefusedError as refused:
            if refused.code is not ProblemCode.CURSOR_EXPIRED:
                raise
            (folder / "place").unlink()  # the next round begins anew; what was saved is there, the rest is in the list
            raise


if __name__ == "__main__":
    main()
