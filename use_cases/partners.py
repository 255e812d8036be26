"""Partners: systems of clinics that send requests as messages (`messages:send`), and for whom each message asks."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field, StringConstraints, field_validator
from pydantic_core import PydanticCustomError
from sqlalchemy.ext.asyncio import AsyncSession

from domain.accounts import AccountEventKind
from domain.messages import ONTARIO
from domain.model import ONE_LINE, SAYS_SOMETHING, Frozen, KeptName
from domain.offerings import Code
from domain.requests import Role
from domain.texts import composed, plain
from records import partners, people
from records.models import Account, Partner
from translations import LANGUAGES
from translations import gettext_noop as _
from translations.problems import PROBLEMS
from use_cases import partner_endpoints, policy
from use_cases.administrators import Administrator
from use_cases.caller import Caller
from use_cases.names import full_name
from use_cases.partner_endpoints import EndpointSummary, EndpointTerms, EndpointView
from use_cases.problems import FieldFault, Problem
from use_cases.said import Licence
from use_cases.service_accounts import changing, system_to_see
from use_cases.services import Services
from use_cases.views import View

LATELY = timedelta(days=7)

MOST_NAMES = 200
"""Names that a partner has for service offerings."""

_NO_LIAISON = _("This person does not ask for advice at the clinic (any more).")
_OTHER_PERFORMS = _("Another system answers for this clinic already.")


System = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500), ONE_LINE, SAYS_SOMETHING
]
"""A system of codes or identifiers, as it is said now."""

_EVENT_SYSTEM = "The system of the event codes in what it is answered."
_LICENCE_SYSTEMS = (
    "The systems of identifiers by which the partner gives licence numbers of the clinic's college. While none is named, an "
    "identifier counts that the message calls a licence (types `MD`, `LN`, `DN`, `RN` and `NP`)."
)
_QUEBEC = "https://fhir.infoway-inforoute.ca/NamingSystem/ca-qc-license-physician"


def as_matched(name: str) -> str:
    """A name of a service, as those of messages and of terms are compared."""
    return composed(composed(name.strip()).casefold())


class _Terms(Frozen):
    """How the messages of a system are taken."""

    liaison_id: UUID = Field(
        description="The requester of the clinic for whom it asks, where the author of a message has no account there; known by "
        "the licence number."
    )
    dispatch_clinic_id: UUID | None = Field(
        None, description="The clinic whose dispatchers route its requests; its own when empty."
    )
    event_system: str = Field(ONTARIO, min_length=1, max_length=500, description=_EVENT_SYSTEM)
    language: str = Field(
        "fr", pattern=f"^({'|'.join(LANGUAGES)})$", description="Of what it is answered.", examples=["fr"]
    )
    licence_systems: list[Annotated[str, Field(min_length=1, max_length=500)]] = Field(
        [], max_length=20, description=_LICENCE_SYSTEMS, examples=[[_QUEBEC]]
    )
    default_offering: Code | None = Field(
        None, description="The service offering of a request that names no known service.", examples=["teledermatology"]
    )
    offerings: dict[KeptName, Code] = Field(
        {},
        max_length=MOST_NAMES,
        description="Which service offering a service is, by the code or the name that the partner has for it.",
        examples=[{"DERM-01": "teledermatology"}],
    )
    performs: bool = Field(
        False,
        description="Whether it answers requests: what the system's clinic is given goes to the partner by messages, to "
        "`endpoint`. One partner of a clinic at most.",
    )


class PartnerTerms(_Terms):
    """How the messages of a system are taken, and where it is told. It replaces what was said before."""

    event_system: System = Field(ONTARIO, description=_EVENT_SYSTEM)
    licence_systems: list[System] = Field([], max_length=20, description=_LICENCE_SYSTEMS, examples=[[_QUEBEC]])
    endpoint: EndpointTerms | None = Field(
        None,
        description="Where the partner is told, by messages, what becomes of its requests; it is not told when empty.",
    )

    @field_validator("offerings", mode="before")
    @classmethod
    def _mean_one_each(cls, offerings: object) -> object:
        """Before names are composed: two that are written in different ways would be one then, and one of them lost."""
        meant: dict[str, object] = {}
        for name, code in offerings.items() if isinstance(offerings, dict) else ():
            if isinstance(name, str) and meant.setdefault(as_matched(name), code) != code:
                raise PydanticCustomError("same_name", "two service offerings have the same name")
        return offerings


class PartnerView(_Terms, View):
    """How the messages of a system are taken, and where it is told."""

    dispatch_clinic_id: UUID
    endpoint: EndpointView | None
    version: int = Field(description="For If-Match: grows with each change of the service account.")
    refused_lately: int = Field(
        description="Messages of the last seven days that were refused; each stands in the log, with the code of why."
    )
    waiting: int = Field(
        description="Messages that are not answered for good yet: their sender is to send them again. Some wait for somebody "
        "here, as for a liaison whose account is locked."
    )


class PartnerSummary(View):
    """Whether a system is a partner's, and how that goes, without looking at each of its messages."""

    performs: bool
    refused_lately: int
    waiting: int
    endpoint: EndpointSummary | None


