"""Calls to whoever may be there: nowhere inside, to the address that was checked, and never for longer or more than was said."""

import asyncio
import gzip
import ssl
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpcore
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from outgoing.calls import Answer, CallError, Calls
from outgoing.destinations import ForbiddenError, IPAddress, Walls, destination_of, is_public
from tests.webhooks.receiver import Behaviour, open_receiver, read_call, served

PATIENCE = timedelta(seconds=0.5)
MOST_READ = 4_096
A_DAY = timedelta(days=1)

INSIDE = (
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.254", "127.0.0.1", "127.9.9.9", "169.254.169.254"),  # noqa: S104
    *("172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.168.1.1", "198.18.0.1", "198.51.100.7"),
    *("203.0.113.9", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "168.63.129.16", "192.88.99.1"),
    *("::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "64:ff9b::7f00:1"),
    *("64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "2002:a00:1::", "3fff::1", "fc00::1"),
    *("fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1"),
)
OUTSIDE = ("8.8.8.8", "1.1.1.1", "100.128.0.1", "172.32.0.1", "192.167.1.1", "2606:4700:4700::1111", "2a00:1450::1")


class Recorder(httpcore.AsyncNetworkBackend):
    """Connects nowhere, and remembers where it should have."""

    def __init__(self) -> None:
        self.tried: list[tuple[str, int]] = []

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        self.tried.append((host, port))
        raise httpcore.ConnectError


def calls_to(*answers: Sequence[str], recorder: Recorder, near: bool = False) -> tuple[Calls, list[str]]:
    """Calls where names have these addresses, one answer of the resolver after the other; and the names that were asked for."""
    left, asked = list(answers), list[str]()

    async def resolve(host: str, port: int) -> Sequence[IPAddress]:
        asked.append(host)
        return [ip_address(one) for one in left.pop(0)]

    calls = Calls(Walls(near=near), patience=PATIENCE, most_read=MOST_READ, resolve=resolve, connect=recorder)
    return calls, asked


async def refused(calls: Calls, url: str) -> str:
    with pytest.raises(CallError) as error:
        await calls.post(url, b"{}", {})
    return error.value.code


# Where


async def test_nothing_goes_inside_whatever_a_name_says() -> None:
    recorder = Recorder()
    for address in INSIDE:
        assert not is_public(ip_address(address)), address
        for found in ([address], ["8.8.8.8", address]):  # one that is forbidden is enough
            calls, _ = calls_to(found, recorder=recorder)
            assert await refused(calls, "https://rebound.example.ca/") == "address_not_public", address
        literal = f"[{address}]" if ":" in address else address
        with pytest.raises(ForbiddenError) as error:
            destination_of(f"https://{literal}/", Walls())
        assert error.value.code == "address_not_public"
    assert recorder.tried == []


async def test_ways_of_writing_an_address_inside_lead_nowhere() -> None:
    """The system's own resolver reads these as 127.0.0.1, where it reads them at all."""
    recorder = Recorder()
    calls = Calls(Walls(), patience=timedelta(seconds=30), most_read=MOST_READ, connect=recorder)
    for host in ("2130706433", "0x7f000001", "0177.0.0.1", "127.1", "localhost", "localhost.localdomain"):
        assert await refused(calls, f"https://{host}/") in ("address_not_public", "no_such_name"), host
    assert recorder.tried == []


async def test_the_call_goes_to_the_address_that_was_checked() -> None:
    """A name that says something else a moment later is not asked again."""
    recorder = Recorder()
    calls, asked = calls_to(OUTSIDE, ["127.0.0.1"], recorder=recorder)
    assert await refused(calls, "https://rebound.example.ca/") == "not_connected"
    assert recorder.tried == [(address, 443) for address in OUTSIDE]
    assert asked == ["rebound.example.ca"]


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://records.example.ca/", "not_https"),
        ("ftp://records.example.ca/", "not_https"),
        ("file:///etc/passwd", "not_a_web_address"),
        ("//records.example.ca/", "not_https"),
        ("https:///x", "not_a_web_address"),
        ("https://user:secret@records.example.ca/", "not_a_web_address"),
        ("https://@records.example.ca/", "not_a_web_address"),
        ("https://records.example.ca/#part", "not_a_web_address"),
        ("https://records.example.ca:22/", "port_not_allowed"),
        ("https://records.example.ca:99999/", "not_a_web_address"),
        ("https://records.example.ca:x/", "not_a_web_address"),
        ("https://records.example.ca/\r\nX-Injected: 1", "not_a_web_address"),
        ("https://records.example.ca/a b", "not_a_web_address"),
        ("https://records.example.ca\\@127.0.0.1/", "not_a_web_address"),
        ("https://dossier-é.example.ca/", "not_a_web_address"),
        ("https://[::1%25lo]/", "address_not_public"),
        ("https://records.example.ca/" + "x" * 2_000, "not_a_web_address"),
        ("http://127.0.0.1/", "not_https"),
        ("", "not_a_web_address"),
    ],
)
def test_addresses_that_are_none(url: str, code: str) -> None:
    with pytest.raises(ForbiddenError) as error:
        destination_of(url, Walls())
    assert error.value.code == code


def test_addresses_that_are_some() -> None:
    found = destination_of("https://records.example.ca/relais?to=1", Walls())
    assert (found.host, found.port, found.target) == ("records.example.ca", 443, "/relais?to=1")
    assert destination_of("https://records.example.ca:8443", Walls(frozenset({8443}))).port == 8443
    near = destination_of("http://localhost:8080/x", Walls(near=True))
    assert (near.scheme, near.port) == ("http", 8080)


