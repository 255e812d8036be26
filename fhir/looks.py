"""Who looked at a request, as AuditEvents: for its requester, and for the administrators of clinics that have to do with it."""

from collections.abc import Iterator

from domain.audit import Act
from fhir.addresses import Server
from fhir.elements import Coding, Identifier, Meta, Reference, concept, reference_to, some
from fhir.requests import role_of
from fhir.resources import AuditAgent, AuditEntity, AuditEvent, AuditSource
from records.models import AuditEntry
from translations import gettext_for
from translations.words import ROLES
from use_cases.accesses import Looks
from use_cases.known_people import SHOWN
from use_cases.names import Names

_PATIENT_RECORD = Coding(system="http://dicom.nema.org/resources/ontology/DCM", code="110110", display="Patient Record")
_RESOURCE_TYPES = "http://hl7.org/fhir/resource-types"
_PURPOSES = "http://terminology.hl7.org/CodeSystem/v3-ActReason"


def audit_events(looks: Looks, server: Server) -> Iterator[AuditEvent]:
    """One for each look. The address of the network is not told."""
    for entry in looks.entries:
        yield AuditEvent(
            id=str(entry.id),
            meta=Meta(version_id="1", last_updated=entry.at),
            type=_PATIENT_RECORD,
            subtype=(Coding(system=server.codes("audit"), code=entry.kind.value),),
            recorded=entry.at,
            purpose_of_event=some([concept(_PURPOSES, entry.purpose.value) if entry.purpose else None]),
            agent=tuple(_agents(entry, looks.names, server)),
            source=AuditSource(
                observer=Reference(
                    identifier=Identifier(system="urn:ietf:rfc:3986", value=server.base), display="Relais"
                )
            ),
            entity=tuple(_entities(entry)),
        )


def _agents(entry: AuditEntry, names: Names, server: Server) -> Iterator[AuditAgent]:
    """Who looked; where a clinic's system did for somebody, that person, too."""
    role = (
        concept(server.codes("role"), entry.role.value, gettext_for(server.language)(ROLES[entry.role]))
        if entry.role
        else None
    )
    if names.is_system(entry.account_id):
        named = names.person(entry.account_id)
        system = Identifier(system=server.identifiers("service-account"), value=str(entry.account_id))
        who = Reference(type="Device", identifier=system, display=named.name if named else None)
    else:
        who = _person(entry, names, server)
    yield AuditAgent(who=who, requestor=True, role=some([role]))
    if entry.for_account_id is not None:
        yield AuditAgent(who=role_of(entry.for_account_id), requestor=False)


def _person(entry: AuditEntry, names: Names, server: Server) -> Reference:
    """Somebody as one of their clinic, if they are shown as that (`use_cases.known_people`); else by name."""
    named = names.person(entry.account_id)
    display = named.name if named else None
    if entry.account_id is not None and entry.role in SHOWN:
        return reference_to("PractitionerRole", entry.account_id, display=display)
    account = Identifier(system=server.identifiers("account"), value=str(entry.account_id))
    return Reference(type="Practitioner", identifier=account, display=display)


def _entities(entry: AuditEntry) -> Iterator[AuditEntity]:
    if entry.request_id is not None:
        what = reference_to("ServiceRequest", entry.request_id)
        yield AuditEntity(what=what, type=Coding(system=_RESOURCE_TYPES, code="ServiceRequest"))
    if entry.kind is Act.DOCUMENT and entry.object_id is not None:
        what = reference_to("DocumentReference", entry.object_id)
        yield AuditEntity(what=what, type=Coding(system=_RESOURCE_TYPES, code="DocumentReference"))
