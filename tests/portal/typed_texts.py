"""The forms into which people write, in one table: whatever could lose a text is tried with each of them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from domain.calendar import day_of
from tests.journeys import accepted, asked_about, assigned, draft, ok, reported, returned, somebody_new, submitted
from tests.portal.page_forms import forms_of
from tests.system import PASSWORD, System


@dataclass(frozen=True)
class TypedForm:
    """A form: whose, on which page, where it goes, the field that people write into, and what else it must say to be read.

    `about` names the request that stands in the addresses as ``{id}``. What `saves_itself` is a draft or a report. Short
    lines are not `counted`, nor is what is refused by its form. What is no request and `has_a_version` can be changed by
    somebody else meanwhile.
    """

    who: str
    page: str
    prose: str
    rest: Mapping[str, str] = field(default_factory=dict)
    about: str = "accepted"
    to: str = ""
    saves_itself: bool = False
    counted: bool = True
    has_a_version: bool = False

    @property
    def of_a_request(self) -> bool:
        """Whether it is about one request."""
        return "{id}" in self.page


_SIGNED = {"password": PASSWORD}

FORMS = (
    TypedForm("provider", "/requests/{id}/request-information", "text"),
    TypedForm(
        "provider", "/requests/{id}/return-to-requester", "text", {"reason": "incomplete_submission"}, about="assigned"
    ),
    TypedForm("provider", "/requests/{id}/return-to-dispatch", "comment"),
    TypedForm("provider", "/requests/{id}/transfer", "comment", {"provider_id": "{provider2}"}),
    TypedForm("provider", "/requests/{id}/change-priority", "reason", {"priority": "urgent"}),
    TypedForm(
        "provider",
        "/requests/{id}/report",
        "answers.findings",
        saves_itself=True,
    ),
    TypedForm("provider", "/requests/{id}/addendum", "text", _SIGNED, about="reported"),
    TypedForm("provider", "/requests/{id}/answer-follow-up", "text", about="asked about"),
    TypedForm(
        "provider",
        "/account",
        "note",
        {"starts_on": "2030-01-02", "ends_on": "2030-01-03"},
        to="/account/absences",
    ),
    TypedForm("provider", "/account/texts", "text", {"used_for": "question", "language": "fr"}),
    TypedForm("dispatcher", "/requests/{id}/assign", "comment", {"to": "provider:{provider}"}, about="submitted"),
    TypedForm("dispatcher", "/requests/{id}/reassign", "reason", {"to": "dispatch"}),
    TypedForm(
        "dispatcher",
        "/providers/{provider}",
        "reason",
        {"to": "dispatch", "request": "{accepted}"},
        to="/providers/{provider}/hand-over",
    ),
    TypedForm("dispatcher", "/worklist/filters", "name"),
    TypedForm(
        "administrator",
        "/providers/{provider}",
        "note",
        {"starts_on": "2030-02-02", "ends_on": "2030-02-03"},
        to="/providers/{provider}/absences",
    ),
    TypedForm("administrator", "/people/invite", "profession", counted=False),
    TypedForm("administrator", "/clinic", "address_lines", counted=False, has_a_version=True),
    TypedForm("administrator", "/service-accounts/new", "purpose", counted=False),
    TypedForm("administrator", "/service-accounts/{system}", "purpose", counted=False, has_a_version=True),
    TypedForm(
        "administrator", "/service-accounts/{system}", "jwk", to="/service-accounts/{system}/keys", counted=False
    ),
    TypedForm(
        "administrator",
        "/service-accounts/{partner}/partner",
        "licence_systems",
        counted=False,
        has_a_version=True,
    ),
    TypedForm("administrator", "/webhooks/new", "description", counted=False),
    TypedForm("administrator", "/webhooks/{webhook}", "description", counted=False, has_a_version=True),
    TypedForm(
        "administrator", "/people/{provider2}", "profession", {"given_name": "Ève"}, counted=False, has_a_version=True
    ),
    TypedForm("administrator", "/requests/{id}/hold", "reason", about="reported"),
    TypedForm("administrator", "/requests/{id}/restrictions", "reason", {"whom": "{provider2}"}, about="reported"),
    TypedForm("administrator", "/people/{provider}/leave", "reason", {"to": "dispatch"}),
    TypedForm("administrator", "/incidents/new", "circumstances", {"information": "Noms", "aware_on": "2026-11-01"}),
    TypedForm("administrator", "/incidents/{incident}/edit", "circumstances", has_a_version=True),
    TypedForm(
        "administrator",
        "/communications/new",
        "nature",
        {"given_on": "2026-11-01", "recipient": "La personne", "purpose": "Sa demande"},
    ),
    TypedForm("requester", "/requests/{id}/answer", "text"),
    TypedForm("requester", "/requests/{id}/add-information", "text", {"worse": "yes"}),
    TypedForm("requester", "/requests/{id}/cancel", "reason"),
    TypedForm("requester", "/requests/{id}/acknowledge", "comment", {"advice_followed": "yes"}, about="reported"),
    TypedForm("requester", "/requests/{id}/ask-follow-up", "text", about="reported"),
    TypedForm(
        "requester",
        "/requests/{id}/edit",
        "answers.question",
        {"do": "submit"},
        about="draft",
        saves_itself=True,
    ),
    TypedForm(
        "requester", "/requests/{id}/edit", "answers.question", {"do": "resubmit"}, about="returned", saves_itself=True
    ),
)
"""Every form with free text that acts once (it has a `key`): `test_every_page` finds one that is not here.

