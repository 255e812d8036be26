"""Messages as partners send them: a sound one, and one with what real systems leave out or write otherwise."""

import base64
from copy import deepcopy
from typing import Any
from uuid import uuid4

Json = dict[str, Any]

ORDERS = "https://dossier.test/orders"
"""The system of the order numbers of the system that sends."""

EVENTS = "https://ehealthontario.ca/fhir/CodeSystem/message-event-code"


def entry(resource: Json) -> Json:
    return {"fullUrl": f"urn:uuid:{resource['id']}", "resource": resource}


def ref(resource: Json) -> Json:
    return {"reference": f"urn:uuid:{resource['id']}"}


def message(event: str, focus: Json, *others: Json, author: Json | None = None, **more: Any) -> Json:
    """A message of that event about `focus`."""
    header: Json = {
        "resourceType": "MessageHeader",
        "id": str(uuid4()),
        "eventCoding": {"system": EVENTS, "code": event},
        "destination": [{"name": "Relais", "endpoint": "https://relais.test/fhir/$process-message"}],
        "source": {"name": "Dossier", "endpoint": "https://dossier.test/fhir/$process-message"},
        "focus": [ref(focus)],
        **({"author": ref(author)} if author else {}),
    }
    return {
        "resourceType": "Bundle",
        "id": str(uuid4()),
        "type": "message",
        "timestamp": "2026-11-27T10:15:00.120-05:00",
        "entry": [entry(one) for one in (header, focus, *others)],
        **more,
    }


def header_of(sent: Json) -> Json:
    found: Json = sent["entry"][0]["resource"]
    return found


def find(sent: Json, kind: str) -> Json:
    found: Json = next(one["resource"] for one in sent["entry"] if one["resource"]["resourceType"] == kind)
    return found


def resource(kind: str, **more: Any) -> Json:
    return {"resourceType": kind, "id": str(uuid4()), **more}


def new_request(
    number: str = "",
    *,
    licence: str = "",
    family: str = "Okafor",
    service: str = "DERM-01",
    photo: bytes | None = None,
) -> Json:
    """A sound message that asks for advice (eReCm-1)."""
    patient = resource(
        "Patient",
        identifier=[
            {
                "use": "official",
                "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "JHN"}]},
                "system": "https://fhir.infoway-inforoute.ca/NamingSystem/ca-on-patient-hcn",
                "value": "9876543217",
            }
        ],
        name=[{"use": "official", "family": "Bouchard", "given": ["Line", "Marie"]}],
        gender="female",
        birthDate="1961-07-02",
    )
    doctor = resource(
        "Practitioner",
        identifier=[
            {
                "type": {"coding": [{"code": "MD"}]},
                "system": "https://college.test/licence",
                "value": licence or "P-000",
            }
        ],
        name=[{"family": family, "given": ["Ada"], "prefix": ["Dre"]}],
    )
    clinic = resource("Organization", name="Clinique du Lac")
    role = resource("PractitionerRole", practitioner=ref(doctor), organization=ref(clinic))
    healthcare_service = resource("HealthcareService", identifier=[{"value": service}], name="Dermatologie")
    others: list[Json] = []
    if photo is not None:
        attachment = {"contentType": "image/jpeg", "title": "Avant-bras", "data": base64.b64encode(photo).decode()}
        others.append(resource("DocumentReference", status="current", content=[{"attachment": attachment}]))
    asked = resource(
        "ServiceRequest",
        identifier=[{"use": "official", "system": ORDERS, "value": number or f"ORD-{uuid4().hex}"}],
        status="active",
        intent="order",
        priority="urgent",
        code={"text": "Télédermatologie"},
        subject=ref(patient),
        authoredOn="2026-11-27T10:10:00-05:00",
        requester=ref(role),
        performer=[ref(healthcare_service)],
        reasonCode=[{"text": "Lésion qui saigne depuis trois semaines."}],
        supportingInfo=[ref(one) for one in others],
    )
    return message(
        "add-service-request", asked, patient, role, doctor, clinic, healthcare_service, *others, author=role
    )


