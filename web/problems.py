"""What a problem is in HTTP: its status, and the headers that go with it; the same for every face."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus

from domain.refusals import Refusal
from use_cases.problems import FieldFault, Problem

_CODES: Mapping[int, tuple[str, ...]] = {
    400: ("logout_refused",),
    401: (
        "not_authenticated",
        "wrong_credentials",
        "sign_in_again",
        "sign_on_expired",
        "sign_on_denied",
        "sign_on_failed",
        *("launch_denied", "launch_failed"),
    ),
    403: (
        "wrong_password",
        "other_site",
        "forbidden",
        "operators_only",
        "not_for_oneself",
        "about_yourself",
        "routes_by_operators",
        "wrong_voice_code",
        "wrong_current_password",
        "code_needed",
        "wrong_code",
        "wrong_passkey",
        "second_factor_missing",
        "insufficient_scope",
        "sign_on_required",
        "not_linked",
        "not_for_clinic",
        *("launch_not_for_clinic", "launch_by_another"),
        "step_up_needed",
        "step_up_failed",
        "step_up_by_another",
        "step_up_not_set",
        *("emergency_off", "emergency_not_for_operators", "opening_ended"),
    ),
    404: ("nothing_to_open", "not_found", "link_not_valid", "launch_unknown"),
    405: ("method_not_allowed",),
    409: (
        "offering_withdrawn",
        "file_being_checked",
        "file_not_scanned",
        "video_preparing",
        "video_not_playable",
        "offset_mismatch",
        "not_a_draft",
        "earlier_is_draft",
        "reference_taken",
        "not_editable",
        "submission_under_way",
        "answer_under_way",
        "several_requests",
        "several_documents",
        "clinic_has_providers",
        "clinic_has_partner",
        "clinic_has_requests",
        "partner_has_requests",
        "other_patient",
        "test_differs",
        "absence_overlaps",
        "too_many_filters",
        "too_many_snippets",
        "marks_closed",
        "too_many_marks",
        "phone_link_taken",
        "phone_link_full",
        "signing_failed",
        "sent_too_late",
        "second_factor_in_force",
        "not_begun",
        "account_not_active",
        "invitation_over",
        "username_taken",
        "external_id_taken",
        "clinic_code_taken",
        "last_administrator",
        "still_holds_requests",
        "no_passkey",
        "identity_taken",
        "password_first",
        "too_many_passkeys",
        "service_account_name_taken",
        "key_taken",
        "too_many_keys",
        "too_many_service_accounts",
        "webhook_url_taken",
        "too_many_webhooks",
        "webhook_disabled",
        "webhook_not_replayable",
        "subscription_exists",
        "too_many_subscriptions",
        "subscription_turned_off",
        "subscription_is_of_its_topic",
        *("partner_not_told", "message_not_replayable"),
        *("destruction_begun", "not_a_second_person", "needs_no_second"),
        "access_review_open",
        "communication_replaced",
        *("restricted_for_them", "nobody_left", "restricts_yourself", "wrote_the_request"),
        "seen_anyway",
        "launch_without_patient",
    ),
    410: ("phone_link_ended", "cursor_expired", "request_destroyed", "file_infected", "launch_over"),
    408: ("too_slow",),
    412: (
        *("unsupported_tus_version", "account_changed", "clinic_changed", "webhook_changed", "retention_list_changed"),
        "subscription_changed",
        "access_review_changed",
        "incident_changed",
    ),
    413: ("too_large",),
    415: (
        "unsupported_media",
        "photos_only",
        "unsupported_charset",
        "not_json",
        "not_a_part_of_a_file",
    ),
    416: ("range_not_satisfiable",),
    422: (
        "invalid_input",
        "launch_not_valid",
        "register_too_long",
        "malformed_json",
        "unknown_offering",
        "unknown_offering_version",
        "unknown_clinic",
        "unknown_provider",
        "clinic_not_routed",
        "form_incomplete",
        "form_invalid",
        "report_incomplete",
        "report_invalid",
        "unknown_slot",
        "slot_of_another_kind",
        "unknown_attachment",
        "not_a_photo",
        "damaged_media",
        "truncated_media",
        "document_too_long",
        "media_protected",
        "several_frames",
        "no_picture",
        "unknown_encoding",
        "too_many_pixels",
        "media_too_slow",
        "media_too_demanding",
        "idempotency_key_reused",
        "invalid_idempotency_key",
        "invalid_if_match",
        "absence_ends_before_start",
        "absence_too_long",
        "absence_in_the_past",
        "report_not_drawn",
        "person_needed",
        "unknown_person",
    ),
    429: (
        "too_many_attempts",
        "too_many_at_once",
        "too_many_requests",
    ),
    500: ("internal_error",),
    503: (
        "busy",
        "passwords_busy",
        "videos_not_possible",
        "stored_file_missing",
        "stored_file_differs",
        "not_yet",
        "engine_unreachable",
        "newer_rules",
        *("sign_on_away", "launch_away"),
        "no_authority_yet",
        "records_unreachable",
        "records_busy",
        "store_unreachable",
    ),
    507: ("storage_full",),
}

STATUSES: Mapping[str, int] = {code: status for status, codes in _CODES.items() for code in codes}
"""The status of every problem, by its code."""

_REFUSAL_STATUS = {"forbidden": 403, "conflict": 409, "stale": 412, "invalid": 422}

RETRY_AFTER: Mapping[str, int] = {
    "not_yet": 2,
    "engine_unreachable": 2,
    "records_unreachable": 2,
    "records_busy": 2,
    "store_unreachable": 2,
    "video_preparing": 3,
    "file_being_checked": 5,
    "newer_rules": 30,
    "storage_full": 60,
}
"""Seconds after which the same may well be possible, where the problem does not say it (its member `retry_after`)."""


class HTTPProblem(Problem):
    """A problem that only HTTP knows, with headers of its own."""

    def __init__(
        self, code: str, errors: Iterable[FieldFault] = (), *, headers: Mapping[str, str] | None, **members: object
    ) -> None:
        super().__init__(code, errors, **members)
        self.headers = headers or {}


def status_of(error: Problem | Refusal) -> int:
    """The status of the answer."""
    return _REFUSAL_STATUS[error.kind] if isinstance(error, Refusal) else STATUSES[error.code]


def headers_of(error: Problem | Refusal) -> dict[str, str]:
    """The headers by which the answer differs from any other."""
    own = dict(error.headers) if isinstance(error, HTTPProblem) else {}
    if status_of(error) == HTTPStatus.UNAUTHORIZED:
        own.setdefault("WWW-Authenticate", "Bearer")
    if isinstance(error, Problem) and (seconds := error.members.get("retry_after", RETRY_AFTER.get(error.code))):
        return {"Retry-After": str(seconds), **own}
    return own
