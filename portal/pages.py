"""What every page has in common: who looks at it, in which language, and how a template becomes an answer.

A page is made by the use cases: they decide what may be seen and done, and a page shows it. See `Visit.call` for how a
form becomes a command.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache, partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from sqlalchemy.exc import SQLAlchemyError
from starlette.datastructures import FormData

from domain.calendar import TIME_ZONE
from domain.offerings import ServiceOffering
from domain.photos import MIN_EDGE, MIN_SHARPNESS
from domain.refusals import Refusal
from domain.requests import Role
from media.kinds import MAX_PAGES
from portal import on_this_device, sent_too_late, static, themes
from portal.help_places import help_address
from portal.installable import COLOUR
from settings import Settings
from translations import LANGUAGES, Language, dates, gettext_for, language_accepted, language_named, numbers
from translations import gettext_noop as _
from translations.problems import PHOTO_WARNINGS
from translations.typography import COLON, set_in_french
from translations.words import (
    ASKED_MESSAGES,
    CONSENT_GIVERS,
    CONSENT_PARTS,
    DOCUMENTS,
    ISSUERS,
    LATE,
    MESSAGE_STATES,
    PHOTO_VIEWS,
    PRIORITIES,
    RETURN_REASONS,
    ROLES,
    STATUSES,
    priority_words,
)
from use_cases.answers import outcome_entries
from use_cases.caller import Caller
from use_cases.catalogue import offering_meant, offering_of_request
from use_cases.commands import Call
from use_cases.marks import mark_words
from use_cases.patients import RecordedPatient
from use_cases.problems import Problem
from use_cases.requests import RequestView, read_request, read_request_and_timeline
from use_cases.services import Services
from use_cases.timeline import TimelineEntry, read_timeline
from use_cases.unsent import key_for_typing
from web.observe import CLOSED, HEADERS
from web.problems import headers_of, status_of
from web.services import ServicesOf
from web.session import CallerOf, account_of_session, session_of

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self'; connect-src 'self'; "
    f"font-src 'self'; manifest-src 'self'; form-action 'self'; {CLOSED}"
)
"""The Content-Security-Policy of every page: nothing inline, nothing from elsewhere."""

WITH_CAMERA = frozenset({"edit", "answer", "add_information", "phone"})
"""The pages that may ask the browser for its camera (static/camera.js); all others may not."""

LANGUAGE_COOKIE = "relais-language"
"""The language chosen before signing in; afterwards the account's own counts."""


