"""The report: writing it with the picture in view, signing it, adding to it, and checking what was signed.

The draft is saved as it is typed (static/report.js), and by a button where there are no scripts. Its revision guards it: what
another window saved meanwhile is never overwritten unseen, and what is signed is what was reviewed.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from starlette.datastructures import FormData

from domain.offerings import CalledFor, FormField, calling_choices
from domain.refusals import Refusal, RefusalCode
from portal import earlier_texts, forms, pages
from portal.errors import NOT_TAKEN, as_problem, fields_of, links_to, sentence_of
from portal.pages import Notice, Visit, VisitOf, said_in
from portal.requests import chart, closing
from portal.sign_on import back_to, confirmed, go_on, kept_by
from records.models import SigningTicket
from translations import gettext_noop as _
from translations.dates import clock
from use_cases import documents, report_drafts, signing
from use_cases.answers import entries
from use_cases.commands import Call
from use_cases.problems import Problem
from use_cases.report_drafts import ReportDraft, ReportDraftBody
from use_cases.requests import RequestView
from use_cases.second_factor import own_factor
from use_cases.signing import AddendumBody, SignBody, SigningReceipt
from use_cases.snippets import UsedFor, offered
from use_cases.ways_in import proves_by_password
from use_cases.worklist import RequestLine, next_to_do
from web.connected import AttendedBy
from web.files import pdf_response
from web.problems import status_of
from web.rates import DOCUMENTS
from web.session import is_of_script

router = APIRouter(include_in_schema=False)

_PLACES = {"wrong_password": "password", "wrong_code": "code", "wrong_passkey": "code", "code_needed": "code"}

_OVERTAKEN = _(
    "The report was saved in another window at %(time)s. Nothing of yours is lost: it stands below. "
    "Load the other version, or save again to keep this one."
)
_OVERTAKEN_BRIEFLY = _("The report was saved in another window at %(time)s.")
_SAVED = _("Saved at %(time)s")
_SAVED_IN_PART = _("Not everything is saved. At %(time)s all was, except what is marked.")
_SAVED_EXCEPT = _("Not everything is saved: all is, except what is marked below.")
_REVIEW_AGAIN = _("The report was changed in another window since you reviewed it. Read it again below, then sign.")
_LOOK_AGAIN = _("Something happened in the request since you reviewed the report. Look at it again, then sign.")


@dataclass(frozen=True)
class _Saved:
    """The draft after saving. `wrong` says what could not be saved, by the name of the field on the page."""

    draft: ReportDraft
    wrong: Mapping[str, str]


@router.get("/requests/{request_id}/report")
async def report_page(request_id: UUID, visit: VisitOf) -> Response:
    """The form of the report, beside what was asked."""
    return await _report_page(visit, request_id, notice=pages.done_notice(visit.request, visit.language))


@router.post("/requests/{request_id}/report")
async def save(request_id: UUID, visit: VisitOf) -> Response:
    """Save what is typed, and go on where the button leads; a script is answered with what became of it."""
    form = await visit.form()
    by_script = is_of_script(visit.request)
    try:
        if earlier_texts.FIELD in form:
            fields = (await visit.offering_in(form)).report
            form = await earlier_texts.with_inserted(visit, request_id, form, fields)
        saved = await _save(visit, request_id, form)
    except (Problem, Refusal) as error:
        return await (_failed_by_script if by_script else _not_saved)(visit, request_id, form, error)
    if by_script:
        return _saved_by_script(visit, saved)
    if saved.wrong:
        notice = Notice("error", visit.say(_SAVED_EXCEPT), links_to(saved.wrong))
        return await _report_page(visit, request_id, form, notice, wrong=saved.wrong, status=422)
    page = f"/requests/{request_id}/report"
    match form.get("do"):
        case "ask_photos":
            return visit.on_to(f"/requests/{request_id}/request-information?about=new-photos")
        case "sign":
            return visit.on_to(f"{page}/sign")
        case "preview":
            return visit.on_to(f"{page}?preview=ready", "saved")
        case _:
            return visit.on_to(page, "saved")


@router.get("/requests/{request_id}/report/preview.pdf", dependencies=[DOCUMENTS])
async def preview(request_id: UUID, visit: VisitOf, attended: AttendedBy) -> Response:
    """What is saved, as it would look signed."""
    made = await report_drafts.preview(visit.services, visit.caller, request_id, attended)
    return pdf_response(made.pdf, made.filename)


@router.get("/requests/{request_id}/report/sign")
async def sign_page(request_id: UUID, visit: VisitOf) -> Response:
    """The whole report as it will be sent, what is missing, and the signature."""
    return await _sign_page(visit, request_id)


@router.post("/requests/{request_id}/report/sign")
async def sign(request_id: UUID, visit: VisitOf) -> Response:
    """Sign exactly what was reviewed; or say why not."""
    form = await visit.form()
    # Without a revision that can be read, nobody knows what was reviewed: 0 is none that can be signed.
    said = {**said_in(form, "kind", "password", "code", "passkey"), "revision": pages.number_in(form, "revision") or 0}
    try:
        call = visit.call(request_id, form)
        receipt = await signing.sign(visit.services, call, SignBody.model_validate(said))
    except NOT_TAKEN as error:
        return await _sign_page(visit, request_id, form, as_problem(error))
    following = await _next(visit, request_id) if form.get("then") == "next" else None
    return visit.on_to(f"/requests/{following.id if following else request_id}", _done(receipt, form, "sign_report"))


@router.post("/requests/{request_id}/report/sign/confirm")
async def confirm_report(request_id: UUID, visit: VisitOf) -> Response:
    """On to the signer's organization, which confirms that it is they; then back to the same page."""
    form = await visit.form()
    body = {**said_in(form, "kind"), "revision": pages.number_in(form, "revision") or 0}
    try:
        call = visit.call(request_id, form)
        said = {**said_in(form, "kind", "key"), "back": back_to(f"/requests/{request_id}/report/sign", form)}
        cookie = kept_by(visit.request, visit.services.settings)
        begun = await signing.confirm_report(visit.services, call, SignBody.model_validate(body), said, cookie)
    except NOT_TAKEN as error:
        return await _sign_page(visit, request_id, form, as_problem(error))
    return await go_on(visit.request, visit.services, begun)


