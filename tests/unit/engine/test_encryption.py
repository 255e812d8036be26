"""The codec: what it seals opens again, only with the key and only in the workflow that it was sealed for."""

import asyncio
import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.common.v1 import Payload
from temporalio.converter import ActivitySerializationContext, WorkflowSerializationContext

from engine.encryption import ENCODING, EncryptionCodec
from key_ring import EncryptionError, KeyRing

keys = st.binary(min_size=32, max_size=32)
key_ids = st.text(st.characters(codec="ascii", exclude_characters=":, \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x00"), min_size=1)
payloads = st.builds(
    lambda metadata, data: Payload(metadata=metadata, data=data),
    st.dictionaries(st.text(max_size=20), st.binary(max_size=50), max_size=3).filter(
        lambda metadata: metadata.get("encoding") != ENCODING and "messageType" not in metadata
    ),
    st.binary(max_size=2000),
)
workflow_ids = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


def bound(ring: KeyRing, workflow_id: str) -> EncryptionCodec:
    return EncryptionCodec(ring).with_context(WorkflowSerializationContext("default", workflow_id))


def seal(codec: EncryptionCodec, *opened: Payload) -> list[Payload]:
    return asyncio.run(codec.encode(opened))


def unseal(codec: EncryptionCodec, *sealed: Payload) -> list[Payload]:
    return asyncio.run(codec.decode(sealed))


@given(st.lists(payloads, max_size=4), keys, workflow_ids)
def test_what_was_sealed_opens_again(opened: list[Payload], key: bytes, workflow_id: str) -> None:
    codec = bound(KeyRing({"k": key}), workflow_id)
    assert unseal(codec, *seal(codec, *opened)) == opened


@given(payloads.filter(lambda payload: len(payload.data) > 8), keys, workflow_ids)
def test_nothing_of_it_shows_and_nothing_repeats(payload: Payload, key: bytes, workflow_id: str) -> None:
    codec = bound(KeyRing({"k": key}), workflow_id)
    one, other = seal(codec, payload, payload)
    assert payload.data not in one.data
    assert one.data != other.data
    assert dict(one.metadata) == {
        "encoding": ENCODING,
        "relais-key-id": b"k",
        "relais-bound-to": workflow_id.encode(),
    }


@given(payloads, keys, workflow_ids, workflow_ids)
def test_in_another_workflow_it_stays_sealed(payload: Payload, key: bytes, here: str, there: str) -> None:
    ring = KeyRing({"k": key})
    [sealed] = seal(bound(ring, here), payload)
    moved = Payload.FromString(sealed.SerializeToString())
    moved.metadata["relais-bound-to"] = there.encode()
    scheduled = there.startswith(f"{here}-")
    if here and there and here != there and not scheduled:
        assert unseal(bound(ring, there), sealed) == [sealed]
    if here != there:
        assert unseal(bound(ring, there), moved) == [moved]


@given(payloads, keys, st.data())
def test_what_is_damaged_stays_sealed(payload: Payload, key: bytes, data: st.DataObject) -> None:
    codec = bound(KeyRing({"k": key}), "request-1")
    [sealed] = seal(codec, payload)
    position = data.draw(st.integers(0, len(sealed.data) - 1))
    change = data.draw(st.integers(1, 255))
    damaged = bytearray(sealed.data)
    damaged[position] ^= change
    broken = Payload(metadata=dict(sealed.metadata), data=bytes(damaged))
    cut = Payload(metadata=dict(sealed.metadata), data=sealed.data[:position])
    assert unseal(codec, broken, cut) == [broken, cut]


@given(payloads, keys, keys)
def test_old_keys_open_what_the_new_one_did_not_seal(payload: Payload, old: bytes, new: bytes) -> None:
    before, after = KeyRing({"old": old}), KeyRing({"new": new, "old": old})
    [sealed] = seal(bound(before, "w"), payload)
    assert unseal(bound(after, "w"), sealed) == [payload]
    [sealed_anew] = seal(bound(after, "w"), payload)
    assert sealed_anew.metadata["relais-key-id"] == b"new"
    with pytest.raises(EncryptionError, match="no key 'new'"):
        unseal(bound(before, "w"), sealed_anew)


@given(payloads)
def test_what_was_never_sealed_goes_through(payload: Payload) -> None:
    assert unseal(bound(KeyRing({"k": bytes(32)}), "w"), payload) == [payload]


@given(st.binary(max_size=100), st.binary(max_size=40), st.binary(max_size=40))
def test_foreign_bytes_that_say_that_they_are_sealed_never_open(data: bytes, key_id: bytes, bound_to: bytes) -> None:
    codec = bound(KeyRing({"k": bytes(32)}), "w")
    foreign = Payload(metadata={"encoding": ENCODING, "relais-key-id": key_id, "relais-bound-to": bound_to}, data=data)
    if key_id == b"k" or bound_to not in (b"", b"w"):
        assert unseal(codec, foreign) == [foreign]
    else:
        with pytest.raises(EncryptionError, match="no key"):
            unseal(codec, foreign)


def test_an_activity_is_bound_to_its_workflow() -> None:
    ring = KeyRing({"k": bytes(32)})
    context = ActivitySerializationContext(
        namespace="default",
        workflow_id="request-1",
        workflow_type="Teleconsultation",
        activity_type="record_event",
        activity_id="1",
        activity_task_queue="relais",
        is_local=True,
    )
    payload = Payload(data=b"x")
    [sealed] = seal(EncryptionCodec(ring).with_context(context), payload)
    assert unseal(bound(ring, "request-1"), sealed) == [payload]
    assert unseal(bound(ring, "request-2"), sealed) == [sealed]


# The key ring


@given(st.dictionaries(key_ids, keys, min_size=1, max_size=4))
def test_a_ring_reads_what_it_should(ring: dict[str, bytes]) -> None:
    text = ",".join(f" {name}:{base64.b64encode(key).decode()}" for name, key in ring.items())
    parsed = KeyRing.parse(text)
    assert dict(parsed.keys) == ring
    assert parsed.current == next(iter(ring))


KEY = base64.b64encode(bytes(32)).decode()


@pytest.mark.parametrize(
    "text",
    [
        *("", ",", ":", KEY, f":{KEY}", "k:", "k:short", "k:!!!!", f"k:{KEY},", f"k:{KEY},k:{KEY}"),
        f"k:{base64.b64encode(bytes(31)).decode()}",
        f"k:{base64.b64encode(bytes(33)).decode()}",
    ],
)
def test_a_ring_that_is_wrong_is_refused_without_telling_the_key(text: str) -> None:
    with pytest.raises(EncryptionError) as refused:
        KeyRing.parse(text)
    assert KEY not in str(refused.value)


def test_a_ring_does_not_show_its_keys() -> None:
    assert "0000" not in repr(KeyRing({"k": b"0" * 32}))
