"""An organization's directory keeps the people of a clinic, over SCIM: by a foreign checker, and what it may not do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from scim2_client import BaseSyncSCIMClient
from scim2_tester import Status, check_server
from sqlalchemy import func, select

from domain.accounts import LetterKind
from domain.audit import Act
from domain.requests import Role
from records import people
from records.models import Account, AccountLetter, AuditEntry, Clinic
from server import create_app
from tests.api.answers import problem
from tests.api.test_accounts import anybody
from tests.api.test_invitations import NEW, choose, code_for, forget, no_asks
from tests.api.test_service_accounts import connected
from tests.eventually import eventually
from tests.journeys import ok, submitted
from tests.serving import served
from tests.system import Clinician, System, add_person

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


@dataclass
class Directory:
    """A clinic's directory, with a client of its own."""

    system: System
    id: UUID
    http: httpx.AsyncClient

    async def add(self, **more: Any) -> dict[str, Any]:
        return told(await self.http.post("/Users", json=somebody(**more)), 201)

    async def patch(self, user: str, *operations: dict[str, Any], **more: Any) -> httpx.Response:
        return await self.http.patch(
            f"/Users/{user}", json={"schemas": [PATCH], "Operations": list(operations)}, **more
        )


def told(answer: httpx.Response, status: int = 200) -> dict[str, Any]:
    """What an answer says that has this status, in the media type of SCIM."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/scim+json"), answer.text
    said: dict[str, Any] = answer.json()
    return said


def refused(answer: httpx.Response, status: int, kind: str | None = None) -> None:
    """An error as SCIM writes it."""
    said = told(answer, status)
    assert (said["status"], said.get("scimType")) == (str(status), kind)
    assert said["detail"]


class OverASocket(BaseSyncSCIMClient):
    """What the checker calls by, which knows no httpx of this generation."""

    def __init__(self, http: httpx.Client) -> None:
        super().__init__()
        self.http = http

    def _stays_under_base_url(self, endpoint: str) -> bool:
        return True

    def _parse_json(self, response: Any) -> Any:
        return response.json()

    def request(self, method: str, url: str, **kwargs: Any) -> httpx.Response:
        return self.http.request(method, url, **kwargs)

    def create(self, *args: Any, **kwargs: Any) -> Any:
        """The groups are there already: in place of a new one the checker gets one of these, with the members that it says."""
        [said, *_] = args
        if type(said).__name__ != "Group":
            return super().create(*args, **kwargs)
        listed: Any = self.query(type(said))
        group = listed.resources[0]
        group.members = said.members
        return self.replace(group)

    def delete(self, *args: Any, **kwargs: Any) -> Any:
        """And they stay: `test_groups.py` looks at both."""
        return None if args[0].__name__ == "Group" else super().delete(*args, **kwargs)


def somebody(**more: Any) -> dict[str, Any]:
    """As Entra makes one."""
    name = f"zoe.{uuid4().hex[:10]}@hopital.example.com"
    return {
        "schemas": [USER, "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
        "externalId": uuid4().hex,
        "userName": name,
        "active": True,
        "displayName": "Zoé Roy",
        "emails": [{"primary": True, "type": "work", "value": name}],
        "meta": {"resourceType": "User"},
        "name": {"formatted": "Zoé Roy", "familyName": "Roy", "givenName": "Zoé", "honorificPrefix": "Dre"},
        "roles": [{"primary": False, "type": "WindowsAzureActiveDirectoryRole", "display": "r", "value": "requester"}],
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "Urgence"},
        **more,
    }


async def own_clinic(system: System) -> Clinic:
    """A clinic whose groups nobody else changes."""
    async with system.services.database.session() as session:
        return await people.add_clinic(session, code=f"dir_{uuid4().hex[:8]}", name="Clinique des groupes")


@asynccontextmanager
async def directory_of(system: System, *scopes: str, by: Clinician | None = None) -> AsyncIterator[Directory]:
    given = await connected(system, *(scopes or ("people:provision",)), by=by)
    transport = httpx.ASGITransport(create_app(system.settings, system.of_api))
    headers = {"Authorization": f"Bearer {given.secret}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://relais.test/scim/v2", headers=headers) as http:
        yield Directory(system, UUID(given.id), http)


@pytest.fixture(scope="module")
async def directory(system: System) -> AsyncIterator[Directory]:
    async with directory_of(system) as there:
        yield there


async def test_a_foreign_checker_finds_no_error(system: System) -> None:
    """scim2-tester, over a socket: discovery, every way to make, change, find and remove people, to change and find
    groups, each attribute by itself.
    """
    clinic = await own_clinic(system)
    boss = await add_person(system, f"boss_{uuid4().hex[:8]}", clinic, Role.CLINIC_ADMINISTRATOR)
    secret = (await connected(system, "people:provision", by=boss)).secret

    def checked(address: str) -> list[str]:
        with httpx.Client(base_url=address, headers={"Authorization": f"Bearer {secret}"}) as http:
            found = check_server(OverASocket(http), resource_types=["User"])
            found += check_server(OverASocket(http), resource_types=["Group"], exclude_tags={"crud:delete"})
        wrong = [f"{one.title}: {one.reason}" for one in found if one.status not in (Status.SUCCESS, Status.SKIPPED)]
        return wrong if sum(one.status is Status.SUCCESS for one in found) > 60 else [*wrong, "hardly anything checked"]

    async with served(create_app(system.settings, system.of_api)) as address:
        assert "\n".join(await asyncio.to_thread(checked, f"{address}/scim/v2")) == ""


async def test_as_entra_sends_it(directory: Directory) -> None:
    """Operations with capitals, `active` as a text, filters in paths that match nothing yet, attributes nobody keeps."""
    made = await directory.add()
    user = made["id"]
    assert made["displayName"] == "Dre Zoé Roy"
    assert "password" not in str(made)
    assert "department" not in str(made)
    flag = {"params": {"aadOptscim062020": ""}}
    changed = told(
        await directory.patch(
            user,
            {"op": "Replace", "path": "name.familyName", "value": "Gagné"},
            {"op": "Replace", "path": "name.formatted", "value": "Zoé G."},
            {"op": "Replace", "path": "displayName", "value": "Zoé G."},
            {"op": "Add", "path": 'emails[type eq "work"].value', "value": "zoe.gagne@hopital.example.com"},
            {"op": "Add", "path": 'roles[primary eq "True"].value', "value": "dispatcher"},
            {"op": "Replace", "path": f"{ENTERPRISE}:department", "value": "Clinique"},
            **flag,
        )
    )
    assert (changed["name"]["familyName"], changed["displayName"]) == ("Gagné", "Dre Zoé Gagné")
    assert [email["value"] for email in changed["emails"]] == ["zoe.gagne@hopital.example.com"]
    assert [role["value"] for role in changed["roles"]] == ["dispatcher"]
    ended = told(await directory.patch(user, {"op": "Replace", "path": "active", "value": "False"}, **flag))
    assert ended["active"] is False
    for _ in range(2):
        again = told(await directory.patch(user, {"op": "Replace", "value": {"active": "True"}}))
        assert again["active"] is True
    assert again["meta"]["version"] == told(await directory.http.get(f"/Users/{user}"))["meta"]["version"]


async def test_people_are_found(directory: Directory) -> None:
    one, other = await directory.add(), await directory.add(active=False)
    name = one["userName"]

    async def found(text: str, **more: Any) -> list[str]:
        listed = told(await directory.http.get("/Users", params={"filter": text, **more}))
        assert listed["totalResults"] == len(listed.get("Resources", []))
        return [user["id"] for user in listed.get("Resources", [])]

    assert await found(f'userName eq "{name.upper()}"') == [one["id"]]
    assert await found(f'externalId eq "{other["externalId"]}"') == [other["id"]]
    assert await found('userName eq "nobody"') == []
    searched = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
        "filter": f'emails[value eq "{name}"] and active eq true',
        "attributes": ["userName"],
    }
    for address in ("/.search", "/Users/.search"):
        listed = told(await directory.http.post(address, json=searched))
        assert [sorted(user) for user in listed["Resources"]] == [["id", "schemas", "userName"]]
    first = told(await directory.http.get("/Users", params={"count": 1, "startIndex": 2, "sortBy": "userName"}))
    assert (first["itemsPerPage"], first["startIndex"], len(first["Resources"])) == (1, 2, 1)
    refused(await directory.http.get("/Users", params={"filter": "userName eq"}), 400, "invalidFilter")
    endless = " or ".join(['userName eq "a"'] * 200)
    refused(await directory.http.post("/.search", json={**searched, "filter": endless}), 400, "invalidFilter")
    refused(await directory.http.get("/Schemas", params={"filter": "id pr"}), 403)


async def test_versions(directory: Directory) -> None:
    user = (await directory.add())["id"]
    seen = (await directory.http.get(f"/Users/{user}")).headers["etag"]
    assert (await directory.http.get(f"/Users/{user}", headers={"If-None-Match": seen})).status_code == 304
    rename = {"op": "replace", "path": "name.givenName", "value": "Zoë"}
    changed = told(await directory.patch(user, rename, headers={"If-Match": seen}))
    assert changed["meta"]["version"] != seen
    refused(await directory.patch(user, rename, headers={"If-Match": seen}), 412)
    refused(await directory.http.put(f"/Users/{user}", json=somebody(), headers={"If-Match": seen}), 412)
    refused(await directory.http.delete(f"/Users/{user}", headers={"If-Match": seen}), 412)
    told(await directory.patch(user, rename, headers={"If-Match": "*"}))


async def test_whose_access_is_ended_is_out_at_once_and_what_they_hold_is_told(
    system: System, directory: Directory
) -> None:
    specialist = await add_person(system, f"held_{uuid4().hex[:8]}", system.clinics["near"], Role.PROVIDER)
    request_id = await submitted(system)
    ok(await system.dispatcher.post(f"/requests/{request_id}/assign", {"provider_id": specialist.id}))
    boss = system.administrator.account
    shut_out = await add_person(system, f"boss_{uuid4().hex[:8]}", system.clinics["near"], Role.CLINIC_ADMINISTRATOR)
    body = {"account_id": shut_out.id, "reason": "Parenté."}
    ok(await system.administrator.post(f"/requests/{request_id}/restrictions", body), 201)
    before = await letters_of(system, boss, LetterKind.HAND_OVER)
    assert (await specialist.get("/me")).status_code == 200
    told(await directory.patch(str(specialist.account.id), {"op": "replace", "path": "active", "value": False}))
    assert (await specialist.get("/me")).status_code == 401
    assert await letters_of(system, boss, LetterKind.HAND_OVER) == before + 1
    assert await letters_of(system, shut_out.account, LetterKind.HAND_OVER) == 0, "what is shut to them is not told"
    kept = ok(await system.administrator.get(f"/accounts/{specialist.account.id}"))
    assert (kept["state"], kept["holds"]) == ("locked", 1)
    still = told(await directory.patch(str(specialist.account.id), {"op": "replace", "path": "roles", "value": []}))
    assert "roles" not in still, "who is out already may lose the role before what they hold is handed over"


async def test_who_has_left_is_gone_and_may_come_again(system: System, directory: Directory) -> None:
    """Known by the directory's name of them, and by no way in that they had."""
    made = await directory.add()
    name, known = made["userName"], made["externalId"]
    account = await account_of(system, made["id"])
    await has_a_password(system, account)
    assert (await directory.http.delete(f"/Users/{made['id']}")).status_code == 204
    refused(await directory.http.get(f"/Users/{made['id']}"), 404)
    refused(await directory.http.delete(f"/Users/{made['id']}"), 404)
    refused(await directory.http.post("/Users", json=somebody(userName=name)), 409, "uniqueness")  # somebody else
    again = await directory.add(userName=f"new.{name}", externalId=known)
    assert (again["id"], again["active"], again["userName"]) == (made["id"], True, f"new.{name}")
    assert not (await account_of(system, made["id"])).has_password
    refused(await directory.http.post("/Users", json=somebody(userName=f"new.{name}")), 409, "uniqueness")
    refused(await directory.http.post("/Users", json=somebody(externalId=known)), 409, "uniqueness")
    done: Any = ok(await system.administrator.get(f"/accounts/{made['id']}/events"))
    kinds = [event["kind"] for event in done]
    assert kinds.count("provisioned") == 1
    assert {"left", "reopened"} <= set(kinds)


