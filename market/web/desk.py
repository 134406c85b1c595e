"""Around the approval desk: who is away and who decides meanwhile, and the rules that approve by themselves."""

import re
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from fastapi.responses import Response

from market.approvals import autorules, charge, queries
from market.approvals.procedures import DESK
from market.approvals.rules import AUTO_RULES
from market.casework import MATTERS
from market.http.render import page
from market.http.who import ActorDep, HouseDep, allow
from market.identity.queries import holders, people
from market.identity.rules import Permission
from market.web.forms import GUARDED, Form, FormDep, again, leave, once
from storage.kernel import clock
from storage.kernel.problem import Fault, Invalid
from storage.kernel.words import Words

router = APIRouter(prefix="/desk", dependencies=GUARDED)
READ = allow(*DESK, Permission.JOURNAL_READ)
DECIDE = allow(*DESK)
RULES = allow(*DESK, Permission.CASE_RULES, Permission.JOURNAL_READ)


@router.get("/away", dependencies=[READ])
def away(request: Request, house: HouseDep, actor: ActorDep, form: FormDep) -> Response:
    """委托代办 · Who is away, until when, and who decides meanwhile."""
    mine = [permission for permission in DESK if actor.may(permission)]
    with house.store.view() as view:
        rows = queries.delegations(view, actor)
        able = {user.id for user, _org in holders(view, mine)} if mine else set()
        for permission in mine:
            able &= {user.id for user, _org in holders(view, (permission,))}
        names = people(view, able | {row.person for row in rows} | {row.deputy for row in rows})
    return page(
        request,
        "desk_away.html",
        form=form,
        rows=rows,
        names=names,
        able=[(who, names[who]) for who in sorted(able - {actor.id}) if who in names],
        decides=bool(mine),
        now=clock.now(),
    )


@router.post("/away", dependencies=[DECIDE])
@again(away)
def delegate(request: Request, house: HouseDep, actor: ActorDep, form: FormDep) -> Response:
    """委托代办 · From the beginning of one day to the end of another, in the market's time zone."""
    zone = ZoneInfo(house.settings.timezone)
    begins, ends = _day(form, "from", zone, time.min), _day(form, "until", zone, time(23, 59, 59))
    once(
        request,
        house,
        actor,
        form,
        lambda unit: (
            charge.delegate(
                unit, actor, deputy=form["deputy"], begins=begins, ends=ends, reason=form["reason"]
            ).id
        ),
    )
    return leave("/desk/away", done="delegated")


def _day(form: Form, name: str, zone: ZoneInfo, at: time) -> datetime:
    day = form[name] if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", form[name]) else "no date"
    try:
        return datetime.combine(date.fromisoformat(day), at, zone).astimezone(UTC)
    except (ValueError, OverflowError):
        words = Words("请填写日期，如 2026-01-31。", "Write a date such as 2026-01-31.")
        raise Invalid(Fault(name, "date", words)) from None


@router.post("/away/{delegation_id}/end", dependencies=[DECIDE])
def back(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, delegation_id: str) -> Response:
    """终止委托 · Back again."""
    once(request, house, actor, form, lambda unit: charge.end_delegation(unit, actor, delegation_id).id)
    return leave("/desk/away", done="delegation_ended")


@router.get("/rules", dependencies=[RULES])
def rules(request: Request, house: HouseDep, actor: ActorDep, form: FormDep) -> Response:
    """自动审批规则 · What is approved without a person, what each rule asks, who switched it and why."""
    with house.store.view() as view:
        said = queries.switches(view)
        names = people(view, {row.by for row in said.values()})
    return page(
        request,
        "desk_rules.html",
        form=form,
        rules=AUTO_RULES,
        said=said,
        names=names,
        facts={kind: matter.facts for kind, matter in MATTERS.items()},
        switches=actor.may(Permission.CASE_RULES),
    )


@router.post("/rules/{code}", dependencies=[allow(Permission.CASE_RULES)])
def switch(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, code: str) -> Response:
    """开关规则 · Let it decide, or stop it; with a reason."""

    @again(rules)
    def write(request: Request, house: HouseDep, actor: ActorDep, form: FormDep) -> Response:
        on, reason = form["on"] == "yes", form["reason"]
        once(
            request,
            house,
            actor,
            form,
            lambda unit: autorules.switch(unit, actor, code, on=on, reason=reason).code,
        )
        return leave("/desk/rules", done="rule_switched")

    return write(request=request, house=house, actor=actor, form=form)
