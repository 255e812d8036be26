"""The accesses of a month, for the administrators of the clinic: what was found, what they say of it, and that they sign it off.

Only of their own clinic, and nobody else sees it, operators included: a finding may say whose relative somebody is. Who a finding
is about says nothing of it where the clinic has another administrator. One about a request that is shut to somebody is not there
for them, and is left to the others; where it is shut to all of them, the month goes without it. See
docs/decisions/access-reviews.md.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from uuid import UUID

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from domain.access_review import ReviewState, Rule, Verdict, must_be_settled_by_others, state_of
from domain.accounts import AccountEventKind
from domain.audit import Act
from domain.model import Frozen, Said
from domain.requests import Role
from records import access_reviews, account_events, audit, people, requests, restrictions
from records.access_reviews import Counts
from records.canonical import canonical_json
from records.models import AccessFinding, AccessReview, AccessSignOff, AccessVerdict, Account, AuditEntry, Clinic
from records.visibility import all_shut_to
from use_cases import policy
from use_cases.accesses import by
from use_cases.administrators import hand_of, shut_to_each
from use_cases.caller import Caller
from use_cases.names import Names, PersonView
from use_cases.problems import Problem
from use_cases.services import Services
from use_cases.views import View

REVIEWS_SHOWN = 60

FINDINGS_SHOWN = 100
"""On one page."""

MOST_AT_ONCE = 500
"""So many findings may get the same verdict at once."""


class NewVerdict(Frozen):
    """What somebody says of findings of one month."""

    finding_ids: tuple[UUID, ...] = Field(min_length=1, max_length=MOST_AT_ONCE)
    verdict: Verdict = Field(examples=["explained"])
    note: Said = Field(description="Why.", examples=["Remplacement de la Dre Roy, absente ce jour-là"])


class NewSignOff(Frozen):
    """The month as somebody has seen it."""

    version: int = Field(description="As the review gives it.", examples=[3])


class ReviewView(View):
    """The accesses of one month, as lists show it."""

    id: UUID
    month: date = Field(description="Its first day.")
    state: ReviewState
    made_at: datetime
    accesses: int = Field(description="How many entries of the audit were looked at.")
    findings: int
    left: int = Field(description="Findings without a verdict.")
    to_follow_up: int = Field(description="Findings of which it was said last that they are to be followed up.")
    left_out: int = Field(description="Findings that were too many to be listed.")
    waits_for_others: bool = Field(
        description="Something that you are not shown waits for another administrator of the clinic: until they have said what "
        "it is, the month is not signed off."
    )
    version: int = Field(description="Grows with each verdict; a sign-off names it.")


class VerdictView(View):
    """What was said of a finding."""

    verdict: Verdict
    note: str | None = Field(description="Null where it does not open any more: the request was destroyed.")
    about_self: bool = Field(description="They said it of themselves: the clinic had no other administrator.")
    given_by: PersonView | None
    given_at: datetime


class ActView(View):
    """An entry of the audit that belongs to a finding."""

    at: datetime
    what: Act
    name: str | None = Field(description="By which route, or the code of a failure.")
    request_id: UUID | None = Field(description="Null also where the clinic has nothing to do with it.")


class FindingView(View):
    """Acts of one person that meet a rule."""

    id: UUID
    rule: Rule
    person: PersonView | None
    system: bool
    request_id: UUID | None
    request_number: str | None = Field(description="Null where there is none, or it was destroyed.")
    elsewhere: bool = Field(description="It is a request with which the clinic has nothing to do, and is not named.")
    day: date = Field(description="In the clinic's time zone, of the first act.")
    number: int = Field(description="How many acts.")
    first_at: datetime
    last_at: datetime
    verdicts: list[VerdictView] = Field(description="The last one counts.")
    others_only: bool = Field(description="It is about you, and another administrator has to say what it is.")


class SignOffView(View):
    """That somebody signed the month off."""

    signed_by: PersonView | None
    signed_at: datetime
    about_self: int = Field(description="Findings that somebody settled about themselves.")
    current: bool = Field(description="Nothing was said since.")
    sha256: str = Field(description="Of what was signed: the findings with what was said of them last.")


class WholeReview(ReviewView):
    """A month with a page of its findings, in their order: the gravest first."""

    rules: dict[Rule, int] = Field(description="How many findings by each rule.")
    page: list[FindingView]
    next: UUID | None = Field(description="The last finding of this page, where others follow.")
    sign_offs: list[SignOffView]


class WholeFinding(FindingView):
    """A finding with its acts."""

    review_id: UUID
    month: date
    entries: list[ActView] = Field(description="The first of them.")


async def list_reviews(services: Services, caller: Caller) -> list[ReviewView]:
    """The months of the caller's clinic, the newest first. Raises Problem `forbidden`."""
    policy.must_have_role(caller, Role.CLINIC_ADMINISTRATOR)
    async with services.database.session() as session:
        found = await access_reviews.reviews_of(session, caller.clinic_id, limit=REVIEWS_SHOWN)
        return await _views(session, caller, await _shut_of(session, caller), found)


