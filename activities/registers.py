"""The activity of registers. What it does is decided above the effects (`use_cases`); the worker hands it in."""

from collections.abc import Awaitable, Callable

from temporalio import activity

from activities.contract import MAKE_REGISTER, MadeRegister, RegisterOrder
from activities.heartbeat import alive


class RegisterActivities:
    """Makes papers of the registers of clinics."""

    def __init__(self, make_register: Callable[[RegisterOrder], Awaitable[MadeRegister]]) -> None:
        self._make_register = make_register

    @activity.defn(name=MAKE_REGISTER)
    async def make_register(self, order: RegisterOrder) -> MadeRegister:
        """Write the paper, seal it and store it, once."""
        async with alive():
            return await self._make_register(order)
