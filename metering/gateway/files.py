"""文件 Sends files: whole or a range, strong ETag and digest from the registered SHA-256, charged before a byte."""

import asyncio
import base64
import os
from collections.abc import Awaitable, Callable
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from metering import ranges
from metering.gateway.answers import ZERO_COPY, disposition, etag_matches, head_of, raw_headers
from metering.gateway.plane import Plane
from metering.gateway.smallfiles import SMALLEST_STREAMED
from metering.ranges import Span
from storage.kernel.problem import Unavailable
from storage.kernel.words import Words
from storage.objects import CHUNK

MEDIA = {
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "json": "application/json",
}
_PIECE = 1024 * 1024  # bytes sent at a time from our own disk
_AWAY = Words("文件暂不可用。", "The file is not available for now.")
_NOWAIT: int = getattr(os, "RWF_NOWAIT", 0)  # Linux only


class FileToSend(NamedTuple):
    """One immutable file: its content's hash and size, and what people call it."""

    sha256: str
    size: int
    name: str
    kind: str

    @property
    def etag(self) -> str:
        """A strong entity tag from the content."""
        return f'"{self.sha256[:32]}"'

    def headers(self, cache: str) -> dict[str, str]:
        """The headers that every answer about the file carries."""
        digest = base64.b64encode(bytes.fromhex(self.sha256)).decode()
        return {
            "ETag": self.etag,
            "Accept-Ranges": "bytes",
            "Repr-Digest": f"sha-256=:{digest}:",
            "Content-Disposition": disposition(self.name),
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": f"{cache}, no-transform",
        }

    @property
    def media(self) -> str:
        """The media type."""
        return MEDIA.get(self.kind, "application/octet-stream")


@lru_cache(maxsize=4096)
def whole_head(file: FileToSend, cache: str) -> bytes:
    """What an answer with the whole file says of it, as lines; made once, because many downloads start in a second."""
    return head_of({**file.headers(cache), "Content-Type": file.media, "Content-Length": str(file.size)})


async def send_file(
    plane: Plane,
    request: Request,
    file: FileToSend,
    *,
    cache: str,
    pay: Callable[[], Awaitable[dict[str, str]]],
    sent: Callable[[Span], None],
    hand_off: Callable[[], str] | None = None,
) -> Response:
    """The answer to GET or HEAD of a file. `pay` is called only when bytes will leave; `sent` afterwards.

    `hand_off` is called after `pay` instead and gives the address from which the object store sends the file.
    Raises RangeNotSatisfiable, Unavailable (the object is away: nothing was paid), whatever `pay` raises.
    """
    headers = file.headers(cache)
    if etag_matches(request.headers.get("if-none-match"), file.etag):
        return Response(None, 304, headers)
    if request.method == "HEAD":
        return Response(None, 200, headers | {"Content-Length": str(file.size)}, media_type=file.media)
    guard = request.headers.get("if-range")
    asked = request.headers.get("range") if guard in {None, file.etag} else None
    span = ranges.wanted(asked, file.size)
    if hand_off is not None:
        if not await plane.in_file_thread(plane.objects.exists, file.sha256):
            raise Unavailable(_AWAY)
        paid = await pay()
        elsewhere = {"Location": await plane.in_file_thread(hand_off), "Cache-Control": "no-store"}
        return Response(None, 303, paid | elsewhere)
    start, end = span or (0, file.size)
    small = await _small(plane, file)
    if small is not None:
        headers |= await pay()
        if span:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.size}"
        return _Whole(
            small[start:end], span or (0, file.size), sent, 206 if span else 200, headers, file.media
        )
    zero_copy = ZERO_COPY in request.scope.get("extensions", {})
    source = await plane.in_file_thread(_opened, plane, file.sha256, start, end, zero_copy=zero_copy)
    try:
        headers |= await pay()
    except BaseException:
        source.close()
        raise
    if span:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.size}"
    return _Stream(plane, source, (start, end), sent, 206 if span else 200, headers, file.media)


async def _small(plane: Plane, file: FileToSend) -> bytes | None:
    """The whole content of a small file; None for one to be streamed. Raises Unavailable."""
    if file.size >= SMALLEST_STREAMED:
        return None
    files = plane.small_files
    if (content := files.get(file.sha256)) is None:
        try:
            content = await files.loading.join(
                file.sha256, lambda: plane.in_file_thread(files.load, file.sha256, file.size)
            )
        except FileNotFoundError:
            raise Unavailable(_AWAY) from None
        files.keep(file.sha256, content)
    return content