class PartnerChoices(View):
    """Whom and what the terms of a system may name now, by id."""

    liaisons: dict[UUID, str] = Field(description="The requesters of its clinic, by their names.")
    clinics: dict[UUID, str] = Field(description="Its own clinic, and those to which that may route.")


async def find_partner(services: Services, by: Administrator, account_id: UUID) -> PartnerView | None:
    """How the messages of a system are taken; None where nobody has said. Raises Problem `not_found`."""
    async with services.database.session() as session:
        account = (await system_to_see(session, by, account_id)).account
        known = await partners.load(session, account_id)
        return None if known is None else await _view(session, by, account, known)


async def summarize_partner(services: Services, by: Administrator, account_id: UUID) -> PartnerSummary | None:
    """The same in short, for a page that is looked at for something else. Raises Problem `not_found`."""
    async with services.database.session() as session:
        await system_to_see(session, by, account_id)
        known = await partners.load(session, account_id)
        if known is None:
            return None
        return PartnerSummary(
            performs=known.performs,
            refused_lately=await partners.count_refused(session, account_id, datetime.now(UTC) - LATELY),
            waiting=await partners.count_waiting(session, account_id),
            endpoint=await partner_endpoints.summary_of(session, account_id),
        )


async def read_partner(services: Services, by: Administrator, account_id: UUID) -> PartnerView:
    """The same. Raises Problem `not_found`, also where nobody has said."""
    found = await find_partner(services, by, account_id)
    if found is None:
        raise Problem("not_found")
    return found


async def list_choices(services: Services, by: Administrator, account_id: UUID) -> PartnerChoices:
    """Whom and what the terms of a system may name, as `keep_partner` takes them. Raises Problem `not_found`."""
    async with services.database.session() as session:
        account = (await system_to_see(session, by, account_id)).account
        liaisons = await people.list_accounts(session, clinic_id=account.clinic_id, role=Role.REQUESTER)
        clinics = await people.list_clinics(session)
    own = next(clinic for clinic in clinics if clinic.id == account.clinic_id)
    routed = [clinic for clinic in clinics if policy.may_route_to(own, clinic.id)]
    return PartnerChoices(
        liaisons={one.id: full_name(one) for one in liaisons},
        clinics={clinic.id: clinic.name for clinic in sorted(routed, key=lambda clinic: clinic.id != own.id)},
    )


