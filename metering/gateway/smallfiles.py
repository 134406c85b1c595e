"""小文件 Small files are kept in memory: their content never changes, and starting many of them is the work."""

import hashlib

from metering.gateway.flights import Flights
from metering.gateway.recent import Recent
from storage.objects import ObjectDamaged, Objects

SMALLEST_STREAMED = 256 * 1024  # bytes; from here on a file is sent piece by piece
_KEPT = 64 * 2**20  # bytes


class SmallFiles:
    """小文件. The contents used last, by hash. For one event loop only."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._kept: Recent[bytes] = Recent(_KEPT, len)
        self.loading: Flights[bytes] = Flights()

    def get(self, sha256: str) -> bytes | None:
        """The content, if it is kept."""
        return self._kept.get(sha256)

    def load(self, sha256: str, size: int) -> bytes:
        """Read the content; blocks. Raises FileNotFoundError, ObjectDamaged."""
        with self._objects.open(sha256, 0, size) as file:
            content = file.read()
        if hashlib.sha256(content).hexdigest() != sha256:
            raise ObjectDamaged
        return content

    def keep(self, sha256: str, content: bytes) -> None:
        """Remember the content."""
        self._kept.keep(sha256, content)
