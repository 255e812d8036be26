"""Of many things one may fail: the others are done, and its error is raised at the end."""

import asyncio

from use_cases.each import all_of_them


def go_along(numbers: range, failing: set[int], error: type[BaseException]) -> list[int]:
    done: list[int] = []
    try:
        with all_of_them("something failed") as each:
            for number in numbers:
                with each(number):
                    if number in failing:
                        raise error(number)
                    done.append(number)
    except error as raised:
        return [*done, -raised.args[0]]
    return done


def test_the_others_are_done_and_the_last_error_is_raised() -> None:
    assert go_along(range(5), {1, 3}, LookupError) == [0, 2, 4, -3]


def test_where_nothing_fails_nothing_is_raised() -> None:
    assert go_along(range(3), set(), LookupError) == [0, 1, 2]


def test_what_ends_the_work_passes_at_once() -> None:
    assert go_along(range(5), {2}, asyncio.CancelledError) == [0, 1, -2]
