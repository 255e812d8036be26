"""The requester's form: a new request, its form page by page of the offering, its photos, and its submission.

A new request has its address (`_beginning`) before it is there: the draft is made when something is first written into the form,
or added to it, so that nothing is left of one that was only looked at. The form is saved as it is typed (static/draft.js), and by
a button where there are no scripts. What can't be stored stays in its field and is named there; the rest is saved.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile

from domain.drafts import OutdatedAnswer
from domain.forms import WholeForm, changes
from domain.health_insurance import PatientSuggestion
from domain.offerings import ServiceOffering
from domain.refusals import Refusal, RefusalCode
from domain.requests import EventName, Role, Status
from portal import answers, forms, pages
from portal.errors import NOT_TAKEN, as_problem, sentence_of
from portal.pages import Notice, Visit, VisitOf, local_address, number_in
from portal.requests import chart
from records.ids import new_id
from translations import gettext_noop as _
from translations.dates import clock
from translations.problems import PHOTO_WARNINGS, health_number_sentence
from translations.typography import COLON
from translations.words import SEXES
from use_cases import attachments, commands, completeness, launches, new_attachments
from use_cases.attachments import AttachmentView
from use_cases.catalogue import legend_of, list_clinics, offering_of_request
from use_cases.drafts import DraftChanges, NewDraft, begin_draft, change_draft, draft_to_begin, remove_draft
from use_cases.launches import LONGEST_KEY
from use_cases.new_attachments import SentFile
from use_cases.orders import Resubmit, Submit
from use_cases.patients import PATIENT_PARTS, Patient
from use_cases.phone_links import living_link
from use_cases.problems import FieldFault, Problem, input_faults
from use_cases.requests import RequestView
from web.connected import AttendedBy
from web.problems import status_of
from web.rates import UPLOADS
from web.session import is_of_script

router = APIRouter(include_in_schema=False)

_STEPS: Mapping[str, Literal[-1, 1]] = {"before": -1, "after": 1}

MAX_FILES = 20
"""Files of one upload without scripts; their sum is limited as the upload of one is (`web.limits`)."""

_ORDERS = {"submit": (Submit(), "submitted"), "resubmit": (Resubmit(), "resubmitted")}
"""What the form's `do` can be besides saving, with the sentence that is said then."""


_PATIENT = _("Patient")
_OPEN = _("a request is open already, %(number)s")
_SECOND = _("A request about this patient is open already: %(numbers)s. Submit another one anyway?")
_UNCHANGED = _("Nothing has changed since it was submitted the last time. Submit it again anyway?")

_SAVED = _("Saved at %(time)s.")
_SAVED_IN_PART = _("Not everything is saved. At %(time)s all was, but for:")
_FORM_CHANGED = _("The form has changed since this page was opened. Load the page again to see it as it is now.")


@router.get("/new")
async def new_page(visit: VisitOf) -> Response:
    """What one can ask for."""
    return await _new_page(visit)


@router.post("/new")
async def begin(visit: VisitOf) -> Response:
    """Go on to the form of a new request."""
    form = await visit.form()
    said, request_id = _said_of_new(form), new_id()
    try:
        visit.check_is_sent()
        await draft_to_begin(visit.services, visit.caller, request_id, NewDraft.model_validate(said), visit.language)
    except NOT_TAKEN as error:
        return await _new_page(visit, as_problem(error))
    return visit.on_to(f"/requests/{request_id}/edit{address_of_beginning(visit, said)}")


def _said_of_new(said: Mapping[str, object]) -> dict[str, str]:
    """What a form, or an address, says of the request that is to be begun."""
    return {name: str(said[name]) for name in ("offering", "clinic", "earlier_id", "copy_form") if said.get(name)}


_WRITER = "of"
"""What says in the address of a form that is not begun whose page it stands on."""


def address_of_beginning(visit: Visit, said: Mapping[str, str]) -> str:
    """What the address of a form says that is not begun: this, and whose page it is."""
    others = {name: text for name, text in said.items() if name != _WRITER}
    return f"?{urlencode({**others, _WRITER: visit.caller.id.hex})}"


