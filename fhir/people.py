"""People, clinics and what they offer: Practitioner, PractitionerRole, Organization, HealthcareService."""

from domain.offerings import ServiceOffering
from domain.requests import Role
from fhir.addresses import Server, offering_id
from fhir.elements import (
    Address,
    ContactPoint,
    HumanName,
    Identifier,
    Meta,
    concept,
    lines,
    reference_to,
    some,
    words,
)
from fhir.requests import offering_code
from fhir.resources import HealthcareService, Organization, Practitioner, PractitionerRole, Qualification
from records.models import Clinic
from translations import gettext_for
from translations.words import ROLES
from use_cases.known_people import SHOWN, Person
from use_cases.names import full_name


def practitioner(person: Person, server: Server) -> Practitioner:
    """Somebody, wherever they work; Relais knows each at one clinic."""
    account = person.account
    licence = Identifier(use="official", system=server.identifiers("licence"), value=account.licence_number)
    name = HumanName(
        use="official",
        text=full_name(account) or None,
        family=account.family_name or None,
        given=lines([account.given_name]),
        prefix=lines([account.title]),
    )
    profession = words(account.profession)
    return Practitioner(
        id=str(account.id),
        meta=Meta(version_id=str(account.version)),
        identifier=(licence,) if licence.value else None,
        active=account.active,
        name=(name,),
        qualification=(Qualification(code=profession),) if profession else None,
    )


def practitioner_role(person: Person, server: Server) -> PractitionerRole:
    """Somebody as one of their clinic, with what they do there."""
    account = person.account
    roles = [role for role in SHOWN if role in account.roles]
    offerings = sorted(account.offerings or ()) if Role.PROVIDER in roles else []
    say = gettext_for(server.language)
    return PractitionerRole(
        id=str(account.id),
        meta=Meta(version_id=str(account.version)),
        language=server.language,
        active=account.active and bool(roles),
        practitioner=reference_to("Practitioner", account.id),
        organization=reference_to("Organization", person.clinic.id),
        code=some(concept(server.codes("role"), role.value, say(ROLES[role])) for role in roles),
        healthcare_service=some(reference_to("HealthcareService", offering_id(code)) for code in offerings),
    )


def organization(clinic: Clinic, server: Server) -> Organization:
    """A clinic."""
    phone, address = lines([clinic.phone]), lines(clinic.address_lines)
    return Organization(
        id=str(clinic.id),
        meta=Meta(version_id=str(clinic.version)),
        identifier=(Identifier(use="official", system=server.identifiers("clinic"), value=clinic.code),),
        name=clinic.name,
        telecom=(ContactPoint(system="phone", value=phone[0], use="work"),) if phone else None,
        address=(Address(use="work", line=address),) if address else None,
    )


def healthcare_service(offering: ServiceOffering, server: Server, *, in_force: bool) -> HealthcareService:
    """What can be asked for; who gives it is found when a request is dispatched."""
    return HealthcareService(
        id=offering_id(offering.code),
        meta=Meta(version_id=str(offering.version)),
        language=server.language,
        identifier=(Identifier(system=server.identifiers("offering"), value=offering.code),),
        active=in_force,
        type=(offering_code(offering, server),),
        name=getattr(offering.title, server.language),
        comment=getattr(offering.description, server.language),
    )
