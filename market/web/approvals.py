"""The approval desk: what waits, everything needed to decide on one page, and the decision with its reason."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from contracts.terms import DeliveryMode
from market import wiring
from market.approvals import queries
from market.approvals.rules import CaseKind, CaseState, own_matter, reason_faults
from market.approvals.tables import Case, Decision
from market.catalogue import queries as catalogue
from market.catalogue import tiering
from market.catalogue.rules import Standing
from market.catalogue.tables import Product
from market.http.render import page
from market.http.who import ActorDep, HouseDep, allow
from market.identity.queries import parties, party
from market.identity.rules import Actor, Permission
from market.lists import queries as lists
from market.mandates import queries as mandates
from market.policy import queries as policy
from market.registry.queries import source_of_product
from market.trading import queries as trading
from market.web.forms import GUARDED, Form, FormDep, again, leave, once
from market.web.lists import FIELDS, changes_shown
from storage.kernel import clock
from storage.kernel.problem import Fault, Invalid
from storage.kernel.words import Words
from storage.unit import Unit, View

DECIDE = allow(
    Permission.LISTING_APPROVE,
    Permission.ORDER_APPROVE,
    Permission.LIST_APPROVE,
    Permission.MANDATE_APPROVE,
)
router = APIRouter(prefix="/approvals", dependencies=[*GUARDED, DECIDE])


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the queue: the case, what it is about, and what to look at."""

    case: Case
    title: Words
    product: Product | None = None  # an edit of a list and a mandate are about none
    highest_fen: int = 0
    due_fen: int | None = None


@router.get("")
def queue(request: Request, house: HouseDep, actor: ActorDep, form: FormDep) -> Response:
    """待审批 · What waits for a decision the reader may take, the most urgent first."""
    kind = next((each for each in wiring.CASES if each.value == form["kind"]), None)
    with house.store.view() as view:
        rows = [_row(view, actor, case) for case in wiring.waiting_cases(view, actor, kind)]
        people = parties(view, {row.case.submitted_org for row in rows})
    return page(
        request,
        "approvals.html",
        rows=rows,
        people=people,
        kinds=[each for each, (permission, _) in wiring.CASES.items() if actor.may(permission)],
        kind=form["kind"],
        now=clock.now(),
    )


def _product(view: View, actor: Actor, case: Case) -> Product:
    if case.kind is CaseKind.LISTING:
        return catalogue.product(view, actor, catalogue.listing_of_case(view, case.id).product_id)
    order = trading.of_case(view, case.id)
    assert order is not None  # a case of this kind is opened with its order
    return catalogue.product(view, actor, order.product_id)


def _row(view: View, actor: Actor, case: Case) -> Row:
    if case.kind is CaseKind.LIST_EDIT:
        edit = lists.edit_of_case(view, case.id)
        return Row(
            case, Words(f"{edit.kind.words.zh}：{edit.summary}", f"{edit.kind.words.en}: {edit.summary}")
        )
    if case.kind is CaseKind.MANDATE:
        name = mandates.mandate_of_case(view, case.id).terms().title
        return Row(case, Words(name, name))
    product = _product(view, actor, case)
    order = trading.of_case(view, case.id) if case.kind is CaseKind.ORDER else None
    plans = catalogue.plans(view, product.id)
    highest = max((max(p.call_fen, p.row_fen, p.download_fen, p.fee_fen) for p in plans), default=0)
    title = Words(product.title_zh, product.title_en)
    return Row(case, title, product, highest, order.due_fen if order else None)


@router.get("/{case_id}")
def matter(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, case_id: str) -> Response:
    """审批事项 · One case: what is asked, by whom, on what ground, and what was said so far."""
    with house.store.view() as view:
        case = wiring.readable_case(view, actor, case_id)
        decisions = queries.decisions(view, case.id)
        if case.kind in {CaseKind.LIST_EDIT, CaseKind.MANDATE}:
            return _other(request, view, actor, form, case, decisions)
        product = _product(view, actor, case)
        about: dict[str, Any] = _listing(view, case, product) if case.kind is CaseKind.LISTING else {}
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
        people = parties(
            view, {case.submitted_org, product.provider_id} | {d.org for d in decisions if d.org}
        )
    return page(
        request,
        "approval.html",
        form=form,
        case=case,
        product=product,
        decisions=decisions,
        people=people,
        **_standing(actor, case, decisions),
        delivery=[mode for mode in DeliveryMode if mode in product.delivery],
        **about,
    )


def _standing(actor: Actor, case: Case, decisions: Sequence[Decision]) -> dict[str, Any]:
    """Whether the reader may still decide."""
    own = own_matter(
        person=actor.id,
        orgs={*actor.orgs, *([actor.org] if actor.org else [])},
        submitted_by=case.submitted_by,
        submitted_org=case.submitted_org,
    )
    return {
        "own": own,
        "said": any(decision.by == actor.id for decision in decisions),
        "waiting": case.state is CaseState.WAITING,
        "now": clock.now(),
    }


def _other(
    request: Request, view: View, actor: Actor, form: Form, case: Case, decisions: Sequence[Decision]
) -> Response:
    """An edit of a list, or a mandate: what is asked beside the decision."""
    orgs = {case.submitted_org} | {decision.org for decision in decisions if decision.org}
    if case.kind is CaseKind.LIST_EDIT:
        edit = lists.edit_of_case(view, case.id)
        template = "approval_list.html"
        about: dict[str, Any] = {"edit": edit, "changes": changes_shown(view, edit.changes), "fields": FIELDS}
    else:
        mandate = mandates.mandate_of_case(view, case.id)
        orgs |= {mandate.mandator_id, mandate.operator_id}
        template = "approval_mandate.html"
        about = {"mandate": mandate, "terms": mandate.terms()}
    return page(
        request,
        template,
        form=form,
        case=case,
        decisions=decisions,
        people=parties(view, orgs),
        **_standing(actor, case, decisions),
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


@router.post("/{case_id}")
@again(matter)
def decide(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, case_id: str) -> Response:
    """审批 · Approve or reject, with a reason the applicant reads."""
    faults = list(reason_faults(form["reason"]))
    if form["verdict"] not in {"approve", "reject"}:
        words = Words("请选择同意或否决。", "Choose to approve or to reject.")
        faults.insert(0, Fault("verdict", "required", words))
    if faults:
        raise Invalid(*faults)
    version = int(form["version"]) if re.fullmatch(r"[0-9]{1,9}", form["version"]) else 0

    def act(unit: Unit) -> str:
        wiring.decide_case(
            unit,
            actor,
            case_id,
            approve=form["verdict"] == "approve",
            reason=form["reason"],
            expected_version=version,
            zone=house.settings.timezone,
        )
        return case_id

    once(request, house, actor, form, act)
    return leave("/approvals", done="ruled")