def _must_be_writers(visit: Visit) -> None:
    """Raise Problem `not_authenticated` for what comes from the page of somebody else, whose session this browser had before."""
    if visit.request.query_params.get(_WRITER, visit.caller.id.hex) != visit.caller.id.hex:
        raise Problem("not_authenticated")


async def _beginning(visit: Visit) -> NewDraft | None:
    """What the address says of a draft that is perhaps not there yet. Raises Problem `not_found` for what nobody could begin."""
    said = _said_of_new(visit.request.query_params)
    try:
        draft = NewDraft.model_validate(said) if said else None
    except ValidationError:
        raise Problem("not_found") from None
    if draft is not None and _launch_in(visit) and (patient := await _launched(visit)) is not None:
        return draft.model_copy(update={"patient": patient})
    return draft


def _launch_in(visit: Visit) -> str:
    """The launch by a record system with whose patient the draft begins; empty where it is none."""
    return visit.request.query_params.get("launch", "")[:LONGEST_KEY]


async def _launched(visit: Visit) -> Patient | None:
    """The patient of that launch, while it is kept. A form that was begun before has every word that stood in it."""
    return await launches.patient_to_begin(visit.services, visit.caller, _launch_in(visit))


async def begin_now(visit: Visit, request_id: UUID, *, has_form: bool = False) -> None:
    """Make the draft now if it is not there: something is written into it, or added to it without the form (`has_form`).

    Raises Problem `not_authenticated` for somebody else's page; `launch_over` where its patient is neither kept nor in the form.
    """
    _must_be_writers(visit)
    if (draft := await _beginning(visit)) is None:
        return
    if not has_form and _launch_in(visit) and await _launched(visit) is None:
        begins = await draft_to_begin(visit.services, visit.caller, request_id, draft, visit.language)
        if begins is not None:
            raise Problem("launch_over")
    await begin_draft(visit.services, visit.caller, request_id, draft)


@router.get("/requests/{request_id}/edit")
async def edit_page(request_id: UUID, visit: VisitOf) -> Response:
    """The form as it is saved; or as it begins."""
    begins = None
    if (draft := await _beginning(visit)) is not None:
        begins = await draft_to_begin(visit.services, visit.caller, request_id, draft, visit.language)
        if begins is not None and _launch_in(visit) and await _launched(visit) is None:
            raise Problem("launch_over")
    notice = pages.done_notice(visit.request, visit.language)
    return await _edit_page(visit, request_id, notice=notice, begins=begins)


@router.get("/requests/{request_id}/edit/check")
async def check_list(request_id: UUID, visit: VisitOf) -> Response:
    """What is missing now: the part of the page that a script renews."""
    view = await visit.look_at(request_id)
    return visit.page("edit_check", view=view, todo=await _todo(visit, view))


@router.get("/requests/{request_id}/edit/files")
async def files_of_slot(request_id: UUID, slot: str, visit: VisitOf) -> Response:
    """What is there of what the offering asks for: the part of the page that a script renews after an upload."""
    view = await visit.look_at(request_id)
    asked = [pair for pair in (await chart(visit, view))["slots"] if pair[0].name == slot]
    if not asked:
        raise Problem("not_found")
    return visit.page("edit_files", view=view, slot=asked[0][0], there=asked[0][1])


@router.post("/requests/{request_id}/edit")
async def save_or_submit(request_id: UUID, visit: VisitOf) -> Response:
    """Save what is typed. `do` says whether that is all, or the request goes its way now."""
    form = await visit.form()
    _must_be_writers(visit)
    if is_of_script(visit.request):
        return await _saved_by_script(visit, request_id, form)
    await begin_now(visit, request_id, has_form=True)
    do = _ORDERS.get(str(form.get("do", "")))
    saved = None
    try:
        saved = await (_save(visit, request_id, form) if do is None else _save_to_send(visit, request_id, form))
        if saved.wrong or do is None:
            return await _after_saving(visit, request_id, form, saved)
        order, done = do
        if asked := await _asked_first(visit, request_id, form):
            return await _edit_page(visit, request_id, notice=Notice("information", asked), asks=True)
        seen = number_in(form, "offering_version")
        call = replace(visit.call(request_id, form), expected_version=saved.version, seen_offering=seen)
        receipt = await commands.carry_out(visit.services, call, order)
    except (Problem, Refusal) as error:
        return await _edit_page(visit, request_id, form=None if saved else form, error=error)
    return visit.on_to(f"/requests/{request_id}", "queued" if receipt.state == "queued" else done)


