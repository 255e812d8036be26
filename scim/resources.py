"""What a directory sees of the people of a clinic, in the words of SCIM; and what the service tells of itself.

It is the core `User` with what Relais keeps of somebody. `name.honorificPrefix` is the professional title, `title` the
profession. What else a directory sends is left out: the licence number, under which reports are signed, an administrator gives.
"""

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urljoin

from scim2_models import (
    URN,
    AuthenticationScheme,
    Bulk,
    ChangePassword,
    ComplexAttribute,
    ETag,
    ExtensibleStringEnum,
    Filter,
    Meta,
    Mutability,
    Patch,
    Required,
    Resource,
    ResourceType,
    Returned,
    Schema,
    ScimPolicy,
    ServiceProviderConfig,
    Sort,
    Uniqueness,
)

from domain.requests import Role
from translations import language_named
from use_cases.provisioning import DirectoryPerson, PersonInDirectory

MOST_AT_ONCE = 200
"""So many people at most are in one answer."""

POLICY = ScimPolicy(
    unknown=ScimPolicy.Unknown.ignore,
    remove_value_as_filter=ScimPolicy.RemoveValue.apply,
    unmatched_path_filter=ScimPolicy.UnmatchedPathFilter.create,
)
"""What is tolerated: attributes that are not kept here, and Entra's ways with PATCH."""


class Language(ExtensibleStringEnum):
    """The languages of Relais; of another, or none, it is French."""

    FR = "fr"
    EN = "en"


class GivenRole(ExtensibleStringEnum):
    """The roles that directories give: `GIVEN_BY_DIRECTORIES`."""

    REQUESTER = "requester"
    DISPATCHER = "dispatcher"
    PROVIDER = "provider"


class Name(ComplexAttribute):
    """What somebody is called."""

    formatted: Annotated[str | None, Returned.never] = None
    given_name: Annotated[str | None, Required.true] = None
    family_name: Annotated[str | None, Required.true] = None
    honorific_prefix: str | None = None


class Email(ComplexAttribute):
    """The one e-mail address of somebody."""

    class Type(ExtensibleStringEnum):
        """Whose address it is."""

        WORK = "work"

    value: Annotated[str | None, Required.true] = None
    type: Type | None = None
    primary: Annotated[bool | None, Returned.never] = None


class GrantedRole(ComplexAttribute):
    """A role that directories give."""

    value: Annotated[GivenRole | None, Required.true] = None
    primary: Annotated[bool | None, Returned.never] = None


class User(Resource[Any]):
    """Somebody of the clinic."""

    __schema__ = URN("urn:ietf:params:scim:schemas:core:2.0:User")

    user_name: Annotated[str | None, Required.true, Uniqueness.server] = None
    name: Annotated[Name | None, Required.true] = None
    display_name: str | None = None
    title: str | None = None
    preferred_language: Language | None = None
    active: bool | None = None
    emails: Annotated[list[Email] | None, Required.true] = None
    roles: list[GrantedRole] | None = None


def as_said(user: User) -> DirectoryPerson:
    """What the directory says of somebody. Raises ValidationError."""
    name, emails = user.name or Name(), user.emails or []
    email = next((one for one in emails if one.primary), emails[0] if emails else Email())
    return DirectoryPerson.model_validate(
        {
            "username": user.user_name or "",
            "external_id": user.external_id,
            "given_name": name.given_name or "",
            "family_name": name.family_name or "",
            "title": name.honorific_prefix or "",
            "profession": user.title or "",
            "email": email.value or "",
            "language": language_named(user.preferred_language or ""),
            "roles": [role.value for role in user.roles or []],
            "active": user.active is not False,
        }
    )


def as_user(person: PersonInDirectory, base: str) -> User:
    """Somebody as the directory sees them; `base` is the address of the service, with a slash at its end."""
    said = person.said
    full = " ".join(part for part in (said.title, said.given_name, said.family_name) if part)
    return User(
        id=str(person.id),
        external_id=said.external_id,
        user_name=said.username,
        name=Name(
            given_name=said.given_name,
            family_name=said.family_name,
            honorific_prefix=said.title or None,
        ),
        display_name=full,
        title=said.profession or None,
        preferred_language=Language(said.language),
        active=said.active,
        emails=[Email(value=said.email, type=Email.Type.WORK, primary=True)],
        roles=[
            GrantedRole(value=GivenRole(role.value), primary=len(said.roles) == 1)
            for role in Role
            if role in said.roles
        ]
        or None,
        meta=Meta(
            resource_type="User",
            created=person.created_at,
            location=urljoin(base, f"Users/{person.id}"),
            version=f'W/"{person.version}"',
        ),
    )


CONFIG = ServiceProviderConfig(
    patch=Patch(supported=True),
    bulk=Bulk(supported=False, max_operations=0, max_payload_size=0),
    filter=Filter(supported=True, max_results=MOST_AT_ONCE),
    change_password=ChangePassword(supported=False),
    sort=Sort(supported=True),
    etag=ETag(supported=True),
    authentication_schemes=[
        AuthenticationScheme(
            type=AuthenticationScheme.Type.oauthbearertoken,
            name="Service account",
            description="The secret of a service account of the clinic, or an access token, with the scope people:provision.",
            primary=True,
        )
    ],
)
"""What the service can do."""


UNDERSTOOD: Mapping[str, frozenset[str]] = {
    "name": frozenset({"formatted"}),
    "emails": frozenset({"primary"}),
    "roles": frozenset({"primary"}),
}
"""Parts that directories send or look for, by which nothing is kept: they are understood, and not promised."""


def _schema() -> Schema:
    """The schema of `User`, as it is promised.

    What everybody has is told as required, though who leaves it out gets what is usual. The name as it is shown is made here:
    what directories say of it changes nothing.
    """
    schema = User.to_schema()
    for attribute in schema.attributes or []:
        if attribute.name in ("active", "preferredLanguage", "roles"):
            attribute.required = Required.true
        if attribute.name == "displayName":
            attribute.mutability = Mutability.read_only
        unpromised = UNDERSTOOD.get(attribute.name or "", frozenset())
        attribute.sub_attributes = [
            part for part in attribute.sub_attributes or [] if part.name not in unpromised
        ] or attribute.sub_attributes
    return schema


SCHEMAS = {str(User.__schema__): _schema()}
RESOURCE_TYPES = {"User": ResourceType.from_resource(User)}
