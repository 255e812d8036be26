"""Signing in through a provider: begun here, done there, and finished here when the browser comes back.

What was begun is kept in the records until then, for ten minutes, and is answered once, by the browser that began it. Somebody is
found by the provider and what it knows them by for ever, never by an e-mail address: who is not linked yet comes by the link of
an e-mail of ours, or links their identity while they are signed in. ([decision](../docs/decisions/sign-on.md))
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from domain.accounts import AccountEventKind, LetterKind, may_sign
from domain.addresses import AddressError, checked_address
from records import account_events, one_time_links, people, second_factors
from records import sign_on as records
from records.account_events import Hand
from records.hidden import hidden
from records.models import Account, Invitation, LinkedIdentity, PasswordReset, Side, SignOnAttempt
from sign_on.connection import Answer, Connection, Secrets
from sign_on.id_tokens import Identity, check_is_recent
from sign_on.refused import AwayError, RefusedError
from use_cases import one_time_codes as codes
from use_cases import sign_in as signing_in
from use_cases import step_up
from use_cases.account_keys import seal_for
from use_cases.account_letters import send
from use_cases.attempts import (
    Arrived,
    Begun,
    Browser,
    Purpose,
    away,
    begin,
    connection_of,
    refused,
    return_address,
    take,
)
from use_cases.caller import Caller
from use_cases.guessing import Counter
from use_cases.identities import tell
from use_cases.invitations import Joining, join
from use_cases.problems import Problem
from use_cases.services import Services
from use_cases.sign_in import MAX_CODE, BearerToken, new_token, proves_again, token_sha256
from use_cases.voice_codes import voice_code_fits
from use_cases.ways_in import ways_of, ways_of_account

MOST_CARRIED = 60_000
"""Characters of what goes along: a page to go on to, and a form that was sent too late."""

ID_TOKEN = b"relais: an ID token"
"""For what ID tokens are sealed."""

SIGNED_OUT_PATH = "/sign-on/signed-out"


# Begun


async def begin_sign_in(services: Services, provider: str, cookie: str | None, wanted: str, unsent: str) -> Begun:
    """Sign in, then go on to the page `wanted`, or with the form `unsent`. Raises Problem `not_found` or `sign_on_away`."""
    said = {
        "wanted": wanted if len(wanted) <= MOST_CARRIED else "/",
        "unsent": unsent if len(unsent) <= MOST_CARRIED else "",
    }
    return await begin(services, provider, Purpose.SIGN_IN, cookie, said)


async def begin_to_join(services: Services, provider: str, cookie: str | None, joining: Joining) -> Begun:
    """Accept an invitation, to sign in through the provider from then on.

    Raises Problem `not_found`, `link_not_valid`, `wrong_voice_code`, `username_taken`, or `sign_on_away`.
    """
    fits = False
    async with services.database.session() as session:
        invitation = await one_time_links.find_by_code(session, Invitation, joining.code, datetime.now(UTC), lock=True)
        if invitation is None:
            raise Problem("link_not_valid")
        await _must_be_for(services, session, provider, invitation.clinic_id)
        fits = not may_sign(invitation.roles) or await voice_code_fits(invitation, joining.voice_code)
        if fits and await people.find_account(session, joining.username) is not None:
            raise Problem("username_taken")
    if not fits:
        raise Problem("wrong_voice_code")
    said = {"link_id": invitation.id.hex, "code_sha256": hidden(joining.code), "username": joining.username}
    return await begin(services, provider, Purpose.JOIN, cookie, said)


async def begin_to_link_by_letter(
    services: Services, provider: str, cookie: str | None, code: str, voice_code: str, factor_code: str
) -> Begun:
    """Link an identity by the link of an e-mail, in place of a new password; with a code of the second factor, if there is one.

    Raises Problem `not_found`, `link_not_valid`, `wrong_voice_code`, `code_needed`, `wrong_code`, or `sign_on_away`.
    """
    fits = False
    async with services.database.session() as session:
        reset = await one_time_links.find_by_code(session, PasswordReset, code, datetime.now(UTC), lock=True)
        account = await people.load_account(session, reset.account_id) if reset else None
        if reset is None or account is None or not account.active:
            raise Problem("link_not_valid")
        await _must_be_for(services, session, provider, account.clinic_id)
        fits = not may_sign(account.roles) or await voice_code_fits(reset, voice_code)
    if not fits:
        raise Problem("wrong_voice_code")
    await _prove_the_factor(services, account.id, factor_code, codes.of_a_stranger(account.id))
    said = {"link_id": reset.id.hex, "code_sha256": hidden(code)}
    return await begin(services, provider, Purpose.LINK_BY_LETTER, cookie, said)


async def begin_to_link(
    services: Services, caller: Caller, provider: str, cookie: str | None, password: str, factor_code: str
) -> Begun:
    """Link an identity of one's own, for who gives their password again, with a code of the second factor, if they have one.

    Raises Problem `not_found`, `wrong_current_password`, `code_needed`, `wrong_code`, `sign_on_away`, and what
    `proves_again` does.
    """
    if provider not in {one.code for one in (await ways_of_account(services, caller.account)).providers}:
        raise Problem("not_found")
    await prove_to_link(services, caller, password, factor_code)
    return await begin(services, provider, Purpose.LINK, cookie, {}, caller.id)


async def prove_to_link(services: Services, caller: Caller, password: str, factor_code: str) -> None:
    """Who links an identity of their own gives their password again, with a code of the second factor, if they have one.

    Raises Problem `wrong_current_password`, `code_needed`, `wrong_code`, and what `proves_again` does.
    """
    if not await proves_again(services, caller, password):
        raise Problem("wrong_current_password")
    await _prove_the_factor(services, caller.id, factor_code, codes.of_a_session(token_sha256(caller.token)))


async def link_needs_code(services: Services, account_id: UUID) -> bool:
    """Whether a link asks for the second factor. Who comes in through a provider is asked for none of ours: without this, a link
    would get rid of it.
    """
    async with services.database.session() as session:
        return await second_factors.is_in_force(session, account_id)


async def _prove_the_factor(services: Services, account_id: UUID, code: str, counters: Sequence[Counter]) -> None:
    """Take a code where a link needs one.

    Raises Problem `code_needed`, `wrong_code` or `too_many_attempts`.
    """
    if not await link_needs_code(services, account_id):
        return
    if not code:
        raise Problem("code_needed")
    await codes.take(services, account_id, code[:MAX_CODE], uuid4().hex, counters)


# Finished


async def finish(services: Services, provider: str, answer: Answer, browser: Browser) -> Arrived:
    """What becomes of who comes back from the provider.

    Raises Problem `not_found`, `sign_on_expired` when nothing was begun in this browser, `sign_on_denied`, `sign_on_failed`,
    `sign_on_away`, or what stands against it: `not_linked`, `identity_taken`, `link_not_valid`, …
    """
    connection = connection_of(services, provider)
    attempt = await take(services, provider, browser, answer.state)
    try:
        return await _arrive(services, connection, attempt, answer, browser)
    except Problem as problem:
        if problem.code in _FAILED:
            await signing_in.note_failed(services, None, browser.origin, problem.code)
        raise


async def _arrive(
    services: Services, connection: Connection, attempt: SignOnAttempt, answer: Answer, browser: Browser
) -> Arrived:
    provider = attempt.provider
    own = Secrets(state=answer.state, nonce=attempt.nonce, verifier=attempt.verifier)
    purpose, back = Purpose(attempt.purpose), str(attempt.said.get("back", "/"))
    try:
        identity = await connection.identity_of(answer, own, return_address(services, provider))
        if (most := connection.provider.sign_in_max_age_seconds) is not None and purpose is not Purpose.SIGN:
            check_is_recent(identity, most, datetime.now(UTC))
    except AwayError as error:
        away(provider, error, back)
    except RefusedError as error:
        refused(provider, error, back=back)
    return await _ARRIVALS[purpose](services, attempt, identity, browser)


_FAILED = frozenset({"sign_on_denied", "sign_on_failed", "not_linked", "not_for_clinic", "identity_taken"})


async def account_of(services: Services, arrived: Arrived) -> Account | None:
    """Whose session has just begun."""
    return await signing_in.account_of(services, arrived.token.text) if arrived.token else None


async def _sign_in(services: Services, attempt: SignOnAttempt, identity: Identity, browser: Browser) -> Arrived:
    async with services.database.session() as session:
        account = await records.account_linked_with(session, identity.issuer, identity.subject)
        if account is None or not account.active:
            raise Problem("not_linked")
        await _must_be_for(services, session, attempt.provider, account.clinic_id)
    token = await session_of(services, account, identity, browser)
    return Arrived(attempt.said["wanted"], token, attempt.said["unsent"])


async def _join(services: Services, attempt: SignOnAttempt, identity: Identity, browser: Browser) -> Arrived:
    now = datetime.now(UTC)
    async with services.database.session() as session:
        invitation = await one_time_links.find_by_id(session, Invitation, UUID(hex=attempt.said["link_id"]), lock=True)
        if invitation is None or not _is_still_open(invitation, attempt, now):
            raise Problem("link_not_valid")
        account = await join(session, invitation, attempt.said["username"], people.no_password(), _hand(browser), now)
        letters = await link_in(session, account, identity, attempt.provider, _hand(browser), now)
    await send(services, letters)
    return Arrived("/worklist?done=joined", await session_of(services, account, identity, browser))


async def _link_by_letter(services: Services, attempt: SignOnAttempt, identity: Identity, browser: Browser) -> Arrived:
    """Another identity at this provider, which the person had before, is theirs no more: they may have got a new one there."""
    now = datetime.now(UTC)
    async with services.database.session() as session:
        reset = await one_time_links.find_by_id(session, PasswordReset, UUID(hex=attempt.said["link_id"]))
        account = await people.lock_account(session, reset.account_id) if reset else None
        if reset is not None:
            await session.refresh(reset, with_for_update=True)
        if reset is None or account is None or not account.active or not _is_still_open(reset, attempt, now):
            raise Problem("link_not_valid")
        before = await records.unlink(session, account.id, identity.issuer)
        if before is not None:
            gone = {"provider": [attempt.provider, None]}
            account_events.note(session, AccountEventKind.IDENTITY_UNLINKED, account, _hand(browser), now, gone)
        letters = await link_in(session, account, identity, attempt.provider, _hand(browser), now, before)
        await people.revoke_tokens_of(session, account.id, now)
        await one_time_links.end_resets_of(session, account.id, now)
    await send(services, letters)
    return Arrived("/signin?done=linked")


async def _link_own(services: Services, attempt: SignOnAttempt, identity: Identity, browser: Browser) -> Arrived:
    if browser.account is None or browser.account.id != attempt.account_id:
        raise Problem("sign_on_expired")
    async with services.database.session() as session:
        by, now = _hand(browser, browser.account), datetime.now(UTC)
        letters = await link_in(session, browser.account, identity, attempt.provider, by, now)
    await send(services, letters)
    return Arrived("/account?done=linked")


_ARRIVALS: Mapping[Purpose, Callable[[Services, SignOnAttempt, Identity, Browser], Awaitable[Arrived]]] = {
    Purpose.SIGN_IN: _sign_in,
    Purpose.JOIN: _join,
    Purpose.LINK: _link_own,
    Purpose.LINK_BY_LETTER: _link_by_letter,
    Purpose.SIGN: step_up.arrive,
}


async def session_of(
    services: Services, account: Account, identity: Identity, browser: Browser, way: str = "provider"
) -> BearerToken:
    """A session of who has proved elsewhere to be that account's person, in place of what the browser had.

    The audit names the `way`.

    Raises Problem `not_linked` where the account is locked in this moment.
    """
    elsewhere = people.SignedInElsewhere(
        idp_issuer=identity.issuer,
        idp_subject=identity.subject,
        idp_sid=identity.sid,
        auth_time=identity.auth_time,
        acr=identity.acr,
        amr=list(identity.amr),
        sealed_id_token=seal_for(account, ID_TOKEN, identity.token.encode()) if identity.token else None,
    )
    token = await new_token(
        services, account, browser.origin, browser.token, in_a_browser=True, elsewhere=elsewhere, way=way
    )
    if token is None:  # locked in this moment
        raise Problem("not_linked")
    return token


async def link_in(
    session: AsyncSession,
    account: Account,
    identity: Identity,
    provider: str,
    by: Hand,
    now: datetime,
    before: LinkedIdentity | None = None,
) -> list[UUID]:
    """The identity is the account's from now on. Gives the letters that tell it, at every address that is concerned.

    Raises Problem `identity_taken` when it is somebody else's, or the account has another one there, and `sign_on_expired` where
    it was locked, or its ways in were taken, since `account` was loaded: what was begun before leads nobody in.
    """
    present = await people.lock_account(session, account.id)
    if present is None or not present.active or present.password_hash != account.password_hash:
        raise Problem("sign_on_expired")
    email = _usable(identity.email)
    if not await records.link(session, account.id, identity.issuer, identity.subject, email, now):
        raise Problem("identity_taken")
    account_events.note(session, AccountEventKind.IDENTITY_LINKED, account, by, now, {"provider": [None, provider]})
    addresses = [email, before.email if before else None]
    return await tell(session, LetterKind.IDENTITY_LINKED, account, now, addresses)


# What several of these have in common


async def _must_be_for(services: Services, session: AsyncSession, provider: str, clinic_id: UUID) -> None:
    """Raise Problem `not_for_clinic` unless the people of that clinic may sign in through this provider."""
    clinic = await people.load_clinic(session, clinic_id)
    if provider not in {one.code for one in ways_of(services, clinic.code if clinic else "", ()).providers}:
        raise Problem("not_for_clinic")


def _is_still_open(link: Invitation | PasswordReset, attempt: SignOnAttempt, now: datetime) -> bool:
    return one_time_links.is_open(link, now) and attempt.said["code_sha256"] in link.code_hashes


def _hand(browser: Browser, account: Account | None = None) -> Hand:
    """Whoever follows a link is nobody that is known here, whoever's session the browser has."""
    return Hand(account.id if account else None, Side.PORTAL, browser.origin.address)


def _usable(email: str | None) -> str | None:
    """An address as a provider says it, if a letter can go there."""
    try:
        return checked_address(email, reachable=False) if email else None
    except AddressError:
        return None