async def keep_partner(
    services: Services, by: Administrator, account_id: UUID, terms: PartnerTerms, expected_version: int | None
) -> PartnerView:
    """Say how its messages are taken. The same terms a second time change nothing.

    Raises Problem `not_found`, `account_changed` when somebody else was faster, `unknown_person` for a liaison who does not ask
    for advice at the system's clinic, `unknown_clinic`, `clinic_not_routed`, `unknown_offering`, `invalid_input` for a second one
    that performs, or where nobody knows to where, `clinic_has_providers` and `clinic_has_requests` where people of the clinic
    would answer besides, `partner_has_requests` where it is to perform no more while requests are with it, and what is wrong with
    where it is told.
    """
    if terms.performs and terms.endpoint is None:
        raise Problem("invalid_input", [FieldFault("endpoint", "required")])
    _check_offerings(services, terms)
    async with changing(services, by, account_id) as at:
        before = await partners.load(at.session, account_id)
        said = terms.model_dump(exclude={"endpoint"})
        said["dispatch_clinic_id"] = terms.dispatch_clinic_id or at.account.clinic_id
        others = sorted(name for name, value in said.items() if before is None or getattr(before, name) != value)
        settings = services.settings
        is_same = not others and await partner_endpoints.says_the_same(at.session, settings, account_id, terms.endpoint)
        if not is_same:
            if expected_version not in (None, at.account.version):
                raise Problem("account_changed")
            partner = Partner(account_id=account_id, **said)
            await _check(at.session, at.account.clinic_id, partner, performed=before is not None and before.performs)
            changes = _changes(before, partner, others)  # before the row is another one
            await partners.keep(at.session, partner)
            told = await partner_endpoints.keep(
                *(at.session, settings, account_id, terms.endpoint, at.now), by=by.hand.account_id
            )
            at.note(AccountEventKind.CHANGED, {**changes, **told})
    return await read_partner(services, by, account_id)  # its messages are counted while nobody waits for the clinic


def _check_offerings(services: Services, terms: PartnerTerms) -> None:
    """Raises Problem `unknown_offering`."""
    named = {f"offerings.{name}": code for name, code in terms.offerings.items()}
    if terms.default_offering is not None:
        named["default_offering"] = terms.default_offering
    unknown = [field for field, code in named.items() if code not in services.offerings]
    if unknown:
        faults = [FieldFault(field, "not_an_option", PROBLEMS["unknown_offering"]) for field in unknown]
        raise Problem("unknown_offering", faults, offerings=sorted(services.offerings))


async def turn_endpoint(services: Services, by: Administrator, account_id: UUID, *, on: bool) -> PartnerView:
    """Let messages go to where the partner is told, or nothing any more; its terms stay as they are. Twice is once.

    Raises Problem `not_found`, also where nobody has said how its messages are taken, and `partner_not_told` where nobody has
    said to where.
    """
    async with changing(services, by, account_id) as at:
        if await partners.load(at.session, account_id) is None:
            raise Problem("not_found")
        changes = await partner_endpoints.turn(at.session, account_id, at.now, on=on)
        if changes:
            at.note(AccountEventKind.CHANGED, changes)
    return await read_partner(services, by, account_id)


async def _check(session: AsyncSession, clinic_id: UUID, partner: Partner, *, performed: bool) -> None:
    """Raises Problem as `keep_partner` says."""
    own = await people.load_clinic(session, clinic_id)
    if own is None or not await _may_ask(session, partner.liaison_id, own.id):
        raise Problem("unknown_person", [FieldFault("liaison_id", "not_an_option", _NO_LIAISON)])
    if await people.load_clinic(session, partner.dispatch_clinic_id) is None:
        raise Problem("unknown_clinic")
    if not policy.may_route_to(own, partner.dispatch_clinic_id):
        raise Problem("clinic_not_routed")
    await _must_be_able_to(session, own.id, partner.account_id, performed=performed, performs=partner.performs)


def _changes(before: Partner | None, partner: Partner, others: Sequence[str]) -> Mapping[str, Any]:
    """What is noted of a change: who is the liaison, which terms are others (at first, all are), whether it performs."""
    liaison = None if before is None else str(before.liaison_id)
    performed = before is not None and before.performs
    return {
        "partner": [liaison, str(partner.liaison_id)],
        **({"partner_terms": [None, ", ".join(others)]} if others and before is not None else {}),
        **({"performs": [performed, partner.performs]} if partner.performs is not performed else {}),
    }


