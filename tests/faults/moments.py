"""What a gateway last did, in a page of memory that outlives its SIGKILL; and the clock it is told to see."""

import mmap
import os
import struct
from enum import IntEnum
from pathlib import Path

SIZE = 64


class Point(IntEnum):
    """Where a gateway was when it died. ELSEWHERE: charges in flight, but none in a booking transaction."""

    ELSEWHERE = 0
    BEFORE_COMMIT = 1
    IN_COMMIT = 2
    AFTER_COMMIT = 3
    MID_BODY = 4

    @property
    def words(self) -> str:
        return ("elsewhere", "before commit", "in COMMIT", "after commit", "mid-body")[self]


class Moment:
    """Shared by a gateway, which writes, and the director, who reads after the kill."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(SIZE))
        file = os.open(path, os.O_RDWR)
        self._page = mmap.mmap(file, SIZE)
        os.close(file)

    def _read(self, at: int) -> int:
        return int(struct.unpack_from("q", self._page, at)[0])

    def _write(self, at: int, number: int) -> None:
        struct.pack_into("q", self._page, at, number)

    def clear(self) -> None:
        """Forget the process before; the clock's shift stays."""
        self._page[:24] = bytes(24)

    @property
    def point(self) -> Point:
        return Point(self._read(0))

    @point.setter
    def point(self, point: Point) -> None:
        self._write(0, int(point))

    @property
    def in_flight(self) -> int:
        """Paid requests taken and not answered."""
        return self._read(8)

    @in_flight.setter
    def in_flight(self, number: int) -> None:
        self._write(8, number)

    @property
    def batches(self) -> int:
        """Commits of the till that booked something."""
        return self._read(16)

    @batches.setter
    def batches(self, number: int) -> None:
        self._write(16, number)

    @property
    def shift(self) -> int:
        """Seconds by which the gateway's clock is wrong."""
        return self._read(24)

    @shift.setter
    def shift(self, seconds: int) -> None:
        self._write(24, seconds)
