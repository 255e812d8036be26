"""Whose data left with an act, and to whom: the table of docs/decisions/registers.md, line by line."""

from uuid import UUID

import pytest

from domain.audit import LOOKS, Act
from domain.commands import PUBLIC_COMMANDS
from domain.communications import ANSWERS, KINDS, NEVER, NOTHING_SHOWN, SHOWING, Flow, Recipient, flow
from domain.requests import Role
from tests.unit.test_routes import routes

ASKED, ANSWERED, THIRD = (UUID(int=number) for number in (1, 2, 3))
READ, GAVE, HANDED, TOOK = Recipient.READER, Recipient.ASKING_CLINIC, Recipient.PERSON, Recipient.TAKEN_ALONG

LINES: list[tuple[str, Act, str | None, Role | None, UUID | None, UUID | None, Flow | None]] = [
    # what was done, the act, its name, in which role, for which clinic, who signed what was opened: whose register, to whom
    ("a provider elsewhere opens it", Act.REQUEST, None, Role.PROVIDER, ANSWERED, None, Flow(ASKED, READ)),
    ("one's own people open it", Act.REQUEST, None, Role.REQUESTER, ASKED, None, None),
    ("a system of one's own reads it", Act.REQUEST, None, Role.CLINIC_ADMINISTRATOR, ASKED, None, None),
    ("a system elsewhere reads it", Act.REQUEST, None, Role.CLINIC_ADMINISTRATOR, ANSWERED, None, Flow(ASKED, READ)),
    ("a photo is opened elsewhere", Act.ATTACHMENT, None, Role.PROVIDER, ANSWERED, None, Flow(ASKED, READ)),
    ("a copy of it", Act.PREVIEW, None, Role.DISPATCHER, THIRD, None, Flow(ASKED, READ)),
    ("it is found by its patient elsewhere", Act.SEARCH, None, Role.DISPATCHER, ANSWERED, None, Flow(ASKED, READ)),
    ("its history is opened elsewhere", Act.TIMELINE, None, Role.PROVIDER, ANSWERED, None, Flow(ASKED, READ)),
    ("all of it is printed elsewhere", Act.EXPORT, None, Role.PROVIDER, ANSWERED, None, Flow(ASKED, READ)),
    ("one's own people print all of it", Act.EXPORT, None, Role.REQUESTER, ASKED, None, Flow(ASKED, TOOK)),
    ("its report is opened by a third", Act.DOCUMENT, None, Role.PROVIDER, THIRD, ANSWERED, Flow(ASKED, READ)),
    ("whoever signed it opens it", Act.DOCUMENT, None, Role.PROVIDER, ANSWERED, ANSWERED, None),
    ("the report is being written", Act.REPORT_DRAFT, None, Role.PROVIDER, ANSWERED, None, None),
    ("something else of it is shown", Act.LOOK, "get_forms", Role.PROVIDER, ANSWERED, None, Flow(ASKED, READ)),
    ("its number alone is shown", Act.LOOK, "hold_page", Role.CLINIC_ADMINISTRATOR, ANSWERED, None, None),
    ("an operator sees how it moves", Act.REQUEST, None, Role.OPERATOR, ANSWERED, None, None),
    ("an operator opens what the engine has", Act.ENGINE, None, Role.OPERATOR, THIRD, None, Flow(ASKED, READ)),
    ("Relais sends it to another's system", Act.EXPORT, None, None, ANSWERED, None, Flow(ASKED, READ)),
    ("Relais tells it to another's system", Act.MESSAGE, None, None, ANSWERED, None, Flow(ASKED, READ)),
    ("a telephone sends a photo", Act.PHONE_PHOTO, None, Role.REQUESTER, ASKED, None, None),
    ("a journal is asked for", Act.JOURNAL, "asked", Role.CLINIC_ADMINISTRATOR, ANSWERED, None, None),
    ("a journal is taken", Act.JOURNAL, "taken", Role.CLINIC_ADMINISTRATOR, ANSWERED, None, Flow(ANSWERED, HANDED)),
    ("one's own journal is taken", Act.JOURNAL, "taken", Role.CLINIC_ADMINISTRATOR, ASKED, None, Flow(ASKED, HANDED)),
    ("a report is signed elsewhere", Act.COMMAND, "sign_report", Role.PROVIDER, ANSWERED, None, Flow(ANSWERED, GAVE)),
    ("a colleague signs it", Act.COMMAND, "sign_report", Role.PROVIDER, ASKED, None, None),
    ("something is asked", Act.COMMAND, "request_information", Role.PROVIDER, ANSWERED, None, Flow(ANSWERED, GAVE)),
    ("it is accepted", Act.COMMAND, "accept", Role.PROVIDER, ANSWERED, None, None),
    ("an answer is given by who asked", Act.COMMAND, "answer_information", Role.REQUESTER, ASKED, None, None),
    ("somebody is refused", Act.REFUSED, "get_request 404", Role.PROVIDER, ANSWERED, None, None),
    ("it stands in a list elsewhere", Act.LIST, None, Role.DISPATCHER, ANSWERED, None, None),
    ("it is put on hold elsewhere", Act.CHANGE, "hold_set", Role.CLINIC_ADMINISTRATOR, ANSWERED, None, None),
]


@pytest.mark.parametrize("line", LINES, ids=[line[0] for line in LINES])
def test_whose_data_left(line: tuple[str, Act, str | None, Role | None, UUID | None, UUID | None, Flow | None]) -> None:
    _what, act, name, role, by, written_by, expected = line
    assert flow(act, name, role, asked=ASKED, by=by, written_by=written_by) == expected


def test_each_act_is_one_or_never_one() -> None:
    """A new act that shows something of one request comes in by itself; whoever adds one looks at this."""
    assert {act for _, act, *_ in LINES if act in KINDS} == KINDS
    assert frozenset() == KINDS & NEVER
    assert {Act.JOURNAL, Act.PHONE_PHOTO, Act.REPORT_DRAFT} == LOOKS - SHOWING
    assert PUBLIC_COMMANDS.keys() >= ANSWERS


def test_what_shows_nothing_is_a_route_of_a_request() -> None:
    """But for what is noted of a list of looks, by whichever face (`use_cases.accesses`)."""
    there = {route.name for route in routes() if "{request_id}" in route.path and "GET" in (route.methods or ())}
    assert NOTHING_SHOWN - there == {"accesses"}


@pytest.mark.parametrize("act", sorted(Act))
@pytest.mark.parametrize("by", [ASKED, ANSWERED, None])
def test_nothing_stands_in_the_register_of_a_clinic_that_has_no_part(act: Act, by: UUID | None) -> None:
    for name in (None, "taken", *ANSWERS, *NOTHING_SHOWN):
        found = flow(act, name, Role.PROVIDER, asked=ASKED, by=by)
        assert found is None or found.of in (ASKED, by)
        if found is not None and found.to is READ:
            assert by != found.of, "one's own people are nobody outside"
