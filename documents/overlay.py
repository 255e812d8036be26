"""The marks on a photo as a drawing that lies over it (SVG), each with its number in the list beside it."""

from collections.abc import Iterable, Iterator
from math import hypot

from domain.marks import MarkKind, Point, length_in_pixels

_COLOURS = (("#000000", 2.2), ("#ffd500", 1.0))
"""Each line is drawn twice, so that it stands out from light and from dark: its colour, and how many times its width."""

_Place = tuple[float, float]


def overlay(marks: Iterable[tuple[MarkKind, Point, Point]], width: int, height: int) -> str:
    """The drawing for a photo of that size: it has the same shape. Each mark is its kind, its start and its end."""
    thin = max(width, height) / 300
    shapes = "".join(_mark(number, mark, width, height, thin) for number, mark in enumerate(marks, 1))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'fill="none" stroke-linecap="round" stroke-linejoin="round">{shapes}</svg>'
    )


def _mark(number: int, mark: tuple[MarkKind, Point, Point], width: int, height: int, thin: float) -> str:
    kind, start, end = mark
    start_at, end_at = _at(start, width, height), _at(end, width, height)
    if kind is MarkKind.CIRCLE:
        radius = length_in_pixels(start, end, width, height)
        shape = f'<circle cx="{start_at[0]:.1f}" cy="{start_at[1]:.1f}" r="{radius:.1f}"'
        at = (start_at[0], start_at[1] - radius)
    else:
        lines = [(start_at, end_at), *_ends(kind, start_at, end_at, thin)]
        path = "".join(f"M{a[0]:.1f} {a[1]:.1f}L{b[0]:.1f} {b[1]:.1f}" for a, b in lines)
        shape, at = f'<path d="{path}"', start_at
    drawn = "".join(f'{shape} stroke="{colour}" stroke-width="{thin * times:.2f}"/>' for colour, times in _COLOURS)
    return drawn + _number(number, at, width, height, thin)


def _at(point: Point, width: int, height: int) -> _Place:
    return point.x * width, point.y * height


def _ends(kind: MarkKind, start: _Place, end: _Place, thin: float) -> Iterator[tuple[_Place, _Place]]:
    """The head of an arrow; the strokes across both ends of a measured line."""
    length = hypot(end[0] - start[0], end[1] - start[1]) or 1.0
    across, down = (end[0] - start[0]) / length, (end[1] - start[1]) / length

    def aside(at: _Place, back: float, side: float) -> _Place:
        return at[0] - (back * across + side * down) * thin, at[1] - (back * down - side * across) * thin

    if kind is MarkKind.ARROW:
        yield from ((end, aside(end, 7, side)) for side in (4, -4))
    else:
        yield from ((aside(at, 0, 4), aside(at, 0, -4)) for at in (start, end))


def _number(number: int, at: _Place, width: int, height: int, thin: float) -> str:
    size = thin * 9
    x, y = min(at[0] + thin * 3, width - size), max(size, min(at[1] - thin * 3, height - thin))
    text = f'x="{x:.1f}" y="{y:.1f}" font-family="Source Sans 3" font-weight="600" font-size="{size:.1f}"'
    under = f'<text {text} stroke="#000000" stroke-width="{thin * 2:.1f}">{number}</text>'
    return f'{under}<text {text} fill="#ffd500">{number}</text>'
