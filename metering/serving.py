"""服务副本 Rows from the indexed serving copy: one immutable SQLite file per version, read by typed filters."""

import contextlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import pysqlite3

from metering.filters import Column, Kept, Query
from metering.problems import QueryTooSlow
from metering.selects import Statement, count_statement, page_statements

_BATCH = 64  # rows between two looks at the size of a page
_PLANS = 512  # shapes of queries whose plan is remembered
_STEPS = 5_000  # of SQLite's machine between two looks at the clock, some tenths of a millisecond


@dataclass(frozen=True, slots=True)
class Page:
    """一页数据. Column names, rows, and where the next page begins (None at the end)."""

    names: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    last: Kept | None


class ServingCopy:
    """One opened serving copy. Connections are shared among threads, one reader at a time each."""

    def __init__(self, path: Path) -> None:
        self._uri = f"file:{quote(str(path))}?mode=ro&immutable=1"
        self._idle: list[Any] = []  # what the interpreter does to a list it does as a whole
        self._plans: OrderedDict[Hashable, bool] = OrderedDict()
        self._guard = threading.Lock()
        with self._connection() as connection:
            found = connection.execute(
                "SELECT name, kind, precision, scale, filter FROM columns ORDER BY position"
            ).fetchall()
        self.columns = {row[0]: Column(*row) for row in found}

    def close(self) -> None:
        """Close every idle connection; call it when nobody reads any more."""
        while self._idle:
            self._idle.pop().close()

    @contextlib.contextmanager
    def _connection(self) -> Iterator[Any]:
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = pysqlite3.connect(self._uri, uri=True, check_same_thread=False, isolation_level=None)
            connection.execute("PRAGMA query_only=ON")
            connection.execute("PRAGMA trusted_schema=OFF")
            connection.execute("PRAGMA mmap_size=268435456")
        try:
            yield connection
        finally:
            self._idle.append(connection)

    def is_light(self, query: Query) -> bool:
        """Whether an index narrows the page, or its first rows are enough; LIMIT ends a scan that nothing sorts."""
        return self._is_narrow(
            ("page", query.shape()), lambda: page_statements(query), first_rows=not query.conditions
        )

    def counts_lightly(self, query: Query) -> bool:
        """Whether an index narrows what is counted."""
        return self._is_narrow(("count", query.shape()), lambda: [count_statement(query)], first_rows=False)

    def _is_narrow(
        self, shape: Hashable, statements: Callable[[], list[Statement]], *, first_rows: bool
    ) -> bool:
        with self._guard:
            if (known := self._plans.get(shape)) is not None:
                return known
        narrow = all(self._planned(statement, first_rows=first_rows) for statement in statements())
        with self._guard:
            self._plans[shape] = narrow
            if len(self._plans) > _PLANS:
                self._plans.popitem(last=False)
        return narrow

    def _planned(self, statement: Statement, *, first_rows: bool) -> bool:
        text, values = statement
        with self._connection() as connection:
            steps = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {text}", values)]
        if not any(step.startswith("SCAN") for step in steps):
            return True
        return first_rows and not any("TEMP B-TREE" in step for step in steps)

    def read(
        self, query: Query, milliseconds: int, most_bytes: int, clock: Callable[[], float] = time.monotonic
    ) -> Page:
        """取一页. One page in the order asked for; it ends early when it passes `most_bytes`.

        Raises QueryTooSlow after `milliseconds` of that clock.
        """
        names = tuple(column.name for column in query.columns)
        if query.limit == 0:
            return Page(names, [], None)
        with self._limited(milliseconds, clock) as connection:
            found, full = _gather(connection, query, most_bytes)
        keep = min(query.limit, len(found) - 1) if full else query.limit
        rows = found[:keep]
        last = Kept(rows[-1][0], rows[-1][1]) if len(found) > keep else None
        booleans = [i for i, column in enumerate(query.columns) if column.kind == "boolean"]
        seen = [row[2:] for row in rows]
        if booleans:
            seen = [_with_booleans(row, booleans) for row in seen]
        return Page(names, seen, last)

    def count(self, query: Query, milliseconds: int) -> int:
        """How many rows the query has on all pages. Raises QueryTooSlow after `milliseconds`."""
        statement, values = count_statement(query)
        with self._limited(milliseconds) as connection:
            number: int = connection.execute(statement, values).fetchone()[0]
        return number

    @contextlib.contextmanager
    def _limited(self, milliseconds: int, clock: Callable[[], float] = time.monotonic) -> Iterator[Any]:
        deadline = clock() + milliseconds / 1000
        with self._connection() as connection:
            connection.set_progress_handler(lambda: clock() > deadline, _STEPS)
            try:
                yield connection
            except pysqlite3.OperationalError as error:
                if "interrupted" in str(error):
                    raise QueryTooSlow(milliseconds=milliseconds) from None
                raise
            finally:
                connection.set_progress_handler(None, 0)


def _gather(connection: Any, query: Query, most_bytes: int) -> tuple[list[tuple[Any, ...]], bool]:
    """At most one row more than asked, and whether as JSON they passed `most_bytes` before that."""
    found: list[tuple[Any, ...]] = []
    size = 0
    for statement, values in page_statements(query):
        cursor = connection.execute(statement, [*values[:-1], query.limit + 1 - len(found)])
        while batch := cursor.fetchmany(_BATCH):
            found += batch
            size += len(orjson.dumps(batch))
            if size > most_bytes and len(found) > 1:
                return found, True
        if len(found) > query.limit:
            break
    return found, False


def _with_booleans(row: tuple[Any, ...], places: list[int]) -> tuple[Any, ...]:
    values = list(row)
    for place in places:
        if values[place] is not None:
            values[place] = bool(values[place])
    return tuple(values)


def visible(copy: ServingCopy, manifest: Mapping[str, Any]) -> dict[str, Column]:
    """The columns that may be read: those the manifest lists, as the file knows them."""
    listed = [column["name"] for column in manifest["columns"]]
    return {name: copy.columns[name] for name in listed if name in copy.columns}
