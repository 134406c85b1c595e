"""The till's statements, in the one order that counts exactly: lock, look up, decide, insert, update, roll up.

Raw multi-row SQL: `unnest` on PostgreSQL, `json_each` and executemany on SQLite.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import cache
from typing import Any, Protocol

from sqlalchemy.engine import Connection

from metering.gate import GateState, Receipt
from metering.rating import Tariff
from metering.words import Settled

PERIOD_LOCK = 7_308_604_898  # pg_advisory: shared by every batch, exclusive for a close
_GATE = ", ".join(field.name for field in fields(GateState))
_EVENT = "id, license_id, product_id, credential_id, purpose, kind, calls, rows, bytes, amount_fen, fingerprint, period, at"
_HOUR = "license_id, hour, credential_id, purpose, kind, period, product_id, events, calls, rows, bytes, amount_fen"
_ADD = ", ".join(
    f"{name} = usage_hour.{name} + excluded.{name}"
    for name in ("events", "calls", "rows", "bytes", "amount_fen")
)
_ON_CONFLICT = f"ON CONFLICT (license_id, hour, credential_id, purpose, kind, period) DO UPDATE SET {_ADD}"
_AT_ONCE = 1024  # rows of one INSERT: 13 values each, of the 32,766 that SQLite takes
_USED = ("used_calls", "used_rows", "used_bytes", "used_downloads", "spent_fen")

EventRow = tuple[bytes, str, str, str, str, str, int, int, int, int, bytes, str, datetime]
HourRow = tuple[str, datetime, str, str, str, str, str, int, int, int, int, int]


@dataclass(frozen=True, slots=True)
class Booked:
    """An event found in the books, with its fingerprint."""

    fingerprint: bytes
    receipt: Receipt


class Books(Protocol):
    """What the till asks of a database, in order, on one connection inside one transaction."""

    def lock(self, connection: Connection, licenses: Iterable[str]) -> dict[str, GateState]:
        """The gates, sorted, locked until the commit."""
        ...

    def live_credentials(self, connection: Connection, ids: Iterable[str]) -> set[str]:
        """Which of the credentials have not ended; locked until the commit."""
        ...

    def revoked(self, connection: Connection, jtis: Iterable[str]) -> set[str]:
        """Which of the tokens were revoked."""
        ...

    def closed_periods(self, connection: Connection, since: str) -> set[str]:
        """The closed periods from `since` on; none can close until the commit."""
        ...

    def booked(self, connection: Connection, ids: Iterable[bytes]) -> dict[bytes, Booked]:
        """The events that exist already."""
        ...

    def write(
        self,
        connection: Connection,
        events: Sequence[EventRow],
        gates: Sequence[GateState],
        hours: Sequence[HourRow],
    ) -> None:
        """Insert the events, store what is used, add to the hours."""
        ...


def _booked(row: Any, at: datetime) -> Booked:
    id_, fingerprint, _at, calls, rows, size, amount = row
    receipt = Receipt(bytes(id_), Settled.DUPLICATE, at, calls, rows, size, amount)
    return Booked(bytes(fingerprint), receipt)


@cache
def _insert(rows: int) -> str:
    """One statement for a batch, its size rounded up so that few are prepared; spare rows are NULL and left out.

    A statement a row would hand the interpreter to another thread at every row.
    """
    row = f"({', '.join('?' * 13)})"
    return (
        f"INSERT INTO usage_event ({_EVENT}) SELECT * FROM (VALUES {', '.join([row] * rows)}) "  # noqa: S608
        "WHERE column1 IS NOT NULL"
    )


def _ask(connection: Connection, statement: str, *values: Any) -> list[Any]:
    """All rows of a look-up, from the driver itself: the steps SQLAlchemy adds cost more than SQLite's own."""
    driver: Any = connection.connection.driver_connection
    rows: list[Any] = driver.execute(statement, values).fetchall()
    return rows


