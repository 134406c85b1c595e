"""The engine behind every Unit and View: SQLite with one fair writer, or PostgreSQL."""

import fcntl
import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pysqlite3
import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import DBAPIError

from storage.kernel.problem import Unavailable
from storage.kernel.words import Words
from storage.settings import Durability, StorageSettings

SQLITE_FIXED = (3, 51, 3)  # 3.7.0 to 3.51.2 can corrupt a WAL database that has two connections
NETWORK_FILE_SYSTEMS = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "glusterfs", "ceph"}
WRITE_WAIT_SECONDS = 30.0
_patience = threading.local()


def answer_within(seconds: float) -> None:
    """Whatever this thread asks of PostgreSQL from now on has so long each; then its line is given up: DBAPIError."""
    _patience.seconds = seconds


class _Line(psycopg.Connection[Any]):
    """The system ends a line on which nothing arrives; a server that stands still keeps it open."""

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, getattr(_patience, "seconds", None))
        except psycopg.OperationalError as error:
            if error.sqlstate is None:  # not the server's own word: none came
                self.pgconn.finish()
            raise


@contextmanager
def driver(connection: Connection) -> Iterator[Any]:
    """The driver's own connection: what SQLAlchemy adds costs more than a small statement. Errors are told as its."""
    base = connection.dialect.loaded_dbapi.Error
    try:
        yield connection.connection.driver_connection
    except base as error:
        raise DBAPIError.instance(None, None, error, base) from error


