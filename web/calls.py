"""Which call it is: the names by which it is found again, here and in the systems around (X-Request-ID, W3C Trace Context).

What a caller names it by comes back as it came, and in the logs only as a UUID made of it: nobody knows what stands in it.
"""

import re
import secrets
from dataclasses import dataclass
from uuid import NAMESPACE_OID, UUID, uuid4, uuid5

REQUEST_ID = "X-Request-ID"
TRACE_PARENT = "traceparent"

_NAME = re.compile(r"[A-Za-z0-9._~+/=:-]{1,128}")
_TRACE = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})")


@dataclass(frozen=True)
class CallName:
    """The names of one call: as its caller knows it, as a UUID, and the trace of which it is a part."""

    request_id: str
    uuid: UUID
    trace_id: str
    trace_parent: str

    @property
    def urn(self) -> str:
        """As a problem names it (`instance`)."""
        return self.uuid.urn

    @property
    def headers(self) -> dict[str, str]:
        """What the answer says."""
        return {REQUEST_ID: self.request_id, TRACE_PARENT: self.trace_parent}


def call_named(request_id: str | None, trace_parent: str | None) -> CallName:
    """The names of a call whose headers say this; what is missing, or can't be such a name, is made."""
    uuid = uuid4()
    if request_id is not None and _NAME.fullmatch(request_id):
        uuid = _uuid_of(request_id)
    else:
        request_id = str(uuid)
    trace = _TRACE.fullmatch(trace_parent or "")
    trace_id, flags = trace.groups() if trace else (uuid.hex, "00")
    return CallName(request_id, uuid, trace_id, f"00-{trace_id}-{secrets.token_hex(8)}-{flags}")


def _uuid_of(name: str) -> UUID:
    try:
        return UUID(name)
    except ValueError:
        return uuid5(NAMESPACE_OID, name)