@router.post("/requests/{request_id}/attachments", dependencies=[UPLOADS])
async def add_files(request_id: UUID, visit: VisitOf, attended: AttendedBy) -> Response:
    """Files sent by a plain form, for browsers without scripts; others send them in parts (static/uploads.js)."""
    await begin_now(visit, request_id)
    await new_attachments.check_may_add(visit.services, visit.caller, request_id)
    refused = []
    async with visit.request.form(max_files=MAX_FILES, max_fields=8) as form:
        key, slot, back = (str(form.get(name, "")) for name in ("key", "slot", "next"))
        files = [file for file in form.getlist("file") if isinstance(file, UploadFile) and file.filename]
        for file in files:
            sent = SentFile(file.file, file.filename or "", slot)
            # The same file from the same page is the same attachment, however often it is sent.
            name = f"{key}:{slot}:{file.filename}:{file.size}"
            try:
                place = await new_attachments.place_for(visit.services, visit.caller, request_id, name)
                await new_attachments.add(visit.services, visit.caller, place, sent, attended)
            except Problem as problem:
                refused.append((sent.filename, problem))
        if not files:
            refused.append(("", Problem("invalid_input")))
    if not refused:
        return visit.on_to(page_before(request_id, back), "uploaded")
    lines = [_refusal_line(visit, name, problem) for name, problem in refused]
    notice = Notice("error", visit.say(_("Not every file could be added.")), tuple((line, "") for line in lines))
    return await _page_of(visit, request_id, back, notice, status_of(refused[0][1]))


@router.post("/requests/{request_id}/attachments/{attachment_id}/remove")
async def remove_file(request_id: UUID, attachment_id: UUID, visit: VisitOf) -> Response:
    """Take a photo or a video out of the form; doing so twice is as good as once."""
    form = await visit.form()
    try:
        await attachments.remove(visit.services, visit.caller, request_id, attachment_id)
    except Problem as problem:
        if problem.code != "not_found":
            raise
        await visit.look_at(request_id)  # of a request that is not there, the answer says so
    return visit.on_to(page_before(request_id, str(form.get("next", ""))), "removed")


@router.post("/requests/{request_id}/attachments/{attachment_id}/change")
async def change_file(request_id: UUID, attachment_id: UUID, visit: VisitOf) -> Response:
    """Say what a photo or a video shows, and let it change places with the one before or after it (`step`)."""
    form = await visit.form()
    back = str(form.get("next", ""))
    try:
        if said := {name: form[name] for name in ("caption", "view") if name in form}:
            changes = attachments.AttachmentChanges.model_validate(said)
            await attachments.change(visit.services, visit.caller, request_id, attachment_id, changes)
        if by := _STEPS.get(str(form.get("step", ""))):
            await attachments.step(visit.services, visit.caller, request_id, attachment_id, by)
    except NOT_TAKEN as error:
        problem = as_problem(error)
        return await _page_of(visit, request_id, back, _why_not(visit, problem), status_of(problem))
    return visit.on_to(page_before(request_id, back), "saved")


def _why_not(visit: Visit, problem: Problem | Refusal) -> Notice:
    faults = problem.errors if isinstance(problem, Problem) else ()
    return Notice("error", " ".join((sentence_of(problem, visit.language), *(f.told(visit.language) for f in faults))))


