"""The till's books without HTTP: a thousand events a transaction, and what a question costs however many there are."""

import hashlib
import time
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from benchmarks.figures import Figure, in_turns
from benchmarks.stage import Shelf
from metering import queries
from metering.booking import Booking
from metering.books import PostgresBooks, SqliteBooks
from metering.gate import Charge, new_charge_key
from metering.gateway.server import tuned
from metering.tables import UsageEvent
from metering.usage import usage_by
from metering.words import By, Kind
from storage.kernel import clock

_BATCH = 1000
_ZONE = "Asia/Shanghai"
_EVENTS = UsageEvent.__table__  # type: ignore[attr-defined]
_MONTH = (datetime(2026, 9, 30, 16, tzinfo=UTC), datetime(2026, 10, 31, 16, tzinfo=UTC))


def measure_ingest(shelf: Shelf, where: str, turns: int, batches: int) -> Figure:
    """Row six: deduplicated, limited, rolled up and durable, against a plain multi-row INSERT of the same columns."""
    plain = _plain_table(shelf)
    with tuned():  # as in a gateway
        ours, reference = in_turns(
            turns, lambda: _booked(shelf, batches), lambda: _inserted(shelf, plain, batches)
        )
    floor = 50_000 if shelf.database.is_sqlite else 0
    return Figure(
        f"Usage events in batches of 1,000, no HTTP ({where})", "plain multi-row INSERT", "/s", ours, reference, 0.4, floor=floor
    )  # fmt: skip


def _plain_table(shelf: Shelf) -> sa.Table:
    """The same columns and key; nobody asks whether an event is there already, what is left, or what an hour sums to."""
    table = sa.Table("plain_event", sa.MetaData(), *(_plain(column) for column in _EVENTS.columns))
    table.dialect_options["sqlite"]["with_rowid"] = False
    table.create(shelf.database.engine, checkfirst=True)
    return table


def _plain(column: "sa.Column[object]") -> "sa.Column[object]":
    return sa.Column(column.name, column.type, primary_key=column.primary_key, nullable=False)


def _booked(shelf: Shelf, batches: int) -> float:
    books = SqliteBooks() if shelf.database.is_sqlite else PostgresBooks()
    wholes = [_charges(shelf) for _ in range(batches)]
    start = time.perf_counter()
    for charges in wholes:
        with shelf.database.writing() as connection:
            booking = Booking(books, charges, clock.now(), _ZONE, timedelta(hours=24))
            booking.book(connection)
        if len(booking.events) != _BATCH:
            raise RuntimeError("not every event was booked")
    return batches * _BATCH / (time.perf_counter() - start)


def _charges(shelf: Shelf) -> list[Charge]:
    return [
        Charge(
            shelf.licenses[number % len(shelf.licenses)],
            "prd_stations",
            shelf.credential.id,
            "",
            "internal_business",
            Kind.ROWS,
            new_charge_key(),
            b"fingerprint-of-16",
            1,
            20,
            2600,
        )
        for number in range(_BATCH)
    ]


def _inserted(shelf: Shelf, table: sa.Table, batches: int) -> float:
    names = [column.name for column in table.columns]
    wholes = []
    for _ in range(batches):
        now = clock.now()
        rows = []
        for charge in _charges(shelf):
            known = {
                "id": charge.id, "license_id": charge.license_id, "product_id": charge.product_id,
                "credential_id": charge.credential_id, "purpose": charge.purpose, "kind": charge.kind, "calls": 1, "rows": 20,
                "amount_fen": 2, "fingerprint": charge.fingerprint, "period": "2026-11", "at": now, "bytes": 2600,
            }  # fmt: skip
            rows.append({name: known[name] for name in names})
        wholes.append(rows)
    start = time.perf_counter()
    for rows in wholes:
        with shelf.database.writing() as connection:
            connection.execute(sa.insert(table), rows)
    return batches * _BATCH / (time.perf_counter() - start)


def measure_question(shelf: Shelf, where: str, turns: int, many: int, few: int) -> Figure:
    """Row seven: the usage of a license and month, asked of many events and of few."""
    big, small = "lic_many", "lic_few"
    _history(shelf, small, few)
    _history(shelf, big, many)
    with shelf.database.writing() as connection:
        connection.exec_driver_sql("ANALYZE usage_hour")
    ours, reference = in_turns(turns, lambda: _asked(shelf, big), lambda: _asked(shelf, small))
    return Figure(
        f"Usage of a license and month with {many:,} events ({where})", f"the same with {few:,}", "ms", ours, reference, 1.5,
        less_is_better=True,
    )  # fmt: skip


def _asked(shelf: Shelf, license_id: str, times: int = 40) -> float:
    start = time.perf_counter()
    for _ in range(times):
        with shelf.store.view() as view:
            days = usage_by(view, By.DAY, license_id=license_id, since=_MONTH[0], until=_MONTH[1])
            sums = queries.totals_of_period(view, license_id, "2026-10")
    if len(days) != 31 or not sums:
        raise RuntimeError("the history is not whole")
    return (time.perf_counter() - start) / times * 1000


def _history(shelf: Shelf, license_id: str, events: int) -> None:
    """Events spread evenly over the hours of a month, and their sums, written by the database itself."""
    series = (
        "WITH RECURSIVE series(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM series WHERE n + 1 < {count}) SELECT n FROM series"
        if shelf.database.is_sqlite
        else "SELECT n FROM generate_series(0, {count} - 1) AS n"
    )
    hours = 31 * 24
    prefix = hashlib.sha256(license_id.encode()).hexdigest()[:8]
    if shelf.database.is_sqlite:
        key = f"unhex('{prefix}' || printf('%024x', n))"
        at = f"strftime('%Y-%m-%d %H:00:00.000000', '2026-09-30 16:00:00', '+' || (n % {hours}) || ' hours')"
        blob = "x'00'"
    else:
        key = f"decode('{prefix}' || lpad(to_hex(n), 24, '0'), 'hex')"
        at = f"timestamptz '2026-09-30 16:00:00+00' + mod(n, {hours}) * interval '1 hour'"
        blob = "'\\x00'::bytea"
    columns = "id, license_id, product_id, credential_id, purpose, kind, calls, rows, bytes, amount_fen, fingerprint, period, at"
    with shelf.database.writing() as connection:
        connection.exec_driver_sql(
            f"INSERT INTO usage_event ({columns}) SELECT {key}, '{license_id}', 'prd_stations', 'cli_load', 'internal_business', "  # our own words
            f"'rows', 1, 20, 2600, 2, {blob}, '2026-10', {at} FROM ({series.format(count=events)}) AS s"
        )
        connection.exec_driver_sql(
            "INSERT INTO usage_hour (license_id, hour, credential_id, purpose, kind, period, product_id, events, calls, rows, bytes, amount_fen) "  # our own words
            "SELECT license_id, at, credential_id, purpose, kind, period, product_id, count(*), sum(calls), sum(rows), sum(bytes), sum(amount_fen) "
            f"FROM usage_event WHERE license_id = '{license_id}' GROUP BY license_id, at, credential_id, purpose, kind, period, product_id"
        )
