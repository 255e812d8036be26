"""The sentences of problems: what can't be done, and what is wrong with a field. English here, French in the catalogue."""

from collections.abc import Mapping
from datetime import date
from math import ceil

from domain.health_insurance import HealthNumberWarning, Issuer
from domain.photos import PhotoWarning
from domain.refusals import RefusalCode
from translations import Language, gettext_for
from translations import gettext_noop as _
from translations.dates import day
from translations.numbers import rounded
from translations.words import REFUSALS

PROBLEMS: Mapping[str, str] = {
    "not_authenticated": _("Sign in first."),
    "sent_too_late": _("You had been signed out, so nothing was sent. Here is what you wrote."),
    "wrong_credentials": _("The user name or the password is wrong."),
    "too_many_attempts": _("Too many wrong passwords. Try again in %(wait)s."),
    "too_many_requests": _("That was asked for too often in a short time. Try again in %(wait)s."),
    "passwords_busy": _("Too many people are signing in at this moment. Try again in %(wait)s."),
    "wrong_password": _("The password is wrong; the report was not signed."),
    "sign_in_again": _("Too much time has passed. Sign in again."),
    "sign_on_required": _("Your clinic has no passwords here: sign in through your organization."),
    "sign_on_expired": _("That took too long, or was begun in another browser. Begin again."),
    "sign_on_denied": _("You did not sign in at your organization, or it did not let you in. Nothing was changed."),
    "sign_on_failed": _("What your organization answered can't be accepted. Nothing was changed."),
    "sign_on_away": _("Your organization's sign-in does not answer. Try again in a few minutes."),
    "launch_unknown": _(
        "Relais does not know the record software that has sent you here. Nothing was asked of it, and nothing was changed."
    ),
    "launch_not_valid": _("Your record software did not say what it has opened. Open Relais from there again."),
    "launch_denied": _("Your record software did not let you in, or you stopped there. Nothing was changed."),
    "launch_failed": _("What your record software answered can't be accepted. Nothing was changed."),
    "launch_without_patient": _(
        "Your record software did not say which patient is open. Open the patient’s chart there, then Relais from it."
    ),
    "launch_away": _("Your record software does not answer Relais. Try again in a few minutes."),
    "launch_over": _(
        "What your record software had opened is over, or was opened for somebody else. Open Relais from there again."
    ),
    "launch_not_for_clinic": _("This record software does not open Relais for your clinic."),
    "launch_by_another": _(
        "Your record software knows somebody else than who is signed in here. Sign out, then open Relais from there again."
    ),
    "not_linked": _(
        "You are known to your organization, but not here yet. Follow the link of your invitation, or ask the administrator "
        "of your clinic for a link."
    ),
    "not_for_clinic": _("Your clinic does not sign in through this organization."),
    "identity_taken": _(
        "This identity belongs to another account here, or your account already has another one there."
    ),
    "password_first": _(
        "You have no password here yet, and could not come in any more. Ask for one on the sign-in page."
    ),
    "step_up_needed": _(
        "Confirm with your organization that it is you, for exactly this, and sign within three minutes."
    ),
    "step_up_failed": _(
        "Your organization did not confirm, as signing asks for, that it is you now. Nothing was signed."
    ),
    "step_up_by_another": _("Somebody else signed in at your organization. Nothing was signed."),
    "step_up_not_set": _(
        "Your organization's sign-in is not set up to confirm signatures, so nothing can be signed. Tell the administrator of "
        "your clinic."
    ),
    "logout_refused": _("This logout token can't be accepted."),
    "code_needed": _("A code from your authenticator application is needed as well."),
    "wrong_code": _("The code is wrong, or was used already. Wait for the next one."),
    "wrong_passkey": _("The passkey was not recognized. Try again, or type a code."),
    "no_passkey": _("You have no passkey here; type a code."),
    "too_many_passkeys": _("You have %(limit)s passkeys already; remove one first."),
    "second_factor_missing": _("Your clinic asks for a second factor to sign. Set it up under Settings."),
    "second_factor_in_force": _("You have a second factor already; remove it first."),
    "not_begun": _("Nothing is being set up, or it took too long. Begin anew."),
    "other_site": _("This came from a page of another site; nothing was done."),
    "forbidden": _("You may not do this."),
    "wrong_current_password": _("Your current password is wrong; nothing was changed."),
    "not_found": _("There is nothing here, or you may not see it."),
    "request_destroyed": _(
        "This request was destroyed on %(destroyed_on)s, when its time was over: it was kept for %(years)s years or more."
    ),
    "destruction_begun": _("It is too late for that: what stands on the list is being destroyed, or was."),
    "not_a_second_person": _(
        "Your account, or how you sign in, was changed since this list was made: somebody else has to approve it as well."
    ),
    "needs_no_second": _("Nothing of this waits for a second approval."),
    "retention_list_changed": _("This list is not the one that you saw any more. Look at it again."),
    "access_review_changed": _("Something was said of this month since you saw it. Look at it again."),
    "access_review_open": _("Something of this month still waits for a verdict: only then it can be signed off."),
    "about_yourself": _("This is about you: another administrator of your clinic has to say what it is."),
    "restricted_for_them": _(
        "At the wish of the person whom it is about, the request is shut to whom you have chosen: choose somebody else."
    ),
    "nobody_left": _("Then nobody would be left who dispatches this request: let somebody else do so first."),
    "restricts_yourself": _(
        "That would shut out you, or all administrators of your clinic, and nobody could end it: ask another of them."
    ),
    "wrote_the_request": _("Who wrote the request can’t be shut out of it."),
    "emergency_off": _("Your clinic has not turned on access in an emergency: its administrator does, under People."),
    "emergency_not_for_operators": _(
        "Who runs Relais never opens a request in an emergency, whatever else they are: have a colleague open it."
    ),
    "nothing_to_open": _(
        "There is no request of this number that you can open in an emergency. Check the number; else the clinic that asked for "
        "it helps."
    ),
    "opening_ended": _(
        "An administrator has ended your access to this request: for another %(hours)s h you can’t open it again. If it can’t "
        "wait, have a colleague open it, or call the administrators of your clinic, or the clinic that asked for it."
    ),
    "seen_anyway": _("You see this request without that: look for it by its number."),
    "incident_changed": _("Somebody else has changed this incident in the meantime; look at it again."),
    "communication_replaced": _("Another entry stands in the place of this one already; look at it again."),
    "register_too_long": _("That is too much for one file: choose fewer days, and make several."),
    "method_not_allowed": _("This address does not know this method."),
    "invalid_input": _("Something in what was sent is not right."),
    "malformed_json": _("What was sent is not readable JSON."),
    "too_large": _("What was sent is too large."),
    "too_many_at_once": _("You have sent many files at once; wait until some of them are done."),
    "too_slow": _("The file took too long to arrive; send it again."),
    "no_authority_yet": _("Relais does not know yet which authority signs here; try again in a moment."),
    "busy": _("Many files are being looked at; try again in a moment."),
    "unknown_offering": _("There is no such service offering."),
    "unknown_offering_version": _("The form of this request has no such version."),
    "offering_withdrawn": _(
        "This service offering takes no new requests: the draft can't be submitted. What is in it can be copied."
    ),
    "unknown_clinic": _("There is no such clinic."),
    "unknown_provider": _("There is no such provider."),
    "clinic_not_routed": _("Your clinic does not route requests there."),
    "form_incomplete": _("The request is not complete."),
    "form_invalid": _("Some answers of the form are not right."),
    "report_incomplete": _("The report is not complete."),
    "report_invalid": _("Some answers of the report are not right."),
    "unknown_slot": _("The service offering asks for no such attachment."),
    "slot_of_another_kind": _("No file of this kind is asked for here. Add it where its kind is asked for."),
    "unknown_attachment": _("There is no such attachment."),
    "unsupported_media": _(
        "This kind of file can't be taken. Send a photo (JPEG, PNG, HEIC, WebP, AVIF, TIFF, GIF or BMP), a video (MP4, MOV, M4V "
        "or WebM) or a document (PDF or DICOM)."
    ),
    "not_json": _("JSON is expected here, with Content-Type: application/json."),
    "unsupported_charset": _("Texts are sent as UTF-8."),
    "damaged_media": _("This file is damaged and can't be read."),
    "truncated_media": _("The end of this file is missing: it was cut off on its way. Send it again from the device."),
    "too_many_pixels": _(
        "This picture is too large: it has %(width)s × %(height)s pixels. At most %(limit_megapixels)s megapixels can "
        "be taken, and %(limit_edge)s pixels along an edge."
    ),
    "document_too_long": _(
        "This document has %(pages)s pages. At most %(limit_pages)s can be taken: send it in parts."
    ),
    "media_protected": _("This document opens with a password only. Save it without one and send that."),
    "several_frames": _(
        "This DICOM file holds several pictures or a video, and only one picture can be taken. Save the one that matters "
        "by itself (DICOM, PNG or JPEG) and send that."
    ),
    "no_picture": _("This DICOM file holds no picture, so there is nothing in it that could be shown."),
    "unknown_encoding": _(
        "The picture in this DICOM file is kept in a way that can't be read here. Save it uncompressed, or as PNG or "
        "JPEG, and send that."
    ),
    "media_too_slow": _("Reading this file took too long, so it can't be taken. Save it again and send that."),
    "media_too_demanding": _(
        "Reading this file takes too much memory, so it can't be taken. Save it again, smaller, and send that."
    ),
    "videos_not_possible": _("Videos can't be taken at the moment: the server lacks a program. Photos can."),
    "video_preparing": _("The video is being prepared; ask again in a moment."),
    "video_not_playable": _("The video could not be made playable; its first frame is all there is to see."),
    "file_being_checked": _(
        "This file is still being checked for viruses. It can be opened as soon as that is done; ask again in a moment."
    ),
    "file_not_scanned": _("This file could not be checked for viruses, so it is not given out."),
    "file_infected": _("A virus was found in this file. Nobody gets it, and it was destroyed."),
    "stored_file_missing": _(
        "The stored file is not where it was kept, so it can't be given out. The operators are notified."
    ),
    "stored_file_differs": _(
        "The stored file is not the one that was kept, so it is not given out. The operators are notified."
    ),
    "range_not_satisfiable": _("The file has no such part."),
    "unsupported_tus_version": _("Uploads in parts follow version 1.0.0 of tus (header Tus-Resumable)."),
    "not_a_part_of_a_file": _("A part of a file is sent as application/offset+octet-stream."),
    "offset_mismatch": _("The upload goes on from another place; ask where (HEAD)."),
    "earlier_is_draft": _("A draft can't be followed: only what was submitted."),
    "not_a_draft": _("Only a draft that was never submitted can be removed."),
    "not_a_photo": _("Marks are drawn on photos and pages of documents only."),
    "marks_closed": _("The request is over: nothing can be drawn on its photos any more, and no mark be removed."),
    "too_many_marks": _("This photo has %(limit)s marks already; remove one first."),
    "reference_taken": _("Your system calls another request by this reference."),
    "several_requests": _("What is sent names more than one request, and can be about one only."),
    "clinic_has_providers": _("People of this clinic answer requests; a partner answers for a clinic of its own."),
    "clinic_has_partner": _("A partner’s system answers for this clinic: nobody is a provider there."),
    "clinic_has_requests": _(
        "Its partner would not be sent what this clinic has already. Give these requests to somebody else first."
    ),
    "partner_has_requests": _("Requests are with this partner. Give them to somebody else first."),
    "several_documents": _("More than one document could be the report, and nothing says which it is."),
    "other_patient": _("What is sent names another patient than this request."),
    "test_differs": _("A test can't be about a real request, nor what is real about a test (HTEST)."),
    "cursor_expired": _(
        "What has changed since then is not known any more. Begin without a place in the feed, and read the lists anew."
    ),
    "phone_link_ended": _("This link has ended. Make a new one on the computer where you write the request."),
    "phone_link_taken": _(
        "Another telephone uses this link. Make a new one on the computer where you write the request."
    ),
    "phone_link_full": _("%(limit)s photos have come by this link; make a new one for more."),
    "photos_only": _("Only photos can be sent from the telephone."),
    "not_editable": _("The form can't be changed in the request's present status."),
    "submission_under_way": _(
        "The request is on its way to be submitted: until that is done, nothing in its form can be changed."
    ),
    "answer_under_way": _("The answer is on its way: nothing can be added to it or taken out of it now."),
    "not_yet": _("What was asked for before is still on its way. Try again in a moment."),
    "idempotency_key_reused": _("This Idempotency-Key was used for something else."),
    "invalid_idempotency_key": _(
        "An Idempotency-Key has 1 to 120 printable ASCII characters, and does not begin with “fhir:”."
    ),
    "invalid_if_match": _("If-Match must hold the version of the request."),
    "too_many_filters": _("You have kept %(limit)s filters already; remove one first."),
    "too_many_snippets": _("%(limit)s texts are kept already; remove one first."),
    "absence_ends_before_start": _("The absence ends before it starts."),
    "absence_too_long": _("An absence is at most a year long."),
    "absence_in_the_past": _("The absence is over already."),
    "absence_overlaps": _("There is an absence on some of these days already."),
    "report_not_drawn": _("The report could not be drawn: it takes too long. Shorten it."),
    "signing_failed": _("The signed document could not be prepared; the request is as it was."),
    "engine_unreachable": _("The engine does not answer. Try again in a moment: the same command acts only once."),
    "newer_rules": _("This server has not been brought up to date yet. Try again in a moment."),
    "records_unreachable": _("The records can't be reached; nothing was changed. Try again in a moment."),
    "records_busy": _("The records are busy; nothing was changed. Try again in a moment."),
    "store_unreachable": _("The store of photos and documents can't be reached. Try again in a moment."),
    "storage_full": _("There is no room left to store anything; nothing was changed. Those who run Relais must act."),
    "operators_only": _("Only those who run Relais give the role of operator, and change who has it."),
    "not_for_oneself": _("You cannot do this for yourself: ask another administrator, or those who run Relais."),
    "account_changed": _("Somebody else has changed this account in the meantime; look at it again."),
    "account_not_active": _("This account is locked: open it again first."),
    "last_administrator": _(
        "Nobody would be left to administer the clinic: make somebody else an administrator first."
    ),
    "still_holds_requests": _(
        "Requests are still with this person (%(count)s): hand them over first, or say who gets them."
    ),
    "clinic_changed": _("Somebody else has changed the clinic in the meantime; look at it again."),
    "clinic_code_taken": _("There is a clinic with this code already."),
    "routes_by_operators": _("Only those who run Relais say to which clinics requests are routed."),
    "invitation_over": _("This invitation is accepted or taken back already."),
    "link_not_valid": _("This link is not valid, or not valid any more. Ask for a new one."),
    "wrong_voice_code": _(
        "The second code is wrong. After five wrong ones, a new link is needed: ask the administrator of your clinic."
    ),
    "username_taken": _("Somebody else has this user name; choose another."),
    "external_id_taken": _(
        "The directory calls somebody else of the clinic so, or somebody whom a person has shut out."
    ),
    "insufficient_scope": _("This service account may not do this."),
    "person_needed": _("Say for whom the system does this, in the header Relais-On-Behalf-Of."),
    "unknown_person": _("Nobody who asks for advice at this clinic has the name or id in Relais-On-Behalf-Of."),
    "service_account_name_taken": _("Another system of the clinic has this name."),
    "key_taken": _("The system has, or had, another key of this name (kid)."),
    "too_many_keys": _("A system has %(limit)s keys at most; end one first."),
    "too_many_service_accounts": _("A clinic has %(limit)s service accounts at most."),
    "webhook_url_taken": _("The clinic has a webhook at this address already."),
    "too_many_webhooks": _("A clinic has %(limit)s webhooks at most."),
    "webhook_disabled": _("This webhook is turned off. Turn it on first."),
    "partner_not_told": _("Nothing goes to this partner: say where it is told, or turn that on first."),
    "message_not_replayable": _("This message has arrived, or is still on its way."),
    "webhook_changed": _("Somebody else has changed this webhook in the meantime; look at it again."),
    "subscription_exists": _("The system has such a Subscription at this address already."),
    "too_many_subscriptions": _("A system has %(limit)s Subscriptions at most: remove one that is off."),
    "subscription_changed": _("The Subscription was changed in the meantime; read it again."),
    "subscription_turned_off": _("An administrator of the clinic has turned this Subscription off."),
    "subscription_is_of_its_topic": _(
        "A Subscription keeps its topic and its filters, for its events are numbered: make another one for others."
    ),
    "webhook_not_replayable": _(
        "This message can't be sent again: what it said is not kept any more, or it was a test. Of a test, make another one."
    ),
    "internal_error": _("Something went wrong on our side."),
}
"""What a problem says to people, by its code; the refusals of the rules have their own (`words.REFUSALS`)."""

