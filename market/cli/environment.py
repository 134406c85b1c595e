"""The settings of the environment and what a start asks of the database, each failure said as a refusal."""

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import ValidationError

from market import logs
from market.cli.problems import SchemaOutdated, SettingsRefused
from market.settings import Settings
from metering.keys import Seal, load_ring
from metering.settings import MeteringSettings
from storage import migrations
from storage.database import open_database
from storage.kernel.problem import Fault
from storage.kernel.words import Words
from storage.unit import Store


def settings() -> Settings:
    """The settings of the environment. Raises SettingsRefused naming each variable."""
    try:
        return Settings()
    except ValidationError as error:
        faults = [
            Fault(
                "SHUGANG_" + "__".join(str(part) for part in item["loc"]).upper()
                if item["loc"]
                else "SHUGANG",
                item["type"],
                Words("不符合要求：", item["msg"]),
            )
            for item in error.errors()
        ]
        named = [{"field": f.field, "rule": f.rule, "message": f.words.both()} for f in faults]
        raise SettingsRefused(errors=named) from None


@contextmanager
def refusing() -> Iterator[None]:
    """What the parts of a house say of bad settings, as SettingsRefused."""
    try:
        yield
    except (ValueError, RuntimeError) as error:
        raise SettingsRefused(Words("设置无法使用：" + str(error), str(error))) from None


@contextmanager
def opened_store() -> Iterator[tuple[Store, Settings]]:
    """The store of the environment, without a house around it, closed afterwards.

    Raises SettingsRefused, SchemaOutdated.
    """
    logs.configure()
    with refusing():
        settled = settings().settled()
        database = open_database(settled.storage)
    try:
        store = Store(database)
        require_schema(store)
        yield store, settled
    finally:
        database.close()


def require_schema(store: Store) -> None:
    """Raise SchemaOutdated unless the database is at this program's revision."""
    if not migrations.is_current(store.database):
        raise SchemaOutdated


def require_keys(store: Store, metering: MeteringSettings) -> None:
    """Raise SettingsRefused when the token keys of this database were sealed with another master key."""
    with refusing(), store.view() as view:
        load_ring(view, Seal(metering))
