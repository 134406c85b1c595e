"""Usage of everything an organization bought or sold, and what stood out in it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from market.http.who import ActorDep, HouseDep, allow
from market.identity.rules import Permission
from market.trading.queries import watched_anomalies
from metering.rating import Usage
from metering.usage import span, usage_by
from metering.words import AnomalyKind, By, Side

router = APIRouter(tags=["usage"])


class UsageLine(BaseModel):
    key: str
    answers: int
    calls: int
    rows: int
    bytes: int
    amount_fen: int


class UsageView(BaseModel):
    by: By
    since: datetime
    until: datetime
    lines: list[UsageLine]
    total: UsageLine


class AnomalyView(BaseModel, from_attributes=True):
    id: str
    kind: AnomalyKind
    subject: str
    since: datetime
    buyer_id: str | None
    provider_id: str | None
    figures: dict[str, int]
    noted_at: datetime


def usage_view(by: By, since: datetime, until: datetime, lines: Sequence[tuple[str, Usage]]) -> UsageView:
    """Grouped usage with its sum."""
    total = sum((usage for _, usage in lines), Usage())
    return UsageView(
        by=by,
        since=since,
        until=until,
        lines=[_line(key, usage) for key, usage in lines],
        total=_line("total", total),
    )


def _line(key: str, usage: Usage) -> UsageLine:
    return UsageLine(
        key=key,
        answers=usage.events,
        calls=usage.calls,
        rows=usage.rows,
        bytes=usage.size,
        amount_fen=usage.amount_fen,
    )


@router.get("/usage", dependencies=[allow(Permission.USAGE_READ)])
def usage(
    house: HouseDep,
    actor: ActorDep,
    side: Side = Side.BOUGHT,
    by: By = By.PRODUCT,
    since: datetime | None = None,
    until: datetime | None = None,
) -> UsageView:
    """用量汇总 · What your organization used (bought), or what was used of its products (sold)."""
    begins, ends = span(by, since, until)
    with house.store.view() as view:
        lines = usage_by(
            view, by, org=(side, actor.own_org), since=begins, until=ends, zone=house.settings.timezone
        )
    return usage_view(by, begins, ends, lines)


@router.get("/anomalies", dependencies=[allow(Permission.LICENSE_SUSPEND, Permission.OFFER_ACCEPT)])
def anomalies(
    house: HouseDep,
    actor: ActorDep,
    before: Annotated[str | None, Query(max_length=40)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> list[AnomalyView]:
    """用量异常 · What stood out: everything for compliance officers, their own products for providers."""
    with house.store.view() as view:
        return [
            AnomalyView.model_validate(row)
            for row in watched_anomalies(view, actor, before=before, limit=limit)
        ]
