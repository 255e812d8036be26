"""A record system opens Relais for who works with it, with the patient who is open there (SMART App Launch).

What it says is read once and kept sealed, without its tokens, for as long as a session lives at most: first for the browser that
came, then for the account that goes on with it, and nobody else. A session never begins by it without a press here, and nothing
is saved: a draft is made when something is written into it. ([decision](../docs/decisions/launches.md))
"""

import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from domain.audit import Act
from domain.loose import line_of
from domain.said_patients import is_said_to_be_dead, said_patient
from records import audit, people
from records import same_patient as found
from records import sign_on as records
from records.account_events import Hand
from records.hidden import hidden
from records.models import Account, Json, Side, SignOnAttempt
from sign_on.connection import Answer, Secrets
from sign_on.id_tokens import Identity
from sign_on.launches import NO_PATIENT, Launched, RecordConnection
from sign_on.providers import Label, RecordSystem
from sign_on.refused import AwayError, RefusedError
from translations import Language
from use_cases import sign_in as signing_in
from use_cases.accesses import by
from use_cases.account_letters import send
from use_cases.attempts import ANSWERED_WITHIN, Begun, Browser, Purpose, away, refused, take, write_down
from use_cases.caller import Caller
from use_cases.patients import Patient
from use_cases.problems import Problem
from use_cases.received_forms import patient_fitted
from use_cases.requests import RequestSummary, summaries
from use_cases.same_patient import log_finds
from use_cases.services import Services
from use_cases.sign_in import BearerToken
from use_cases.sign_on import link_in, prove_to_link, session_of
from use_cases.ways_in import may_come_by_launch, must_use_passwords

LAUNCH_PATH = "/launch"
"""The address by which record systems open Relais."""

RETURN_PATH = "/launch/{code}/return"
"""Where a record system sends browsers back to: one for each, as of providers."""

LONGEST_KEY = 100
"""Characters of the key by which a launch goes on; ours have fewer."""

MOST_SAID = 2_000
"""Characters of what a record system calls itself, or a launch."""


_NOT_LET_IN = frozenset(
    {
        *("not_linked", "launch_not_for_clinic", "launch_by_another", "identity_taken", "forbidden"),
        *("sign_on_required", "password_first"),
    }
)


@dataclass(frozen=True)
class Opened:
    """Who has come, before it is settled for whom it goes on: at which record system, `as_whom` they are linked with it here.

    `signed_in` is whose session the browser has; `may_begin`, whether the record system's word alone begins one, of who is linked
    or would be. Else they sign in as usual first.
    """

    code: str
    label: Label
    as_whom: Account | None
    signed_in: Account | None
    may_begin: bool


@dataclass(frozen=True)
class LaunchedPatient:
    """The patient who is open in a record system, and the requests about probably the same one whose chart the caller may see.

    `lines` are (name, text) of what the record system says and a form does not take.
    """

    label: Label
    patient: Patient
    is_dead: bool
    lines: Sequence[tuple[str, str]]
    requests: Sequence[RequestSummary] = field(repr=False)


async def begin_launch(services: Services, iss: str, launch: str, cookie: str | None) -> Begun:
    """On to the record system, to ask who it is and with which patient. Nobody is asked who is not known.

    Raises Problem `launch_unknown`, `launch_not_valid`, or `launch_away`.
    """
    connection = services.sign_on.by_fhir(iss) if len(iss) <= MOST_SAID else None
    if connection is None:
        raise Problem("launch_unknown")
    if not 0 < len(launch) <= MOST_SAID or not launch.isprintable():
        raise Problem("launch_not_valid")
    code, own = connection.provider.code, Secrets()
    try:
        address = await connection.address_to_launch(own, return_address(services, code), launch)
    except AwayError as error:
        away(code, error, code="launch_away")
    return await write_down(services, code, Purpose.LAUNCH, cookie, own, address, {})