class SqliteBooks:
    """The single fair writer is the lock."""

    def lock(self, connection: Connection, licenses: Iterable[str]) -> dict[str, GateState]:
        found = _ask(
            connection,
            f"SELECT {_GATE} FROM gate WHERE license_id IN (SELECT value FROM json_each(?))",  # noqa: S608
            json.dumps(list(licenses)),
        )
        gates = {}
        for row in found:
            gate = GateState(*row)
            gate.in_force, gate.taken_down = bool(gate.in_force), bool(gate.taken_down)
            gate.per_hit = bool(gate.per_hit)
            gate.serve_from = _read(gate.serve_from)
            gate.serve_until = _read(gate.serve_until) if gate.serve_until else None
            gate.purposes = json.loads(row[-2])
            gate.tariff = _tariff(json.loads(row[-1] or "null"))
            gates[gate.license_id] = gate
        return gates

    def live_credentials(self, connection: Connection, ids: Iterable[str]) -> set[str]:
        statement = (
            "SELECT id FROM credential WHERE ended_at IS NULL AND id IN (SELECT value FROM json_each(?))"
        )
        return {row[0] for row in _ask(connection, statement, json.dumps(list(ids)))}

    def revoked(self, connection: Connection, jtis: Iterable[str]) -> set[str]:
        statement = "SELECT jti FROM revoked_token WHERE jti IN (SELECT value FROM json_each(?))"
        return {row[0] for row in _ask(connection, statement, json.dumps(list(jtis)))}

    def closed_periods(self, connection: Connection, since: str) -> set[str]:
        statement = "SELECT period FROM period WHERE state = 'closed' AND period >= ?"
        return {row[0] for row in _ask(connection, statement, since)}

    def booked(self, connection: Connection, ids: Iterable[bytes]) -> dict[bytes, Booked]:
        found = _ask(
            connection,
            "SELECT id, fingerprint, at, calls, rows, bytes, amount_fen FROM usage_event "
            "WHERE id IN (SELECT unhex(value) FROM json_each(?))",
            json.dumps([id_.hex() for id_ in ids]),
        )
        return {row[0]: _booked(row, _read(row[2])) for row in found}

    def write(
        self,
        connection: Connection,
        events: Sequence[EventRow],
        gates: Sequence[GateState],
        hours: Sequence[HourRow],
    ) -> None:
        moments = {at: _write(at) for at in {event[-1] for event in events}}  # of the till's batch, only one
        for start in range(0, len(events), _AT_ONCE):
            some = events[start : start + _AT_ONCE]
            padded = 1 << (len(some) - 1).bit_length()
            values: list[Any] = []
            for event in some:
                values += event
                values[-1] = moments[event[-1]]
            values += [None] * (13 * (padded - len(some)))
            connection.exec_driver_sql(_insert(padded), tuple(values))
        driver: Any = connection.connection.driver_connection
        driver.executemany(
            f"UPDATE gate SET {', '.join(f'{name} = ?' for name in _USED)} WHERE license_id = ?",  # noqa: S608
            [(*(getattr(gate, name) for name in _USED), gate.license_id) for gate in gates],
        )
        driver.executemany(
            f"INSERT INTO usage_hour ({_HOUR}) VALUES ({', '.join('?' * 12)}) {_ON_CONFLICT}",  # noqa: S608
            [(row[0], _write(row[1]), *row[2:]) for row in hours],
        )


class PostgresBooks:
    """Row locks, taken in one order: gates, then credentials; never FOR SHARE, which starves a revocation."""

    def lock(self, connection: Connection, licenses: Iterable[str]) -> dict[str, GateState]:
        found = connection.exec_driver_sql(
            f"SELECT {_GATE} FROM gate WHERE license_id = ANY(%s) ORDER BY license_id FOR NO KEY UPDATE",  # noqa: S608
            (sorted(licenses),),
        )
        gates = {row[0]: GateState(*row) for row in found}
        for gate in gates.values():
            gate.tariff = _tariff(gate.tariff)  # a document until here
        return gates

    def live_credentials(self, connection: Connection, ids: Iterable[str]) -> set[str]:
        found = connection.exec_driver_sql(
            "SELECT id, ended_at FROM credential WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE",
            (sorted(ids),),
        )
        return {row[0] for row in found if row[1] is None}

    def revoked(self, connection: Connection, jtis: Iterable[str]) -> set[str]:
        statement = "SELECT jti FROM revoked_token WHERE jti = ANY(%s)"
        return {row[0] for row in connection.exec_driver_sql(statement, (list(jtis),))}

    def closed_periods(self, connection: Connection, since: str) -> set[str]:
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock_shared(%s)", (PERIOD_LOCK,))
        statement = "SELECT period FROM period WHERE state = 'closed' AND period >= %s"
        return {row[0] for row in connection.exec_driver_sql(statement, (since,))}

    def booked(self, connection: Connection, ids: Iterable[bytes]) -> dict[bytes, Booked]:
        found = connection.exec_driver_sql(
            "SELECT id, fingerprint, at, calls, rows, bytes, amount_fen FROM usage_event WHERE id = ANY(%s)",
            (list(ids),),
        )
        return {bytes(row[0]): _booked(row, row[2].astimezone(UTC)) for row in found}

    def write(
        self,
        connection: Connection,
        events: Sequence[EventRow],
        gates: Sequence[GateState],
        hours: Sequence[HourRow],
    ) -> None:
        connection.exec_driver_sql(
            f"INSERT INTO usage_event ({_EVENT}) SELECT * FROM unnest(%s::bytea[], %s::text[], %s::text[], "  # noqa: S608
            "%s::text[], %s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], "
            "%s::bytea[], %s::text[], %s::timestamptz[])",
            tuple(map(list, zip(*events, strict=True))),
        )
        used = ", ".join(f"{name} = v.{name}" for name in _USED)
        connection.exec_driver_sql(
            f"UPDATE gate SET {used} FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::bigint[], "  # noqa: S608
            f"%s::bigint[], %s::bigint[]) AS v(id, {', '.join(_USED)}) WHERE gate.license_id = v.id",
            ([gate.license_id for gate in gates], *([getattr(g, name) for g in gates] for name in _USED)),
        )
        connection.exec_driver_sql(
            f"INSERT INTO usage_hour ({_HOUR}) SELECT * FROM unnest(%s::text[], %s::timestamptz[], %s::text[], "  # noqa: S608
            "%s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint[], "
            f"%s::bigint[], %s::bigint[]) {_ON_CONFLICT}",
            tuple(map(list, zip(*sorted(hours), strict=True))),
        )


def _tariff(document: Any) -> Tariff | None:
    return None if document is None else Tariff.of(document)


def _write(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S.%f")  # how the column type stores it


def _read(text: Any) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
