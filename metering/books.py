"""The till's statements, in the one order that counts exactly: lock, look up, decide, insert, update, roll up.

Raw multi-row SQL, given to the driver itself.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, Protocol

import orjson
from sqlalchemy.engine import Connection

from metering.gate import GateState, Receipt
from metering.rating import Tariff
from metering.tokens import networks_mark
from metering.upserts import as_json, as_stored, insert_many
from metering.words import Settled
from storage.database import driver
from storage.kernel import clock

PERIOD_LOCK = 7_308_604_898  # pg_advisory: shared by every batch, exclusive for a close
_GATE = ", ".join(field.name for field in fields(GateState))
_EVENT = "id, license_id, product_id, credential_id, purpose, kind, calls, rows, bytes, amount_fen, fingerprint, period, at"
_HOUR = "license_id, hour, credential_id, purpose, kind, period, product_id, events, calls, rows, bytes, amount_fen"
_EVENTS, _HOURS = _EVENT.split(", "), _HOUR.split(", ")
_ADD = ", ".join(
    f"{name} = usage_hour.{name} + excluded.{name}"
    for name in ("events", "calls", "rows", "bytes", "amount_fen")
)
_ON_CONFLICT = f"ON CONFLICT (license_id, hour, credential_id, purpose, kind, period) DO UPDATE SET {_ADD}"
_USED = ("used_calls", "used_rows", "used_bytes", "used_downloads", "spent_fen")
_used: Callable[[GateState], tuple[int, ...]] = attrgetter(*_USED)

_Rows = Sequence[Sequence[Any]]
Sentence = tuple[str, str | None]  # a statement, and the one value it takes, if any
EventRow = tuple[bytes, str, str, str, str, str, int, int, int, int, bytes, str, datetime]
HourRow = tuple[str, datetime, str, str, str, str, str, int, int, int, int, int]


@dataclass(slots=True)  # freezing costs, once for every charge
class Booked:
    """An event found in the books, with its fingerprint."""

    fingerprint: bytes
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Asked:
    """What a batch has to know before it is decided."""

    licenses: set[str]
    credentials: set[str]
    jtis: set[str]
    ids: set[bytes]
    since: str  # the period of now


@dataclass(frozen=True, slots=True)
class Found:
    """What the books say to it."""

    gates: dict[str, GateState]
    credentials: dict[str, str]  # that have not ended, with the mark of their networks
    closed: set[str]  # periods
    revoked: set[str]  # tokens, by jti
    booked: dict[bytes, Booked]

    def open_period(self, period: str, zone: str) -> str:
        """The month itself, or the first open one after it when it is closed already."""
        while period in self.closed:
            _, after = clock.period_bounds(period, zone)
            period = clock.period_of(after, zone)
        return period


class Books(Protocol):
    """What the till asks of a database, in order, on one connection inside one transaction."""

    def look(self, connection: Connection, asked: Asked) -> Found:
        """Lock gates, credentials and period until the commit; only then look up what is revoked and booked."""
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


def _found(gates: Iterable[GateState], live: _Rows, closed: _Rows, revoked: _Rows, booked: _Rows) -> Found:
    return Found(
        {gate.license_id: gate for gate in gates},
        {id_: networks_mark(cidrs) for id_, cidrs in live},
        {row[0] for row in closed},
        {row[0] for row in revoked},
        {found.receipt.id: found for found in map(_booked, booked)},
    )


def _booked(row: Any) -> Booked:
    id_, fingerprint, at, calls, rows, size, amount = row
    receipt = Receipt(bytes.fromhex(id_), Settled.DUPLICATE, _read(at), calls, rows, size, amount)
    return Booked(bytes.fromhex(fingerprint), receipt)


class SqliteBooks:
    """The single fair writer is the lock."""

    GATES = f"SELECT {_GATE} FROM gate WHERE license_id IN (SELECT value FROM json_each(?))"  # noqa: S608
    CREDENTIALS = (
        "SELECT id, cidrs FROM credential WHERE ended_at IS NULL AND id IN (SELECT value FROM json_each(?))"
    )
    CLOSED = "SELECT period FROM period WHERE state = 'closed' AND period >= ?"
    REVOKED = "SELECT jti FROM revoked_token WHERE jti IN (SELECT value FROM json_each(?))"
    BOOKED = (
        "SELECT hex(id), hex(fingerprint), at, calls, rows, bytes, amount_fen FROM usage_event "
        "WHERE id IN (SELECT unhex(value) FROM json_each(?))"
    )
    USE = f"UPDATE gate SET {', '.join(f'{name} = ?' for name in _USED)} WHERE license_id = ?"  # noqa: S608
    ADD = f"INSERT INTO usage_hour ({_HOUR}) VALUES ({', '.join('?' * 12)}) {_ON_CONFLICT}"  # noqa: S608

    def look(self, connection: Connection, asked: Asked) -> Found:
        with driver(connection) as raw:

            def rows(statement: str, value: Any) -> list[Any]:
                found: list[Any] = raw.execute(statement, (value,)).fetchall()
                return found

            gates = rows(self.GATES, as_json(asked.licenses))
            kept = rows(self.CREDENTIALS, as_json(asked.credentials))
            live = [(id_, orjson.loads(cidrs)) for id_, cidrs in kept]
            closed = rows(self.CLOSED, asked.since)
            revoked = rows(self.REVOKED, as_json(asked.jtis))
            booked = rows(self.BOOKED, as_json(id_.hex() for id_ in asked.ids))
        return _found(map(_sqlite_gate, gates), live, closed, revoked, booked)

    def write(
        self,
        connection: Connection,
        events: Sequence[EventRow],
        gates: Sequence[GateState],
        hours: Sequence[HourRow],
    ) -> None:
        moments = {at: as_stored(at) for at in {event[-1] for event in events}}  # the till's batch has one
        values: list[Any] = []
        for event in events:
            values += event
            values[-13] = bytearray(event[0])
            values[-3] = bytearray(event[10])
            values[-1] = moments[event[-1]]
        with driver(connection) as raw:
            insert_many(raw, "usage_event", _EVENT, values)
            raw.executemany(self.USE, [(*_used(gate), gate.license_id) for gate in gates])
            raw.executemany(self.ADD, [(row[0], as_stored(row[1]), *row[2:]) for row in hours])


class PostgresBooks:
    """Row locks, taken in one order: gates, then credentials; never FOR SHARE, which starves a revocation.

    Two things are said a batch: what is asked, then what is written, each in one go and done in order, by a thread
    or in a conversation. Values go and rows come as JSON, which costs the driver a tenth of its own types.
    """

    GATES = (
        f"SELECT json_build_array({_GATE}) FROM gate "  # noqa: S608
        "WHERE license_id = ANY(ARRAY(SELECT json_array_elements_text(%s::json))) "
        "ORDER BY license_id FOR NO KEY UPDATE"
    )
    CREDENTIALS = (
        "SELECT json_build_array(id, cidrs, ended_at) FROM credential "
        "WHERE id = ANY(ARRAY(SELECT json_array_elements_text(%s::json))) ORDER BY id FOR NO KEY UPDATE"
    )
    PERIOD = f"SELECT json_build_array() FROM pg_advisory_xact_lock_shared({PERIOD_LOCK})"  # noqa: S608
    CLOSED = "SELECT json_build_array(period) FROM period WHERE state = 'closed' AND period >= %s"
    REVOKED = (
        "SELECT json_build_array(jti) FROM revoked_token "
        "WHERE jti = ANY(ARRAY(SELECT json_array_elements_text(%s::json)))"
    )
    # For each id by itself, which only the primary key can find: a plan for the whole list, made while the table
    # was small, would read all of it until somebody counts its rows again.
    BOOKED = (
        "SELECT json_build_array(encode(e.id, 'hex'), encode(fingerprint, 'hex'), at, calls, rows, bytes, amount_fen) "
        "FROM json_array_elements_text(%s::json) AS asked(id) CROSS JOIN LATERAL "
        "(SELECT * FROM usage_event WHERE usage_event.id = decode(asked.id, 'hex') OFFSET 0) AS e"
    )
    INSERT = (
        f"INSERT INTO usage_event ({_EVENT}) "  # noqa: S608
        "SELECT decode(id, 'hex'), license_id, product_id, credential_id, purpose, kind, calls, rows, bytes, "
        "amount_fen, decode(fingerprint, 'hex'), period, at FROM json_to_recordset(%s::json) AS e(id text, "
        "license_id text, product_id text, credential_id text, purpose text, kind text, calls bigint, rows bigint, "
        "bytes bigint, amount_fen bigint, fingerprint text, period text, at timestamptz)"
    )
    USE = (
        f"UPDATE gate SET {', '.join(f'{name} = v.{name}' for name in _USED)} "  # noqa: S608
        f"FROM json_to_recordset(%s::json) AS v(license_id text, {', '.join(f'{name} bigint' for name in _USED)}) "
        "WHERE gate.license_id = v.license_id"
    )
    ADD = (
        f"INSERT INTO usage_hour ({_HOUR}) SELECT {_HOUR} FROM json_to_recordset(%s::json) AS h(license_id text, "  # noqa: S608
        "hour timestamptz, credential_id text, purpose text, kind text, period text, product_id text, "
        f"events bigint, calls bigint, rows bigint, bytes bigint, amount_fen bigint) {_ON_CONFLICT}"
    )

    def questions(self, asked: Asked) -> list[Sentence]:
        """What is asked; every answer is a row of one JSON array."""
        return [
            (self.GATES, as_json(sorted(asked.licenses))),
            (self.CREDENTIALS, as_json(sorted(asked.credentials))),
            (self.PERIOD, None),
            (self.CLOSED, asked.since),
            (self.REVOKED, as_json(asked.jtis)),
            (self.BOOKED, as_json(id_.hex() for id_ in asked.ids)),
        ]

    def found(self, rows: Sequence[_Rows]) -> Found:
        """What the answers say."""
        gates, credentials, _, closed, revoked, booked = rows
        live = [(id_, cidrs) for id_, cidrs, ended_at in credentials if ended_at is None]
        return _found(map(_gate, gates), live, closed, revoked, booked)

    def entries(
        self, events: Sequence[EventRow], gates: Sequence[GateState], hours: Sequence[HourRow]
    ) -> list[Sentence]:
        """What is said to write it down."""
        used = [dict(zip(_USED, _used(gate), strict=True), license_id=gate.license_id) for gate in gates]
        return [
            (self.INSERT, as_json(map(_event_document, events))),
            (self.USE, as_json(used)),
            # In one order for everybody, so that two gateways wait for each other and never deadlock.
            (self.ADD, as_json(dict(zip(_HOURS, row, strict=True)) for row in sorted(hours))),
        ]

    def look(self, connection: Connection, asked: Asked) -> Found:
        with driver(connection) as raw, raw.pipeline():
            said = [raw.execute(statement, _values(value)) for statement, value in self.questions(asked)]
        return self.found([[row[0] for row in answer] for answer in said])

    def write(
        self,
        connection: Connection,
        events: Sequence[EventRow],
        gates: Sequence[GateState],
        hours: Sequence[HourRow],
    ) -> None:
        with driver(connection) as raw, raw.pipeline():
            for statement, value in self.entries(events, gates, hours):
                raw.execute(statement, _values(value))


def _values(value: str | None) -> tuple[str, ...] | None:
    return None if value is None else (value,)


def _event_document(event: EventRow) -> dict[str, Any]:
    document: dict[str, Any] = dict(zip(_EVENTS, event, strict=True))
    document["id"], document["fingerprint"] = event[0].hex(), event[10].hex()
    return document


def _gate(row: Any) -> GateState:
    gate = GateState(*row)
    gate.serve_from = _read(gate.serve_from)
    gate.serve_until = _read(gate.serve_until) if gate.serve_until else None
    gate.tariff = None if row[-1] is None else Tariff.of(row[-1])
    return gate


def _sqlite_gate(row: Any) -> GateState:
    gate = _gate((*row[:-2], orjson.loads(row[-2]), orjson.loads(row[-1] or "null")))
    gate.in_force, gate.ran_out, gate.taken_down, gate.per_hit = (
        bool(gate.in_force),
        bool(gate.ran_out),
        bool(gate.taken_down),
        bool(gate.per_hit),
    )
    return gate


def _read(text: Any) -> datetime:
    at = datetime.fromisoformat(text)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
