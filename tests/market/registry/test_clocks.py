"""The clock of a notice: whole working days, over holidays and the turn of a year, standing still while paused."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import chinese_calendar
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.registry.clocks import days_left, is_settled, window

ZONE = "Asia/Shanghai"
moments = st.datetimes(datetime(2021, 1, 1), datetime(2026, 10, 1), timezones=st.just(UTC))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("begins", "days", "last"),
    [
        ("2026-09-30T10:00:00+08:00", 10, date(2026, 10, 20)),  # seven days of holiday, a Saturday worked
        (
            "2026-02-13T10:00:00+08:00",
            3,
            date(2026, 2, 25),
        ),  # the Spring Festival; Saturday the 14th is worked
        ("2025-12-30T23:59:00+08:00", 2, date(2026, 1, 4)),  # New Year, then a Sunday worked
        ("2026-11-22T15:00:00+08:00", 10, date(2026, 12, 4)),  # begun on a Sunday
        ("2026-11-20T16:30:00+00:00", 1, date(2026, 11, 23)),  # half past midnight of Saturday in Qingdao
    ],
)
def test_ten_working_days_are_ten_days_on_which_offices_work(begins: str, days: int, last: date) -> None:
    given_ = window(datetime.fromisoformat(begins), days, ZONE)
    assert given_.last_day == last
    assert given_.ends_at == datetime.combine(last + timedelta(days=1), time(), ZoneInfo(ZONE))
    assert given_.settled


def test_a_year_nobody_has_announced_is_said_to_be_open() -> None:
    begins = datetime(2026, 12, 28, 4, tzinfo=UTC)
    assert window(begins, 10, ZONE).last_day > date(2027, 1, 8)  # New Year's Day is a holiday by law
    assert not window(begins, 10, ZONE).settled
    assert window(datetime(2026, 12, 1, 4, tzinfo=UTC), 10, ZONE).settled
    assert is_settled(2026)
    assert not is_settled(2031)


def test_no_days_are_over_at_once() -> None:
    begins = datetime(2026, 11, 23, 4, tzinfo=UTC)
    assert window(begins, 0, ZONE).ends_at == begins


@given(moments, st.integers(1, 20))
def test_a_window_gives_exactly_its_days_by_another_calendar(begins: datetime, days: int) -> None:
    given_ = window(begins, days, ZONE)
    local_first = (begins + timedelta(hours=8)).date()
    counted = [
        day
        for number in range(1, (given_.last_day - local_first).days + 1)
        if chinese_calendar.is_workday(day := local_first + timedelta(days=number))
    ]
    assert len(counted) == days
    assert counted[-1] == given_.last_day


@given(
    moments, st.integers(1, 15), st.lists(st.tuples(st.integers(0, 400), st.integers(0, 2000)), max_size=4)
)
def test_pauses_never_take_a_day_from_the_public(
    begins: datetime, days: int, pauses: list[tuple[int, int]]
) -> None:
    """However often the clock stops (after some hours) and for how long, whole working days add up."""
    running = window(begins, days, ZONE)
    runs_from, now, used = begins, begins, 0
    for hours, paused in pauses:
        now += timedelta(hours=hours)
        if now >= running.ends_at:
            break
        left = days_left(runs_from, running.last_day, now, ZONE)
        assert 1 <= left <= days - used, "an objection in time always leaves a day"
        used = days - left
        now += timedelta(hours=paused)
        resumed = window(now, left, ZONE)
        assert resumed.ends_at > now
        assert days_left(now, resumed.last_day, now, ZONE) == left
        running, runs_from = resumed, now
