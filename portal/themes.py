"""The look of the pages on this device: light, dark, or as the system has it. Paper is always light."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from portal import on_this_device
from translations import gettext_noop as _
from use_cases.problems import Problem
from web.services import ServicesOf
from web.session import check_same_site

router = APIRouter(include_in_schema=False)

THEME_COOKIE = "relais-theme"
"""The look that was chosen on this device; the system's where there is none."""


@dataclass(frozen=True)
class Theme:
    """A look: its name, on which screens its dark colours count (CSS media), what browsers are told of it."""

    name: str
    label: str
    dark_on: str | None
    color_scheme: str


THEMES: Mapping[str, Theme] = {
    theme.name: theme
    for theme in (
        Theme("system", _("As this device has it"), "screen and (prefers-color-scheme: dark)", "light dark"),
        Theme("light", _("Light"), None, "light"),
        Theme("dark", _("Dark"), "screen", "dark"),
    )
}


def theme_of(request: Request) -> Theme:
    """The look that was chosen on the visitor's device."""
    return THEMES.get(on_this_device.kept(request, THEME_COOKIE) or "", THEMES["system"])


@router.post("/theme")
async def choose_theme(request: Request, services: ServicesOf, theme: Annotated[str, Form()] = "") -> Response:
    """Keep the look on this device, whoever signs in there. Raises Problem `invalid_input` for a look that there is not."""
    check_same_site(request)
    if theme not in THEMES:
        raise Problem("invalid_input")
    response = RedirectResponse("/account?done=theme", 303)
    on_this_device.keep(response, services.settings, THEME_COOKIE, theme)
    return response
