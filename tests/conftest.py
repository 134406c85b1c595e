"""Fixtures: every database test runs on SQLite and PostgreSQL; what cannot start is said loudly."""

import atexit
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from sqlmodel import SQLModel
from starlette.testclient import TestClient

import market.schema  # noqa: F401  # every table must be known
from market.app import Front
from market.cli.program import thaw, uncollected
from market.house import House
from market.settings import Settings
from storage import migrations
from storage.database import Database
from storage.kernel.ids import new_id
from storage.objects import LocalObjects
from storage.settings import StorageSettings
from storage.unit import Store
from tests import servers
from tests.resuming import same_keys

hypothesis_settings.register_profile(
    "house", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
hypothesis_settings.load_profile("house")

_FIND: dict[str, Callable[[], object]] = {
    "postgres": lambda: os.environ.get("SHUGANG_TEST_POSTGRES_URL") or servers.find_postgres(),
    "s3": servers.find_weed,
    "redis": servers.find_redis,
    "browser": servers.find_chromium,
    "curl": lambda: servers.find_program("curl"),
    "wget": lambda: servers.find_program("wget"),
    "faketime": servers.find_faketime,
    "disk": servers.find_small_disk,
}
_missing: dict[str, str] = {}


def _required() -> set[str]:
    return {name for name in os.environ.get("SHUGANG_TEST_REQUIRE", "").split(",") if name}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out tests whose server this machine lacks, or refuse to run when CI requires it."""
    wanted = {name for item in items for name in _FIND if item.get_closest_marker(name)}
    for name in sorted(wanted):
        try:
            _FIND[name]()
        except servers.CannotStart as reason:
            _missing[name] = str(reason)
    if short := _required() & set(_missing):
        pytest.exit(f"required but not here: {', '.join(sorted(short))} ({_missing})", returncode=4)
    left_out = [item for item in items if any(item.get_closest_marker(name) for name in _missing)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Let nobody look for garbage in what is imported: there is none."""
    atexit.register(thaw)
    with uncollected():
        return (yield)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for name, reason in _missing.items():
        terminalreporter.section(f"NOT TESTED: {name}", sep="!", red=True, bold=True)
        terminalreporter.line(reason)
    said = (
        line for report in terminalreporter.getreports("passed") for line in report.capstdout.splitlines()
    )
    caught = Counter(line.partition(" → caught")[0] for line in said if " → caught" in line)
    if caught:
        terminalreporter.section("laws that caught what was planted against them")
    for law, planted in caught.items():
        terminalreporter.line(f"{law} → caught" + (f" ({planted} planted)" if planted > 1 else ""))


@pytest.fixture(scope="session")
def postgres_url() -> str:
    return servers.start_postgres()


@pytest.fixture(scope="session")
def s3_url() -> str:
    return servers.start_s3()


@pytest.fixture(scope="session")
def redis_url() -> str:
    return servers.start_redis()


@pytest.fixture(scope="session")
def chromium() -> str:
    return servers.find_chromium()


def _build(database: Database) -> None:
    migrations.upgrade(database)
    SQLModel.metadata.create_all(database.engine)
    database.close()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "market.db"
    _build(Database(f"sqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres_url: str) -> str:
    """A migrated database that each test copies."""
    name = new_id("template")
    servers.administer(postgres_url, f'CREATE DATABASE "{name}"')
    _build(Database(_with_database(postgres_url, name)))
    return name


def _with_database(url: str, name: str) -> str:
    return sa.make_url(url).set(database=name).render_as_string(hide_password=False)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A fresh, migrated database: once SQLite, once PostgreSQL."""
    if request.param == "sqlite":
        path = tmp_path / "market.db"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    server: str = request.getfixturevalue("postgres_url")
    template: str = request.getfixturevalue("postgres_template")
    name = new_id("test")
    servers.administer(server, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    yield _with_database(server, name)
    servers.administer(server, f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture
def store(database: Database) -> Store:
    return Store(database)


@pytest.fixture
def objects(tmp_path: Path) -> LocalObjects:
    return LocalObjects(tmp_path / "objects")


@pytest.fixture
def house(database_url: str, tmp_path: Path) -> Iterator[House]:
    """A house on a fresh database, without its background pulse: tests beat it themselves."""
    settings = Settings(
        data_dir=same_keys(tmp_path / "var"),
        storage=StorageSettings(
            database_url=database_url, objects_url=f"file://{tmp_path}/objects", pool_size=4
        ),
    )
    house = House(settings)
    yield house
    house.close()


@pytest.fixture
def client(house: House) -> Iterator[TestClient]:
    """A caller without a session."""
    with TestClient(Front(house, background=False), base_url="http://127.0.0.1:8000") as client:
        yield client
