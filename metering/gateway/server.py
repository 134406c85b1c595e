"""Serve an ASGI application from this one process until it is told to stop.

uvicorn speaks HTTP/1.1. Its protocol learns three things here: what the application can answer at once is written
without a task of its own, files leave by sendfile, and who neither finishes a request nor takes its answer is cut off.
"""

import asyncio
import fcntl
import gc
import multiprocessing
import os
import signal
import socket
import struct
import sys
import termios
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from math import inf
from typing import Any, NamedTuple

import uvicorn
import uvloop
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from metering.gateway.answers import ZERO_COPY, Answered, WholeAnswer

AtOnce = Callable[[Scope, Answered], bool]
"""Takes a request on, or says no. Calls back on the event loop with what answers, once."""

_BACKLOG = 2048
_COLLECT = (10_000, 5, 100)  # what is remembered of many requests is walked through seldom: it holds the loop
_HEADER_SECONDS = 30.0
_BODY_SECONDS = 30.0  # until the next piece of a body
_TAKING_SECONDS = 60.0  # in which a client takes something of what waits for it
_HEADER_BYTES = 64 * 1024
_IN_LINE = 64  # requests of a connection that wait for the answer to the one before
_SWITCH_SECONDS = 0.001  # a thread waits so long for the interpreter of a busy loop, several times a query
_IDLE_SECONDS = 75  # a connection nobody uses
_GRACE_SECONDS = 8  # for answers under way when we are told to stop; a download resumes elsewhere
_PIECE = 1024 * 1024  # bytes between two turns of the others, whom a fast client must not keep from the loop
_OK = b"HTTP/1.1 200 OK\r\n"
_EXTENSIONS: dict[str, Any] = {ZERO_COPY: {}}
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class _Nowhere(list[tuple[bytes, bytes]]):
    """Where the fields after a body go, which nobody has a use for."""

    def append(self, _: tuple[bytes, bytes], /) -> None:
        """Forget it."""


_NOWHERE = _Nowhere()


def bound(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A socket at that address; several may have it when each says that it is shared. Raises OSError."""
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # what it accepts has it, too
        if shared:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.bind((host, port))
    except OSError:
        made.close()
        raise
    return made


def serve_until_told(
    app: ASGIApp,
    listener: socket.socket,
    trusted_proxies: tuple[str, ...] = (),
    at_once: AtOnce | None = None,
) -> None:
    """Run the application's lifespan and answer HTTP/1.1 until SIGTERM or SIGINT. Raises what its startup raises.

    A process that another one began with `multiprocessing` also ends when that one does.
    """

    async def until_told() -> None:
        told = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, told.set)
        if (parent := multiprocessing.parent_process()) is not None:
            sentinel = parent.sentinel

            def gone() -> None:
                loop.remove_reader(sentinel)
                told.set()

            loop.add_reader(sentinel, gone)
        await serve(app, listener, told, trusted_proxies, at_once)

    with tuned():
        uvloop.run(until_told())


@contextmanager
def tuned() -> Iterator[None]:
    """Let the interpreter serve many: shorter waits for it, and seldom a walk through what is remembered."""
    sys.setswitchinterval(_SWITCH_SECONDS)
    gc.freeze()  # what stands now stays until the end: no collection walks through it again
    usual = gc.get_threshold()
    gc.set_threshold(*_COLLECT)
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()


async def serve(
    app: ASGIApp,
    listener: socket.socket,
    told: asyncio.Event,
    trusted_proxies: tuple[str, ...] = (),
    at_once: AtOnce | None = None,
    header_seconds: float = _HEADER_SECONDS,
    body_seconds: float = _BODY_SECONDS,
    taking_seconds: float = _TAKING_SECONDS,
) -> None:
    """The same until the event is set; then the listener is closed.

    The headers of a request have to be there within `header_seconds`, each piece of its body within `body_seconds`
    of the one before, and a client has to take some of its answer every `taking_seconds`.
    """
    limits = _Limits(header_seconds, body_seconds, taking_seconds)
    config = uvicorn.Config(
        app,
        http=partial(_Protocol, at_once, limits),  # type: ignore[arg-type]  # whatever makes a protocol
        ws="none",
        lifespan="off",  # ours: an application that cannot start must not look alive
        interface="asgi3",
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=list(trusted_proxies),
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    server = _Server(config)
    config.load()
    await server.on_tick(0)  # the first answer, too, says when it was made
    async with _lifespan(app):
        stopping = asyncio.create_task(_stop(server, told))
        try:
            await server.serve([listener])
        finally:
            stopping.cancel()


async def _stop(server: uvicorn.Server, told: asyncio.Event) -> None:
    await told.wait()
    server.should_exit = True


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are ours: the till settles what waits after the last answer."""
        yield

    async def on_tick(self, counter: int) -> bool:
        if counter % 10 == 0:  # each second
            now = time.monotonic()
            for connection in list(self.server_state.connections):
                if isinstance(connection, _Protocol):
                    connection.end_when_due(now)
        return await super().on_tick(counter)


class _Limits(NamedTuple):
    """Seconds that a client has."""

    header: float
    body: float
    taking: float


def _unsent(descriptor: int) -> int:
    """Bytes that the other side of a connection has not yet said to have; none of one that is closed."""
    try:
        return int(struct.unpack("i", fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4)))[0])
    except (OSError, ValueError):
        return 0