What several roles have is here once. The comment for several requests at once has no page that can be opened, that
of the end of a restriction is gone once it was sent (`tests/portal/test_restrictions.py`; `ALSO_KNOWN`), and
that of an access in an emergency is there where a clinic has turned that on (`tests/portal/test_emergencies.py`).
"""

WHATEVER_ELSE_CHANGES = (
    *("/requests/{id}/add-information", "/requests/{id}/addendum", "/requests/{id}/hold"),
    "/requests/{id}/restrictions",
)
"""More can be told, and added to a signed report, and a request is kept or restricted, whatever else has happened."""

ALSO_KNOWN = frozenset({"/assignments", "/emergency", "/requests/*/restrictions/*/end"})


def pattern_of(action: str) -> str:
    """Where a form goes, whatever it is about."""
    return re.sub(r"\{\w+\}|[0-9a-f]{8}-[0-9a-f-]{27}", "*", action.partition("?")[0])


KNOWN = ALSO_KNOWN | {pattern_of(form.to or form.page) for form in FORMS}


def not_known(html: str) -> list[str]:
    """The forms of a page into which people write and that are not in the table, by where they go."""
    written = [form for form in forms_of(html) if form.prose and any(one.name == "key" for one in form.fields)]
    return [form.action for form in written if pattern_of(form.action) not in KNOWN]


async def a_system(system: System) -> str:
    """A service account of the near clinic; its id."""
    last = str(day_of(datetime.now(UTC)) + timedelta(days=90))
    new = {"name": f"Dossier {uuid4().hex}", "purpose": "Essai", "scopes": [], "expires_on": last}
    given = ok(await system.administrator.post("/service-accounts", new), 201)
    return str(given["service_account"]["id"])


async def a_partner(system: System) -> str:
    """A service account of the near clinic, of which it is said how its messages are taken; its id."""
    made = await a_system(system)
    terms = {"liaison_id": system.requester.id}
    ok(await system.administrator.http.put(f"/api/v1/service-accounts/{made}/partner", json=terms))
    return made


async def a_webhook(system: System) -> str:
    """A webhook of the near clinic; its id."""
    new = {"url": f"https://records.example.ca/{uuid4().hex}"}
    return str(ok(await system.administrator.post("/webhooks", new), 201)["webhook"]["id"])


async def an_incident(system: System) -> str:
    """An incident of the near clinic; its id."""
    new = {"information": "Noms", "circumstances": "Télécopieur", "aware_on": "2026-11-01"}
    return str(ok(await system.administrator.post("/incidents", new), 201)["id"])


@dataclass(frozen=True)
class Stage:
    """The requests that the forms are about, by name, and whom or what else their addresses name."""

    system: System
    ids: Mapping[str, str]
    service_account: str
    partner: str
    webhook: str
    incident: str

    @classmethod
    async def built(cls, system: System) -> "Stage":
        """One request for each `about`; of the accepted one a question is open."""
        ids = {
            "accepted": await accepted(system),
            "assigned": await assigned(system),
            "submitted": await submitted(system),
            "reported": await reported(system),
            "asked about": await asked_about(system),
            "returned": await returned(system),
            "draft": await draft(system, patient=somebody_new()),
        }
        ok(await system.provider.post(f"/requests/{ids['accepted']}/request-information", {"text": "Depuis quand?"}))
        made = [await make(system) for make in (a_system, a_partner, a_webhook, an_incident)]
        return cls(system, ids, *made)

    def filled_in(self, text: str, form: TypedForm) -> str:
        """A text of the table with the ids that it means."""
        people = {"provider": self.system.provider.id, "provider2": self.system.provider2.id}
        more = {
            "accepted": self.ids["accepted"],
            "system": self.service_account,
            "partner": self.partner,
            "webhook": self.webhook,
            "incident": self.incident,
        }
        return text.format(id=self.ids[form.about], **more, **people)

    def page(self, form: TypedForm) -> str:
        """The address of the form's page."""
        return self.filled_in(form.page, form)

    def action(self, form: TypedForm) -> str:
        """The address to which the form goes."""
        return self.filled_in(form.to or form.page, form)

    def rest(self, form: TypedForm) -> dict[str, str]:
        """What the form must say besides."""
        return {name: self.filled_in(text, form) for name, text in form.rest.items()}

    async def change(self, about: str) -> None:
        """Let something else happen to that request, so that its version is another one."""
        path, system = f"/requests/{self.ids[about]}", self.system
        if about in ("draft", "returned"):
            view = await system.requester.view(self.ids[about])
            other = "urgent" if view["priority"] == "routine" else "routine"
            ok(await system.requester.http.patch(f"/api/v1{path}", json={"priority": other}))
        elif about in ("reported", "asked about"):
            if about == "asked about":
                ok(await system.requester.post(f"{path}/withdraw-follow-up"))
            ok(await system.requester.post(f"{path}/ask-follow-up", {"text": "Et combien de jours?"}))
            if about == "reported":
                ok(await system.requester.post(f"{path}/withdraw-follow-up"))
        else:
            view = await system.requester.view(self.ids[about])
            other = "asap" if view["priority"] == "urgent" else "urgent"
            said = {"priority": other, "reason": "Elle saigne."}
            ok(await system.dispatcher.post(f"{path}/change-priority", said))