async def finish_launch(services: Services, code: str, answer: Answer, browser: Browser) -> str:
    """Take what the record system says. Gives the key by which this browser goes on (`open_launch`).

    Raises Problem `not_found`, `sign_on_expired`, `launch_denied`, `launch_without_patient`, `launch_failed`, or `launch_away`;
    of who links themselves, `launch_by_another` or `identity_taken`, too.
    """
    connection = _connection_of(services, code)
    attempt = await take(services, code, browser, answer.state)
    own = Secrets(state=answer.state, nonce=attempt.nonce, verifier=attempt.verifier)
    redirect = return_address(services, code)
    try:
        if attempt.purpose == Purpose.LINK:
            begun_at = attempt.expires_at - ANSWERED_WITHIN
            identity = await connection.identity_anew(answer, own, redirect, begun_at)
            async with refusals_noted(services, browser):
                await _link(services, attempt, identity, browser)
            return str(attempt.said["key"])
        launched = await connection.launched_by(answer, own, redirect)
    except AwayError as error:
        away(code, error, code="launch_away")
    except RefusedError as error:
        problem = "launch_without_patient" if error.reason == NO_PATIENT else "launch_failed"
        await signing_in.note_failed(services, None, browser.origin, problem)
        refused(code, error, problem, denied="launch_denied")
    return await _keep(services, connection.provider, launched, browser)


@asynccontextmanager
async def refusals_noted(services: Services, browser: Browser) -> AsyncIterator[None]:
    """Who comes from a record system and is not let in is written down, with why."""
    try:
        yield
    except Problem as problem:
        if problem.code in _NOT_LET_IN:
            await signing_in.note_failed(services, browser.account, browser.origin, problem.code)
        raise


async def _keep(services: Services, system: RecordSystem, launched: Launched, browser: Browser) -> str:
    """Keep what was said, under a key for this browser."""
    key, now = secrets.token_urlsafe(32), datetime.now(UTC)
    kept: Json = {
        "browser": hidden(browser.cookie),
        "identity": _identity_kept(launched.identity),
        "patient": _lines_of(said_patient(launched.patient, system.chart_number_system)),
        "is_dead": is_said_to_be_dead(launched.patient),
    }
    async with services.database.session() as session:
        attempt = SignOnAttempt(
            sha256=_place(key),
            provider=system.code,
            purpose=Purpose.LAUNCHED,
            nonce="",
            verifier="",
            said=kept,
            account_id=None,
            expires_at=now + ANSWERED_WITHIN,
        )
        await records.add_attempt(session, attempt)
    return key


async def open_launch(services: Services, key: str, browser: Browser) -> Opened | None:
    """Who has come; None when it is settled for whom it goes on, who is signed in here.

    It is settled at once where whose session the browser has is who the record system says.
    Raises Problem `launch_over`; `not_authenticated` for who is signed out meanwhile; `not_linked`, `not_for_clinic`, or
    `launch_by_another` for who can't go on.
    """
    async with services.database.session() as session:
        kept = await _kept(session, key)
        if kept.account_id is not None:
            if browser.account is None:
                raise Problem("not_authenticated")
            if kept.account_id != browser.account.id:
                raise Problem("launch_over")
            return None
        _must_be_of(kept, browser)
        opened = await _opened(services, session, kept, browser)
        if opened.as_whom is not None and opened.signed_in is not None and opened.as_whom.id == opened.signed_in.id:
            await _settle(services, session, kept, opened.as_whom)
            return None
        return opened


async def begin_session(services: Services, key: str, browser: Browser) -> BearerToken | None:
    """Go on as who the record system says: a session of theirs begins, in place of any other in this browser.

    A launch begins one session, however often it is pressed: None for who is signed in by it already.
    Raises as `open_launch` does, and Problem `not_authenticated` for who has to sign in as usual first.
    """
    async with services.database.session() as session:
        kept = await _kept(session, key)
        if kept.account_id is not None and browser.account is not None and kept.account_id == browser.account.id:
            return None
        _must_be_of(kept, browser)
        opened = await _opened(services, session, kept, browser)
        account = opened.as_whom
        if account is None:
            raise Problem("not_linked")
        if not opened.may_begin:
            raise Problem("not_authenticated")
        if not await records.give_to(session, kept.sha256, account.id, _until(services)):
            raise Problem("launch_over")
        identity = _identity_of(kept.said["identity"])
    return await session_of(services, account, identity, browser, f"launch {kept.provider}")