@router.post("/requests/{request_id}/attachments/move")
async def move_files(request_id: UUID, visit: VisitOf) -> Response:
    """What was sent for something that the form does not ask for any more goes with something else that fits."""
    form = await visit.form()
    view = await visit.look_at(request_id)
    try:
        for attachment in view.attachments or ():
            if attachment.slot == form.get("from"):
                slot = str(form.get("slot", ""))[:100]
                changes = attachments.AttachmentChanges(slot=slot)
                await attachments.change(visit.services, visit.caller, request_id, attachment.id, changes)
    except Problem as problem:
        notice = Notice("error", sentence_of(problem, visit.language))
        return await _edit_page(visit, request_id, notice=notice, status=status_of(problem))
    return visit.on_to(f"/requests/{request_id}/edit#part-photos", "moved")


@router.get("/requests/{request_id}/delete")
async def delete_page(request_id: UUID, visit: VisitOf) -> Response:
    """Asks once more."""
    view = await visit.look_at(request_id)
    if view.status is not Status.DRAFT:
        raise Problem("not_a_draft")
    return visit.page("edit_delete", view=view, **await chart(visit, view))


@router.post("/requests/{request_id}/delete")
async def delete(request_id: UUID, visit: VisitOf) -> Response:
    """The draft and its photos are gone for good. A second time there is nothing to say any more."""
    try:
        await remove_draft(visit.services, visit.caller, request_id, None)
    except Problem as problem:
        if problem.code != "not_found":
            raise
        return visit.on_to("/worklist")
    return visit.on_to("/worklist", "deleted")


@dataclass(frozen=True)
class _Saved:
    """The version that is saved now, what of the form could not be stored, and what stays saved there (`before`)."""

    version: int | None
    wrong: tuple[FieldFault, ...] = ()
    before: forms.Values = field(default_factory=dict)


async def _save(visit: Visit, request_id: UUID, form: FormData) -> _Saved:
    """Save what can be. Raises Refusal `version_conflict` when something else was saved meanwhile."""
    offering = await visit.offering_in(form)
    typed = forms.read(form, offering, visit.language)
    expected = visit.call(request_id, form).expected_version
    earlier = _earlier(visit, form, offering)
    wrong: tuple[FieldFault, ...] = ()
    before: forms.Values = {}
    while True:
        try:
            given = DraftChanges.model_validate(asdict(typed))
            version = await _change(visit, request_id, given, expected, earlier)
        except (ValidationError, Problem) as error:
            faults = _faults_of(error)
        else:
            return _Saved(version, wrong, before)
        found = tuple(fault for fault in faults if typed.holds(fault.field))
        if not found:
            raise Problem("invalid_input", faults)
        told = {fault.field for fault in wrong}
        fresh = tuple(fault for fault in found if fault.field not in told)
        typed = typed.without(found)  # also of what stayed saved, where that was taken by other rules
        if fresh:
            view = await visit.look_at(request_id)
            typed, before = typed.keeping(fresh, view), forms.as_saved(view, offering, visit.language)
        wrong = (*wrong, *fresh)


def _earlier(visit: Visit, form: FormData, offering: ServiceOffering) -> DraftChanges | None:
    """What the page saved before without an answer, where all of it could be saved."""
    if (sent := forms.earlier(form)) is None:
        return None
    try:
        return DraftChanges.model_validate(asdict(forms.read(sent, offering, visit.language)))
    except ValidationError:
        return None


async def _change(
    visit: Visit, request_id: UUID, given: DraftChanges, expected: int | None, earlier: DraftChanges | None
) -> int:
    """Save that, and give the version that it became. Raises as `change_draft` does.

    A form that was saved already just so is not saved again: it was sent twice, or its answer was lost. Where what is saved is
    what the same page sent before (`earlier`), nobody else has changed anything.
    """
    try:
        return (await change_draft(visit.services, visit.caller, request_id, given, expected, visit.language)).version
    except Refusal as refusal:
        if refusal.code is not RefusalCode.VERSION_CONFLICT:
            raise
        view = await visit.look_at(request_id)
        if not view.editable:
            raise
        if _form_of(view) == _form_given(given):
            return view.version
        if earlier is None or _form_of(view) != _form_given(earlier):
            raise
    return (await change_draft(visit.services, visit.caller, request_id, given, view.version, visit.language)).version


