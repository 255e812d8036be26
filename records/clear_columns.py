"""The columns that could hold words and are not sealed, each with the reason.

`tests/records/test_sealed.py` holds every column against this list: a new one is sealed (`records.sealed`), or stands here.
What of this is said to operators stands in docs/limits.md.
"""

from collections.abc import Mapping

LISTS: Mapping[str, tuple[str, ...]] = {
    "names and codes that Relais itself gives: they say nothing of a patient": (
        *("accounts.roles", "accounts.language", "clinics.code", "invitations.roles", "invitations.language"),
        *("attachments.slot", "attachments.kind", "attachments.media_type", "attachments.warnings", "attachments.view"),
        *("attachments.scan_engine", "attachments.scan_finding"),
        *("uploads.slot", "phone_links.slot", "marks.kind", "requests.offering", "request_participants.offering"),
        *("commands.name", "commands.refusal", "refused_commands.name", "refused_commands.code"),
        *("failed_effects.effect_id", "failed_effects.kind", "failed_effects.code", "weekly_counts.side"),
        *("weekly_counts.measure", "notices.event", "notices.language", "notices.last_error", "notices.taken_up_by"),
        *("account_letters.language", "account_letters.last_error", "reports.proof_method", "snippets.used_for"),
        *("snippets.language", "snippets.offering", "accounts.offerings", "invitations.offerings", "requests.number"),
        *("request_changes.roles_before", "change_logs.cluster"),
        *("recovery_codes.used_for", "second_factors.spent_for", "passkey_challenges.used_for", "notices.message_id"),
        *("signing_tickets.used_for", "service_accounts.scopes", "service_tokens.scopes", "sign_on_attempts.purpose"),
        *("sign_on_attempts.provider", "signing_certificates.revocation_reason"),
        *("partners.event_system", "partners.language", "partners.default_offering", "partner_messages.event"),
        *("partner_messages.problem", "told_messages.last_error", "told_messages.answered"),
        *("clinics.retention", "retention_lists.policy", "retention_entries.number", "retention_entries.offering"),
        *("destroyed_requests.number", "destroyed_requests.clinic_ids", "destroyed_requests.document_ids"),
        *("destroyed_requests.key_owners", "access_findings.entries"),
    ),
    "keys under which objects lie in the document store: ids and digests": (
        *("attachments.object_key", "attachments.preview_key", "attachments.thumbnail_key", "attachments.full_key"),
        *("attachments.playable_key", "attachments.page_keys", "uploads.parts", "documents.object_key"),
        "partner_messages.object_key",
    ),
    "ids of commands and calls, which programs make": (
        *("commands.command_id", "refused_commands.command_id", "events.command_id", "form_versions.command_id"),
        *("reports.command_id", "notices.command_id", "requests.submission_id", "requests.signature_id"),
        *("requests.creation_key", "absences.creation_key", "invitations.creation_key"),
        *("incidents.creation_key", "communications.creation_key"),
        "partner_messages.message_id",
    ),
    "the state of the process, by which worklists are made: ids, statuses, times and the offering's terms, no word of people": (
        *("requests.process", "events.holder", "events.holder_before"),
    ),
    "digests of what is frozen or stored: of whole files and forms, which nobody guesses": (
        *("attachments.sha256", "attachments.pixels_sha256", "form_versions.sha256", "reports.content_sha256"),
        *("documents.pdf_sha256", "signing_tickets.matter_sha256", "offering_versions.sha256"),
        "partner_messages.content_sha256",
        *("destroyed_requests.destroyed", "destroyed_requests.document_digests", "retention_certificates.content"),
        *(
            "retention_certificates.sha256",
            "retention_papers.pdf_sha256",
            "access_sign_offs.sha256",
        ),
    ),
    "secrets by their digest, or sealed with the key ring": (
        *("accounts.password_hash", "tokens.sha256", "service_secrets.sha256", "service_secrets.ending"),
        *("service_assertions.jti_sha256", "service_tokens.sha256", "sign_on_attempts.sha256"),
        *("sign_on_attempts.nonce", "sign_on_attempts.verifier", "signing_tickets.token_sha256"),
        *("taken_logouts.sha256", "guesses.sha256", "known_devices.sha256", "recovery_codes.sha256"),
        *("failed_logins.username_sha256", "forgotten_password_asks.typed_sha256"),
        *("forgotten_password_asks.address_sha256", "invitations.code_hashes", "invitations.voice_hash"),
        *("password_resets.code_hashes", "password_resets.voice_hash", "phone_links.made_by"),
        *(
            "phone_links.code_sha256",
            "phone_links.device_sha256",
            "second_factors.sealed_secret",
            "data_keys.sealed_key",
        ),
        *("webhook_endpoints.sealed_secret", "webhook_endpoints.sealed_older_secret", "signing_roots.sealed_responder"),
        "partner_endpoints.sealed_secret",
    ),
    "public keys and certificates": (
        *("signing_roots.sha256", "signing_roots.certificate", "signing_certificates.root_sha256"),
        *("stamping_roots.sha256", "stamping_roots.certificate"),
        *(
            "signing_certificates.serial_number",
            "service_keys.kid",
            "service_keys.algorithm",
            "service_keys.public_key",
            "partner_endpoints.public_key",
        ),
    ),
    "the people who work with Relais, their clinics and systems; names are searched and sorted by": (
        *("clinics.name", "clinics.plain_name", "clinics.address_lines", "clinics.phone", "clinics.routes_to"),
        *(
            "clinics.calendar",
            "accounts.username",
            "accounts.given_name",
            "accounts.family_name",
            "accounts.plain_name",
        ),
        *("accounts.title", "accounts.profession", "accounts.licence_number", "accounts.email", "accounts.external_id"),
        *("invitations.given_name", "invitations.family_name", "invitations.title", "invitations.profession"),
        *("invitations.licence_number", "invitations.email", "account_letters.name", "account_letters.address"),
        *("account_events.changes", "account_events.address", "linked_identities.issuer", "linked_identities.subject"),
        *("tokens.address", "tokens.program"),
        *("linked_identities.email", "tokens.idp_issuer", "tokens.idp_subject", "tokens.idp_sid", "tokens.acr"),
        *("tokens.amr", "signing_tickets.issuer", "signing_tickets.subject", "signing_tickets.acr"),
        *("signing_tickets.acrs", "signing_tickets.amr", "reports.proof_evidence", "passkeys.name", "notices.address"),
        *("service_accounts.purpose", "service_accounts.last_address", "absences.note"),
        *("webhook_endpoints.url", "webhook_endpoints.types", "webhook_endpoints.description"),
        *("subscriptions.filters", "subscriptions.payload", "subscriptions.reason"),
        *("partners.offerings", "partners.licence_systems", "partner_endpoints.url", "partner_endpoints.token_url"),
        *("partner_endpoints.client_id", "partner_endpoints.token_scope", "told_messages.told_to"),
    ),
    "texts that somebody uses for many patients, and the names that they give to filters": (
        *("snippets.name", "snippets.text", "saved_filters.name"),
    ),
    "the service offering itself, which is the same for all": ("offering_versions.code", "offering_versions.content"),
    "thin bodies: ids, statuses and times, which leave the house so": ("webhook_messages.data",),
    "what became of a call to a clinic's own system, as that one said it": (
        *("webhook_deliveries.last_error", "webhook_attempts.error", "webhook_attempts.answer"),
    ),
    "who did what in the audit: names of acts, ids, addresses of the network, and what was changed of an account or a clinic": (
        *("audit_entries.name", "audit_entries.shown", "audit_entries.content"),
    ),
    "the tree of the audit: hashes, and their signed notes": ("audit_heads.peaks", "audit_checkpoints.note"),
    "lines on a photo in fractions of it": ("marks.drawn",),
}
"""The columns by reason, as ``table.column``."""

CLEAR: Mapping[str, str] = {column: reason for reason, columns in LISTS.items() for column in columns}
"""The reason by column."""
