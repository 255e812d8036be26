"""Who guesses at passwords is slowed down, and nobody is locked out by somebody else's guesses.

Each wrong password counts at several places at once: of strangers, for this name from this address, for the address whatever the
names, and for the name from wherever; from a device on which the owner of the name has signed in before, only there; of somebody
who is signed in, only for that session. Whether there is such a name makes no difference.
([decision](../docs/decisions/guessing-and-flooding.md))
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv6Address, ip_address, ip_network
from math import ceil
from uuid import UUID

from domain.rates import Rate
from records import guesses
from records.database import Database
from settings import Settings
from use_cases.problems import Problem

FEW = Rate(10, timedelta(seconds=30))
"""Of one device, of one session, and of one address at one name: nobody mistypes their own password more often."""
AT_A_NAME = Rate(50, timedelta(minutes=2))
"""Of strangers together at one name, from however many addresses: 50, then 720 a day."""
AN_ADDRESS_GETS_ONE_MORE = timedelta(seconds=30)

DEVICE_IS_KNOWN_FOR = timedelta(days=400)
"""After the last sign-in there. Browsers keep a cookie no longer."""

IPV6_NETWORK = 64
"""Bits of an IPv6 address that one customer of a network has for themselves."""


@dataclass(frozen=True)
class Origin:
    """From where and with what somebody calls: the address as the server believes it, and what a device keeps from before."""

    address: str | None = None
    device: str | None = field(default=None, repr=False)
    program: str | None = None

    @property
    def network(self) -> str:
        """What counts as one address: an IPv4 address, or the network of an IPv6 address."""
        try:
            address = ip_address(self.address or "")
        except ValueError:
            return self.address or "unknown"
        if isinstance(address, IPv6Address):
            if address.ipv4_mapped is None:
                return str(ip_network((address.packed, IPV6_NETWORK), strict=False))
            address = address.ipv4_mapped
        return str(address)


SOMEWHERE = Origin()


@dataclass(frozen=True)
class Counter:
    """Something that is counted, and how much of it is let through; `forgiven` when the right password comes."""

    what: str
    rate: Rate
    forgiven: bool = False


def of_a_stranger(settings: Settings, username: str, origin: Origin) -> tuple[Counter, ...]:
    """What counts a password for that name (as it is kept) from a device on which its owner has never signed in."""
    return (
        Counter(f"name and address: {origin.network} {username}", FEW, forgiven=True),
        Counter(f"address: {origin.network}", _of_an_address(settings)),
        Counter(f"name: {username}", AT_A_NAME),
    )


def of_a_system(settings: Settings, client_id: UUID, origin: Origin) -> tuple[Counter, ...]:
    """What counts an assertion that a system of a clinic is said to have signed. Nobody guesses a key: it is for what it costs.

    It counts where it comes from, and apart from passwords: a system that is badly set up slows no sign-in of the people behind
    the same address, and nobody elsewhere slows the system that they say they are.
    """
    return (
        Counter(f"system and address: {origin.network} {client_id}", FEW, forgiven=True),
        Counter(f"address of systems: {origin.network}", _of_an_address(settings)),
    )


def _of_an_address(settings: Settings) -> Rate:
    return Rate(settings.wrong_passwords_per_address, AN_ADDRESS_GETS_ONE_MORE)


def of_a_device(username: str, device_sha256: str) -> tuple[Counter, ...]:
    """What counts a password for that name from a device that its owner has used before."""
    return (Counter(f"device: {device_sha256} {username}", FEW, forgiven=True),)


def of_a_session(token_sha256: str) -> tuple[Counter, ...]:
    """What counts a password of somebody who is signed in."""
    return (Counter(f"session: {token_sha256}", FEW, forgiven=True),)


async def check(database: Database, counters: Sequence[Counter]) -> None:
    """Raise Problem `too_many_attempts` when one of them lets nothing through for now; it counts nothing."""
    now = datetime.now(UTC)
    async with database.statement() as session:
        empty_at = await guesses.empty_at(session, [counter.what for counter in counters])
    wait = max(counter.rate.wait(empty_at.get(counter.what), now) for counter in counters)
    if wait > timedelta():
        raise Problem("too_many_attempts", retry_after=ceil(wait.total_seconds()))


async def count(database: Database, counters: Sequence[Counter]) -> None:
    """Count one more, before it is known whether the password is right: so many at once are no more than one after another.

    Raises Problem `too_many_attempts`, and then counts nothing.
    """
    what = {counter.what: counter.rate for counter in counters}
    async with database.session() as session:
        is_counted = await guesses.count(session, what, datetime.now(UTC))
        if not is_counted:
            await session.rollback()
    if not is_counted:
        await check(database, counters)
        raise Problem("too_many_attempts", retry_after=1)  # it was let through again in this moment


async def was_right(database: Database, counters: Sequence[Counter]) -> None:
    """The password that was just counted was right: it is no guess, and those before it are forgiven where it says so."""
    what = {counter.what: counter.rate for counter in counters}
    async with database.session() as session:
        await guesses.take_back(session, what, forgiven={counter.what for counter in counters if counter.forgiven})
