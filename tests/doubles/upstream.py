"""A provider's API as a process of its own: well-behaved, failing, slow, too large, or leading inside; it counts."""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import httpx2

from tests.servers import NO_TLS, free_port, wait_for

ROOT = Path(__file__).resolve().parents[2]


class Api(BaseHTTPRequestHandler):
    """Paths below /v2; `/_seen` tells what came in, `/_mode/{status}` sets what `/v2/moody` answers."""

    protocol_version = "HTTP/1.1"
    seen: ClassVar[Counter[str]] = Counter()
    last: ClassVar[dict[str, Any]] = {}
    mood: ClassVar[list[int]] = [200]

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Quiet."""

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def _answer(self, body: bytes) -> None:
        path = self.path.partition("?")[0]
        if path.startswith("/_"):
            if path.startswith("/_mode/"):
                self.mood[0] = int(path.rpartition("/")[2])
            self._json({"seen": self.seen, "last": self.last})
            return
        self.seen[path] += 1
        self.last.clear()
        self.last.update(
            method=self.command, path=self.path, headers=list(self.headers.items()), body=body.decode()
        )
        name = path.removeprefix("/v2/").partition("/")[0]
        getattr(self, f"say_{name}", self.say_found)()

    def _json(self, document: Any, status: int = 200, **headers: str) -> None:
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for header, value in headers.items():
            self.send_header(header.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def say_found(self) -> None:
        self._json({"data": [1]}, Set_Cookie="track=1", Server="secret/1", X_Internal="10.0.0.9")

    def say_empty(self) -> None:
        self._json({"data": []})

    def say_text(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def say_moody(self) -> None:
        self._json({"mood": self.mood[0]}, self.mood[0])

    def say_away(self) -> None:
        self._json({}, 302, Location="http://169.254.169.254/latest/meta-data/")

    def say_silent(self) -> None:
        time.sleep(6)
        self._json({})

    def say_drip(self) -> None:
        """Headers at once, then a byte now and then: every read is in time, the whole is not."""
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        for _ in range(40):
            self.wfile.write(b".")
            time.sleep(0.3)

    def say_unsayable(self) -> None:
        """A field that no server may pass on."""
        self._json({"data": [1]}, Content_Disposition='attachment; filename="a\x01b"')

    def say_large(self) -> None:
        self._chunks(64, 64 * 1024)

    def say_megabyte(self) -> None:
        self._chunks(16, 64 * 1024)

    def say_slow(self) -> None:
        time.sleep(0.6)
        self._json({"data": [1]})

    def say_huge(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(10**9))
        self.end_headers()

    def say_torn(self) -> None:
        """Half a megabyte of the megabyte it promised."""
        self.send_response(200)
        self.send_header("Content-Length", str(2**20))
        self.end_headers()
        self.wfile.write(b"x" * 2**19)
        self.close_connection = True

    def _chunks(self, number: int, size: int) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for index in range(number):
            self.wfile.write(f"{size:x}\r\n".encode() + bytes([index]) * size + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")


class Provider:
    """The process, from the outside."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    @property
    def calls(self) -> int:
        """How many calls reached it."""
        return sum(httpx2.get(f"{self.url}/_seen", verify=NO_TLS).json()["seen"].values())

    @property
    def last(self) -> dict[str, Any]:
        """The last call as it arrived: method, path, headers as pairs, body."""
        found: dict[str, Any] = httpx2.get(f"{self.url}/_seen", verify=NO_TLS).json()["last"]
        return found

    def mood(self, status: int) -> None:
        """What `/v2/moody` answers from now on."""
        httpx2.get(f"{self.url}/_mode/{status}", verify=NO_TLS)


@contextmanager
def provider_process() -> Iterator[Provider]:
    """Start the API on a free port; stop it afterwards."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "tests.doubles.upstream", str(port)], cwd=ROOT)
    try:
        assert wait_for(f"http://127.0.0.1:{port}/_seen", process, seconds=30)
        yield Provider(port)
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Api).serve_forever()