def _faults_of(error: ValidationError | Problem) -> tuple[FieldFault, ...]:
    """What is wrong with the fields of the page. Raises the problem again when that is not what it tells."""
    if isinstance(error, ValidationError):
        return input_faults(error)
    if error.code != "form_invalid":
        raise error
    return tuple(forms.of_answers(error.errors))


async def _save_to_send(visit: Visit, request_id: UUID, form: FormData) -> _Saved:
    """The same for a form that goes its way now. What this very form has submitted already is answered as the first time."""
    try:
        return await _save(visit, request_id, form)
    except Problem as problem:
        is_closed = problem.code in ("not_editable", "submission_under_way")
        if is_closed and await commands.came_before(visit.services, visit.call(request_id, form)):
            return _Saved(None)
        raise


async def _after_saving(visit: Visit, request_id: UUID, form: FormData, saved: _Saved) -> Response:
    if not saved.wrong:
        return visit.on_to(f"/requests/{request_id}/edit", "saved")
    return await _edit_page(
        visit, request_id, form=form, error=Problem("form_invalid", saved.wrong), before=saved.before
    )


async def _saved_by_script(visit: Visit, request_id: UUID, form: FormData) -> Response:
    """The answer for static/draft.js: the new version and what the page shows of it."""
    try:
        await begin_now(visit, request_id, has_form=True)
        saved = await _save(visit, request_id, form)
    except (Problem, Refusal) as error:
        if error.code != RefusalCode.VERSION_CONFLICT:
            told = {"said": sentence_of(error, visit.language), "again": error.code == "submission_under_way"}
            return JSONResponse(told, status_of(error))
        view = await visit.look_at(request_id)
        shown = visit.page("edit_conflict", view=view, conflicts=await _conflicts(visit, view, form))
        found = {"version": view.version, "conflict": _text(shown), "said": sentence_of(error, visit.language)}
        return JSONResponse(found, status_of(error))
    view = await visit.look_at(request_id)
    time = clock(datetime.now(UTC), visit.language)
    said = visit.say(_SAVED_IN_PART if saved.wrong else _SAVED, time=time)
    if str(view.offering_version) != form.get("offering_version"):
        said = f"{said} {visit.say(_FORM_CHANGED)}"
    todo = await _todo(visit, view)
    return JSONResponse(
        {
            "version": saved.version,
            "said": said,
            "wrong": forms.faults_told(saved.wrong, saved.before, visit.language),
            "check": _text(visit.page("edit_check", view=view, todo=todo)),
            "suggestions": _text(visit.page("edit_suggestions", todo=todo)),
        }
    )


@dataclass(frozen=True)
class _Todo:
    """The check list: (what is missing, why, where) and (the photo's slot, advice, where); what the number can fill in."""

    missing: tuple[tuple[str, str, str], ...]
    advice: tuple[tuple[str, str, str], ...]
    suggestions: tuple[PatientSuggestion, ...]


async def _todo(visit: Visit, view: RequestView, legend: ServiceOffering | None = None) -> _Todo:
    """What the check list says; `legend` has the words of the request's own version of its offering, where they are known."""
    offering = legend or await legend_of(visit.services, await visit.offering_of(view))
    found = await completeness.check(visit.services, visit.caller, view.id)
    titles = {slot.name: getattr(slot.label, visit.language) for slot in offering.attachments}
    place = forms.place_of(FieldFault("patient.health_insurance_number", "not_printable"))
    return _Todo(
        tuple(_missing(visit, offering, found.errors)),
        (
            *(
                (titles.get(a.photo.slot, a.photo.slot), visit.say(PHOTO_WARNINGS[a.warning]), f"tile-{a.photo.id}")
                for a in found.advice
            ),
            *_missing(visit, offering, found.text_advice),
            *(
                (
                    visit.say(PATIENT_PARTS["health_insurance_number"]),
                    health_number_sentence(code, found.issuer, visit.language),
                    place,
                )
                for code in found.patient_advice
            ),
            *(
                (visit.say(_PATIENT), visit.say(_OPEN, number=number), f"/requests/{id_}")
                for id_, number in found.open_requests
            ),
        ),
        found.suggestions,
    )


