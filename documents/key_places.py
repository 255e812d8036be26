"""Which keys the settings name, and how a process tells another where they are."""

import os
from pathlib import Path

from pydantic import TypeAdapter

from documents.key_folder import KeyFolder
from documents.key_token import KeyToken
from domain.model import DISCREET
from settings import Settings, SettingsError

KeyPlace = KeyFolder | KeyToken

_JSON: TypeAdapter[KeyPlace] = TypeAdapter(KeyPlace, config=DISCREET)


def told(place: KeyPlace) -> str:
    """The place, with the secret that opens it: for a socket, never for a disk."""
    return _JSON.dump_json(place).decode()


def heard(text: str) -> KeyPlace:
    """What was `told`."""
    return _JSON.validate_json(text)


def key_place(settings: Settings) -> KeyPlace:
    """Where the settings say that the keys are. Raises SettingsError when they don't say enough."""
    if settings.authority_secret is None:  # of which the audit's key is made, wherever the others are
        raise SettingsError(
            "RELAIS_AUTHORITY_SECRET is not set: choose a long random text and keep it as long as the keys"
        )
    if settings.pkcs11_module is not None:
        return _token(settings, settings.pkcs11_module)
    return KeyFolder(settings.authority_path.absolute(), settings.authority_secret.get_secret_value().encode())


def _token(settings: Settings, module: Path) -> KeyToken:
    if not (settings.pkcs11_token or settings.pkcs11_serial):
        raise SettingsError(
            "RELAIS_PKCS11_TOKEN and RELAIS_PKCS11_SERIAL are not set: name the token by its label or number"
        )
    return KeyToken(
        module=module,
        pin=_pin(settings),
        label=settings.pkcs11_token,
        serial=settings.pkcs11_serial,
        environment={name: os.environ[name] for name in settings.pkcs11_environment if name in os.environ},
    )


def _pin(settings: Settings) -> str:
    if settings.pkcs11_pin is not None:
        return settings.pkcs11_pin.get_secret_value()
    if settings.pkcs11_pin_file is None:
        raise SettingsError("RELAIS_PKCS11_PIN_FILE is not set: name the file that holds the token's PIN")
    try:
        pin = settings.pkcs11_pin_file.read_text().strip()
    except (OSError, UnicodeError) as error:
        raise SettingsError(f"RELAIS_PKCS11_PIN_FILE can't be read ({type(error).__name__})") from None
    if not pin:
        raise SettingsError("RELAIS_PKCS11_PIN_FILE is empty")
    return pin
