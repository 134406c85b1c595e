"""服务副本 Rows from the indexed serving copy: one immutable SQLite file per version, read by typed filters."""

import threading
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from math import inf
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple
from urllib.parse import quote

import pysqlite3

from metering.filters import Column, Kept, Query
from metering.problems import QueryTooSlow
from metering.restraint import Restraint
from metering.selects import count_statement, lines_statement, page_statements, page_values

_BATCH = 64  # rows between two looks at the size of a page
SHORT = 100  # rows of a page that may be read on an event loop, and be written by SQLite
_PLANS = 512  # shapes of queries whose plan is remembered
_STEPS = 5_000  # of SQLite's machine between two looks at the clock, some tenths of a millisecond
HERE_MS = 5  # for so long a reading may hold an event loop

Clock = Callable[[], float]
Row = tuple[Any, ...]
Size = Callable[[list[Row]], int]
"""How many bytes of a page these rows are."""


class Page(NamedTuple):
    """一页数据. Rows, and where the next page begins (None at the end)."""

    rows: list[Row]
    last: Kept | None


class Written(NamedTuple):
    """JSON objects with commas between them, how many, and where the next page begins."""

    rows: bytes
    number: int
    last: Kept | None


class TimeLimit(NamedTuple):
    """So many milliseconds of a clock, and the moment of it at which they are over."""

    milliseconds: int
    end: float
    clock: Clock

    @classmethod
    def of(cls, milliseconds: int, clock: Clock = time.monotonic, begun: float | None = None) -> "TimeLimit":
        """From `begun`, or from now on."""
        return cls(milliseconds, (clock() if begun is None else begun) + milliseconds / 1000, clock)


_ENDLESS = TimeLimit(0, inf, time.monotonic)


class _Limit:
    """The one that holds for the query of a connection now."""

    __slots__ = ("within",)

    def __init__(self) -> None:
        self.within = _ENDLESS

    def is_over(self) -> bool:
        """Whether it should have ended."""
        return self.within.clock() > self.within.end


class _Reader:
    """A connection for one `with` block at a time. Raises QueryTooSlow at the end of one that had to end."""

    __slots__ = ("_connection", "_idle", "_limit")

    def __init__(self, uri: str, idle: "list[_Reader]") -> None:
        connection = pysqlite3.connect(uri, uri=True, check_same_thread=False, isolation_level=None)
        connection.execute("PRAGMA query_only=ON")
        connection.execute("PRAGMA trusted_schema=OFF")
        connection.execute("PRAGMA mmap_size=268435456")
        self._limit = _Limit()
        connection.set_progress_handler(self._limit.is_over, _STEPS)
        self._connection = connection
        self._idle = idle

    def limited(self, within: TimeLimit) -> "_Reader":
        """Itself, for a query that has to end within that."""
        self._limit.within = within
        return self

    def __enter__(self) -> Any:
        return self._connection

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        milliseconds = self._limit.within.milliseconds
        self._limit.within = _ENDLESS
        self._idle.append(self)
        if isinstance(error, pysqlite3.OperationalError) and "interrupted" in str(error):
            raise QueryTooSlow(milliseconds=milliseconds) from None

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


