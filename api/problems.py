"""Errors as the API gives them: application/problem+json (RFC 9457) with a stable `code` and a sentence for people.

`PROBLEMS` is the table of every code that is not a refusal of the rules; those have their own (`domain.refusals`).
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from babel.numbers import format_decimal
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from api.observe import HEADERS, PASSING_PROBLEMS
from domain.offerings import FieldProblem
from domain.refusals import Refusal, RefusalCode
from domain.rules import UnknownRulesError
from records.errors import NotFoundError, StoreError, StoreFullError
from records.trouble import DATABASE_ERRORS, Trouble, is_full, is_of_a_disk, trouble_of
from translations import LANGUAGES, Language, gettext_for
from translations import gettext_noop as _
from translations.dates import LOCALES
from translations.words import REFUSALS

MEDIA_TYPE = "application/problem+json"

PROBLEMS: Mapping[str, tuple[int, str]] = {
    "not_authenticated": (401, _("Sign in first.")),
    "wrong_credentials": (401, _("The user name or the password is wrong.")),
    "too_many_attempts": (429, _("Too many wrong passwords; wait a few minutes and try again.")),
    "wrong_password": (403, _("The password is wrong; the report was not signed.")),
    "other_site": (403, _("This came from a page of another site; nothing was done.")),
    "forbidden": (403, _("You may not do this.")),
    "wrong_current_password": (403, _("Your present password is not this one; nothing was changed.")),
    "not_found": (404, _("There is nothing here, or you may not see it.")),
    "method_not_allowed": (405, _("This address does not know this method.")),
    "invalid_input": (422, _("Something in what was sent is not right.")),
    "malformed_json": (422, _("What was sent is not readable JSON.")),
    "too_large": (413, _("What was sent is too large.")),
    "too_many_at_once": (429, _("You have sent many files at once; wait until some of them are done.")),
    "busy": (503, _("Many files are being looked at; try again in a moment.")),
    "unknown_offering": (422, _("There is no such service offering.")),
    "unknown_offering_version": (422, _("The form of this request has no such version.")),
    "offering_withdrawn": (
        409,
        _("This service offering takes no new requests: the draft can't be submitted. What is in it can be copied."),
    ),
    "unknown_clinic": (422, _("There is no such clinic.")),
    "unknown_provider": (422, _("There is no such provider.")),
    "clinic_not_routed": (422, _("Your clinic does not route requests there.")),
    "form_incomplete": (422, _("The request is not complete.")),
    "form_invalid": (422, _("Some answers of the form are not right.")),
    "report_incomplete": (422, _("The report is not complete.")),
    "report_invalid": (422, _("Some answers of the report are not right.")),
    "unknown_slot": (422, _("The service offering asks for no such attachment.")),
    "unknown_attachment": (422, _("There is no such attachment.")),
    "unsupported_media": (
        415,
        _(
            "This kind of file can't be taken. Send a photo (JPEG, PNG, WebP or HEIC) or a video (MP4, MOV, M4V or WebM)."
        ),
    ),
    "unsupported_charset": (415, _("Texts are sent as UTF-8.")),
    "damaged_media": (422, _("This file is damaged and can't be read.")),
    "truncated_media": (
        422,
        _("The end of this file is missing: it was cut off on its way. Send it again from the device."),
    ),
    "too_many_pixels": (
        422,
        _(
            "This picture is too large: it has %(width)s × %(height)s pixels. At most %(limit_megapixels)s megapixels can "
            "be taken, and %(limit_edge)s pixels along an edge."
        ),
    ),
    "media_too_slow": (
        422,
        _("Reading this file took too long, so it can't be taken. Save it anew and send that."),
    ),
    "media_too_demanding": (
        422,
        _("Reading this file takes too much memory, so it can't be taken. Save it anew, smaller, and send that."),
    ),
    "videos_not_possible": (503, _("Videos can't be taken at the moment: the server lacks a program. Photos can.")),
    "video_preparing": (409, _("The video is being prepared; ask again in a moment.")),
    "video_not_playable": (409, _("The video could not be made playable; its first frame is all there is to see.")),
    "stored_file_missing": (
        503,
        _("The stored file is not where it was kept, so it can't be given out. The operators are told of it."),
    ),
    "stored_file_differs": (
        503,
        _("The stored file is not the one that was kept, so it is not given out. The operators are told of it."),
    ),
    "range_not_satisfiable": (416, _("The file has no such part.")),
    "unsupported_tus_version": (412, _("Uploads in parts follow version 1.0.0 of tus (header Tus-Resumable).")),
    "not_a_part_of_a_file": (415, _("A part of a file is sent as application/offset+octet-stream.")),
    "offset_mismatch": (409, _("The upload goes on from another place; ask where (HEAD).")),
    "not_a_draft": (409, _("Only a draft that was never submitted can be removed.")),
    "not_editable": (409, _("The form can't be changed in the request's present status.")),
    "submission_under_way": (
        409,
        _("The request is on its way to be submitted: until that is done, nothing in its form can be changed."),
    ),
    "answer_under_way": (
        409,
        _("The answer is on its way: nothing can be added to it or taken out of it any more."),
    ),
    "not_yet": (503, _("What was asked for before is still on its way. Try again in a moment.")),
    "idempotency_key_reused": (422, _("This Idempotency-Key was used for something else.")),
    "invalid_idempotency_key": (422, _("An Idempotency-Key has 1 to 120 printable ASCII characters.")),
    "invalid_if_match": (422, _("If-Match must hold the version of the request.")),
    "absence_ends_before_start": (422, _("The absence ends before it starts.")),
    "absence_too_long": (422, _("An absence is at most a year long.")),
    "absence_in_the_past": (422, _("The absence is over already.")),
    "absence_overlaps": (409, _("There is an absence on some of these days already.")),
    "report_not_drawn": (422, _("The report could not be drawn: it takes too long. Shorten it.")),
    "signing_failed": (409, _("The signed document could not be prepared; the request is as it was.")),
    "engine_unreachable": (
        503,
        _("The engine does not answer. Try again in a moment: the same command acts only once."),
    ),
    "newer_rules": (503, _("This server has not been brought up to date yet. Try again in a moment.")),
    "records_unreachable": (503, _("The records can't be reached; nothing was changed. Try again in a moment.")),
    "records_busy": (503, _("The records are busy; nothing was changed. Try again in a moment.")),
    "store_unreachable": (503, _("The store of photos and documents can't be reached. Try again in a moment.")),
    "storage_full": (
        507,
        _("There is no room left to store anything; nothing was changed. Those who run Relais must act."),
    ),
    "internal_error": (500, _("Something went wrong on our side.")),
}

_WITH_LIMIT = {"too_large": _("What was sent is too large: at most %(limit_megabytes)s MB can be taken.")}
"""Sentences of problems that can name a limit, when they do."""

FIELD_PROBLEMS: Mapping[str, str] = {
    "required": _("This field is required."),
    "unknown_field": _("There is no such field."),
    "not_a_text": _("A text is expected."),
    "too_long": _("The text is too long: at most %(limit)d characters."),
    "not_an_option": _("This is not one of the choices."),
    "not_a_list": _("A list is expected."),
    "not_a_number": _("A number is expected."),
    "too_small": _("The smallest number possible is %(limit)g."),
    "too_large": _("The largest number possible is %(limit)g."),
    "not_a_date": _("A date such as 2026-11-22 is expected."),
    "not_a_yes_or_no": _("Yes or no (true or false) is expected."),
    "password_too_short": _("A password has at least %(limit)d characters."),
    "password_is_the_username": _("The password must not be the user name."),
    "not_storable": _("The text holds a character that can't be stored."),
    "not_one_line": _(
        "One line of visible text is expected here. Remove what stands in it and can't be seen: %(characters)s."
    ),
    "not_printable": _(
        "These signs can't be printed on the signed document: %(characters)s. Write them in another way."
    ),
    "too_many_pages": _(
        "All the texts together are too long for the document: at most %(limit)d pages can be printed. "
        "Shorten this one, the longest."
    ),
    "too_few_attachments": _("At least %(limit)d are needed."),
    "too_many_attachments": _("At most %(limit)d can be taken."),
    "outdated_answer": _("The form has changed since this was answered: take over what is needed, then remove it."),
    "slot_gone": _("The form does not ask for these files any more: move or remove them."),
}


INPUT_PROBLEMS: Mapping[str, str] = {
    "missing": FIELD_PROBLEMS["required"],
    "extra_forbidden": FIELD_PROBLEMS["unknown_field"],
    "string_type": FIELD_PROBLEMS["not_a_text"],
    "string_too_short": FIELD_PROBLEMS["required"],
    "string_too_long": FIELD_PROBLEMS["too_long"],
    "string_unicode": FIELD_PROBLEMS["not_storable"],
    "value_error": FIELD_PROBLEMS["not_storable"],  # the one rule that texts have besides their length
    "not_one_line": FIELD_PROBLEMS["not_one_line"],
    "enum": FIELD_PROBLEMS["not_an_option"],
    "literal_error": FIELD_PROBLEMS["not_an_option"],
    "list_type": FIELD_PROBLEMS["not_a_list"],
    "too_long": FIELD_PROBLEMS["too_many_attachments"],
    "int_type": FIELD_PROBLEMS["not_a_number"],
    "int_parsing": FIELD_PROBLEMS["not_a_number"],
    "greater_than_equal": FIELD_PROBLEMS["too_small"],
    "less_than_equal": FIELD_PROBLEMS["too_large"],
    "bool_type": FIELD_PROBLEMS["not_a_yes_or_no"],
    "bool_parsing": FIELD_PROBLEMS["not_a_yes_or_no"],
    "date_type": FIELD_PROBLEMS["not_a_date"],
    "date_parsing": FIELD_PROBLEMS["not_a_date"],
    "date_from_datetime_parsing": FIELD_PROBLEMS["not_a_date"],
    "uuid_type": _("An id (a UUID) is expected."),
    "uuid_parsing": _("An id (a UUID) is expected."),
    "dict_type": _("A JSON object is expected."),
    "model_type": _("A JSON object is expected."),
    "model_attributes_type": _("A JSON object is expected."),
}
"""Kinds of pydantic's errors to sentences; a rule of ours (`PydanticCustomError`) brings its own."""

