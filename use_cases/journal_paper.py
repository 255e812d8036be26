"""The paper of a person's journal: every act of the audit that names one of their requests, a line each, in plain words.

Made by a worker, for it holds the keys: read, drawn, sealed in the name of the clinic, and stored for who asked. What somebody
did within one minute with the same requests is one line, which says how often.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import groupby, zip_longest
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.exceptions import ApplicationError

from activities.contract import JournalOrder, JournalRequest, MadeJournal
from documents.authority import Authority
from documents.bounded import draw_journal
from documents.journal_content import JournalContent, Line
from documents.page import patient_lines, running_head
from domain.audit import Act, Purpose, purpose_of
from domain.calendar import midnight
from domain.requests import Role
from records import journals, people
from records.errors import NotFoundError
from records.models import Account, AccountKind, Clinic, RequestRecord, Side
from records.store import journal_key
from translations import Language, gettext_for
from translations.acts import GROUNDS, NO_WORDS, act_words
from translations.dates import day, moment
from translations.words import ROLES
from use_cases.names import full_name
from use_cases.paper import patient_printed
from use_cases.parts import Parts
from use_cases.patients import RecordedPatient
from use_cases.sealed_papers import keep, never_made, sealed
from use_cases.verification import VERIFICATION_PAGE

MOST_LINES = 5_000
"""So many lines are some two hundred pages, and a file that anybody can still have checked: that takes 8 s of a processor."""

MOST_ACTS = 10_000
"""So many entries of the audit are read at once; several of them can be one line."""

_NOTHING_IS_OLDER = date(2000, 1, 1)


@dataclass(frozen=True)
class Done:
    """One act, as far as the journal may tell of it: who did it, what, for what, and with which requests, by their numbers."""

    at: datetime
    who: tuple[str, ...]
    what: str
    ground: str
    requests: tuple[str, ...]
    account_id: UUID | None = None


@dataclass(frozen=True)
class Read:
    """What the records say."""

    order: JournalOrder
    clinic: Clinic
    zone: ZoneInfo
    rows: Mapping[UUID, RequestRecord]
    things: Mapping[UUID, UUID]
    acts: Sequence[Any]
    accounts: Mapping[UUID, Account]
    clinics: Mapping[UUID, Clinic]
    patient: RecordedPatient | None


async def make_journal(parts: Parts, authority: Authority, order: JournalOrder) -> MadeJournal:
    """Make the journal and store it; a second try leaves what the first has stored.

    Raises what the database and the store raise when they are away, NoVerdictError (`confined`), and an ApplicationError that is
    not tried again, `journal_not_made`, where it can't be drawn or sealed.
    """
    async with parts.database.session() as session:
        read = await read_acts(session, order)
    if len(read.acts) > MOST_ACTS:
        return MadeJournal(lines=len(read.acts), too_long=True)
    verified_at = parts.settings.public_url.rstrip("/") + VERIFICATION_PAGE
    content = await asyncio.to_thread(content_of, read, verified_at)  # a long one takes seconds
    made = MadeJournal(lines=len(content.lines))
    key = journal_key(order.about, order.clinic_id, order.id)
    if made.lines > MOST_LINES:
        return MadeJournal(lines=made.lines, too_long=True)
    with never_made("journal_not_made"):
        drawn = await draw_journal(content)
        pdf = await sealed(parts.database, authority, drawn, read.clinic, reason=content.title, at=datetime.now(UTC))
    await keep(parts.store, key, pdf)
    return made


async def read_acts(session: AsyncSession, order: JournalOrder) -> Read:
    """What the records say of these requests. Raises an ApplicationError that is not tried again when they are gone."""
    clinic = await people.load_clinic(session, order.clinic_id)
    if clinic is None:
        raise NotFoundError("the clinic is gone")
    zone = await people.zone_of(session, clinic.id)
    ids = [one.request_id for one in order.requests]
    rows = {row.id: row for row in await journals.rows_of(session, ids)}
    since, until = span_of(order, zone)
    acts = await journals.acts_of(session, ids, since, until, MOST_ACTS + 1)
    accounts = await people.accounts_by_id(session, _accounts_named(acts))
    clinics = await people.clinics_by_id(session, _clinics_named(acts, accounts, rows.values()))
    if order.about not in rows:
        raise ApplicationError("the request is gone", type="journal_not_made", non_retryable=True)
    is_whole = any(one.whole for one in order.requests if one.request_id == order.about)
    return Read(
        order=order,
        clinic=clinic,
        zone=zone,
        rows=rows,
        things=await journals.things_of(session, ids),
        acts=acts,
        accounts=accounts,
        clinics=clinics,
        patient=await _patient(session, rows[order.about]) if is_whole else None,
    )


async def _patient(session: AsyncSession, row: RequestRecord) -> RecordedPatient | None:
    forms = (await journals.forms_of(session, [row]))[row.id]
    return RecordedPatient.model_validate(forms[-1].content["patient"]) if forms else None


def _accounts_named(acts: Iterable[Any]) -> set[UUID]:
    return {id_ for act in acts for id_ in (act.account_id, act.for_account_id) if id_}


def _clinics_named(acts: Iterable[Any], accounts: Mapping[UUID, Account], rows: Iterable[RequestRecord]) -> set[UUID]:
    spoken_for = {act.clinic_id for act in acts if act.clinic_id}
    asked = {row.requester_clinic_id for row in rows}
    return spoken_for | asked | {account.clinic_id for account in accounts.values()}


def span_of(order: JournalOrder, zone: ZoneInfo) -> tuple[datetime | None, datetime]:
    """From the first moment of the first day to the last of the last, where the clinic is; never beyond when it was asked for."""
    last = order.before.astimezone(zone).date()
    since = (
        midnight(min(order.since, last + timedelta(days=1)), zone)
        if order.since and order.since > _NOTHING_IS_OLDER
        else None
    )
    until = midnight(order.until + timedelta(days=1), zone) if order.until and order.until < last else order.before
    return since, until


# What is told


def content_of(read: Read, verified_at: str) -> JournalContent:
    """What stands on the paper."""
    order, language, zone = read.order, read.order.language, read.zone
    _ = gettext_for(language)
    lines = tuple(lines_of(told_of(read), language, zone))
    title = _("Journal of accesses")
    return JournalContent(
        language=language,
        title=title,
        number=str(order.id),
        made_at=order.before,
        running_head=_head(read),
        facts=[
            (_("Person"), _person(read)),
            (_("Clinic"), [["", read.clinic.name], *(["", line] for line in read.clinic.address_lines if line)]),
            (
                _("Period"),
                [
                    ["", _period(order, language, zone)],
                    [_("Made"), moment(order.before, language, zone=True, where=zone)],
                ],
            ),
        ],
        said=(
            _(
                "Each line says who did what with a request about this person, when and for what: looked at it, was shown it in "
                "a list, printed it, took it along, or changed something. What one person did within the same minute is one line."
            ),
            _(
                "Care: to treat the person. Administration of the clinic: to manage what it has on file. Operation of the "
                "service: to keep the computer system running."
            ),
            _(
                "Times are those of the clinic ({zone}). E-mails of the service name no patient, and are not told of here. Each "
                "clinic tells of what it had to do with: others may have more."
            ).format(zone=zone.key),
            _("Anybody can check the seal of this document: {address}").format(address=verified_at),
        ),
        requests_title=_("Requests"),
        requests=tuple(_request(read, one) for one in order.requests if one.request_id in read.rows),
        lines_title=_("What was done"),
        columns=(_("When"), _("Who"), _("What, and for what"), _("Request")),
        lines=lines,
        nothing=_("Nothing was done in this period."),
        foot=_("{clinic} · Journal {number}").format(clinic=read.clinic.name, number=order.id),
        page_of=_("Page {page} of {pages}"),
    )


def lines_of(done: Iterable[Done], language: Language, zone: ZoneInfo) -> Iterator[Line]:
    """A line for what the same person did within a minute with the same requests for the same, one after the other."""
    for (minute, _account, who, ground, numbers), acts in groupby(done, _one_line):
        counted = Counter(act.what for act in acts)
        what = "; ".join(text if count == 1 else f"{text} (× {count})" for text, count in counted.items())
        yield Line(
            when=moment(minute, language, zone=True, where=zone),
            who=who,
            what=(what, ground) if ground else (what,),
            request=", ".join(numbers),
        )


def _one_line(act: Done) -> tuple[datetime, UUID | None, tuple[str, ...], str, tuple[str, ...]]:
    return act.at.replace(second=0, microsecond=0), act.account_id, act.who, act.ground, act.requests


def told_of(read: Read) -> Iterator[Done]:
    """Every act that the clinic may tell of, the oldest first."""
    told = {one.request_id: one for one in read.order.requests}
    language = read.order.language
    for act in read.acts:
        ours = _clinic_of(read, act) == read.clinic.id
        numbers = tuple(
            read.rows[id_].number
            for id_ in _requests_of(read, act)
            if id_ in read.rows and (ours or told[id_].whole) and not _is_of_another(told[id_], act.at)
        )
        if numbers and act.kind not in NO_WORDS and not _is_told_already(act):
            yield Done(
                at=act.at,
                who=_who(read, act),
                what=act_words(act.kind, act.name, language),
                ground=_ground(read, act),
                requests=numbers,
                account_id=act.account_id,
            )


def _is_of_another(told: JournalRequest, at: datetime) -> bool:
    """Whether the request's form named somebody else then."""
    return sum(change <= at for change in told.other_person_at) % 2 == 1


