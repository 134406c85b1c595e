"""Usage questions, answered from the hourly sums; raw events are read only for a statement."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement
from sqlmodel import col, select

from metering.gate import Receipt
from metering.problems import NotOnShelf
from metering.rating import Usage
from metering.tables import (
    Credential,
    Delivery,
    Gate,
    OpenUsage,
    Period,
    ShelfItem,
    ShelfVersion,
    Upstream,
    UsageEvent,
    UsageHour,
)
from metering.upstream import Declaration
from metering.words import Kind, PeriodState, Settled
from storage.kernel import clock
from storage.kernel.problem import NotFound
from storage.unit import View

PORTION = 2_000  # events in memory at once while a month is read


def usage_sums() -> tuple[ColumnElement[int], ...]:
    """The sums of hourly rows, in the order of `Usage`."""
    columns = (UsageHour.events, UsageHour.calls, UsageHour.rows, UsageHour.bytes, UsageHour.amount_fen)
    # PostgreSQL sums bigint as numeric: cast back, quantities are whole numbers.
    return tuple(sa.cast(sa.func.coalesce(sa.func.sum(column), 0), sa.BigInteger) for column in columns)


def totals(view: View, license_id: str, since: datetime, until: datetime) -> dict[Kind, Usage]:
    """合计. The usage of a license that happened in [since, until), by kind."""
    return _by_kind(
        view,
        col(UsageHour.license_id) == license_id,
        col(UsageHour.hour) >= since,
        col(UsageHour.hour) < until,
    )


def totals_of_period(view: View, license_id: str, period: str) -> dict[Kind, Usage]:
    """账期合计. What is billed to a license in a period (`YYYY-MM`), by kind; includes what was booked late."""
    return _by_kind(view, col(UsageHour.license_id) == license_id, col(UsageHour.period) == period)


def totals_by_month(view: View, license_id: str, period: str, zone: str) -> dict[str, dict[Kind, Usage]]:
    """账期分月合计. What is billed to a license in a period, by the month (`YYYY-MM`) it happened in, then by kind.

    A month before the period is what was booked late. From the hourly sums, so in `zone` an hour across the turn of
    a month, which only offsets of half an hour have, is taken for the period's own.
    """
    rows = view.session.execute(
        sa.select(col(UsageHour.hour), col(UsageHour.kind), *usage_sums())
        .where(col(UsageHour.license_id) == license_id, col(UsageHour.period) == period)
        .group_by(col(UsageHour.hour), col(UsageHour.kind))
        .order_by(col(UsageHour.hour), col(UsageHour.kind))
    )
    months: dict[str, dict[Kind, Usage]] = {}
    for hour, kind, *sums in rows:
        touched = (clock.period_of(hour, zone), clock.period_of(hour + timedelta(minutes=59), zone))
        month = months.setdefault(period if period in touched else touched[0], {})
        month[kind] = month.get(kind, Usage()) + Usage(*sums)
    return months


def _by_kind(view: View, *clauses: ColumnElement[bool]) -> dict[Kind, Usage]:
    rows = view.session.execute(
        sa.select(col(UsageHour.kind), *usage_sums()).where(*clauses).group_by(col(UsageHour.kind))
    )
    return {row[0]: Usage(*row[1:]) for row in rows}


def licenses_with_usage(view: View, period: str) -> list[str]:
    """Licenses that have something to bill in a period, in order."""
    return list(
        view.session.exec(
            select(UsageHour.license_id)
            .where(UsageHour.period == period)
            .distinct()
            .order_by(UsageHour.license_id)
        ).all()
    )


def periods_of(view: View, license_id: str) -> list[str]:
    """The periods in which a license has something to bill, in order."""
    query = select(UsageHour.period).where(UsageHour.license_id == license_id)
    return list(view.session.exec(query.distinct().order_by(UsageHour.period)).all())


def gate(view: View, license_id: str) -> Gate:
    """闸门. Limits, what is used and whether it is open. Raises NotFound."""
    row = view.session.get(Gate, license_id)
    if row is None:
        raise NotFound(license=license_id)
    return row


def gates(view: View, *, shut_for: str | None = None) -> list[Gate]:
    """全部闸门. Every gate in order of its license; with `shut_for`, only those shut for this reason."""
    query = select(Gate).order_by(Gate.license_id)
    if shut_for is not None:
        query = query.where(col(Gate.in_force).is_(False), Gate.shut_reason == shut_for)
    return list(view.session.exec(query).all())


def shelf(view: View, slug: str) -> ShelfItem:
    """货架. The product by slug, also one that is no longer served. Raises NotOnShelf."""
    row = view.session.exec(select(ShelfItem).where(ShelfItem.slug == slug)).first()
    if row is None:
        raise NotOnShelf(product=slug)
    return row


def product_titles(view: View, product_ids: Sequence[str]) -> dict[str, dict[str, str]]:
    """产品名称. The titles of shelved products in both languages, by id."""
    rows = view.session.exec(select(ShelfItem).where(col(ShelfItem.product_id).in_(product_ids)))
    return {row.product_id: {"zh": row.title_zh, "en": row.title_en} for row in rows}


def shelf_versions(view: View, product_id: str) -> list[ShelfVersion]:
    """The shelved versions of a product, newest first."""
    return list(
        view.session.exec(
            select(ShelfVersion)
            .where(ShelfVersion.product_id == product_id)
            .order_by(col(ShelfVersion.version).desc())
        ).all()
    )


def credential(view: View, client_id: str) -> Credential:
    """The credential a verified token names."""
    return view.session.get_one(Credential, client_id)


def credentials(view: View, org_id: str) -> list[Credential]:
    """The credentials of an organization, newest first, ended ones too."""
    return list(
        view.session.exec(
            select(Credential).where(Credential.org_id == org_id).order_by(col(Credential.id).desc())
        ).all()
    )


def events_of(
    view: View, license_id: str, since: datetime, until: datetime, *, limit: int | None = None
) -> list[UsageEvent]:
    """用量明细. The events of a license in [since, until), in order of their ids."""
    return list(
        view.session.exec(
            select(UsageEvent)
            .where(UsageEvent.license_id == license_id, UsageEvent.at >= since, UsageEvent.at < until)
            .order_by(col(UsageEvent.id))
            .limit(limit)
        ).all()
    )


def events_of_period(view: View, license_id: str, period: str) -> Iterator[Any]:
    """账期明细. The events billed to a license in a period, in order of their ids; read in portions, as plain rows."""
    event = UsageEvent
    columns = (event.id, event.at, event.kind, event.purpose, event.credential_id)
    counts = (event.calls, event.rows, event.bytes, event.amount_fen)
    return iter(
        view.session.execute(
            sa.select(*(col(each) for each in columns), *(col(each) for each in counts))
            .where(col(event.license_id) == license_id, col(event.period) == period)
            .order_by(col(event.id))
            .execution_options(yield_per=PORTION)
        )
    )


def charged(view: View, event_id: bytes) -> UsageEvent | None:
    """计费记录. The event of a charge, if it was booked."""
    return view.session.get(UsageEvent, event_id)


def receipt_of(event: UsageEvent) -> dict[str, Any]:
    """计费回执. What was booked, as the JSON of a `Receipt`."""
    sums = event.calls, event.rows, event.bytes, event.amount_fen
    return Receipt(event.id, Settled.DUPLICATE, event.at, *sums).document()


def upstream(view: View, product_id: str) -> tuple[Declaration, datetime] | None:
    """上游接口. What is declared of the provider's API behind a product, and when its secret was last set."""
    row = view.session.get(Upstream, product_id)
    return None if row is None else (Declaration(**row.declaration), row.rotated_at)


