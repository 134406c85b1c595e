"""公益用量 Counts open data in memory and writes the sums each second; approximate, free, and never in the way."""

import threading
from collections import defaultdict
from datetime import datetime

import structlog
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import DBAPIError

from metering.tables import OpenUsage
from metering.words import Kind
from storage.database import Database
from storage.kernel import clock
from storage.kernel.problem import Problem

log = structlog.get_logger(__name__)
_table = OpenUsage.__table__  # type: ignore[attr-defined]
_FLUSH_SECONDS = 1.0


class OpenCounter:
    """公益计数. `count` costs an addition; what a crash loses is at most a second of it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._guard = threading.Lock()
        self._sums: dict[tuple[str, Kind, datetime], list[int]] = defaultdict(lambda: [0, 0, 0])
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="open-usage", daemon=True)
        self._thread.start()

    def count(self, product_id: str, kind: Kind, *, rows: int = 0, size: int = 0) -> None:
        """One answer with so many rows and bytes."""
        with self._guard:
            sums = self._sums[product_id, kind, clock.hour_of(clock.now())]
            sums[0] += 1
            sums[1] += rows
            sums[2] += size

    def close(self) -> None:
        """Write what is left and stop."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(_FLUSH_SECONDS):
            self.flush()
        self.flush()

    def flush(self) -> None:
        """Write the sums; on failure keep them for the next time."""
        with self._guard:
            sums, self._sums = self._sums, defaultdict(lambda: [0, 0, 0])
        if not sums:
            return
        try:
            self._write(sums)
        except (DBAPIError, Problem):
            log.warning("open_usage.not_written", products=len(sums))
            with self._guard:
                for name, numbers in sums.items():
                    kept = self._sums[name]
                    kept[:] = [a + b for a, b in zip(kept, numbers, strict=True)]

    def _write(self, sums: dict[tuple[str, Kind, datetime], list[int]]) -> None:
        insert = sqlite_insert if self._database.is_sqlite else postgres_insert
        with self._database.writing() as connection:
            for (product_id, kind, hour), (calls, rows, size) in sorted(sums.items()):
                statement = insert(_table).values(
                    product_id=product_id, kind=kind, hour=hour, calls=calls, rows=rows, bytes=size
                )
                connection.execute(
                    statement.on_conflict_do_update(
                        index_elements=["product_id", "kind", "hour"],
                        set_={
                            name: _table.c[name] + statement.excluded[name]
                            for name in ("calls", "rows", "bytes")
                        },
                    )
                )
