"""What befalls the COMMITs of a till: they get lost, or a disk is slow.

On SQLite its driver says so; with PostgreSQL the line to it breaks, or it waits itself.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from metering.settings import MeteringSettings
from metering.till import Till
from storage.database import Database
from tests.faults.commit_proxy import CommitProxy, Loss
from tests.faults.wire import eventually

AroundCommits = Callable[[Callable[[Callable[[], None]], None]], None]
Lost = Callable[[], int]


@contextmanager
def losing_one(
    database: Database, settings: MeteringSettings, around_commits: AroundCommits, loss: Loss
) -> Iterator[tuple[Till, Lost]]:
    """The till, and how many it has lost by now."""
    if not database.is_sqlite:
        with _behind_proxy(database, settings, loss) as behind:
            yield behind
        return
    lost: list[Loss] = []

    def lose(commit: Callable[[], None]) -> None:
        if lost or loss is not Loss.REQUEST:
            commit()
        if not lost:
            lost.append(loss)
            raise sa.exc.OperationalError("COMMIT", {}, Exception("connection lost"))

    around_commits(lose)
    till = Till(database, settings)
    try:
        yield till, lambda: len(lost)
    finally:
        till.close()


@contextmanager
def _behind_proxy(database: Database, settings: MeteringSettings, loss: Loss) -> Iterator[tuple[Till, Lost]]:
    proxy = CommitProxy(database.url)
    proxy.share, proxy.most, proxy.losses = 1.0, 1, (loss,)
    behind = Database(proxy.url(database.url))
    till = Till(behind, settings)
    try:
        eventually(lambda: till.talks)
        yield till, proxy.lost.total
    finally:
        till.close()
        behind.close()
        proxy.close()


class Disk:
    """A disk to which nothing that the till commits is written while it is held."""

    _LOCK = 4711

    def __init__(self, database: Database, around_commits: AroundCommits) -> None:
        self._database = database
        self._free = threading.Event()
        if database.is_sqlite:
            around_commits(self._wait)
            return
        with database.writing() as connection:
            connection.exec_driver_sql(
                "CREATE FUNCTION wait_for_disk() RETURNS trigger LANGUAGE plpgsql AS "
                f"$$ BEGIN PERFORM pg_advisory_xact_lock({self._LOCK}); RETURN NULL; END $$"
            )
            connection.exec_driver_sql(
                "CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON usage_event DEFERRABLE INITIALLY DEFERRED "
                "FOR EACH ROW EXECUTE FUNCTION wait_for_disk()"
            )
        self._holder = database.engine.connect()

    def _wait(self, commit: Callable[[], None]) -> None:
        self._free.wait(10)
        commit()

    def hold(self) -> None:
        """From now on."""
        self._free.clear()
        if not self._database.is_sqlite:
            self._holder.exec_driver_sql(f"SELECT pg_advisory_lock({self._LOCK})")

    def let_go(self) -> None:
        """No longer."""
        self._free.set()
        if not self._database.is_sqlite:
            self._holder.exec_driver_sql(f"SELECT pg_advisory_unlock({self._LOCK})")

    def close(self) -> None:
        """Give the connection back that holds it."""
        self._free.set()
        if not self._database.is_sqlite:
            self._holder.close()