async def count_waiting(services: Services, caller: Caller) -> int:
    """How many months of the clinic nobody has signed off as they are now; 0 for who has nothing to do with it."""
    if Role.CLINIC_ADMINISTRATOR not in caller.roles:
        return 0
    async with services.database.session() as session:
        shut = await _shut_of(session, caller)
        return len(await access_reviews.waiting_since(session, caller.clinic_id, shut.to_all))


async def read_review(
    services: Services,
    caller: Caller,
    review_id: UUID,
    *,
    rule: Rule | None = None,
    only_open: bool = False,
    after: UUID | None = None,
) -> WholeReview:
    """A month with its findings, or those of one rule, or without a verdict; a page.

    Raises Problem `forbidden` or `not_found`.
    """
    async with services.database.session() as session:
        review, shut = await _own(session, caller, review_id), await _shut_of(session, caller)
        page = await access_reviews.findings_of(
            session,
            review_id,
            rule=rule,
            only_open=only_open,
            after=after,
            limit=FINDINGS_SHOWN + 1,
            without=shut.to_caller,
        )
        shown = page[:FINDINGS_SHOWN]
        [view] = await _views(session, caller, shut, [review])
        return WholeReview(
            **dict(view),
            rules=await access_reviews.rules_of(session, review_id, shut.to_caller),
            page=await _finding_views(session, caller, shut, shown),
            next=shown[-1].id if len(page) > len(shown) else None,
            sign_offs=await _sign_off_views(session, view),
        )


async def read_finding(services: Services, caller: Caller, review_id: UUID, finding_id: UUID) -> WholeFinding:
    """A finding with its acts. Raises Problem `forbidden` or `not_found`."""
    async with services.database.session() as session:
        review, shut = await _own(session, caller, review_id), await _shut_of(session, caller)
        [finding] = await _findings(session, review_id, [finding_id], shut)
        [view] = await _finding_views(session, caller, shut, [finding])
        entries = await access_reviews.entries_named(session, finding.entries)
        known = await _known(session, caller, shut, entries)
        return WholeFinding(
            **dict(view),
            review_id=review_id,
            month=review.month,
            entries=[
                ActView(
                    at=one.at,
                    what=one.kind,
                    name=one.name,
                    request_id=one.request_id if one.request_id in known else None,
                )
                for one in entries
            ],
        )


async def settle(services: Services, caller: Caller, review_id: UUID, new: NewVerdict) -> WholeReview:
    """Say the same of these findings. What they say again, word by word, changes nothing; anything else is one more verdict.

    Raises Problem `forbidden`, `not_found`, or `about_yourself` where somebody else has to say it.
    """
    async with services.database.session() as session:
        await _own(session, caller, review_id)
        await people.lock_clinic(session, caller.clinic_id)  # one after the other
        shut = await _shut_of(session, caller)
        findings = await _findings(session, review_id, new.finding_ids, shut)
        if any(shut.must_be_settled_by_others(one, caller) for one in findings):
            raise Problem("about_yourself")
        said = await access_reviews.verdicts_on(session, new.finding_ids)
        known = await _known(session, caller, shut, findings)
        now = datetime.now(UTC)
        for one in findings:
            before = said.get(one.id, [])
            if not await _says_again(session, caller, before, new):
                request_id = await _seals_with(session, one.request_id, known)
                await _add_verdict(session, caller, one, request_id, len(before) + 1, new, now)
        audit.add(session, Act.CHANGE, by(caller), now, name="accesses_settled", object_id=review_id)
    return await read_review(services, caller, review_id)


async def sign_off(services: Services, caller: Caller, review_id: UUID, new: NewSignOff) -> WholeReview:
    """Sign the month off as it was seen: everything on it has a verdict. Signed off as it is, it stays so.

    Raises Problem `forbidden`, `not_found`, `access_review_changed`, or `access_review_open` while something waits for a verdict.
    """
    async with services.database.session() as session:
        review = await _own(session, caller, review_id)
        await people.lock_clinic(session, caller.clinic_id)
        shut = await _shut_of(session, caller)
        counts = (await access_reviews.counts_of(session, [review_id], shut.to_all))[review_id]
        if new.version != counts.verdicts:
            raise Problem("access_review_changed")
        state = _state(counts)
        if state is ReviewState.OPEN:
            raise Problem("access_review_open")
        if state is ReviewState.TO_SIGN_OFF:
            await _sign(session, caller, review, shut, counts.verdicts)
    return await read_review(services, caller, review_id)


