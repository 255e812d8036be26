"""What those use cases work with that run by themselves, in a worker or at the machine: less than a face has (services.py)."""

from typing import Protocol

from temporalio.client import Client

from records.database import Database
from records.store import DocumentStore
from settings import Settings


class Parts(Protocol):
    """The records and the files. They outlive the work."""

    @property
    def settings(self) -> Settings: ...
    @property
    def database(self) -> Database: ...
    @property
    def store(self) -> DocumentStore: ...


class PartsWithEngine(Parts, Protocol):
    """The same, and the engine."""

    @property
    def engine(self) -> Client: ...
