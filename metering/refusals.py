"""拒绝计数 How often a credential asked for what it may not have: counted in memory, written each second."""

import threading
from collections import Counter
from datetime import datetime

import structlog
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import DBAPIError

from metering.tables import RefusalHour
from storage.database import Database
from storage.kernel import clock
from storage.kernel.problem import Problem

log = structlog.get_logger(__name__)
_table = RefusalHour.__table__  # type: ignore[attr-defined]
_FLUSH_SECONDS = 1.0


class RefusalCounter:
    """拒绝计数. `count` costs an addition; what a crash loses is at most a second of it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._guard = threading.Lock()
        self._sums: Counter[tuple[str, datetime]] = Counter()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="refusals", daemon=True)
        self._thread.start()

    def count(self, credential_id: str) -> None:
        """One refusal of this credential."""
        with self._guard:
            self._sums[credential_id, clock.hour_of(clock.now())] += 1

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
            sums, self._sums = self._sums, Counter()
        if not sums:
            return
        try:
            self._write(sums)
        except (DBAPIError, Problem):
            log.warning("refusals.not_written", credentials=len(sums))
            with self._guard:
                self._sums.update(sums)

    def _write(self, sums: Counter[tuple[str, datetime]]) -> None:
        insert = sqlite_insert if self._database.is_sqlite else postgres_insert
        with self._database.writing() as connection:
            for (credential_id, hour), refusals in sorted(sums.items()):
                statement = insert(_table).values(credential_id=credential_id, hour=hour, refusals=refusals)
                connection.execute(
                    statement.on_conflict_do_update(
                        index_elements=["credential_id", "hour"],
                        set_={"refusals": _table.c.refusals + statement.excluded.refusals},
                    )
                )