def _is_told_already(act: Any) -> bool:
    """Whether this is one of the entries of a journal that another one names together."""
    return act.kind is Act.JOURNAL and not act.shown


def _requests_of(read: Read, act: Any) -> list[UUID]:
    """Those of this journal that the act names, in their order."""
    named = {act.request_id, act.object_id, read.things.get(act.object_id), *(act.shown or ())}
    return [one.request_id for one in read.order.requests if one.request_id in named]


def _clinic_of(read: Read, act: Any) -> UUID | None:
    """The clinic for which somebody spoke, or theirs."""
    account = read.accounts.get(act.account_id)
    clinic_id: UUID | None = act.clinic_id or (account.clinic_id if account else None)
    return clinic_id


def _who(read: Read, act: Any) -> tuple[str, ...]:
    _ = gettext_for(read.order.language)
    account, person = read.accounts.get(act.account_id), read.accounts.get(act.for_account_id)
    if account is None:
        is_typed = act.side is Side.COMMAND_LINE
        return (_("Operation of the service, at its command line") if is_typed else _("Relais, by itself"),)
    clinic = read.clinics.get(_clinic_of(read, act) or account.clinic_id)
    its_clinic = (clinic.name,) if clinic else ()
    if account.kind is not AccountKind.SERVICE:
        return (_named(account), *its_clinic)
    name = _("Computer system “{name}”").format(name=full_name(account))
    return (name, _("for {name}").format(name=_named(person)) if person else _("by itself"), *its_clinic)