async def go_on(services: Services, caller: Caller, key: str, browser: Browser) -> None:
    """Who is signed in says that it is they whom the record system does not know here, and goes on.

    Which identity that was is written down, as what can be compared with one and tells none. Raises as `open_launch` does.
    """
    async with services.database.session() as session:
        kept = await _unlinked(services, session, key, browser)
        await _settle(services, session, kept, caller.account)
        who = _identity_of(kept.said["identity"])
        content = {"identity_sha256": hidden(f"{who.issuer}\n{who.subject}")}
        audit.add(session, Act.CHANGE, by(caller), datetime.now(UTC), name=f"launch {kept.provider}", content=content)


async def begin_to_link(
    services: Services, caller: Caller, key: str, browser: Browser, password: str, factor_code: str
) -> Begun:
    """Link who the record system says with the caller's account, and go on: from then on its word is enough.

    They sign in there anew: the chart may have been opened in the session of a colleague, who would come in here by it.
    Raises as `open_launch` and `prove_to_link` do, and Problem `sign_on_required` for who has no password that counts, or
    `launch_away`.
    """
    await _must_prove_by_password(services, caller.account)
    await prove_to_link(services, caller, password, factor_code)
    async with services.database.session() as session:
        code = (await _unlinked(services, session, key, browser, to_link=True)).provider
    connection, own = _connection_of(services, code), Secrets()
    try:
        address = await connection.address_to_link(own, return_address(services, code))
    except AwayError as error:
        away(code, error, code="launch_away")
    return await write_down(services, code, Purpose.LINK, browser.cookie, own, address, {"key": key}, caller.id)


async def _link(services: Services, attempt: SignOnAttempt, identity: Identity, browser: Browser) -> None:
    account, key, now = browser.account, str(attempt.said["key"]), datetime.now(UTC)
    if account is None or account.id != attempt.account_id:
        raise Problem("sign_on_expired")
    await _must_prove_by_password(services, account)
    async with services.database.session() as session:
        kept = await _unlinked(services, session, key, browser, to_link=True)
        opened_by = _identity_of(kept.said["identity"])
        if (identity.issuer, identity.subject) != (opened_by.issuer, opened_by.subject):
            raise Problem("launch_by_another")
        hand = Hand(account.id, Side.PORTAL, browser.origin.address)
        letters = await link_in(session, account, identity, kept.provider, hand, now)
        await _settle(services, session, kept, account)
    await send(services, letters)


async def _must_prove_by_password(services: Services, account: Account) -> None:
    await must_use_passwords(services, account)
    if not account.has_password:
        raise Problem("password_first")


async def _unlinked(
    services: Services, session: AsyncSession, key: str, browser: Browser, *, to_link: bool = False
) -> SignOnAttempt:
    """A launch by somebody who is linked with nobody here, in this browser. Nobody links who could not come in by it."""
    kept = await _kept(session, key)
    _must_be_of(kept, browser)
    opened = await _opened(services, session, kept, browser)
    if opened.as_whom is not None:
        raise Problem("launch_by_another")
    if to_link and not opened.may_begin:
        raise Problem("forbidden")
    return kept


async def read_launched(services: Services, caller: Caller, key: str, language: Language) -> LaunchedPatient:
    """The patient who is open there, and the requests about them; that they were shown, and by which launch, is written down.

    Raises Problem `launch_over`.
    """
    async with services.database.session() as session:
        kept = await _kept(session, key)
        if kept.account_id != caller.id:
            raise Problem("launch_over")
        patient, lines = patient_fitted(kept.said["patient"], language)
        rows = await found.same_patient(session, caller.viewer, patient.model_dump(mode="json"))
        await log_finds(session, caller, rows)
        shown = [row.request.id for row in rows]
        audit.add(session, Act.LIST, by(caller), datetime.now(UTC), name=f"launch {kept.provider}", shown=shown)
        requests = await summaries(session, caller, rows, language)
        is_dead = bool(kept.said["is_dead"])
    label = _connection_of(services, kept.provider).provider.label
    return LaunchedPatient(label, patient, is_dead, [(line.label, line.text) for line in lines], requests)


