"""One byte string per value: RFC 8785 canonical JSON and the hashes taken over it."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import rfc8785


def canonical(value: Mapping[str, Any] | Sequence[Any]) -> bytes:
    """RFC 8785 canonical JSON of plain values (no floats with fractions in our documents)."""
    return rfc8785.dumps(value)


def sha256_hex(data: bytes) -> str:
    """SHA-256 in lower-case hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def digest(value: Mapping[str, Any] | Sequence[Any]) -> str:
    """SHA-256 (hex) over the canonical JSON of `value`."""
    return sha256_hex(canonical(value))
