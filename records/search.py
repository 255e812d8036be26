"""Finding requests: by their number, their patient, the people who ask or hold them, and their clinics.

Every way looks among what the viewer may see, and the patient's only among what they may see the chart of.
"""

from typing import Any

from sqlalchemy import ColumnElement, Select, and_, false, func, or_, select, text
from sqlalchemy.orm import InstrumentedAttribute

from domain import texts
from domain.requests import Role
from domain.search import SHORTEST_BEGINNING, Search, Term
from records.models import Account, Clinic, PatientWord, RequestRecord
from records.patient_words import SearchKeys
from records.visibility import Viewer, charts_of, listed_for
from records.ways import only_asked


def found_by(viewer: Viewer, search: Search, keys: SearchKeys) -> ColumnElement[bool]:
    """The requests that somebody who types this means, of those that are listed for them.

    What is listed is asked last, of the few that everything else has left. Whose requests are listed though their chart is closed
    to them, an operator, finds by no patient.
    """
    ways: list[ColumnElement[bool]] = []
    if search.number is not None:
        ways.append(RequestRecord.number == search.number)
    if search.part_of_number is not None:
        ways.append(RequestRecord.number.contains(search.part_of_number, autoescape=True))
    if search.health_number is not None:
        ways.append(RequestRecord.id.in_(with_patient(viewer, frozenset({search.health_number}), keys)))
    if search.terms:
        ways.append(and_(*(_fits(viewer, term, keys) for term in search.terms)))
    return and_(or_(*ways), only_asked(listed_for(viewer))) if ways else false()


def _fits(viewer: Viewer, term: Term, keys: SearchKeys) -> ColumnElement[bool]:
    """One statement for all ways, so that what is found leads to the rows and not the other way round."""
    of_patient = with_patient(viewer, term.patient, keys)
    if term.name is None:
        return RequestRecord.id.in_(of_patient)
    return RequestRecord.id.in_(of_patient.union_all(*_with_name(term.name)))


def with_patient(viewer: Viewer, words: frozenset[str], keys: SearchKeys) -> Select[Any]:
    """The ids of requests whose patient has one of these words: in the form in force; for its requester, also in what they write.

    Whether the viewer may see them is asked elsewhere; but who sees requests without their charts finds none by its patient.
    """
    own = select(RequestRecord.requester_id == viewer.account_id).where(RequestRecord.id == PatientWord.request_id)
    query = select(PatientWord.request_id).where(
        PatientWord.hash.in_(keys.looked_for(words)),
        or_(PatientWord.submitted, own.correlate(PatientWord).scalar_subquery()),
    )
    if Role.OPERATOR in viewer.roles:
        chart = select(charts_of(viewer)).where(RequestRecord.id == PatientWord.request_id)
        query = query.where(chart.correlate(PatientWord).scalar_subquery())
    return query.correlate(None)


def _with_name(name: str) -> list[Select[Any]]:
    """One for each column, so that each goes along an index: nobody of that name is found at once."""
    accounts = select(Account.id).where(_has_name(name, Account.given_name, Account.family_name))
    clinics = select(Clinic.id).where(_has_name(name, Clinic.name))
    columns = (
        (RequestRecord.requester_id, accounts),
        (RequestRecord.holder_id, accounts),
        (RequestRecord.requester_clinic_id, clinics),
        (RequestRecord.holder_clinic_id, clinics),
        (RequestRecord.dispatch_clinic_id, clinics),
    )
    return [select(RequestRecord.id).where(column.in_(named)).correlate(None) for column, named in columns]


def _has_name(name: str, *columns: InstrumentedAttribute[str]) -> ColumnElement[bool]:
    """Whether one of the names' words is `name`, or begins with it; without accents, as `domain.texts.plain` compares."""
    plain: ColumnElement[str] = func.lower(func.concat_ws(" ", *columns))
    plain = func.translate(plain, "".join(texts.ONE_SIGN), "".join(texts.ONE_SIGN.values()))
    for letter, letters in texts.SPELLED_OUT.items():  # also the capital: not every database makes it small
        plain = func.replace(func.replace(plain, letter.upper(), letters), letter, letters)
    plain = func.regexp_replace(func.normalize(plain, text("NFKD")), "[\u0300-\u036f]", "", "g")
    joined = func.regexp_replace(func.lower(plain), "[':]", "", "g")
    plain = func.regexp_replace(func.concat(" ", func.lower(plain), " ", joined, " "), "[-'.:,()/]", " ", "g")
    return plain.contains(f" {name}" if len(name) >= SHORTEST_BEGINNING else f" {name} ", autoescape=True)
