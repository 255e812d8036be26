"""Public keys of clinics' systems, as they are registered: which are taken, and how one is made of what is kept."""

import json
from collections.abc import Mapping
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from records.models import Json
from use_cases.problems import FieldFault, Problem

RSA_BITS_AT_LEAST = 2048
MAX_KID = 200
MAX_MEMBER = 3_000

_KEPT = {"RSA": ("kty", "n", "e"), "EC": ("kty", "crv", "x", "y")}
"""The members of a public key, by its kind; nothing else of what was sent is kept."""


def pasted(text: str) -> Json:
    """The JSON Web Key in a text; what is no JSON object is a key without anything, which `registered` refuses."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def registered(said: object) -> tuple[str, str, dict[str, Any]]:
    """The name (kid), the algorithm and the public key of what somebody wants to register: a JWK.

    RSA keys sign by RS384, those on the curve P-384 by ES384. Raises Problem `invalid_input`.
    """
    if not isinstance(said, dict):
        raise _fault("not_a_public_key")
    if {"d", "p", "q", "dp", "dq", "qi", "k"} & said.keys():
        raise _fault("private_key")
    kid, kind = said.get("kid"), said.get("kty")
    if not isinstance(kid, str) or not 0 < len(kid) <= MAX_KID or not kid.isprintable():
        raise _fault("not_a_public_key")
    if not isinstance(kind, str) or kind not in _KEPT:
        raise _fault("not_a_public_key")
    public = {
        name: said[name] for name in _KEPT[kind] if isinstance(said.get(name), str) and len(said[name]) <= MAX_MEMBER
    }
    algorithm = _algorithm(public)
    if said.get("alg", algorithm) != algorithm or said.get("use", "sig") != "sig":
        raise _fault("not_a_public_key")
    return kid, algorithm, public


def _algorithm(public: Mapping[str, str]) -> str:
    try:
        key = key_of(public)
    except (JoseError, ValueError, TypeError, KeyError):
        raise _fault("not_a_public_key") from None
    if isinstance(key, RSAKey):
        if key.raw_value.key_size < RSA_BITS_AT_LEAST:
            raise _fault("not_a_public_key")
        return "RS384"
    if key.curve_name != "P-384":
        raise _fault("not_a_public_key")
    return "ES384"


def key_of(public: Mapping[str, Any]) -> RSAKey | ECKey:
    """The key that is kept so. Raises JoseError, ValueError, TypeError or KeyError for what is none."""
    return RSAKey.import_key(dict(public)) if public["kty"] == "RSA" else ECKey.import_key(dict(public))


def _fault(code: str) -> Problem:
    return Problem("invalid_input", [FieldFault("jwk", code)])
