"""文件 Sends files: whole or a range, strong ETag and digest from the registered SHA-256, charged before a byte."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass
from typing import BinaryIO

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from metering import ranges
from metering.gateway.answers import disposition, etag_matches
from metering.gateway.plane import Plane
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


@dataclass(frozen=True, slots=True)
class FileToSend:
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
            "Cache-Control": f"{cache}, no-transform",
            "X-Content-Type-Options": "nosniff",
        }

    @property
    def media(self) -> str:
        """The media type."""
        return MEDIA.get(self.kind, "application/octet-stream")


async def send_file(
    plane: Plane,
    request: Request,
    file: FileToSend,
    *,
    cache: str,
    pay: Callable[[], Awaitable[dict[str, str]]],
    sent: Callable[[Span], None],
) -> Response:
    """The answer to GET or HEAD of a file. `pay` is called only when bytes will leave; `sent` afterwards.

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
    start, end = span or (0, file.size)
    try:
        source = await plane.in_thread(plane.objects.open, file.sha256, start, end - start)
    except FileNotFoundError:
        raise Unavailable(Words("文件暂不可用。", "The file is not available for now.")) from None
    try:
        headers |= await pay()
    except BaseException:
        source.close()
        raise
    if span:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.size}"
    return _Stream(plane, source, (start, end), sent, 206 if span else 200, headers, file.media)


class _Stream(Response):
    """Sends a span of a file and says afterwards which part of it left."""

    def __init__(
        self,
        plane: Plane,
        source: BinaryIO,
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
                    data = await self._plane.in_thread(self._source.read, min(CHUNK, end - at))
                    if not data:
                        raise RuntimeError("the file is shorter than registered")
                    await send(
                        {"type": "http.response.body", "body": data, "more_body": at + len(data) < end}
                    )
                    if not gone.done():
                        at += len(data)
                if start == end:
                    await send({"type": "http.response.body", "body": b""})
        finally:
            gone.cancel()
            await self._plane.in_thread(self._sent, (start, at))


async def disconnected(receive: Receive) -> None:
    """Return when the caller has gone away."""
    while (await receive())["type"] != "http.disconnect":
        pass
