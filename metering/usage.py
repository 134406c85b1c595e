"""用量 Usage by hour, day, purpose, product, license or credential, from the hourly sums, for either side."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlmodel import col

from metering.queries import usage_sums
from metering.rating import Usage
from metering.tables import Gate, ShelfItem, UsageHour
from metering.words import By, Side
from storage.kernel import clock
from storage.kernel.problem import invalid
from storage.unit import View

LONGEST = {By.HOUR: timedelta(days=32)}
LONGEST_ELSE = timedelta(days=400)
_COLUMNS: dict[By, Any] = {
    By.HOUR: UsageHour.hour,
    By.DAY: UsageHour.hour,
    By.PURPOSE: UsageHour.purpose,
    By.PRODUCT: UsageHour.product_id,
    By.LICENSE: UsageHour.license_id,
    By.CREDENTIAL: UsageHour.credential_id,
}


def span(
    by: By, since: datetime | None, until: datetime | None, *, days: int = 31
) -> tuple[datetime, datetime]:
    """查询区间. The hours asked for as [since, until): the last `days` unless said otherwise.

    Raises Invalid for moments without a zone, an empty span, and one longer than a year (32 days by the hour).
    """
    for name, moment in (("since", since), ("until", until)):
        if moment is not None and moment.tzinfo is None:
            raise invalid(
                name,
                "moment.zone",
                "时间须带时区，例如 2026-01-01T00:00:00+08:00。",
                "A moment needs its zone, such as 2026-01-01T00:00:00+08:00.",
            )
    try:
        ends = until or clock.hour_of(clock.now()) + timedelta(hours=1)
        begins = since or ends - timedelta(days=min(days, LONGEST.get(by, LONGEST_ELSE).days))
        length = ends - begins
    except OverflowError:
        length = timedelta(0)
    longest = LONGEST.get(by, LONGEST_ELSE)
    if not timedelta(0) < length <= longest:
        raise invalid(
            "until",
            "span",
            f"结束须晚于开始，且相距不超过 {longest.days} 天。",
            f"The end comes after the beginning, {longest.days} days later at most.",
        )
    return begins, ends


def usage_by(
    view: View,
    by: By,
    *,
    since: datetime,
    until: datetime,
    license_id: str | None = None,
    org: tuple[Side, str] | None = None,
    zone: str = "Asia/Shanghai",
) -> list[tuple[str, Usage]]:
    """分组用量. Usage whose hour begins in [since, until), by `by`, in order of the key.

    license_id: of one license; org: of what an organization bought or sold. Hours are UTC (ISO 8601), days those
    of `zone`. Raises ValueError when neither is named.
    """
    clauses = [col(UsageHour.hour) >= since, col(UsageHour.hour) < until]
    if license_id is not None:
        clauses.append(col(UsageHour.license_id) == license_id)
    if org is not None:
        clauses.append(_of(*org))
    if len(clauses) < 3:
        raise ValueError("name a license or an organization")
    key = col(_COLUMNS[by])
    rows = view.session.execute(
        sa.select(key, *usage_sums()).where(*clauses).group_by(key).order_by(key)
    ).all()
    lines: dict[str, Usage] = {}
    for first, *sums in rows:
        name = _name(by, first, zone)
        lines[name] = lines.get(name, Usage()) + Usage(*sums)
    return list(lines.items())


def _of(side: Side, org_id: str) -> Any:
    if side is Side.BOUGHT:
        return col(UsageHour.license_id).in_(
            sa.select(col(Gate.license_id)).where(col(Gate.buyer_id) == org_id)
        )
    return col(UsageHour.product_id).in_(
        sa.select(col(ShelfItem.product_id)).where(col(ShelfItem.provider_id) == org_id)
    )


def _name(by: By, value: Any, zone: str) -> str:
    if by is By.HOUR:
        return str(value.isoformat())
    if by is By.DAY:
        return str(value.astimezone(ZoneInfo(zone)).date().isoformat())
    return str(value)
