"""The migrations are one chain: what two people add at the same time can't both follow the same one."""

from collections import Counter

from alembic.script import ScriptDirectory

from records.schema import MIGRATIONS


def test_each_migration_follows_another_one() -> None:
    migrations = list(ScriptDirectory(str(MIGRATIONS.parent)).walk_revisions())
    followed = Counter(str(one.down_revision) for one in migrations)
    assert [revision for revision, count in followed.items() if count > 1] == []
    assert len(migrations) == len(list(MIGRATIONS.glob("[0-9]*.py")))
    assert {one.revision for one in migrations} >= followed.keys() - {"None"}