_LIMITS = ("max_length", "ge", "le")


class FieldError(BaseModel):
    """What is wrong with one field."""

    field: str = Field(examples=["patient.birth_date"])
    code: str = Field(examples=["required"])
    message: str = Field("", examples=["Ce champ est requis."])


class ProblemDetails(BaseModel):
    """An error: RFC 9457, with a stable `code` for programs and a `detail` for people."""

    type: str = "about:blank"
    title: str = Field(examples=["Conflict"])
    status: int = Field(examples=[409])
    code: str = Field(examples=["already_accepted"])
    detail: str = Field(examples=["Quelqu’un d’autre a déjà accepté cette demande."])
    errors: list[FieldError] | None = Field(None, description="What is wrong, field by field, where there are fields.")


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Those errors, for the API's description (`api.docs` gives them their media type)."""
    return {status: {"model": ProblemDetails, "description": HTTPStatus(status).phrase} for status in statuses}


RESPONSES = responses(401, 403, 404, 409, 412, 413, 422, 503)
"""The errors that any route can give."""

_REFUSAL_STATUS = {"forbidden": 403, "conflict": 409, "stale": 412, "invalid": 422}

log = structlog.get_logger(__name__)


class Problem(Exception):  # noqa: N818 - RFC 9457 calls it so
    """An answer that is a problem. `members` are added to the JSON object as they are."""

    def __init__(self, code: str, headers: Mapping[str, str] | None = None, **members: Any) -> None:
        super().__init__(code)
        self.code = code
        self.status, self.sentence = PROBLEMS[code]
        self.headers = headers
        self.members = members

    def told(self, language: Language) -> str:
        """The sentence in `language`, with the numbers that it names."""
        numbers = {name: value for name, value in self.members.items() if isinstance(value, int | float)}
        if "limit_bytes" in numbers:
            numbers["limit_megabytes"] = numbers["limit_bytes"] / 1e6
        sentence = _WITH_LIMIT.get(self.code, self.sentence) if "limit_bytes" in numbers else self.sentence
        words = {name: format_decimal(number, "#,##0.#", LOCALES[language]) for name, number in numbers.items()}
        return gettext_for(language)(sentence) % words


