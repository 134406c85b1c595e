"""The approval desk: what waits, everything needed to decide on one page, and the decision with its reason."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from contracts.terms import DeliveryMode
from market import casework
from market.approvals import actions, charge, queries
from market.approvals.procedures import DESK, PROCEDURES
from market.approvals.rules import CaseKind, CaseState, RiskLevel, Verdict, level_of, reason_faults
from market.approvals.tables import Case, Decision
from market.audit.queries import history
from market.billing import refunding
from market.catalogue import queries as catalogue
from market.catalogue import tiering
from market.catalogue.rules import Standing
from market.catalogue.tables import Product
from market.house import House
from market.http.render import page
from market.http.who import ActorDep, HouseDep, allow
from market.identity.queries import parties, party, people
from market.identity.rules import Actor, Permission
from market.lists import queries as lists
from market.mandates import queries as mandates
from market.policy import queries as policy
from market.registry.queries import source_of_product
from market.trading import queries as trading
from market.web.forms import GUARDED, Form, FormDep, again, leave, once
from market.web.lists import FIELDS, changes_shown
from market.web.words import KINDS
from storage.kernel import clock
from storage.kernel.problem import Fault, Invalid
from storage.kernel.words import Words
from storage.unit import Unit, View

router = APIRouter(prefix="/approvals", dependencies=GUARDED)
DECIDE = allow(*DESK)
READ = allow(*DESK, Permission.JOURNAL_READ)
MOST_PICKED = 100


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the queue: the case, what it is about, and what to look at."""

    case: Case
    title: Words
    product: Product | None  # some matters are about none
    level: RiskLevel
    bulk: bool
    due_fen: int | None = None


@router.get("", dependencies=[DECIDE])
def queue(request: Request, house: HouseDep, actor: ActorDep, form: FormDep) -> Response:
    """待审批 · What waits for a decision the reader may take; by due date or by risk, all or one's own."""
    asked = form if request.method == "GET" else Form()
    kind = next((each for each in CaseKind if each.value == asked["kind"]), None)
    level = next((each for each in RiskLevel if each.value == asked["risk"]), None)
    with house.store.view() as view:
        cases = casework.waiting_cases(
            view, actor, kind, mine=bool(asked["mine"]), by_risk=asked["sort"] == "risk"
        )
        rows = [_row(view, actor, case) for case in cases]
        rows = [row for row in rows if level in {None, row.level}]
        orgs = parties(view, {row.case.submitted_org for row in rows})
        names = people(view, {row.case.assigned_to for row in rows if row.case.assigned_to})
        standing_in = queries.represented(view, actor.id, clock.now())
        names |= people(view, set(standing_in))
    now = clock.now()
    return page(
        request,
        "approvals.html",
        form=form,
        rows=rows,
        people=orgs,
        names=names,
        standing_in=standing_in,
        kinds=[each for each, procedure in PROCEDURES.items() if procedure.decides(actor, 2)],
        kind=asked["kind"],
        risk=asked["risk"],
        sort=asked["sort"],
        mine=asked["mine"],
        levels=list(RiskLevel),
        late=sum(row.case.due_at < now for row in rows),
        now=now,
    )


def _product(view: View, actor: Actor, case: Case) -> Product | None:
    product_id = casework.MATTERS[case.kind].product(view, case)
    return catalogue.product(view, actor, product_id) if product_id else None


def _row(view: View, actor: Actor, case: Case) -> Row:
    level = level_of(case.risk_score)
    if case.kind is CaseKind.LIST_EDIT:
        edit = lists.edit_of_case(view, case.id)
        title = Words(f"{edit.kind.words.zh}：{edit.summary}", f"{edit.kind.words.en}: {edit.summary}")
        return Row(case, title, None, level, bulk=False)
    if case.kind is CaseKind.MANDATE:
        name = mandates.mandate_of_case(view, case.id).terms().title
        return Row(case, Words(name, name), None, level, bulk=False)
    if case.kind is CaseKind.REFUND:
        name = parties(view, {case.submitted_org})[case.submitted_org].name
        title = Words(f"退款：{name}", f"Refund: {name}")
        return Row(case, title, None, level, bulk=False, due_fen=case.facts.get("due_fen"))
    product = _product(view, actor, case)
    return Row(
        case,
        Words(product.title_zh, product.title_en) if product else case.kind.words,
        product,
        level,
        level is RiskLevel.LOW and case.needs == 1 and case.assigned_to in {None, actor.id},
        case.facts.get("due_fen"),
    )


