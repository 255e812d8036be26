"""What was done with a request, as the audit has it, in words that everybody understands: for the person's journal.

Each is said as a thing (“Opening of the request”), so that it can stand after “Refused:” as well.
"""

from collections.abc import Mapping

from domain.audit import Act, EmergencyStep, Purpose
from translations import Language, gettext_for
from translations import gettext_noop as _

_REQUEST = _("Opening of the request")
_PICTURE = _("Viewing of a photo, a video or a document that was sent")
_FORM = _("Opening of the form of the request")
_FORM_CHANGED = _("Change of the form of the request")
_FILE_ADDED = _("Adding of a photo, a video or a document")
_FILES_CHANGED = _("Change of the photos, videos and documents of the request")
_CODE = _("Sending of photos from a telephone: its code shown or ended")
_DRAFT = _("Opening of the draft of the report")
_DRAFT_CHANGED = _("Change of the draft of the report")
_DOCUMENT = _("Opening of a signed report")
_HISTORY = _("Opening of the history of the request")
_ADDENDUM = _("Writing of an addition to the report")
_SIGNATURE = _("Signature of the report")
_MARKS = _("Change of what is drawn on a photo")
_ACCESSES = _("Opening of the list of who looked at the request")
_JOURNAL = _("Journal of accesses: a page about it, or how far it is")
_ANSWER = _("Writing of an answer to a question")
_INFORMATION = _("Writing of additional information")
_LIST = _("A line of the request, shown in a list")
_STEP = _("Opening of a page to do something with the request")
_RESTRICTIONS = _("Opening of who is shut out of the request at the person’s wish")
_RESTRICTED = _("Restriction of access to the request, at the person’s wish")
_RESTRICTION_ENDED = _("End of a restriction of access to the request")
_GIVEN = _("Something to be done with the request")

_BY_KIND: Mapping[Act, str] = {
    Act.REQUEST: _REQUEST,
    Act.TIMELINE: _HISTORY,
    Act.ATTACHMENT: _PICTURE,
    Act.PREVIEW: _PICTURE,
    Act.REPORT_DRAFT: _DRAFT,
    Act.DOCUMENT: _DOCUMENT,
    Act.SEARCH: _("Found by a search for the person"),
    Act.EXPORT: _("The whole file of the request, taken along as a document"),
    Act.JOURNAL: _JOURNAL,
    Act.ENGINE: _("What the service keeps internally of the request, opened by its operator"),
    Act.PHONE_PHOTO: _("A photo, sent by a telephone"),
    Act.EMERGENCY: _("Access to the request in an emergency"),
    Act.MESSAGE: _("What is asked, or what became of it, told to another system by a message"),
    Act.LIST: _LIST,
    Act.DESTROYED: _("Destruction of the request, when its time was over"),
    Act.LOOK: _("Viewing of something else of the request"),
    Act.CHANGE: _("Change of something else of the request"),
    Act.REFUSED: _("Access to the request"),
    Act.COMMAND: _GIVEN,
}
"""Of what the names below don't say more of."""

_BY_COMMAND: Mapping[str, str] = {
    "submit": _("Submission of the request"),
    "assign": _("Assignment of the request to a professional or a clinic"),
    "reassign": _("Handing on of the request to somebody else"),
    "accept": _("Acceptance of the request by a professional"),
    "take_back": _("Taking back of what had just been done"),
    "transfer": _("Transfer of the request to a colleague"),
    "request_information": _("Question to whoever asked for advice"),
    "answer_information": _("Answer to a question"),
    "add_information": _("Addition of information"),
    "withdraw_information_request": _("Withdrawal of a question"),
    "return_to_requester": _("Return of the request to whoever asked for advice"),
    "return_to_dispatch": _("Return of the request to those who assign it"),
    "resubmit": _("New submission of the request, corrected"),
    "cancel": _("Cancellation of the request"),
    "change_priority": _("Change of the priority of the request"),
    "sign_report": _SIGNATURE,
    "add_addendum": _("Signature of an addition to the report"),
    "acknowledge": _("Confirmation that the report was received"),
    "confirm_reading": _("Confirmation that the report was read"),
    "read_for_requester": _("Reading of the report in place of whoever asked for it"),
    "ask_follow_up": _("Question about the report"),
    "answer_follow_up": _("Answer to a question about the report"),
    "withdraw_follow_up": _("Withdrawal of a question about the report"),
    "deadline_reached": _("End of a waiting time"),
}

_BY_JOURNAL: Mapping[str, str] = {
    "asked": _("Journal of accesses: asked for"),
    "taken": _("Journal of accesses: opened, to be handed over"),
}

_BY_EMERGENCY: Mapping[str, str] = {
    EmergencyStep.OPENED: _("Opening of the request in an emergency, with a reason, by somebody who would not see it"),
    EmergencyStep.ENDED: _("End of an access to the request in an emergency"),
    EmergencyStep.REFUSED: _("Attempt to open the request in an emergency, refused"),
}

