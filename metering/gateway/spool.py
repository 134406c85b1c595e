"""候发 Answers of providers' APIs, kept until they are whole: only then are they charged, and sent as fast as a buyer reads."""

import tempfile
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import IO, ParamSpec, Protocol, TypeVar

import structlog

from metering.problems import NoRoomForAnswer
from metering.upstream_client import failed

P = ParamSpec("P")
T = TypeVar("T")
log = structlog.get_logger(__name__)


class InThread(Protocol):
    """Runs blocking work in a pool of threads."""

    def __call__(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]: ...


class Spool:
    """One per gateway. What exceeds `held` bytes of an answer lies in a file without a name, which a crash leaves nothing of."""

    def __init__(self, folder: Path, in_thread: InThread, *, held: int, most: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self._in_thread, self.held = folder, in_thread, held
        self._free = most

    async def gather(self, chunks: AsyncIterable[bytes], most: int) -> "Spooled":
        """Read an answer to its end. Raises UpstreamFailed above `most` bytes, NoRoomForAnswer, and what `chunks` raises."""
        spooled = Spooled(self)
        try:
            async for chunk in chunks:
                spooled.refuse_more(len(chunk), most)
                await spooled.add(chunk)
        except BaseException:
            spooled.close()
            raise
        return spooled

    async def on_disk(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Raises NoRoomForAnswer when the disk is full or fails."""
        try:
            return await self._in_thread(work, *args, **kwargs)
        except OSError as error:
            log.warning("spool.failed", error=error.strerror)
            raise NoRoomForAnswer from None

    def reserve(self, size: int) -> None:
        """Take room on the disk. Raises NoRoomForAnswer."""
        if size > self._free:
            raise NoRoomForAnswer
        self._free -= size

    def release(self, size: int) -> None:
        """Give room back."""
        self._free += size


class Spooled:
    """A whole answer of `size` bytes: its beginning in a file, when it is long, its end in memory. Close it."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._file: IO[bytes] | None = None
        self._filed = 0
        self._end = bytearray()

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self._filed + len(self._end)

    @property
    def at_hand(self) -> bytes | None:
        """All of it, when it is short."""
        return None if self._filed else bytes(self._end)

    def refuse_more(self, size: int, most: int) -> None:
        """Raise UpstreamFailed when so many bytes more are too many."""
        if self.size + size > most:
            raise failed("too_large", limit_bytes=most)

    async def add(self, chunk: bytes) -> None:
        """Append. Raises NoRoomForAnswer."""
        self._end += chunk
        if len(self._end) <= self._spool.held:
            return
        part, self._end = bytes(self._end), bytearray()
        self._spool.reserve(len(part))
        self._filed += len(part)
        await self._spool.on_disk(self._write, part)

    def _write(self, part: bytes) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._spool.folder)  # noqa: SIM115  # closed with this
        self._file.write(part)

    async def portions(self) -> AsyncIterator[bytes]:
        """The bytes in order, a part at a time. Raises NoRoomForAnswer when the disk fails."""
        if self._file is not None:
            await self._spool.on_disk(self._file.seek, 0)
            while part := await self._spool.on_disk(self._file.read, self._spool.held):
                yield part
        if self._end:
            yield bytes(self._end)

    def close(self) -> None:
        """Give the room back. Twice is once."""
        self._spool.release(self._filed)
        self._filed, self._end = 0, bytearray()
        if self._file is not None:
            self._file.close()
            self._file = None
