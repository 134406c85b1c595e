"""Terms in working days follow the State Council's calendar, in the market's own time zone."""

from datetime import UTC, date, datetime, timedelta

import chinese_calendar
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.kernel.workdays import after_working_days, is_working_day, working_days_between

ZONE = "Asia/Shanghai"
moments = st.dates(date(2020, 1, 1), date(2028, 12, 31)).flatmap(
    lambda day: st.times().map(lambda time: datetime.combine(day, time, UTC))
)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("begin", "days", "end"),
    [
        ("2026-11-23T09:00+08:00", 1, "2026-11-25T00:00+08:00"),  # Monday: the term is Tuesday
        ("2026-11-20T17:00+08:00", 3, "2026-11-26T00:00+08:00"),  # over a weekend
        ("2026-09-30T09:00+08:00", 2, "2026-10-10T00:00+08:00"),  # over the National Day week
        (
            "2026-10-09T09:00+08:00",
            1,
            "2026-10-11T00:00+08:00",
        ),  # the next day is a Saturday worked in exchange
        ("2026-02-13T09:00+08:00", 5, "2026-02-28T00:00+08:00"),  # over the Spring Festival
        ("2026-11-22T23:30+00:00", 1, "2026-11-25T00:00+08:00"),  # Monday in Qingdao already
        ("2026-11-21T12:00+08:00", 0, "2026-11-22T00:00+08:00"),
    ],
)
def test_a_term_ends_with_its_last_working_day(begin: str, days: int, end: str) -> None:
    assert after_working_days(at(begin), days, ZONE) == at(end)


def test_the_calendar_is_the_published_one() -> None:
    """A second, independent calendar says the same for every day of seven years."""
    days = [date(2020, 1, 1) + timedelta(days=number) for number in range(2557)]
    assert days[-1] == date(2026, 12, 31)
    assert [day for day in days if is_working_day(day) != chinese_calendar.is_workday(day)] == []


def test_years_to_come_have_their_statutory_days() -> None:
    assert not is_working_day(date(2027, 10, 1))
    assert not is_working_day(date(2027, 2, 8))  # the third day of the Spring Festival
    assert is_working_day(date(2027, 3, 1))


@given(moments, st.integers(0, 40))
def test_counting_back_gives_the_same_number(begin: datetime, days: int) -> None:
    end = after_working_days(begin, days, ZONE)
    assert working_days_between(begin, end - timedelta(seconds=1), ZONE) == days
    assert end.tzinfo == begin.tzinfo
    assert working_days_between(end - timedelta(seconds=1), begin, ZONE) == -days


def test_a_moment_without_a_zone_and_a_negative_term_are_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        after_working_days(at("2026-01-01T09:00"), 3, ZONE)
    with pytest.raises(ValueError, match="negative"):
        after_working_days(datetime(2026, 1, 1, tzinfo=UTC), -1, ZONE)
