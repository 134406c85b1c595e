"""用量封存 Each closed hour's events under one Merkle root in the journal: none can be lost or added unseen.

Events a provider reported are left out: they arrive days after they happened, and statements prove them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

import sqlalchemy as sa
from sqlmodel import col, select

from metering import turns
from metering.merkle import leaf_hash, merkle_root
from metering.tables import UsageEvent, UsageHour, UsageSeal
from metering.words import Kind
from storage.journal import Entry
from storage.kernel import clock
from storage.unit import Unit, View

HOUR = timedelta(hours=1)
GRACE = timedelta(minutes=5)  # longer than a charge may take from its time to its commit
AT_ONCE = 200  # hours sealed in one go after a long pause


@dataclass(frozen=True, slots=True)
class SealedHour:
    """封存小时. The number of events that happened in an hour and the Merkle root (hex) over their ids in order."""

    hour: datetime
    events: int
    root: str


@dataclass(frozen=True, slots=True)
class BrokenSeal:
    """封存不符. An hour whose events are no longer those that were sealed."""

    hour: str
    expected: str
    found: str


def unsealed(view: View, now: datetime) -> list[datetime]:
    """待封存. Closed hours without a seal, oldest first, from the first hour with usage on; empty ones too."""
    last = view.session.exec(select(sa.func.max(UsageSeal.hour))).one()
    first = view.session.exec(
        select(sa.func.min(UsageHour.hour)).where(UsageHour.kind != Kind.REPORTED)
    ).one()
    hour = last + HOUR if last is not None else first
    hours: list[datetime] = []
    while hour is not None and hour + HOUR + GRACE <= now and len(hours) < AT_ONCE:
        hours.append(hour)
        hour += HOUR
    return hours


def counted_hour(view: View, hour: datetime) -> SealedHour:
    """小时计数. What is to be sealed of a closed hour; read before the Unit, because it may be much."""
    # The sums say whose events these are and in which months they are billed: that is what has an index.
    sums = sa.and_(col(UsageHour.hour) == hour, col(UsageHour.kind) != Kind.REPORTED)
    ids = view.session.exec(
        select(UsageEvent.id)
        .where(
            col(UsageEvent.license_id).in_(sa.select(col(UsageHour.license_id)).where(sums)),
            col(UsageEvent.period).in_(sa.select(col(UsageHour.period)).where(sums)),
            UsageEvent.at >= hour,
            UsageEvent.at < hour + HOUR,
            UsageEvent.kind != Kind.REPORTED,
        )
        .order_by(col(UsageEvent.id))
    ).all()
    return SealedHour(hour, len(ids), root_over(ids))


def root_over(ids: Sequence[bytes]) -> str:
    """The Merkle root (hex) over event ids in order."""
    return merkle_root(map(leaf_hash, ids))


def seal_hour(unit: Unit, counted: SealedHour) -> Entry | None:
    """封存用量. One `usage.sealed` entry for an hour, whoever comes first; None when it is sealed already."""
    turns.take_turn(unit, turns.SEALS)
    if unit.session.get(UsageSeal, counted.hour) is not None:
        return None
    unit.session.add(UsageSeal(hour=counted.hour))
    return unit.record(
        "usage.sealed",
        f"hour:{counted.hour.isoformat()}",
        hour=counted.hour.isoformat(),
        events=counted.events,
        root=counted.root,
    )


def broken_seals(view: View) -> list[BrokenSeal]:
    """核验封存. Sealed hours whose events differ now. Hours before the oldest event kept are past checking."""
    sealed = {
        str(entry.data["hour"]): (int(entry.data["events"]), str(entry.data["root"]))
        for entry in view.session.exec(
            select(Entry).where(Entry.kind == "usage.sealed").order_by(col(Entry.id).desc())
        )
    }
    if not sealed:
        return []
    found = {each.hour.isoformat(): (each.events, each.root) for each in _hours_kept(view)}
    oldest = min(found, default=None)
    return [
        BrokenSeal(hour, _said(*told), _said(*found.get(hour, (0, merkle_root([])))))
        for hour, told in sorted(sealed.items())
        if oldest is not None and hour >= oldest and found.get(hour, (0, merkle_root([]))) != told
    ]


def _said(events: int, root: str) -> str:
    return f"{events} events, root {root}"


def _hours_kept(view: View) -> Iterator[SealedHour]:
    """Every hour with events, in one pass over all of them."""
    rows = view.session.execute(
        sa.select(col(UsageEvent.at), col(UsageEvent.id))
        .where(col(UsageEvent.kind) != Kind.REPORTED)
        .order_by(col(UsageEvent.at))
        .execution_options(yield_per=10_000)
    )
    for hour, events in groupby(rows, key=lambda row: clock.hour_of(row[0])):
        ids = sorted(row[1] for row in events)
        yield SealedHour(hour, len(ids), root_over(ids))
