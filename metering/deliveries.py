"""交付 Keeps which bytes of a charged download were sent; delivered when they cover the file."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.engine import Connection

from metering.ranges import Span, covers, merge
from metering.tables import Delivery
from storage.database import Database
from storage.kernel import clock

_delivery = Delivery.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Charged:
    """A charged download: its event, license and file; `size` in bytes."""

    event_id: bytes
    license_id: str
    sha256: str
    size: int


def note_sent(database: Database, charged: Charged, spans: Sequence[Span]) -> bool:
    """记录交付. Add the spans that left; returns whether the whole file has been delivered."""
    now = clock.now()
    with database.writing() as connection:
        _begin(database, connection, charged, now)
        row = connection.execute(
            sa.select(_delivery.c.ranges, _delivery.c.delivered_at)
            .where(_delivery.c.event_id == charged.event_id)
            .with_for_update()
        ).one()
        ranges = merge([*row.ranges, *spans])
        whole = covers(ranges, charged.size)
        connection.execute(
            sa.update(_delivery)
            .where(_delivery.c.event_id == charged.event_id)
            .values(
                ranges=[list(span) for span in ranges],
                delivered_at=row.delivered_at or (now if whole else None),
            )
        )
    return whole


def note_handed_over(database: Database, charged: Charged) -> None:
    """记录移交. The object store was asked to send the file; the first time is kept."""
    now = clock.now()
    with database.writing() as connection:
        _begin(database, connection, charged, now)
        connection.execute(
            sa.update(_delivery)
            .where(_delivery.c.event_id == charged.event_id, _delivery.c.handed_over_at.is_(None))
            .values(handed_over_at=now)
        )


def _begin(database: Database, connection: Connection, charged: Charged, now: datetime) -> None:
    insert = sqlite_insert if database.is_sqlite else postgres_insert
    connection.execute(
        insert(_delivery)
        .values(
            event_id=charged.event_id,
            license_id=charged.license_id,
            sha256=charged.sha256,
            size=charged.size,
            ranges=[],
            begun_at=now,
        )
        .on_conflict_do_nothing()
    )