@router.post("", dependencies=[DECIDE])
@again(queue)
def decide_many(request: Request, house: HouseDep, actor: ActorDep, form: FormDep) -> Response:
    """批量办理 · Decide the ticked cases of low risk with one reason; what could not be decided is named."""
    picked = [
        (found[1], int(found[2]))
        for text in form.all("case")
        if (found := re.fullmatch(r"(cas_[0-9A-Za-z]{1,40}):([0-9]{1,9})", text))
    ]
    faults = list(reason_faults(form["reason"]))
    verdict = next((each for each in Verdict if each.value == form["verdict"]), None)
    if verdict is None:
        faults.append(Fault("verdict", "required", Words("请选择结论。", "Choose a verdict.")))
    if not 1 <= len(picked) <= MOST_PICKED:
        words = Words("请勾选 1 至 100 件低风险事项。", "Tick 1 to 100 matters of low risk.")
        faults.append(Fault("case", "bulk.picked", words))
    if faults or verdict is None:
        raise Invalid(*faults)
    zone, left = house.settings.timezone, 0

    def act(unit: Unit) -> str:
        nonlocal left
        done = casework.decide_many(unit, actor, picked, verdict=verdict, reason=form["reason"], zone=zone)
        refused = [each for each in done if each.problem is not None]
        left = len(refused)
        if left == len(done):
            problem = refused[0].problem
            assert problem is not None
            raise problem
        return str(left)

    left_over = once(request, house, actor, form, act)
    return leave("/approvals", done="ruled_many" if left_over == "0" else "ruled_some")


@router.get("/{case_id}", dependencies=[READ])
def matter(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, case_id: str) -> Response:
    """审批事项 · One case: what is asked, by whom, on what ground, what changed since, and what was said so far."""
    with house.store.view() as view:
        case = queries.case(view, actor, case_id)
        decisions = queries.decisions(view, case.id)
        if case.kind in {CaseKind.LIST_EDIT, CaseKind.MANDATE, CaseKind.REFUND}:
            return _other(request, view, actor, form, case, decisions)
        product = _product(view, actor, case)
        about: dict[str, Any] = {}
        if case.kind is CaseKind.LISTING and product is not None:
            about = _listing(view, case, product)
        order = trading.of_case(view, case.id)
        if order is not None:
            contract = (
                trading.readable_contract(view, actor, order.contract_id) if order.contract_id else None
            )
            about = {
                "order": order,
                "buyer": party(view, order.buyer_id),
                "contract": contract,
                "judged": policy.decisions(view, f"order:{order.id}"),
                "findings": policy.findings(view, f"order:{order.id}"),
            }
        if case.kind is CaseKind.REVOCATION:
            license_id = case.subject.removeprefix("license:")
            about = {"license": trading.readable_license(view, actor, license_id)}
        known = {case.submitted_org} | {d.org for d in decisions if d.org}
        orgs = parties(view, known | ({product.provider_id} if product else set()))
        desk = _desk(view, actor, case, decisions)
    return page(
        request,
        "approval.html",
        form=form,
        product=product,
        people=orgs,
        delivery=[mode for mode in DeliveryMode if product and mode in product.delivery],
        **desk,
        **about,
    )


def _desk(view: View, actor: Actor, case: Case, decisions: Sequence[Decision]) -> dict[str, Any]:
    """What `_verdict.html` shows beside any kind of matter: who said what, what changed, what the reader may do."""
    seen = casework.shown(view, actor, case)
    able = queries.deciders_of(view, case) if "hand_over" in seen.commands else {}
    voices = {d.by for d in decisions} | {d.on_behalf_of for d in decisions if d.on_behalf_of}
    in_charge = [case.assigned_to] if case.assigned_to else []
    names = people(view, {case.submitted_by, *voices, *able, *in_charge})
    story = history(view, f"case:{case.id}")
    return {
        "case": case,
        "decisions": decisions,
        "names": names,
        "seen": seen,
        "facts": casework.MATTERS[case.kind].facts,
        "level": level_of(case.risk_score),
        "able": {who: names[who] for who in able if who in names and who not in {actor.id, *voices}},
        "remarks": [entry for entry in story if entry.kind not in _SAID],
        "kinds": KINDS,
        "own": queries.is_own(actor, case),
        "said": any(actor.id in {d.by, d.on_behalf_of} for d in decisions if d.round == case.round),
        "waiting": case.state is CaseState.WAITING,
        "now": clock.now(),
    }


