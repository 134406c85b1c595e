"""A database with one product to sell by rows, licenses of several cuts, and what its books say afterwards."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pysqlite3
import sqlalchemy as sa

import market.schema  # noqa: F401  # every table must be known
from metering import actions
from storage import migrations
from storage.database import Database
from storage.kernel.ids import new_id
from storage.objects import LocalObjects
from storage.unit import Store
from tests.metering.shelf import SomePolicy, SomePrice, put_on_shelf

PRICE = SomePrice(call_fen=3, row_fen=2)
SLUG = "product-1"


@dataclass(frozen=True)
class Books:
    """What was recorded: rows by event id, and per license what gate, events and hours say."""

    events: dict[bytes, int]
    events_in_all: int
    sums: dict[str, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]]  # gate, events, hours
    limits: dict[str, tuple[int | None, ...]]  # calls, rows, bytes, fen


@dataclass
class World:
    """Where the gateways live. `url` is how the director reaches the database."""

    url: str
    folder: Path
    revoked: dict[str, int] = field(default_factory=dict)  # license: monotonic ns when the answer came
    seconds: list[float] = field(default_factory=list)  # how long each revocation under load took

    def __post_init__(self) -> None:
        database = Database(self.url)
        migrations.upgrade(database)
        self.store = Store(database)
        objects = LocalObjects(self.folder / "objects")
        serving = objects.put_file(_serving_file(self.folder / "serving.db"))
        files = {"serving": {"sha256": serving.sha256, "size": serving.size, "name": "serving.db"}}
        put_on_shelf(
            self.store,
            {
                "version": 1, "rows": 20, "columns": [{"name": "lot", "type": "integer"}],
                "query_columns": [], "files": files, "published_at": "2026-01-01",
            },
        )  # fmt: skip
        with self.store.unit("system:test") as unit:
            credential, self.secret = actions.keep_credential(
                unit, org_id="org_buyer", kept_by="usr_buyer", name="crowd"
            )
            self.client = credential.id

    def environment(self, port: int, url: str) -> dict[str, str]:
        """What `shugang gateway` needs to know."""
        return {
            "SHUGANG_DATA_DIR": str(self.folder),
            "SHUGANG_PORT": str(port),
            "SHUGANG_PUBLIC_URL": "http://127.0.0.1",
            "SHUGANG_STORAGE__DATABASE_URL": url,
            "SHUGANG_STORAGE__POOL_SIZE": "4",
            "SHUGANG_METERING__TOKEN_SECONDS": "86400",
            "SHUGANG_METERING__PAID_PER_MINUTE": "10000000",
        }

    def license(self, **limits: int) -> str:
        """A license in force with these limits."""
        license_id = new_id("lic")
        policy = SomePolicy(price=PRICE, **limits)  # type: ignore[arg-type]  # only the limits, all whole numbers
        with self.store.unit("system:test") as unit:
            actions.open_gate(
                unit, license_id=license_id, product_id="prd_1", buyer_id="org_buyer", policy=policy
            )
        return license_id

    def revoke(self, license_id: str, *, timed: bool) -> None:
        """Revoke from this process, which is none of the gateways."""
        began = time.monotonic_ns()
        with self.store.unit("system:test") as unit:
            actions.shut_gate(unit, license_id, reason="revoked")
        self.revoked[license_id] = time.monotonic_ns()
        if timed:
            self.seconds.append((self.revoked[license_id] - began) / 1e9)

    def booked(self) -> int:
        """How many events there are."""
        with self.store.database.reading() as connection:
            return int(connection.exec_driver_sql("SELECT count(*) FROM usage_event").scalar_one())

    def books(self) -> Books:
        """Everything that was recorded."""
        with self.store.database.snapshot() as connection:
            ids = [
                (bytes(i), r)
                for i, r in connection.execute(sa.text("SELECT id, rows FROM usage_event")).all()
            ]
            per_event = "sum(calls), sum(rows), sum(bytes), sum(amount_fen)"
            gates = _by_license(
                connection, "SELECT license_id, used_calls, used_rows, used_bytes, spent_fen FROM gate"
            )
            limits = _by_license(
                connection, "SELECT license_id, limit_calls, limit_rows, limit_bytes, spend_cap_fen FROM gate"
            )
            events = _by_license(
                connection, f"SELECT license_id, {per_event} FROM usage_event GROUP BY license_id"
            )
            hours = _by_license(
                connection, f"SELECT license_id, {per_event} FROM usage_hour GROUP BY license_id"
            )
        none = (0, 0, 0, 0)
        sums = {
            name: (_whole(gates[name]), _whole(events.get(name, none)), _whole(hours.get(name, none)))
            for name in gates
        }
        return Books(dict(ids), len(ids), sums, limits)

    def close(self) -> None:
        self.store.database.close()


def _whole(numbers: Iterable[Any]) -> tuple[int, ...]:
    return tuple(int(number) for number in numbers)


def _by_license(connection: sa.Connection, statement: str) -> dict[str, tuple[Any, ...]]:
    return {row[0]: tuple(row[1:]) for row in connection.exec_driver_sql(statement)}


def _serving_file(path: Path) -> Path:
    """Twenty parking lots in the layout the refinery builds."""
    lite = pysqlite3.connect(path, isolation_level=None)
    lite.execute("CREATE TABLE data (_row INTEGER PRIMARY KEY, lot INTEGER)")
    lite.execute(
        "CREATE TABLE columns (position INTEGER PRIMARY KEY, name TEXT, kind TEXT, precision INTEGER, "
        "scale INTEGER, filter TEXT)"
    )
    lite.execute("INSERT INTO columns VALUES (0, 'lot', 'integer', NULL, NULL, 'lot')")
    lite.executemany("INSERT INTO data VALUES (?, ?)", [(number, number) for number in range(1, 21)])
    lite.close()
    return path