_WITH_LIMIT = {"too_large": _("What was sent is too large: at most %(limit_megabytes)s MB can be taken.")}
"""Sentences of problems that can name a limit, when they do."""

LEFT_GAP = _("A blank, […], is left in the text: fill it in, or take it out.")

FIELD_PROBLEMS: Mapping[str, str] = {
    "required": _("This field is required."),
    "before_it_begins": _("The last day lies before the first."),
    "in_the_future": _("This day is in the future."),
    "before_aware": _("This day lies before the one on which the clinic became aware."),
    "unknown_request": _("There is no request of this number or id with which your clinic had to do."),
    "unknown_field": _("There is no such field."),
    "not_a_text": _("A text is expected."),
    "too_long": _("The text is too long: at most %(limit)d characters, %(excess)d too many."),
    "not_an_option": _("This is not one of the choices."),
    "not_a_list": _("A list is expected."),
    "not_a_number": _("A number is expected."),
    "too_small": _("The smallest number possible is %(limit)g."),
    "too_large": _("The largest number possible is %(limit)g."),
    "not_a_date": _("A date such as 2026-11-22 is expected."),
    "not_a_consent": _("Who consented and when is expected."),
    "not_a_day_of_consent": _("Nobody consented on this day: it is in the future or too long ago."),
    "not_a_yes_or_no": _("Yes or no (true or false) is expected."),
    "not_hours": _("Hours are written 08:00-12:00, the end after the beginning."),
    "never_open": _("A clinic works on at least one day of the week."),
    "hours_in_disorder": _("The hours of a day stand in their order, with a pause between them."),
    "no_time_zone": _("There is no such time zone. For Québec: America/Toronto."),
    "closed_and_open": _("The same day is named as closed and as open."),
    "not_an_address": _("This is not an e-mail address that can receive anything."),
    "password_too_short": _("A password has at least %(limit)d characters."),
    "password_guessed": _(
        "This password is soon guessed. Take, for example, four words that have nothing to do with each other, nor with you."
    ),
    "not_a_public_key": _(
        "A public key as a JWK is expected, with a kid: RSA of 2,048 bits or more, or on the curve P-384."
    ),
    "private_key": _(
        "This is a private key, which is known here now: make another one, and send its public half only."
    ),
    "not_a_web_address": _("An address such as https://records.example.ca/relais is expected."),
    "not_https": _("The address must begin with https."),
    "not_a_signing_secret": _("A secret such as whsec_… is expected, of 24 to 64 bytes in Base64."),
    "port_not_allowed": _("Relais does not call this port: leave it out, or ask whoever runs it."),
    "address_not_public": _("Relais calls the public Internet only, never an address inside a network."),
    "not_within_a_year": _("The last day is today or later, and a year from now at most."),
    "password_is_the_username": _("The password must not be the user name."),
    "not_storable": _("The text holds a character that can't be stored."),
    "not_one_line": _(
        "One line of visible text is expected here. Remove what stands in it and can't be seen: %(characters)s."
    ),
    "not_printable": _(
        "These characters can't be printed on the signed document: %(characters)s. Write them another way."
    ),
    "gap_left": LEFT_GAP,
    "too_many_pages": _(
        "All the texts together are too long for the document: at most %(limit)d pages can be printed. "
        "Shorten this one, the longest."
    ),
    "too_few_attachments": _("At least %(limit)d are needed."),
    "infected_attachment": _("A virus was found in a file: remove it to submit the request."),
    "too_many_attachments": _("At most %(limit)d can be taken."),
    "too_many": _("At most %(limit)d can be taken."),
    "outdated_answer": _("The form has changed since this was answered: take over what is needed, then remove it."),
    "slot_gone": _("The form no longer asks for these files: move or remove them."),
    "not_expected": _("This is not what is expected here."),
    "unknown_parameter": _("There is no such parameter in this address."),
    "not_a_time": _("A time with its zone such as 2026-11-22T09:30:00Z is expected."),
    "not_an_id": _("An id (a UUID) is expected."),
    "not_an_object": _("A JSON object is expected."),
    "same_name": _("Two service offerings have the same name here."),
    "not_each_once": _("Each id is named once."),
    "provider_or_clinic": _("Name either provider_id or clinic_id."),
    "account_or_role": _("Name either account_id, or clinic_id and role."),
    "one_place": _("Name one of provider_id, clinic_id and dispatch."),
    "no_calibration": _("A measure needs the line along a ruler by which it is measured."),
    "not_measured": _("Only a measure has a line along a ruler."),
    "no_such_page": _("It has no such page."),
    "same_place": _("Both ends are at the same place: nothing would be seen."),
    "ruler_too_short": _("The line along the ruler is too short to measure by."),
    "not_a_partial_date": _("A date such as 1958-03-14 is expected; 1958-03 or 1958 where no more is known."),
    "not_a_birth_date": _("Nobody was born on this date: it is in the future or too long ago."),
    "birth_date_is_given": _("A birth date is given. Take it out, or do not say that it is unknown."),
    "bad_cursor": _("This is not a place in this list: begin at its start."),
    "not_readable": _("This can't be read."),
    "offering_withdrawn": PROBLEMS["offering_withdrawn"],
}
"""What is wrong with one field, by its code: every code that the API gives in `errors` is here."""