def deliveries(view: View, license_id: str) -> Sequence[Delivery]:
    """交付记录. The downloads of a license of which bytes were sent, newest first."""
    return view.session.exec(
        select(Delivery).where(Delivery.license_id == license_id).order_by(col(Delivery.begun_at).desc())
    ).all()


def open_usage(view: View, product_id: str, since: datetime, until: datetime) -> Usage:
    """公益用量. Approximate fetches of an open product in [since, until); there is no amount."""
    columns = (OpenUsage.calls, OpenUsage.rows, OpenUsage.bytes)
    calls, rows, size = view.session.execute(
        sa.select(*(sa.cast(sa.func.coalesce(sa.func.sum(c), 0), sa.BigInteger) for c in columns)).where(
            col(OpenUsage.product_id) == product_id,
            col(OpenUsage.hour) >= since,
            col(OpenUsage.hour) < until,
        )
    ).one()
    return Usage(calls, calls, rows, size)


def is_closed(view: View, period: str) -> bool:
    """Whether a period (`YYYY-MM`) is closed."""
    row = view.session.get(Period, period)
    return row is not None and row.state is PeriodState.CLOSED


def uncounted(view: View, license_id: str) -> dict[str, tuple[int, int]]:
    """对账. Where events, hourly sums and the gate of a license differ; empty when they agree.

    Values are (expected from the events, found).
    """
    columns = ("calls", "rows", "bytes", "amount_fen")
    found: dict[str, tuple[int, int]] = {}
    row = gate(view, license_id)
    for name in columns:
        event, hour = getattr(UsageEvent, name), getattr(UsageHour, name)
        by_event = _total(view, event, col(UsageEvent.license_id) == license_id)
        by_hour = _total(view, hour, col(UsageHour.license_id) == license_id)
        by_gate = row.spent_fen if name == "amount_fen" else getattr(row, f"used_{name}")
        if by_event != by_hour:
            found[f"hours.{name}"] = (by_event, by_hour)
        if by_event != by_gate:
            found[f"gate.{name}"] = (by_event, by_gate)
    return found


def _total(view: View, column: ColumnElement[int], clause: ColumnElement[bool]) -> int:
    total = view.session.execute(
        sa.select(sa.func.coalesce(sa.func.sum(column), 0)).where(clause)
    ).scalar_one()
    return int(total)
