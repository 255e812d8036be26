"""What people draw on a photo, in a layer over it: where it stands, and how long a line is by a ruler in the picture."""

from enum import StrEnum
from math import hypot
from typing import Annotated

from pydantic import Field

from domain.model import Frozen

Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False, strict=True, examples=[0.25])]
"""Of the width, or of the height, of the upright picture."""

LEAST_LINE = 1.0
"""Pixels of the photo between the ends of what is drawn."""

LEAST_RULER = 10.0
"""Pixels of the photo from which on a line along a ruler can be measured by."""


class MarkKind(StrEnum):
    """An arrow from `start` to its head at `end`; a circle around `start` through `end`; a measured line between both."""

    ARROW = "arrow"
    CIRCLE = "circle"
    MEASURE = "measure"


class Point(Frozen):
    """A place on the upright picture, from its upper left corner: `x` to the right, `y` down."""

    x: Fraction
    y: Fraction


class Calibration(Frozen):
    """A line along a ruler in the picture, and how long it is."""

    start: Point
    end: Point
    length_mm: Annotated[float, Field(ge=0.1, le=1_000, allow_inf_nan=False, strict=True, examples=[10])]


def length_in_pixels(start: Point, end: Point, width: int, height: int) -> float:
    """Between two places on a photo of that size, in its pixels."""
    return hypot((end.x - start.x) * width, (end.y - start.y) * height)


def measured_mm(start: Point, end: Point, calibration: Calibration, width: int, height: int) -> float:
    """How long a line on a photo of that size is, in millimetres to a tenth, if all of it lies as far away as the ruler."""
    ruler = length_in_pixels(calibration.start, calibration.end, width, height)
    return round(calibration.length_mm * length_in_pixels(start, end, width, height) / ruler, 1)
