"""How what enters Temporal is written: Pydantic models as JSON, sealed by the codec; the texts of errors as well."""

import copy
from dataclasses import dataclass
from typing import Self

from temporalio.contrib.pydantic import PydanticJSONPlainPayloadConverter
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    DefaultPayloadConverter,
    JSONPlainPayloadConverter,
    SerializationContext,
)

from engine.encryption import EncryptionCodec
from key_ring import KeyRing

_JSON = PydanticJSONPlainPayloadConverter()
"""One for the process: it keeps what it has learned of each type, which every run of a workflow would learn anew."""


class PayloadConverter(CompositePayloadConverter):
    """As Temporal's for Pydantic."""

    def __init__(self) -> None:
        super().__init__(
            *(
                _JSON if isinstance(converter, JSONPlainPayloadConverter) else converter
                for converter in DefaultPayloadConverter.default_encoding_payload_converters
            )
        )


@dataclass(frozen=True)
class SealingConverter(DataConverter):
    """A data converter of which only the codec asks for which workflow it is, so that no more than the codec is made anew."""

    def with_context(self, context: SerializationContext) -> Self:
        """The same converter for one workflow."""
        if not isinstance(self.payload_codec, EncryptionCodec):
            return self
        bound = copy.copy(self)
        object.__setattr__(bound, "payload_codec", self.payload_codec.with_context(context))
        return bound


def data_converter(ring: KeyRing) -> DataConverter:
    """The converter that seals with the keys of `ring`."""
    return SealingConverter(
        payload_converter_class=PayloadConverter,
        payload_codec=EncryptionCodec(ring),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )
