"""异常用量 What stands out in usage: noted with figures for people to judge; nothing is blocked by itself."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from statistics import median_low
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlmodel import col, select

from metering import turns
from metering.settings import MeteringSettings
from metering.tables import Credential, Gate, RefusalHour, ShelfItem, UsageAnomaly, UsageHour
from metering.words import AnomalyKind, Kind
from storage.kernel import clock
from storage.kernel.ids import new_id
from storage.unit import Unit, View

BASELINE = timedelta(days=14)
LOOK_BACK = timedelta(days=7)  # what is reported later than this is for people to find
NIGHT_ENDS = time(6)
# A download is a whole file by agreement, and a report comes late: only questions have a usual hour.
_ASKED = (Kind.ROWS, Kind.CALL)


@dataclass(frozen=True, slots=True)
class Finding:
    """异常. What stood out, of which license or credential, since when, and the figures."""

    kind: AnomalyKind
    subject: str  # "license:lic_…" or "credential:cli_…"
    since: datetime
    figures: dict[str, int]


def findings(view: View, now: datetime, *, zone: str, settings: MeteringSettings) -> list[Finding]:
    """异常检查. What stood out in the last three closed hours and in the last closed day of `zone`."""
    last = clock.hour_of(now) - timedelta(hours=1)
    yesterday = now.astimezone(ZoneInfo(zone)).date() - timedelta(days=1)
    found = [*at_night(view, yesterday, zone, settings)]
    for back in range(3):
        hour = last - timedelta(hours=back)
        found += [*surges(view, hour, settings), *probing(view, hour, settings)]
    return found


def surges(view: View, hour: datetime, settings: MeteringSettings) -> Iterator[Finding]:
    """用量激增. Licenses whose calls or rows in this hour are many times their own median hour of 14 days.

    The median is over hours with usage, and never taken as less than the floor of the settings.
    """
    floors = {"calls": settings.surge_floor_calls, "rows": settings.surge_floor_rows}
    for license_id, *counts in view.session.execute(_asked_in(hour, hour + timedelta(hours=1))):
        counted = dict(zip(floors, map(int, counts), strict=True))
        if all(counted[name] < settings.surge_times * floor for name, floor in floors.items()):
            continue
        usual = _usual_hours(view, license_id, hour)
        for name, floor in floors.items():
            usually = max(median_low([each[name] for each in usual]) if usual else 0, floor)
            if counted[name] >= settings.surge_times * usually:
                figures = {name: counted[name], "usually": usually, "hours": len(usual)}
                yield Finding(AnomalyKind.SURGE, f"license:{license_id}", hour, figures)
                break


def _asked_in(since: datetime, until: datetime) -> Any:
    sums = [sa.func.sum(col(column)) for column in (UsageHour.calls, UsageHour.rows)]
    return (
        sa.select(col(UsageHour.license_id), *sums)
        .where(col(UsageHour.hour) >= since, col(UsageHour.hour) < until, col(UsageHour.kind).in_(_ASKED))
        .group_by(col(UsageHour.license_id))
        .order_by(col(UsageHour.license_id))
    )


def _usual_hours(view: View, license_id: str, hour: datetime) -> list[dict[str, int]]:
    rows = view.session.execute(
        sa.select(sa.func.sum(col(UsageHour.calls)), sa.func.sum(col(UsageHour.rows)))
        .where(
            col(UsageHour.license_id) == license_id,
            col(UsageHour.hour) >= hour - BASELINE,
            col(UsageHour.hour) < hour,
            col(UsageHour.kind).in_(_ASKED),
        )
        .group_by(col(UsageHour.hour))
    )
    return [{"calls": int(calls), "rows": int(rows_)} for calls, rows_ in rows]


def at_night(view: View, day: date, zone: str, settings: MeteringSettings) -> Iterator[Finding]:
    """非工作时段批量. Licenses that took most of a day's rows, calls or bytes between midnight and six, local time.

    Rows tell nothing of calls to a provider's API, which have none. Of each license the first of the three.
    """
    begins = datetime.combine(day, time(), ZoneInfo(zone)).astimezone(clock.now().tzinfo)
    dawn = datetime.combine(day, NIGHT_ENDS, ZoneInfo(zone)).astimezone(begins.tzinfo)
    ends = datetime.combine(day + timedelta(days=1), time(), ZoneInfo(zone)).astimezone(begins.tzinfo)
    floors = {
        "rows": settings.night_floor_rows,
        "calls": settings.night_floor_calls,
        "bytes": settings.night_floor_bytes,
    }
    measures = [col(getattr(UsageHour, name)) for name in floors]
    nights = [sa.func.sum(sa.case((col(UsageHour.hour) < dawn, each), else_=0)) for each in measures]
    wholes = [sa.func.sum(each) for each in measures]
    enough = [night >= floor for night, floor in zip(nights, floors.values(), strict=True)]
    rows = view.session.execute(
        sa.select(col(UsageHour.license_id), *nights, *wholes)
        .where(
            col(UsageHour.hour) >= begins, col(UsageHour.hour) < ends, col(UsageHour.kind) != Kind.REPORTED
        )
        .group_by(col(UsageHour.license_id))
        .having(sa.or_(*enough))
        .order_by(col(UsageHour.license_id))
    )
    for license_id, *sums in rows:
        counted = list(map(int, sums))
        for (name, floor), by_night, in_all in zip(
            floors.items(), counted[: len(floors)], counted[len(floors) :], strict=True
        ):
            if by_night >= floor and by_night * 100 >= in_all * settings.night_percent:
                figures = {f"night_{name}": by_night, name: in_all, "percent": by_night * 100 // in_all}
                yield Finding(AnomalyKind.NIGHT, f"license:{license_id}", begins, figures)
                break


def probing(view: View, hour: datetime, settings: MeteringSettings) -> Iterator[Finding]:
    """越权试探. Credentials that asked very often for what they may not have."""
    query = (
        select(RefusalHour)
        .where(RefusalHour.hour == hour, col(RefusalHour.refusals) >= settings.probing_refusals)
        .order_by(col(RefusalHour.credential_id))
    )
    for row in view.session.exec(query):
        figures = {"refusals": row.refusals, "usually": settings.probing_refusals}
        yield Finding(AnomalyKind.PROBING, f"credential:{row.credential_id}", hour, figures)


@dataclass(frozen=True, slots=True)
class Strayed:
    """超范围使用. Use of a license in one hour for purposes it does not grant; `counted` at our own gate."""

    license_id: str
    hour: datetime
    purposes: tuple[str, ...]
    calls: int
    rows: int
    counted: bool


def strayed(view: View, now: datetime) -> list[Strayed]:
    """超范围检查. For each license the latest hour in which it was used for another purpose, not yet noted."""
    query = (
        sa.select(
            col(UsageHour.license_id),
            col(UsageHour.hour),
            col(UsageHour.purpose),
            col(UsageHour.kind),
            sa.func.sum(col(UsageHour.calls)),
            sa.func.sum(col(UsageHour.rows)),
        )
        .where(col(UsageHour.hour) >= now - LOOK_BACK)
        .group_by(col(UsageHour.license_id), col(UsageHour.hour), col(UsageHour.purpose), col(UsageHour.kind))
        .order_by(col(UsageHour.hour))
    )
    granted: dict[str, list[str]] = {}
    found: dict[str, Strayed] = {}
    for license_id, hour, purpose, kind, calls, rows in view.session.execute(query):
        if license_id not in granted:
            gate = view.session.get(Gate, license_id)
            granted[license_id] = gate.purposes if gate else []
        if not granted[license_id] or purpose in granted[license_id]:
            continue
        before = found.get(license_id)
        same = before if before is not None and before.hour == hour else None
        found[license_id] = Strayed(
            license_id,
            hour,
            tuple(sorted({*(same.purposes if same else ()), purpose})),
            (same.calls if same else 0) + int(calls),
            (same.rows if same else 0) + int(rows),
            (same.counted if same else False) or kind != Kind.REPORTED,
        )
    return [each for each in found.values() if not _noted(view, each)]


def _noted(view: View, each: Strayed) -> bool:
    query = select(UsageAnomaly.id).where(
        UsageAnomaly.kind == AnomalyKind.OFF_PURPOSE,
        UsageAnomaly.subject == f"license:{each.license_id}",
        UsageAnomaly.since == each.hour,
    )
    return view.session.exec(query).first() is not None


def note_anomaly(unit: Unit, finding: Finding) -> UsageAnomaly | None:
    """记录异常. Once for a kind, subject and time, whoever comes first; None when it was noted before."""
    turns.take_turn(unit, turns.ANOMALIES)
    known = select(UsageAnomaly).where(
        UsageAnomaly.kind == finding.kind,
        UsageAnomaly.subject == finding.subject,
        UsageAnomaly.since == finding.since,
    )
    if unit.session.exec(known).first() is not None:
        return None
    row = UsageAnomaly(
        id=new_id("ano"),
        kind=finding.kind,
        subject=finding.subject,
        since=finding.since,
        figures=finding.figures,
        noted_at=clock.now(),
        **_parties(unit, finding.subject),
    )
    unit.session.add(row)
    unit.record(
        "usage.anomaly",
        finding.subject,
        anomaly=str(finding.kind),
        since=finding.since.isoformat(),
        provider=row.provider_id,
        **finding.figures,
    )
    return row


def _parties(view: View, subject: str) -> dict[str, str | None]:
    """Who used, and whose product; a credential is not bound to one provider."""
    noun, _, thing = subject.partition(":")
    if noun == "credential":
        held = view.session.get(Credential, thing)
        return {"buyer_id": held.org_id if held else None, "provider_id": None}
    gate = view.session.get(Gate, thing)
    item = view.session.get(ShelfItem, gate.product_id) if gate else None
    return {
        "buyer_id": gate.buyer_id if gate else None,
        "provider_id": item.provider_id if item else None,
    }


def anomalies(
    view: View, *, provider_id: str | None = None, before: str | None = None, limit: int = 50
) -> Sequence[UsageAnomaly]:
    """异常列表. What was noted, newest first; with `provider_id`, only on this provider's products.

    before: the last id of the previous page.
    """
    query = select(UsageAnomaly)
    if provider_id is not None:
        query = query.where(UsageAnomaly.provider_id == provider_id)
    if before:
        query = query.where(col(UsageAnomaly.id) < before)
    return view.session.exec(query.order_by(col(UsageAnomaly.id).desc()).limit(limit)).all()