def language_of(request: Request) -> Language:
    """The language that the caller reads: the first of ours in Accept-Language, else their account's, else French."""
    wanted = [_weighed(part) for part in request.headers.get("accept-language", "").split(",")]
    for weight, language in sorted(wanted, key=lambda pair: -pair[0]):
        if weight > 0 and language in LANGUAGES:
            return language
    spoken: Language = getattr(request.state, "language", "fr")
    return spoken


def _weighed(part: str) -> tuple[float, str]:
    """One part of Accept-Language, such as ``en-CA;q=0.8``: how much it is wanted, and the language without its country."""
    tag, _, weight = part.partition(";q=")
    try:
        return float(weight or 1), tag.strip().split("-")[0].lower()
    except ValueError:
        return 0.0, ""


def field_errors(problems: Sequence[FieldProblem], language: Language) -> list[dict[str, Any]]:
    """The problems of a form or report, each with its field, code and sentence."""
    _ = gettext_for(language)
    return [
        {
            "field": problem.field,
            "code": problem.code,
            "message": _filled(
                _(FIELD_PROBLEMS[problem.code]), {"limit": problem.limit, "characters": problem.characters or None}
            ),
        }
        for problem in problems
    ]


def field_errors_of(error: ValidationError, language: Language) -> list[dict[str, Any]]:
    """What is wrong with a body that was read by its model, as `field_errors` tells it."""
    return [_input_error({**found, "loc": ("body", *found["loc"])}, language) for found in error.errors()[:50]]


