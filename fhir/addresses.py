"""How resources are named: their ids, their addresses, and the systems of identifiers and codes that are ours.

Ids are made of those in the records, so a resource keeps its own as long as they do. What belongs to a request begins with the
request's; what there may be several of goes on after a full stop.
"""

from dataclasses import dataclass
from uuid import UUID

from settings import Settings
from translations import Language

BASE_PATH = "/fhir"


@dataclass(frozen=True)
class Server:
    """Whose resources these are, by the address that others know, and in which language words are told."""

    base: str
    language: Language

    @classmethod
    def of(cls, settings: Settings, language: Language) -> "Server":
        """This installation's."""
        return cls(settings.public_url.rstrip("/") + BASE_PATH, language)

    @property
    def api(self) -> str:
        """Where the addresses of the API begin."""
        return self.base.removesuffix(BASE_PATH) + "/api/v1"

    def identifiers(self, name: str) -> str:
        """The system of identifiers that this installation gives."""
        return f"{self.base}/identifiers/{name}"

    @property
    def references(self) -> str:
        """Below this, each system of a clinic has a system of identifiers: what it calls requests by itself."""
        return self.identifiers("reference")

    def codes(self, name: str) -> str:
        """The system of codes that are ours."""
        return f"{self.base}/codes/{name}"

    def topic(self, name: str) -> str:
        """The canonical address of a topic of Subscriptions."""
        return f"{self.base}/SubscriptionTopic/{name}"

    @property
    def messages(self) -> str:
        """Where messages are sent."""
        return f"{self.base}/$process-message"

    def address(self, kind: str, id_: str) -> str:
        """The address of a resource."""
        return f"{self.base}/{kind}/{id_}"


def part_of(request_id: UUID, number: int) -> str:
    """The id of one of several resources of a request."""
    return f"{request_id}.{number}"


def request_in(id_: str) -> UUID:
    """The request whose resource has that id. Raises ValueError."""
    head, dot, number = id_.partition(".")
    if dot and (not number.isdecimal() or len(number) > 9):
        raise ValueError("no number of a part")
    request_id = UUID(head)
    if str(request_id) != head:
        raise ValueError("written otherwise than ids are")
    return request_id


def offering_id(code: str) -> str:
    """The id of what an offering is: codes may have underscores, and ids may not."""
    return code.replace("_", ".")


def questionnaire_id(code: str, version: int) -> str:
    """The id of an offering's form in that version."""
    return f"{offering_id(code)}.{version}"


def code_in(id_: str) -> str:
    """The offering's code, in an id that `offering_id` has made."""
    return id_.replace(".", "_")


def version_in(id_: str) -> tuple[str, int]:
    """The offering's code and version, in an id that `questionnaire_id` has made. Raises ValueError."""
    head, _, version = id_.rpartition(".")
    if not head or not version.isdecimal() or len(version) > 10:
        raise ValueError("no version of an offering")
    return code_in(head), int(version)
