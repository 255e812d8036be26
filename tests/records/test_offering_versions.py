"""The records keep every version of an offering that was in force, once, and take no second meaning for it."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from domain.offerings import ServiceOffering
from records.canonical import content_sha256
from records.database import Database
from records.models import OfferingVersion
from records.offering_versions import OfferingVersions
from tests.offerings import OfferingFile, offering_file
from use_cases.offering_files import OfferingError, keep_earlier, load_offerings, put_in_force

ANSWERED = ["question", "allergies", "depth", "dose"]


async def start(database: Database, file: OfferingFile) -> Mapping[str, ServiceOffering]:
    offerings = load_offerings(file.folder)
    async with database.session() as session:
        await put_in_force(session, file.folder, offerings, datetime.now(UTC))
    return offerings


async def kept(database: Database, code: str) -> list[OfferingVersion]:
    query = select(OfferingVersion).where(OfferingVersion.code == code).order_by(OfferingVersion.version)
    async with database.session() as session:
        return list(await session.scalars(query))


async def test_each_version_is_kept_once(database: Database, tmp_path: Path) -> None:
    file = offering_file(tmp_path)
    await asyncio.gather(*(start(database, file) for _ in range(5)))
    file.change(("version: 1", "version: 2"), ("Profondeur", "Degré"))
    offerings = await start(database, file)
    await start(database, file)
    one, two = await kept(database, file.code)
    assert (one.version, two.version) == (1, 2)
    assert one.since < two.since
    assert two.sha256 == content_sha256(two.content)
    assert ServiceOffering.model_validate(two.content) == offerings[file.code]
    assert one.content["form"][2]["label"]["fr"] == "Profondeur"


CHANGES = {
    "a label": (("Profondeur", "Degré"), 15, "form.depth.label.fr", "'Profondeur' here, not 'Degré'"),
    "a name": (("name: allergies", "name: allergy"), 11, "form.allergy.name", "'allergies' here, not 'allergy'"),
    "an option": (("value: first", "value: one"), 18, "form.depth.options.one.value", "'first' here, not 'one'"),
    "something more": (
        ("    kind: text\n", "    kind: text\n    required: true\n"),
        14,
        "form.allergies.required",
        "'False' here, not 'True'",
    ),
    "something less": (('    unit: { fr: "mg", en: "mg" }\n', ""), 20, "form.dose", "other content here, not nothing"),
    "a limit": (("    maximum: 5\n", "    maximum: 6\n"), 27, "attachments.photos.maximum", "'5' here, not '6'"),
    "the dispatch": (("manual", "automatic"), 5, "dispatch", "'manual' here, not 'automatic'"),
}


@pytest.mark.parametrize("name", CHANGES)
async def test_the_same_version_with_other_content_is_refused(database: Database, tmp_path: Path, name: str) -> None:
    file = offering_file(tmp_path)
    await start(database, file)
    change, line, where, told = CHANGES[name]
    file.change(change)
    with pytest.raises(OfferingError) as refused:
        await start(database, file)
    assert str(refused.value) == (
        f"{file.path}, line {line}: {where}: version 1 was in force with {told}, and a version never changes: "
        "raise `version`."
    )
    assert len(await kept(database, file.code)) == 1


async def test_how_a_file_is_written_is_no_change(database: Database, tmp_path: Path) -> None:
    file = offering_file(tmp_path)
    await start(database, file)
    file.change(
        ("    kind: text\n", "    required: false\n    kind: text # a remark\n"), ('"Profondeur"', "Profondeur")
    )
    await start(database, file)
    assert len(await kept(database, file.code)) == 1


async def test_a_file_may_go_back_to_a_known_version_and_not_to_a_new_lower_one(
    database: Database, tmp_path: Path
) -> None:
    file = offering_file(tmp_path)
    await start(database, file)
    first = file.path.read_text()
    file.change(("version: 1", "version: 3"), ("Profondeur", "Degré"))
    await start(database, file)
    file.path.write_text(first)
    assert (await start(database, file))[file.code].version == 1
    file.change(("version: 1", "version: 2"))
    with pytest.raises(OfferingError, match=r"line 2: version: version 3 was in force already.*raise `version` to 4"):
        await start(database, file)


async def test_an_earlier_version_is_kept_from_an_old_copy_of_its_file(database: Database, tmp_path: Path) -> None:
    file = offering_file(tmp_path)
    file.change(("version: 1", "version: 3"))
    await start(database, file)
    copy = tmp_path / "old" / f"{file.code}.yml"
    copy.parent.mkdir()

    async def add(before: str, after: str) -> ServiceOffering:
        copy.write_text(file.path.read_text().replace(before, after))
        async with database.session() as session:
            return await keep_earlier(session, copy, datetime.now(UTC))

    assert (await add("version: 3", "version: 2")).version == 2
    assert [row.version for row in await kept(database, file.code)] == [2, 3]
    assert (await add("version: 3", "version: 2")).version == 2, "the same again is as good"
    with pytest.raises(OfferingError, match=rf"{copy}, line 15: form.depth.label.fr: version 3 was in force"):
        await add("Profondeur", "Degré")
    with pytest.raises(OfferingError, match=rf"{copy}, line 2: version: only a version before the newest"):
        await add("version: 3", "version: 4")
    assert [row.version for row in await kept(database, file.code)] == [2, 3]


async def test_two_processes_with_different_files_of_one_new_version(database: Database, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    file = offering_file(tmp_path)
    other = OfferingFile(tmp_path / "other", file.code)
    other.path.write_text(file.path.read_text().replace("Profondeur", "Degré"))
    results = await asyncio.gather(start(database, file), start(database, other), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["OfferingError", "dict"]
    assert len(await kept(database, file.code)) == 1


async def test_a_version_that_nobody_kept_has_a_stand_in(database: Database, tmp_path: Path) -> None:
    file = offering_file(tmp_path)
    versions = OfferingVersions(await start(database, file))
    async with database.session() as session:
        known = await versions.version(session, file.code, 7)
        unknown = await versions.version(session, "astrology", 1)
    assert (known.version, known.title.fr) == (7, "Brûlures")
    assert [field.name for field in (*known.form, *known.report)] == [*ANSWERED, "findings"]
    assert (unknown.code, unknown.form, [field.label.fr for field in unknown.report]) == ("astrology", (), ["Réponse"])