async def test_a_directory_gives_nobody_a_signature(system: System, directory: Directory) -> None:
    """Not by way of a role without one, an address of its own and a link to a new password."""
    specialist = await add_person(system, f"signs_{uuid4().hex[:8]}", system.clinics["near"], Role.PROVIDER)
    account, user = specialist.account, str(specialist.account.id)
    own = f"{uuid4().hex}@hopital.example.com"
    told(
        await directory.patch(
            user,
            {"op": "replace", "path": "roles", "value": [{"value": "requester"}]},
            {"op": "replace", "path": 'emails[type eq "work"].value', "value": own},
        )
    )
    await no_asks(system)
    await forget(system, account.username)
    code = await code_for(system, own, nth=2)  # the change was told there, too
    assert (await choose(system, code)).is_success
    async with anybody(system) as http:
        signed_in = await http.post("/api/v1/tokens", json={"username": account.username, "password": NEW})
        http.headers["Authorization"] = f"Bearer {signed_in.json()['access_token']}"
        assert (await http.get("/api/v1/me")).status_code == 200
        await forget(system, account.username)
        open_link = await code_for(system, own, nth=4)
        told(await directory.patch(user, {"op": "replace", "path": "roles", "value": [{"value": "provider"}]}))
        assert (await http.get("/api/v1/me")).status_code == 401
        again = await http.post("/api/v1/tokens", json={"username": account.username, "password": NEW})
        assert again.status_code == 401
    problem(await choose(system, open_link), 404, "link_not_valid")
    await forget(system, account.username)
    link = await code_for(system, own, nth=6)
    assert not (await choose(system, link)).is_success  # asks for the code by voice