async def _sign(session: AsyncSession, caller: Caller, review: AccessReview, shut: "_Shut", verdicts: int) -> None:
    now = datetime.now(UTC)
    findings = await access_reviews.findings_of(session, review.id, without=shut.to_all)
    last = await access_reviews.last_verdicts(session, review.id)
    earlier = await access_reviews.sign_offs_of(session, review.id)
    session.add(
        AccessSignOff(
            review_id=review.id,
            number=len(earlier) + 1,
            verdicts=verdicts,
            sha256=digest_of(review, findings, last),
            about_self=sum(one.about_self for one in last.values()),
            signed_by=caller.id,
            signed_at=now,
        )
    )
    clinic = await session.get_one(Clinic, review.clinic_id)
    month = {"month": [review.month.strftime("%Y-%m")]}
    account_events.note(session, AccountEventKind.ACCESSES_SIGNED_OFF, clinic, hand_of(caller), now, month)


def digest_of(review: AccessReview, findings: Sequence[AccessFinding], last: dict[UUID, AccessVerdict]) -> str:
    """The SHA-256 of a month as it is signed off: of each finding its acts, and what was said of it last, by whom.

    Not by which rule acts with a request are listed: that is forgotten with the request, and the digest stays.
    """
    told = {
        "review": str(review.id),
        "month": review.month.isoformat(),
        "accesses": review.accesses,
        "left_out": review.left_out,
        "findings": [
            [
                *(str(one.id), str(one.account_id), None if one.request_id else one.rule, one.day.isoformat()),
                *(one.request_id and str(one.request_id), one.number, [str(entry) for entry in one.entries]),
                *(at.astimezone(UTC).isoformat() for at in (one.first_at, one.last_at)),
                *(last[one.id].number, last[one.id].verdict, str(last[one.id].given_by)),
            ]
            for one in sorted(findings, key=lambda one: one.id)
        ],
    }
    return hashlib.sha256(canonical_json(told)).hexdigest()


async def _own(session: AsyncSession, caller: Caller, review_id: UUID) -> AccessReview:
    """The review, for an administrator of its clinic. Raises Problem `forbidden` or `not_found`."""
    policy.must_have_role(caller, Role.CLINIC_ADMINISTRATOR)
    review = await access_reviews.load_review(session, review_id)
    if review is None or review.clinic_id != caller.clinic_id:
        raise Problem("not_found")
    return review


@dataclass(frozen=True)
class _Shut:
    """The requests that restrictions shut to the caller; and to each administrator of the clinic, the caller too. And those that
    the caller has shut to others.
    """

    to_caller: set[UUID]
    to_each: Mapping[Account, Collection[UUID]]
    by_caller: Collection[UUID]

    @property
    def to_all(self) -> Collection[UUID]:
        """What no administrator of the clinic is shown: a month goes without it."""
        return {id_ for id_ in self.to_caller if all(id_ in shut for shut in self.to_each.values())}

    def must_be_settled_by_others(self, finding: AccessFinding, caller: Caller) -> bool:
        """The same as the rule says, among the administrators who are shown the finding. Who has shut the request to the others
        gets no say about themselves by that: it waits.
        """
        by_caller = finding.request_id in self.by_caller
        shown = [one.id for one, shut in self.to_each.items() if by_caller or finding.request_id not in shut]
        return must_be_settled_by_others(finding.account_id, caller.id, shown)


async def _shut_of(session: AsyncSession, caller: Caller) -> _Shut:
    return _Shut(
        await all_shut_to(session, caller.viewer),
        await shut_to_each(session, caller.clinic_id),
        await restrictions.set_by(session, caller.id),
    )


async def _findings(session: AsyncSession, review_id: UUID, ids: Collection[UUID], shut: _Shut) -> list[AccessFinding]:
    """These findings, which are of that review. Raises Problem `not_found`."""
    shown = await access_reviews.findings_of(session, review_id, without=shut.to_caller)
    found = {one.id: one for one in shown}
    if not found.keys() >= set(ids):
        raise Problem("not_found")
    return [found[id_] for id_ in dict.fromkeys(ids)]


async def _says_again(session: AsyncSession, caller: Caller, before: Sequence[AccessVerdict], new: NewVerdict) -> bool:
    last = before[-1] if before else None
    if last is None or (last.given_by, last.verdict) != (caller.id, new.verdict):
        return False
    return (await access_reviews.notes_of(session, [last]))[last.finding_id, last.number] == new.note


