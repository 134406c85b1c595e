"""数据家底 The directory as a tree and as figures: registered, sized, owned, open, stale."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlmodel import col, select

from market.policy.inputs import OpenAttr
from market.registry.rules import AssetState, UpdateCycle
from market.registry.tables import Asset, DirectoryEntry
from storage.kernel.problem import NotFound
from storage.unit import View

# How old data of each update cycle may be: one cycle, counted by its longest.
FRESH_FOR: dict[UpdateCycle, timedelta] = {
    UpdateCycle.REALTIME: timedelta(days=1),
    UpdateCycle.DAILY: timedelta(days=2),
    UpdateCycle.WEEKLY: timedelta(days=8),
    UpdateCycle.MONTHLY: timedelta(days=32),
    UpdateCycle.QUARTERLY: timedelta(days=93),
    UpdateCycle.YEARLY: timedelta(days=367),
}


def is_stale(cycle: UpdateCycle | None, refreshed_at: datetime | None, now: datetime) -> bool:
    """更新超期. Whether data is older than its cycle promises; irregular data never is."""
    limit = FRESH_FOR.get(cycle) if cycle else None
    return limit is not None and refreshed_at is not None and now - refreshed_at > limit


def rate_bp(part: int, whole: int) -> int:
    """A share in basis points, rounded down; nothing of nothing is none.

    >>> rate_bp(60, 100), rate_bp(1, 3), rate_bp(0, 0)
    (6000, 3333, 0)
    """
    return part * 10_000 // whole if whole else 0


@dataclass(frozen=True, slots=True)
class Figures:
    """家底统计. Counts over the whole directory; rates in basis points (6000 = 60 %)."""

    departments: int
    systems: int
    resources: int
    registered: int
    sized: int
    owned: int  # with a provider and the system it lies in
    unconditional: int
    conditional: int
    closed: int
    open_departments: int
    registrations: int  # certificates in force, as the register counts them
    stale: int

    @property
    def open(self) -> int:
        return self.unconditional + self.conditional

    def document(self) -> dict[str, int]:
        """Counts and what follows from them."""
        return asdict(self) | {
            "unregistered": self.resources - self.registered,
            "unsized": self.resources - self.sized,
            "unowned": self.resources - self.owned,
            "open": self.open,
            "open_rate_bp": rate_bp(self.open, self.resources),
            "coverage_bp": rate_bp(self.open_departments, self.departments),
            "registered_bp": rate_bp(self.registered, self.resources),
        }


_REGISTERED = (
    sa.select(sa.literal(1))
    .where(
        col(Asset.provider_code) == col(DirectoryEntry.provider_code),
        col(Asset.code) == col(DirectoryEntry.code),
        col(Asset.state) == AssetState.REGISTERED,
    )
    .correlate(DirectoryEntry)
    .exists()
)
_OPEN = col(DirectoryEntry.open_attr) != OpenAttr.CLOSED


def _sum(condition: Any) -> Any:
    return sa.func.coalesce(sa.func.sum(sa.case((condition, 1), else_=0)), 0)


def figures(view: View, now: datetime) -> Figures:
    """家底统计. One pass over the directory and one over the register."""
    entry = DirectoryEntry
    owned = sa.and_(col(entry.provider_name) != "", col(entry.system) != "")
    row = view.session.execute(
        sa.select(
            sa.func.count(sa.distinct(col(entry.provider_code))),
            sa.func.count(),
            _sum(_REGISTERED),
            _sum(col(entry.scale).is_not(None)),
            _sum(owned),
            _sum(col(entry.open_attr) == OpenAttr.UNCONDITIONAL),
            _sum(col(entry.open_attr) == OpenAttr.CONDITIONAL),
            _sum(col(entry.open_attr) == OpenAttr.CLOSED),
            sa.func.count(sa.distinct(sa.case((_OPEN, col(entry.provider_code))))),
        )
    ).one()
    systems = sa.select(col(entry.provider_code), col(entry.system)).where(col(entry.system) != "").distinct()
    in_force = sa.select(sa.func.count()).where(col(Asset.state) == AssetState.REGISTERED)
    departments, resources, registered, sized, with_owner, free, conditional, closed, opening = map(int, row)
    return Figures(
        departments=departments,
        systems=int(
            view.session.execute(sa.select(sa.func.count()).select_from(systems.subquery())).scalar_one()
        ),
        resources=resources,
        registered=registered,
        sized=sized,
        owned=with_owner,
        unconditional=free,
        conditional=conditional,
        closed=closed,
        open_departments=opening,
        registrations=int(view.session.execute(in_force).scalar_one()),
        stale=len(stale_assets(view, now, limit=100_000)),
    )


def stale_assets(view: View, now: datetime, *, limit: int = 200) -> Sequence[str]:
    """超期未更新. Ids of registered assets whose data is older than promised, the oldest first."""
    late = [
        sa.and_(col(Asset.update_cycle) == cycle, col(Asset.refreshed_at) < now - limit_)
        for cycle, limit_ in FRESH_FOR.items()
    ]
    query = select(Asset.id).where(col(Asset.state) == AssetState.REGISTERED, sa.or_(*late))
    return view.session.exec(query.order_by(col(Asset.refreshed_at)).limit(limit)).all()


def tree(view: View) -> list[dict[str, Any]]:
    """目录树. Departments by name, each with its systems, each with counts that add up upwards."""
    entry = DirectoryEntry
    rows = view.session.execute(
        sa.select(
            col(entry.provider_code),
            sa.func.max(col(entry.provider_name)),
            col(entry.system),
            sa.func.count(),
            _sum(_REGISTERED),
            _sum(_OPEN),
        ).group_by(col(entry.provider_code), col(entry.system))
    ).all()
    departments: dict[str, dict[str, Any]] = {}
    for code, name, system, resources, registered, opened in rows:
        found = departments.setdefault(
            code,
            {"provider_code": code, "name": name, "resources": 0, "registered": 0, "open": 0, "systems": []},
        )
        counts = {"resources": int(resources), "registered": int(registered), "open": int(opened)}
        for key, number in counts.items():
            found[key] += number
        found["name"] = max(found["name"], name)
        found["systems"].append({"system": system} | counts)
    for found in departments.values():
        found["systems"].sort(key=lambda system: system["system"])
    return sorted(departments.values(), key=lambda found: (found["name"], found["provider_code"]))


def entries(
    view: View,
    *,
    provider: str | None = None,
    system: str | None = None,
    open_attr: OpenAttr | None = None,
    registered: bool | None = None,
    text: str = "",
    page: int = 1,
    per_page: int = 50,
) -> tuple[list[tuple[DirectoryEntry, bool]], int]:
    """目录条目. A page of resources by code, each with whether it is registered; and how many there are."""
    query = sa.select(DirectoryEntry, _REGISTERED.label("registered"))
    if provider is not None:
        query = query.where(col(DirectoryEntry.provider_code) == provider)
    if system is not None:
        query = query.where(col(DirectoryEntry.system) == system)
    if open_attr is not None:
        query = query.where(col(DirectoryEntry.open_attr) == open_attr)
    if registered is not None:
        query = query.where(_REGISTERED if registered else ~_REGISTERED)
    if text.strip():
        query = query.where(col(DirectoryEntry.title_zh).contains(text.strip()[:100], autoescape=True))
    total = int(view.session.execute(sa.select(sa.func.count()).select_from(query.subquery())).scalar_one())
    page, per_page = max(page, 1), min(max(per_page, 1), 200)
    ordered = query.order_by(col(DirectoryEntry.provider_code), col(DirectoryEntry.code))
    rows = view.session.execute(ordered.offset((page - 1) * per_page).limit(per_page)).all()
    return [(found, bool(known)) for found, known in rows], total


def entry(view: View, entry_id: str) -> tuple[DirectoryEntry, Asset | None]:
    """One resource of the directory, with its registration. Raises NotFound."""
    found = view.session.get(DirectoryEntry, entry_id)
    if found is None:
        raise NotFound(entry=entry_id)
    query = select(Asset).where(
        Asset.provider_code == found.provider_code,
        Asset.code == found.code,
        col(Asset.state) == AssetState.REGISTERED,
    )
    return found, view.session.exec(query.order_by(sa.desc(col(Asset.id)))).first()
