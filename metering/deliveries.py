"""交付 Keeps which bytes of a charged download were sent; delivered when they cover the file."""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from metering.ranges import Span, covers, merge
from metering.tables import Delivery
from storage.database import Database
from storage.kernel import clock

_delivery = Delivery.__table__  # type: ignore[attr-defined]


def note_sent(
    database: Database, *, event_id: bytes, license_id: str, sha256: str, size: int, spans: Sequence[Span]
) -> bool:
    """记录交付. Add the spans that left; returns whether the whole file has been delivered."""
    insert = sqlite_insert if database.is_sqlite else postgres_insert
    now = clock.now()
    with database.writing() as connection:
        connection.execute(
            insert(_delivery)
            .values(
                event_id=event_id, license_id=license_id, sha256=sha256, size=size, ranges=[], begun_at=now
            )
            .on_conflict_do_nothing()
        )
        row = connection.execute(
            sa.select(_delivery.c.ranges, _delivery.c.delivered_at)
            .where(_delivery.c.event_id == event_id)
            .with_for_update()
        ).one()
        ranges = merge([*row.ranges, *spans])
        whole = covers(ranges, size)
        connection.execute(
            sa.update(_delivery)
            .where(_delivery.c.event_id == event_id)
            .values(
                ranges=[list(span) for span in ranges],
                delivered_at=row.delivered_at or (now if whole else None),
            )
        )
    return whole