async def _next(visit: Visit, request_id: UUID) -> RequestLine | None:
    return await next_to_do(visit.services, visit.caller, visit.language, besides=request_id)


@router.get("/requests/{request_id}/addendum")
async def addendum_page(request_id: UUID, visit: VisitOf) -> Response:
    """What is to be added to a final report."""
    return await _addendum_page(visit, request_id)


@router.post("/requests/{request_id}/addendum")
async def add_addendum(request_id: UUID, visit: VisitOf) -> Response:
    """Sign the addition; or say why not, with the text still there."""
    form = await visit.form()
    if earlier_texts.FIELD in form:
        form = await earlier_texts.with_inserted(visit, request_id, form)
        return await _addendum_page(visit, request_id, goes_on=form)
    try:
        call = visit.call(request_id, form)
        body = AddendumBody.model_validate(said_in(form, "text", "password", "code", "passkey", "follow_up_id"))
        receipt = await signing.add(visit.services, call, body)
    except NOT_TAKEN as error:
        return await _addendum_page(visit, request_id, form, as_problem(error))
    return visit.on_to(f"/requests/{request_id}", _done(receipt, form, "add_addendum"))


@router.post("/requests/{request_id}/addendum/confirm")
async def confirm_addendum(request_id: UUID, visit: VisitOf) -> Response:
    """The same for an addendum, whose text is there again."""
    form = await visit.form()
    try:
        call = visit.call(request_id, form)
        said = {
            **said_in(form, "text", "follow_up_id", "key"),
            "back": back_to(f"/requests/{request_id}/addendum", form),
        }
        body = AddendumBody.model_validate(said_in(form, "text", "follow_up_id"))
        cookie = kept_by(visit.request, visit.services.settings)
        begun = await signing.confirm_addition(visit.services, call, body, said, cookie)
    except NOT_TAKEN as error:
        return await _addendum_page(visit, request_id, form, as_problem(error))
    return await go_on(visit.request, visit.services, begun)


