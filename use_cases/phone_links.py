"""From the desktop to the telephone: a link by which a telephone sends photos to a request, and nothing else.

Whoever writes a form or an answer makes it, and it acts in their name at one place of that request. Nobody is signed in on the
telephone, and it sees nothing of the request. Why it is so: docs/decisions/photos-by-telephone.md.
"""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime, Field
from sqlalchemy.ext.asyncio import AsyncSession

from media.kinds import PHOTO_TYPES
from records import phone_links, requests
from records.acting import act_from_here
from records.errors import NotFoundError
from records.models import Account, PhoneLink
from use_cases import new_attachments, policy
from use_cases.attachments import AttachmentView, slot_for
from use_cases.attended import Attended
from use_cases.caller import Caller
from use_cases.names import full_name
from use_cases.new_attachments import SentFile
from use_cases.problems import Problem
from use_cases.services import Services
from use_cases.sign_in import token_sha256
from use_cases.views import View

LASTS = timedelta(minutes=15)
"""So long does a link live: to take up the telephone and photograph, not to be found later."""

PHOTOS_PATH = "/phone/photos/attachments"
"""Where a telephone sends its photos."""

MOST_PHOTOS = 50
"""So many photos come by one link."""


class PhoneLinkView(View):
    """A link by which a telephone sends photos, as who made it sees it."""

    request_id: UUID
    slot: str = Field(description="For which of the things that the offering asks for.")
    state: Literal["waiting", "in_use", "ended"] = Field(
        description="No telephone has taken it yet; one has; it is over."
    )
    photos: int = Field(description="How many photos have come by it.")
    ends_at: AwareDatetime


class NewPhoneLink(PhoneLinkView):
    """A new link, with the address that the telephone opens: it is shown once, and the records don't know it."""

    address: str


@dataclass(frozen=True)
class Photographing:
    """What a telephone is told of a link: which and whose it is, until when it lives, and how many photos came by it."""

    link_id: UUID
    account_id: UUID
    made_by: str
    ends_at: datetime
    photos: int


# Who makes it


async def make_link(services: Services, caller: Caller, request_id: UUID, slot: str) -> NewPhoneLink:
    """A link for photos of that `slot` (empty: the first that takes photos). The caller's earlier one for this request ends.

    Raises Problem as `new_attachments.check_may_add` does, and `unknown_slot` or `slot_of_another_kind`.
    """
    async with services.database.session() as session:
        row = await policy.request_to_add_to(session, caller, request_id)
    chosen = await slot_for(services, row, slot, "photo")
    code, now = secrets.token_urlsafe(16), datetime.now(UTC)
    async with services.database.session() as session:
        try:
            await requests.lock_request(session, request_id)
        except NotFoundError:  # a draft that was removed meanwhile
            raise Problem("not_found") from None
        link = await phone_links.begin_link(
            session,
            request_id=request_id,
            account_id=caller.id,
            slot=chosen.name,
            made_by=token_sha256(caller.token),
            code_sha256=token_sha256(code),
            now=now,
            ends_at=now + LASTS,
        )
        seen = await _view(session, link, lives=True)
    address = f"{services.settings.public_url.rstrip('/')}/phone/{code}"
    return NewPhoneLink(**seen.model_dump(), address=address)


async def read_link(services: Services, caller: Caller, request_id: UUID) -> PhoneLinkView:
    """The link that the caller made last for the request. Raises Problem `not_found` where there is none."""
    async with services.database.session() as session:
        await policy.request_to_see(session, caller, request_id)
        found = await phone_links.newest_link(session, request_id, caller.id, datetime.now(UTC))
        if found is None:
            raise Problem("not_found")
        link, lives = found
        return await _view(session, link, lives=lives)


async def living_link(services: Services, caller: Caller, request_id: UUID) -> PhoneLinkView | None:
    """The caller's link for a request that they see, as long as it lives."""
    async with services.database.session() as session:
        found = await phone_links.newest_link(session, request_id, caller.id, datetime.now(UTC))
        return await _view(session, found[0], lives=True) if found and found[1] else None


async def end_link(services: Services, caller: Caller, request_id: UUID) -> None:
    """End the caller's link; nothing happens where there is none.

    Raises Problem `not_found` for a request that they don't see.
    """
    async with services.database.session() as session:
        row, _ = await policy.request_to_see(session, caller, request_id)
        await phone_links.end_links(session, request_id, caller.id, datetime.now(UTC))
        await requests.announce(session, row)


