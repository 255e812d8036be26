"""What use cases work with: the records, the document store, the engine. Made once per process, at start."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from temporalio.client import Client

from domain.offerings import ServiceOffering
from records.database import Database
from records.feed import ProjectionFeed
from records.offering_versions import OfferingVersions
from records.store import DocumentStore
from settings import Settings
from sign_on.sign_on import SignOn
from use_cases.passwords import Lanes
from use_cases.places import PLACES, Places, Queue
from use_cases.problems import Problem


@dataclass(frozen=True)
class Services:
    """Everything that outlives one call."""

    settings: Settings
    database: Database
    feed: ProjectionFeed
    store: DocumentStore
    engine: Client
    offerings: Mapping[str, ServiceOffering]
    """Those in force, by code: what new requests are made with."""
    places: Places = field(default_factory=lambda: Places(PLACES))
    strangers: Places = field(default_factory=lambda: Places(1, Queue(each=4, all=16)))
    """Whoever checks a document without an account takes no place of those who work here."""
    strangers_files: Places = field(
        default_factory=lambda: Places(16, Queue(each=4, all=16, patience_seconds=10), each=4)
    )
    """So many files of theirs are on their way here at once: each is held in memory."""
    messages: Places = field(default_factory=lambda: Places(4, Queue(each=4, all=16)))
    """So many messages of partners are read and done here at once; each is held whole, with a connection or two of its own to the
    records.
    """
    passwords: Lanes = field(default_factory=Lanes)
    sign_on: SignOn = field(default_factory=SignOn)
    """The providers through which people may sign in."""
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the process is asked to end: what keeps a connection open lets it go."""

    @cached_property
    def versions(self) -> OfferingVersions:
        """The offerings as they were when a request was made, too."""
        return OfferingVersions(self.offerings)

    def offering(self, code: str) -> ServiceOffering:
        """The service offering of that code that is in force. Raises Problem `unknown_offering`."""
        if code not in self.offerings:
            raise Problem("unknown_offering", offerings=sorted(self.offerings))
        return self.offerings[code]
