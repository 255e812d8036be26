"""What is drawn on a photo: its length by a ruler, and its drawing for paper."""

import xml.etree.ElementTree as ET

import pytest

from documents.overlay import overlay
from domain.marks import Calibration, MarkKind, Point, measured_mm

MIDDLE, RIGHT, BELOW = Point(x=0.5, y=0.5), Point(x=0.75, y=0.5), Point(x=0.5, y=0.75)
CORNER = Point(x=1.0, y=0.0)


@pytest.mark.parametrize(
    ("end", "millimetres"),
    [(RIGHT, 10.0), (BELOW, 5.0), (Point(x=0.75, y=0.75), 11.2), (MIDDLE, 0.0)],
)
def test_a_photo_is_measured_in_its_pixels(end: Point, millimetres: float) -> None:
    """Of 800 × 400 pixels, a quarter of the width is 200 and a quarter of the height 100."""
    ruler = Calibration(start=MIDDLE, end=RIGHT, length_mm=10)
    assert measured_mm(MIDDLE, end, ruler, 800, 400) == millimetres


def test_the_drawing_has_the_shape_of_the_photo_and_a_number_for_each_mark() -> None:
    marks = [(MarkKind.ARROW, MIDDLE, RIGHT), (MarkKind.CIRCLE, MIDDLE, BELOW), (MarkKind.MEASURE, MIDDLE, CORNER)]
    drawing = ET.fromstring(overlay(marks, 800, 400))  # noqa: S314 - ours
    assert drawing.get("viewBox") == "0 0 800 400"
    shapes = [shape for shape in drawing if shape.tag.endswith(("path", "circle"))]
    assert len(shapes) == 2 * len(marks)  # once dark, once light
    circle = next(shape for shape in shapes if shape.tag.endswith("circle"))
    assert (circle.get("cx"), circle.get("cy"), circle.get("r")) == ("400.0", "200.0", "100.0")
    arrow = shapes[0].get("d") or ""
    assert arrow.startswith("M400.0 200.0L600.0 200.0M600.0 200.0L")
    numbers = [shape.text for shape in drawing if shape.tag.endswith("text")]
    assert numbers == ["1", "1", "2", "2", "3", "3"]
