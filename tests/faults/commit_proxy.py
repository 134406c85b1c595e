"""A TCP proxy before PostgreSQL that loses what is said about a COMMIT, in three ways."""

import asyncio
import random
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from enum import Enum

import sqlalchemy as sa

from tests.servers import free_port

COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"


class Loss(Enum):
    """REPLY: the server commits, nobody hears it. REQUEST: it never arrives. LATE: it arrives after we hung up."""

    REPLY = "reply"
    REQUEST = "request"
    LATE = "late"


class CommitProxy:
    """Runs in a thread of its own; `share` of the commits that follow a booking are lost, at `most` so many."""

    LATE_SECONDS = 0.4

    def __init__(self, url: str | sa.URL) -> None:
        server = sa.make_url(url)
        self._host, self._server_port = str(server.query.get("host") or server.host), server.port or 5432
        self.port = free_port()
        self.share = 0.0
        self.most = sys.maxsize
        self.losses: Sequence[Loss] = tuple(Loss)
        self.lost: Counter[Loss] = Counter()
        self.silent_from: bytes | None = None  # once it was said, nobody hears or answers any more,
        self.silent = False  # and nobody new is let in
        self._dice = random.Random(7)
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), daemon=True)
        self._thread.start()
        started.wait(10)

    def url(self, direct: str | sa.URL) -> str:
        """The same database through the proxy."""
        through = sa.make_url(direct).set(
            host="127.0.0.1", port=self.port, query={"sslmode": "disable", "gssencmode": "disable"}
        )
        return through.render_as_string(hide_password=False)

    def _run(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", self.port))
        started.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0.05))
        self._loop.close()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if self.silent:
                raise ConnectionRefusedError
            there, back = await self._server()
        except OSError:
            writer.close()
            return
        answers = asyncio.create_task(_pour(there, writer))
        booking = False
        try:
            while data := await reader.read(1 << 16):
                self.silent = self.silent or bool(self.silent_from and self.silent_from in data)
                if self.silent:
                    continue
                booking = booking or b"INSERT INTO usage_event" in data
                if booking and data.endswith(COMMIT):
                    booking = False
                    if self.lost.total() < self.most and self._dice.random() < self.share:
                        await self._lose(data, answers, writer, back)
                        return
                back.write(data)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            answers.cancel()
            writer.close()
            back.close()

    async def _server(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._host.startswith("/"):
            return await asyncio.open_unix_connection(f"{self._host}/.s.PGSQL.{self._server_port}")
        return await asyncio.open_connection(self._host, self._server_port)

    async def _lose(
        self,
        data: bytes,
        answers: "asyncio.Task[None]",
        writer: asyncio.StreamWriter,
        back: asyncio.StreamWriter,
    ) -> None:
        loss = self._dice.choice(self.losses)
        self.lost[loss] += 1
        answers.cancel()
        if loss is Loss.REPLY:
            back.write(data)
            await back.drain()
            await asyncio.sleep(0.02)
        writer.close()
        if loss is Loss.LATE:
            await asyncio.sleep(self.LATE_SECONDS)
            back.write(data)
            await back.drain()
            await asyncio.sleep(0.02)


async def _pour(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(1 << 16):
            target.write(data)
    except OSError:
        pass
    finally:
        target.close()