@dataclass(frozen=True)
class Notice:
    """What a page says at its top. `kind` is success, information or error; `items` are (sentence, place in the page)."""

    kind: str
    text: str
    items: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Visit:
    """Somebody who is signed in looks at a page or sends a form. `heard` is where the feed of changes stood when they came."""

    request: Request
    services: Services
    caller: Caller
    heard: str

    @property
    def language(self) -> Language:
        """The language of the person's account."""
        return self.caller.language

    def say(self, text: str, **values: Any) -> str:
        """A text of the code in the person's language."""
        said = gettext_for(self.language)(text)
        return said % values if values else said

    def page(
        self, page: str, /, *, status: int = 200, because: Problem | Refusal | None = None, **values: Any
    ) -> HTMLResponse:
        """The page, as `render` makes it."""
        own = {"me": self.caller, "heard": self.heard, "new_key": self._new_key}
        offered = [offer.address for offer in values.get("offers", ())]
        own["help_address"] = help_address(self.request.url.path, self.caller.roles, offered)
        values = {**own, "typing_key": key_for_typing(self.caller.account), **values}
        return render(self.request, page, self.language, status=status, because=because, **values)

    async def form(self) -> FormData:
        """The form that was sent; or, of a visitor who has signed in again, the one that was sent too late.

        Raises Problem `not_authenticated` for a form of somebody else's page.
        """
        form = await self.request.form()
        if sealed := form.get(sent_too_late.FIELD):
            form = sent_too_late.form_in(self.caller.account, str(sealed), sent_too_late.address_of(self.request))
            self.request.state.sent_too_late = str(form.get("key", ""))
        if sent_too_late.written_by(form) not in (None, self.caller.id):
            raise Problem("not_authenticated")
        return form

    def check_is_sent(self) -> None:
        """Raise Problem `sent_too_late` for a form that is only to be shown again."""
        if self._key_too_late is not None:
            raise Problem("sent_too_late")

    @property
    def _key_too_late(self) -> str | None:
        key: str | None = getattr(self.request.state, "sent_too_late", None)
        return key

    def _new_key(self) -> str:
        """For a form to act once by. One that is shown again keeps its own: it may have been sent before, unheard."""
        return self._key_too_late or sent_too_late.key_for(self.caller.id)

    def also_in_emergency(self) -> "Visit":
        """The same, of a page that only reads: what the person has opened in an emergency shows on it as well."""
        return replace(self, caller=self.caller.also_in_emergency())

    async def look_at(self, request_id: UUID) -> RequestView:
        """The request as the person may see it; the look is written down. Raises Problem `not_found`."""
        return await read_request(self.services, self.caller, request_id, self.language)

    async def look_at_all(self, request_id: UUID) -> tuple[RequestView, list[TimelineEntry]]:
        """The request with its timeline, read at once; both looks are written down. Raises Problem `not_found`."""
        return await read_request_and_timeline(self.services, self.caller, request_id, self.language)

    async def offering_of(self, view: RequestView) -> ServiceOffering:
        """The service offering in the version that the request has."""
        return await offering_of_request(self.services, view.offering, view.offering_version)

    async def offering_in(self, form: FormData) -> ServiceOffering:
        """The offering that the page of a form was made with, by its hidden fields `offering` and `offering_version`.

        Raises Problem `unknown_offering` when these name none.
        """
        code, version = str(form.get("offering", "")), number_in(form, "offering_version")
        return await offering_meant(self.services, code, version)

    async def timeline(self, request_id: UUID) -> list[TimelineEntry]:
        """Everything that happened to the request, oldest first; the look is written down. Raises Problem `not_found`."""
        return await read_timeline(self.services, self.caller, request_id, self.language)

    def is_requester_of(self, view: RequestView) -> bool:
        """Whether the request is the person's own, and they see it as such."""
        return view.emergency is None and view.requester is not None and view.requester.id == self.caller.id

    def key(self, form: FormData) -> str:
        """What the hidden field `key` of a form of ours makes act once, for this person alone.

        Raises Problem `sent_too_late` for a form that is only to be shown again.
        """
        self.check_is_sent()
        return self.caller.command_id(str(form.get("key", ""))[:120] or None)

    def call(self, request_id: UUID, form: FormData) -> Call:
        """A command that a form of ours gives: its hidden fields `key` and `version` make it act once, and on what was seen.

        Raises as `key` does.
        """
        return Call(self.caller, request_id, self.key(form), number_in(form, "version"))

    def on_to(self, address: str, say: str = "", of: Sequence[UUID] = ()) -> Response:
        """Look at that page next; `say` is the name of a sentence of `SENTENCES` that it then shows, `of` what it is said of."""
        if say:
            page, mark, place = address.partition("#")
            about = "".join(f"&of={one.hex}" for one in of)
            address = f"{page}{'&' if '?' in page else '?'}done={say}{about}{mark}{place}"
        return RedirectResponse(address, 303)


async def _visit(request: Request, services: ServicesOf, caller: CallerOf) -> Visit:
    return Visit(request, services, caller, services.feed.position)


async def reader(request: Request, services: Services) -> Caller | None:
    """Who reads a page that anybody may read, if they are signed in and that can be known: it is there without the records."""
    try:
        account = await account_of_session(request, services)
    except (SQLAlchemyError, OSError):
        return None
    return Caller(account, session_of(request, services.settings) or "") if account else None


def language_asked_for(request: Request, reader: Caller | None) -> Language:
    """The language of such a page: what its address asks for (``?language=en``), the reader's, or this browser's."""
    wanted = request.query_params.get("language") or (reader.account.language if reader else "")
    return next((known for known in LANGUAGES if known == wanted), language_before_sign_in(request))


VisitOf = Annotated[Visit, Depends(_visit)]
"""The visit of somebody who is signed in; others are shown the way to sign in (`portal.errors`)."""

