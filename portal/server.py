"""The pages, put before an application."""

from fastapi import FastAPI

from portal import (
    access_reviews,
    accesses,
    account,
    answers,
    assignments,
    choices,
    clinic,
    drafts,
    errors,
    guide,
    idle,
    installable,
    invitations,
    journals,
    live,
    media,
    passwords,
    past_cases,
    patients,
    people,
    phone_links,
    providers,
    reports,
    requests,
    retention,
    saved_filters,
    second_factor,
    service_accounts,
    sign_on,
    signin,
    snippets,
    static,
    statistics,
    themes,
    undelivered,
    verification,
    webhooks,
    worklist,
)

PAGES = (
    signin,
    sign_on,
    idle,
    passwords,
    invitations,
    people,
    clinic,
    service_accounts,
    webhooks,
    retention,
    access_reviews,
    worklist,
    saved_filters,
    past_cases,
    assignments,
    drafts,
    phone_links,
    live,
    media,
    answers,
    reports,
    account,
    second_factor,
    themes,
    snippets,
    guide,
    installable,
    verification,
    providers,
    undelivered,
    statistics,
    accesses,
    journals,
    patients,
    requests,
    choices,
)
"""In the order in which their addresses are tried: `choices` takes whatever follows a request's id."""


def install(app: FastAPI) -> None:
    """Put the pages before what `app` serves already: what it answers outside of its own addresses becomes a page."""
    static.install(app)
    for page in PAGES:
        app.router.routes.extend(page.router.routes)  # as they are: included, each would be made a second time
    errors.install(app)