async def _confirmed(visit: Visit, request_id: UUID) -> SigningTicket | None:
    """The confirmation with which somebody has just come back."""

    def used_for(command_id: str) -> str:
        return str(signing.report_id_of(Call(visit.caller, request_id, command_id, None)))

    return await confirmed(visit, used_for)


@router.get("/requests/{request_id}/documents/{report_id}", dependencies=[DOCUMENTS])
async def document_page(request_id: UUID, report_id: UUID, visit: VisitOf, attended: AttendedBy) -> Response:
    """What a signed document says, and whether its signature holds, checked on the spot."""
    visit = visit.also_in_emergency()
    verdict = await documents.verify(visit.services, visit.caller, request_id, report_id, attended)
    content = await documents.read_content(visit.services, visit.caller, request_id, report_id)
    view = await visit.look_at(request_id)
    response = visit.page(
        "report_document",
        view=view,
        document=next(document for document in view.documents or () if document.report_id == report_id),
        content=content,
        verdict=verdict,
    )
    return closing(response, view)


async def _save(visit: Visit, request_id: UUID, form: FormData) -> _Saved:
    """Save all that can be saved: of what can't, an unreadable number say, stays what was saved, and it is told."""
    visit.check_is_sent()
    fields = (await visit.offering_in(form)).report
    if {name for name in form if name.startswith("answers.")} - {f"answers.{field.name}" for field in fields}:
        fields = tuple((await _draft(visit, request_id)).fields)
    answers = forms.read_answers(form, fields, visit.language)

    async def put(answers: Mapping[str, object]) -> ReportDraft:
        body = ReportDraftBody.model_validate({"answers": answers})
        try:
            revision = pages.number_in(form, "revision") or 0
            return await report_drafts.save_draft(visit.services, visit.caller, request_id, body, revision)
        except Refusal as refusal:
            if refusal.code is not RefusalCode.VERSION_CONFLICT:
                raise
            saved = await _draft(visit, request_id)
            if saved.answers == body.answers:  # it was sent twice, or its answer was lost
                return saved
            sent = forms.earlier(form)
            if sent is None or saved.answers != forms.read_answers(sent, fields, visit.language):
                raise
        return await report_drafts.save_draft(visit.services, visit.caller, request_id, body, saved.revision)

    try:
        return _Saved(await put(answers), {})
    except Problem as problem:
        if problem.code != "report_invalid":
            raise
        wrong = [fault for fault in problem.errors if fault.field in answers]
        refused = {fault.field for fault in wrong}
        before = await _draft(visit, request_id)
        stays = {name: answer for name, answer in before.answers.items() if name in refused}
        saved = await put({**{name: answer for name, answer in answers.items() if name not in refused}, **stays})
        told = forms.faults_told(forms.of_answers(wrong), _as_saved(visit, before), visit.language)
        return _Saved(saved, told)


def _saved_by_script(visit: Visit, saved: _Saved) -> Response:
    sentence = _SAVED_IN_PART if saved.wrong else _SAVED
    return JSONResponse(
        {
            "revision": saved.draft.revision,
            "said": visit.say(sentence, time=_clock(visit, saved.draft.updated_at)),
            "wrong": dict(saved.wrong),
        }
    )


