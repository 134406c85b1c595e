"""服务副本 Rows from the indexed serving copy: one immutable SQLite file per version, read by typed filters.

Nothing of the request ever becomes SQL: names come from the manifest, values are parameters.
"""

import contextlib
import hashlib
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, LifoQueue
from typing import Any
from urllib.parse import quote

import pysqlite3

from metering.filters import Column, Kept, Query, page_statement
from metering.problems import QueryTooSlow
from storage.kernel.problem import Unavailable
from storage.kernel.words import Words
from storage.objects import CHUNK, ObjectDamaged, Objects

_OPEN_FILES = 32


class ServingFiles:
    """Serving copies on the local disk: fetched once, verified once, read by everybody."""

    def __init__(self, objects: Objects, folder: Path) -> None:
        self._objects = objects
        self._folder = folder
        self._guard = threading.Lock()
        self._fetching: dict[str, threading.Lock] = {}
        self._copies: OrderedDict[str, ServingCopy] = OrderedDict()
        folder.mkdir(parents=True, exist_ok=True)

    def copy(self, sha256: str) -> "ServingCopy":
        """The opened copy. Raises Unavailable when the object store is away, ObjectDamaged on a bad file."""
        with self._guard:
            if found := self._copies.get(sha256):
                self._copies.move_to_end(sha256)
                return found
            turn = self._fetching.setdefault(sha256, threading.Lock())
        with turn:
            with self._guard:
                if found := self._copies.get(sha256):
                    return found
            opened = ServingCopy(self._path(sha256))
            with self._guard:
                self._copies[sha256] = opened
                self._fetching.pop(sha256, None)
                if len(self._copies) > _OPEN_FILES:
                    self._copies.popitem(last=False)  # closed when its last reader lets go
            return opened

    def _path(self, sha256: str) -> Path:
        path = self._objects.local_path(sha256)
        if path is not None:
            _refuse_damage(path, sha256)
            return path
        path = self._folder / sha256
        if not path.exists():
            incoming = path.with_suffix(f".{os.getpid()}.{threading.get_ident()}")
            try:
                self._objects.fetch(sha256, incoming)  # verifies
            except FileNotFoundError:
                raise Unavailable(
                    Words("数据文件暂不可用。", "The data file is not available for now.")
                ) from None
            incoming.replace(path)
        return path


def _refuse_damage(path: Path, sha256: str) -> None:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    if digest.hexdigest() != sha256:
        raise ObjectDamaged


class ServingCopy:
    """One opened serving copy. Connections are shared among threads, one reader at a time each."""

    def __init__(self, path: Path) -> None:
        self._uri = f"file:{quote(str(path))}?mode=ro&immutable=1"
        self._idle: LifoQueue[Any] = LifoQueue()
        with self._connection() as connection:
            found = connection.execute(
                "SELECT name, kind, precision, scale, filter FROM columns ORDER BY position"
            ).fetchall()
        self.columns = {row[0]: Column(*row) for row in found}

    @contextlib.contextmanager
    def _connection(self) -> Iterator[Any]:
        try:
            connection = self._idle.get_nowait()
        except Empty:
            connection = pysqlite3.connect(self._uri, uri=True, check_same_thread=False, isolation_level=None)
            connection.execute("PRAGMA query_only=ON")
            connection.execute("PRAGMA trusted_schema=OFF")
            connection.execute("PRAGMA mmap_size=268435456")
        try:
            yield connection
        finally:
            self._idle.put(connection)

    def read(self, query: Query, seconds: float) -> "Page":
        """取一页. One page of rows in the order asked for. Raises QueryTooSlow after `seconds`."""
        if query.limit == 0:
            return Page(tuple(column.name for column in query.columns), [], None)
        statement, values = page_statement(query)
        deadline = time.monotonic() + seconds
        with self._connection() as connection:
            connection.set_progress_handler(lambda: time.monotonic() > deadline, 20_000)
            try:
                found = connection.execute(statement, values).fetchall()
            except pysqlite3.OperationalError as error:
                if "interrupted" in str(error):
                    raise QueryTooSlow(seconds=str(seconds)) from None
                raise
            finally:
                connection.set_progress_handler(None, 0)
        more = len(found) > query.limit
        found = found[: query.limit]
        last = Kept(found[-1][0], found[-1][1]) if more else None
        booleans = [i for i, column in enumerate(query.columns) if column.kind == "boolean"]
        rows = [row[2:] for row in found]
        if booleans:
            rows = [_with_booleans(row, booleans) for row in rows]
        return Page(tuple(column.name for column in query.columns), rows, last)


def _with_booleans(row: tuple[Any, ...], places: list[int]) -> tuple[Any, ...]:
    values = list(row)
    for place in places:
        if values[place] is not None:
            values[place] = bool(values[place])
    return tuple(values)


@dataclass(frozen=True, slots=True)
class Page:
    """一页数据. Column names, rows, and where the next page begins (None at the end)."""

    names: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    last: Kept | None


def visible(copy: ServingCopy, manifest: Mapping[str, Any]) -> dict[str, Column]:
    """The columns that may be read: those the manifest lists, as the file knows them."""
    listed = [column["name"] for column in manifest["columns"]]
    return {name: copy.columns[name] for name in listed if name in copy.columns}