def said(number: str, text: str) -> Json:
    """A message by which the requester says something about a request (eReCm-9)."""
    patient = resource("Patient", name=[{"family": "Bouchard"}])
    communication = resource(
        "Communication",
        status="completed",
        subject=ref(patient),
        basedOn=[{"type": "ServiceRequest", "identifier": {"system": ORDERS, "value": number}}],
        payload=[{"contentString": text}],
    )
    return message("send-communication-from-requester", communication, patient)


def changed(sent: Json, event: str, **of_request: Any) -> Json:
    """The message of that event about the same request, with these elements of it changed."""
    made = deepcopy(sent)
    made["id"] = str(uuid4())
    header_of(made).update(id=str(uuid4()), eventCoding={"system": EVENTS, "code": event})
    made["entry"][0]["fullUrl"] = f"urn:uuid:{header_of(made)['id']}"
    find(made, "ServiceRequest").update(of_request)
    return made


def by_ids(sent: Json) -> Json:
    """The same as large systems write it: no fullUrl, references by type and id, and a sender of whom nothing more is said."""
    kinds = {one["fullUrl"]: one["resource"]["resourceType"] for one in sent["entry"]}

    def led(part: Any) -> Any:
        if isinstance(part, list):
            return [led(one) for one in part]
        if not isinstance(part, dict):
            return part
        return {
            name: f"{kinds[value]}/{value.removeprefix('urn:uuid:')}"
            if name == "reference" and value in kinds
            else led(value)
            for name, value in part.items()
        }

    made = led(sent)
    for one in made["entry"]:
        del one["fullUrl"]
    header_of(made)["sender"] = {"reference": "Organization/hub"}
    return {**made}


def untidy() -> Json:
    """What a real system may send: hardly anything of a profile's wishes, and still a request."""
    patient = resource(
        "Patient",
        meta={"profile": ["https://profiles.test/StructureDefinition/patient%7C1.0.0"]},
        identifier=[{"type": {"coding": [{"code": "JHN"}]}, "system": "https://profiles.test/ca-on-patient-hcn"}],
        name=[{"family": "Nguyen"}],
        address=[{"use": "home", "type": "physical"}],
    )
    doctor = resource("Practitioner")
    role = resource(
        "PractitionerRole", practitioner=ref(doctor), meta={"profile": ["https://profiles.test/role|1.0.1"]}
    )
    form = resource(
        "QuestionnaireResponse",
        status="completed",
        item=[
            {
                "linkId": "a",
                "text": "Médication",
                "extension": [
                    {"url": "http://hl7.org/fhir/StructureDefinition/questionnaire-hidden", "valueBoolean": True}
                ],
                "answer": [{"valueString": "Aucune"}],
            },
            {"linkId": "b"},
            {"linkId": "c", "item": [{"linkId": "c.1", "text": "Allergies", "answer": [{"valueBoolean": False}]}]},
        ],
    )
    scan = resource(
        "DocumentReference",
        status="current",
        content=[{"attachment": {"title": "Biopsie", "url": "https://dossier.test/documents/12"}}],
    )
    asked = resource(
        "ServiceRequest",
        extension=[{"url": "https://profiles.test/routing", "valueCode": "central"}],
        identifier=[{"system": "https://dossier.test/orders", "value": f"R-{uuid4().hex}"}],
        status="active",
        intent="proposal",
        category=[{"coding": [{"system": "http://snomed.info/sct", "code": "103696004", "display": "eConsult !"}]}],
        subject=ref(patient),
        requester=ref(role),
        note=[{"authorString": "x"}, {"text": "<b>Lésion</b>&nbsp;au dos"}],
        supportingInfo=[ref(form), ref(scan)],
    )
    made = message("add-service-request", asked, patient, role, doctor, form, scan)
    made["entry"][0]["fullUrl"] = header_of(made)["id"]
    made["meta"] = {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HTEST"}]}
    return made
