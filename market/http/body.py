"""Uploads streamed to a file with their SHA-256 on the way; memory stays constant whatever comes."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from market.http.problems import BodyMalformed, BodyTooLarge, CsrfMissing, UploadIncomplete
from market.http.who import same_token
from storage.kernel.ids import new_id
from storage.kernel.problem import invalid

FIELD_BYTES = 64 << 10  # all fields of a form together
PART_BYTES = 256


@dataclass
class Upload:
    """A file that came in: where it lies until it is kept, its name, size and SHA-256 (hex)."""

    path: Path
    name: str = ""
    size: int = 0
    sha256: str = ""
    fields: dict[str, str] = field(default_factory=dict)

    def discard(self) -> None:
        """Remove the temporary file."""
        self.path.unlink(missing_ok=True)


class _Sink:
    """Where the bytes of one file go."""

    def __init__(self, upload: Upload, limit: int) -> None:
        self.upload, self.limit = upload, limit
        self.digest = hashlib.sha256()
        self.file: BinaryIO = upload.path.open("wb")

    def write(self, data: bytes) -> None:
        self.upload.size += len(data)
        if self.upload.size > self.limit:
            raise BodyTooLarge(limit_bytes=self.limit)
        self.digest.update(data)
        self.file.write(data)

    def close(self) -> None:
        self.file.close()
        self.upload.sha256 = self.digest.hexdigest()


async def receive(request: Request, folder: Path, limit: int, csrf: str | None = None) -> Upload:
    """Take a raw body, or the first file of a multipart form, into `folder`.

    limit: most bytes of the file. csrf: the session's token, which must come before the file.
    Raises BodyTooLarge, BodyMalformed, UploadIncomplete, CsrfMissing; on any of them nothing is left.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit + (1 << 20):
        raise BodyTooLarge(limit_bytes=limit)
    upload = Upload(folder / new_id("upload"))
    sink = _Sink(upload, limit)
    try:
        kind, options = parse_options_header(request.headers.get("content-type", ""))
        if kind == b"multipart/form-data":
            await _multipart(request, sink, options.get(b"boundary", b""), csrf)
        else:
            upload.name = unquote(request.headers.get("x-file-name", request.path_params.get("name", "")))
            async for chunk in request.stream():
                await run_in_threadpool(sink.write, chunk)
        sink.close()
    except BaseException as error:
        sink.close()
        upload.discard()
        if isinstance(error, ClientDisconnect):
            raise UploadIncomplete from None
        raise
    upload.name = safe_name(upload.name)
    return upload


async def _multipart(request: Request, sink: _Sink, boundary: bytes, csrf: str | None) -> None:
    if not boundary:
        raise BodyMalformed
    form = _Form(sink, csrf)
    parser = MultipartParser(boundary, form.callbacks())  # type: ignore[arg-type]  # its TypedDict is partial
    try:
        async for chunk in request.stream():
            await run_in_threadpool(parser.write, chunk)
        parser.finalize()
    except FormParserError:
        raise BodyMalformed from None
    if not form.ended:
        raise UploadIncomplete
    if not form.saw_file:
        raise invalid("file", "required", "请选择文件。", "Choose a file.")


class _Form:
    """Follows the parts of a multipart body: fields are kept in memory (small), the file goes to the sink."""

    def __init__(self, sink: _Sink, csrf: str | None) -> None:
        self.sink, self.csrf = sink, csrf
        self.saw_file = self.ended = False
        self._header = [b"", b""]
        self._disposition = b""
        self._field = ""
        self._value = bytearray()
        self._is_file = False
        self._taken = 0

    def callbacks(self) -> dict[str, object]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._grow(0, data[start:end]),
            "on_header_value": lambda data, start, end: self._grow(1, data[start:end]),
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": lambda data, start, end: self._data(data[start:end]),
            "on_part_end": self._end,
            "on_end": self._finish,
        }

    def _begin(self) -> None:
        self._disposition, self._value, self._is_file = b"", bytearray(), False
        self._taken += PART_BYTES  # an empty part costs something, too

    def _grow(self, index: int, data: bytes) -> None:
        self._header[index] += data
        if len(self._header[index]) > FIELD_BYTES:
            raise BodyMalformed

    def _header_end(self) -> None:
        if self._header[0].lower() == b"content-disposition":
            self._disposition = self._header[1]
        self._header = [b"", b""]

    def _headers_finished(self) -> None:
        _kind, options = parse_options_header(self._disposition)
        self._field = options.get(b"name", b"").decode("utf-8", "replace")
        if b"filename" in options and not self.saw_file:
            if self.csrf is not None and not same_token(self.sink.upload.fields.get("csrf", ""), self.csrf):
                raise CsrfMissing
            self._is_file = self.saw_file = True
            self.sink.upload.name = options[b"filename"].decode("utf-8", "replace")

    def _data(self, data: bytes) -> None:
        if self._is_file:
            self.sink.write(data)
            return
        self._value += data
        self._taken += len(data)
        if self._taken > FIELD_BYTES:
            raise BodyTooLarge(limit_bytes=FIELD_BYTES)

    def _end(self) -> None:
        if not self._is_file:
            self.sink.upload.fields[self._field] = self._value.decode("utf-8", "replace")

    def _finish(self) -> None:
        self.ended = True


def safe_name(name: str) -> str:
    """The last part of a file name, without control characters, at most 200 characters."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    kept = "".join(char for char in last if char.isprintable()).strip(". ")
    return kept[-200:] or "file"
