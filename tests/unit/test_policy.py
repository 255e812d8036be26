"""In which role somebody gives a command: the one for which the rules allow it now. Else: which refusal they are told."""

from dataclasses import replace
from uuid import uuid4

import pytest

from domain import commands as c
from domain.refusals import Refusal, RefusalCode
from domain.requests import Actor, Role
from domain.service_accounts import Scope
from records.models import Account
from tests.unit.domain.scenes import DISPATCHER, PROVIDER, REQUESTER, accepted, assigned, in_pool, submitted
from use_cases import policy
from use_cases.administrators import Administrator
from use_cases.caller import Caller, System
from use_cases.problems import Problem


def caller(who: Actor, *roles: Role) -> Caller:
    """That person, with these roles."""
    return Caller(Account(id=who.id, clinic_id=who.clinic_id, roles=list(roles)), "token")


def test_of_several_roles_the_one_that_may() -> None:
    both = caller(PROVIDER, Role.DISPATCHER, Role.PROVIDER)
    awaiting_dispatch, handled = submitted().request, accepted().request
    assert policy.actor_for(both, c.Assign, awaiting_dispatch).role is Role.DISPATCHER
    assert policy.actor_for(both, c.RequestInformation, handled).role is Role.PROVIDER
    assert policy.actor_for(both, c.Accept, in_pool().request).role is Role.PROVIDER


def test_the_refusal_is_the_one_of_the_rules() -> None:
    with pytest.raises(Refusal) as refused:
        policy.actor_for(caller(DISPATCHER, Role.DISPATCHER), c.Accept, assigned().request)
    assert refused.value.code is RefusalCode.ROLE_NOT_ALLOWED
    with pytest.raises(Refusal) as refused:
        policy.actor_for(caller(PROVIDER, Role.PROVIDER), c.Accept, submitted().request)
    assert refused.value.code is RefusalCode.NOT_ALLOWED_IN_STATUS


def test_an_operator_cancels_by_the_engine_alone() -> None:
    handled = accepted().request
    operator = caller(DISPATCHER, Role.OPERATOR)
    assert not policy.may_give(operator, c.Cancel, handled)
    with pytest.raises(Refusal) as refused:
        policy.actor_for(operator, c.Cancel, handled)
    assert refused.value.code is RefusalCode.ROLE_NOT_ALLOWED


EVERYTHING = frozenset(Scope)


def system_for(who: Actor, *roles: Role, scopes: frozenset[Scope] = EVERYTHING) -> Caller:
    """A clinic's system with every scope, for a person with these roles."""
    own = Account(id=uuid4(), clinic_id=who.clinic_id, roles=[])
    return replace(caller(who, *roles), system=System(own, scopes))


def test_a_system_is_of_its_person_only_who_asks() -> None:
    """Whatever they are besides: it signs nothing, administers nobody, and is never an operator."""
    everything = system_for(PROVIDER, *(role for role in Role if role is not Role.SYSTEM))
    assert everything.roles == {Role.REQUESTER} == everything.viewer.roles
    with pytest.raises(Problem, match="forbidden"):
        Administrator.of(everything)
    alone = Account(id=uuid4(), clinic_id=PROVIDER.clinic_id, roles=[])
    by_itself = Caller(alone, "token", system=System(alone, EVERYTHING))
    assert by_itself.roles == frozenset()
    assert by_itself.viewer.roles == {Role.CLINIC_ADMINISTRATOR}
    with pytest.raises(Problem, match="forbidden"):
        Administrator.of(by_itself)


@pytest.mark.parametrize("command", c.PUBLIC_COMMANDS.values())
def test_a_partner_that_performs_answers_and_does_nothing_else(command: type[c.PublicCommand]) -> None:
    answers = command in (
        *(c.Accept, c.RequestInformation, c.ReturnToRequester, c.ReturnToDispatch),
        *(c.SignReport, c.AddAddendum, c.AnswerFollowUp),
    )
    performing = system_for(PROVIDER, scopes=frozenset({Scope.MESSAGES_SEND})).performing()
    assert performing.roles == {Role.PROVIDER}
    assert policy.is_open(performing, command) is answers
    without = system_for(PROVIDER, scopes=EVERYTHING - {Scope.MESSAGES_SEND}).performing()
    assert not policy.is_open(without, command)


@pytest.mark.parametrize("command", c.PUBLIC_COMMANDS.values())
def test_no_scope_gives_a_system_more_than_to_submit_and_to_pass_on_what_requesters_say(
    command: type[c.PublicCommand],
) -> None:
    submits = command in (c.Submit, c.Resubmit)
    passes_on = submits or command in (c.AnswerInformation, c.AddInformation, c.AskFollowUp, c.Cancel)
    for scope, is_open in ((Scope.REQUESTS_SUBMIT, submits), (Scope.MESSAGES_SEND, passes_on)):
        one = system_for(REQUESTER, Role.REQUESTER, scopes=frozenset({scope}))
        assert policy.is_open(one, command) is is_open
    less = system_for(REQUESTER, Role.REQUESTER, scopes=EVERYTHING - {Scope.REQUESTS_SUBMIT, Scope.MESSAGES_SEND})
    assert not policy.is_open(less, command)
    with pytest.raises(Problem, match="insufficient_scope"):
        policy.actor_for(less, command, submitted().request)
