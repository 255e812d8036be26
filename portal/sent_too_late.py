"""Forms that are sent when the session has ended: sealed, they go through the sign-in page, and are shown again to their writer.

Whose page it was, the form's `key` tells (`key_for`): what one person wrote is never sent, or shown, as somebody else's.
"""

import re
from datetime import UTC, datetime
from uuid import UUID, uuid4

from fastapi import Request
from starlette.datastructures import FormData

from records.models import Account
from use_cases.problems import Problem
from use_cases.services import Services
from use_cases.unsent import UnsentForm, seal, unseal
from web.session import check_same_site

FIELD = "unsent"
"""The field of the sign-in page that carries a sealed form."""

_NEVER_KEPT = {"password", "current", "new", "code", "passkey", "endpoint.secret", "earlier"}

_URLENCODED = "application/x-www-form-urlencoded"


def key_for(account_id: UUID) -> str:
    """What makes a form of that person's page act once."""
    return f"{uuid4().hex}{account_id.hex}"


def written_by(form: FormData) -> UUID | None:
    """On whose page the form was filled in; None where its key does not tell."""
    key = str(form.get("key", ""))
    return UUID(hex=key[32:]) if re.fullmatch(r"[0-9a-f]{64}", key) else None


async def sealed_form(request: Request, services: Services) -> str | None:
    """The form that was sent, sealed for who wrote it; None where it is none that anything was written into.

    What comes from a page of another site is not kept: nobody is shown what they did not write.
    """
    if request.method != "POST" or not request.headers.get("content-type", "").startswith(_URLENCODED):
        return None
    try:
        check_same_site(request)
    except Problem:
        return None
    form = await request.form()
    if sealed := form.get(FIELD):  # it came here from the sign-in page, and again nobody is signed in
        return str(sealed)
    writer = written_by(form)
    if writer is None:
        return None
    fields = [(name, text) for name, text in form.multi_items() if name not in _NEVER_KEPT and isinstance(text, str)]
    return await seal(services, writer, UnsentForm(address_of(request), fields), datetime.now(UTC))


def address_of(request: Request) -> str:
    """Where a form goes, with what its address says besides: a request that is not begun stands there."""
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def address_in(account: Account, sealed: str) -> str | None:
    """Where the sealed form was to go; None when it does not open for that account."""
    found = unseal(account, sealed, datetime.now(UTC))
    return found.address if found else None


def form_in(account: Account, sealed: str, address: str) -> FormData:
    """The form that was to go to `address`. Raises Problem `not_found` when it does not open for that account."""
    found = unseal(account, sealed, datetime.now(UTC))
    if found is None or found.address != address:
        raise Problem("not_found")
    return FormData([*found.fields])
