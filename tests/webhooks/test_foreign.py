"""What Relais signs is what libraries of others take, and what was changed on its way they refuse."""

from tests.rounds import LONGER
from tests.webhooks.bodies import OTHERS, found_in_node, found_in_python, made_up

BODIES = 200 * LONGER
"""`python -m tests.webhooks.bodies` looks at 10,000."""


def test_the_library_of_the_standard_agrees() -> None:
    calls = list(made_up(BODIES))
    assert {call.is_right for call in calls} == {True, False}
    assert [found_in_python(call) for call in calls] == [call.is_right for call in calls]


async def test_libraries_for_node_agree() -> None:
    calls = list(made_up(BODIES))
    assert await found_in_node(calls) == [dict.fromkeys(OTHERS, call.is_right) for call in calls]
