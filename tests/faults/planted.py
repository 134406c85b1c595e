"""Five bugs a till must not have, planted into a gateway of the harness to see that each is caught.

The unique key of the events hides two of them on its own, so these come as somebody would write them who
wants no violations: with ON CONFLICT DO NOTHING.
"""

import dataclasses
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from metering import books, conversation, till
from metering.booking import Answer
from metering.gateway import plane
from metering.tables import UsageEvent
from metering.upserts import insert_many
from metering.waiting import Waiting
from storage import database
from storage.database import FairLock

_events: Any = UsageEvent.__table__  # type: ignore[attr-defined]
_LOOKED_UP = ("id", "fingerprint", "at", "calls", "rows", "bytes", "amount_fen")


def put(place: object, name: str, thing: object) -> None:
    """Put something else in the place of a name, in this process."""
    setattr(place, name, thing)


def _heard(_answer: Answer) -> None:
    """Of one who was answered before."""


class AnswersEarly(till.Till):
    """Answers leave before the commit."""

    def _decide(self, batch: Sequence[Waiting], *, wait: bool) -> till._Decided:
        decided = super()._decide(batch, wait=wait)
        cast(Any, till).release(batch, decided.booking.answers, None if wait else batch[0].loop)
        for waiting in batch:
            waiting.told = _heard
        return decided


class EarlyExchange(conversation.Exchange):
    """The same in a conversation."""

    def _write(self, rows: Any) -> None:
        super()._write(rows)
        batch: Sequence[Waiting] = cast(Any, self._ended).args[0]
        cast(Any, till).release(batch, self.booking.answers, self.loop)
        for waiting in batch:
            waiting.told = _heard


class LooksUpFirst(till.Till):
    """Which events exist is read before the gates are locked."""

    def _decide(self, batch: Sequence[Waiting], *, wait: bool) -> till._Decided:
        self._look_up(batch)
        return super()._decide(batch, wait=wait)

    def _converse(self, talk: Any, batch: list[Waiting], loop: Any) -> None:
        self._look_up(batch)
        super()._converse(talk, batch, loop)

    def _look_up(self, batch: Sequence[Waiting]) -> None:
        with self._database.reading() as connection:
            rows = connection.execute(
                sa.select(*(_events.c[name] for name in _LOOKED_UP)).where(
                    _events.c.id.in_([waiting.charge.id for waiting in batch])
                )
            )
            early = {
                bytes(id_): books._booked((id_.hex(), fingerprint.hex(), at.isoformat(), *rest))
                for id_, fingerprint, at, *rest in rows
            }
        name = "look" if self._database.is_sqlite else "found"
        usual = getattr(type(self._books), name)
        put(self._books, name, lambda *args: dataclasses.replace(usual(self._books, *args), booked=early))


class BlindSqlite(books.SqliteBooks):
    """Never finds an event."""

    def look(self, connection: Connection, asked: books.Asked) -> books.Found:
        return dataclasses.replace(super().look(connection, asked), booked={})


class BlindPostgres(books.PostgresBooks):
    """Never finds an event."""

    def found(self, rows: Sequence[Any]) -> books.Found:
        return dataclasses.replace(super().found(rows), booked={})


def _ignoring() -> None:
    """Let a second event pass in silence."""
    put(books, "insert_many", partial(insert_many, then="ON CONFLICT DO NOTHING"))
    put(books.PostgresBooks, "INSERT", f"{books.PostgresBooks.INSERT} ON CONFLICT DO NOTHING")


def _beginning_late() -> None:
    """The till's transactions on SQLite only read until they write."""
    real = database.driver

    class Late:
        def __init__(self, raw: Any) -> None:
            self._raw = raw

        def execute(self, statement: str) -> Any:
            return self._raw.execute(statement.replace("BEGIN IMMEDIATE", "BEGIN"))

    @contextmanager
    def driver(connection: Connection) -> Iterator[Any]:
        with real(connection) as raw:
            yield Late(raw) if _in_till() else raw

    put(database, "driver", driver)


def _in_till() -> bool:
    """The writer, or the event loop: all else it writes is written in threads."""
    return threading.current_thread().name in {"till", "MainThread"}


def _outside_the_till(work: Callable[..., Any]) -> Callable[..., Any]:
    """The same, except that the till does without it."""
    return lambda *args: True if _in_till() else work(*args)


def answer_before_commit() -> None:
    put(plane, "Till", AnswersEarly)
    put(till, "Exchange", EarlyExchange)


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
    for name in ("acquire", "acquire_at_once", "release"):
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
