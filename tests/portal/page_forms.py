"""The forms of a page, and what they send, as a browser reads them."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

PROSE = ("textarea", "text")
"""The kinds of field into which people write what they want."""


@dataclass
class PageField:
    """A field: its kind (the `type` of an input, ``textarea`` or ``select``), and what it sends as it is shown."""

    name: str
    kind: str
    value: str
    is_sent: bool


@dataclass
class PageForm:
    """A form, with the fields that stand in it or name it."""

    id: str
    method: str
    action: str
    attributes: dict[str, str | None]
    fields: list[PageField] = field(default_factory=list)

    @property
    def as_shown(self) -> dict[str, str]:
        """What it sends when nothing is changed; of what can be chosen several times, the last."""
        return {one.name: one.value for one in self.fields if one.is_sent}

    @property
    def prose(self) -> list[str]:
        """The names of the fields for free text."""
        return [one.name for one in self.fields if one.kind in PROSE]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[PageForm] = []
        self._open: PageForm | None = None
        self._of_others: list[tuple[str, PageField]] = []
        self._field: PageField | None = None
        self._option: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            said = (given.get("id") or "", given.get("method") or "get", given.get("action") or "")
            self._open = PageForm(*said, given)
            self.forms.append(self._open)
        elif tag == "option" and self._field is not None and ("selected" in given or not self._field.is_sent):
            self._field.value, self._field.is_sent = given.get("value") or "", True
        elif tag in ("input", "textarea", "select") and given.get("name"):
            self._add(tag, given)

    def _add(self, tag: str, given: dict[str, str | None]) -> None:
        kind = (given.get("type") or "text") if tag == "input" else tag
        sent = (
            "checked" in given if kind in ("radio", "checkbox") else kind not in ("submit", "file") and tag != "select"
        )
        one = PageField(str(given["name"]), kind, given.get("value") or "", sent)
        self._field = one if tag != "input" else None
        if owner := given.get("form"):
            self._of_others.append((owner, one))
        elif self._open is not None:
            self._open.fields.append(one)

    def handle_data(self, data: str) -> None:
        if self._field is not None and self._field.kind == "textarea":
            self._field.value += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = None
        if tag in ("textarea", "select"):
            self._field = None

    def finished(self) -> list[PageForm]:
        for owner, one in self._of_others:
            next(form for form in self.forms if form.id == owner).fields.append(one)
        return self.forms


def forms_of(html: str) -> list[PageForm]:
    """All forms of a page, in their order."""
    reader = _Reader()
    reader.feed(html)
    return reader.finished()


def form_to(html: str, action: str) -> PageForm:
    """The form of a page that goes there."""
    return next(form for form in forms_of(html) if form.action == action)