SENTENCES: Mapping[str, str] = {
    "queued": _("Taken. It takes effect as soon as the system is back; nothing is lost."),
    "saved": _("Saved."),
    "submitted": _("The request is submitted. You will be notified when there is an answer or a question."),
    "resubmitted": _("The request is submitted again."),
    "deleted": _("The draft is deleted."),
    "accept": _("You have accepted the request. You can write the report now."),
    "request_information": _("Your question is sent to the requester."),
    "withdraw_information_request": _("The question is withdrawn; its requester is notified."),
    "answer_information": _("Your answer is sent."),
    "add_information": _("Sent. The person who holds the request is notified."),
    "take_back": _("Taken back: everything is as it was before."),
    "transfer": _("The request is transferred to your colleague."),
    "return_to_requester": _("The request is returned to its requester, with your reason."),
    "return_to_dispatch": _("The request is back in dispatch, with your comment."),
    "assign": _("The request is assigned."),
    "assigned_several": _("What was chosen is assigned; everybody concerned is notified."),
    "reassign": _("The request is handed on; the person who had it is notified."),
    "change_priority": _("The priority is changed, and its deadline restarts."),
    "cancel": _("The request is cancelled; the person who held it is notified."),
    "acknowledge": _("The report is acknowledged and the request closed. Thank you."),
    "confirm_reading": _("Noted that the report was read. No more reminders are sent about it."),
    "read_for_requester": _("Noted that you have read the report for your colleague, who is notified."),
    "ask_follow_up": _("Your question is sent to whoever signed the report."),
    "withdraw_follow_up": _("The question about the report is withdrawn; the person asked is notified."),
    "answer_follow_up": _("Your answer is sent to the requester."),
    "sign_report": _("The report is signed and sent to the requester."),
    "add_addendum": _("The addendum is signed and sent to the requester."),
    "signing": _("The report is signed. Its document is being prepared and will be sent by itself."),
    "uploaded": _("The file is added."),
    "removed": _("The file is removed."),
    "moved": _("The files are moved."),
    "settings": _("Your settings are saved."),
    "handed_over": _("Handed over; everybody concerned is notified."),
    "absence": _("The absence is recorded. Colleagues and dispatchers see it when they choose a provider."),
    "filter_kept": _("The filter is saved. You find it beside the title of the worklist."),
    "snippet_kept": _("The text is saved."),
    "snippet_removed": _("The text is removed."),
    "filter_removed": _("The filter is removed."),
    "theme": _("Your choice is kept on this device."),
    "offerings": _("Noted. Who serves an offering comes first where a provider is chosen for it."),
    "absence_removed": _("The absence is removed."),
    "session_ended": _("You are signed out there."),
    "sessions_ended": _("You are signed out everywhere but here."),
    "sent_again": _("The e-mail is sent again. Should it reach nobody once more, it comes back here."),
    "second_factor_reset": _("The second factor is removed: the password is enough until another one is set up."),
    "passkey_added": _("The passkey is added. Other devices are signed out."),
    "passkey_removed": _("The passkey is removed. Other devices are signed out."),
    "linked": _("The identity of your organization is linked: you can sign in with it."),
    "unlinked": _("The identity of your organization is removed: it no longer signs in here."),
    "identity_removed": _("The identity is removed: nobody signs in with it any more."),
    "second_factor_removed": _(
        "The second factor is removed: your password is enough again. Other devices are signed out."
    ),
    "system_saved": _("Saved. What the system may do counts at once."),
    "system_locked": _("The system is locked out, by every secret."),
    "system_reopened": _("The system may come in again."),
    "key_added": _("The key is registered: the system can sign with it."),
    "key_ended": _("The key has ended: nobody comes in by it any more."),
    "webhook_saved": _("Saved."),
    "webhook_tested": _("A test is on its way. Look again in a moment."),
    "webhook_off": _("The webhook is turned off: nothing goes there any more."),
    "subscription_off": _("The subscription is turned off: its system is told nothing any more."),
    "webhook_removed": _("The webhook is removed."),
    "webhook_replayed": _("On its way again. Look again in a moment."),
    "partner_saved": _("Saved. It counts for the next message."),
    "partner_on": _("Turned on. What did not go meanwhile can be sent again below."),
    "partner_off": _("Turned off: the partner is told nothing any more."),
    "partner_replayed": _("On its way again. Look again in a moment."),
    "secret_ended": _("The secret has ended: nobody comes in by it any more."),
    "password": _("Your password is changed. Other devices are signed out."),
    "signed_out": _("You are signed out."),
    "idle": _(
        "You were signed out because nothing happened here for a while. What you wrote is there when you sign in again."
    ),
    "retention_saved": _("Saved. It counts at once, also for what stands on a list already."),
    "held": _("The request is on hold: it is kept until the hold is lifted."),
    "restricted": _("Saved. Whom you named does not see the request any more."),
    "opened_in_emergency": _("You may read the request now."),
    "emergency_ended": _("The access has ended."),
    "restriction_ended": _("The restriction has ended."),
    "hold_lifted": _("The hold is lifted."),
    "retention_approved": _(
        "Approved. The list says until when it can be taken back; what stands on it is destroyed then. The certificate comes "
        "when all is done."
    ),
    "retention_taken_back": _(
        "The approval is taken back: nothing of this list is destroyed before it is approved again."
    ),
    "accesses_settled": _("Saved. What was said stays on record."),
    "accesses_signed_off": _("The month is signed off in your name."),
    "incident_recorded": _("The incident is recorded. What the law still asks for stands below."),
    "incident_corrected": _("Saved as a new version. What was written before is kept."),
    "communication_entered": _("The entry is in the register."),
    "clinic_saved": _("Saved. The hours count for requests that are submitted from now on."),
    "person_saved": _("Saved. What the person may do counts from now on."),
    "locked": _("The account is locked: its sessions have ended, and nobody signs in with it."),
    "reopened": _("The account is open again."),
    "left": _("The account is closed: its sessions have ended, and nobody signs in with it."),
    "left_holding": _("The account is closed. Part of what this person has is still to be handed over: here it is."),
    "reviewed": _("Noted that you have looked at this account."),
    "password_help": _("A link to a new password is on its way to the person by e-mail."),
    "invited": _("The invitation is on its way by e-mail."),
    "invitation_revoked": _("The invitation is taken back: its link opens nothing any more."),
    "joined": _("Welcome to Relais. Your account is there, and you are signed in."),
    "forgotten": _(
        "If there is an account of this name or address, an e-mail with a link to a new password is on its way. It is "
        "valid for an hour."
    ),
    "new_password": _("Your password is changed. Sign in with it."),
}
"""What a page says after something was done, by the name in its address: no text of an address is ever shown."""


