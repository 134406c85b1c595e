"""What each kind of case stands on and what follows from its outcome, on one page; the desk's verbs over all kinds."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from market.approvals import actions, autorules, chasing, queries
from market.approvals.procedures import PROCEDURES
from market.approvals.rules import CaseKind, CaseState, Command, Ground, Verdict, bulk_faults, changed
from market.approvals.tables import Case
from market.billing import refunding
from market.catalogue import asking as listing_facts
from market.catalogue import listing
from market.catalogue import queries as catalogue
from market.identity.rules import Actor
from market.lists import actions as lists
from market.lists.queries import edit_of_case
from market.mandates import actions as mandates
from market.mandates.queries import mandate_of_case
from market.trading import actions as trading
from market.trading import asking as order_facts
from market.trading import holding, revocation
from market.trading import queries as orders
from storage.kernel.problem import Invalid, NotFound, Problem
from storage.kernel.words import Words
from storage.unit import Unit, View

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Matter:
    """事项. How a room carries out the outcome of its cases, and what it says they stand on now.

    settle: gets the case as it was moved, the reason and the market's time zone. correct: where the
    applicant corrects a returned one; product: the id of the product it is about, None when it is about none.
    """

    settle: Callable[[Unit, Case, str, str], object]
    ground: Callable[[View, Case], Ground]
    facts: Mapping[str, Words]
    correct: Callable[[View, Case], str]
    product: Callable[[View, Case], str | None]


def _listing_ground(view: View, case: Case) -> Ground:
    return listing.ground_of(view, catalogue.listing_of_case(view, case.id))


def _order_ground(view: View, case: Case) -> Ground:
    return order_facts.ground_of(view, orders.order_of_case(view, case.id))


def _revocation_ground(view: View, case: Case) -> Ground:
    asked_for = str(case.facts.get("asked_for", ""))
    return revocation.ground_of(view, case.subject.removeprefix("license:"), asked_for)


# For each kind of case: the room that acts on it. Who may decide it stands in `approvals.procedures`.
MATTERS: dict[CaseKind, Matter] = {
    CaseKind.LISTING: Matter(
        settle=lambda unit, case, reason, _zone: listing.settle_listing(unit, case, reason),
        ground=_listing_ground,
        facts=listing_facts.FACTS,
        correct=lambda view, case: f"/products/{catalogue.listing_of_case(view, case.id).product_id}/listing",
        product=lambda view, case: catalogue.listing_of_case(view, case.id).product_id,
    ),
    CaseKind.ORDER: Matter(
        settle=trading.settle_order,
        ground=_order_ground,
        facts=order_facts.FACTS,
        correct=lambda _view, case: f"/orders/{case.subject.removeprefix('order:')}/correction",
        product=lambda view, case: orders.order_of_case(view, case.id).product_id,
    ),
    CaseKind.REVOCATION: Matter(
        settle=lambda unit, case, reason, _zone: revocation.settle_revocation(unit, case, reason),
        ground=_revocation_ground,
        facts=revocation.FACTS,
        correct=lambda _view, case: f"/requests/{case.id}",
        product=lambda _view, case: str(case.facts["product"]),
    ),
    CaseKind.LIST_EDIT: Matter(
        settle=lambda unit, case, reason, _zone: holding.settle_list_edit(unit, case, reason),
        ground=lambda view, case: lists.ground_of(edit_of_case(view, case.id)),
        facts=lists.FACTS,
        correct=lambda _view, case: f"/requests/{case.id}",
        product=lambda _view, _case: None,
    ),
    CaseKind.MANDATE: Matter(
        settle=lambda unit, case, reason, _zone: mandates.settle_mandate(unit, case, reason),
        ground=lambda view, case: mandates.ground_of(mandate_of_case(view, case.id)),
        facts=mandates.FACTS,
        correct=lambda _view, case: f"/requests/{case.id}",
        product=lambda _view, _case: None,
    ),
    CaseKind.REFUND: Matter(
        settle=lambda unit, case, reason, _zone: refunding.settle_refund_case(unit, case, reason),
        ground=lambda view, case: refunding.ground_of(refunding.refund_of_case(view, case)),
        facts=refunding.FACTS,
        correct=lambda _view, case: f"/requests/{case.id}",
        product=lambda _view, _case: None,
    ),
}


def matter_of(view: View, case_id: str) -> Matter:
    """The room a case belongs to. Raises NotFound."""
    kind = queries.kind_of(view, case_id)
    if kind is None:
        raise NotFound(case=case_id)
    return MATTERS[kind]


def decide_case(
    unit: Unit,
    actor: Actor,
    case_id: str,
    *,
    verdict: Verdict,
    reason: str,
    expected_version: int | None,
    zone: str,
    seen: str | None = None,
) -> Case:
    """审批. Decide, and let the room carry it out in the same Unit.

    seen: the hash of the facts the decider read; another one now is told. Raises NotFound, what
    `approvals.actions.decide` raises, and what the room finds against it.
    """
    lists.steady(unit)  # before the case: what a decision stands on holds until it is carried out
    matter = matter_of(unit, case_id)
    if verdict is Verdict.RETURN:
        case = actions.return_case(unit, actor, case_id, reason=reason, expected_version=expected_version)
    else:
        case = actions.locked(unit, case_id)
        case = actions.decide(
            unit,
            actor,
            case_id,
            approve=verdict is Verdict.APPROVE,
            reason=reason,
            expected_version=expected_version,
            seen=seen,
            ground=matter.ground(unit, case),
        )
    matter.settle(unit, case, reason, zone)
    return case


def withdraw_case(unit: Unit, actor: Actor, case_id: str, *, reason: str, zone: str) -> Case:
    """撤回. The applicant takes the request back. Raises NotFound, NotYours, AlreadyDecided, Invalid."""
    lists.steady(unit)
    matter = matter_of(unit, case_id)
    case = actions.withdraw(unit, actor, case_id, reason=reason)
    matter.settle(unit, case, reason, zone)
    return case


@dataclass(frozen=True, slots=True)
class Outcome:
    """批量办理结果. One case of many: its state, or why it was left alone."""

    case_id: str
    state: CaseState | None
    problem: Problem | None = None


def decide_many(
    unit: Unit, actor: Actor, picked: Iterable[tuple[str, int]], *, verdict: Verdict, reason: str, zone: str
) -> list[Outcome]:
    """批量办理. Decide several cases of low risk with one reason; one that cannot be decided stays as it was.

    picked: id and the version read. Only what is of low risk now and at submission, needs one person, and
    is still what was asked for; everything else is refused by name.
    """
    done = []
    for case_id, version in picked:
        try:
            with unit.attempt():
                lists.steady(unit)
                _refuse_in_bulk(unit, case_id)
                case = decide_case(
                    unit, actor, case_id, verdict=verdict, reason=reason, expected_version=version, zone=zone
                )
            done.append(Outcome(case_id, case.state))
        except Problem as problem:
            done.append(Outcome(case_id, None, problem))
    return done


def _refuse_in_bulk(unit: Unit, case_id: str) -> None:
    matter = matter_of(unit, case_id)
    case = actions.locked(unit, case_id)
    now = matter.ground(unit, case)
    faults = bulk_faults(
        score=max(now.score, case.risk_score), needs=case.needs, moved=bool(changed(case.facts, now.facts))
    )
    if faults:
        raise Invalid(*faults)


def waiting_cases(
    view: View, actor: Actor, kind: CaseKind | None = None, *, mine: bool = False, by_risk: bool = False
) -> Sequence[Case]:
    """待审批. What waits for a decision the actor may take, the most urgent or the riskiest first."""
    rows = [
        row
        for each, procedure in PROCEDURES.items()
        if kind in {None, each} and procedure.decides(actor, 2)
        for row in queries.queue(view, actor, kind=each, mine=mine, by_risk=by_risk)
    ]
    return sorted(rows, key=lambda row: (-row.risk_score if by_risk else 0, row.due_at, row.id))


@dataclass(frozen=True, slots=True)
class Shown:
    """审批事项. A case, what it stands on now, what changed since, and what the reader may do."""

    case: Case
    ground: Ground
    moved: list[tuple[str, Any, Any]]
    commands: list[Command]


def shown(view: View, actor: Actor, case: Case) -> Shown:
    """A case as the reader sees it. Closed ones are shown as they were: nothing moves them any more."""
    open_now = case.state in {CaseState.WAITING, CaseState.RETURNED}
    ground = MATTERS[case.kind].ground(view, case) if open_now else Ground(case.facts)
    return Shown(case, ground, changed(case.facts, ground.facts), queries.commands(view, actor, case))


# ------------------------------------------------------------------ by itself


def approve_by_rule(unit: Unit, case_id: str, zone: str) -> None:
    """自动审批. Approve a case that a switched-on rule holds for; what the room refuses is left to people."""
    lists.steady(unit)
    matter = matter_of(unit, case_id)
    case = actions.locked(unit, case_id)
    if case.state is not CaseState.WAITING or case.assigned_to is not None:
        return
    ground = matter.ground(unit, case)
    rule = autorules.rule_for(unit, case, ground)
    if rule is None or changed(case.facts, ground.facts):
        return
    try:
        with unit.attempt():
            reason = f"自动审批规则 {rule.code}：{rule.words.zh}"[:500]
            decided = actions.decide(
                unit, autorules.hand_of(rule), case_id, approve=True, reason=reason, ground=ground
            )
            matter.settle(unit, decided, reason, zone)
    except Problem as problem:
        log.info("left to people", case=case_id, rule=rule.code, problem=problem.slug())


def due_cases(view: View, now: datetime, zone: str) -> list[tuple[str, Command]]:
    """What the clock does to which open case now."""
    steps = ((case.id, chasing.step(case, now, zone)) for case in queries.chased(view, now))
    return [(case_id, command) for case_id, command in steps if command is not None]


def run_clock(unit: Unit, case_id: str, command: Command, now: datetime, zone: str) -> None:
    """催办、督办、逾期终止. Do what time made due to one case; an end is carried out by the room."""
    if command is not Command.EXPIRE:
        chasing.chase(unit, case_id, now, zone)
        return
    lists.steady(unit)
    case = actions.end_overdue(unit, case_id, now)
    MATTERS[case.kind].settle(unit, case, "逾期未办结 not concluded in time", zone)
