"""What a test begins with is made once in a process, by its own steps, and copied for whoever begins with the same."""

import atexit
from base64 import b64encode
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import copytree, rmtree
from tempfile import mkdtemp
from typing import Any, NamedTuple, TypeVar

import pysqlite3
import sqlalchemy as sa

from market.house import House
from storage.journal import Entry
from storage.kernel import clock
from storage.kernel.ids import new_id
from tests import servers

T = TypeVar("T")


class _Kept(NamedTuple):
    found: Any
    database: str  # a file, or the name of a database on the same server
    objects: Path


_kept: dict[tuple[object, ...], _Kept] = {}


def same_keys(data_dir: Path) -> Path:
    """A new data folder with the secrets that every copy was sealed with."""
    data_dir.mkdir()
    (data_dir / "secret.key").write_text("0" * 64)
    (data_dir / "master.key").write_text(b64encode(bytes(32)).decode())
    return data_dir


def entries(house: House) -> int:
    """How much has happened: every change is in the journal."""
    with house.store.view() as view:
        return int(view.session.execute(sa.select(sa.func.count()).select_from(Entry)).scalar_one())


def resumed(house: House, name: tuple[object, ...], make: Callable[[], T]) -> T:
    """What `make` makes of a house where nothing else has happened, and returns: for the second caller a copy.

    `name` tells all that it depends on besides the kind of database. A held clock makes everything anew.
    """
    if abs(clock.now() - datetime.now(UTC)) > timedelta(minutes=1):
        return make()
    name = (house.database.url.get_backend_name(), *name)
    if name not in _kept:
        found = make()
        _kept[name] = _keep(house, found)
        return found
    kept = _kept[name]
    if house.database.is_sqlite:
        _copy(kept.database, str(house.database.url.database))
    else:
        _replace(house, str(house.database.url.database), kept.database)
    copytree(kept.objects, _objects(house), dirs_exist_ok=True)
    found_before: T = kept.found
    return found_before


def _keep(house: House, found: object) -> _Kept:
    folder = Path(mkdtemp(prefix="shugang-kept-"))
    atexit.register(rmtree, folder, ignore_errors=True)
    copytree(_objects(house), folder / "objects")
    if house.database.is_sqlite:
        place = str(folder / "market.db")
        _copy(str(house.database.url.database), place)
    else:
        place = new_id("kept")
        _replace(house, place, str(house.database.url.database))
        atexit.register(servers.administer, _server(house), f'DROP DATABASE IF EXISTS "{place}"')
    return _Kept(found, place, folder / "objects")


def _objects(house: House) -> Path:
    return Path(str(house.settings.storage.objects_url).removeprefix("file://"))


def _copy(source: str, to: str) -> None:
    # The library the market uses: two of them in one process take the locks of a file from each other.
    with closing(pysqlite3.connect(source)) as there, closing(pysqlite3.connect(to)) as here:
        there.backup(here)


def _server(house: House) -> sa.URL:
    return house.database.url.set(database="postgres")


def _replace(house: House, name: str, template: str) -> None:
    """Make a database like another one, with which nobody is connected then."""
    house.database.close()  # a connection is made anew when it is needed
    servers.administer(
        _server(house),
        f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)',
        f'CREATE DATABASE "{name}" TEMPLATE "{template}"',
    )
