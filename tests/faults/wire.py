"""A client that goes away in the middle: what no well-behaved library does."""

import socket
import time
from collections.abc import Callable

from tests.journeys.actors import Person
from tests.live import Server


def begin_upload(server: Server, who: Person, path: str, *, declared: int, content: bytes) -> socket.socket:
    """Announce `declared` bytes to /api/v1{path}, send `content`, and hand over the open connection."""
    host, port = server.url.removeprefix("http://").split(":")
    cookies = "; ".join(f"{name}={value}" for name, value in who.http.cookies.items())
    head = (
        f"POST /api/v1{path} HTTP/1.1\r\nHost: {host}:{port}\r\nCookie: {cookies}\r\n"
        f"X-CSRF-Token: {who.http.headers['X-CSRF-Token']}\r\nX-File-Name: half.csv\r\n"
        f"Content-Type: application/octet-stream\r\nContent-Length: {declared}\r\n\r\n"
    )
    connection = socket.create_connection((host, int(port)), timeout=30)
    connection.sendall(head.encode() + content)
    return connection


def eventually(what: Callable[[], bool], seconds: float = 20) -> None:
    """Wait until something is so. Fails when it does not become so in time."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
