"""服务副本缓存 Serving copies on the local disk: fetched once, verified once, read by everybody, evicted by size."""

import fcntl
import os
import secrets
import threading
from collections import OrderedDict
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from metering.serving import ServingCopy
from storage.kernel import clock
from storage.kernel.problem import Unavailable
from storage.kernel.words import Words
from storage.objects import ObjectDamaged, Objects, hash_file

_OPEN_FILES = 128
_REMEMBERED = 10_000
_LEFT_BEHIND = 3600  # seconds since somebody wrote to a file that is being fetched


@dataclass(slots=True)
class _Kept:
    """An opened copy, how many read it now, and the lock that tells other processes it is open.

    Who borrowed it leaves it by a `with` block.
    """

    copy: ServingCopy
    lock: int
    guard: threading.Lock
    readers: int = 0

    def __enter__(self) -> ServingCopy:
        return self.copy

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self.guard:
            self.readers -= 1

    def close(self) -> None:
        self.copy.close()
        os.close(self.lock)


class ServingCopies:
    """Opened copies. Those in the object store's own folder are read in place; others are fetched to `folder`.

    Several processes may share the folder: an open copy is locked, and a locked one is never removed.
    """

    def __init__(self, objects: Objects, folder: Path, most_bytes: int) -> None:
        self._objects = objects
        self._folder = folder
        self._most = most_bytes
        self._guard = threading.Lock()
        self._fetching: dict[str, threading.Lock] = {}
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._verified: dict[str, tuple[int, int, int]] = {}
        folder.mkdir(parents=True, exist_ok=True)
        self._sweep()

    def _sweep(self) -> None:
        """Remove what a process that was killed had half fetched; others may be fetching now."""
        for path in self._folder.glob("*.*"):
            with suppress(FileNotFoundError):  # another process sweeps, too
                if clock.now().timestamp() - path.stat().st_mtime > _LEFT_BEHIND:
                    path.unlink()

    def is_open(self, sha256: str) -> bool:
        """Whether the copy can be read without fetching or verifying it first."""
        return sha256 in self._kept

    def at_hand(self, sha256: str) -> AbstractContextManager[ServingCopy] | None:
        """The same as `reading` when the copy is open: never waits."""
        return self._borrow(sha256)

    def reading(self, sha256: str) -> AbstractContextManager[ServingCopy]:
        """The opened copy, for one `with` block, in which it stays open.

        Raises Unavailable when the object store is away, ObjectDamaged on a bad file.
        """
        kept = self._borrow(sha256)
        if kept is None:
            with self._guard:
                turn = self._fetching.setdefault(sha256, threading.Lock())
            with turn:  # whoever comes second finds it open
                kept = self._borrow(sha256) or self._open(sha256)
        return kept

    def close(self) -> None:
        """Close every copy nobody reads."""
        with self._guard:
            for sha256 in [sha256 for sha256, kept in self._kept.items() if not kept.readers]:
                self._kept.pop(sha256).close()

    def _borrow(self, sha256: str) -> _Kept | None:
        with self._guard:
            if kept := self._kept.get(sha256):
                kept.readers += 1
                self._kept.move_to_end(sha256)
            return kept

    def _open(self, sha256: str) -> _Kept:
        path, lock = self._locked(sha256)
        try:
            self._verify(path, lock, sha256)
            kept = _Kept(ServingCopy(path), lock, self._guard, readers=1)
        except BaseException:
            os.close(lock)
            raise
        with self._guard:
            self._kept[sha256] = kept
            self._fetching.pop(sha256, None)
            self._close_idle(len(self._kept) - _OPEN_FILES)
        return kept

    def _verify(self, path: Path, lock: int, sha256: str) -> None:
        """Raise ObjectDamaged for other content. A file that this process has verified is not read again."""
        status = os.fstat(lock)
        file = status.st_dev, status.st_ino, status.st_size
        if self._verified.get(sha256) == file:
            return
        if hash_file(path).sha256 != sha256:
            if path.parent == self._folder:
                path.unlink(missing_ok=True)  # the next reader fetches it anew
            raise ObjectDamaged
        if len(self._verified) >= _REMEMBERED:
            self._verified.clear()
        self._verified[sha256] = file

    def _close_idle(self, number: int) -> None:
        for sha256 in [sha256 for sha256, kept in self._kept.items() if not kept.readers][: max(0, number)]:
            self._kept.pop(sha256).close()

    def _locked(self, sha256: str) -> tuple[Path, int]:
        """The file, and the descriptor that keeps every process from removing it."""
        while True:
            path = self._objects.local_path(sha256) or self._fetched(sha256)
            try:
                lock = os.open(path, os.O_RDONLY)
            except FileNotFoundError:
                continue  # removed by another process just now
            fcntl.flock(lock, fcntl.LOCK_SH)
            if os.fstat(lock).st_nlink:
                if path.parent == self._folder:
                    os.utime(path)
                return path, lock
            os.close(lock)

    def _fetched(self, sha256: str) -> Path:
        path = self._folder / sha256
        if not path.exists():
            self._sweep()
            incoming = self._folder / f"{sha256}.{secrets.token_hex(4)}"
            self._verified.pop(sha256, None)
            try:
                self._objects.fetch(sha256, incoming)
            except FileNotFoundError:
                raise Unavailable(
                    Words("数据文件暂不可用。", "The data file is not available for now.")
                ) from None
            self._make_room(incoming.stat().st_size)
            incoming.replace(path)
        return path

    def _make_room(self, size: int) -> None:
        """Remove what was opened longest ago until `size` more bytes fit; what is being read stays."""
        with self._guard:
            files = sorted(
                ((path, path.stat()) for path in self._folder.iterdir() if "." not in path.name),
                key=lambda found: found[1].st_mtime,
            )
            over = sum(stat.st_size for _, stat in files) + size - self._most
            order = {sha256: place for place, sha256 in enumerate(self._kept, 1)}
            for path, stat in sorted(files, key=lambda found: order.get(found[0].name, 0)):
                if over <= 0:
                    return
                kept = self._kept.get(path.name)
                if kept is not None and kept.readers:
                    continue
                if kept is not None:
                    self._kept.pop(path.name).close()
                if _removed(path):
                    over -= stat.st_size


def _removed(path: Path) -> bool:
    """Remove a file unless somebody, in this or another process, has it open."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True
