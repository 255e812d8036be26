"""Every text that people write × every way to lose it: somebody holds each cell."""

from tests.portal.typed_table import HOLDERS, table


def test_every_cell_is_held() -> None:
    cells = {(form, way): letters for form, row in table() for way, letters in row.items()}
    assert [cell for cell, letters in cells.items() if not letters] == []
    assert set("".join(cells.values())) == set(HOLDERS)