INPUT_CODES: Mapping[str, str] = {
    "missing": "required",
    "extra_forbidden": "unknown_field",
    "string_type": "not_a_text",
    "string_too_short": "required",
    "string_too_long": "too_long",
    "string_unicode": "not_storable",
    "value_error": "not_storable",  # the one rule that texts have besides their length
    "enum": "not_an_option",
    "literal_error": "not_an_option",
    "union_tag_invalid": "not_an_option",
    "union_tag_not_found": "required",
    **dict.fromkeys(("list_type", "tuple_type", "set_type"), "not_a_list"),
    "too_long": "too_many",
    "too_short": "required",
    **dict.fromkeys(
        (
            "float_type",
            "float_parsing",
            "finite_number",
            "int_type",
            "int_parsing",
            "int_parsing_size",
            "int_from_float",
        ),
        "not_a_number",
    ),
    **dict.fromkeys(("greater_than", "greater_than_equal"), "too_small"),
    **dict.fromkeys(("less_than", "less_than_equal"), "too_large"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "not_a_yes_or_no"),
    **dict.fromkeys(
        ("date_type", "date_parsing", "date_from_datetime_inexact", "date_from_datetime_parsing"), "not_a_date"
    ),
    **dict.fromkeys(
        (
            "datetime_type",
            "datetime_parsing",
            "datetime_from_date_parsing",
            "datetime_object_invalid",
            "timezone_aware",
        ),
        "not_a_time",
    ),
    **dict.fromkeys(("uuid_type", "uuid_parsing", "uuid_version"), "not_an_id"),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), "not_an_object"),
}
"""Kinds of pydantic's errors to codes of ours, which stay whatever library reads the input. What is not here is `not_expected`;
a rule of ours (`PydanticCustomError`) has a code of ours already."""