_SAID = {"case.approved", "case.rejected", "case.returned", "case.endorsed"}  # decisions say these themselves


def _other(
    request: Request, view: View, actor: Actor, form: Form, case: Case, decisions: Sequence[Decision]
) -> Response:
    """An edit of a list, a mandate, or a refund: what is asked beside the decision."""
    orgs = {case.submitted_org} | {decision.org for decision in decisions if decision.org}
    if case.kind is CaseKind.LIST_EDIT:
        edit = lists.edit_of_case(view, case.id)
        template = "approval_list.html"
        about: dict[str, Any] = {"edit": edit, "changes": changes_shown(view, edit.changes), "fields": FIELDS}
    elif case.kind is CaseKind.REFUND:
        template = "approval_refund.html"
        about = {"refund": refunding.refund_of_case(view, case)}
    else:
        mandate = mandates.mandate_of_case(view, case.id)
        orgs |= {mandate.mandator_id, mandate.operator_id}
        template = "approval_mandate.html"
        about = {"mandate": mandate, "terms": mandate.terms()}
    return page(
        request,
        template,
        form=form,
        people=parties(view, orgs),
        **_desk(view, actor, case, decisions),
        **about,
    )


def _listing(view: View, case: Case, product: Product) -> dict[str, Any]:
    """What stands behind a listing: asset, plans, standing terms, and the tier rules as they hold now."""
    asked = catalogue.listing_of_case(view, case.id)
    asset = source_of_product(view, product.asset_id, product.provider_id)
    plans = catalogue.plans(view, product.id)
    judgments = tiering.judged(view, product, asset, plans, Standing(**asked.standing), asked.provider_kind)
    return {
        "judgments": judgments,
        "rules": policy.in_force(view).pack.version,
        "listing": asked,
        "source": asset,
        "plans": plans,
        "version": catalogue.newest_version(view, product.id),
        "declared": catalogue.interface(view, product.id),
        "broken": tiering.broken_rules(view, product, asked.provider_kind, Standing(**asked.standing)),
    }


@router.post("/{case_id}", dependencies=[DECIDE])
@again(matter)
def decide(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, case_id: str) -> Response:
    """审批 · Approve, reject or return, with a reason the applicant reads."""
    faults = list(reason_faults(form["reason"]))
    verdict = next((each for each in Verdict if each.value == form["verdict"]), None)
    if verdict is None:
        words = Words("请选择同意、否决或退回补正。", "Choose to approve, to reject or to return it.")
        faults.insert(0, Fault("verdict", "required", words))
    if faults or verdict is None:
        raise Invalid(*faults)
    version = int(form["version"]) if re.fullmatch(r"[0-9]{1,9}", form["version"]) else 0
    seen = form["facts"] if re.fullmatch(r"[0-9a-f]{64}", form["facts"]) else None

    def act(unit: Unit) -> str:
        casework.decide_case(
            unit,
            actor,
            case_id,
            verdict=verdict,
            reason=form["reason"],
            expected_version=version,
            seen=seen,
            zone=house.settings.timezone,
        )
        return case_id

    once(request, house, actor, form, act)
    return leave("/approvals", done="ruled")


def _do(
    request: Request, house: House, actor: Actor, form: Form, act: Callable[[Unit], Case], done: str
) -> Response:
    case_id = once(request, house, actor, form, lambda unit: act(unit).id)
    return leave(f"/approvals/{case_id}", done=done)


@router.post("/{case_id}/taking", dependencies=[DECIDE])
@again(matter)
def take(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, case_id: str) -> Response:
    """领办 · Be in charge."""
    return _do(request, house, actor, form, lambda unit: charge.take(unit, actor, case_id), "taken")


@router.post("/{case_id}/handover", dependencies=[DECIDE])
@again(matter)
def hand_over(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, case_id: str) -> Response:
    """转办 · Put somebody else in charge."""
    to, why = form["to"], form["why"]
    return _do(
        request,
        house,
        actor,
        form,
        lambda unit: charge.hand_over(unit, actor, case_id, to=to, reason=why),
        "handed_over",
    )


@router.post("/{case_id}/comments", dependencies=[DECIDE])
@again(matter)
def comment(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, case_id: str) -> Response:
    """留言 · Ask or tell the applicant something without deciding."""
    text = form["text"]
    return _do(
        request, house, actor, form, lambda unit: actions.comment(unit, actor, case_id, text=text), "said"
    )
