"""Five bugs a till must not have, planted into a gateway of the harness to see that each is caught.

The unique key of the events hides two of them on its own, so these come as somebody would write them who
wants no violations: with ON CONFLICT DO NOTHING.
"""

import dataclasses
import threading
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from metering import books, till
from metering.booking import Answer, Booking
from metering.gateway import plane
from metering.tables import UsageEvent
from storage.database import FairLock

_events: Any = UsageEvent.__table__  # type: ignore[attr-defined]
_LOOKED_UP = ("id", "fingerprint", "at", "calls", "rows", "bytes", "amount_fen")


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
            rows = connection.execute(
                sa.select(*(_events.c[name] for name in _LOOKED_UP)).where(
                    _events.c.id.in_([waiting.charge.id for waiting in batch])
                )
            )
            early = {bytes(row.id): books._booked(row, row.at) for row in rows}
        look = self._books.look
        put(self._books, "look", lambda *asked: dataclasses.replace(look(*asked), booked=early))
        try:
            return super()._commit(batch)
        finally:
            delattr(self._books, "look")


class BlindSqlite(books.SqliteBooks):
    """Never finds an event."""

    def look(self, connection: Connection, asked: books.Asked) -> books.Found:
        return dataclasses.replace(super().look(connection, asked), booked={})


class BlindPostgres(books.PostgresBooks):
    """Never finds an event."""

    def look(self, connection: Connection, asked: books.Asked) -> books.Found:
        return dataclasses.replace(super().look(connection, asked), booked={})


def _ignoring() -> None:
    """Let a second event pass in silence."""
    insert = books._insert
    put(books, "_insert", lambda rows: f"{insert(rows)} ON CONFLICT DO NOTHING")
    put(books.PostgresBooks, "INSERT", f"{books.PostgresBooks.INSERT} ON CONFLICT DO NOTHING")


def _beginning_late() -> None:
    """The till's transactions on SQLite only read until they write."""
    create = sa.create_engine

    def created(*args: Any, **options: Any) -> sa.Engine:
        engine = create(*args, **options)

        @sa.event.listens_for(engine, "before_cursor_execute", retval=True)
        def rewrite(
            _connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any
        ) -> tuple[str, Any]:
            return (statement.replace("BEGIN IMMEDIATE", "BEGIN") if _in_till() else statement), parameters

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
    _ignoring()


def no_dedup() -> None:
    put(till, "SqliteBooks", BlindSqlite)
    put(till, "PostgresBooks", BlindPostgres)
    _ignoring()


def share_lock() -> None:
    """FOR SHARE instead of the exclusive row lock; on SQLite a transaction that only reads until it writes."""
    for name in ("GATES", "CREDENTIALS"):
        statement = getattr(books.PostgresBooks, name)
        put(books.PostgresBooks, name, statement.replace("FOR NO KEY UPDATE", "FOR SHARE"))
    _beginning_late()
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
