"""公益用量 Counts open data in memory and writes the sums each second; approximate, free, and never in the way."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.engine import Connection

from metering.afterwards import Notebook
from metering.tables import OpenUsage
from metering.upserts import add_up
from metering.words import Kind
from storage.kernel import clock

_Name = tuple[str, Kind, datetime]
_Sums = tuple[int, int, int]  # calls, rows, bytes


class OpenCounter(Notebook[_Name, _Sums, list[dict[str, Any]]]):
    """公益计数. The answers of open data by product, kind and hour."""

    def count(self, product_id: str, kind: Kind, *, rows: int = 0, size: int = 0) -> None:
        """One answer with so many rows and bytes."""
        self.note((product_id, kind, clock.hour_of(clock.now())), (1, rows, size))

    def added(self, before: _Sums, value: _Sums) -> _Sums:
        return before[0] + value[0], before[1] + value[1], before[2] + value[2]

    def entries(self, waiting: Sequence[tuple[_Name, _Sums]]) -> list[dict[str, Any]]:
        return [
            {
                "product_id": product_id,
                "kind": kind,
                "hour": hour,
                "calls": calls,
                "rows": rows,
                "bytes": size,
            }
            for (product_id, kind, hour), (calls, rows, size) in sorted(waiting)
        ]

    def write(self, connection: Connection, entries: list[dict[str, Any]]) -> None:
        add_up(connection, OpenUsage, entries)
