"""Files by their content: the key of an object is its SHA-256, so nothing is ever overwritten."""

import hashlib
import importlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import BinaryIO, Protocol, Self, cast

from sqlmodel import Field, col, select

from storage.columns import Mechanism, big
from storage.kernel import clock
from storage.kernel.problem import Unavailable
from storage.kernel.words import Words
from storage.unit import Store, Unit, slow

CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Stored:
    """An object at rest: its SHA-256 (hex) and size in bytes."""

    sha256: str
    size: int


class StoredObject(Mechanism, table=True):
    """An object somebody refers to; whatever is not here is an orphan and will be swept."""

    __tablename__ = "stored_object"

    sha256: str = Field(primary_key=True)
    size: int = big()
    kept_at: datetime


class ObjectsUnavailable(Unavailable):
    """对象存储不可用. The object store did not answer; nothing was done."""

    title = Words("对象存储暂不可用", "The object store is unavailable")


class ObjectDamaged(Unavailable):
    """对象损坏. What was read does not match its SHA-256; it was not served."""

    title = Words("文件校验失败，未提供", "A file failed its checksum and was not served")


class Objects(Protocol):
    """对象存储. What every object store can do. All calls are slow doors."""

    def put_file(self, path: Path, sha256: str | None = None) -> Stored:
        """Keep a copy of the file at `path`; pass `sha256` when it was computed on the way in."""
        ...

    def put_bytes(self, data: bytes) -> Stored:
        """Keep a small object."""
        ...

    def open(self, sha256: str, start: int = 0, length: int | None = None) -> BinaryIO:
        """Read `length` bytes from `start`. Raises FileNotFoundError."""
        ...

    def fetch(self, sha256: str, to: Path) -> None:
        """Copy to a local file, whole and verified, or raise ObjectDamaged and leave nothing."""
        ...

    def local_path(self, sha256: str) -> Path | None:
        """The file itself when it lies on this machine's disk."""
        ...

    def presigned(self, sha256: str, seconds: int, *, name: str, media: str) -> str | None:
        """An address that gives the object to anybody for `seconds`, under a file name; None when we are the only way."""
        ...

    def exists(self, sha256: str) -> bool:
        """Whether the object is there."""
        ...

    def delete(self, sha256: str) -> None:
        """Remove the object; absent is fine."""
        ...

    def list(self) -> Iterator[tuple[str, datetime]]:
        """Every key with the moment it was written."""
        ...