class _Taken:
    """A request the application took on, where uvicorn's protocol expects one under way; one object per connection."""

    __slots__ = ("body", "disconnected", "keep_alive", "more_body", "response_complete", "scope")

    def __init__(self) -> None:
        self.response_complete = True
        self.disconnected = False

    def begin(self, scope: Scope) -> None:
        self.scope = scope
        self.body = b""  # what may come after the headers of a GET
        self.more_body = self.response_complete = False
        self.keep_alive = True

    @property
    def message_event(self) -> "_Taken":
        return self

    def set(self) -> None:
        """Nobody waits for what else the client says."""


class _Protocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, at_once: AtOnce | None, limits: _Limits, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._at_once = at_once
        self._limits = limits
        self._taken = _Taken()
        self._asking = False  # headers have begun and are not complete
        self._unfinished = False  # a request has begun and is not complete
        self._embodied = False  # some of its body has just come
        self._asked = 0  # bytes of headers, or of what follows on the last piece of a body
        self._dated: list[tuple[bytes, bytes]] | None = None  # the headers of every answer
        self._first = b""  # lines with these
        self.until = inf  # monotonic: then it is closed
        self._waiting = 0  # bytes that wait for the client to take them, a second ago
        self._taken_until = inf  # monotonic: then it has to have taken some

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        self.until = time.monotonic() + self._limits.header
        super().connection_made(transport)

    def end_when_due(self, now: float) -> None:
        """What is looked at each second: whether the client still does its part."""
        if waiting := self.transport.get_write_buffer_size():
            waiting += _unsent(self.transport.get_extra_info("socket").fileno())
            if not 0 < self._waiting <= waiting:
                self._taken_until = now + self._limits.taking
            elif self._taken_until < now:
                self.transport.abort()  # closing would wait for the client to take the rest
        elif self.flow.read_paused:  # it is we who do not go on
            self.until = max(self.until, now + self._limits.body)
        elif self.until < now:
            self.transport.close()
        self._waiting = waiting

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._unfinished:
            self._count(len(data))

    def _count(self, size: int) -> None:
        """Bound what is neither body nor a whole request: the parser keeps a field until it ends."""
        if self._embodied:
            self._embodied = False
            self._asked = 0
            self.until = time.monotonic() + self._limits.body
            return
        self._asked += size
        if self._asked <= _HEADER_BYTES or self.transport.is_closing():
            return
        if self._asking and (self.cycle is None or self.cycle.response_complete):
            self.transport.write(_TOO_LARGE)
            self.transport.close()
        else:  # its answer may be under way
            self.transport.abort()

    def on_message_begin(self) -> None:
        self.until = time.monotonic() + self._limits.header
        self._asking = self._unfinished = True
        self._asked = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self.until = time.monotonic() + self._limits.body
        self._asking = False
        self.headers = _NOWHERE  # the request has its own; what still comes are trailers, of any number
        if self._taken_on():
            return
        if len(self.pipeline) >= _IN_LINE:
            self.transport.abort()  # an answer may be under way
            raise ConnectionAbortedError("too many requests in line")  # so nothing more of this is parsed
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._embodied = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """What uvicorn's does, without asking for an upgrade that there is not."""
        self._unfinished = self._embodied = False
        cycle = self.cycle
        if cycle.response_complete:
            self.until = time.monotonic() + _IDLE_SECONDS
        else:
            self.until = inf
            cycle.more_body = False
            cycle.message_event.set()

    def _taken_on(self) -> bool:
        """Whether the application answers at once: a plain GET on a connection that waits for nothing else."""
        before = self.cycle
        if (
            self._at_once is None
            or (before is not None and not before.response_complete)
            or self.parser.get_method() != b"GET"
            or not self.parser.should_keep_alive()
        ):
            return False
        path, _, query = self.url.partition(b"?")
        if b"%" in path:
            return False
        scope: Scope = self.scope  # type: ignore[assignment]  # uvicorn's type of the same
        scope.update(method="GET", path=path.decode("ascii"), raw_path=path, query_string=query)
        self._taken.begin(scope)
        self.cycle = self._taken  # type: ignore[assignment]
        if self._at_once(scope, self._answer):
            return True
        self._taken.response_complete = True
        self.cycle = before
        return False

    def _answer(self, answer: WholeAnswer | Response) -> bool:
        """What was taken on is ready: one write, unless the connection is not as it mostly is."""
        taken = self._taken
        if taken.disconnected or self.transport.is_closing():
            return False
        taken.response_complete = True
        if (
            not isinstance(answer, WholeAnswer)
            or answer.status_code != 200
            or not taken.keep_alive
            or self.flow.write_paused
        ):
            self._start_asgi_task(self._cycle(taken), answer)
            return True
        if self._dated is not self.server_state.default_headers:  # made anew each second
            self._dated = self.server_state.default_headers
            self._first = _OK + b"".join(b"%b: %b\r\n" % pair for pair in self._dated)
        self.transport.write(b"".join((self._first, answer.head, b"\r\n", answer.body)))
        self.on_response_complete()
        return True

    def _cycle(self, taken: _Taken) -> RequestResponseCycle:
        """Uvicorn's own, for an answer that has to be sent its way."""
        cycle = RequestResponseCycle(
            scope=taken.scope,  # type: ignore[arg-type]  # uvicorn's type of the same
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=taken.keep_alive,
            on_response=self.on_response_complete,
        )
        if not self.pipeline:  # nothing came after it
            self.cycle = cycle
        return cycle

    def on_response_complete(self) -> None:
        """What uvicorn's does, without a timer for each answer."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self.until = time.monotonic() + _IDLE_SECONDS
        if not self.pipeline:
            self.flow.resume_reading()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        cycle.scope["extensions"] = _EXTENSIONS
        super()._start_asgi_task(cycle, partial(self._run, cycle, app))

    def _run(self, cycle: RequestResponseCycle, app: Any, scope: Any, receive: Any, send: Any) -> Any:
        """The application with a `send` that knows files."""
        return app(scope, receive, partial(self._send, cycle, send))

    def _send(
        self, cycle: RequestResponseCycle, send: Callable[[Any], Awaitable[None]], message: Message
    ) -> Awaitable[None]:
        if message["type"] == ZERO_COPY:
            return self._send_file(cycle, send, message)
        return send(message)

    async def _send_file(
        self, cycle: RequestResponseCycle, send: Callable[[Any], Awaitable[None]], message: Message
    ) -> None:
        """Raises ConnectionResetError when not all of it left."""
        file, offset, count = message["file"], message["offset"], message["count"]
        await self._drained()
        if cycle.disconnected or self.transport.is_closing():
            raise ConnectionResetError
        # Our own descriptor: the transport's may be closed meanwhile, and its number given to somebody else.
        target = os.dup(self.transport.get_extra_info("socket").fileno())
        try:
            end = offset + count
            while offset < end:
                await asyncio.sleep(0)
                try:
                    sent = os.sendfile(target, file, offset, min(end - offset, _PIECE))
                except BlockingIOError:
                    await self._writable(target)
                    if cycle.disconnected:
                        raise ConnectionResetError from None
                    continue
                if not sent:
                    raise RuntimeError("the file is shorter than it was said to be")
                offset += sent
        except OSError:  # also when the client took nothing for too long
            self.transport.abort()
            raise ConnectionResetError from None
        finally:
            os.close(target)
        cycle.expected_content_length -= count
        await send({"type": "http.response.body", "body": b"", "more_body": message.get("more_body", False)})

    async def _drained(self) -> None:
        """Wait until everything written before has left."""
        self.transport.set_write_buffer_limits(0)
        try:
            await self.flow.drain()
        finally:
            self.transport.set_write_buffer_limits()

    async def _writable(self, target: int) -> None:
        """Wait until more can be written. Raises TimeoutError when the client takes nothing."""
        ready = asyncio.Event()
        self.loop.add_writer(target, ready.set)
        try:
            while not ready.is_set():
                before = _unsent(target)
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._limits.taking):
                        await ready.wait()
                if not ready.is_set() and _unsent(target) >= before:
                    raise TimeoutError
        finally:
            self.loop.remove_writer(target)


@asynccontextmanager
async def _lifespan(app: ASGIApp) -> AsyncIterator[None]:
    """The ASGI lifespan protocol, as a context. Raises what the application raises at start or stop."""
    asked: asyncio.Queue[Message] = asyncio.Queue()
    answered: asyncio.Queue[Message] = asyncio.Queue()
    running = asyncio.ensure_future(
        app({"type": "lifespan", "asgi": {"version": "3.0"}}, asked.get, answered.put)
    )

    async def told(step: str) -> None:
        asked.put_nowait({"type": f"lifespan.{step}"})
        answer = asyncio.create_task(answered.get())
        await asyncio.wait({running, answer}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            answer.cancel()
            await running  # raises what ended it
            raise RuntimeError(f"the application ended at {step}")
        if answer.result()["type"] != f"lifespan.{step}.complete":
            raise RuntimeError(f"{step} failed: {answer.result().get('message', '')}")

    await told("startup")
    try:
        yield
    finally:
        await told("shutdown")
        await running