def written(form: Mapping[str, object] | None = None, **texts: str) -> Mapping[str, str]:
    """What a form holds, by field; an empty text for a field that it has not."""
    held = {name: value for name, value in (form or {}).items() if isinstance(value, str)}
    return defaultdict(str, {**texts, **held})


def number_in(form: FormData, name: str) -> int | None:
    """The whole number in a hidden field of ours; None where there is none that we could have written."""
    text = str(form.get(name, ""))
    return int(text) if text.isdecimal() and len(text) < 10 else None


def id_in(text: str | None) -> UUID | None:
    """The id that an address names; None where it names none."""
    try:
        return UUID(text) if text else None
    except ValueError:
        return None


def said_in(form: FormData, *names: str) -> dict[str, str]:
    """Those fields of the form; what was left empty is left out."""
    texts = {name: form.get(name) for name in names}
    return {name: text.replace("\r\n", "\n") for name, text in texts.items() if isinstance(text, str) and text}


def done_notice(request: Request, language: Language) -> Notice | None:
    """What the page says about what was just done."""
    sentence = SENTENCES.get(request.query_params.get("done", ""))
    return Notice("success", gettext_for(language)(sentence)) if sentence else None


def render(
    request: Request,
    page: str,
    language: Language,
    /,
    *,
    status: int = 200,
    because: Problem | Refusal | None = None,
    **values: Any,
) -> HTMLResponse:
    """A page in that language, for somebody (`me`) or for nobody yet.

    `because` is why a form was not taken: it gives the status, and says when it may be tried again. Raises ValueError where a
    value has the name of what every page has.
    """
    settings: Settings = request.app.state.services.settings
    environment = _environment(language)
    if hidden := values.keys() & environment.globals.keys():
        raise ValueError(f"every page has something else of that name: {sorted(hidden)}")
    values.setdefault("me", None)
    values.setdefault("heard", "")
    values.setdefault("help_address", "/help")
    values.setdefault("typing_key", "")
    values.setdefault("notice", None)
    values.setdefault("theme", themes.theme_of(request))
    html = environment.get_template(f"{page}.html.j2").render(
        support=support(settings, language),
        limits=_limits(settings),
        embedded=settings.embedded,
        idle_minutes=settings.idle_minutes,
        **values,
    )
    headers = {
        **HEADERS,
        "Referrer-Policy": "same-origin",  # older browsers say where a form comes from only where this is let through
        "Content-Security-Policy": POLICY,
        "Content-Language": language,
        **(headers_of(because) if because else {}),
    }
    if page in WITH_CAMERA:
        headers["Permissions-Policy"] = headers["Permissions-Policy"].replace("camera=()", "camera=(self)")
    return HTMLResponse(html, status_of(because) if because else status, headers)


