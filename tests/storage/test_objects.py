"""Objects: streamed, verified, swept; the same promises on a folder and on a real S3 server."""

import hashlib
import os
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from storage.kernel.ids import new_id
from storage.objects import (
    LocalObjects,
    ObjectDamaged,
    Objects,
    ObjectsUnavailable,
    keep,
    open_objects,
    sweep,
)
from storage.objects_s3 import S3Objects
from storage.unit import Store


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.s3)])
def any_objects(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Objects]:
    if request.param == "local":
        yield open_objects(f"file://{tmp_path}/objects")
    else:
        url: str = request.getfixturevalue("s3_url")
        yield open_objects(f"{url}-{new_id('b')[-12:]}")


def test_what_goes_in_comes_out(any_objects: Objects, tmp_path: Path) -> None:
    body = os.urandom(20 << 20)  # above one part: multipart on S3
    source = tmp_path / "source"
    source.write_bytes(body)
    stored = any_objects.put_file(source)
    assert stored.sha256 == hashlib.sha256(body).hexdigest()
    assert stored.size == len(body)
    any_objects.fetch(stored.sha256, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == body
    with any_objects.open(stored.sha256, 1000, 50) as part:
        assert part.read() == body[1000:1050]
    assert any_objects.exists(stored.sha256)
    any_objects.delete(stored.sha256)
    assert not any_objects.exists(stored.sha256)
    with pytest.raises(FileNotFoundError):
        any_objects.fetch(stored.sha256, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_wrong_hash_is_refused_and_leaves_nothing(any_objects: Objects, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"abc")
    with pytest.raises(ObjectDamaged):
        any_objects.put_file(source, "0" * 64)
    assert list(any_objects.list()) == []


@pytest.mark.parametrize("key", ["../../etc/passwd", "", "a" * 63, "a/" * 32])
def test_keys_cannot_leave_the_store(any_objects: Objects, key: str) -> None:
    with pytest.raises(FileNotFoundError):
        any_objects.open(key)


def test_damage_at_rest_is_never_served(objects: LocalObjects, tmp_path: Path) -> None:
    stored = objects.put_bytes(b"good content")
    path = objects.local_path(stored.sha256)
    assert path is not None
    path.write_bytes(b"bad  content")
    with pytest.raises(ObjectDamaged):
        objects.fetch(stored.sha256, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_orphans_are_swept_and_kept_objects_stay(store: Store, objects: LocalObjects) -> None:
    kept, orphan = objects.put_bytes(b"kept"), objects.put_bytes(b"orphan")
    with store.unit("system:test") as unit:
        keep(unit, kept)
    half = objects.folder / "incoming" / "half"
    half.write_bytes(b"killed upload")
    assert sweep(store, objects, timedelta(hours=1)) == 0
    old = time.time() - 7200
    for path in (objects.local_path(kept.sha256), objects.local_path(orphan.sha256), half):
        assert path is not None
        os.utime(path, (old, old))
    assert sweep(store, objects, timedelta(hours=1)) == 2
    assert objects.exists(kept.sha256)
    assert not objects.exists(orphan.sha256)
    assert not half.exists()


def test_a_store_that_is_away_is_a_problem_not_a_crash() -> None:
    with pytest.raises(ObjectsUnavailable):
        S3Objects("s3://key:secretsecret@127.0.0.1:1/bucket")
