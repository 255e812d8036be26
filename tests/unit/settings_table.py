"""Writes the table of settings in docs/settings.md from `Settings`: ``python -m tests.unit.settings_table``."""

from pathlib import Path

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from settings import PROJECT_ROOT, Settings

DOCUMENT = PROJECT_ROOT / "docs" / "settings.md"
HEAD = "| setting | default | meaning |\n| --- | --- | --- |\n"


def table() -> str:
    """Every setting with its name in the environment, its default and its meaning, in the order of the class."""
    return HEAD + "".join(_line(name, field) for name, field in Settings.model_fields.items())


def _line(name: str, field: FieldInfo) -> str:
    return f"| `RELAIS_{name.upper()}` | {_default(field)} | {field.description} |\n"


def _default(field: FieldInfo) -> str:
    value = field.default
    if value in (None, "", PydanticUndefined):
        return "–"
    if isinstance(value, Path) and value.is_relative_to(PROJECT_ROOT):
        value = value.relative_to(PROJECT_ROOT)
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def text_with(written: str) -> str:
    """The document with its table as it must be."""
    before, _, rest = written.partition(HEAD)
    after = rest[rest.index("\n\n") + 1 :] if "\n\n" in rest else ""
    return before + table() + after


if __name__ == "__main__":
    DOCUMENT.write_text(text_with(DOCUMENT.read_text()))