_BY_ROUTE: Mapping[str, str] = {
    **_BY_COMMAND,
    **dict.fromkeys(("request_page", "get_request", "get_command", "menu_of_row"), _REQUEST),
    **dict.fromkeys(("media_page", "original", "preview", "thumbnail", "full", "page", "video"), _PICTURE),
    **dict.fromkeys(("list_attachments", "list_marks"), _PICTURE),
    **dict.fromkeys(("edit_page", "check_list", "check", "get_form", "get_forms", "patient_page"), _FORM),
    **dict.fromkeys(("files_of_slot", "files_offered", "files_to_add"), _PICTURE),
    **dict.fromkeys(("change_draft", "save_or_submit", "give_reference", "remove_reference"), _FORM_CHANGED),
    **dict.fromkeys(("delete", "delete_page", "remove_draft"), _("Deletion of a request that was never submitted")),
    **dict.fromkeys(("add_files", "upload", "begin_upload", "continue_upload", "upload_progress"), _FILE_ADDED),
    **dict.fromkeys(("upload_options", "end_upload"), _FILE_ADDED),
    **dict.fromkeys(("change", "change_file", "move_files", "remove", "remove_file", "reorder"), _FILES_CHANGED),
    **dict.fromkeys(("add_mark", "remove_mark"), _MARKS),
    **dict.fromkeys(("make_link", "link_state", "end_link"), _CODE),
    **dict.fromkeys(("make_phone_link", "get_phone_link", "end_phone_link"), _CODE),
    **dict.fromkeys(("report_page", "get_report_draft", "preview_report"), _DRAFT),
    **dict.fromkeys(("save", "put_report_draft"), _DRAFT_CHANGED),
    **dict.fromkeys(("sign", "sign_page", "confirm_report"), _SIGNATURE),
    **dict.fromkeys(("addendum_page", "confirm_addendum"), _ADDENDUM),
    **dict.fromkeys(("document_page", "get_document", "get_document_content", "list_documents"), _DOCUMENT),
    "verify_document": _("Check of the signature of a report"),
    "get_timeline": _HISTORY,
    "get_whole_case": _BY_KIND[Act.EXPORT],
    "get_same_patient": _("Search for other requests about the person"),
    **dict.fromkeys(("accesses_page", "get_accesses", "accesses"), _ACCESSES),
    **dict.fromkeys(("journal_page", "get_journal_offer", "ask_journal", "ask_for_journal"), _JOURNAL),
    **dict.fromkeys(("journal_state_page", "get_journal", "get_journal_pdf", "journal_file"), _JOURNAL),
    **dict.fromkeys(("hold", "hold_page", "hold_request", "hold_set"), _("Keeping of the request beyond its time")),
    "holds": _("Opening of what keeps the request beyond its time"),
    "destruction_seconded": _("Second approval of the destruction of the request"),
    "hold_lifted": _("End of the keeping of the request beyond its time"),
    **dict.fromkeys(("restrictions_page", "get_restrictions", "restriction_end_page"), _RESTRICTIONS),
    **dict.fromkeys(("restriction_set", "restrict", "restrict_request"), _RESTRICTED),
    **dict.fromkeys(("restriction_ended", "end_restriction"), _RESTRICTION_ENDED),
    "communication_entered": _("Entry about the request in the clinic’s register of communications"),
    **dict.fromkeys(("answer", "answer_page"), _ANSWER),
    "addition_page": _INFORMATION,
    "choice_page": _STEP,
    "choose": _GIVEN,
    "deadline": _BY_COMMAND["deadline_reached"],
    "virus_found": _("A virus, found in a file that was sent: the file was destroyed"),
}

_BY_RESOURCE: Mapping[str, str] = {
    "Patient": _("Reading of who the person is"),
    "QuestionnaireResponse": _FORM,
    "Task": _HISTORY,
    "Communication": _("Reading of questions and answers"),
    **dict.fromkeys(("DocumentReference", "DiagnosticReport", "Binary", "Provenance"), _DOCUMENT),
    "AuditEvent": _ACCESSES,
}
"""By the type of what systems read (FHIR)."""

_NOT_SHOWN = frozenset({401, 403, 404, 410})
"""Answers by which somebody is not let to what they asked for."""

GROUNDS: Mapping[Purpose, str] = {
    Purpose.CARE: _("Care"),
    Purpose.ADMINISTRATION: _("Administration of the clinic"),
    Purpose.OPERATION: _("Operation of the service"),
    Purpose.EMERGENCY: _("Emergency"),
}
"""For what something was done."""

NO_WORDS = frozenset({Act.ACCOUNT, Act.SIGN_IN, Act.SIGN_IN_FAILED, Act.SIGN_OUT})
"""What is never of a request."""


def act_words(kind: Act, name: str | None, language: Language) -> str:
    """What was done: « Consultation de la demande », « Refusé, rien n’a été montré : consultation de la demande »."""
    say = gettext_for(language)
    route, _space, status = (name or "").partition(" ")
    what = say(_named(kind, route))
    if kind is not Act.REFUSED:
        return what
    is_hidden = not status.isdecimal() or int(status) in _NOT_SHOWN
    sentence = _("Refused, nothing was shown: %(what)s") if is_hidden else _("Tried, without success: %(what)s")
    return say(sentence) % {"what": what}


def is_named(route: str) -> bool:
    """Whether there are words of its own for a route."""
    return route in _BY_ROUTE or _resource(route) is not None


def _named(kind: Act, name: str) -> str:
    if kind is Act.JOURNAL:
        return _BY_JOURNAL.get(name, _BY_KIND[kind])
    if kind is Act.EMERGENCY:
        return _BY_EMERGENCY.get(name, _BY_KIND[kind])
    if kind is Act.COMMAND:
        return _BY_COMMAND.get(name, _BY_KIND[kind])
    if kind in (Act.LOOK, Act.CHANGE, Act.REFUSED):
        return _resource(name) or _BY_ROUTE.get(name) or _BY_KIND[kind]
    return _BY_KIND[kind]


def _resource(route: str) -> str | None:
    face, _line, rest = route.partition("_")
    return _BY_RESOURCE.get(rest.partition("_")[0], _REQUEST) if face == "fhir" and rest else None
