"""候发 Answers of providers' APIs, kept until they are whole: only then are they charged, and sent as fast as a buyer reads."""

import asyncio
import contextlib
import tempfile
from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, ParamSpec, TypeVar

import structlog

from metering.problems import NoRoomForAnswer
from metering.upstream_client import failed

P = ParamSpec("P")
T = TypeVar("T")
log = structlog.get_logger(__name__)
_THREADS = 4  # of its own: who waits for the object store does not keep these answers waiting
_SHARE = 4  # no license takes more than this part of the room


class Spool:
    """One per gateway. What exceeds `held` bytes of an answer lies in a file without a name, which a crash leaves nothing of."""

    def __init__(self, folder: Path, *, held: int, most: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.held = folder, held
        self._free, self._each = most, most // _SHARE
        self._taken: Counter[str] = Counter()
        self._threads = ThreadPoolExecutor(_THREADS, "gateway-answers")

    async def gather(self, chunks: AsyncIterable[bytes], most: int, owner: str) -> "Spooled":
        """Read an answer to its end. owner: the license it is for.

        Raises UpstreamFailed above `most` bytes, NoRoomForAnswer, and what `chunks` raises.
        """
        spooled = Spooled(self, owner)
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
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, lambda: work(*args, **kwargs))
        except OSError as error:
            log.warning("spool.failed", error=error.strerror)
            raise NoRoomForAnswer from None

    def reserve(self, owner: str, size: int) -> None:
        """Take room on the disk. Raises NoRoomForAnswer."""
        if size > self._free or self._taken[owner] + size > self._each:
            raise NoRoomForAnswer
        self._free -= size
        self._taken[owner] += size

    def release(self, owner: str, size: int, file: IO[bytes] | None) -> None:
        """Give room back. The file is closed beside: a write that waits for the disk holds it."""
        self._free += size
        self._taken[owner] -= size
        if self._taken[owner] <= 0:
            del self._taken[owner]
        if file is not None:
            self._threads.submit(_closed, file)

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown()


def _closed(file: IO[bytes]) -> None:
    with contextlib.suppress(OSError):
        file.close()


class Spooled:
    """A whole answer of `size` bytes: its beginning in a file, when it is long, its end in memory. Close it."""

    def __init__(self, spool: Spool, owner: str) -> None:
        self._spool, self._owner = spool, owner
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
        self._spool.reserve(self._owner, len(part))
        self._filed += len(part)
        await self._spool.on_disk(self._write, part)

    def _write(self, part: bytes) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._spool.folder)  # noqa: SIM115  # closed with this
        self._file.write(part)
        self._file.flush()  # a full disk is told of before the charge

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
        self._spool.release(self._owner, self._filed, self._file)
        self._filed, self._end, self._file = 0, bytearray(), None
