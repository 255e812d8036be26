"""What is asked of a token (PKCS#11). Keys are made there, and never leave it.

Key pair and certificate have the same label (``relais:<name>``) and the same id. Two hosts that make a key of one name at the
same moment both make one: either is good, and from then on the one with the newest certificate counts.

The module of the token is foreign code that must not be asked by two threads at once, and that no fork survives. So each process
loads it for itself, at first use, and keeps one session; only the processes that sign, and the worker when it looks after its
authority, ever do.
"""

import hashlib
import os
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

import pkcs11
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key
from pkcs11 import Attribute, CertificateType, KeyType, Mechanism, MechanismFlag, ObjectClass, Session, TokenFlag
from pkcs11.exceptions import (
    NoSuchToken,
    PinIncorrect,
    PinInvalid,
    PinLenRange,
    PinLocked,
    PKCS11Error,
    UserAlreadyLoggedIn,
)
from pkcs11.util.ec import encode_ec_public_key, encode_ecdsa_signature, encode_named_curve_parameters

from documents.key_token import KeyToken
from documents.keys import ROOT, KeysAwayError, WrongSecretError
from settings import SettingsError

if TYPE_CHECKING:
    from pkcs11 import _pkcs11

_LABEL = "relais:"

_ONE_MORE_AND_IT_IS_SHUT = TokenFlag.USER_PIN_FINAL_TRY | TokenFlag.USER_PIN_LOCKED

_Answer = TypeVar("_Answer")
_Found = TypeVar("_Found", bound=Collection[Any])

_one_at_a_time = threading.RLock()
_sessions: dict[KeyToken, Session] = {}
"""Those of this process."""