PHOTO_WARNINGS: Mapping[PhotoWarning, str] = {
    "too_small": _("This photo is small: details can hardly be seen."),
    "blurred": _("This photo looks blurred."),
    "repeated": _("This photo is there twice, and shows nothing more the second time."),
    "incomplete": _("The end of this photo’s file is missing, so a part of the picture is grey."),
}
"""Why a photo is probably of no use. It stops nothing."""

HEALTH_NUMBER_WARNINGS: Mapping[HealthNumberWarning, str] = {
    HealthNumberWarning.FORM: _("This does not have the form of its issuer’s numbers."),
    HealthNumberWarning.NAME: _("The letters do not fit the name. They may fit the name at birth."),
    HealthNumberWarning.BIRTH_DATE: _("The number says another birth date."),
    HealthNumberWarning.SEX: _("The number says another sex."),
}
"""What of a health-insurance number does not fit. It stops nothing: people change names, and cards have faults."""

_NUMBER_FORMS: Mapping[Issuer, str] = {
    "CA-QC": _(
        "This is no number of the RAMQ: four letters and eight digits are expected, with a day of birth in them."
    ),
    "CA-BC": _("A number of British Columbia has 10 digits and begins with 9."),
    "CA-NL": _("A number of Newfoundland and Labrador has 12 digits."),
    "CA-NS": _("A number of Nova Scotia has 10 digits."),
    "CA-NT": _("A number of the Northwest Territories has a letter and 7 digits."),
    "CA-ON": _("A number of Ontario has 10 digits, and often one or two letters after them."),
    "CA-PE": _("A number of Prince Edward Island has 8 digits."),
    **dict.fromkeys(
        ("CA-AB", "CA-MB", "CA-NB", "CA-NU", "CA-SK", "CA-YT"),
        _("A number of this province or territory has 9 digits."),
    ),
}