def _opened(plane: Plane, sha256: str, start: int, end: int, *, zero_copy: bool) -> "Source":
    """The bytes, from our own disk when they lie there. Raises Unavailable."""
    try:
        path = plane.objects.local_path(sha256)
        if path is not None:
            return LocalSource(plane, path, zero_copy=zero_copy)
        return RemoteSource(plane, plane.objects.open(sha256, start, end - start))
    except FileNotFoundError:
        raise Unavailable(_AWAY) from None


class Source(Protocol):
    """Where the bytes of a file come from, piece by piece."""

    async def send(self, send: Send, at: int, end: int) -> int:
        """Send the piece that begins at `at` and ends at or before `end`; returns its length in bytes."""
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...


class RemoteSource:
    """A span of an object in a store."""

    def __init__(self, plane: Plane, file: BinaryIO) -> None:
        self._plane, self._file = plane, file

    async def send(self, send: Send, at: int, end: int) -> int:
        return await _send_body(send, await self._plane.in_file_thread(self._file.read, CHUNK), at, end)

    def close(self) -> None:
        self._file.close()


class LocalSource:
    """A file on our disk.

    The kernel sends what it has in memory, when the server can ask it to. Whether it has the end of a piece is asked
    first (RWF_NOWAIT); if not, a thread reads the piece, so that the disk keeps nobody else waiting.
    """

    def __init__(self, plane: Plane, path: Path, *, zero_copy: bool) -> None:
        self._plane, self._zero_copy = plane, zero_copy
        self._handle = os.open(path, os.O_RDONLY)
        self._probe = bytearray(1)

    async def send(self, send: Send, at: int, end: int) -> int:
        size = min(_PIECE, end - at)
        if not self._zero_copy or not self._at_hand(at + size - 1):
            data = await self._plane.in_file_thread(os.pread, self._handle, size, at)
            return await _send_body(send, data, at, end)
        message = {"file": self._handle, "offset": at, "count": size, "more_body": at + size < end}
        await send({"type": ZERO_COPY, **message})
        return size

    def _at_hand(self, offset: int) -> bool:
        if not _NOWAIT:
            return False
        try:
            return os.preadv(self._handle, [self._probe], offset, _NOWAIT) == 1
        except OSError:  # would wait, or this file system cannot say
            return False

    def close(self) -> None:
        os.close(self._handle)


async def _send_body(send: Send, data: bytes, at: int, end: int) -> int:
    if not data:
        raise RuntimeError("the file is shorter than registered")
    await send({"type": "http.response.body", "body": data, "more_body": at + len(data) < end})
    return len(data)


class _Whole(Response):
    """Sends a small file, or a span of it, at once."""

    def __init__(
        self,
        body: bytes,
        span: Span,
        sent: Callable[[Span], None],
        status: int,
        headers: dict[str, str],
        media: str,
    ) -> None:
        # Not the framework's own way to headers: thousands of small downloads begin in a second.
        self.status_code, self.body, self.background = status, body, None
        self.raw_headers = list(raw_headers(headers))
        self.raw_headers += [(b"content-type", media.encode()), (b"content-length", b"%d" % len(body))]
        self._span, self._sent = span, sent

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        gone = asyncio.create_task(disconnected(receive))
        await asyncio.sleep(0)  # it looks once
        left = gone.done()  # sending to nobody raises nothing
        gone.cancel()
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body})
        if not left:
            self._sent(self._span)


class _Stream(Response):
    """Sends a span of a file and says afterwards which part of it left."""

    def __init__(
        self,
        plane: Plane,
        source: Source,
        span: Span,
        sent: Callable[[Span], None],
        status: int,
        headers: dict[str, str],
        media: str,
    ) -> None:
        super().__init__(None, status, headers | {"Content-Length": str(span[1] - span[0])}, media)
        self._plane, self._source, self._span, self._sent = plane, source, span, sent

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        gone = asyncio.create_task(disconnected(receive))
        start, end = self._span
        at = start
        try:
            with closing(self._source):
                await send(
                    {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
                )
                while at < end and not gone.done():
                    sent = await self._source.send(send, at, end)
                    if not gone.done():
                        at += sent
                if start == end:
                    await send({"type": "http.response.body", "body": b""})
        except ConnectionResetError:
            pass  # the caller has gone in the middle of a piece
        finally:
            gone.cancel()
            self._sent((start, at))


async def disconnected(receive: Receive) -> None:
    """Return when the caller has gone away."""
    while (await receive())["type"] != "http.disconnect":
        pass
