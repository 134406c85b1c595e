"""Migrations: up equals the tables, down leaves nothing, on both databases."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from storage import migrations
from storage.database import Database
from storage.kernel.ids import new_id


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        database = Database(f"sqlite:///{tmp_path}/empty.db")
    else:
        server: str = request.getfixturevalue("postgres_url")
        name = new_id("empty")
        engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(f'CREATE DATABASE "{name}"')
        engine.dispose()
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
    with empty.reading() as connection:
        left = set(sa.inspect(connection).get_table_names())
    assert left <= {"alembic_version"}
