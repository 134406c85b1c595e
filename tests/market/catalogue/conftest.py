"""The catalogue's tests need the search table, which metadata does not know."""

import pytest

from market.catalogue.search import create_search
from storage.database import Database
from storage.unit import Store


@pytest.fixture
def store(database: Database) -> Store:
    with database.writing() as connection:
        create_search(connection)
    return Store(database)
