"""工作日 Days on which offices work in mainland China: weekends, statutory holidays, and days worked in exchange (调休).

The calendar is the package `holidays`, which follows the State Council's yearly notice. For a year whose
notice is not out yet it knows the statutory days only (全国年节及纪念日放假办法), so a date computed across
the turn of a year is firm once the notice is in: compute again then, or keep what was promised.
"""

from datetime import date, datetime, time, timedelta
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from holidays import HolidayBase


@lru_cache(maxsize=1)
def prepare() -> "HolidayBase":
    """Load the calendar. It takes a second, so a server does it at its start, outside any Unit.

    Loaded by name on the first call: imported above, every command would start a second later.
    """
    calendar: HolidayBase = import_module("holidays").country_holidays("CN")
    return calendar


def is_working_day(day: date) -> bool:
    """Whether offices work on `day`.

    >>> is_working_day(date(2026, 10, 1)), is_working_day(date(2026, 10, 10))  # a Saturday worked in exchange
    (False, True)
    """
    return bool(prepare().is_working_day(day))


def after_working_days(at: datetime, days: int, zone: str) -> datetime:
    """期限. The moment, in UTC, at which a term of `days` working days that begins at `at` is over.

    The day of the beginning does not count, and the last day counts to its end (民法典 201, 202 条):
    the answer is the midnight in `zone` that ends it. `days` of 0 ends with the day of `at`.
    Raises ValueError for a moment without a zone or a negative number.
    """
    if at.tzinfo is None or days < 0:
        raise ValueError("a term begins at an aware moment and has no negative length")
    local = ZoneInfo(zone)
    day = at.astimezone(local).date()
    while days:
        day += timedelta(days=1)
        days -= is_working_day(day)
    return datetime.combine(day + timedelta(days=1), time(), local).astimezone(at.tzinfo)


def working_days_between(begin: datetime, end: datetime, zone: str) -> int:
    """How many working days lie after the day of `begin`, up to and with the day of `end`; negative backwards.

    >>> from datetime import UTC
    >>> monday, friday = datetime(2026, 11, 23, 4, tzinfo=UTC), datetime(2026, 11, 27, 4, tzinfo=UTC)
    >>> working_days_between(monday, friday, "Asia/Shanghai")
    4
    """
    if end < begin:
        return -working_days_between(end, begin, zone)
    local = ZoneInfo(zone)
    first, last = begin.astimezone(local).date(), end.astimezone(local).date()
    return sum(is_working_day(first + timedelta(days=number)) for number in range(1, (last - first).days + 1))