class FairLock:
    """First come, first served: between threads by a queue, between processes by `flock`.

    SQLite's own lock is a lottery; under a busy till the click of an approver lost it for seconds.
    """

    def __init__(self, path: Path | None) -> None:
        self._queue: deque[threading.Lock] = deque()
        self._guard = threading.Lock()
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600) if path else None
        self._coming: futures.Future[None] | None = (
            None  # the file, from another process; for the first of the queue
        )

    def acquire(self, timeout: float = WRITE_WAIT_SECONDS) -> None:
        """Wait for the turn. Raises Unavailable after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        turn = threading.Lock()
        turn.acquire()
        with self._guard:
            if not self._queue:
                turn.release()
            self._queue.append(turn)
        if not turn.acquire(timeout=timeout):
            with self._guard:
                # The turn may have come between the time-out and here: then pass it on.
                if self._queue[0] is turn:
                    self._pass_on()
                else:
                    self._queue.remove(turn)
            raise _writers_queue()
        if self._file is not None:
            try:
                self._take(self._file, deadline)
            except BaseException:
                with self._guard:
                    self._pass_on()
                raise

    def _take(self, file: int, deadline: float) -> None:
        """Take it from other processes. One of them may have been stopped while it holds it."""
        if self._coming is None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._coming = self._wait_for(file)
            else:
                return
        coming = self._coming
        if not futures.wait([coming], max(0.0, deadline - time.monotonic())).done:
            raise _writers_queue()
        self._coming = None
        coming.result()

    def _wait_for(self, file: int) -> "futures.Future[None]":
        """Wait in a thread: a `flock` that waits knows no time-out, and looking again and again is overtaken."""
        coming: futures.Future[None] = futures.Future()

        def take() -> None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
                coming.set_result(None)
            except OSError as error:
                coming.set_exception(error)
            with self._guard:
                self._give_back()

        threading.Thread(target=take, name="flock", daemon=True).start()
        return coming

    def acquire_at_once(self) -> bool:
        """Take the turn if nobody has it or waits for it; whether that was so."""
        with self._guard:
            if self._queue or self._coming is not None:
                return False
            if self._file is not None:
                try:
                    fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return False
            self._queue.append(threading.Lock())
        return True

    def release(self) -> None:
        """Let the next one in."""
        if self._file is not None:
            fcntl.flock(self._file, fcntl.LOCK_UN)
        with self._guard:
            self._pass_on()

    def _pass_on(self) -> None:
        self._queue.popleft()
        if self._queue:
            self._queue[0].release()
        self._give_back()

    def _give_back(self) -> None:
        """What came after everybody who waited for it had gone."""
        if self._coming is not None and self._coming.done() and not self._queue:
            self._coming = None
            if self._file is not None:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Give the file descriptor back."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _writers_queue() -> Unavailable:
    return Unavailable(Words("写入排队超时。", "The queue of writers is too long."))


class NoStandby(Unavailable):
    """没有同步备库. The settings ask for a synchronous standby, and the database waits for none."""

    title = Words("数据库未配置同步备库", "The database has no synchronous standby")
    remedy = Words(
        "请设置 synchronous_standby_names，或取消 SHUGANG_STORAGE__STANDBY。",
        "Set synchronous_standby_names, or take SHUGANG_STORAGE__STANDBY away.",
    )


def _connect(_dialect: Any, _record: Any, args: Any, named: Any) -> _Line:
    return _Line.connect(*args, **named)


def _refuse_without_standby(connection: Any, _record: Any) -> None:
    (names,) = connection.execute("SHOW synchronous_standby_names").fetchone()
    connection.rollback()
    if not names.strip():
        connection.close()
        raise NoStandby


class Database:
    """One database, opened once per process. `writing()` and `reading()` are the only ways in."""

    def __init__(self, url: str, pool_size: int = 10, *, durability: Durability = Durability.LOCAL) -> None:
        """Raises NoStandby for SQLite, which can have none, when a standby is asked for."""
        self.url: URL = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.durability = durability
        if durability is Durability.STANDBY and self.is_sqlite:
            raise NoStandby
        if self.is_sqlite:
            self._open_sqlite(pool_size)
        else:
            self._open_postgres(pool_size)

    def _open_sqlite(self, pool_size: int) -> None:
        if not self.url.database:
            raise ValueError("SQLite needs a file: sqlite:////path/to/market.db")
        if pysqlite3.sqlite_version_info < SQLITE_FIXED:
            raise RuntimeError(
                f"SQLite {pysqlite3.sqlite_version} corrupts WAL databases; 3.51.3 or newer needed"
            )
        self.path = Path(self.url.database)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        refuse_network_file_system(self.path.parent)
        self._lock = FairLock(self.path.with_suffix(self.path.suffix + ".lock"))
        self.engine = self._sqlite_engine(pool_size, query_only=False)
        self._impatient = self._sqlite_engine(1, query_only=False, wait=0.0)
        self._kept: Connection | None = None  # of the impatient: a pool costs as much as a query
        self._hasty = self._sqlite_engine(1, query_only=False, synchronous="NORMAL")
        self._readers = self._sqlite_engine(pool_size, query_only=True)

    def _sqlite_engine(
        self,
        pool_size: int,
        *,
        query_only: bool,
        wait: float = WRITE_WAIT_SECONDS,
        synchronous: str = "FULL",
    ) -> Engine:
        engine = sa.create_engine(
            self.url,
            module=pysqlite3,
            pool_size=pool_size,
            max_overflow=pool_size,
            connect_args={"timeout": wait, "check_same_thread": False},
        )

        @sa.event.listens_for(engine, "connect")
        def prepare(connection: Any, _record: Any) -> None:
            connection.isolation_level = None  # we say BEGIN ourselves
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(f"PRAGMA synchronous={synchronous}")
            connection.execute("PRAGMA foreign_keys=ON")
            connection.execute("PRAGMA cache_size=-32000")
            if query_only:
                connection.execute("PRAGMA query_only=ON")

        @sa.event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            with driver(connection) as raw:
                raw.execute("BEGIN" if query_only else "BEGIN IMMEDIATE")

        return engine

    def _open_postgres(self, pool_size: int) -> None:
        self.engine = sa.create_engine(
            self.url,
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_pre_ping=True,
            isolation_level="READ COMMITTED",
            connect_args={
                "connect_timeout": 5,
                "tcp_user_timeout": 30_000,  # milliseconds until a silent line is given up on which we speak,
                "keepalives_idle": 10,  # and seconds for one on which we only wait for an answer
                "keepalives_interval": 5,
                "keepalives_count": 3,
                "client_encoding": "utf8",
                # A commit that was answered for is on the disk, whatever server, database or role are set to.
                # Whoever reads in portions reads to the end: a plan that is only quick to begin would be the wrong one.
                "options": "-c timezone=UTC -c lock_timeout=15s -c idle_in_transaction_session_timeout=120s"
                " -c synchronous_commit=on -c cursor_tuple_fraction=1",
            },
        )
        sa.event.listen(self.engine, "do_connect", _connect)
        if self.durability is Durability.STANDBY:
            sa.event.listen(self.engine, "connect", _refuse_without_standby)
        self._readers = self.engine.execution_options(postgresql_readonly=True)

    @contextmanager
    def writing(self, *, wait: bool = True, durable: bool = True) -> Iterator[Connection]:
        """A connection inside one write transaction; leaving cleanly commits, raising rolls back.

        durable: false for what a power cut may take back, whole; then nobody waits for the disk.
        Raises Unavailable when the queue of writers is too long; without `wait`, on SQLite, when there is one at all.
        Who does not wait for others has no hasty connection: ValueError.
        """
        if not (wait or durable):
            raise ValueError("what is not durable waits for its turn")
        if not self.is_sqlite:
            with self.engine.begin() as connection:
                if not durable:
                    connection.exec_driver_sql("SET LOCAL synchronous_commit TO off")
                yield connection
            return
        if wait:
            self._lock.acquire()
        elif not self._lock.acquire_at_once():
            raise _writers_queue()
        try:
            if wait:
                with (self.engine if durable else self._hasty).begin() as connection:
                    yield connection
            else:
                if self._kept is None:
                    self._kept = self._impatient.connect()
                try:
                    with self._kept.begin():
                        yield self._kept
                except DBAPIError:  # a COMMIT that failed may have left its transaction open
                    broken, self._kept = self._kept, None
                    broken.close()
                    raise
        finally:
            self._lock.release()

    def wait_for_others(self, seconds: float) -> None:
        """Wait until those who write to SQLite now, or queue for it, are done. Raises Unavailable when they are not."""
        self._lock.acquire(seconds)
        self._lock.release()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that cannot write, on one consistent snapshot per statement or better."""
        with self._readers.connect() as connection:
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A connection that cannot write and sees one moment, however long it reads."""
        if self.is_sqlite:  # one deferred transaction of SQLite is one snapshot
            with self.reading() as connection:
                yield connection
            return
        repeatable = self.engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        with repeatable.connect() as connection:
            yield connection

    def apart(self) -> Any:
        """A connection of PostgreSQL's driver outside the pool, for the caller to close. Raises DBAPIError."""
        base = self.engine.dialect.loaded_dbapi.Error
        try:
            pooled = self.engine.raw_connection()
        except base as error:
            raise DBAPIError.instance(None, None, error, base) from error
        connection = pooled.driver_connection
        pooled.detach()
        return connection

    def ping(self) -> float:
        """Seconds one trivial query takes. Raises when the database is away."""
        start = time.perf_counter()
        with self.reading() as connection:
            connection.execute(sa.text("SELECT 1"))
        return time.perf_counter() - start

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()
        self._readers.dispose()
        if self.is_sqlite:
            if self._kept is not None:
                self._kept.close()
            self._impatient.dispose()
            self._hasty.dispose()
            self._lock.close()


def refuse_network_file_system(folder: Path) -> None:
    """Raise RuntimeError when `folder` lies on a network file system, where WAL and flock fail silently."""
    mounts = Path("/proc/mounts")
    if not mounts.exists():
        return
    best, kind = "", ""
    target = str(folder.resolve())
    for line in mounts.read_text(encoding="utf-8", errors="replace").splitlines():
        _device, point, fs, *_ = line.split()
        if (target == point or target.startswith(point.rstrip("/") + "/")) and len(point) >= len(best):
            best, kind = point, fs
    if kind in NETWORK_FILE_SYSTEMS:
        raise RuntimeError(f"SQLite cannot live on {kind} ({best}); use a local disk or PostgreSQL")


def open_database(settings: StorageSettings) -> Database:
    """The database that the settings name. Raises NoStandby, ValueError, RuntimeError, OSError."""
    return Database(settings.database_url, settings.pool_size, durability=settings.durability)
