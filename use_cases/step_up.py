"""Who has no password of ours proves at their provider that it is they, now: for one signature, or one access in an emergency,
within minutes.

What comes of it is a ticket: for this session, this very thing (`used_for`) and exactly this content, spent once. That a fresh
sign-in was asked for proves nothing, so everything is looked at here when it comes: who it is, when, and how well they proved it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from records import people
from records import sign_on as records
from records.ids import new_id
from records.models import Clinic, SigningTicket, SignOnAttempt, Token
from sign_on.id_tokens import Identity, check_is_stepped_up
from sign_on.providers import Provider, StepUp
from sign_on.refused import RefusedError
from use_cases import attempts
from use_cases.attempts import Arrived, Begun, Browser, Purpose
from use_cases.caller import Caller
from use_cases.problems import Problem
from use_cases.services import Services
from use_cases.sign_in import token_sha256

TICKET_LASTS = timedelta(minutes=3)


@dataclass(frozen=True)
class Confirmed:
    """What a spent ticket proves: the SHA-256 of what it is for, and what is kept with a signature."""

    matter_sha256: str
    evidence: Mapping[str, Any]


async def begin(
    services: Services, caller: Caller, used_for: str, matter_sha256: str, said: Mapping[str, str], cookie: str | None
) -> Begun:
    """On to the provider by which the caller signed in. `said` is shown again when they come back, at its address `back`.

    Raises Problem `sign_in_again` for a session that did not begin at a provider, `step_up_not_set` where theirs can't do what
    their clinic asks for, and `sign_on_away`.
    """
    async with services.database.session() as session:
        token = await people.load_token(session, token_sha256(caller.token))
        clinic = await people.load_clinic(session, caller.clinic_id)
    provider = _provider_of(services, token)
    _must_be_enough(provider, clinic)
    along = {**said, "used_for": used_for, "matter_sha256": matter_sha256, "token_sha256": token_sha256(caller.token)}
    return await attempts.begin(
        services, provider.code, Purpose.SIGN, cookie, along, caller.id, step_up=provider.step_up
    )


async def arrive(services: Services, attempt: SignOnAttempt, identity: Identity, browser: Browser) -> Arrived:
    """A ticket, for who is still signed in here and has just proved to be the same there.

    Raises Problem `sign_on_expired`, `step_up_failed`, or `step_up_by_another`.
    """
    now, back = datetime.now(UTC), str(attempt.said["back"])
    if browser.account is None or token_sha256(browser.token or "") != attempt.said["token_sha256"]:
        raise Problem("sign_on_expired")
    async with services.database.session() as session:
        token = await people.load_token(session, attempt.said["token_sha256"])
        clinic = await people.load_clinic(session, browser.account.clinic_id)
    provider = _provider_of(services, token)
    wanted = _must_be_enough(provider, clinic)
    try:
        if token is None or (identity.issuer, identity.subject) != (token.idp_issuer, token.idp_subject):
            attempts.refused(provider.code, RefusedError("another_person"), "step_up_by_another", back)
        check_is_stepped_up(identity, wanted, now)
    except RefusedError as error:
        attempts.refused(provider.code, error, "step_up_failed", back)
    along = ("used_for", "matter_sha256", "token_sha256", "back")
    async with services.database.session() as session:
        ticket = SigningTicket(
            id=new_id(),
            token_sha256=attempt.said["token_sha256"],
            used_for=attempt.said["used_for"],
            matter_sha256=attempt.said["matter_sha256"],
            said={name: value for name, value in attempt.said.items() if name not in along},
            issuer=identity.issuer,
            subject=identity.subject,
            auth_time=identity.auth_time or now,
            acr=identity.acr,
            acrs=list(identity.acrs),
            amr=list(identity.amr),
            given_at=now,
            expires_at=now + TICKET_LASTS,
        )
        await records.give_ticket(session, ticket)
    return Arrived(back)


async def waiting(services: Services, caller: Caller, used_for: str) -> SigningTicket | None:
    """The ticket that waits for that."""
    async with services.database.session() as session:
        return await records.find_ticket(session, token_sha256(caller.token), used_for, datetime.now(UTC))


async def spend(services: Services, caller: Caller, used_for: str) -> Confirmed:
    """Take the ticket for that. Sent again for the very same, after a break in the line, it is good.

    Raises Problem `step_up_needed` when there is none, or not any more.
    """
    async with services.database.session() as session:
        ticket = await records.spend_ticket(session, token_sha256(caller.token), used_for, datetime.now(UTC))
    if ticket is None:
        raise Problem("step_up_needed")
    evidence = {
        "ticket": str(ticket.id),
        "issuer": ticket.issuer,
        "subject": ticket.subject,
        "auth_time": ticket.auth_time.isoformat(),
        "acr": ticket.acr,
        "acrs": ticket.acrs,
        "amr": ticket.amr,
        "given_at": ticket.given_at.isoformat(),
    }
    return Confirmed(ticket.matter_sha256, evidence)


def _provider_of(services: Services, token: Token | None) -> Provider:
    connection = services.sign_on.by_issuer(token.idp_issuer if token else None)
    if connection is None:
        raise Problem("sign_in_again")
    return connection.provider


def _must_be_enough(provider: Provider, clinic: Clinic | None) -> StepUp:
    """What the provider is asked for. A clinic that lets nobody sign without a second factor needs it to say how well."""
    wanted = provider.step_up
    if wanted is None or (clinic is not None and clinic.signing_needs_code and not wanted.values):
        raise Problem("step_up_not_set")
    return wanted