def _input_error(error: Mapping[str, Any], language: Language) -> dict[str, Any]:
    """One thing that is wrong with a body or a parameter, as `field_errors` tells them."""
    context = error.get("ctx", {})
    limit = next((context[name] for name in _LIMITS if name in context), None)
    facts = {"limit": limit, "characters": context.get("characters")}
    sentence = gettext_for(language)(INPUT_PROBLEMS.get(error["type"], error["msg"]))
    return {
        "field": ".".join(map(str, error["loc"][1:])),
        "code": error["type"],
        "message": _filled(sentence, facts),
    }


def _filled(sentence: str, facts: Mapping[str, Any]) -> str:
    """The sentence with those of the facts that are known; one that names none stands as it is."""
    known = {name: fact for name, fact in facts.items() if fact is not None}
    return sentence % known if known else sentence


def refusal_status(refusal: Refusal) -> int:
    """The HTTP status of the answer to a command that the rules refuse."""
    return _REFUSAL_STATUS[refusal.kind]


def refusal_problem(refusal: Refusal, language: Language, **members: Any) -> JSONResponse:
    """The answer to a command that the rules refuse."""
    return _answer(refusal_status(refusal), refusal.code, gettext_for(language)(REFUSALS[refusal.code]), members)


def refusal_sentence(code: str, language: Language) -> str:
    """What the refusal of that code says to people: one of the rules, or a problem of ours."""
    sentence = REFUSALS[RefusalCode(code)] if code in set(RefusalCode) else PROBLEMS[code][1]
    return gettext_for(language)(sentence)


