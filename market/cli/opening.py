"""From the environment to a house, with every way this can fail said as a refusal."""

from collections.abc import Iterator
from contextlib import contextmanager

from market.cli.environment import refusing, require_schema, settings
from market.house import House


@contextmanager
def opened(*, schema: bool = True) -> Iterator[House]:
    """The house of the environment, closed afterwards.

    schema: whether the database must be at this program's revision. Raises SettingsRefused, SchemaOutdated.
    """
    with refusing():
        house = House(settings())
    try:
        if schema:
            require_schema(house.store)
        yield house
    finally:
        house.close()