async def test_who_is_new_is_told_how_to_come_in_and_has_no_way_before(system: System, directory: Directory) -> None:
    made = await directory.add()
    account = await account_of(system, made["id"])
    assert await letters_of(system, account, LetterKind.PROVISIONED) == 1
    assert not account.has_password
    await has_a_password(system, account)
    signed_in = {"username": account.username, "password": NEW}
    async with anybody(system) as http:
        assert (await http.post("/api/v1/tokens", json=signed_in)).is_success
    waiting = await account_of(system, (await directory.add(active=False))["id"])
    assert await letters_of(system, waiting, LetterKind.PROVISIONED) == 0
    told(await directory.patch(str(waiting.id), {"op": "replace", "path": "active", "value": True}))
    assert await letters_of(system, waiting, LetterKind.PROVISIONED) == 1


async def test_of_administrators_a_directory_only_ends_the_access(system: System, directory: Directory) -> None:
    async def boss() -> Clinician:
        return await add_person(system, f"boss_{uuid4().hex[:8]}", system.clinics["near"], Role.CLINIC_ADMINISTRATOR)

    one = await boss()
    user, own = (
        str(one.account.id),
        {"op": "replace", "path": 'emails[type eq "work"].value', "value": "me@evil.example"},
    )
    refused(await directory.patch(user, own), 403)
    ended = {"op": "replace", "path": "active", "value": False}
    assert told(await directory.patch(user, own, ended))["emails"][0]["value"] == one.account.email
    assert (await one.get("/me")).status_code == 401
    refused(await directory.patch(user, {"op": "replace", "path": "active", "value": True}), 403)
    other = await boss()
    as_okta = somebody(userName=other.account.username, active=False)
    assert told(await directory.http.put(f"/Users/{other.account.id}", json=as_okta))["active"] is False
    assert (await other.get("/me")).status_code == 401
    third = await boss()
    seen = told(await directory.http.get(f"/Users/{third.account.id}"))
    assert (
        told(await directory.http.put(f"/Users/{third.account.id}", json={**seen, "active": False}))["active"] is False
    )
    assert (await third.get("/me")).status_code == 401


