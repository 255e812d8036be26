"""A time-stamping service (RFC 3161) of another hand: OpenSSL's, behind a few lines of HTTP on this machine."""

import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from documents.stamp_service import StampService

CONFIGURATION = """
oid_section = oids
[oids]
policy = 1.2.3.4.1
[tsa]
default_tsa = own
[own]
serial = {folder}/serial
crypto_device = builtin
signer_cert = {folder}/stamps.pem
certs = {folder}/root.pem
signer_key = {folder}/stamps.key
signer_digest = sha256
default_policy = policy
digests = sha256, sha512
accuracy = secs:1
ess_cert_id_chain = no
ess_cert_id_alg = sha256
"""


@dataclass
class OpensslService:
    """The service, as of a folder with its keys. `spoil` changes what it answers, `status` how; `asked` are the questions."""

    folder: Path
    url: str = ""
    status: int = 200
    spoil: Callable[[bytes], bytes] | None = None
    asked: list[tuple[bytes, str | None]] = field(default_factory=list)

    @property
    def root(self) -> bytes:
        """The certificate (DER) of who vouches for it."""
        return x509.load_pem_x509_certificate((self.folder / "root.pem").read_bytes()).public_bytes(Encoding.DER)

    def service(self, *trusted: bytes, **more: object) -> StampService:
        """As settings would name it."""
        return StampService(self.url, trusted or (self.root,), near=True, **more)  # type: ignore[arg-type]

    def stamp(self, question: bytes) -> bytes:
        """OpenSSL's answer."""
        (self.folder / "question.tsq").write_bytes(question)
        self.openssl("ts", "-reply", "-config", "tsa.cnf", "-queryfile", "question.tsq", "-out", "answer.tsr")
        return (self.folder / "answer.tsr").read_bytes()

    def openssl(self, *arguments: str) -> None:
        """Run it in the folder."""
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)


def made(folder: Path, *, life: timedelta = timedelta(days=30)) -> OpensslService:
    """A service with new keys. Its certificate ends after `life`, which may be over."""
    folder.mkdir(parents=True)
    (folder / "tsa.cnf").write_text(CONFIGURATION.format(folder=folder))
    (folder / "serial").write_text("01")
    root, stamps = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    own = _certificate("Horloge", root, root, timedelta(days=60), x509.BasicConstraints(ca=True, path_length=None))
    issued = _certificate("Horloge 1", stamps, root, life, x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]))
    (folder / "stamps.key").write_bytes(
        stamps.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    )
    for name, certificate in (("root", own), ("stamps", issued)):
        (folder / f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    return OpensslService(folder)


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: ec.EllipticCurvePrivateKey,
    life: timedelta,
    what_for: x509.ExtensionType,
) -> x509.Certificate:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Horloge")]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=10))
        .not_valid_after(now + life)
        .add_extension(what_for, critical=True)
        .sign(issuer, hashes.SHA256())
    )


@contextmanager
def served(own: OpensslService) -> Iterator[OpensslService]:
    """While the block lasts, it answers on a port of this machine."""

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            question = self.rfile.read(int(self.headers["Content-Length"]))
            own.asked.append((question, self.headers.get("Authorization")))
            answer = own.stamp(question) if own.status == 200 else b""
            answer = own.spoil(answer) if own.spoil else answer
            self.send_response(own.status)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    own.url = f"http://127.0.0.1:{server.server_address[1]}/stamp"
    try:
        yield own
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
