"""Objects in any S3 store: the only door to the MinIO SDK."""

import contextlib
import io
import ssl
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Self, cast
from urllib.parse import quote, unquote, urlsplit

import urllib3
from minio import Minio
from minio.error import S3Error

from storage.kernel.canonical import sha256_hex
from storage.objects import (
    CHUNK,
    ObjectDamaged,
    ObjectsUnavailable,
    Stored,
    hash_file,
    refuse_damage,
)
from storage.unit import slow

_AWAY = (urllib3.exceptions.HTTPError, ssl.SSLError, ConnectionError, TimeoutError)


class S3Objects:
    """`s3://key:secret@host:port/bucket` (`s3s://` over TLS). Uploads above 16 MiB go in parts."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.bucket = parts.path.strip("/")
        if not (parts.hostname and parts.username and parts.password and self.bucket):
            raise ValueError("expected s3://key:secret@host:port/bucket")
        self._client = Minio(
            f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname,
            access_key=unquote(parts.username),
            secret_key=unquote(parts.password),
            secure=parts.scheme == "s3s",
            region="us-east-1",
            http_client=urllib3.PoolManager(
                timeout=urllib3.Timeout(connect=3, read=60),
                retries=urllib3.Retry(total=2, backoff_factor=0.2),
                maxsize=16,
            ),
        )
        with self._door():
            if not self._client.bucket_exists(bucket_name=self.bucket):
                self._client.make_bucket(bucket_name=self.bucket)

    @contextlib.contextmanager
    def _door(self) -> Iterator[None]:
        slow("objects")
        try:
            yield
        except S3Error as error:
            if error.code in {"NoSuchKey", "NoSuchObject"}:
                raise FileNotFoundError(error.object_name) from None
            raise ObjectsUnavailable(code=error.code) from error
        except _AWAY as error:
            raise ObjectsUnavailable from error

    def _key(self, sha256: str) -> str:
        if len(sha256) != 64 or not sha256.isalnum():
            raise FileNotFoundError(sha256)
        return f"{sha256[:2]}/{sha256}"

    def put_file(self, path: Path, sha256: str | None = None) -> Stored:
        stored = hash_file(path)
        if sha256 is not None and sha256 != stored.sha256:
            raise ObjectDamaged
        with self._door():
            self._client.fput_object(
                bucket_name=self.bucket,
                object_name=self._key(stored.sha256),
                file_path=str(path),
                part_size=16 << 20,
            )
        return stored

    def put_bytes(self, data: bytes) -> Stored:
        stored = Stored(sha256_hex(data), len(data))
        with self._door():
            self._client.put_object(
                bucket_name=self.bucket,
                object_name=self._key(stored.sha256),
                data=io.BytesIO(data),
                length=len(data),
            )
        return stored

    def open(self, sha256: str, start: int = 0, length: int | None = None) -> BinaryIO:
        with self._door():
            answer = self._client.get_object(
                bucket_name=self.bucket, object_name=self._key(sha256), offset=start, length=length or 0
            )
        return cast("BinaryIO", _Answer(answer))

    def fetch(self, sha256: str, to: Path) -> None:
        try:
            with self._door(), contextlib.closing(self.open(sha256)) as source, to.open("wb") as target:
                while chunk := source.read(CHUNK):
                    target.write(chunk)
            refuse_damage(to, sha256)
        except BaseException:
            to.unlink(missing_ok=True)
            raise

    def local_path(self, sha256: str) -> Path | None:  # noqa: ARG002  # the protocol names it
        return None

    def presigned(self, sha256: str, seconds: int, *, name: str, media: str) -> str | None:
        with self._door():
            return self._client.presigned_get_object(
                bucket_name=self.bucket,
                object_name=self._key(sha256),
                expires=timedelta(seconds=seconds),
                extra_query_params={
                    "response-content-disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
                    "response-content-type": media,
                },
            )

    def exists(self, sha256: str) -> bool:
        try:
            with self._door():
                self._client.stat_object(bucket_name=self.bucket, object_name=self._key(sha256))
        except FileNotFoundError:
            return False
        return True

    def delete(self, sha256: str) -> None:
        with self._door():
            self._client.remove_object(bucket_name=self.bucket, object_name=self._key(sha256))

    def list(self) -> Iterator[tuple[str, datetime]]:
        with self._door():
            for item in self._client.list_objects(bucket_name=self.bucket, recursive=True):
                if item.object_name and item.last_modified:
                    yield item.object_name.rsplit("/", 1)[-1], item.last_modified


class _Answer:
    """An S3 answer read like a file; its connection goes back to the pool when closed."""

    def __init__(self, answer: urllib3.BaseHTTPResponse) -> None:
        self._answer = answer

    def read(self, size: int = -1) -> bytes:
        return self._answer.read(None if size < 0 else size)

    def close(self) -> None:
        self._answer.close()
        self._answer.release_conn()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
