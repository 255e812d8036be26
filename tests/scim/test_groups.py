"""A directory gives roles by the groups of a clinic: as Entra and Okta document what they send, and what it may not do."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import delete

from domain.accounts import LetterKind
from domain.requests import Role
from records import people
from records.models import AccountLetter, Clinic
from tests.api.test_invitations import no_asks
from tests.eventually import eventually
from tests.journeys import ok, submitted
from tests.scim.test_directories import (
    PATCH,
    USER,
    Directory,
    account_of,
    directory_of,
    has_a_password,
    letters_of,
    own_clinic,
    refused,
    somebody,
    told,
)
from tests.system import Clinician, System, add_person
from use_cases import provisioning, shut_holders
from use_cases.directory_groups import MOST_MEMBERS

GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
NAMES = ["relais-requester", "relais-dispatcher", "relais-provider"]
FLAG = {"aadOptscim062020": ""}


class Grouped(Directory):
    """The directory of a clinic of its own, that sends no roles."""

    clinic: Clinic
    boss: Clinician

    async def someone(self, **more: Any) -> str:
        """Somebody new, of whom no role is said."""
        said = somebody(**more)
        del said["roles"]
        made = told(await self.http.post("/Users", json=said), 201)
        return str(made["id"])

    async def group(self, role: str) -> str:
        wanted = {"filter": f'displayName eq "relais-{role}"', "excludedAttributes": "members"}
        [found] = told(await self.http.get("/Groups", params=wanted))["Resources"]
        return str(found["id"])

    async def members(self, group: str) -> set[str]:
        return {one["value"] for one in told(await self.http.get(f"/Groups/{group}")).get("members", [])}

    async def roles(self, user: str) -> list[str]:
        return [one["value"] for one in told(await self.http.get(f"/Users/{user}")).get("roles", [])]

    async def change(self, group: str, *operations: dict[str, Any], **more: Any) -> httpx.Response:
        body = json.dumps({"schemas": [PATCH], "Operations": list(operations)})  # lone surrogates as well
        return await self.http.patch(f"/Groups/{group}", content=body, **more)

    async def put(self, group: str, **said: Any) -> httpx.Response:
        name = told(await self.http.get(f"/Groups/{group}"))["displayName"]
        return await self.http.put(f"/Groups/{group}", json={"schemas": [GROUP], "displayName": name, **said})


@asynccontextmanager
async def grouped(system: System) -> AsyncIterator[Grouped]:
    clinic = await own_clinic(system)
    boss = await add_person(system, f"boss_{uuid4().hex[:8]}", clinic, Role.CLINIC_ADMINISTRATOR)
    async with directory_of(system, by=boss) as plain:
        there = Grouped(plain.system, plain.id, plain.http)
        there.clinic, there.boss = clinic, boss
        yield there


@pytest.fixture(scope="module")
async def directory(system: System) -> AsyncIterator[Grouped]:
    async with grouped(system) as there:
        yield there


def add(*users: str, **more: Any) -> dict[str, Any]:
    return {"op": "add", "path": "members", "value": [{"value": user, **more} for user in users]}


def take(*users: str) -> list[dict[str, Any]]:
    return [{"op": "remove", "path": f'members[value eq "{user}"]'} for user in users]


def named(*users: str) -> list[dict[str, Any]]:
    return [{"value": user, "display": "somebody"} for user in users]


def done(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.content) == (204, b""), answer.text


async def test_a_clinic_has_one_group_for_each_role_that_directories_give(directory: Grouped) -> None:
    listed = told(await directory.http.get("/Groups"))
    assert [one["displayName"] for one in listed["Resources"]] == NAMES
    assert listed["totalResults"] == 3
    again = told(await directory.http.get("/Groups"))
    assert [one["id"] for one in listed["Resources"]] == [one["id"] for one in again["Resources"]]
    types = told(await directory.http.get("/ResourceTypes"))["Resources"]
    assert [(one["name"], one["endpoint"]) for one in types] == [("User", "/Users"), ("Group", "/Groups")]
    schema = told(await directory.http.get(f"/Schemas/{GROUP}"))
    assert {one["name"]: one["mutability"] for one in schema["attributes"]} == {
        "displayName": "immutable",
        "members": "readWrite",
        "externalId": "readOnly",
    }
    of_users = told(await directory.http.get(f"/Schemas/{USER}"))
    assert {one["name"]: (one["mutability"], one["required"]) for one in of_users["attributes"]}["groups"] == (
        "readOnly",
        False,
    )


async def test_as_entra_sends_it(directory: Grouped) -> None:
    """The bodies of its documentation, without and with `aadOptscim062020`."""
    user, other = await directory.someone(), await directory.someone()
    group = await directory.group("REQUESTER")  # without regard to capitals
    made: dict[str, Any] = {
        "schemas": [GROUP, "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"]
    }
    made |= {"externalId": str(uuid4()), "displayName": "Relais-Requester", "meta": {"resourceType": "Group"}}
    refused(await directory.http.post("/Groups", json=made), 409, "uniqueness")
    seen = told(await directory.http.get(f"/Groups/{group}", params={"excludedAttributes": "members"}))
    assert "members" not in seen

    done(await directory.change(group, {**add(user), "op": "Add", "value": [{"$ref": None, "value": user}]}))
    done(await directory.change(group, add(other), params={}))
    assert {user, other} <= await directory.members(group)
    wanted = {"filter": f'id eq "{group}" and members[value eq "{user}"]', "excludedAttributes": "members"}
    assert told(await directory.http.get("/Groups", params=wanted))["totalResults"] == 1
    wanted = {"filter": f'id eq "{group}" and members.value eq "{uuid4()}"'}
    assert told(await directory.http.get("/Groups", params=wanted))["totalResults"] == 0
    remove = {"op": "Remove", "path": "members", "value": [{"$ref": None, "value": user}]}
    done(await directory.change(group, remove))
    assert (await directory.roles(user), await directory.roles(other)) == ([], ["requester"])
    done(await directory.http.patch(f"/Groups/{group}", json={"schemas": [PATCH], "Operations": take(other)}))
    assert not {user, other} & await directory.members(group)
    done(await directory.change(group, {"op": "Replace", "path": "externalId", "value": str(uuid4())}))
    rename = {"op": "Replace", "path": "displayName", "value": "Demandeurs"}
    refused(await directory.change(group, rename), 400, "mutability")
    asked = told(await directory.change(group, add(user), params={**FLAG, "excludedAttributes": "members"}))
    assert (asked["displayName"], "members" in asked) == ("relais-requester", False)


async def test_as_okta_sends_it(directory: Grouped) -> None:
    user, other, third = [await directory.someone() for _ in range(3)]
    listed = told(await directory.http.get("/Groups", params={"startIndex": 1, "count": 100}))
    group = next(one["id"] for one in listed["Resources"] if one["displayName"] == "relais-dispatcher")
    pushed = {"schemas": [GROUP], "displayName": "Test SCIMv2", "members": []}
    answer = await directory.http.post("/Groups", json=pushed)
    refused(answer, 400, "invalidValue")
    assert all(name in answer.json()["detail"] for name in NAMES)
    rename = {"op": "replace", "value": {"id": group, "displayName": "relais-dispatcher"}}
    done(await directory.change(group, rename))
    done(await directory.change(group, {"op": "replace", "path": "members", "value": named(user, other)}))
    assert await directory.members(group) == {user, other}
    done(await directory.change(group, *take(other), add(third, display="test.user@okta.local")))
    assert await directory.members(group) == {user, third}
    said = told(await directory.put(group, id=group, members=named(other)))
    assert [one["value"] for one in said["members"]] == [other]
    assert [await directory.roles(one) for one in (user, other, third)] == [[], ["dispatcher"], []]
    kept = told(await directory.put(group))
    assert [one["value"] for one in kept["members"]] == [other], "of members nothing was said"
    told(await directory.put(group, members=[]))
    assert await directory.members(group) == set()
    unlinked = await directory.http.delete(f"/Groups/{group}")
    refused(unlinked, 403)
    assert "stay" in unlinked.json()["detail"]


async def test_who_has_no_role_gets_in_and_may_do_nothing_until_a_group_gives_one(
    system: System, directory: Grouped
) -> None:
    user = await directory.someone()
    account = await account_of(system, user)
    assert (account.roles, account.active) == ([], True)
    assert await letters_of(system, account, LetterKind.PROVISIONED) == 0, "there is nothing to come in for yet"
    group = await directory.group("requester")
    done(await directory.change(group, add(user)))
    assert await letters_of(system, account, LetterKind.PROVISIONED) == 1
    await has_a_password(system, account)
    seen = told(await directory.http.get(f"/Users/{user}"))
    [membership] = seen["groups"]
    assert (membership["value"], membership["display"], membership["type"]) == (group, "relais-requester", "direct")
    assert membership["$ref"].endswith(f"/scim/v2/Groups/{group}")
    events: Any = ok(await directory.boss.get(f"/accounts/{user}/events"))
    assert {"roles": [[], ["requester"]]} in [event["changes"] for event in events]


async def test_what_is_said_of_a_person_and_what_groups_say(directory: Grouped) -> None:
    """The same roles, said in two ways: where a person's are not spoken of, they stay; the last word counts."""
    user = await directory.someone()
    group = await directory.group("requester")
    done(await directory.change(group, add(user)))
    whole = told(await directory.http.get(f"/Users/{user}"))
    without = {name: value for name, value in whole.items() if name not in ("roles", "groups", "meta")}
    named_anew = {**without, "name": {"givenName": "Zoë", "familyName": "Roy"}, "groups": []}
    assert told(await directory.http.put(f"/Users/{user}", json=named_anew))["roles"][0]["value"] == "requester"
    told(await directory.patch(user, {"op": "replace", "path": "name.givenName", "value": "Zoé"}))
    assert await directory.roles(user) == ["requester"]
    refused(await directory.patch(user, {"op": "replace", "path": "groups", "value": []}), 400, "mutability")
    told(await directory.http.put(f"/Users/{user}", json={**without, "roles": [{"value": "dispatcher"}]}))
    assert user not in await directory.members(group)
    told(await directory.http.put(f"/Users/{user}", json={**without, "roles": []}))
    assert await directory.roles(user) == []