async def _known(
    session: AsyncSession, caller: Caller, shut: _Shut, named: Iterable[AccessFinding | AuditEntry]
) -> set[UUID]:
    """Those of the requests that the caller's clinic may know of, without what is shut to the caller."""
    ids = {one.request_id for one in named if one.request_id}
    return await access_reviews.known_to(session, caller.clinic_id, ids) - shut.to_caller


async def _seals_with(session: AsyncSession, request_id: UUID | None, known: Collection[UUID]) -> UUID | None:
    """With the key of which request a note is sealed; None where that is destroyed, or the clinic has nothing to do with it."""
    if request_id is not None and request_id in known and await requests.keep_while_named(session, request_id):
        return request_id
    return None


async def _add_verdict(
    session: AsyncSession,
    caller: Caller,
    finding: AccessFinding,
    request_id: UUID | None,
    number: int,
    new: NewVerdict,
    now: datetime,
) -> None:
    verdict = AccessVerdict(
        finding_id=finding.id,
        number=number,
        review_id=finding.review_id,
        request_id=request_id,
        verdict=new.verdict,
        note={"said": new.note},
        about_self=finding.account_id == caller.id,
        given_by=caller.id,
        given_at=now,
    )
    session.add(verdict)


# Views


def _left(counts: Counts) -> int:
    return counts.findings - counts.settled


def _state(counts: Counts) -> ReviewState:
    return state_of(findings=counts.findings, settled=counts.settled, verdicts=counts.verdicts, signed=counts.signed)


async def _views(session: AsyncSession, caller: Caller, shut: _Shut, found: Sequence[AccessReview]) -> list[ReviewView]:
    ids = [one.id for one in found]
    counts = await access_reviews.counts_of(session, ids, shut.to_caller)
    whole = await access_reviews.counts_of(session, ids, shut.to_all) if shut.to_caller else counts
    follow_up = await access_reviews.to_follow_up(session, caller.clinic_id, shut.to_caller)
    return [
        ReviewView(
            id=one.id,
            month=one.month,
            state=_state(whole[one.id]),
            made_at=one.made_at,
            accesses=one.accesses,
            findings=counts[one.id].findings,
            left=_left(counts[one.id]),
            to_follow_up=follow_up.get(one.id, 0),
            left_out=one.left_out,
            waits_for_others=_left(whole[one.id]) > _left(counts[one.id]),
            version=counts[one.id].verdicts,
        )
        for one in found
    ]


async def _finding_views(
    session: AsyncSession, caller: Caller, shut: _Shut, findings: Sequence[AccessFinding]
) -> list[FindingView]:
    said = await access_reviews.verdicts_on(session, [one.id for one in findings])
    verdicts = [verdict for of_one in said.values() for verdict in of_one]
    notes = await access_reviews.notes_of(session, verdicts)
    named = [*(one.account_id for one in findings), *(one.given_by for one in verdicts)]
    names = await Names.load(session, named, [])
    known = await _known(session, caller, shut, findings)
    numbers = await access_reviews.numbers_of(session, known)
    return [
        FindingView(
            id=one.id,
            rule=one.rule,
            person=names.person(one.account_id),
            system=names.is_system(one.account_id),
            request_id=one.request_id if one.request_id in known else None,
            request_number=numbers.get(one.request_id) if one.request_id else None,
            elsewhere=one.request_id is not None and one.request_id not in known,
            day=one.day,
            number=one.number,
            first_at=one.first_at,
            last_at=one.last_at,
            verdicts=[
                VerdictView(
                    verdict=verdict.verdict,
                    note=notes[verdict.finding_id, verdict.number],
                    about_self=verdict.about_self,
                    given_by=names.person(verdict.given_by),
                    given_at=verdict.given_at,
                )
                for verdict in said.get(one.id, [])
            ],
            others_only=shut.must_be_settled_by_others(one, caller),
        )
        for one in findings
    ]


async def _sign_off_views(session: AsyncSession, review: ReviewView) -> list[SignOffView]:
    found = await access_reviews.sign_offs_of(session, review.id)
    is_as_signed = review.state is ReviewState.SIGNED_OFF
    names = await Names.load(session, [one.signed_by for one in found], [])
    return [
        SignOffView(
            signed_by=names.person(one.signed_by),
            signed_at=one.signed_at,
            about_self=one.about_self,
            current=is_as_signed and one.verdicts == review.version,
            sha256=one.sha256,
        )
        for one in found
    ]
