"""Starts `shugang gateway` by fork, as often as asked on stdin, with a moment at which it kills itself.

The gateway is the real one; what is added hangs on the driver's commit and on the ASGI door, from outside.
"""

import asyncio
import ctypes
import gc
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, NoReturn

import sqlalchemy as sa
from sqlmodel import select

from market.cli import data_plane
from market.cli.environment import require_schema
from market.cli.program import main as shugang
from metering import books, conversation, till
from metering.gateway.server import serve_until_told
from metering.tables import Gate
from metering.waiting import release
from storage import migrations
from storage.database import Database
from storage.kernel import clock
from storage.unit import Store
from tests.faults.moments import Moment, Point
from tests.faults.planted import plant, put

COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"  # as it goes over PostgreSQL's wire
_dice = random.SystemRandom()


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still alive")


class Hooks:
    """Writes down what the till is doing, and ends the process at the `at`-th time it reaches `point`."""

    def __init__(self, moment: Moment, point: Point | None, at: int) -> None:
        self._moment, self._point, self._at = moment, point, at
        self._bodies = 0
        self._booking = False
        self._due: Point | None = None
        self._create: Callable[..., sa.Engine] = sa.create_engine

    def create_engine(self, *args: Any, **options: Any) -> sa.Engine:
        """SQLAlchemy's, with the driver's commit observed."""
        engine = self._create(*args, **options)
        commit = engine.dialect.do_commit

        def observed(connection: Any) -> None:
            if not in_till() or not self._begins_commit(connection.driver_connection):
                commit(connection)
                return
            commit(connection)
            self._ends_commit()

        put(engine.dialect, "do_commit", observed)
        return engine

    def said(self, commit: Callable[..., None]) -> Callable[..., None]:
        """The commit of a conversation, which ends when it is heard."""

        def saying(talk: Any, loop: Any, heard: Callable[[Any], None]) -> None:
            if not self._begins_commit(talk._connection):
                commit(talk, loop, heard)
                return

            def hearing(rows: Any) -> None:
                self._ends_commit()
                heard(rows)

            commit(talk, loop, hearing)

        return saying

    def _begins_commit(self, connection: Any) -> bool:
        """Whether a booking is about to be committed on that connection of the driver."""
        if not self._booking:
            return False
        self._booking = False
        self._moment.batches += 1
        self._due = self._point if self._moment.batches >= self._at else None
        if self._due is Point.BEFORE_COMMIT:
            time.sleep(_dice.uniform(0, 0.06))  # long enough for an answer that does not wait
            self._moment.point = Point.BEFORE_COMMIT
            die()
        self._moment.point = Point.IN_COMMIT
        if self._due is Point.IN_COMMIT:
            die_committing(connection)
        return True

    def _ends_commit(self) -> None:
        self._moment.point = Point.AFTER_COMMIT
        if self._due is Point.AFTER_COMMIT:
            die()

    def written(self, write: Callable[..., Any]) -> Callable[..., Any]:
        """The books' own writing; then the till has something to commit."""

        def writing(*args: Any) -> Any:
            entries = write(*args)
            self._moment.point = Point.BEFORE_COMMIT
            self._booking = True
            return entries

        return writing

    def released(self, release: Callable[..., None]) -> Callable[..., None]:
        """The till's release of answers, after which it holds none."""

        def releasing(*args: Any) -> None:
            release(*args)
            self._moment.point = Point.ELSEWHERE

        return releasing

    def door(self, app: Any) -> Any:
        """The gateway with its paid requests counted, and a body cut in the middle when that is asked for."""

        async def answer(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http" or not scope["path"].startswith("/data/"):
                await app(scope, receive, send)
                return
            paid = False

            async def sending(message: Any) -> None:
                nonlocal paid
                if message["type"] == "http.response.start":
                    paid = message["status"] == 200
                elif paid and self._point is Point.MID_BODY:
                    self._bodies += 1
                    if self._bodies >= self._at:
                        half = message["body"][: len(message["body"]) // 2]
                        await send({"type": "http.response.body", "body": half, "more_body": True})
                        await asyncio.sleep(0.005)  # the server writes from a thread of its own
                        self._moment.point = Point.MID_BODY
                        die()
                await send(message)

            self._moment.in_flight += 1
            try:
                await app(scope, receive, sending)
            finally:
                self._moment.in_flight -= 1

        return answer

    def at_once(self, begin: Callable[..., bool]) -> Callable[..., bool]:
        """What the gateway takes on without a task, counted the same way."""

        def beginning(scope: Any, answered: Callable[[Any], bool]) -> bool:
            def ended(answer: Any) -> bool:
                self._moment.in_flight -= 1
                return answered(answer)

            self._moment.in_flight += 1
            if self._point is not Point.MID_BODY and begin(scope, ended):  # a half body goes through the door
                return True
            self._moment.in_flight -= 1
            return False

        return beginning

    def run(self, serve: Callable[..., None]) -> Callable[..., None]:
        """The server with our door in front of the gateway."""
        return lambda app, listener, trusted, begin: serve(
            self.door(app), listener, trusted, self.at_once(begin)
        )


def in_till() -> bool:
    return threading.current_thread().name == "till"


def die_committing(connection: Any) -> None:
    """Die with the COMMIT under way: half sent or just sent (PostgreSQL), or at some time in it (SQLite)."""
    wire = getattr(connection, "pgconn", None)
    if wire is not None:
        os.write(wire.socket, _dice.choice((COMMIT[:8], COMMIT)))
        time.sleep(_dice.choice((0.0, 0.0005, 0.003)))
        die()
    started = threading.Event()

    def kill() -> None:
        started.wait()
        time.sleep(_dice.uniform(0, 0.001))
        die()

    threading.Thread(target=kill, daemon=True).start()
    started.set()


def shifted(moment: Moment) -> type[datetime]:
    """A datetime whose `now` is as wrong as the director says."""

    class Shifted(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return datetime.now(tz) + timedelta(seconds=moment.shift)

    return Shifted


def become(order: dict[str, Any]) -> NoReturn:
    """In the child: be `shugang gateway`."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: no gateway outlives its launcher
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for standard, file in ((0, nothing), (1, log), (2, log)):
        os.dup2(file, standard)
    os.environ.update(order["environment"])
    moment = Moment(Path(order["moment"]))
    moment.clear()
    point = None if order["point"] is None else Point(order["point"])
    hooks = Hooks(moment, point, order["at"])
    put(sa, "create_engine", hooks.create_engine)
    put(data_plane, "serve_until_told", hooks.run(serve_until_told))
    put(books.SqliteBooks, "write", hooks.written(books.SqliteBooks.write))
    put(books.PostgresBooks, "entries", hooks.written(books.PostgresBooks.entries))
    put(conversation.Conversation, "commit", hooks.said(conversation.Conversation.commit))
    put(till, "release", hooks.released(release))
    put(clock, "datetime", shifted(moment))
    plant(order["bug"])
    sys.argv = ["shugang", "gateway"]
    try:
        shugang()
    finally:
        os._exit(1)


def warm() -> None:
    """Load once, before the first fork, what every start would load: schema and mappers."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/warm.db")
        migrations.upgrade(database)
        store = Store(database)
        require_schema(store)
        with store.view() as view:
            view.session.exec(select(Gate)).all()
        database.close()
    gc.collect()
    gc.freeze()


def serve() -> None:
    """One gateway per line; its process id is the answer."""
    warm()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps
    print("ready", flush=True)
    for line in iter(sys.stdin.readline, ""):
        pid = os.fork()
        if pid == 0:
            become(json.loads(line))
        print(pid, flush=True)


if __name__ == "__main__":
    serve()
    os._exit(0)  # what was frozen for the forks is not to be taken down by hand