def _missing(visit: Visit, offering: ServiceOffering, faults: Iterable[FieldFault]) -> Iterable[tuple[str, str, str]]:
    for fault in faults:
        label = forms.label_of(fault, offering, visit.language)
        yield label, "" if fault.code == "required" else fault.told(visit.language), forms.place_of(fault)


async def _edit_page(
    visit: Visit,
    request_id: UUID,
    *,
    form: FormData | None = None,
    error: Problem | Refusal | None = None,
    notice: Notice | None = None,
    status: int = 200,
    asks: bool = False,
    before: forms.Values | None = None,
    begins: RequestView | None = None,
) -> Response:
    """The form. With `asks`, the button to submit it does so all the same, whatever was asked.

    `before` is what stays saved of the fields with which the `error` finds fault; `begins`, a draft that is not there yet.
    """
    view = begins or await visit.look_at(request_id)
    if not view.editable:
        if visit.request.method == "GET" and visit.is_requester_of(view):
            return visit.on_to(f"/requests/{request_id}")
        raise error or Problem("forbidden" if visit.request.method == "GET" else "not_editable")
    offering = await (visit.offering_in(form) if form is not None else visit.offering_of(view))
    legend = await legend_of(visit.services, offering)
    conflicts: forms.Differences | None = None
    wrong: dict[str, str] = {}
    if error is not None:
        notice, wrong = _told(visit, error, legend, before or {})
        if form is not None and _is_overtaken(error, view, form):
            conflicts = await _conflicts(visit, view, form)
    around = await chart(visit, view, offering)
    return visit.page(
        "edit",
        status=status,
        because=error,
        view=view,
        values=forms.as_typed(form) if form is not None else forms.as_saved(view, offering, visit.language),
        wrong=pages.written(wrong),
        notice=notice,
        conflicts=conflicts,
        todo=None if begins else await _todo(visit, view, legend if form is None else None),
        begins=address_of_beginning(visit, visit.request.query_params) if begins else "",
        waits=forms.waits(offering, visit.language),
        sexes=SEXES,
        patient_labels=PATIENT_PARTS,
        was_returned=view.status is Status.RETURNED,
        goes_to=await _goes_to(visit, view) if view.status is Status.RETURNED else "",
        asks=asks,
        unsaved=error is not None and error.code == "sent_too_late" and not conflicts,
        withdrawn=view.status is Status.DRAFT and view.offering not in visit.services.offerings,
        outdated=[await _outdated(visit, view, answer) for answer in view.outdated_answers or ()],
        gone=_gone(visit, legend, around["others"]),
        phone_link=None if begins else await living_link(visit.services, visit.caller, request_id),
        **around,
    )


async def _asked_first(visit: Visit, request_id: UUID, form: FormData) -> str:
    """What is asked before the form goes its way, once: is it submitted just as it was, or a second time about the same patient?

    Not of a form that was sent twice, which is answered as before.
    """
    if form.get("all_the_same") == "yes" or await commands.came_before(visit.services, visit.call(request_id, form)):
        return ""
    found = await completeness.check(visit.services, visit.caller, request_id)
    if found.unchanged:
        return visit.say(_UNCHANGED)
    if found.open_requests and form.get("do") == "submit":
        return visit.say(_SECOND, numbers=", ".join(number for _, number in found.open_requests))
    return ""


async def _outdated(visit: Visit, view: RequestView, answer: OutdatedAnswer) -> forms.Outdated:
    asked = await offering_of_request(visit.services, view.offering, answer.offering_version)
    return forms.outdated(answer, asked, visit.language)


@dataclass(frozen=True)
class _Gone:
    """What was sent for `slot`, which the form does not ask for any more."""

    slot: str
    label: str
    there: list[AttachmentView]


def _gone(visit: Visit, legend: ServiceOffering, others: list[AttachmentView]) -> list[_Gone]:
    labels = {slot.name: getattr(slot.label, visit.language) for slot in legend.attachments}
    slots = dict.fromkeys(attachment.slot for attachment in others)
    return [_Gone(slot, labels.get(slot, slot), [a for a in others if a.slot == slot]) for slot in slots]