class TokenKeys:
    """The keys of one token."""

    def __init__(self, token: KeyToken) -> None:
        self._token = token

    def __str__(self) -> str:
        return str(self._token)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Threads of this process only, see above."""
        with _one_at_a_time:
            yield

    def key(self, name: str) -> ec.EllipticCurvePrivateKey | None:
        """The one with the newest certificate; where there is none, any that was made and got none."""
        certificates = self._certificates(name)
        ids = [one for one, _ in certificates] + self._find(lambda session: _ids(session, name))
        found = (self._key(key_id) for key_id in ids)
        return next((key for key in found if key is not None), None)

    def make_key(self, name: str) -> ec.EllipticCurvePrivateKey:
        """Made in the token, which gives it to nobody."""
        key_id = os.urandom(16)
        self._ask(lambda session: _generate(session, name, key_id))
        made = self._key(key_id)
        if made is None:
            raise KeysAwayError(f"{self} does not keep what is made in it")
        return made

    def remove_key(self, name: str) -> None:
        """With its certificate."""
        self._ask(lambda session: _destroy(session, name))

    def certificate(self, name: str) -> x509.Certificate | None:
        """The newest of that name."""
        return next((certificate for _, certificate in self._certificates(name)), None)

    def keep_certificate(self, name: str, certificate: x509.Certificate) -> None:
        """Beside its key; older ones of the same key are removed."""
        self._ask(lambda session: _keep(session, name, certificate))

    def certificates(self) -> Iterator[tuple[str, x509.Certificate]]:
        """Those that Relais has made there."""
        names = self._find(_names)
        for name in sorted(names):
            if (certificate := self.certificate(name)) is not None:
                yield name, certificate

    def sign(self, key_id: bytes, digest: bytes) -> bytes:
        """The signature (DER) of a digest by the key of that id. Raises KeysAwayError when the token has none."""

        def signed(session: Session) -> bytes:
            key = session.get_key(object_class=ObjectClass.PRIVATE_KEY, key_type=KeyType.EC, id=key_id)
            return bytes(key.sign(digest, mechanism=Mechanism.ECDSA))  # type: ignore[attr-defined]

        return encode_ecdsa_signature(self._ask(signed))

    def _certificates(self, name: str) -> list[tuple[bytes, x509.Certificate]]:
        """The certificates of that name with the ids of their keys, the newest first."""
        found = self._find(lambda session: _certificates(session, name))
        return sorted(found, key=lambda one: (one[1].not_valid_before_utc, one[1].serial_number), reverse=True)

    def _key(self, key_id: bytes) -> "_TokenKey | None":
        public = self._ask(lambda session: _public_key(session, key_id))
        return None if public is None else _TokenKey(self, key_id, public)

    def _find(self, question: Callable[[Session], _Found]) -> _Found:
        """What the token has. That it has nothing is not believed of an old session that sees the root no more: to it a token
        that went and came back stays empty, and then a key would be made where there is one, or one that is revoked be kept.
        """
        with _one_at_a_time:
            is_old = self._token in _sessions
            found = self._ask(question)
            if found or not is_old or self._ask(lambda session: _certificates(session, ROOT)):
                return found
            self._close()
            return self._ask(question)

    def _ask(self, question: Callable[[Session], _Answer]) -> _Answer:
        """What the token answers. Where the session is an old one that does not work any more, a new one is asked."""
        with _one_at_a_time:
            session = _sessions.get(self._token)
            if session is not None:
                try:
                    return question(session)
                except PKCS11Error:
                    self._close()
            session = self._opened()
            try:
                return question(session)
            except PKCS11Error as error:
                self._close()
                raise KeysAwayError(f"{self} does not answer as it should ({type(error).__name__})") from None

    def _opened(self) -> Session:
        """A new session, with which this process is signed in. Raises KeysAwayError, WrongSecretError and SettingsError."""
        os.environ.update(self._token.environment)
        try:
            module = pkcs11.lib(str(self._token.module))
        except PKCS11Error as error:
            if type(error) is PKCS11Error:  # what the loader of libraries says; all else is the module's word
                raise SettingsError(f"RELAIS_PKCS11_MODULE: {self._token.module} can't be loaded") from None
            raise KeysAwayError(f"{self} is not there: the module does not start ({type(error).__name__})") from None
        try:
            session = self._signed_in(module)
        except (PinIncorrect, PinInvalid, PinLenRange, PinLocked) as error:
            raise WrongSecretError(f"{self} does not open with this PIN ({type(error).__name__})") from None
        except NoSuchToken:
            raise KeysAwayError(f"{self} is not there") from None
        except PKCS11Error as error:
            self._close()
            raise KeysAwayError(f"{self} is not there: it does not open ({type(error).__name__})") from None
        _sessions[self._token] = session
        return session

    def _signed_in(self, module: "_pkcs11.lib") -> Session:
        serial = None if self._token.serial is None else self._token.serial.encode()
        try:
            token = module.get_token(token_label=self._token.label, token_serial=serial)
        except PKCS11Error:  # it may have come, or another gone, since the module looked
            module.reinitialize()
            token = module.get_token(token_label=self._token.label, token_serial=serial)
        if token.flags & _ONE_MORE_AND_IT_IS_SHUT:
            raise WrongSecretError(f"{self} was given too many wrong PINs: sign in to it by hand once")
        try:
            return token.open(rw=True, user_pin=self._token.pin)
        except UserAlreadyLoggedIn:  # this process is, by another name of the token
            return token.open(rw=True)

    def _close(self) -> None:
        """Leave the module as if it had never been used: so it looks anew which tokens are there."""
        session = _sessions.pop(self._token, None)
        with suppress(PKCS11Error):
            if session is not None:
                session.close()
        with suppress(PKCS11Error):
            pkcs11.lib(str(self._token.module)).finalize()


class _TokenKey(ec.EllipticCurvePrivateKey):
    """A key that signs where it is. What would need the key itself can't be done with it."""

    def __init__(self, token: TokenKeys, key_id: bytes, public_key: ec.EllipticCurvePublicKey) -> None:
        self._token = token
        self._id = key_id
        self._public_key = public_key

    def sign(self, data: Any, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        """The signature of `data`, which is hashed here: all tokens can do the rest (CKM_ECDSA)."""
        algorithm = signature_algorithm.algorithm
        if not isinstance(algorithm, hashes.HashAlgorithm):
            raise TypeError("a token signs what is not hashed yet")
        return self._token.sign(self._id, hashlib.new(algorithm.name, data).digest())

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._public_key

    @property
    def curve(self) -> ec.EllipticCurve:
        return self._public_key.curve

    @property
    def key_size(self) -> int:
        return self._public_key.key_size

    def exchange(self, algorithm: ec.ECDH, peer_public_key: ec.EllipticCurvePublicKey) -> bytes:
        raise NotImplementedError

    def private_numbers(self) -> ec.EllipticCurvePrivateNumbers:
        raise NotImplementedError

    def private_bytes(self, *_: Any, **__: Any) -> bytes:
        raise NotImplementedError

    def __copy__(self) -> "_TokenKey":
        return self

    def __deepcopy__(self, memo: dict[Any, Any]) -> "_TokenKey":
        return self


# What is asked of a session


def _ids(session: Session, name: str) -> list[bytes]:
    """The ids of the private keys of that name."""
    wanted = {Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.LABEL: _LABEL + name}
    return [bytes(one[Attribute.ID]) for one in session.get_objects(wanted)]


def _public_key(session: Session, key_id: bytes) -> ec.EllipticCurvePublicKey | None:
    """The public key of that id, if its private key is there too."""
    pair = {
        kind: list(session.get_objects({Attribute.CLASS: kind, Attribute.ID: key_id}))
        for kind in (ObjectClass.PRIVATE_KEY, ObjectClass.PUBLIC_KEY)
    }
    if not all(pair.values()):
        return None
    public = load_der_public_key(encode_ec_public_key(pair[ObjectClass.PUBLIC_KEY][0]))  # type: ignore[arg-type]
    return public if isinstance(public, ec.EllipticCurvePublicKey) else None


def _generate(session: Session, name: str, key_id: bytes) -> None:
    curve = {Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")}
    session.create_domain_parameters(KeyType.EC, curve, local=True).generate_keypair(
        id=key_id,
        label=_LABEL + name,
        store=True,
        capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
        private_template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False},
    )


def _certificates(session: Session, name: str) -> list[tuple[bytes, x509.Certificate]]:
    """The certificates of that name, with the ids of their keys."""
    wanted = {Attribute.CLASS: ObjectClass.CERTIFICATE, Attribute.LABEL: _LABEL + name}
    return [
        (bytes(one[Attribute.ID]), x509.load_der_x509_certificate(bytes(one[Attribute.VALUE])))
        for one in session.get_objects(wanted)
    ]


def _names(session: Session) -> set[str]:
    """Under which there are certificates."""
    labels = (str(one[Attribute.LABEL]) for one in session.get_objects({Attribute.CLASS: ObjectClass.CERTIFICATE}))
    return {label.removeprefix(_LABEL) for label in labels if label.startswith(_LABEL)}


def _keep(session: Session, name: str, certificate: x509.Certificate) -> None:
    """The new one first: at no moment is there none."""
    label = _LABEL + name
    key_id = next(one for one in _ids(session, name) if _public_key(session, one) == certificate.public_key())
    of_the_key = {Attribute.CLASS: ObjectClass.CERTIFICATE, Attribute.LABEL: label, Attribute.ID: key_id}
    older = list(session.get_objects(of_the_key))
    session.create_object(
        {
            **of_the_key,
            Attribute.CERTIFICATE_TYPE: CertificateType.X_509,
            Attribute.TOKEN: True,
            Attribute.SUBJECT: certificate.subject.public_bytes(),
            Attribute.ISSUER: certificate.issuer.public_bytes(),
            Attribute.VALUE: certificate.public_bytes(Encoding.DER),
        }
    )
    for one in older:
        one.destroy()


def _destroy(session: Session, name: str) -> None:
    for one in list(session.get_objects({Attribute.LABEL: _LABEL + name})):
        one.destroy()
