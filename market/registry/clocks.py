"""公示期 The clock of a public notice: working days that run, stop at an objection and go on; pure."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from storage.kernel.workdays import after_working_days, is_working_day, prepare

DAY = timedelta(days=1)


def is_settled(year: int) -> bool:
    """Whether the State Council's notice for `year` is in the calendar: it always names days worked in exchange.

    Without it only weekends and the statutory days are known, and whoever reads a term is told.
    """
    is_working_day(date(year, 1, 1))  # the calendar learns a year when it is first asked
    return any(day.year == year for day in prepare().weekend_workdays)


@dataclass(frozen=True, slots=True)
class Window:
    """期间. Over at `ends_at`; `settled` is false when a day lies in a year whose notice is not out yet."""

    ends_at: datetime
    last_day: date
    settled: bool


def window(begins_at: datetime, days: int, zone: str) -> Window:
    """期间计算. `days` whole working days after the day of `begins_at`, to the end of the last; none: over at once.

    >>> window(datetime.fromisoformat("2026-09-30T10:00:00+08:00"), 2, "Asia/Shanghai").last_day
    datetime.date(2026, 10, 9)
    """
    first = begins_at.astimezone(ZoneInfo(zone)).date()
    if days <= 0:
        return Window(begins_at, first, settled=is_settled(first.year))
    ends_at = after_working_days(begins_at, days, zone)
    last = ends_at.astimezone(ZoneInfo(zone)).date() - DAY
    return Window(ends_at, last, settled=all(is_settled(year) for year in range(first.year, last.year + 1)))


def days_left(begins_at: datetime, last_day: date, now: datetime, zone: str) -> int:
    """剩余工作日. The working days of a window that are not over at `now`: today's is still to be given.

    >>> begun = datetime.fromisoformat("2026-09-30T10:00:00+08:00")
    >>> days_left(
    ...     begun, date(2026, 10, 9), datetime.fromisoformat("2026-10-08T23:59:00+08:00"), "Asia/Shanghai"
    ... )
    2
    """
    local = ZoneInfo(zone)
    day = max(now.astimezone(local).date(), begins_at.astimezone(local).date() + DAY)
    left = 0
    while day <= last_day:
        left += is_working_day(day)
        day += DAY
    return left