def _named(account: Account) -> str:
    return ", ".join(filter(None, (full_name(account), account.profession)))


def _ground(read: Read, act: Any) -> str:
    """For what, and in which role, as it was noted; nothing is guessed from what somebody is today."""
    _ = gettext_for(read.order.language)
    role: Role | None = act.role
    purpose: Purpose | None = act.purpose or (purpose_of(role) if role else None)
    return " · ".join(_(words) for words in (GROUNDS[purpose] if purpose else "", ROLES[role] if role else "") if words)


# Its head


def _head(read: Read) -> list[str]:
    if read.patient is None:
        return [read.rows[read.order.about].number, ""]
    return list(running_head(patient_printed(read.patient, read.order.language), read.order.language))


def _person(read: Read) -> list[list[str]]:
    """Whom the journal is about; of whom the clinic sees nothing any more, by the request."""
    _ = gettext_for(read.order.language)
    if read.patient is None:
        number = read.rows[read.order.about].number
        return [["", _("The person of the request {number}").format(number=number)]]
    printed = patient_printed(read.patient, read.order.language)
    return [list(line) for line in patient_lines(printed, read.order.before, read.order.language)]


def _period(order: JournalOrder, language: Language, zone: ZoneInfo) -> str:
    _ = gettext_for(language)
    since = day(order.since, language) if order.since else ""
    last = order.before.astimezone(zone).date()
    until = day(min(order.until, last), language) if order.until else ""
    if since and until:
        return _("From {since} to {until}, both included").format(since=since, until=until)
    if since:
        return _("From {since} on").format(since=since)
    return _("Until {until}, included").format(until=until) if until else _("From the beginning until now")


def _request(read: Read, told: JournalRequest) -> tuple[str, ...]:
    """A request: its number and when it was submitted, and what of it is not as usual."""
    language, zone, row = read.order.language, read.zone, read.rows[told.request_id]
    _ = gettext_for(language)
    submitted = moment(row.submitted_at, language, zone=True, where=zone) if row.submitted_at else ""
    first = (
        _("{number}, submitted on {moment}").format(number=row.number, moment=submitted) if submitted else row.number
    )
    more = []
    changes = [moment(at, language, zone=True, where=zone) for at in told.other_person_at]
    for since, until in zip_longest(changes[::2], changes[1::2]):
        sentence = (
            _(
                "From {since} to {until} its form said something else of the person: what was done then is not told here."
            )
            if until
            else _("Since {since} its form says something else of the person: what was done since is not told here.")
        )
        more.append(sentence.format(since=since, until=until))
    if not told.whole:  # where it went since then is not theirs to know; who asked, they knew
        asked = read.clinics[row.requester_clinic_id].name
        sentence = _("Only what people of {clinic} did is told here; who else saw it, {asked} can tell.")
        more.append(sentence.format(clinic=read.clinic.name, asked=asked))
    return (first, *more)
