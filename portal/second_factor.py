"""One's own second factor: set up with a code to scan, recovery codes, and its removal."""

from uuid import UUID

from fastapi import APIRouter, Response
from starlette.datastructures import FormData

from portal import pages
from portal.errors import NOT_TAKEN, as_problem, fields_of, summary
from portal.pages import Notice, Visit, VisitOf
from portal.qr_code import qr_code
from translations import gettext_noop as _
from translations.dates import day
from use_cases import passkeys, second_factor
from use_cases.passkey_answers import options_to_answer
from use_cases.passkeys import NewPasskey
from use_cases.problems import FieldFault, Problem
from use_cases.second_factor import Enrolment, PasswordAgain, PasswordAndCode, RecoveryCodes, ShownCode
from use_cases.signing import report_id_of

router = APIRouter(include_in_schema=False)

_PLACES = {"wrong_current_password": "password", "wrong_code": "code"}

_QR = _("QR code of the secret below")
_IN_FORCE = _("The second factor is in force.")

_DOING = ("codes", "remove", "passkey")


@router.get("/account/second-factor")
async def second_factor_page(visit: VisitOf) -> Response:
    """Whether one has one, and what can be done."""
    doing = visit.request.query_params.get("do", "")
    return await _page(visit, doing=doing if doing in _DOING else "")


@router.post("/account/second-factor")
async def begin(visit: VisitOf) -> Response:
    """A secret to scan, for the right password."""
    try:
        proof = PasswordAgain.model_validate(await _said(visit, "password"))
        return await _page(visit, enrolment=await second_factor.begin(visit.services, visit.caller, proof))
    except NOT_TAKEN as error:
        return await _page(visit, error=error)


@router.post("/account/second-factor/confirm")
async def confirm(visit: VisitOf) -> Response:
    """Its first code: from now on one is asked for."""
    try:
        shown = ShownCode.model_validate(await _said(visit, "code"))
        made = await second_factor.confirm(visit.services, visit.caller, shown)
        return await _page(visit, made=made, notice=Notice("success", visit.say(_IN_FORCE)))
    except NOT_TAKEN as error:
        return await _page(visit, enrolment=await _begun(visit), error=error)


@router.post("/account/second-factor/recovery-codes")
async def renew(visit: VisitOf) -> Response:
    """Other recovery codes."""
    try:
        proof = PasswordAndCode.model_validate(await _said(visit, "password", "code"))
        return await _page(visit, made=await second_factor.renew_recovery_codes(visit.services, visit.caller, proof))
    except NOT_TAKEN as error:
        return await _page(visit, doing="codes", error=error)


@router.post("/account/second-factor/remove")
async def remove(visit: VisitOf) -> Response:
    """Do without."""
    try:
        proof = PasswordAndCode.model_validate(await _said(visit, "password", "code"))
        await second_factor.remove(visit.services, visit.caller, proof)
    except NOT_TAKEN as error:
        return await _page(visit, doing="remove", error=error)
    return visit.on_to("/account/second-factor", "second_factor_removed")


@router.post("/account/passkeys/begin")
async def begin_passkey(visit: VisitOf) -> Response:
    """What the browser needs to make one, for both proofs."""
    form = await visit.form()
    try:
        proof = PasswordAndCode.model_validate(await _said(visit, "password", "code"))
        name = str(form.get("name", "")).strip()[:60]
        if not name:
            raise Problem("invalid_input", [FieldFault("name", "required")])
        options = await passkeys.begin(visit.services, visit.caller, proof)
    except NOT_TAKEN as error:
        return await _page(visit, doing="passkey", error=error, form=form)
    return await _page(visit, passkey_options=options, name=name)


@router.post("/account/passkeys")
async def add_passkey(visit: VisitOf) -> Response:
    """The browser has made it."""
    try:
        new = NewPasskey.model_validate(await _said(visit, "name", "passkey"))
        await passkeys.add(visit.services, visit.caller, new)
    except NOT_TAKEN as error:
        return await _page(visit, error=error)
    return visit.on_to("/account/second-factor", "passkey_added")


@router.post("/account/passkeys/ask")
async def ask_passkey(visit: VisitOf) -> Response:
    """What a script needs to have a passkey answer for the signature that the form with this key gives, of that request."""
    form = await visit.form()
    try:
        request_id = UUID(str(form.get("request_id", "")))
    except ValueError:
        raise Problem("not_found") from None
    used_for = str(report_id_of(visit.call(request_id, form)))
    options = await options_to_answer(visit.services, visit.caller.id, used_for)
    return Response(options, media_type="application/json")


@router.post("/account/passkeys/{passkey_id}/remove")
async def remove_passkey(passkey_id: str, visit: VisitOf) -> Response:
    """Forget one."""
    await passkeys.remove(visit.services, visit.caller, passkey_id[:2000])
    return visit.on_to("/account/second-factor", "passkey_removed")


async def _said(visit: Visit, *names: str) -> dict[str, object]:
    form = await visit.form()
    return {name: form[name] for name in names if form.get(name)}


async def _begun(visit: Visit) -> Enrolment | None:
    try:
        return await second_factor.begun(visit.services, visit.caller)
    except Problem:
        return None


async def _page(
    visit: Visit,
    *,
    doing: str = "",
    enrolment: Enrolment | None = None,
    made: RecoveryCodes | None = None,
    error: Exception | None = None,
    notice: Notice | None = None,
    passkey_options: str = "",
    name: str = "",
    form: FormData | None = None,
) -> Response:
    why = as_problem(error) if isinstance(error, NOT_TAKEN) else None
    wrong = fields_of(why, visit.language, _PLACES)
    factor = await second_factor.own_factor(visit.services, visit.caller)
    if notice is None:
        notice = summary(why, wrong, visit.language) if why else pages.done_notice(visit.request, visit.language)
    return visit.page(
        "second_factor",
        because=why,
        factor=factor,
        since=day(factor.since, visit.language) if factor.since else "",
        doing=doing,
        enrolment=enrolment,
        secret=_in_groups(enrolment.secret) if enrolment else "",
        qr=qr_code(enrolment.uri, visit.say(_QR)) if enrolment else "",
        passkeys=[
            {"id": one.id, "name": one.name, "since": day(one.created_at, visit.language)}
            for one in await passkeys.list_own(visit.services, visit.caller)
        ],
        passkey_options=passkey_options,
        name=name,
        form=pages.written(form),
        recovery_codes=made.recovery_codes if made else (),
        wrong=pages.written(wrong),
        notice=notice,
    )


def _in_groups(secret: str) -> str:
    return " ".join(secret[n : n + 4] for n in range(0, len(secret), 4))
