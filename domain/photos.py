"""When a photo is probably of no use to whoever must judge it. A warning is advice: it never stops a request.

Most requests that specialists refuse are refused for their photos. So the requester hears of it while the patient is still there.
"""

from collections.abc import Hashable, Iterable, Sequence
from typing import Annotated, Literal, TypeVar

from pydantic import Field, StringConstraints

from domain.model import COMPOSED, ONE_LINE, Frozen, is_unset

Named = TypeVar("Named", bound=Hashable)

MIN_EDGE = 600
"""The shortest edge, in pixels, from which details can be told apart, unless the offering's slot says otherwise."""

MIN_SHARPNESS = 10.0
"""Below this, a photo is blurred. The measure is `media.photos.sharpness_of`.

Photographs in focus have 300 to 5,600 (telephones, cameras) and 19 to 204 (fundus cameras, whose subject is soft); the same
ones blurred over 1 % of their longest edge, where lines run together, have less than 10. A picture of one colour has 0 and
counts as blurred: nothing can be seen on it.
"""

PhotoWarning = Literal["too_small", "blurred", "incomplete", "repeated"]


MAX_CAPTION = 200
"""Characters of a caption."""

Caption = Annotated[str, StringConstraints(strip_whitespace=True, max_length=MAX_CAPTION), COMPOSED, ONE_LINE]
"""What is seen on a photo or video, or where on the body, in one line; empty for nothing."""

PhotoView = Literal["", "overview", "close_up"]
"""From how near a photo was taken; empty where nobody has said so."""


class Description(Frozen):
    """What is said of a photo or video by who sends it."""

    caption: Caption = Field("", exclude_if=is_unset, examples=["Avant-bras gauche"])
    view: PhotoView = Field("", exclude_if=is_unset, description="An overview or a close-up; empty for neither.")


UNDESCRIBED = Description()
"""Nothing is said."""


def photo_warnings(
    width: int, height: int, sharpness: float | None, min_edge: int = MIN_EDGE, *, is_incomplete: bool = False
) -> tuple[PhotoWarning, ...]:
    """What speaks against a photo of that size (upright, in pixels) and sharpness (None: not measured).

    `is_incomplete`: a part of it was lost with the end of its file.
    """
    warnings: list[PhotoWarning] = []
    if min(width, height) < min_edge:
        warnings.append("too_small")
    if sharpness is not None and sharpness < MIN_SHARPNESS:
        warnings.append("blurred")
    if is_incomplete:
        warnings.append("incomplete")
    return tuple(warnings)


def repeated(photos: Iterable[tuple[Named, Sequence[str]]]) -> dict[Named, Named]:
    """Which of these photos show what an earlier one shows, and which one that is.

    Each comes with its marks: digests of its bytes and of its pixels. Two that have one in common show the same.
    """
    first: dict[str, Named] = {}
    same: dict[Named, Named] = {}
    for photo, marks in photos:
        earlier = next((first[mark] for mark in marks if mark in first), None)
        if earlier is not None:
            same[photo] = earlier
        for mark in marks:
            first.setdefault(mark, photo if earlier is None else earlier)
    return same
