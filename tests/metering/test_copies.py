"""Serving copies fetched from a real S3 store: once, verified, evicted by size, never while open."""

import os
import threading
from pathlib import Path

import pytest

from metering.copies import ServingCopies
from storage.kernel.ids import new_id
from storage.kernel.problem import Unavailable
from storage.objects import LocalObjects, ObjectDamaged
from storage.objects_s3 import S3Objects
from tests.metering.gatehouse import serving_file

pytestmark = pytest.mark.s3


@pytest.fixture
def remote(s3_url: str) -> S3Objects:
    return S3Objects(s3_url)


def put(remote: S3Objects, tmp_path: Path) -> tuple[str, int]:
    """A serving copy of its own content."""
    path = serving_file(tmp_path / f"{new_id('copy')}.db")
    with path.open("ab") as file:
        file.write(new_id("content").encode().ljust(4096))
    stored = remote.put_file(path)
    return stored.sha256, stored.size


def test_a_copy_is_fetched_once_however_many_want_it(remote: S3Objects, tmp_path: Path) -> None:
    sha256, _ = put(remote, tmp_path)
    copies = ServingCopies(remote, tmp_path / "copies", 1 << 30)
    found: list[int] = []

    def read() -> None:
        with copies.reading(sha256) as copy:
            found.append(id(copy))

    threads = [threading.Thread(target=read) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 12
    assert len(set(found)) == 1
    assert [path.name for path in (tmp_path / "copies").iterdir()] == [sha256]
    copies.close()


def test_the_oldest_copies_go_when_room_is_short_but_not_while_open(
    remote: S3Objects, tmp_path: Path
) -> None:
    folder = tmp_path / "copies"
    (first, size), (second, _), (third, _), (fourth, _) = (put(remote, tmp_path) for _ in range(4))
    copies = ServingCopies(remote, folder, 2 * size + 100)
    other_process = ServingCopies(remote, folder, 2 * size + 100)
    with copies.reading(first) as copy:
        with copies.reading(second):
            pass
        with copies.reading(third):
            pass
        assert {path.name for path in folder.iterdir()} == {first, third}
        with other_process.reading(fourth):
            pass
        assert {path.name for path in folder.iterdir()} == {
            first,
            third,
            fourth,
        }  # over, but both are open here
        assert copy.columns
    with copies.reading(second):
        pass
    assert {path.name for path in folder.iterdir()} == {
        second,
        fourth,
    }  # the other process keeps the fourth open
    with copies.reading(first) as copy:
        assert copy.columns  # fetched anew
    copies.close()
    other_process.close()


def test_a_copy_verified_before_is_opened_again_without_reading_it_whole(
    objects: LocalObjects, tmp_path: Path
) -> None:
    """Many products take turns: each opening would otherwise cost a hash over millions of rows."""
    names = [objects.put_file(serving_file(tmp_path / f"{n}.db", named=f"站{n}-")).sha256 for n in range(129)]
    copies = ServingCopies(objects, tmp_path / "copies", 1 << 30)
    for sha256 in names:
        with copies.reading(sha256):
            assert copies.is_open(sha256)
    assert not copies.is_open(names[0])  # the oldest was closed
    path = objects.local_path(names[0])
    assert path is not None
    with path.open("r+b") as file:
        file.seek(60)  # a number in the header that nobody uses
        file.write(b"\x01")
    with copies.reading(names[0]) as copy:
        assert copy.columns
    afresh = ServingCopies(objects, tmp_path / "others", 1 << 30)
    with pytest.raises(ObjectDamaged), afresh.reading(names[0]):
        pass


def test_what_a_killed_process_had_half_fetched_goes_and_what_is_being_fetched_stays(
    remote: S3Objects, tmp_path: Path
) -> None:
    folder = tmp_path / "copies"
    folder.mkdir()
    copy, left, coming = (folder / name for name in ("0" * 64, "1" * 64 + ".ab12", "2" * 64 + ".cd34"))
    for path in (copy, left, coming):
        path.write_bytes(b"x")
    for path in (copy, left):
        os.utime(path, (0, 0))
    copies = ServingCopies(remote, folder, 1 << 30)
    assert sorted(folder.iterdir()) == [copy, coming]
    os.utime(coming, (0, 0))
    sha256, _ = put(remote, tmp_path)
    with copies.reading(sha256):
        assert sorted(folder.iterdir()) == sorted([copy, folder / sha256])
    copies.close()


def test_a_damaged_copy_is_refused_and_fetched_anew(remote: S3Objects, tmp_path: Path) -> None:
    sha256, _ = put(remote, tmp_path)
    folder = tmp_path / "copies"
    folder.mkdir()
    (folder / sha256).write_bytes(b"not what it says")
    copies = ServingCopies(remote, folder, 1 << 30)
    with pytest.raises(ObjectDamaged), copies.reading(sha256):
        pass
    with copies.reading(sha256) as copy:
        assert copy.columns
    with pytest.raises(Unavailable), copies.reading("0" * 64):
        pass
    copies.close()
