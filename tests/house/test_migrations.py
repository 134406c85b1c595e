"""Law: migrations up equal the tables, down leaves nothing, on both databases."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from storage import migrations
from storage.database import Database
from storage.kernel.ids import new_id
from tests import servers
from tests.house.tree import caught


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        database = Database(f"sqlite:///{tmp_path}/empty.db")
    else:
        server: str = request.getfixturevalue("postgres_url")
        name = new_id("empty")
        servers.administer(server, f'CREATE DATABASE "{name}"')
        database = Database(sa.make_url(server).set(database=name).render_as_string(hide_password=False))
    yield database
    database.close()


def test_up_equals_the_tables_and_down_leaves_nothing(empty: Database) -> None:
    assert not migrations.is_current(empty)
    migrations.upgrade(empty)
    assert migrations.is_current(empty)
    assert migrations.differences(empty) == []
    migrations.upgrade(empty)  # again is harmless
    migrations.downgrade(empty)
    assert left_behind(empty) == []


def left_behind(database: Database) -> list[str]:
    with database.reading() as connection:
        return sorted(set(sa.inspect(connection).get_table_names()) - {"alembic_version"})


@pytest.mark.parametrize(
    "planted",
    [
        "CREATE TABLE stray (id INTEGER)",
        "DROP TABLE revoked_token",
        "ALTER TABLE credential ADD COLUMN stray INTEGER",
        "ALTER TABLE usage_hour DROP COLUMN events",
        "DROP INDEX ix_usage_hour_product_id",
    ],
)
def test_a_schema_of_its_own_is_caught(database: Database, planted: str) -> None:
    assert migrations.differences(database) == []
    with database.writing() as connection:
        connection.exec_driver_sql(planted)
    caught("migrations up equal the tables", [str(each) for each in migrations.differences(database)])


def test_a_table_left_behind_is_caught(empty: Database) -> None:
    migrations.upgrade(empty)
    with empty.writing() as connection:
        connection.exec_driver_sql("CREATE TABLE stray (id INTEGER)")
    migrations.downgrade(empty)
    caught("migrations down leave nothing", left_behind(empty))