def _limits(settings: Settings) -> dict[str, int]:
    """The most bytes of a file of each kind, and the most pages of a document."""
    return {
        "photo": settings.max_photo_bytes,
        "video": settings.max_video_bytes,
        "document": settings.max_document_bytes,
        "pages": MAX_PAGES,
    }


def support(settings: Settings, language: Language) -> dict[str, str]:
    """The support block: hours, phone, e-mail; empty where nothing is set."""
    return {
        "hours": settings.support_hours_fr if language == "fr" else settings.support_hours_en,
        "phone": settings.support_phone,
        "email": settings.support_email,
    }


def language_before_sign_in(request: Request) -> Language:
    """The language chosen on the sign-in page, else the browser's first of ours, else French."""
    chosen = on_this_device.kept(request, LANGUAGE_COOKIE)
    if chosen in LANGUAGES:
        return language_named(chosen)
    return language_accepted(request.headers.get("accept-language", "")) or "fr"


def local_address(wanted: str | None) -> str:
    """`wanted` if it is a page of ours, else the start page: a link must not lead to another site after signing in."""
    if wanted and wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and wanted.isprintable():
        return wanted
    return "/"


@cache
def _environment(language: Language) -> Environment:
    made = Environment(
        loader=PackageLoader("portal"),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,  # nobody looks at every template of every page whether its file has changed
        trim_blocks=True,
        lstrip_blocks=True,
    )
    translate = gettext_for(language)
    made.globals |= {
        "_": translate,
        "now": partial(datetime.now, UTC),
        "language": language,
        "colon": COLON[language],
        "static": static.address,
        "time_zone": TIME_ZONE.key,
        "theme_colour": COLOUR,
        "statuses": STATUSES,
        "roles": ROLES,
        "return_reasons": RETURN_REASONS,
        "asked_messages": ASKED_MESSAGES,
        "message_states": MESSAGE_STATES,
        "priorities": PRIORITIES,
        "priority_words": partial(priority_words, language=language),
        "priority_options": lambda offering: [(code, priority_words(code, offering, language)) for code in PRIORITIES],
        "late": LATE,
        "issuers": ISSUERS,
        "consent_givers": CONSENT_GIVERS,
        "consent_parts": CONSENT_PARTS,
        "documents": DOCUMENTS,
        "photo_views": PHOTO_VIEWS,
        "photo_warnings": PHOTO_WARNINGS,
        "min_edge": MIN_EDGE,
        "min_sharpness": MIN_SHARPNESS,
        "Role": Role,
    }
    made.tests["past"] = lambda at: at < datetime.now(UTC)
    made.filters |= {
        "moment": partial(dates.moment, language=language),
        "short_moment": partial(dates.short_moment, language=language),
        "clock": partial(dates.clock, language=language),
        "day": partial(dates.day, language=language),
        "month": partial(dates.month, language=language),
        "distance": partial(dates.distance, language=language),
        "age": partial(dates.age, language=language),
        "birth": partial(dates.birth, language=language),
        "patient_name": lambda patient: RecordedPatient.model_validate(patient).full_name(language),
        "counted": lambda count: numbers.count(count.number, language, at_least=count.at_least),
        "size": partial(numbers.size, language=language),
        "duration": numbers.duration,
        "typeset": lambda text: type(text)(set_in_french(text)) if language == "fr" else text,
        "mark_words": lambda mark: mark_words(mark, language),
        "outcome_entries": lambda outcome: outcome_entries(outcome, language),
        "localized": lambda text: getattr(text, language),
        "translated": lambda pairs: [(code, translate(words)) for code, words in pairs],
        "options": lambda choices: [(choice.value, getattr(choice.label, language)) for choice in choices],
        "question_options": lambda questions: [(str(question.id), question.text) for question in questions],
    }
    return made