def health_number_sentence(warning: HealthNumberWarning, issuer: Issuer | None, language: Language) -> str:
    """What a warning says to people; of the form, what is expected from that issuer."""
    sentence = HEALTH_NUMBER_WARNINGS[warning]
    if warning is HealthNumberWarning.FORM and issuer is not None:
        sentence = _NUMBER_FORMS.get(issuer, sentence)
    return gettext_for(language)(sentence)


PRINTED_AS_CODES = _(
    "The signed report can't print these characters: %(characters)s. Their codes will be shown in their place; "
    "what you wrote stays in the attached data."
)
"""What is said of a text that can't be printed as it was written. It stops nothing: the patient comes first."""


_SECONDS_UNTIL = 100
"""From so many seconds on, a time is told in minutes."""


def _short_time(seconds: float) -> str:
    """A time to wait; the units are written alike in both languages."""
    if seconds < _SECONDS_UNTIL:
        return f"{ceil(seconds)}\N{NO-BREAK SPACE}s"
    return f"{ceil(seconds / 60)}\N{NO-BREAK SPACE}min"


def problem_sentence(
    code: str, language: Language, numbers: Mapping[str, float] | None = None, days: Mapping[str, date] | None = None
) -> str:
    """What the problem or the refusal of that code says, with the numbers and days that it names. Raises KeyError for an unknown
    code.
    """
    if code in set(RefusalCode):
        return gettext_for(language)(REFUSALS[RefusalCode(code)])
    numbers = dict(numbers or {})
    sentence = PROBLEMS[code]
    if "limit_bytes" in numbers:
        numbers["limit_megabytes"] = numbers["limit_bytes"] / 1e6
        sentence = _WITH_LIMIT.get(code, sentence)
    words = {name: rounded(number, language) for name, number in numbers.items()}
    words |= {name: day(of, language) for name, of in (days or {}).items()}
    if "retry_after" in numbers:
        words["wait"] = _short_time(numbers["retry_after"])
    return gettext_for(language)(sentence) % words