async def _failed_by_script(visit: Visit, request_id: UUID, form: FormData, error: Problem | Refusal) -> Response:  # noqa: ARG001
    being_signed = error.code == RefusalCode.REPORT_BEING_SIGNED
    if error.code == RefusalCode.VERSION_CONFLICT:
        draft = await _draft(visit, request_id)
        said = visit.say(_OVERTAKEN_BRIEFLY, time=_clock(visit, draft.updated_at))
        return JSONResponse({"said": said, "revision": draft.revision}, status_of(error))
    return JSONResponse({"said": sentence_of(error, visit.language), "again": being_signed}, status_of(error))


async def _not_saved(visit: Visit, request_id: UUID, form: FormData, error: Problem | Refusal) -> Response:
    return await _report_page(visit, request_id, form, error=error)


async def _report_page(
    visit: Visit,
    request_id: UUID,
    form: FormData | None = None,
    notice: Notice | None = None,
    *,
    wrong: Mapping[str, str] | None = None,
    error: Problem | Refusal | None = None,
    status: int = 200,
) -> Response:
    """The form with what is saved, or with what was typed: what could not be saved stays in its field."""
    view = await visit.look_at(request_id)
    draft, refused = await _draft_or_why_not(visit, request_id)
    overtaken = error is not None and error.code == RefusalCode.VERSION_CONFLICT and draft is not None
    revision = str(draft.revision if draft else 0)
    if form is not None and error is not None and not overtaken:
        revision = str(form.get("revision", ""))
    if error is not None:
        notice = Notice("error", sentence_of(error, visit.language))
        if draft is not None and overtaken:
            notice = Notice("error", visit.say(_OVERTAKEN, time=_clock(visit, draft.updated_at)))
    questions = draft.fields if draft else await _fields(visit, view)
    calling = calling_choices(questions)
    return visit.page(
        "report",
        status=status,
        because=error or refused,
        view=view,
        draft=draft,
        questions=questions,
        calling=calling,
        snippets=await offered(visit.services, visit.caller, UsedFor.REPORT, view.offering, visit.language),
        earlier=await _earlier(visit, view, questions),
        says_of_photos={field for (field, _choice), call in calling.items() if call is CalledFor.NEW_PHOTOS},
        shows_form=draft is not None or form is not None,
        revision=revision,
        overtaken=overtaken,
        values=forms.as_typed(form) if form else _as_saved(visit, draft),
        saved_at=draft.updated_at if draft else None,
        unsaved=error is not None and error.code == "sent_too_late",
        preview_ready=visit.request.query_params.get("preview") == "ready",
        wrong=pages.written({**_unsignable(visit, draft), **(wrong or {})}),
        notice=notice,
        **await chart(visit, view),
    )


async def _sign_page(
    visit: Visit, request_id: UUID, form: FormData | None = None, error: Problem | Refusal | None = None
) -> Response:
    view = await visit.look_at(request_id)
    draft, refused = await _draft_or_why_not(visit, request_id)
    notice, wrong = _notice(visit, error)
    if form is not None and error is not None and error.code == RefusalCode.VERSION_CONFLICT and draft is not None:
        changed = str(draft.revision) != form.get("revision")
        notice = Notice("error", visit.say(_REVIEW_AGAIN if changed else _LOOK_AGAIN))
    labels = {field.name: field.label for field in draft.fields} if draft else {}
    ticket = await _confirmed(visit, request_id)
    return visit.page(
        "report_sign",
        because=error or refused,
        view=view,
        draft=draft,
        said=entries(draft.fields, draft.answers, visit.language) if draft else (),
        missing=[(fault, labels[fault.field], fault.told(visit.language)) for fault in draft.missing] if draft else [],
        form=pages.written(ticket.said if ticket else _kept(form, error, "kind")),
        key=str(ticket.said["key"]) if ticket else _key(form, error),
        ticket=ticket,
        following=await _next(visit, request_id),
        factor=await own_factor(visit.services, visit.caller),
        has_password=await proves_by_password(visit.services, visit.caller.account),
        wrong=pages.written(wrong),
        notice=notice,
        **await chart(visit, view),
    )


