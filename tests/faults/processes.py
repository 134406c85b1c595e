"""What the kernel says of a process: its memory, its children, whether it is still there."""

import os
from pathlib import Path


def resident(pid: int) -> int:
    """Bytes of memory a process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def children_with(pid: int, word: str) -> list[int]:
    """The children of a process, started by any of its threads, whose command line has this word."""
    listed = [file.read_text().split() for file in Path(f"/proc/{pid}/task").glob("*/children")]
    return [int(child) for some in listed for child in some if word.encode() in _command(child)]


def child_with(pid: int, word: str) -> int | None:
    """The first of them."""
    return next(iter(children_with(pid, word)), None)


def _command(pid: str) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except FileNotFoundError:
        return []


def alive(pid: int) -> bool:
    """Whether a process still runs; one that only waits to be reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):  # gone before, or between opening and reading
        return False
    return state not in {"Z", "X"}
