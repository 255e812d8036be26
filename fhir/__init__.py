"""FHIR R4: requests, people, clinics and forms as resources, for other systems to read."""