async def _goes_to(visit: Visit, view: RequestView) -> str:
    """The name of the provider who returned the request and gets it again; empty when it goes to dispatch."""
    if view.return_notice is None or view.return_notice.provider_away:
        return ""
    timeline = await visit.timeline(view.id)
    last = next((e for e in reversed(timeline) if e.name is EventName.RETURNED_TO_REQUESTER), None)
    return last.by.name if last and last.by and last.role is Role.PROVIDER else ""


def _told(
    visit: Visit, error: Problem | Refusal, offering: ServiceOffering, before: forms.Values
) -> tuple[Notice, dict[str, str]]:
    """The summary of an error, and what is said at each field."""
    faults = error.errors if isinstance(error, Problem) else ()
    items, named = [], forms.faults_told(faults, before, visit.language)
    for fault in faults:
        place, said = forms.place_of(fault), forms.fault_told(fault, before, visit.language)
        label = forms.label_of(replace(fault, field=fault.field.removeprefix("answers.")), offering, visit.language)
        items.append((f"{label}{COLON[visit.language]} {said}", place))
        named[place.removeprefix("field-")] = said
    return Notice("error", sentence_of(error, visit.language), tuple(items)), named


async def _conflicts(visit: Visit, view: RequestView, form: FormData) -> forms.Differences:
    """What was saved elsewhere (before) and differs from what is typed here (after)."""
    offering = await visit.offering_in(form)
    typed = forms.read(form, offering, visit.language)
    priority = typed.priority or view.priority
    here = WholeForm(priority=priority, patient=dict(typed.patient), answers=dict(typed.answers), attachments=[])
    found = changes(_form_of(view), here)
    return forms.differences(found, offering, visit.language)


def _is_overtaken(error: Problem | Refusal, view: RequestView, form: FormData) -> bool:
    """Whether something else was saved since the page was made that is shown again."""
    if error.code == "sent_too_late":
        return number_in(form, "version") != view.version
    return error.code == RefusalCode.VERSION_CONFLICT


def _form_of(view: RequestView) -> WholeForm:
    return WholeForm(priority=view.priority, patient=view.patient or {}, answers=view.answers or {}, attachments=[])


def _form_given(given: DraftChanges) -> Mapping[str, object]:
    patient = given.patient.model_dump(mode="json") if given.patient else {}
    return {"priority": given.priority, "patient": patient, "answers": given.answers or {}, "attachments": []}


async def _new_page(visit: Visit, error: Problem | Refusal | None = None) -> Response:
    if Role.REQUESTER not in visit.caller.roles:
        raise Problem("forbidden")
    offerings = visit.services.offerings
    return visit.page(
        "new",
        because=error,
        offerings=offerings,
        waits={code: forms.waits(offering, visit.language) for code, offering in offerings.items()},
        clinics=sorted(
            await list_clinics(visit.services, visit.caller), key=lambda clinic: clinic.id != visit.caller.clinic_id
        ),
        notice=Notice("error", sentence_of(error, visit.language)) if error else None,
    )


async def _page_of(visit: Visit, request_id: UUID, back: str, notice: Notice, status: int) -> Response:
    """The page from which a file was sent, with what went wrong."""
    if back.startswith(f"/requests/{request_id}/answer"):
        return await answers.answer_page_with(visit, request_id, notice=notice, status=status)
    if back.startswith(f"/requests/{request_id}/add-information"):
        return await answers.addition_page_with(visit, request_id, notice=notice, status=status)
    return await _edit_page(visit, request_id, notice=notice, status=status)


def _refusal_line(visit: Visit, name: str, problem: Problem) -> str:
    if not name:
        return visit.say(_("Choose a file first."))
    return f"{name}{COLON[visit.language]} {sentence_of(problem, visit.language)}"


def page_before(request_id: UUID, wanted: str) -> str:
    """The page of this request from which something was sent; its form when that is not said."""
    return local_address(wanted) if wanted.startswith(f"/requests/{request_id}/") else f"/requests/{request_id}/edit"


def _text(page: Response) -> str:
    return bytes(page.body).decode()