async def test_roles_that_a_whole_person_speaks_of(directory: Grouped) -> None:
    """Null says nothing of them; with the schema before it, the name is the same."""
    user = await directory.someone()
    done(await directory.change(await directory.group("requester"), add(user)))
    whole = told(await directory.http.get(f"/Users/{user}"))
    without = {name: value for name, value in whole.items() if name not in ("roles", "groups", "meta")}
    told(await directory.http.put(f"/Users/{user}", json={**without, "roles": None}))
    assert await directory.roles(user) == ["requester"]
    told(await directory.http.put(f"/Users/{user}", json={**without, f"{USER}:roles": [{"value": "dispatcher"}]}))
    assert await directory.roles(user) == ["dispatcher"]
    told(await directory.http.put(f"/Users/{user}", json={**without, f"{USER}:roles": []}))
    assert await directory.roles(user) == []


@pytest.mark.parametrize(
    "operations",
    [
        [{"op": "replace", "value": {"active": False, "groups": []}}],
        [{"op": "replace", "value": {f"{USER}:Groups": [], "active": False}}],
        [{"op": "Add", "path": "groups", "value": []}, {"op": "Replace", "path": "active", "value": "False"}],
        [{"op": "replace", "path": "active", "value": False}, {"op": "remove", "path": f"{USER}:groups[value pr]"}],
    ],
)
async def test_groups_in_a_user_keep_nobody_in(directory: Grouped, operations: list[dict[str, Any]]) -> None:
    user = await directory.someone()
    group = await directory.group("requester")
    done(await directory.change(group, add(user)))
    assert told(await directory.patch(user, *operations))["active"] is False
    assert await directory.roles(user) == ["requester"]


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_role_that_a_group_takes_meanwhile_is_not_given_back(
    directory: Grouped, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """Access ends all the same, whoever was faster."""
    user = await directory.someone()
    group = await directory.group("requester")
    done(await directory.change(group, add(user)))
    ended, taken = provisioning._ended, False

    async def meanwhile(*args: Any) -> provisioning.PersonInDirectory:
        nonlocal taken
        first, taken = not taken, True
        if first and when == "before":
            done(await directory.change(group, *take(user)))
        person = await ended(*args)
        if first and when == "after":
            done(await directory.change(group, *take(user)))
        return person

    monkeypatch.setattr(provisioning, "_ended", meanwhile)
    left = {"op": "replace", "value": {"active": False, "title": "Infirmière"}}
    assert told(await directory.patch(user, left))["active"] is False
    assert taken
    assert await directory.roles(user) == []
    assert told(await directory.http.get(f"/Users/{user}"))["title"] == "Infirmière"


async def test_a_provider_who_held_requests_comes_again(system: System) -> None:
    """By an entry that speaks of no roles: a group may give one."""
    async with directory_of(system) as near:
        there = Grouped(near.system, near.id, near.http)
        specialist = await add_person(system, f"again_{uuid4().hex[:8]}", system.clinics["near"], Role.PROVIDER)
        user, said = str(specialist.account.id), somebody(userName=specialist.account.username)
        told(await there.patch(user, {"op": "replace", "path": "externalId", "value": said["externalId"]}))
        request_id = await submitted(system)
        ok(await system.dispatcher.post(f"/requests/{request_id}/assign", {"provider_id": specialist.id}))
        assert (await there.http.delete(f"/Users/{user}")).status_code == 204
        del said["roles"]
        again = told(await there.http.post("/Users", json=said), 201)
        assert (again["id"], again["active"], again.get("roles")) == (user, True, None)


async def test_who_was_told_of_the_account_is_not_told_again(system: System, directory: Grouped) -> None:
    """Whoever gave the first role; but who comes again is."""
    user = await directory.someone()
    account = await account_of(system, user)
    ok(await directory.boss.http.patch(f"/api/v1/accounts/{user}", json={"roles": ["requester"]}))
    assert await letters_of(system, account, LetterKind.PROVISIONED) == 1
    requesters, dispatchers = await directory.group("requester"), await directory.group("dispatcher")
    done(await directory.change(requesters, *take(user)))
    done(await directory.change(dispatchers, add(user)))
    assert await letters_of(system, account, LetterKind.PROVISIONED) == 1
    assert (await directory.http.delete(f"/Users/{user}")).status_code == 204
    again = somebody(userName=account.username, externalId=account.external_id)
    del again["roles"]
    assert told(await directory.http.post("/Users", json=again), 201)["id"] == user
    assert await letters_of(system, account, LetterKind.PROVISIONED) == 1, "there is nothing to come in for yet"
    done(await directory.change(requesters, add(user)))
    assert await letters_of(system, account, LetterKind.PROVISIONED) == 2


async def test_who_came_in_by_a_provider_of_identities_is_not_told_again(system: System, directory: Grouped) -> None:
    """Though they have no password, and the letter is forgotten."""
    user = await directory.someone()
    account = await account_of(system, user)
    requesters = await directory.group("requester")
    done(await directory.change(requesters, add(user)))
    async with system.services.database.session() as session:
        await session.execute(delete(AccountLetter).where(AccountLetter.account_id == account.id))
        await people.note_use(session, account.id, datetime.now(UTC))
    done(await directory.change(requesters, *take(user)))
    done(await directory.change(requesters, add(user)))
    assert await letters_of(system, account, LetterKind.PROVISIONED) == 0


async def test_what_cannot_be_followed_for_one_is_done_for_the_others(
    system: System, directory: Grouped, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the change stands, is answered so, and its letters go."""
    users = [await directory.someone() for _ in range(3)]
    followed = []

    async def follow(_services: object, account_id: UUID, _by: object) -> None:
        followed.append(str(account_id))
        raise OSError("away")

    monkeypatch.setattr(shut_holders, "follow", follow)
    done(await directory.change(await directory.group("requester"), add(*users)))
    assert sorted(followed) == sorted(users)
    addresses = [(await account_of(system, user)).email for user in users]
    await eventually(lambda: all(len(system.post_office.kept_for(address)) == 1 for address in addresses))


async def test_versions(directory: Grouped) -> None:
    user = await directory.someone()
    group = await directory.group("requester")
    seen = (await directory.http.get(f"/Groups/{group}")).headers["etag"]
    assert (await directory.http.get(f"/Groups/{group}", headers={"If-None-Match": seen})).status_code == 304
    done(await directory.change(group, add(user), headers={"If-Match": seen}))
    refused(await directory.change(group, *take(user), headers={"If-Match": seen}), 412)
    refused(await directory.change(group, *take(user), headers={"If-Match": 'W/"no version of ours"'}), 412)
    assert user in await directory.members(group)
    now = (await directory.http.get(f"/Groups/{group}")).headers["etag"]
    done(await directory.change(group, add(user), headers={"If-Match": now}))
    assert (await directory.http.get(f"/Groups/{group}")).headers["etag"] == now, "nothing was new"


async def test_two_at_once_lose_nothing(directory: Grouped) -> None:
    users = [await directory.someone() for _ in range(6)]
    group = await directory.group("dispatcher")
    for answer in await asyncio.gather(*(directory.change(group, add(user)) for user in users)):
        done(answer)
    assert set(users) <= await directory.members(group)
    await asyncio.gather(*(directory.change(group, *take(user)) for user in users[:3]))
    assert set(users) & await directory.members(group) == set(users[3:])
    whole = told(await directory.http.get(f"/Users/{users[0]}"))
    without = {name: value for name, value in whole.items() if name not in ("roles", "groups", "meta")}
    both = await asyncio.gather(
        directory.change(group, add(users[0])), directory.http.put(f"/Users/{users[0]}", json=without)
    )
    assert all(answer.is_success for answer in both)
    assert await directory.roles(users[0]) == ["dispatcher"]


async def test_all_of_it_or_nothing(system: System, directory: Grouped) -> None:
    """With who is in the way, each with why; nobody else is changed, and no letter goes."""
    user, other = await directory.someone(), await directory.someone()
    group = await directory.group("requester")
    stranger, far = str(uuid4()), str(system.far_requester.account.id)
    for unknown in (stranger, far, str(system.operator.account.id), str(directory.id)):
        answer = await directory.change(group, add(user), add(unknown))
        refused(answer, 400, "invalidValue")
        assert unknown in answer.json()["detail"]
        refused(await directory.put(group, members=named(user, unknown)), 400, "invalidValue")
        done(await directory.change(group, *take(unknown)))
    assert await directory.roles(user) == []
    boss = await add_person(system, f"boss_{uuid4().hex[:8]}", directory.clinic, Role.CLINIC_ADMINISTRATOR)
    answer = await directory.change(group, add(user, other), add(str(boss.account.id)))
    refused(answer, 403)
    assert boss.account.username in answer.json()["detail"]
    assert (await directory.roles(user), await directory.roles(other)) == ([], [])
    assert await letters_of(system, await account_of(system, user), LetterKind.PROVISIONED) == 0
    left = await directory.someone()
    assert (await directory.http.delete(f"/Users/{left}")).status_code == 204
    refused(await directory.change(group, add(left)), 400, "invalidValue")


async def test_one_call_moves_some_people(directory: Grouped) -> None:
    many = [str(uuid4()) for _ in range(MOST_MEMBERS + 1)]
    group = await directory.group("requester")
    answer = await directory.change(group, add(*many))
    refused(answer, 400, "invalidValue")
    assert not any(one in answer.json()["detail"] for one in many), "nobody was looked for"
    fewer = await directory.change(group, add(*many[1:]))
    assert any(one in fewer.json()["detail"] for one in many[1:])


async def test_an_administrator_stays_where_a_whole_list_leaves_them_out(system: System, directory: Grouped) -> None:
    roles = (Role.CLINIC_ADMINISTRATOR, Role.REQUESTER)
    boss = await add_person(system, f"boss_{uuid4().hex[:8]}", directory.clinic, *roles)
    user, one = await directory.someone(), str(boss.account.id)
    group = await directory.group("requester")
    said = told(await directory.put(group, members=named(user)))
    assert {member["value"] for member in said["members"]} == {user, one}
    done(await directory.change(group, {"op": "replace", "path": "members", "value": named(user)}))
    done(await directory.change(group, {"op": "remove", "path": "members"}))
    assert await directory.members(group) == {one}
    refused(await directory.change(group, *take(one)), 403)
    refused(await directory.change(group, {"op": "Remove", "path": "members", "value": [{"value": one}]}), 403)
    done(await directory.change(group, add(one)))
    assert (await boss.get("/me")).status_code == 200


async def test_a_provider_who_holds_requests_keeps_the_role_and_can_be_locked(
    system: System, directory: Grouped
) -> None:
    async with directory_of(system) as near:
        there = Grouped(near.system, near.id, near.http)
        group = await there.group("provider")
        specialist = await add_person(system, f"holds_{uuid4().hex[:8]}", system.clinics["near"], Role.PROVIDER)
        user = str(specialist.account.id)
        request_id = await submitted(system)
        ok(await system.dispatcher.post(f"/requests/{request_id}/assign", {"provider_id": specialist.id}))
        answer = await there.change(group, *take(user))
        refused(answer, 409)
        assert specialist.account.username in answer.json()["detail"]
        assert (await specialist.get("/me")).json()["roles"] == ["provider"]
        told(await there.patch(user, {"op": "replace", "path": "active", "value": False}))
        done(await there.change(group, *take(user)))
        assert await there.roles(user) == []


async def test_a_group_gives_nobody_a_signature(system: System, directory: Grouped) -> None:
    """Who joins the providers comes in anew, by a link and an administrator's code."""
    person = await add_person(system, f"signs_{uuid4().hex[:8]}", directory.clinic, Role.REQUESTER)
    assert (await person.get("/me")).status_code == 200
    await no_asks(system)
    done(await directory.change(await directory.group("provider"), add(str(person.account.id))))
    assert (await person.get("/me")).status_code == 401
    account = await account_of(system, str(person.account.id))
    assert (sorted(account.roles), account.has_password) == (["provider", "requester"], False)
    assert await letters_of(system, account, LetterKind.PROVISIONED) == 1


async def test_groups_of_another_clinic_are_none(directory: Grouped, system: System) -> None:
    async with grouped(system) as other:
        theirs = await other.group("requester")
        user = await directory.someone()
        for answer in (
            await directory.http.get(f"/Groups/{theirs}"),
            await directory.change(theirs, add(user)),
            await directory.http.put(f"/Groups/{theirs}", json={"schemas": [GROUP], "members": []}),
            await directory.http.delete(f"/Groups/{theirs}"),
            await directory.http.get("/Groups/x"),
        ):
            refused(answer, 404)
    async with directory_of(system, "requests:read") as reads:
        refused(await reads.http.get("/Groups"), 403)
        refused(await reads.http.patch(f"/Groups/{theirs}", json={}), 403)


@pytest.mark.parametrize(
    "operation",
    [
        {},
        {"op": "move", "path": "members"},
        {"op": "add", "path": "members", "value": "x"},
        {"op": "add", "path": "members", "value": [{"value": None}]},
        {"op": "add", "path": "members", "value": [{"display": "x"}]},
        {"op": "add", "path": "members", "value": [{"value": "a\0b"}]},
        {"op": "add", "path": "members", "value": [[[[]]]]},
        {"op": "add", "path": "members", "value": [{"value": {"value": []}}]},
        {"op": "replace", "path": "members.value", "value": "x"},
        {"op": "replace", "path": "displayName", "value": "relais-provider"},
        {"op": "remove", "path": "displayName"},
        {"op": "replace", "path": "id", "value": "x"},
        {"op": "remove"},
        {"op": "remove", "path": "members[value eq 1]"},
        {"op": "remove", "path": 'members[display co "a"]'},
        {"op": "remove", "path": "members["},
        {"op": "remove", "path": "members\ud800"},
        {"op": "remove", "path": 7},
        {"op": "remove", "path": "x" * 3_000},
        {"op": "add", "value": {"members": [{"value": "\ud800"}]}},
        {"op": "add", "path": 'members[value eq "5b4a5f3e-9c50-4a52-9a0a-3b4b5b1f1f4f"]', "value": {}},
    ],
)
async def test_what_is_no_change_of_a_group_is_refused_as_scim_does(
    directory: Grouped, operation: dict[str, Any]
) -> None:
    user = await directory.someone()
    group = await directory.group("requester")
    answer = await directory.change(group, add(user), operation)
    said = told(answer, 400)
    assert said["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
    assert await directory.roles(user) == []


async def test_what_is_too_much_is_refused(directory: Grouped) -> None:
    group = await directory.group("requester")
    strangers = [str(uuid4()) for _ in range(10_001)]
    refused(await directory.change(group, add(*strangers)), 400, "invalidValue")
    refused(await directory.change(group, add(*strangers[1:])), 400, "invalidValue")
    refused(await directory.put(group, members=named(*strangers[1:])), 400, "invalidValue")
    refused(await directory.change(group, *[add(strangers[0])] * 1_001), 400, "invalidValue")
    done(await directory.change(group, {"op": "remove", "path": "members", "value": named(*strangers[1:])}))
    for body in (b"", b"[]", b"{", b"[" * 100_000, b'{"schemas": 1}', b'{"schemas": ["\\ud800"], "members": 1}'):
        for answer in (
            await directory.http.patch(f"/Groups/{group}", content=body),
            await directory.http.put(f"/Groups/{group}", content=body),
            await directory.http.post("/Groups", content=body),
        ):
            assert told(answer, 400)["detail"]


async def test_people_and_groups_are_found_at_once(directory: Grouped) -> None:
    user = await directory.someone()
    name = told(await directory.http.get(f"/Users/{user}"))["userName"]
    searched: dict[str, Any] = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"]}
    searched["filter"] = f'userName eq "{name}" or displayName sw "RELAIS-"'
    listed = told(await directory.http.post("/.search", json=searched))
    assert [one["meta"]["resourceType"] for one in listed["Resources"]] == ["User", "Group", "Group", "Group"]
    of_groups = told(await directory.http.post("/Groups/.search", json={**searched, "filter": "externalId pr"}))
    assert of_groups["totalResults"] == 0
    page: dict[str, str | int] = {"sortBy": "displayName", "sortOrder": "descending", "count": 1, "startIndex": 2}
    sorted_ = told(await directory.http.get("/Groups", params=page))
    assert [one["displayName"] for one in sorted_["Resources"]] == ["relais-provider"]
    refused(await directory.http.get("/Groups", params={"filter": "displayName eq"}), 400, "invalidFilter")
