"""事后记录 What is written down a moment after the answer, by one thread: sums of open data, refusals, deliveries."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from typing import Any, Generic, TypeVar

import structlog
from sqlalchemy.engine import Connection

from storage.database import Database

log = structlog.get_logger(__name__)
_AT_ONCE = 512  # notes of one transaction, some milliseconds: on SQLite the till waits for it
_PAUSE_SECONDS = 0.01  # between two of these, for the till
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
E = TypeVar("E")


class Notebook(ABC, Generic[K, V, E]):
    """What waits to be written, by name. Noting costs an addition; what a crash loses is about a second of it."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: dict[K, V] = {}

    def note(self, name: K, value: V) -> None:
        """Add to what waits under that name."""
        with self._guard:
            before = self._waiting.get(name)
            self._waiting[name] = value if before is None else self.added(before, value)

    def take(self) -> dict[K, V]:
        """Everything that waits; the book is empty afterwards."""
        with self._guard:
            waiting, self._waiting = self._waiting, {}
        return waiting

    @abstractmethod
    def added(self, before: V, value: V) -> V:
        """Both together."""

    @abstractmethod
    def entries(self, waiting: Sequence[tuple[K, V]]) -> E:
        """What `write` takes, made before anybody has to wait for it; some of what was taken, never nothing."""

    @abstractmethod
    def write(self, connection: Connection, entries: E) -> None:
        """Write them into the open transaction."""


class Afterwards:
    """事后记录. Writes the books each second and when it closes, in short transactions that wait for no disk."""

    def __init__(self, database: Database, *books: Notebook[Any, Any, Any], seconds: float = 1.0) -> None:
        self._database = database
        self._seconds = seconds
        self._books = books
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="afterwards", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write what is left and stop."""
        self._stop.set()
        self._thread.join()

    def flush(self) -> None:
        """Write now; what cannot be written waits for the next time."""
        for book in self._books:
            waiting = list(book.take().items())
            for start in range(0, len(waiting), _AT_ONCE):
                if start:
                    self._stop.wait(_PAUSE_SECONDS)
                try:
                    entries = book.entries(waiting[start : start + _AT_ONCE])
                    with self._database.writing(durable=False) as connection:
                        book.write(connection, entries)
                except Exception as error:  # noqa: BLE001  # no free connection, a full disk: the thread has to live
                    unwritten = waiting[start:]
                    log.warning(
                        "afterwards.not_written",
                        book=type(book).__name__,
                        notes=len(unwritten),
                        error=repr(error),
                    )
                    for name, value in unwritten:
                        book.note(name, value)
                    break

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            self.flush()
        self.flush()
