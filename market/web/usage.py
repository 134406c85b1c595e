"""Usage of everything an organization bought or sold, and what stood out in it."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from market.http.render import page
from market.http.who import ActorDep, HouseDep, allow
from market.identity.queries import parties
from market.identity.rules import Permission
from market.trading.queries import watched_anomalies
from market.web.forms import GUARDED, FormDep
from market.web.values import picked
from metering.queries import product_titles
from metering.rating import Usage
from metering.usage import span, usage_by
from metering.words import By, Side

router = APIRouter(dependencies=GUARDED)
SHOWN = 50


@router.get("/usage", dependencies=[allow(Permission.USAGE_READ)])
def usage(request: Request, house: HouseDep, actor: ActorDep, form: FormDep) -> Response:
    """用量 · What the organization used, or what was used of its products, the last 31 days."""
    sells = actor.may(Permission.OFFER_ACCEPT)
    buys = actor.may(Permission.CONTRACT_ACCEPT)
    by = picked(By, form["by"]) or By.PRODUCT
    side = picked(Side, form["side"]) or (Side.SOLD if sells and not buys else Side.BOUGHT)
    begins, ends = span(by, None, None)
    with house.store.view() as view:
        lines = usage_by(
            view, by, org=(side, actor.own_org), since=begins, until=ends, zone=house.settings.timezone
        )
        titles = product_titles(view, [key for key, _ in lines]) if by is By.PRODUCT else {}
    return page(
        request,
        "usage.html",
        by=by,
        side=side,
        kinds=list(By),
        sides=list(Side) if sells and buys else [],
        lines=lines,
        titles=titles,
        total=sum((used for _, used in lines), Usage()),
    )


@router.get("/anomalies", dependencies=[allow(Permission.LICENSE_SUSPEND, Permission.OFFER_ACCEPT)])
def anomalies(request: Request, house: HouseDep, actor: ActorDep, form: FormDep) -> Response:
    """用量异常 · What stood out, for compliance officers and, of their own products, for providers."""
    with house.store.view() as view:
        rows = watched_anomalies(view, actor, before=form["before"] or None, limit=SHOWN)
        known = parties(view, {each for row in rows for each in (row.buyer_id, row.provider_id) if each})
    return page(request, "anomalies.html", rows=rows, people=known, limit=SHOWN)