async def test_without_tls_a_call_stays_on_this_machine() -> None:
    recorder = Recorder()
    calls, _ = calls_to(["8.8.8.8"], recorder=recorder, near=True)
    assert await refused(calls, "http://localhost/") == "address_not_public"
    assert recorder.tried == []


# What whoever is there may do


async def test_what_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with open_receiver() as receiver:
        receiver.headers = "Set-Cookie: a=b\r\nRetry-After: 7\r\n"
        calls = Calls(Walls(near=True), patience=timedelta(seconds=30), most_read=MOST_READ)
        for _ in range(2):
            answer = await calls.post(receiver.url, b'{"a": 1}', {"User-Agent": "Relais"})
        assert answer == Answer(200, "7", b"{}")
        call = receiver.calls[-1]
        assert (call.line, call.body) == ("POST /relais HTTP/1.1", b'{"a": 1}')
        assert call.headers == {
            "user-agent": "Relais",
            "host": f"127.0.0.1:{receiver.port}",
            "connection": "close",
            "accept-encoding": "identity",
            "content-length": "8",
        }


async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_call(reader)
    await reader.read()  # until the caller goes


async def drips(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_call(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nX: ")
    while True:  # until the caller goes
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.01)


async def drips_informations(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_call(reader)
    while True:
        writer.write(b"HTTP/1.1 102 Processing\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.01)


async def closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_call(reader)


async def closes_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def speaks_something_else(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail.example.ca ESMTP\r\n")
    await reader.read()


async def breaks_chunks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_call(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\x00garbage")


async def has_endless_headers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_call(reader)
    writer.write(b"HTTP/1.1 200 OK\r\n")
    for number in range(1_000_000):
        writer.write(b"X-%d: y\r\n" % number)
        await writer.drain()


@pytest.mark.parametrize("behaviour", [never, drips, drips_informations])
async def test_nobody_is_waited_for_longer_than_was_said(behaviour: Behaviour) -> None:
    async with served(behaviour) as port:
        calls = Calls(Walls(near=True), patience=PATIENCE, most_read=MOST_READ)
        assert await refused(calls, f"http://127.0.0.1:{port}/") == "timeout"


@pytest.mark.parametrize(
    "behaviour", [closes, closes_at_once, speaks_something_else, breaks_chunks, has_endless_headers]
)
async def test_what_is_no_answer(behaviour: Behaviour) -> None:
    async with served(behaviour) as port:
        calls = Calls(Walls(near=True), patience=PATIENCE, most_read=MOST_READ)
        assert await refused(calls, f"http://127.0.0.1:{port}/") in ("not_http", "broken_off", "timeout")


async def test_of_an_endless_answer_only_the_beginning_is_read() -> None:
    sent = 0

    async def sends_much(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await read_call(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n")
        for _ in range(1_600):
            writer.write(bytes(65_536))
            await writer.drain()
            sent += 65_536

    async with served(sends_much) as port:
        calls = Calls(Walls(near=True), patience=timedelta(seconds=30), most_read=MOST_READ)
        answer = await calls.post(f"http://127.0.0.1:{port}/", b"", {})
    assert (answer.status, len(answer.start)) == (200, MOST_READ)
    assert sent < 50_000_000  # what fits between the two sockets


async def test_nothing_is_unpacked_and_nobody_is_followed() -> None:
    packed = gzip.compress(bytes(10_000_000))

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        call = await read_call(reader)
        if "bomb" in call.line:
            head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n"
            writer.write(head.encode() + packed)
        else:
            writer.write(b"HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")

    async with served(talk) as port:
        calls = Calls(Walls(near=True), patience=timedelta(seconds=30), most_read=MOST_READ)
        bomb = await calls.post(f"http://127.0.0.1:{port}/bomb", b"", {})
        moved = await calls.post(f"http://127.0.0.1:{port}/moved", b"", {})
    assert bomb.start == packed[:MOST_READ]
    assert (moved.status, moved.start) == (301, b"")


# TLS


@pytest.fixture
def certified(tmp_path: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's side for `records.example.ca`, and who believes it."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "records.example.ca")])
    certificate = (
        x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - A_DAY)
        .not_valid_after(now + A_DAY)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("records.example.ca")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "server.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(path)
    trusting = ssl.create_default_context()
    trusting.load_verify_locations(path)
    return server, trusting


async def test_a_name_stays_in_tls_and_is_believed_only_with_its_certificate(
    certified: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    server, trusting = certified
    named, hosts = list[str | None](), list[str]()
    server.sni_callback = lambda _socket, name, _context: named.append(name)

    async def here(host: str, port: int) -> Sequence[IPAddress]:
        return [ip_address("127.0.0.1")]

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hosts.append((await read_call(reader)).headers["host"])
        writer.write(b"HTTP/1.1 204 Fine\r\n\r\n")

    async with served(talk, server) as port:
        walls = Walls(frozenset({port}), near=True)
        how: dict[str, Any] = {"patience": timedelta(seconds=30), "most_read": MOST_READ, "resolve": here}
        believing = Calls(walls, trusted=trusting, **how)
        assert (await believing.post(f"https://records.example.ca:{port}/", b"", {})).status == 204
        assert await refused(believing, f"https://other.example.ca:{port}/") == "tls"
        assert await refused(Calls(walls, **how), f"https://records.example.ca:{port}/") == "tls"
    assert named == ["records.example.ca", "other.example.ca", "records.example.ca"]
    assert hosts == [f"records.example.ca:{port}"]
