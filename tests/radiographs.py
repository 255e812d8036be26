"""DICOM files for tests, written by pydicom: with a patient in every corner of them but the picture."""

import io
from collections.abc import Sequence
from typing import Any

from PIL import Image, ImageDraw
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

PATIENT, NUMBER, BORN = "Untel^Patient", "RAMQ-UNTP-8001", "19800102"
SECRETS = (PATIENT, NUMBER, BORN, "Untel", "Clinique du Nord", "19990303", "OVERLAYS")
"""What may stand nowhere but in the file itself."""

SIZE = (60, 40)
"""Columns and rows."""


def wedge(size: tuple[int, int] = SIZE) -> list[int]:
    """Numbers that rise from 0 in the left column to 1,000 in the right one."""
    return [1_000 * column // (size[0] - 1) for _ in range(size[1]) for column in range(size[0])]


def words(numbers: Sequence[int], width: int = 2, order: Any = "little") -> bytes:
    """Numbers as bytes; those below zero as their complement of two."""
    return b"".join((number % 256**width).to_bytes(width, order) for number in numbers)


def painted(size: tuple[int, int] = SIZE) -> Image.Image:
    """A red half and a blue half."""
    picture = Image.new("RGB", size, (220, 20, 20))
    ImageDraw.Draw(picture).rectangle((size[0] // 2, 0, *size), fill=(20, 20, 220))
    return picture


def radiograph(pixels: bytes | None = None, encoding: UID = ExplicitVRLittleEndian, **said: Any) -> bytes:
    """A file of 16 bits of grey, signed by nothing, with `pixels` (a wedge if none) and whatever else is `said`.

    What is None is left out. Pixels that are compressed are put into fragments.
    """
    width, height = said.pop("size", SIZE)
    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = encoding
    header.file_meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.7")
    header.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    for name, value in _PERSONAL.items():
        setattr(header, name, value)
    header.add_new(0x60000010, "US", 8)
    header.add_new(0x60000022, "LO", "OVERLAYS")
    header.add_new(0x60003000, "OW", b"OVERLAYS")
    shown = {
        **{"Rows": height, "Columns": width, "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2"},
        **{"BitsAllocated": 16, "BitsStored": 16, "HighBit": 15, "PixelRepresentation": 0},
    }
    for name, value in (shown | said).items():
        if value is not None:
            setattr(header, name, value)
    content = words(wedge((width, height))) if pixels is None else pixels
    header.PixelData = encapsulate([content]) if encoding.is_encapsulated else content + bytes(len(content) % 2)
    header["PixelData"].VR = "OB" if encoding.is_encapsulated else "OW"
    made = io.BytesIO()
    header.save_as(made, enforce_file_format=True)
    return made.getvalue()


EIGHT_BITS = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}
IN_COLOUR = {"SamplesPerPixel": 3, "PlanarConfiguration": 0, "PhotometricInterpretation": "RGB", **EIGHT_BITS}

_PERSONAL = {
    "SOPClassUID": UID("1.2.840.10008.5.1.4.1.1.7"),
    "SOPInstanceUID": generate_uid(),
    "PatientName": PATIENT,
    "PatientID": NUMBER,
    "PatientBirthDate": BORN,
    "InstitutionName": "Clinique du Nord",
    "StudyDate": "19990303",
    "Modality": "OT",
}


def item(**said: Any) -> Dataset:
    """One item of a sequence."""
    made = Dataset()
    for name, value in said.items():
        setattr(made, name, value)
    return made


def numbers_table(numbers: Sequence[int], first: int = 0, bits: int = 16) -> Dataset:
    """A table that stands for numbers from `first` on."""
    made = Dataset()
    made.add_new(0x00283002, "US", [len(numbers) % 65_536, first, bits])
    made.add_new(0x00283006, "US", list(numbers))
    return made