def hash_file(path: Path) -> Stored:
    """SHA-256 and size of a file, streamed."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as source:
        while chunk := source.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return Stored(digest.hexdigest(), size)


def refuse_damage(path: Path, sha256: str) -> None:
    """Raise ObjectDamaged, and remove the file, when its content is not what its key says."""
    if hash_file(path).sha256 != sha256:
        path.unlink()
        raise ObjectDamaged


class LocalObjects:
    """Objects in a folder: written beside, synced, then renamed, so that a crash leaves no half file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "incoming").mkdir(parents=True, exist_ok=True)

    def _path(self, sha256: str) -> Path:
        if len(sha256) != 64 or not sha256.isalnum():
            raise FileNotFoundError(sha256)
        return self.folder / sha256[:2] / sha256

    def put_file(self, path: Path, sha256: str | None = None) -> Stored:
        slow("objects")
        with path.open("rb") as source:
            return self._put(source, sha256)

    def put_bytes(self, data: bytes) -> Stored:
        slow("objects")
        with NamedTemporaryFile(dir=self.folder / "incoming") as incoming:
            incoming.write(data)
            incoming.flush()
            incoming.seek(0)
            return self._put(cast("BinaryIO", incoming), None)

    def _put(self, source: BinaryIO, expected: str | None) -> Stored:
        digest, size = hashlib.sha256(), 0
        with NamedTemporaryFile(dir=self.folder / "incoming", delete=False) as target:
            try:
                while chunk := source.read(CHUNK):
                    digest.update(chunk)
                    size += len(chunk)
                    target.write(chunk)
                target.flush()
                os.fsync(target.fileno())
                key = digest.hexdigest()
                if expected not in {None, key}:
                    raise ObjectDamaged  # noqa: TRY301  # the clean-up below is the point
                final = self._path(key)
                final.parent.mkdir(exist_ok=True)
                Path(target.name).replace(final)
                folder = os.open(final.parent, os.O_RDONLY)
                try:
                    os.fsync(folder)
                finally:
                    os.close(folder)
            except BaseException:
                Path(target.name).unlink(missing_ok=True)
                raise
        return Stored(key, size)

    def open(self, sha256: str, start: int = 0, length: int | None = None) -> BinaryIO:
        slow("objects")
        file = self._path(sha256).open("rb")
        file.seek(start)
        return file if length is None else cast("BinaryIO", _Window(file, length))

    def fetch(self, sha256: str, to: Path) -> None:
        slow("objects")
        shutil.copyfile(self._path(sha256), to)
        refuse_damage(to, sha256)

    def local_path(self, sha256: str) -> Path | None:
        path = self._path(sha256)
        return path if path.exists() else None

    def presigned(self, sha256: str, seconds: int, *, name: str, media: str) -> str | None:  # noqa: ARG002  # the protocol names them
        slow("objects")
        return None

    def exists(self, sha256: str) -> bool:
        slow("objects")
        return self._path(sha256).exists()

    def delete(self, sha256: str) -> None:
        slow("objects")
        self._path(sha256).unlink(missing_ok=True)

    def list(self) -> Iterator[tuple[str, datetime]]:
        slow("objects")
        for path in sorted(self.folder.glob("??/*")):
            yield path.name, datetime.fromtimestamp(path.stat().st_mtime, UTC)

    def sweep_incoming(self, older_than_seconds: float) -> int:
        """Remove half-written files of killed uploads. Returns how many."""
        slow("objects")
        limit, removed = clock.now().timestamp() - older_than_seconds, 0
        for path in (self.folder / "incoming").iterdir():
            if path.stat().st_mtime < limit:
                path.unlink(missing_ok=True)
                removed += 1
        return removed


class _Window:
    """At most `length` bytes of an open file."""

    def __init__(self, file: BinaryIO, length: int) -> None:
        self._file, self._left = file, length

    def read(self, size: int = -1) -> bytes:
        size = self._left if size < 0 else min(size, self._left)
        data = self._file.read(size)
        self._left -= len(data)
        return data

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def keep(unit: Unit, *objects: Stored) -> None:
    """Note that somebody refers to these objects, in the same commit as the reference."""
    for stored in objects:
        if unit.session.get(StoredObject, stored.sha256) is None:
            unit.session.add(StoredObject(sha256=stored.sha256, size=stored.size, kept_at=clock.now()))


def open_objects(url: str) -> Objects:
    """The object store a URL names: `file:///folder`, `s3://…` or `s3s://…`."""
    if url.startswith("file://"):
        return LocalObjects(Path(url.removeprefix("file://")))
    if url.startswith(("s3://", "s3s://")):
        # Loaded when it is asked for: the SDK and what it brings is a twentieth of every start.
        return cast(Objects, importlib.import_module("storage.objects_s3").S3Objects(url))
    raise ValueError("the object store is file:///… or s3://key:secret@host:port/bucket")


def sweep(store: Store, objects: Objects, grace: timedelta) -> int:
    """Delete objects that nobody refers to and that are older than `grace`. Returns how many."""
    removed = 0
    if isinstance(objects, LocalObjects):
        removed += objects.sweep_incoming(grace.total_seconds())
    for sha256, written in list(objects.list()):
        if written > clock.now() - grace:
            continue
        with store.view() as view:
            known = view.session.exec(
                select(StoredObject.sha256).where(col(StoredObject.sha256) == sha256)
            ).first()
        if known is None:
            objects.delete(sha256)
            removed += 1
    return removed