@pytest.mark.parametrize(
    "besides",
    [
        [{"op": "replace", "path": "roles", "value": [{"value": "requester"}]}],
        [{"op": "replace", "path": "userName", "value": "taken"}],
        [{"op": "replace", "path": "externalId", "value": "4711"}],
    ],
    ids=["a role that is held", "a name that is taken", "a name of the directory"],
)
async def test_access_ends_whatever_comes_with_it(
    system: System, directory: Directory, besides: list[dict[str, Any]]
) -> None:
    specialist = await add_person(system, f"ends_{uuid4().hex[:8]}", system.clinics["near"], Role.PROVIDER)
    request_id = await submitted(system)
    ok(await system.dispatcher.post(f"/requests/{request_id}/assign", {"provider_id": specialist.id}))
    taken = system.requester.account.username
    besides = [{**one, "value": taken if one["value"] == "taken" else one["value"]} for one in besides]
    await directory.patch(str(specialist.account.id), *besides, {"op": "replace", "path": "active", "value": False})
    assert (await specialist.get("/me")).status_code == 401


async def test_whom_an_administrator_locked_stays_so(system: System, directory: Directory) -> None:
    for first_by_the_directory in (False, True):
        made = await directory.add()
        if first_by_the_directory:
            told(await directory.patch(made["id"], {"op": "replace", "path": "active", "value": False}))
        ok(await system.administrator.post(f"/accounts/{made['id']}/lock"))
        again = told(await directory.patch(made["id"], {"op": "replace", "path": "active", "value": True}))
        assert again["active"] is False
        assert (await directory.http.delete(f"/Users/{made['id']}")).status_code == 204
        back = somebody(userName=made["userName"], externalId=made["externalId"])
        refused(await directory.http.post("/Users", json=back), 409, "uniqueness")
        ok(await system.administrator.post(f"/accounts/{made['id']}/reopen"))
        told(await directory.patch(made["id"], {"op": "replace", "path": "active", "value": False}))
        again = told(await directory.patch(made["id"], {"op": "replace", "path": "active", "value": True}))
        assert again["active"] is True


