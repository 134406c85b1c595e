"""Price ceilings for everybody to read, and the mandator's desk of ceilings and revenue caps."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from market.http.render import page
from market.http.who import ActorDep, HouseDep, VisitorDep, allow
from market.identity.queries import parties, verified_of
from market.identity.rules import Permission
from market.mandates import pricing, queries
from market.mandates.prices import CapForm, CeilingForm, ChargeUnit, left_fen, yuan_of
from market.mandates.rules import OPERATOR_KINDS
from market.web.forms import GUARDED, FormDep, again, leave, once
from market.web.values import build, fen
from storage.kernel import clock
from storage.unit import Unit

router = APIRouter(dependencies=GUARDED)
GRANT = allow(Permission.MANDATE_GRANT)
READ = allow(Permission.MANDATE_READ)
CEILING = (
    "product",
    "unit",
    "max_yuan",
    "decided_by",
    "document_no",
    "first_day",
    "last_day",
    "document_sha256",
)


@router.get("/ceilings")
def ceilings(request: Request, house: HouseDep, caller: VisitorDep, form: FormDep) -> Response:
    """上限收费标准 · What public data may cost at most, by which decision; no account needed."""
    with house.store.view() as view:
        rows = queries.ceilings(view, form["of"] or None)
    now = clock.now()
    return page(
        request,
        "ceilings.html",
        form=form,
        rows=[(row, yuan_of(row.max_fen), row.valid_from <= now < row.valid_until) for row in rows],
        units=ChargeUnit,
        may_set=caller.actor is not None and caller.actor.may(Permission.MANDATE_GRANT),
        own=caller.actor.org if caller.actor else None,
    )


@router.post("/ceilings", dependencies=[GRANT])
@again(ceilings)
def set_ceiling(
    request: Request, house: HouseDep, actor: ActorDep, caller: VisitorDep, form: FormDep
) -> Response:
    """核定上限 · Set a ceiling, instead of the one before when that is chosen."""
    values: dict[str, Any] = {name: form[name] for name in CEILING if form[name]}
    read = build(CeilingForm, {"max_yuan": "", "product": ""} | values | {"trial": form["trial"] == "yes"})

    def act(unit: Unit) -> str:
        return pricing.set_ceiling(unit, actor, form=read, replaces=form["replaces"][:40] or None).id

    once(request, house, actor, form, act)
    return leave("/ceilings", done="ceiling_set")


@router.post("/ceilings/{ceiling_id}/end", dependencies=[GRANT])
@again(ceilings)
def end_ceiling(
    request: Request, house: HouseDep, actor: ActorDep, caller: VisitorDep, form: FormDep, ceiling_id: str
) -> Response:
    """废止上限 · From this moment on; new orders wait for another one."""
    with house.store.unit(actor.id, actor.org) as unit:
        pricing.end_ceiling(unit, actor, ceiling_id, reason=form["reason"])
    return leave("/ceilings", done="ceiling_ended")


@router.get("/caps", dependencies=[READ])
def caps(request: Request, house: HouseDep, actor: ActorDep, form: FormDep) -> Response:
    """最高准许收入 · What operators may collect, what they collected, what is carried over."""
    with house.store.view() as view:
        rows = queries.caps(view, actor)
        people = parties(view, {row.operator_id for row in rows})
        operators = verified_of(view, OPERATOR_KINDS) if actor.may(Permission.MANDATE_GRANT) else []
    return page(
        request,
        "caps.html",
        form=form,
        rows=[(row, left_fen(row.cap_fen, row.carried_fen, row.collected_fen)) for row in rows],
        people=people,
        operators=operators,
        may_set=actor.may(Permission.MANDATE_GRANT),
    )


@router.post("/caps", dependencies=[GRANT])
@again(caps)
def set_cap(request: Request, house: HouseDep, actor: ActorDep, form: FormDep) -> Response:
    """核定准许收入 · For an operator and whole months."""
    values: dict[str, Any] = {
        name: form[name] for name in ("operator_id", "first_day", "last_day", "decided_by", "document_no")
    }
    read = build(CapForm, values | {"cap_fen": fen(form, "cap_fen")})

    def act(unit: Unit) -> str:
        return pricing.set_cap(unit, actor, form=read).id

    once(request, house, actor, form, act)
    return leave("/caps", done="cap_set")