def install(app: FastAPI) -> None:
    """Make every error of `app` a problem."""

    @app.exception_handler(Problem)
    async def problem(request: Request, error: Problem) -> Response:
        return problem_response(error, language_of(request))

    @app.exception_handler(Refusal)
    async def refusal(request: Request, error: Refusal) -> Response:
        return refusal_problem(error, language_of(request))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        found = error.errors()[:50]
        if any(e["type"] == "json_invalid" for e in found):
            return problem_response(Problem("malformed_json"), language_of(request))
        errors = [_input_error(e, language_of(request)) for e in found]
        return problem_response(Problem("invalid_input", errors=errors), language_of(request))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        codes = {
            404: "not_found",
            405: "method_not_allowed",
            401: "not_authenticated",
            403: "forbidden",
            413: "too_large",
        }
        code = codes.get(error.status_code, "invalid_input" if error.status_code < 500 else "internal_error")
        return problem_response(Problem(code, headers=error.headers), language_of(request))

    async def not_now(request: Request, error: Exception) -> Response:
        """The database, the store or a disk: whether it is a matter of time, or something wrong with us."""
        problem = passing_problem(error)
        if problem is None:
            return await unexpected(request, error)
        log.warning("not possible now", code=problem.code, error=type(getattr(error, "orig", None) or error).__name__)
        PASSING_PROBLEMS.labels(problem.code).inc()
        return problem_response(problem, language_of(request))

    for kind in (
        *DATABASE_ERRORS,
        StoreError,
        OSError,
    ):  # the last: nobody listens, no socket, no answer in time, no room
        app.add_exception_handler(kind, not_now)

    @app.exception_handler(UnknownRulesError)
    async def newer_rules(request: Request, error: UnknownRulesError) -> Response:
        log.error("a request of a newer Relais", rules=error.version)
        return problem_response(Problem("newer_rules", headers={"Retry-After": "30"}), language_of(request))

    @app.exception_handler(NotFoundError)
    async def removed_meanwhile(request: Request, _error: NotFoundError) -> Response:
        return problem_response(Problem("not_found"), language_of(request))

    @app.exception_handler(ClientDisconnect)
    async def gone(_request: Request, _error: ClientDisconnect) -> Response:
        return Response(status_code=400)  # nobody is there to read it, and nothing went wrong on our side

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> Response:
        log.error(
            "unexpected error", path=request.scope["route"].path if "route" in request.scope else "", exc_info=error
        )
        return problem_response(Problem("internal_error"), language_of(request))


def passing_problem(error: Exception) -> Problem | None:
    """What to answer when something outside of us was away, busy or full; None when `error` is of another kind."""
    if isinstance(error, StoreFullError):
        return _not_now("storage_full")
    if isinstance(error, StoreError) or (isinstance(error, OSError) and is_of_a_disk(error) and not is_full(error)):
        return _not_now("store_unreachable")
    trouble = trouble_of(error)
    return _not_now(_TROUBLES[trouble]) if trouble else None


_TROUBLES = {Trouble.AWAY: "records_unreachable", Trouble.BUSY: "records_busy", Trouble.FULL: "storage_full"}


def _not_now(code: str) -> Problem:
    return Problem(code, headers={"Retry-After": "60" if code == "storage_full" else "2"})


def problem_response(problem: Problem, language: Language) -> JSONResponse:
    """The answer to `problem`, in the reader's language."""
    return _answer(problem.status, problem.code, problem.told(language), problem.members, problem.headers)


def _answer(
    status: int, code: str, sentence: str, members: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> JSONResponse:
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": sentence,
    }
    all_headers = {**HEADERS, **(headers or {})}  # the answer to an unexpected error passes no middleware
    if status == HTTPStatus.UNAUTHORIZED:
        all_headers.setdefault("WWW-Authenticate", "Bearer")
    return JSONResponse({**body, **members}, status, all_headers, MEDIA_TYPE)