async def _addendum_page(
    visit: Visit,
    request_id: UUID,
    form: FormData | None = None,
    error: Problem | Refusal | None = None,
    *,
    goes_on: FormData | None = None,
) -> Response:
    """The form, empty or as it was sent: because of an `error`, or to be gone on with."""
    view = await visit.look_at(request_id)
    is_possible = "add_addendum" in view.allowed_commands
    notice, wrong = _notice(visit, error)
    ticket = None if goes_on else await _confirmed(visit, request_id)  # what was confirmed is another text
    return visit.page(
        "report_addendum",
        because=error,
        status=200 if is_possible else 409,
        view=view,
        is_possible=is_possible,
        final=next((document for document in view.documents or () if document.kind == "final"), None),
        form=pages.written(goes_on or (ticket.said if ticket else _kept(form, error, "text", "follow_up_id"))),
        ticket=ticket,
        earlier=await _earlier(visit, view) if is_possible else (),
        factor=await own_factor(visit.services, visit.caller),
        has_password=await proves_by_password(visit.services, visit.caller.account),
        key=str(ticket.said["key"]) if ticket else _key(form, error),
        wrong=pages.written(wrong),
        notice=notice,
    )


async def _earlier(visit: Visit, view: RequestView, fields: Sequence[FormField] = ()) -> earlier_texts.Offered:
    return await earlier_texts.offered(visit, view.id, fields) if view.access == "chart" else ()


async def _draft(visit: Visit, request_id: UUID) -> ReportDraft:
    return await report_drafts.read_draft(visit.services, visit.caller, request_id)


async def _draft_or_why_not(visit: Visit, request_id: UUID) -> tuple[ReportDraft | None, Problem | Refusal | None]:
    try:
        return await _draft(visit, request_id), None
    except (Problem, Refusal) as error:
        return None, error


async def _fields(visit: Visit, view: RequestView) -> tuple[FormField, ...]:
    return (await visit.offering_of(view)).report


def _unsignable(visit: Visit, draft: ReportDraft | None) -> dict[str, str]:
    """What is written and saved, and can't be signed as it stands, by the name of the field on the page."""
    found = draft.missing if draft else []
    return {f"answers.{fault.field}": fault.told(visit.language) for fault in found if fault.code != "required"}


def _as_saved(visit: Visit, draft: ReportDraft | None) -> forms.Values:
    held = forms.answers_as_saved(draft.fields, draft.answers, visit.language) if draft else {}
    return defaultdict(list, held)


def _notice(visit: Visit, error: Problem | Refusal | None) -> tuple[Notice | None, dict[str, str]]:
    """What a form that asks for a signature says at its top, and at its fields."""
    if error is None:
        return None, {}
    sentence = sentence_of(error, visit.language)
    if error.code in ("report_incomplete", "report_invalid"):
        return Notice("error", sentence), {}  # the page lists it
    wrong = fields_of(error, visit.language, _PLACES)
    return Notice("error", sentence, links_to(wrong) if error.code not in _PLACES else ()), wrong


def _kept(form: FormData | None, error: Problem | Refusal | None, *names: str) -> dict[str, object]:
    """What stays in a form that is shown again. A password never does."""
    return {name: form.get(name) for name in names} if form is not None and error is not None else {}


def _key(form: FormData | None, error: Problem | Refusal | None) -> str | None:
    """The key of the form that is shown again: the same while nobody knows whether the signature got through, else a new one."""
    return str(form.get("key", "")) if form is not None and error is not None and status_of(error) >= 500 else None


def _done(receipt: SigningReceipt, form: FormData, command: str) -> str:
    """The sentence that the request's page says: all is done, or signed without its document yet, or not even taken yet."""
    if receipt.state == "done":
        return command
    return "queued" if str(receipt.version) == form.get("version") else "signing"


def _clock(visit: Visit, at: datetime | None) -> str:
    return clock(at, visit.language) if at else ""
