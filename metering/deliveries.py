"""交付 Keeps which bytes of a charged download were sent; delivered when they cover the file."""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from heapq import nlargest
from typing import Any, NamedTuple

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from metering.afterwards import Notebook
from metering.ranges import Span, covers, merge
from metering.tables import Delivery
from metering.upserts import as_json, as_stored, insert_into, insert_many
from storage.database import Database, driver
from storage.kernel import clock

_delivery = Delivery.__table__  # type: ignore[attr-defined]
_COLUMNS = "event_id, license_id, sha256, size, ranges, begun_at, delivered_at"
_NAMES = _COLUMNS.split(", ")
_MOST_SPANS = 1000  # of one delivery, all of which are read and written again for each new one
_NEW = "ON CONFLICT DO NOTHING RETURNING event_id"
_BEGIN = (  # PostgreSQL: one value for all that is new, for thousands of downloads begin in a second
    f"INSERT INTO delivery ({_COLUMNS}) SELECT decode(event_id, 'hex'), license_id, sha256, size, "  # noqa: S608
    "ranges, begun_at, delivered_at FROM json_to_recordset(%s::json) AS d(event_id text, license_id text, "
    f"sha256 text, size bigint, ranges json, begun_at timestamptz, delivered_at timestamptz) {_NEW}"
)


class Charged(NamedTuple):
    """A charged download: its event, license and file; `size` in bytes."""

    event_id: bytes
    license_id: str
    sha256: str
    size: int

    def begun(self, at: datetime) -> dict[str, Any]:
        """The row of a delivery that begins."""
        return {
            "event_id": self.event_id,
            "license_id": self.license_id,
            "sha256": self.sha256,
            "size": self.size,
            "ranges": [],
            "begun_at": at,
        }


class _Sent(NamedTuple):
    spans: list[Span]
    at: datetime  # of the first byte noted


class _Entries(NamedTuple):
    sent: dict[Charged, _Sent]
    rows: list[tuple[Any, ...]]  # as if all were new


class DeliveryBook(Notebook[Charged, _Sent, _Entries]):
    """交付记录. What was sent, added up. A crash loses the last second: then it is unknown, never guessed.

    So it is, too, with what was fetched in more than a thousand pieces that leave gaps: the longest of them are
    kept, and what is sent again counts again.
    """

    def sent(self, charged: Charged, span: Span) -> None:
        """记录交付. These bytes left."""
        self.note(charged, _Sent([span], clock.now()))

    def added(self, before: _Sent, value: _Sent) -> _Sent:
        # On the event loop, at every piece: merged only when there are many.
        before.spans.extend(value.spans)
        spans = before.spans if len(before.spans) <= 2 * _MOST_SPANS else _longest(before.spans)
        return _Sent(spans, min(before.at, value.at))

    def entries(self, waiting: Sequence[tuple[Charged, _Sent]]) -> _Entries:
        # In one order for everybody, so that two gateways wait for each other and never deadlock.
        sent = dict(sorted(waiting))
        now = as_stored(clock.now())
        return _Entries(sent, [_row(charged, each, now) for charged, each in sent.items()])

    def write(self, connection: Connection, entries: _Entries) -> None:
        new = _begun(connection, entries.rows)
        resumed = {each.event_id: each for each in entries.sent if each.event_id not in new}
        if not resumed:
            return
        found = connection.execute(
            sa.select(_delivery.c.event_id, _delivery.c.ranges, _delivery.c.delivered_at)
            .where(_delivery.c.event_id.in_(list(resumed)))
            .order_by(_delivery.c.event_id)
            .with_for_update()
        ).all()
        before = {bytes(row.event_id): row for row in found}
        connection.execute(
            sa.update(_delivery)
            .where(_delivery.c.event_id == sa.bindparam("id"))
            .values(ranges=sa.bindparam("all"), delivered_at=sa.bindparam("when")),
            [_after(resumed[id_], entries.sent[resumed[id_]], row) for id_, row in before.items()],
        )


def _row(charged: Charged, sent: _Sent, now: str) -> tuple[Any, ...]:
    """What `_COLUMNS` are to hold, with the ranges as JSON."""
    spans = tuple(_longest(sent.spans))
    ranges, whole = (_of_one if len(spans) == 1 else _ranges)(spans, charged.size)
    return (*charged, ranges, as_stored(sent.at), now if whole else None)


def _longest(spans: Sequence[Sequence[int]]) -> list[Span]:
    """The spans merged, in order; of too many those that are worth most."""
    merged = merge(spans)
    if len(merged) <= _MOST_SPANS:
        return merged
    return sorted(nlargest(_MOST_SPANS, merged, key=lambda span: span[1] - span[0]))


def _ranges(spans: tuple[Span, ...], size: int) -> tuple[str, bool]:
    """The merged spans as JSON, and whether they are the whole file."""
    return orjson.dumps(spans).decode(), covers(spans, size)


_of_one = lru_cache(maxsize=1024)(_ranges)  # mostly a whole file, and the same one


def _begun(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> set[bytes]:
    """Insert what is new; returns the events of these."""
    with driver(connection) as raw:
        if connection.dialect.name == "sqlite":
            values: list[Any] = []
            for row in rows:
                values += row
                values[-len(row)] = bytearray(row[0])
            new = insert_many(raw, "delivery", _COLUMNS, values, _NEW)
        else:
            new = raw.execute(_BEGIN, (as_json(map(_document, rows)),)).fetchall()
    return {bytes(row[0]) for row in new}


def _document(row: tuple[Any, ...]) -> dict[str, Any]:
    document = dict(zip(_NAMES, row, strict=True))
    document["event_id"], document["ranges"] = row[0].hex(), orjson.Fragment(row[4])
    return document


def _after(charged: Charged, sent: _Sent, before: Any) -> dict[str, Any]:
    ranges = _longest([*before.ranges, *sent.spans])
    whole = covers(ranges, charged.size)
    return {
        "id": charged.event_id,
        "all": [list(span) for span in ranges],
        "when": before.delivered_at or (clock.now() if whole else None),
    }


def note_handed_over(database: Database, charged: Charged) -> None:
    """记录移交. The object store was asked to send the file; the first time is kept."""
    now = clock.now()
    with database.writing() as connection:
        connection.execute(insert_into(connection, _delivery).on_conflict_do_nothing(), charged.begun(now))
        connection.execute(
            sa.update(_delivery)
            .where(_delivery.c.event_id == charged.event_id, _delivery.c.handed_over_at.is_(None))
            .values(handed_over_at=now)
        )
