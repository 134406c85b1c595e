"""字节范围 Byte ranges: what a Range header asks for, and what has been sent so far; pure."""

import re
from collections.abc import Sequence

from metering.problems import RangeNotSatisfiable

Span = tuple[int, int]  # half-open [start, end)
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})", re.IGNORECASE)


def wanted(header: str | None, size: int) -> Span | None:
    """The single range asked for, or None for the whole file.

    Several ranges also get the whole file, as RFC 9110 §14.2 allows: no known client needs parts of one file in one
    answer, and what was delivered stays plain to see.
    Raises RangeNotSatisfiable with Content-Range.

    >>> wanted("bytes=2-5", 10), wanted("bytes=-3", 10), wanted("bytes=4-", 10), wanted("lines=1-2", 10)
    ((2, 6), (7, 10), (4, 10), None)
    """
    match = _RANGE.fullmatch(header.replace(" ", "")) if header else None
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start = int(first)
        if last and int(last) < start:
            return None  # not a range at all (RFC 9110 §14.1.1)
        end = min(size, int(last) + 1) if last else size
    if start >= end:
        problem = RangeNotSatisfiable(size=size)
        problem.headers["Content-Range"] = f"bytes */{size}"
        raise problem
    return start, end


def merge(spans: Sequence[Sequence[int]]) -> list[Span]:
    """The same bytes as few spans, in order.

    >>> merge([(5, 9), (0, 2), (2, 3), (8, 12)])
    [(0, 3), (5, 12)]
    """
    if len(spans) == 1:  # mostly
        start, end = spans[0]
        return [(start, end)] if start < end else []
    merged: list[Span] = []
    for start, end in sorted((span[0], span[1]) for span in spans if span[0] < span[1]):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def covers(spans: Sequence[Sequence[int]], size: int) -> bool:
    """Whether the union of the spans is the whole file.

    >>> covers([(0, 4), (4, 9)], 9), covers([(0, 4), (5, 9)], 9)
    (True, False)
    """
    return size == 0 or merge(spans) == [(0, size)]
