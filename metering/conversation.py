"""对话 PostgreSQL spoken to by the event loop itself: neither speaking nor hearing holds it.

A thread that does the same fights the loop for the interpreter at every answer, and costs twice the time.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import orjson
import psycopg
import structlog
from psycopg import pq

from metering.booking import Booking
from metering.books import PostgresBooks, Sentence

log = structlog.get_logger(__name__)

Rows = list[Any]
Heard = Callable[[list[Rows] | None], None]
_GOOD = (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK)
# By name: whatever the server's default is, each statement has to see what was committed before it.
_BEGIN: Sentence = ("BEGIN ISOLATION LEVEL READ COMMITTED", None)


class Conversation:
    """One connection for the loop that speaks first; one thing is said at a time, and what is heard to it is told.

    None is told when it broke off, which is for good: then the database undoes what was not committed.
    """

    def __init__(self, connection: "psycopg.Connection[Any]") -> None:
        self._connection = connection
        self._wire = connection.pgconn
        self._wire.nonblocking = 1
        self._line = os.dup(self._wire.socket)  # ours: the driver closes its own as soon as it is broken
        self._names: dict[str, bytes] = {}  # of prepared statements
        self._wanted: list[bool] = []  # of what is still to be heard: rows, or only that it was done
        self._rows: list[Rows] = []
        self._heard: Heard | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def is_for(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether that loop may speak: nobody else ever did."""
        return self._loop is None or self._loop is loop

    @property
    def is_left(self) -> bool:
        """Whether its loop has ended."""
        return self._loop is not None and self._loop.is_closed()

    def ask(self, loop: asyncio.AbstractEventLoop, sentences: Sequence[Sentence], heard: Heard) -> None:
        """Say them in one go, to be done in order; told are the rows of each, which are one JSON value wide."""
        self._wanted, self._rows, self._heard = [], [], heard
        try:
            self._wire.enter_pipeline_mode()
            for statement, value in sentences:
                self._wire.send_query_prepared(
                    self._name(statement), () if value is None else (value.encode(),)
                )
                self._wanted.append(True)
            self._wire.pipeline_sync()
            self._listen(loop)
        except Exception as error:  # noqa: BLE001  # whoever waits has to hear of it
            self._break_off(error)

    def commit(self, loop: asyncio.AbstractEventLoop, heard: Heard) -> None:
        """Say COMMIT; told is nothing, after it was done."""
        self._wanted, self._rows, self._heard = [False], [], heard
        try:
            self._wire.send_query(b"COMMIT")
            self._listen(loop)
        except Exception as error:  # noqa: BLE001  # whoever waits has to hear of it
            self._break_off(error)

    def end(self) -> None:
        """The same as `close`, from another thread than its loop's, when nothing is being said."""
        if self._loop is not None and self._loop.is_running():
            with contextlib.suppress(RuntimeError):  # it has ended meanwhile
                self._loop.call_soon_threadsafe(self.close)
                return
        self.close()

    def close(self) -> None:
        """End it. Whoever waits is told nothing any more."""
        if self._line < 0:
            return
        self._heard = None
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(self._line)
            self._loop.remove_writer(self._line)
        os.close(self._line)
        self._line = -1
        self._connection.close()

    def _name(self, statement: str) -> bytes:
        name = self._names.get(statement)
        if name is None:
            # In the words of the statement, for who reads the server's log.
            name = self._names[statement] = f"{len(self._names)} {statement[:24]}".encode()
            self._wire.send_prepare(name, statement.replace("%s", "$1").encode())
            self._wanted.append(False)
        return name

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._loop is None:
            self._loop = loop
            loop.add_reader(self._line, self._read)
        if self._wire.flush():
            loop.add_writer(self._line, self._write)

    def _write(self) -> None:
        try:
            if not self._wire.flush() and self._loop is not None:
                self._loop.remove_writer(self._line)
        except Exception as error:  # noqa: BLE001  # whoever waits has to hear of it
            self._break_off(error)

    def _read(self) -> None:
        try:
            complete = self._hear()
        except Exception as error:  # noqa: BLE001  # whoever waits has to hear of it
            self._break_off(error)
            return
        heard = self._heard
        if complete and heard is not None:
            self._heard = None
            heard(self._rows)

    def _hear(self) -> bool:
        """Take in what has arrived; whether it is all. Raises psycopg.Error when something was refused."""
        wire = self._wire
        wire.consume_input()
        while self._heard is not None and not wire.is_busy():
            result = wire.get_result()
            if result is None:
                if not self._wanted and not wire.pipeline_status:
                    return True
            elif result.status == pq.ExecStatus.PIPELINE_SYNC:
                wire.exit_pipeline_mode()
                return True
            elif result.status not in _GOOD or result.command_status == b"ROLLBACK":
                raise psycopg.errors.error_from_result(result)
            elif self._wanted.pop(0):
                rows = range(result.ntuples)
                self._rows.append([orjson.loads(result.get_value(row, 0) or b"null") for row in rows])
        return False

    def _break_off(self, error: Exception) -> None:
        log.warning("conversation.broke_off", error=type(error).__name__)
        heard = self._heard
        self.close()
        if heard is not None:
            heard(None)


class Exchange:
    """One batch settled in conversation: the same steps in the same order, each when the one before was heard.

    `ended` is told once: the booking is committed, or it broke off, before COMMIT was said or after.
    """

    def __init__(
        self,
        talk: Conversation,
        books: PostgresBooks,
        booking: Booking,
        loop: asyncio.AbstractEventLoop,
        ended: Callable[["Exchange"], None],
    ) -> None:
        self.booking, self.loop, self.began = booking, loop, time.monotonic()
        self.committing = self.committed = self._over = False
        self._talk, self._books, self._ended = talk, books, ended

    def begin(self) -> None:
        """Lock and look up."""
        self._take(self._ask, [])

    def _ask(self, _: list[Rows]) -> None:
        questions = self._books.questions(self.booking.asked())
        self._talk.ask(self.loop, [_BEGIN, *questions], partial(self._take, self._write))

    def _write(self, rows: list[Rows]) -> None:
        self.booking.decide(self._books.found(rows[1:]))
        if not self.booking.events:
            self._commit([])
            return
        entries = self._books.entries(*self.booking.entries())
        self._talk.ask(self.loop, entries, partial(self._take, self._commit))

    def _commit(self, _: list[Rows]) -> None:
        self.committing = True
        self._talk.commit(self.loop, partial(self._take, self._finish))

    def _finish(self, _: list[Rows]) -> None:
        self.committed = True
        self._end()

    def _take(self, step: Callable[[list[Rows]], None], rows: list[Rows] | None) -> None:
        if rows is None:
            self._end()
            return
        try:
            step(rows)
        except Exception:
            if self._over:
                raise
            log.exception("till.failed", charges=len(self.booking.charges))
            self.break_off()

    def break_off(self) -> None:
        """End the conversation in the middle; nothing once it is over, for others may be speaking then."""
        if self._over:
            return
        self._talk.close()
        self._end()

    def _end(self) -> None:
        if not self._over:
            self._over = True
            self._ended(self)
