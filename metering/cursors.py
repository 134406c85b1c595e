"""游标 Where the next page begins: opaque, signed, good for one query over one version; pure."""

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode

import orjson

from metering.filters import Kept, Query
from storage.kernel.problem import invalid

_MOST = (
    48_000  # characters: rows ordered by a long text have it in the cursor, and the head of a request 64 KiB
)


def cursor(query: Query, last: Kept, *, version: int, product: str, key: bytes) -> str:
    """游标. An opaque, signed mark of where the next page begins, good for this query and version only."""
    body = orjson.dumps([version, last.row, last.value])
    return urlsafe_b64encode(_mac(body, query, product, key) + body).rstrip(b"=").decode()


def cursor_version(text: str) -> int | None:
    """The version a cursor is pinned to, not yet verified; None when it cannot be read."""
    try:
        version = orjson.loads(_raw(text)[12:])[0]
    except (ValueError, TypeError, IndexError, KeyError):
        return None
    return version if type(version) is int and 0 < version < 2**31 else None


def resume(query: Query, text: str, *, product: str, key: bytes) -> Query:
    """The query continued where the cursor points. Raises Invalid for a cursor that is not ours or not of this query."""
    try:
        raw = _raw(text)
        ours = hmac.compare_digest(raw[:12], _mac(raw[12:], query, product, key))
        version, row, value = orjson.loads(raw[12:])
    except (ValueError, TypeError):
        ours = False
    if not ours:
        raise invalid(
            "cursor", "cursor", "游标无效，或不属于此查询。", "The cursor is not valid for this query."
        )
    return query._replace(after=Kept(value, row), version=version)


def _raw(text: str) -> bytes:
    if len(text) > _MOST or not text.isascii():
        raise ValueError("no cursor")
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _mac(body: bytes, query: Query, product: str, key: bytes) -> bytes:
    message = product.encode() + b"\0" + query.name + body
    return hashlib.blake2b(message, key=key, digest_size=12).digest()