async def _view(session: AsyncSession, link: PhoneLink, *, lives: bool) -> PhoneLinkView:
    state: Literal["waiting", "in_use", "ended"] = "in_use" if link.device_sha256 else "waiting"
    return PhoneLinkView(
        request_id=link.request_id,
        slot=link.slot,
        state=state if lives else "ended",
        photos=await phone_links.photos_by(session, link.id),
        ends_at=link.ends_at,
    )


# The telephone


async def look_at_code(services: Services, code: str) -> Photographing:
    """Whose link it is that a telephone is about to take. Raises Problem `phone_link_ended` or `phone_link_taken`."""
    async with services.database.session() as session:
        return await _told(session, *await _of_code(session, code))


async def take_link(services: Services, code: str) -> str:
    """Give the link to the telephone that shows its code: the secret by which it is known from now on, and no other is.

    Raises Problem `phone_link_ended` or `phone_link_taken`.
    """
    device = secrets.token_urlsafe(32)
    async with services.database.session() as session:
        link, _account = await _of_code(session, code)
        if not await phone_links.take_link(session, link.id, token_sha256(device)):
            raise Problem("phone_link_taken")
        await _announce(session, link)
    return device


async def has_taken(services: Services, device: str, code: str) -> bool:
    """Whether it is the telephone with that secret that has taken the living link of a code."""
    async with services.database.session() as session:
        found = await phone_links.link_of_code(session, token_sha256(code), datetime.now(UTC))
        return found is not None and found[0].device_sha256 == token_sha256(device)


async def look(services: Services, device: str, link_id: str | None = None) -> Photographing:
    """What the telephone with that secret is told, on the page of that link if one is given.

    A telephone has one link at a time: a page of the one before is of no use any more. Raises Problem `phone_link_ended`.
    """
    async with services.database.session() as session:
        return await _told(session, *await _of_device(session, device, link_id))


async def add_photo(
    services: Services, device: str, link_id: str, file: SentFile, key: str, attended: Attended
) -> AttachmentView:
    """Add a photo as the link's maker would: the same checks, limits and advice. The same `key` means the same photo.

    `link_id` is that of the page on which it was taken, as in `look`. A photo that is being examined when the link ends may still
    arrive. Raises Problem `phone_link_ended`, `phone_link_full`, `photos_only`, and what `new_attachments.place_for` and `add`
    raise.
    """
    async with services.database.session() as session:
        link, account = await _of_device(session, device, link_id)
        photos = await phone_links.photos_by(session, link.id)
    if photos >= MOST_PHOTOS:
        raise Problem("phone_link_full", limit=MOST_PHOTOS)
    if await new_attachments.kind_of(services, file.content) not in PHOTO_TYPES:
        raise Problem("photos_only")
    maker = Caller(account, "")
    sent = SentFile(file.content, file.filename, link.slot, phone_link_id=link.id)
    try:
        place = await new_attachments.place_for(services, maker, link.request_id, f"phone:{link.id}:{key}")
        return await new_attachments.add(services, maker, place, sent, attended)
    except Problem as problem:
        if problem.code != "not_found":
            raise
        raise Problem("phone_link_ended") from None  # the draft was removed, and the link with it


async def end_on_telephone(services: Services, device: str, link_id: str) -> None:
    """End the link from the page of it on the telephone. Raises Problem `phone_link_ended` as `look` does."""
    async with services.database.session() as session:
        link, account = await _of_device(session, device, link_id)
        await phone_links.end_links(session, link.request_id, account.id, datetime.now(UTC))
        await _announce(session, link)


async def _of_code(session: AsyncSession, code: str) -> tuple[PhoneLink, Account]:
    found = await phone_links.link_of_code(session, token_sha256(code), datetime.now(UTC))
    if found is None:
        raise Problem("phone_link_ended")
    if found[0].device_sha256 is not None:
        raise Problem("phone_link_taken")
    await act_from_here(session, found[1].clinic_id)
    return found


async def _of_device(session: AsyncSession, device: str, link_id: str | None) -> tuple[PhoneLink, Account]:
    found = await phone_links.link_of_device(session, token_sha256(device), datetime.now(UTC))
    if found is None or link_id not in (None, str(found[0].id)):
        raise Problem("phone_link_ended")
    await act_from_here(session, found[1].clinic_id)
    return found


async def _announce(session: AsyncSession, link: PhoneLink) -> None:
    """Without a lock on the request: who records an event has that first, and links after it."""
    row = await requests.load_request(session, link.request_id)
    if row is None:
        raise Problem("phone_link_ended")
    await requests.announce(session, row)


async def _told(session: AsyncSession, link: PhoneLink, account: Account) -> Photographing:
    photos = await phone_links.photos_by(session, link.id)
    return Photographing(link.id, account.id, full_name(account), link.ends_at, photos)
