"""Time-ordered identifiers: `ord_` + 26 characters that sort by the moment they were made."""

import os
import threading
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford base 32: no i, l, o, u
_NOISE = 4096
_lock = threading.Lock()
_last = 0
_noise = b""
_at = 0


def new_id(prefix: str) -> str:
    """A new public id, e.g. `lic_01k…`. Ids of one process never repeat and always increase."""
    return f"{prefix}_{_base32(_next())}"


def new_key() -> bytes:
    """A new 16-byte key ordered by time (48-bit milliseconds, then counter and noise)."""
    return _next().to_bytes(16, "big")


def _next() -> int:
    global _last  # noqa: PLW0603  # one sequence per process is the point
    with _lock:
        noise = _draw(10)
        fresh = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(noise, "big") >> 1
        # Within a millisecond, or when the clock steps back, count on from the last one.
        _last = fresh if fresh >> 80 > _last >> 80 else _last + 1 + (noise[0] << 8)
        return _last


def _draw(count: int) -> bytes:
    """Bytes of the system's randomness, fetched many at a time: each fetch lets another thread in."""
    global _noise, _at  # noqa: PLW0603  # the rest of what was fetched
    if _at + count > len(_noise):
        _noise, _at = os.urandom(_NOISE), 0
    _at += count
    return _noise[_at - count : _at]


def _forget() -> None:
    global _noise, _at  # a child must not repeat its parent's noise
    _noise, _at = b"", 0


os.register_at_fork(after_in_child=_forget)


def _base32(number: int) -> str:
    digits = []
    for _ in range(26):
        number, rest = divmod(number, 32)
        digits.append(_ALPHABET[rest])
    return "".join(reversed(digits))
