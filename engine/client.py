"""How Relais connects to Temporal: one client per process, with everything that enters Temporal encrypted."""

import dataclasses
from datetime import timedelta

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes
from temporalio.envconfig import ClientConfig
from temporalio.plugin import SimplePlugin
from temporalio.service import RetryConfig

from engine.encryption import EncryptionCodec, EncryptionError, KeyRing
from settings import Settings


class EngineError(Exception):
    """The Temporal server can't be reached, or has not the namespace; the text says where it was looked for."""


def key_ring(settings: Settings) -> KeyRing:
    """The key ring of the settings; EncryptionError when there is none or it can't be read."""
    if settings.encryption_keys is None:
        raise EncryptionError("RELAIS_ENCRYPTION_KEYS is not set: make a key with `relais new-key`")
    return KeyRing.parse(settings.encryption_keys.get_secret_value())


def data_converter(ring: KeyRing) -> DataConverter:
    """Pydantic models as JSON, sealed by the codec; the texts of errors as well."""
    return dataclasses.replace(
        pydantic_data_converter,
        payload_codec=EncryptionCodec(ring),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )


def plugin(ring: KeyRing) -> SimplePlugin:
    """What a client, its workers and a replayer have in common."""
    return SimplePlugin("relais", data_converter=data_converter(ring))


async def connect(settings: Settings, *, gives_up_after: timedelta = timedelta(seconds=10)) -> Client:
    """A client by Temporal's own environment configuration (``TEMPORAL_*``) and the key ring of the settings.

    A call that finds no server is tried again by the client itself, for as long as `gives_up_after`. Raises EngineError when no
    server answers, and EncryptionError when there is no key ring.
    """
    config = ClientConfig.load_client_connect_config()
    ring = key_ring(settings)
    retries = RetryConfig(max_elapsed_time_millis=int(gives_up_after.total_seconds() * 1000))
    try:
        return await Client.connect(**config, plugins=[plugin(ring)], retry_config=retries)
    except RuntimeError as error:
        address = config.get("target_host", "localhost:7233")
        raise EngineError(f"No Temporal server answers at {address}: start it, or set TEMPORAL_ADDRESS.") from error