async def test_what_is_left_out_opens_nothing(system: System, directory: Directory) -> None:
    made = await directory.add(active=False, preferredLanguage="en")
    said = {name: value for name, value in made.items() if name not in ("active", "preferredLanguage", "meta")}
    kept = told(await directory.http.put(f"/Users/{made['id']}", json=said))
    assert (kept["active"], kept["preferredLanguage"]) == (False, "en")


async def test_an_account_from_before_can_be_ended(system: System, directory: Directory) -> None:
    """Whatever stands in it that nobody could say today."""
    odd = await add_person(system, f"odd_{uuid4().hex[:8]}", system.clinics["near"], Role.REQUESTER)
    async with system.services.database.session() as session:
        account = await session.get_one(Account, odd.account.id)
        account.email, account.given_name, account.family_name, account.roles = "root@localhost", "x" * 300, "", []
    assert told(await directory.http.get("/Users"))["totalResults"] > 0
    user = str(odd.account.id)
    assert told(await directory.patch(user, {"op": "replace", "path": "active", "value": False}))["active"] is False
    assert (await odd.get("/me")).status_code == 401


@pytest.mark.parametrize("role", ["clinic_administrator", "operator", "doctor", ""])
async def test_roles_that_no_directory_gives(directory: Directory, role: str) -> None:
    answer = await directory.http.post("/Users", json=somebody(roles=[{"value": role}]))
    assert answer.status_code in (400, 403)
    user = (await directory.add())["id"]
    answer = await directory.patch(user, {"op": "add", "path": "roles", "value": [{"value": role}]})
    assert answer.status_code in (400, 403)
    assert [one["value"] for one in told(await directory.http.get(f"/Users/{user}"))["roles"]] == ["requester"]


async def test_another_clinics_people_are_nobody(system: System, directory: Directory) -> None:
    for far in (system.far_requester.account, system.operator.account):
        refused(await directory.http.get(f"/Users/{far.id}"), 404)
        refused(await directory.http.put(f"/Users/{far.id}", json=somebody()), 404)
        refused(await directory.patch(str(far.id), {"op": "replace", "path": "active", "value": False}), 404)
        refused(await directory.http.delete(f"/Users/{far.id}"), 404)
        refused(await directory.http.post("/Users", json=somebody(userName=far.username)), 409, "uniqueness")
        listed = told(await directory.http.get("/Users", params={"filter": f'userName eq "{far.username}"'}))
        assert listed["totalResults"] == 0


