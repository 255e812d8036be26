"""In which role somebody gives a command: the one for which the rules allow it now. Else: which refusal they are told."""

import pytest

from domain import commands as c
from domain.refusals import Refusal, RefusalCode
from domain.requests import Actor, Role
from records.models import Account
from tests.unit.domain.scenes import DISPATCHER, PROVIDER, accepted, assigned, in_pool, submitted
from use_cases import policy
from use_cases.caller import Caller


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
