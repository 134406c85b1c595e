"""Five bugs a till must not have, planted into a gateway of the harness to see that each is caught.

The unique key of the events hides two of them on its own, so these come as somebody would write them who
wants no violations: with ON CONFLICT DO NOTHING.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from metering import till
from metering.booking import Answer, Booking
from metering.books import Booked, PostgresBooks, SqliteBooks
from metering.gateway import plane
from storage.database import FairLock


def put(place: object, name: str, thing: object) -> None:
    """Put something else in the place of a name, in this process."""
    setattr(place, name, thing)


class AnswersEarly(till.Till):
    """Answers leave before the commit."""

    def _commit(self, batch: Sequence[till._Waiting]) -> list[Answer]:
        charges = [waiting.charge for waiting in batch]
        booking = Booking(self._books, charges, self._now(), self._zone, self._free)
        with self._database.writing() as connection:
            booking.book(connection)
            till._release(batch, booking.answers)
        return booking.answers


class LooksUpFirst(till.Till):
    """Which events exist is read before the gates are locked."""

    def _commit(self, batch: Sequence[till._Waiting]) -> list[Answer]:
        with self._database.reading() as connection:
            early = type(self._books).booked(
                self._books, connection, [waiting.charge.id for waiting in batch]
            )
        put(self._books, "booked", lambda _connection, _ids: early)
        try:
            return super()._commit(batch)
        finally:
            delattr(self._books, "booked")


class BlindSqlite(SqliteBooks):
    """Never finds an event."""

    def booked(self, connection: Connection, ids: Iterable[bytes]) -> dict[bytes, Booked]:  # noqa: ARG002
        return {}


class BlindPostgres(PostgresBooks):
    """Never finds an event."""

    def booked(self, connection: Connection, ids: Iterable[bytes]) -> dict[bytes, Booked]:  # noqa: ARG002
        return {}


def _rewriting(*changes: tuple[str, str], ignoring: bool = False) -> None:
    """Change the statements of every engine made from now on; `ignoring` lets a second event pass in silence."""
    create = sa.create_engine

    def created(*args: Any, **options: Any) -> sa.Engine:
        engine = create(*args, **options)

        @sa.event.listens_for(engine, "before_cursor_execute", retval=True)
        def rewrite(
            _connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any
        ) -> tuple[str, Any]:
            if not _in_till():
                return statement, parameters
            for found, instead in changes:
                statement = statement.replace(found, instead)
            if ignoring and statement.startswith("INSERT INTO usage_event"):
                statement += " ON CONFLICT DO NOTHING"
            return statement, parameters

        return engine

    put(sa, "create_engine", created)


def _in_till() -> bool:
    return threading.current_thread().name == "till"


def _outside_the_till(work: Callable[..., None]) -> Callable[..., None]:
    """The same, except that the till does without it."""

    def unless(*args: Any) -> None:
        if not _in_till():
            work(*args)

    return unless


def answer_before_commit() -> None:
    put(plane, "Till", AnswersEarly)


def look_up_before_lock() -> None:
    put(plane, "Till", LooksUpFirst)
    _rewriting(ignoring=True)


def no_dedup() -> None:
    put(till, "SqliteBooks", BlindSqlite)
    put(till, "PostgresBooks", BlindPostgres)
    _rewriting(ignoring=True)


def share_lock() -> None:
    """FOR SHARE instead of the exclusive row lock; on SQLite a transaction that only reads until it writes."""
    _rewriting(("FOR NO KEY UPDATE", "FOR SHARE"), ("BEGIN IMMEDIATE", "BEGIN"))
    for name in ("acquire", "release"):
        put(FairLock, name, _outside_the_till(getattr(FairLock, name)))


def plain_insert() -> None:
    """No look-up, and the unique key makes the whole batch fail."""
    put(till, "SqliteBooks", BlindSqlite)
    put(till, "PostgresBooks", BlindPostgres)


BUGS: dict[str, Callable[[], None]] = {
    "answer before commit": answer_before_commit,
    "look-up before lock": look_up_before_lock,
    "no dedup": no_dedup,
    "share lock": share_lock,
    "plain INSERT": plain_insert,
}


def plant(bug: str | None) -> None:
    """Plant one bug into this process."""
    if bug is not None:
        BUGS[bug]()
