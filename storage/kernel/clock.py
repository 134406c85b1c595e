"""The only reader of the system clock, so that a test can hold time still."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_held: ContextVar[datetime | None] = ContextVar("held_clock", default=None)


def now() -> datetime:
    """The present moment, aware and in UTC, with microseconds."""
    return _held.get() or datetime.now(UTC)


@contextmanager
def held(at: datetime) -> Iterator[None]:
    """Hold the clock at `at` (aware) inside the block, for the current thread or task."""
    if at.tzinfo is None:
        raise ValueError("a moment needs a time zone")
    token = _held.set(at.astimezone(UTC))
    try:
        yield
    finally:
        _held.reset(token)


def hour_of(at: datetime) -> datetime:
    """The UTC hour that contains `at`."""
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def period_of(at: datetime, zone: str) -> str:
    """账期. The billing period (`YYYY-MM`, calendar month in `zone`) that contains `at`."""
    return at.astimezone(ZoneInfo(zone)).strftime("%Y-%m")


def period_bounds(period: str, zone: str) -> tuple[datetime, datetime]:
    """First moment of `YYYY-MM` in `zone` and first moment after it, both in UTC.

    Raises ValueError when `period` is not a month.
    """
    first = datetime.strptime(period, "%Y-%m").replace(tzinfo=ZoneInfo(zone))
    try:
        after = (first + timedelta(days=32)).replace(day=1)
        return first.astimezone(UTC), after.astimezone(UTC)
    except OverflowError:
        raise ValueError(period) from None