async def test_who_may_call(system: System) -> None:
    async with directory_of(system, "requests:read", "catalogue:read") as other:
        refused(await other.http.get("/Users"), 403)
        refused(await other.http.post("/Users", json=somebody()), 403)
    administrator = system.administrator.http.headers["Authorization"].removeprefix("Bearer ")
    async with directory_of(system) as there:
        for secret in ("", "relais_sk_" + "x" * 43, administrator):
            answer = await there.http.get("/Users", headers={"Authorization": f"Bearer {secret}"})
            refused(answer, 403 if secret == administrator else 401)
            assert answer.headers.get("www-authenticate", "").startswith("Bearer") is (answer.status_code == 401)
        named = {"Relais-On-Behalf-Of": system.requester.account.username}
        refused(await there.http.get("/Users", headers=named), 403)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'{"schemas": ["urn:nothing"]}',
        b'{"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": 1e999}',
        b'{"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": {"a": []}}',
        b"[" * 100_000,
        b'{"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "\\u0000"}',
    ],
)
async def test_what_is_no_user_is_refused_as_scim_does(directory: Directory, body: bytes) -> None:
    refused_at_all(await directory.http.post("/Users", content=body))
    user = (await directory.add())["id"]
    refused_at_all(await directory.http.put(f"/Users/{user}", content=body))
    refused_at_all(await directory.http.patch(f"/Users/{user}", content=body))


@pytest.mark.parametrize(
    "wrong",
    [
        {"externalId": "a\0b"},
        {"externalId": " "},
        {"userName": "a\0b"},
        {"userName": "x" * 300},
        {"name": {"givenName": "a\0", "familyName": "b"}},
        {"name": {"givenName": " ", "familyName": "b"}},
        {"name": {"givenName": "b", "familyName": "x" * 300}},
        {"title": "a\nb"},
        {"roles": [{"value": "nurse"}]},
        {"emails": [{"value": "nobody"}]},
    ],
)
async def test_who_is_said_wrongly_is_refused(directory: Directory, wrong: dict[str, Any]) -> None:
    refused_at_all(await directory.http.post("/Users", json=somebody(**wrong)))
    user = (await directory.add())["id"]
    refused_at_all(await directory.http.put(f"/Users/{user}", json=somebody(**wrong)))


async def test_every_call_stands_in_the_audit(system: System) -> None:
    """Under the system's own name."""
    async with directory_of(system) as directory:
        made = await directory.add()
        told(await directory.http.get(f"/Users/{made['id']}"))
        told(await directory.http.get("/Users"))
        refused(await directory.http.get(f"/Users/{uuid4()}"), 404)
        [group, *_] = told(await directory.http.post("/Groups/.search", json={"count": 1}))["Resources"]
        nobody = {"schemas": [PATCH], "Operations": [{"op": "Add", "path": "members", "value": []}]}
        assert (await directory.http.patch(f"/Groups/{group['id']}", json=nobody)).status_code == 204
        told(await directory.http.post("/.search", json={}))
    async with system.services.database.session() as session:
        query = select(AuditEntry.kind, AuditEntry.name).where(AuditEntry.account_id == directory.id)
        rows = await session.execute(query.order_by(AuditEntry.id))
    assert [tuple(row) for row in rows] == [
        (Act.ACCOUNT, "provisioned"),
        (Act.LOOK, "get_user"),
        (Act.LOOK, "list_users"),
        (Act.REFUSED, "get_user 404"),
        (Act.LOOK, "search_groups"),
        (Act.CHANGE, "patch_group"),
        (Act.LOOK, "search_all"),
    ]


def refused_at_all(answer: httpx.Response) -> None:
    said = told(answer, answer.status_code)
    assert answer.status_code in (400, 409, 412)
    assert said["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]


async def has_a_password(system: System, account: Account) -> None:
    """As somebody new gets one, who was told of their account."""
    await eventually(lambda: len(system.post_office.kept_for(account.email)) == 1)
    await no_asks(system)
    await forget(system, account.username)
    code = await code_for(system, account.email, nth=2)
    assert (await choose(system, code)).is_success


async def account_of(system: System, account_id: str) -> Account:
    async with system.services.database.session() as session:
        account = await session.get(Account, UUID(account_id))
    assert account is not None
    return account


async def letters_of(system: System, account: Account, kind: LetterKind) -> int:
    async with system.services.database.session() as session:
        query = select(func.count()).where(AccountLetter.account_id == account.id, AccountLetter.kind == kind)
        return await session.scalar(query) or 0
