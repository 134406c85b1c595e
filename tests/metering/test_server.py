"""The server in front of the gateway: what is answered at once, in order, in full, and who is cut off."""

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from metering.gateway.answers import ZERO_COPY, Answered, WholeAnswer
from metering.gateway.server import bound
from tests import servers
from tests.metering.listening import listening

BODY = b"at once"
BIG = os.urandom(9_000_000)


class App:
    """Answers `/task` by a task, `/file` from a file, and takes `/once` on to answer it a moment later.

    `/big` is a large answer from memory; `/busy` reads the body only after a while.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.taken: list[str] = []
        self.delay = 0.0
        self.answer: Callable[[Scope], WholeAnswer | Response] = lambda _: WholeAnswer(
            b"content-length: 7\r\nx-way: at once\r\n", BODY
        )
        self.reached: list[bool] = []
        self.broken: list[str] = []
        self.headers: list[tuple[bytes, bytes]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            for step in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{step}.complete"})
            return
        if scope["path"] == "/file":
            await self._file(send)
            return
        if scope["path"] == "/big":
            await Response(BIG[10:])(scope, receive, send)
            return
        if scope["path"] == "/busy":
            await asyncio.sleep(3)
        self.headers = scope["headers"]
        body = await Request(scope, receive).body()
        await PlainTextResponse(b"task " + scope["path"].encode() + body)(scope, receive, send)

    async def _file(self, send: Send) -> None:
        handle = os.open(self.file, os.O_RDONLY)
        try:
            length = str(len(BIG) - 10).encode()
            await send(
                {"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]}
            )
            await send({"type": "http.response.body", "body": BIG[10:20], "more_body": True})
            piece = {"type": ZERO_COPY, "file": handle, "more_body": True}
            await send({**piece, "offset": 20, "count": 4_000_000})
            await send({**piece, "offset": 4_000_020, "count": len(BIG) - 4_000_020, "more_body": False})
        except ConnectionResetError:
            self.broken.append("reset")
            raise
        finally:
            os.close(handle)

    def at_once(self, scope: Scope, answered: Answered) -> bool:
        if scope["path"] != "/once":
            return False
        self.taken.append(scope["query_string"].decode())

        def answer() -> None:
            self.reached.append(answered(self.answer(scope)))

        asyncio.get_running_loop().call_later(self.delay, answer)
        return True


@pytest.fixture
def app(tmp_path: Path) -> App:
    file = tmp_path / "big"
    file.write_bytes(BIG)
    return App(file)


@contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        yield connection


@pytest.fixture
def port(app: App) -> Iterator[int]:
    number = servers.free_port()
    with listening(app, number, app.at_once):
        yield number


def read_all(connection: socket.socket) -> bytes:
    """Everything until the other side closes."""
    said = bytearray()
    with suppress(ConnectionResetError):
        while piece := connection.recv(1 << 16):
            said += piece
    return bytes(said)


def read_to(connection: socket.socket, ending: bytes) -> bytes:
    """Everything up to and with these bytes."""
    said = b""
    while not said.endswith(ending) and (piece := connection.recv(1 << 16)):
        said += piece
    assert said.endswith(ending)
    return said


def until(true: Callable[[], bool]) -> bool:
    """Whether it becomes so."""
    deadline = time.monotonic() + 10
    while not true() and time.monotonic() < deadline:
        time.sleep(0.02)
    return true()


def get(path: str, *more: str) -> bytes:
    lines = (f"GET {path} HTTP/1.1", "Host: here", *more, "", "")
    return "\r\n".join(lines).encode()


def exchange(port: int, *requests: bytes) -> bytes:
    with connected(port) as connection:
        connection.sendall(b"".join(requests))
        return read_all(connection)


def test_one_write_holds_the_whole_answer(app: App, port: int) -> None:
    with connected(port) as connection:
        for number in range(3):  # on one connection
            connection.sendall(get(f"/once?n={number}"))
            said = read_to(connection, BODY).decode()
            head, _, body = said.partition("\r\n\r\n")
            assert head.startswith("HTTP/1.1 200 OK\r\n")
            assert "x-way: at once" in head
            assert "\r\ndate: " in head
            assert body == BODY.decode()
    assert app.taken == ["n=0", "n=1", "n=2"]
    assert until(lambda: app.reached == [True] * 3)


def test_pipelined_requests_are_answered_in_order(app: App, port: int) -> None:
    app.delay = 0.05
    last = get("/after", "Connection: close")
    said = exchange(port, get("/once?a"), get("/task"), get("/once?b"), last)
    ways = [said.find(word) for word in (b"x-way", b"task /task", b"task /once", b"task /after")]
    assert ways == sorted(ways)
    assert min(ways) > 0
    assert app.taken == ["a"]  # what waits in line is answered the usual way


def test_who_asks_on_without_hearing_is_cut_off(app: App, port: int) -> None:
    app.delay = 0.05
    line = [get("/task")] * 60
    said = exchange(port, *line, get("/after", "Connection: close"))
    assert said.count(b"task /task") == 60
    assert b"task /after" in said
    with connected(port) as crowd:
        crowd.sendall(get("/busy") + get("/task") * 1_000)
        began = time.monotonic()
        assert read_all(crowd) == b""
        assert time.monotonic() - began < 2  # before the first answer, which takes three


@pytest.mark.parametrize(
    ("path", "more"),
    [("/once", ["Connection: close"]), ("/%6fnce", []), ("/other", [])],
)
def test_what_is_not_a_plain_request_goes_the_usual_way(
    app: App, port: int, path: str, more: list[str]
) -> None:
    with connected(port) as connection:
        connection.sendall(get(path, *more))
        decoded = path.replace("%6f", "o").encode()
        assert b"200 OK" in read_to(connection, b"task " + decoded)
    assert not app.taken


def test_a_refusal_and_a_body_after_a_get_keep_the_connection_in_step(app: App, port: int) -> None:
    app.answer = lambda _: PlainTextResponse("no", 403)
    body = get("/once", "Content-Length: 5") + b"hello"
    said = exchange(port, body, get("/end", "Connection: close"))
    assert said.count(b"HTTP/1.1 ") == 2
    assert b"403 Forbidden" in said
    assert said.endswith(b"task /end")


def test_who_has_gone_is_not_said_to_have_been_reached(app: App, port: int) -> None:
    app.delay = 0.4
    with connected(port) as connection:
        connection.sendall(get("/once"))
        time.sleep(0.1)
    assert until(lambda: app.reached == [False])


def test_an_answer_under_way_is_given_before_the_server_stops(app: App) -> None:
    app.delay = 0.5
    number = servers.free_port()
    heard: list[bytes] = []

    def ask() -> None:
        with connected(number) as connection:
            connection.sendall(get("/once"))
            heard.append(read_all(connection))

    with listening(app, number, app.at_once):
        asking = threading.Thread(target=ask)
        asking.start()
        while not app.taken:
            time.sleep(0.01)
    asking.join()
    assert heard[0].endswith(BODY)
    assert b"connection: close" in heard[0]


def test_a_file_leaves_by_pieces_and_whole(port: int) -> None:
    said = exchange(port, get("/file"), get("/end", "Connection: close"))
    body = said.partition(b"\r\n\r\n")[2]
    assert body[: len(BIG) - 10] == BIG[10:]
    assert body.endswith(b"task /end")


def test_a_slow_reader_gets_the_file_and_a_lost_one_breaks_it_off(app: App, port: int) -> None:
    with connected(port) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        slow.sendall(get("/file", "Connection: close"))
        time.sleep(0.3)
        assert read_all(slow).partition(b"\r\n\r\n")[2] == BIG[10:]
    assert not app.broken
    with connected(port) as lost:
        lost.sendall(get("/file"))
        lost.recv(1000)
    assert until(lambda: app.broken == ["reset"])
    assert exchange(port, get("/end", "Connection: close")).endswith(b"task /end")


def test_headers_without_end_and_without_haste_are_cut_off(app: App, port: int) -> None:
    endless = b"GET / HTTP/1.1\r\nHost: here\r\n" + b"X-More: " + b"a" * 200_000
    assert exchange(port, endless).startswith(b"HTTP/1.1 431 ")
    hasty = servers.free_port()
    began = time.monotonic()
    with listening(app, hasty, header_seconds=0.5), connected(hasty) as silent, connected(hasty) as halting:
        halting.sendall(b"GET / HTTP/1.1\r\nHo")
        assert read_all(silent) == read_all(halting) == b""
    assert time.monotonic() - began < 10


CHUNKED = b"POST /task HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n"


def test_fields_after_a_body_are_dropped(app: App, port: int) -> None:
    said = exchange(port, CHUNKED + b"X-Late: 1\r\n\r\n", get("/end", "Connection: close"))
    assert b"task /taskbody" in said
    assert said.endswith(b"task /end")
    with connected(port) as connection:
        connection.sendall(CHUNKED + b"X-Late: 1\r\n" * 100)
        assert until(lambda: len(app.headers) == 2 and app.headers[1][0] == b"transfer-encoding")
        time.sleep(0.2)
        assert len(app.headers) == 2


@pytest.mark.parametrize("endless", [b"a: b\r\n", b"a", b"a: b"], ids=["fields", "name", "value"])
def test_fields_after_a_body_are_bounded(port: int, endless: bytes) -> None:
    with connected(port) as connection:
        connection.sendall(CHUNKED + b"X-Late: ")
        with pytest.raises(ConnectionError):
            for _ in range(500):
                connection.sendall(endless * 10_000)


def test_a_large_body_in_chunks_arrives_whole(port: int) -> None:
    chunk = b"8000\r\n" + b"a" * 0x8000 + b"\r\n"
    head = CHUNKED.partition(b"4\r\n")[0].replace(b"Host", b"Connection: close\r\nHost")
    said = exchange(port, head, *[chunk] * 40, b"0\r\n\r\n")
    assert said.endswith(b"a" * 0x8000 * 40)


@pytest.mark.parametrize(
    ("begun", "more"),
    [
        (b"POST /task HTTP/1.1\r\nHost: here\r\nContent-Length: 10\r\n\r\na", b""),
        (CHUNKED, b"a: b\r\n"),
    ],
    ids=["a body that stops", "fields that go on"],
)
def test_who_does_not_finish_a_request_is_cut_off(app: App, begun: bytes, more: bytes) -> None:
    number = servers.free_port()
    with listening(app, number, body_seconds=0.5), connected(number) as connection:
        connection.sendall(begun)
        connection.settimeout(0.2)
        began = time.monotonic()
        with suppress(ConnectionError):
            while time.monotonic() - began < 10:
                with suppress(TimeoutError):
                    if connection.recv(1 << 16) == b"":
                        break
                connection.sendall(more)
        assert time.monotonic() - began < 8


def test_who_goes_on_with_a_request_is_heard(app: App) -> None:
    number = servers.free_port()
    said = b"POST /%s HTTP/1.1\r\nHost: here\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    with listening(app, number, body_seconds=2.5):
        with connected(number) as slow:
            slow.sendall(said % (b"task", 10))
            for _ in range(10):
                time.sleep(0.4)
                slow.sendall(b"a")
            assert read_all(slow).endswith(b"task /task" + b"a" * 10)
        size = 20_000_000  # more than the system takes by itself: the application is waited for
        with connected(number) as waiting:
            waiting.sendall(said % (b"busy", size) + b"a" * size)
            assert len(read_all(waiting)) > size


@pytest.mark.parametrize("path", ["/file", "/big"])
def test_who_takes_nothing_of_an_answer_is_cut_off(app: App, path: str) -> None:
    number = servers.free_port()
    with listening(app, number, taking_seconds=0.5), connected(number) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        connection.sendall(get(path))
        time.sleep(4)
        assert len(read_all(connection)) < len(BIG) - 10
        assert path == "/big" or until(lambda: app.broken == ["reset"])


@pytest.mark.parametrize("path", ["/file", "/big"])
def test_who_takes_an_answer_slowly_gets_it_whole(app: App, path: str) -> None:
    number = servers.free_port()
    with listening(app, number, taking_seconds=3), connected(number) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        connection.sendall(get(path, "Connection: close"))
        said = b""
        for _ in range(15):
            time.sleep(0.3)
            said += connection.recv(40_000)
        assert (said + read_all(connection)).partition(b"\r\n\r\n")[2] == BIG[10:]


def test_the_system_looks_after_silent_connections() -> None:
    with bound("127.0.0.1", 0) as listener:
        listener.listen()
        with socket.create_connection(listener.getsockname()), listener.accept()[0] as accepted:
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_nonsense_is_refused(port: int) -> None:
    assert exchange(port, b"\x16\x03\x01\x02\x00\x01\r\n\r\n").startswith(b"HTTP/1.1 400 ")


def test_who_trusts_a_proxy_sees_the_caller_behind_it() -> None:
    seen: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            seen.append(scope["client"][0])
            await PlainTextResponse("ok")(scope, receive, send)
            return
        for step in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{step}.complete"})

    for trusted in ((), ("127.0.0.1",)):
        number = servers.free_port()
        with listening(app, number, trusted_proxies=trusted):
            exchange(number, get("/", "X-Forwarded-For: 10.1.2.3", "Connection: close"))
    assert seen[-1] == "10.1.2.3"
    assert "10.1.2.3" not in seen[:-1]
