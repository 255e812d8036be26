"""What a directory sees of the people of a clinic, in the words of SCIM; and what the service tells of itself.

It is the core `User` with what Relais keeps of somebody, and the core `Group` for each role that directories give.
`name.honorificPrefix` is the professional title, `title` the profession. What else a directory sends is left out: the licence
number, under which reports are signed, an administrator gives.
"""

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urljoin
from uuid import UUID

from pydantic import Field
from scim2_models import (
    URN,
    Attribute,
    AuthenticationScheme,
    Bulk,
    CaseExact,
    ChangePassword,
    ComplexAttribute,
    ETag,
    ExtensibleStringEnum,
    Filter,
    Meta,
    Mutability,
    Patch,
    Reference,
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
from domain.service_accounts import GROUP_NAMES
from translations import language_named
from use_cases import directory_groups
from use_cases.directory_groups import group_id
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


class Membership(ComplexAttribute):
    """A group of which somebody is a member, as they have its role."""

    class Type(ExtensibleStringEnum):
        """There are no groups in groups."""

        DIRECT = "direct"

    value: Annotated[str | None, Mutability.read_only] = None
    ref: Annotated[Reference["Group"] | None, Mutability.read_only] = Field(
        None, serialization_alias="$ref", validation_alias="$ref"
    )
    display: Annotated[str | None, Mutability.read_only] = None
    type: Annotated[Type | None, Mutability.read_only] = None


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
    groups: Annotated[list[Membership] | None, Mutability.read_only] = None


class Member(ComplexAttribute):
    """Somebody who has the role of a group."""

    class Type(ExtensibleStringEnum):
        """There are no groups in groups."""

        USER = "User"

    value: Annotated[str | None, Mutability.immutable, Required.true, CaseExact.true] = None
    ref: Annotated[Reference["User"] | None, Mutability.immutable] = Field(
        None, serialization_alias="$ref", validation_alias="$ref"
    )
    type: Annotated[Type | None, Mutability.immutable] = None
    display: Annotated[str | None, Mutability.read_only] = None


class Group(Resource[Any]):
    """Who has one of the roles that directories give."""

    __schema__ = URN("urn:ietf:params:scim:schemas:core:2.0:Group")

    display_name: Annotated[str | None, Required.true, Uniqueness.server] = None
    members: list[Member] | None = None


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


def etag(version: object) -> str:
    """The version of a resource as its `meta` and headers say it."""
    return f'W/"{version}"'


def as_user(person: PersonInDirectory, base: str) -> User:
    """Somebody as the directory sees them; `base` is the address of the service, with a slash at its end."""
    said = person.said
    return User(
        id=str(person.id),
        external_id=said.external_id,
        user_name=said.username,
        name=Name(
            given_name=said.given_name,
            family_name=said.family_name,
            honorific_prefix=said.title or None,
        ),
        display_name=said.full_name,
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
        groups=[
            _membership(group_id(person.clinic_id, role), name, base)
            for role, name in GROUP_NAMES.items()
            if role in said.roles
        ]
        or None,
        meta=Meta(
            resource_type="User",
            created=person.created_at,
            location=urljoin(base, f"Users/{person.id}"),
            version=etag(person.version),
        ),
    )


def as_group(group: directory_groups.Group, base: str) -> Group:
    """A group as the directory sees it; `base` as in `as_user`."""
    return Group(
        id=str(group.id),
        display_name=group.name,
        members=[
            Member(value=str(one.id), ref=urljoin(base, f"Users/{one.id}"), type=Member.Type.USER, display=one.name)
            for one in group.members
        ]
        or None,
        meta=Meta(resource_type="Group", location=urljoin(base, f"Groups/{group.id}"), version=etag(group.version)),
    )


def _membership(group: UUID, name: str, base: str) -> Membership:
    there = urljoin(base, f"Groups/{group}")
    return Membership(value=str(group), ref=there, display=name, type=Membership.Type.DIRECT)


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


_OF_EVERYBODY = ("active", "preferredLanguage")
"""Told as required, though who leaves them out gets what is usual."""


def _schema(resource: type[Resource[Any]], mutability: Mapping[str, Mutability], *more: Attribute) -> Schema:
    """The schema of a resource, as it is promised: some of it changes less than is understood."""
    schema = resource.to_schema()
    schema.attributes = [*(schema.attributes or []), *more]
    for attribute in schema.attributes or []:
        if attribute.name in _OF_EVERYBODY:
            attribute.required = Required.true
        attribute.mutability = mutability.get(attribute.name or "", attribute.mutability)
        unpromised = UNDERSTOOD.get(attribute.name or "", frozenset())
        attribute.sub_attributes = [
            part for part in attribute.sub_attributes or [] if part.name not in unpromised
        ] or attribute.sub_attributes
    return schema


_NOT_KEPT = Attribute(
    name="externalId",
    type=Attribute.Type.string,
    multi_valued=False,
    description="Nothing is kept of it: a group is found by its displayName.",
    required=Required.false,
    case_exact=CaseExact.true,
    mutability=Mutability.read_only,
    returned=Returned.default,
    uniqueness=Uniqueness.none,
)

SCHEMAS = {
    # the name as it is shown is made here: what directories say of it changes nothing
    str(User.__schema__): _schema(User, {"displayName": Mutability.read_only}),
    str(Group.__schema__): _schema(Group, {"displayName": Mutability.immutable}, _NOT_KEPT),
}
RESOURCE_TYPES = {"User": ResourceType.from_resource(User), "Group": ResourceType.from_resource(Group)}
