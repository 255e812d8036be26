"""What lies in a message of others, and how one part of it names another."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from domain.loose import Json, dict_of, line_of


@dataclass
class Resources:
    """What lies in a message, found by every way in which one part names another, where that leads to one."""

    all: list[Json] = field(default_factory=list)
    _by: dict[str, Json] = field(default_factory=dict)
    _urls: dict[int, str] = field(default_factory=dict)
    _of_several: set[str] = field(default_factory=set)
    _left_out: "Resources | None" = None

    def add(self, full_url: str, resource: Json) -> None:
        self.all.append(resource)
        self._urls[id(resource)] = full_url
        id_ = resource.get("id")
        for name in (full_url, full_url.removeprefix("urn:uuid:")) if full_url else ():
            self._by.setdefault(name, resource)
        for name in (id_, f"{resource['resourceType']}/{id_}") if isinstance(id_, str) and id_ else ():
            if self._by.setdefault(name, resource) != resource:  # the same twice is one
                self._of_several.add(name)

    def of(self, kind: str) -> list[Json]:
        return [one for one in self.all if one["resourceType"] == kind]

    def url_of(self, resource: Json) -> str:
        """The fullUrl of one of them."""
        return self._urls[id(resource)]

    def without(self, others: Iterable[Json]) -> "Resources":
        """The same but for these."""
        gone = {id(one) for one in others}
        kept = Resources(_left_out=Resources())
        for one in self.all:
            into = kept if id(one) not in gone or kept._left_out is None else kept._left_out
            into.add(self.url_of(one), one)
        return kept

    def shown(self, reference: object) -> str:
        """How a reference calls what is not in the message; empty for what was left out of it."""
        is_gone = self._left_out is not None and self._left_out.find(reference) is not None
        return "" if is_gone else line_of(dict_of(reference).get("display"))

    def find(self, reference: object) -> Json | None:
        """What a Reference leads to; None for what is not in the message, and for a name that several have.

        An address of a server leads to what is from there, or to what does not say from where it is.
        """
        named = reference.get("reference") if isinstance(reference, dict) else reference
        if not isinstance(named, str):
            return None
        plain = named.split("/_history/")[0]
        if plain in self._by and plain not in self._of_several:
            return self._by[plain]
        bare, end = plain.removeprefix("urn:uuid:"), "/".join(plain.rsplit("/", 2)[-2:])
        name = bare if bare != plain else end
        found = self._by.get(name) if name not in self._of_several else None
        is_elsewhere = found is not None and "://" in plain and "://" in self.url_of(found)
        return None if is_elsewhere else found