async def patient_to_begin(services: Services, caller: Caller, key: str) -> Patient | None:
    """The patient with whom a draft begins; None when the launch is over. Raises Problem `launch_over` for somebody else's."""
    async with services.database.session() as session:
        kept = await records.find_launched(session, _place(key), Purpose.LAUNCHED, datetime.now(UTC))
        if kept is None:
            return None
        if kept.account_id != caller.id:
            raise Problem("launch_over")
        return patient_fitted(kept.said["patient"], caller.language)[0]


def return_address(services: Services, code: str) -> str:
    """Where the record system sends browsers back to."""
    return services.settings.public_url.rstrip("/") + RETURN_PATH.format(code=code)


def _connection_of(services: Services, code: str) -> RecordConnection:
    connection = services.sign_on.record_systems.get(code)
    if connection is None:
        raise Problem("not_found")
    return connection


async def _kept(session: AsyncSession, key: str) -> SignOnAttempt:
    kept = await records.find_launched(session, _place(key), Purpose.LAUNCHED, datetime.now(UTC))
    if kept is None:
        raise Problem("launch_over")
    return kept


def _must_be_of(kept: SignOnAttempt, browser: Browser) -> None:
    """Until it is somebody's, only the browser that came goes on, whoever else has its address."""
    if kept.said["browser"] != hidden(browser.cookie):
        raise Problem("launch_over")


async def _opened(services: Services, session: AsyncSession, kept: SignOnAttempt, browser: Browser) -> Opened:
    system = _connection_of(services, kept.provider).provider
    identity = _identity_of(kept.said["identity"])
    account = await records.account_linked_with(session, identity.issuer, identity.subject)
    if account is not None and not account.active:
        raise Problem("not_linked")
    who, may_begin = account or browser.account, False
    if who is not None:
        clinic = await people.load_clinic(session, who.clinic_id)
        if clinic is None or not system.is_for(clinic.code):
            raise Problem("launch_not_for_clinic")
        may_begin = may_come_by_launch(services, system, clinic, who.roles)
    if (
        account is None
        and browser.account is not None
        and (await records.identity_at(session, browser.account.id, identity.issuer))
    ):
        raise Problem("launch_by_another")  # there, who is signed in here is known as somebody else
    return Opened(system.code, system.label, account, browser.account, may_begin)


async def _settle(services: Services, session: AsyncSession, kept: SignOnAttempt, account: Account) -> None:
    """From now on it is that account's, whose session the browser has. Raises Problem `launch_over` where it is another's."""
    if not await records.give_to(session, kept.sha256, account.id, _until(services)):
        await session.refresh(kept)  # pressed twice, it is theirs already
        if kept.account_id != account.id:
            raise Problem("launch_over")


def _until(services: Services) -> datetime:
    """As long as a session lives at most: a form that is begun late needs it."""
    return datetime.now(UTC) + timedelta(hours=services.settings.token_hours)


def _place(key: str) -> str:
    """No line is broken in it, as in the place of every sign-in that is still to be answered."""
    return hidden(f"launched {key}")


def _lines_of(said: Mapping[str, Any]) -> Json:
    """What is said of a patient, each as one line, whatever it was meant to be."""
    return {name: line for name, value in said.items() if (line := line_of(value))}


def _identity_kept(identity: Identity) -> Json:
    """Without the token."""
    at = identity.auth_time
    return {
        "issuer": identity.issuer,
        "subject": identity.subject,
        "sid": identity.sid,
        "auth_time": at.isoformat() if at else None,
        "acr": identity.acr,
        "amr": list(identity.amr),
        "email": identity.email,
    }


def _identity_of(kept: Mapping[str, Any]) -> Identity:
    at = kept["auth_time"]
    return Identity(
        issuer=kept["issuer"],
        subject=kept["subject"],
        token="",
        sid=kept["sid"],
        auth_time=datetime.fromisoformat(at) if at else None,
        acr=kept["acr"],
        amr=tuple(kept["amr"]),
        email=kept["email"],
    )