async def _must_be_able_to(
    session: AsyncSession, clinic_id: UUID, account_id: UUID, *, performed: bool, performs: bool
) -> None:
    """What the clinic has is all the partner's, from the first request to the last. Raises Problem as `keep_partner` says."""
    if performs and await partners.other_performs(session, clinic_id, account_id):
        raise Problem("invalid_input", [FieldFault("performs", "not_an_option", _OTHER_PERFORMS)])
    if performs and not performed:
        if await people.list_providers(session, clinic_id):
            raise Problem("clinic_has_providers")
        if await partners.has_requests(session, clinic_id, None):
            raise Problem("clinic_has_requests")
    if performed and not performs and await partners.has_requests(session, clinic_id, account_id):
        raise Problem("partner_has_requests")


async def _view(session: AsyncSession, by: Administrator, account: Account, known: Partner) -> PartnerView:
    since = datetime.now(UTC) - LATELY
    return PartnerView(
        liaison_id=known.liaison_id,
        dispatch_clinic_id=known.dispatch_clinic_id,
        event_system=known.event_system,
        language=known.language,
        default_offering=known.default_offering,
        licence_systems=known.licence_systems,
        refused_lately=await partners.count_refused(session, known.account_id, since),
        waiting=await partners.count_waiting(session, known.account_id),
        offerings=known.offerings,
        performs=known.performs,
        endpoint=await partner_endpoints.view_of(session, by, known.account_id),
        version=account.version,
    )


async def partner_of(services: Services, caller: Caller) -> Partner:
    """What is known of the partner whose system calls. Raises Problem `insufficient_scope`, `forbidden` where nobody has said."""
    if caller.system is None:
        raise Problem("insufficient_scope")
    async with services.database.statement() as session:
        known = await partners.load(session, caller.system.account.id)
    if known is None:
        raise Problem("forbidden")
    return known


async def asking(
    services: Services, caller: Caller, partner: Partner, author: str, licences: Sequence[Licence]
) -> Caller:
    """The system as it asks for the person of its clinic with one of these licences, else for the liaison.

    Only numbers count that are licences by the partner's terms; and not for somebody whose name the author does not have: the
    same number may be another province's.

    Raises Problem `unknown_person` where the liaison does not ask for advice there any more.
    """
    async with services.database.session() as session:
        for licence in licences:
            if not _counts(licence, partner):
                continue
            licensed = await partners.people_licensed(session, caller.clinic_id, licence.value)
            found = [one for one in licensed if _asks(one) and _may_be_called(one, author)]
            if len(found) == 1:
                return caller.with_account(found[0])
        liaison = await people.load_account(session, partner.liaison_id)
    return _as(caller, liaison)


def _counts(licence: Licence, partner: Partner) -> bool:
    """Whether that number is a licence, as far as the partner's terms say how it gives them."""
    return licence.system in partner.licence_systems if partner.licence_systems else licence.is_typed


def _may_be_called(account: Account, author: str) -> bool:
    """Whether the author's name has the person's family name in it, where the message names them."""
    words = _words(author)
    return not words or words >= _words(account.family_name)


def _words(name: str) -> frozenset[str]:
    """Those of a name, however it is written: of two names, some write one with a hyphen."""
    return frozenset(plain(name).replace("-", " ").split())


async def asking_again(services: Services, caller: Caller, requester_id: UUID) -> Caller:
    """The system as it speaks for whoever is the requester of one of its requests. Raises Problem `unknown_person`."""
    async with services.database.statement() as session:
        return _as(caller, await people.load_account(session, requester_id))


def _as(caller: Caller, account: Account | None) -> Caller:
    if account is None or account.clinic_id != caller.clinic_id or not _asks(account):
        raise Problem("unknown_person")
    return caller.with_account(account)


async def _may_ask(session: AsyncSession, account_id: UUID, clinic_id: UUID) -> bool:
    account = await people.load_account(session, account_id)
    return account is not None and account.clinic_id == clinic_id and _asks(account)


def _asks(account: Account) -> bool:
    return account.active and Role.REQUESTER in account.roles
