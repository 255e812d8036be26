"""What the engine keeps, opened for who looks into it: Temporal's codec protocol, by which its UI and its command line show it.

A chart never enters the engine; what is opened are reasons, questions and short texts of requests. It goes this way alone:
nothing is sealed for anybody.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.api.common.v1 import Payload

from domain.audit import Act
from domain.requests import Role
from engine.client import key_ring
from engine.encryption import EncryptionCodec, workflow_of
from key_ring import EncryptionError
from records import requests
from records.access import Find, log_each
from records.visibility import all_shut_to
from use_cases import policy
from use_cases.accesses import ONE_LOOK, by
from use_cases.caller import Caller
from use_cases.problems import FieldFault, Problem
from use_cases.services import Services
from workflows.contract import request_of


async def open_payloads(services: Services, payloads: Sequence[Payload]) -> list[Payload]:
    """For who sits before this machine. What was damaged stays sealed.

    Raises Problem `invalid_input` for what is sealed with a key that is not on the ring.
    """
    try:
        return await EncryptionCodec(key_ring(services.settings)).decode(payloads)
    except EncryptionError:
        raise Problem("invalid_input", [FieldFault("payloads", "not_readable")]) from None


async def open_for(services: Services, caller: Caller, payloads: Sequence[Payload]) -> list[Payload]:
    """For operators. Of which requests something was opened is written down, each once in a while. What is of a request that a
    restriction shuts to them stays sealed.

    Raises Problem `forbidden`, or `invalid_input` as `open_payloads` does.
    """
    policy.must_have_role(caller, Role.OPERATOR)
    async with services.database.session() as session:
        shut = await all_shut_to(session, caller.viewer)
    of_open = [payload for payload in payloads if _request_of(payload) not in shut]
    found = iter(await open_payloads(services, of_open))
    opened = [payload if _request_of(payload) in shut else next(found) for payload in payloads]
    shown = {_request_of(before) for before, after in zip(payloads, opened, strict=True) if before != after}
    async with services.database.session() as session:
        await _note(session, caller, [request_id for request_id in shown if request_id])
    return opened


async def _note(session: AsyncSession, caller: Caller, request_ids: Sequence[UUID]) -> None:
    now = datetime.now(UTC)
    seen = [
        Find(request_id, Role.OPERATOR, version)
        for request_id, version in (await requests.versions_of(session, request_ids)).items()
    ]
    await log_each(session, by(caller), Act.ENGINE, seen, at=now, since=now - ONE_LOOK)


def _request_of(sealed: Payload) -> UUID | None:
    return request_of(workflow_of(sealed))