@dataclass(slots=True)
class Plan:
    """How the pages of one shape of query are read.

    Light ones an index narrows, or their first rows are enough: LIMIT ends a scan that nothing sorts.
    """

    copy: "ServingCopy"
    statements: tuple[str, ...]
    lines: str | None  # the statement that writes a short page, where there is one and pages are no larger
    booleans: tuple[int, ...]  # places of columns
    is_light: bool
    here: Restraint  # for who reads on an event loop

    def read(self, query: Query, within: TimeLimit, most_bytes: int, size: Size) -> Page:
        """取一页. One page in the order asked for; it ends early when it passes `most_bytes`.

        Raises QueryTooSlow when it does not end within that.
        """
        rows: list[Row] = []
        left, keys = query.limit, 2 if query.order else 1
        last: Row = ()
        if not left:
            return Page(rows, None)
        with self.copy.reader().limited(within) as connection:
            for statement, values in zip(self.statements, page_values(query), strict=True):
                cursor = connection.execute(statement, [*values, left + 1])
                asked = min(left, _BATCH)
                while asked and (batch := cursor.fetchmany(asked)):
                    last = batch[-1]
                    seen = [row[keys:] for row in batch]
                    if self.booleans:
                        seen = [_with_booleans(row, self.booleans) for row in seen]
                    rows += seen
                    most_bytes -= size(seen)
                    left = left - len(batch) if most_bytes >= 0 else 0
                    asked = min(left, _BATCH) if len(batch) == asked else 0
                if not left and cursor.fetchone():
                    return Page(rows, Kept(last[0], last[keys - 1]))
        return Page(rows, None)

    def written(self, query: Query, within: TimeLimit, most_bytes: int) -> Written | None:
        """取一页. A short page in one step of SQLite, which writes its JSON; every step costs the interpreter a turn.

        None where it cannot be had so, or is more than `most_bytes`. Raises QueryTooSlow.
        """
        if self.lines is None or not 0 < query.limit <= SHORT:
            return None
        values = [*page_values(query)[0], query.limit + 1]
        with self.copy.reader().limited(within) as connection:
            try:
                rows, places = connection.execute(self.lines, values).fetchone()
            except pysqlite3.DataError:  # longer than any text may be
                self.lines = None
                return None
        if rows is None:
            return Written(b"", 0, None)
        number, last = places.count(",") + 1, None
        if number > query.limit:
            rows = rows[: rows.rindex(b"\n")]
            number -= 1
            place = int(places.rsplit(",", 2)[-2])
            last = Kept(place, place)
        if len(rows) > most_bytes:
            self.lines = None  # `read` stops in time; pages like this one are not tried again
            return None
        return Written(rows.replace(b"\n", b","), number, last)


class ServingCopy:
    """One opened serving copy. Connections are shared among threads, one reader at a time each."""

    def __init__(self, path: Path) -> None:
        self._uri = f"file:{quote(str(path))}?mode=ro&immutable=1"
        self._idle: list[_Reader] = []  # what the interpreter does to a list it does as a whole
        self._plans: dict[Hashable, Plan] = {}
        self._guard = threading.Lock()
        with self.reader() as connection:
            found = connection.execute(
                "SELECT name, kind, precision, scale, filter FROM columns ORDER BY position"
            ).fetchall()
        self.columns = {row[0]: Column(*row) for row in found}

    def close(self) -> None:
        """Close every idle connection; call it when nobody reads any more."""
        while self._idle:
            self._idle.pop().close()

    def reader(self) -> _Reader:
        """A connection, for one `with` block."""
        try:
            return self._idle.pop()
        except IndexError:
            return _Reader(self._uri, self._idle)

    def plan(self, query: Query) -> Plan:
        """How pages of such a query are read, remembered by its shape."""
        shape = query.shape()
        if (known := self._plans.get(shape)) is not None:
            return known
        statements = page_statements(query)
        light = all(
            self._is_narrow(statement, [*values, 1], first_rows=not query.conditions)
            for statement, values in zip(statements, page_values(query), strict=True)
        )
        booleans = tuple(i for i, column in enumerate(query.columns) if column.kind == "boolean")
        plan = Plan(self, statements, lines_statement(query), booleans, light, Restraint(HERE_MS / 1000))
        with self._guard:
            self._plans[shape] = plan
            if len(self._plans) > _PLANS:
                del self._plans[next(iter(self._plans))]
        return plan

    def counts_lightly(self, query: Query) -> bool:
        """Whether an index narrows what is counted."""
        return self._is_narrow(count_statement(query), query.values(), first_rows=False)

    def count(self, query: Query, milliseconds: int) -> int:
        """How many rows the query has on all pages. Raises QueryTooSlow after `milliseconds`."""
        with self.reader().limited(TimeLimit.of(milliseconds)) as connection:
            number: int = connection.execute(count_statement(query), query.values()).fetchone()[0]
        return number

    def _is_narrow(self, statement: str, values: list[Any], *, first_rows: bool) -> bool:
        with self.reader() as connection:
            steps = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)]
        if not any(step.startswith("SCAN") for step in steps):
            return True
        return first_rows and not any("TEMP B-TREE" in step for step in steps)


def _with_booleans(row: tuple[Any, ...], places: tuple[int, ...]) -> tuple[Any, ...]:
    values = list(row)
    for place in places:
        if values[place] is not None:
            values[place] = bool(values[place])
    return tuple(values)


def visible(copy: ServingCopy, manifest: Mapping[str, Any]) -> dict[str, Column]:
    """The columns that may be read: those the manifest lists, as the file knows them."""
    listed = [column["name"] for column in manifest["columns"]]
    return {name: copy.columns[name] for name in listed if name in copy.columns}
