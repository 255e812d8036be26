"""Every form of the portal into which people write keeps what they wrote: scripts and the sign-in page know it by its `key`."""

import re
from pathlib import Path

TEMPLATES = Path(__file__).parents[2] / "portal" / "templates"

NOTHING_TO_KEEP = {
    "/requests/{{ request_id }}/attachments/{{ attachment.id }}/change",
    "/signin",
    "/signin/code",
    "/account/password",
    "/account/passkeys/begin",
    "/account/second-factor/confirm",
    "/account/sign-on/{{ provider.code }}",
    "/launched/{{ key }}/go-on",
    "/forgotten-password",
    "/new-password/{{ code }}",
    "/invitation/{{ code }}",
}
"""Forms for names, passwords, codes and captions: there is nothing in them to keep, and a caption acts the same twice."""

PROSE = re.compile(
    r"<textarea|fields\.area\(|fields\.line\((?![^\n]*type=\"password\")|<input(?![^>]*\stype=)|type=\"text\"|"
    r"\bdescription\("  # the caption of a file (uploads.html.j2)
)


def whole(name: str) -> str:
    """A template with what it includes; of several that it may include, all."""
    text = (TEMPLATES / name).read_text()
    text = re.sub(r"{% include \"choice/\" ~ [^%]*%}", lambda _: "".join(map(whole, choices())), text)
    return re.sub(r"{% include \"([^\"]+)\" %}", lambda found: whole(found[1]), text)


def choices() -> list[str]:
    return [f"choice/{path.name}" for path in (TEMPLATES / "choice").iterdir()]


def prose_forms() -> list[tuple[str, str]]:
    """Address and text of every form that is sent and holds free text."""
    pages = [path.relative_to(TEMPLATES).as_posix() for path in TEMPLATES.glob("*.j2")]
    forms = [form for page in pages for form in re.findall(r"<form [^>]*method=\"post\".*?</form>", whole(page), re.S)]
    return [(re.findall(r"action=\"([^\"]*)\"", form)[0], form) for form in forms if PROSE.search(form)]


def test_every_form_for_free_text_has_its_key() -> None:
    found = prose_forms()
    assert len({address for address, _ in found}) > 10
    without = {address for address, form in found if 'name="key"' not in form}
    assert without == NOTHING_TO_KEEP
