"""Orders: place, follow, read and accept the contract, withdraw."""

from typing import Any

import markupsafe
from fastapi import APIRouter, Request
from fastapi.responses import Response

from contracts.offers import Offer
from contracts.pages import render_html
from contracts.problems import ContractNotFound
from contracts.rules import ContractState
from contracts.terms import Purpose
from market.approvals.rules import reason_faults
from market.audit.queries import history
from market.billing import queries as billing
from market.catalogue import queries as catalogue
from market.house import House
from market.http.render import page
from market.http.who import ActorDep, HouseDep, allow, lang_of
from market.identity.queries import parties, party
from market.identity.rules import Permission
from market.trading import actions, queries
from market.trading.amending import amend_order
from market.trading.problems import NotOnOffer
from market.trading.rules import ORDER, RULES_VERSION, OrderState, order_faults
from market.trading.tables import Order
from market.web.forms import GUARDED, Form, FormDep, again, leave, once
from market.web.words import KINDS
from storage.journal import Entry
from storage.kernel.money import parse_yuan
from storage.kernel.problem import Fault, Invalid
from storage.kernel.words import Words
from storage.unit import View

router = APIRouter(prefix="/orders", dependencies=GUARDED)
READ = allow(Permission.ORDER_READ)
PLACE = allow(Permission.ORDER_PLACE)
SHOWN = 50
WAY = (
    OrderState.SUBMITTED,
    OrderState.APPROVED,
    OrderState.CONTRACTED,
    OrderState.AWAITING_PAYMENT,
    OrderState.PAID,
    OrderState.ACTIVE,
    OrderState.COMPLETED,
)
UNPAID = frozenset({OrderState.AWAITING_PAYMENT, OrderState.PAID})


@router.get("/new", dependencies=[PLACE])
def new(request: Request, house: HouseDep, actor: ActorDep, form: FormDep) -> Response:
    """下单 · The order form of one plan. Raises NotOnOffer."""
    offer = _offer(house, form)
    with house.store.view() as view:
        buyer = party(view, actor.own_org)
    return page(
        request,
        "order_new.html",
        form=form.filled(months="12" if (offer.months or 12) >= 12 else str(offer.months)),
        offer=offer,
        least_fen=max(offer.min_prepay_fen, 1) if offer.price.metered else 0,
        buyer=buyer,
        rules_version=RULES_VERSION,
        fixing=None,
    )


@router.post("/new", dependencies=[PLACE])
@again(new)
def place(request: Request, house: HouseDep, actor: ActorDep, form: FormDep) -> Response:
    """下单 · Ask to use a product under a plan for one purpose."""
    asked = _asked(form, _offer(house, form))
    zone = house.settings.timezone
    order_id = once(
        request, house, actor, form, lambda unit: actions.place_order(unit, actor, **asked, zone=zone).id
    )
    return leave(f"/orders/{order_id}", done="ordered")


@router.get("/{order_id}/correction", dependencies=[PLACE])
def fix(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, order_id: str) -> Response:
    """补正订单 · The form of a returned order, filled as it was, with what the approver said."""
    with house.store.view() as view:
        found = queries.order(view, actor, order_id)
        buyer = party(view, actor.own_org)
    ORDER.after(found.state, "resubmit")
    known = {"product": found.product_id, "plan": found.plan_id}
    offer = _offer(house, Form({name: [value] for name, value in known.items()}))
    if request.method == "GET":
        form = form.filled(
            **known,
            purpose=found.purpose.value,
            scenario=found.scenario,
            months=str(found.months),
            prepay_fen=f"{found.prepay_fen // 100}.{found.prepay_fen % 100:02d}",
        )
    return page(
        request,
        "order_new.html",
        form=form,
        offer=offer,
        least_fen=max(offer.min_prepay_fen, 1) if offer.price.metered else 0,
        buyer=buyer,
        rules_version=RULES_VERSION,
        fixing=found,
    )


@router.post("/{order_id}/correction", dependencies=[PLACE])
@again(fix)
def correct(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, order_id: str) -> Response:
    """补正订单 · Submit the same case again, corrected."""
    with house.store.view() as view:
        found = queries.order(view, actor, order_id)
    known = {"product": [found.product_id], "plan": [found.plan_id]}
    asked = _asked(Form(form.values | known), _offer(house, Form(known)))
    wanted = {name: asked[name] for name in ("purpose", "scenario", "months", "prepay_fen", "rules_version")}
    zone, note = house.settings.timezone, form["note"]
    once(
        request,
        house,
        actor,
        form,
        lambda unit: amend_order(unit, actor, order_id, **wanted, note=note, zone=zone).id,
    )
    return leave(f"/orders/{order_id}", done="resubmitted")


def _offer(house: House, form: Form) -> Offer:
    """The offer of the plan the form names. Raises NotOnOffer."""
    with house.store.view() as view:
        offered = catalogue.on_offer(view, form["product"], form["plan"])
    if offered is None:
        raise NotOnOffer(product=form["product"], plan=form["plan"])
    return offered.offer


def _asked(form: Form, offer: Offer) -> dict[str, Any]:
    """What the form says, as `place_order` wants it. Raises Invalid with every fault at once."""
    faults: list[Fault] = []
    purpose = next((each for each in Purpose if each.value == form["purpose"]), None)
    if purpose is None:
        faults.append(Fault("purpose", "required", Words("请选择使用目的。", "Choose the purpose.")))
    readable = form["months"].isascii() and form["months"].isdigit() and len(form["months"]) < 4
    if not readable:
        faults.append(Fault("months", "integer", Words("请填写整月数。", "Write a whole number of months.")))
    if not form["rules_version"]:
        words = Words("请阅读并接受交易规则。", "Read and accept the trading rules.")
        faults.append(Fault("rules_version", "required", words))
    prepay_fen = 0
    try:
        prepay_fen = parse_yuan(form["prepay_fen"] or "0", "prepay_fen")
    except Invalid as wrong:
        faults += wrong.faults
    said: dict[str, Any] = {
        "purpose": purpose or offer.purposes[0],
        "scenario": form["scenario"],
        "months": int(form["months"]) if readable else 1,
        "prepay_fen": prepay_fen,
        "rules_version": form["rules_version"] or RULES_VERSION,
        "evidence": form["evidence"],
    }
    if faults:  # with these the rules cannot be asked about everything: the rest is said now, not next time
        known = {fault.field for fault in faults}
        rest = order_faults(
            **said,
            purposes=frozenset(offer.purposes),
            longest_months=offer.months,
            least_prepay_fen=offer.min_prepay_fen,
            metered=offer.price.metered,
        )
        raise Invalid(*faults, *(fault for fault in rest if fault.field not in known))
    return said | {"product_id": form["product"], "plan_id": form["plan"]}


@router.get("", dependencies=[READ])
def orders(request: Request, house: HouseDep, actor: ActorDep, form: FormDep) -> Response:
    """订单列表 · Purchases and sales, newest first."""
    state = next((each for each in OrderState if each.value == form["state"]), None)
    with house.store.view() as view:
        rows = queries.orders(view, actor, state=state, before=form["before"] or None, limit=SHOWN)
        names = catalogue.titles(view, {row.product_id for row in rows})
        people = parties(view, {row.buyer_id for row in rows} | {row.seller_id for row in rows})
    return page(
        request,
        "orders.html",
        rows=rows,
        names=names,
        people=people,
        states=list(OrderState),
        state=form["state"],
        limit=SHOWN,
    )


@router.get("/{order_id}", dependencies=[READ])
def order(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, order_id: str) -> Response:
    """订单详情 · Where the order stands, what is next, and everything that happened."""
    with house.store.view() as view:
        found = queries.order(view, actor, order_id)
        contract = queries.readable_contract(view, actor, found.contract_id) if found.contract_id else None
        paying = billing.payments_of_order(view, actor, found.id)
        story = _story(view, found)
        people = parties(view, {found.buyer_id, found.seller_id} | {e.org for e in story if e.org})
        names = catalogue.titles(view, {found.product_id})
    mine = found.buyer_id == actor.org
    return page(
        request,
        "order.html",
        form=form,
        order=found,
        product=names[found.product_id],
        contract=contract,
        payment=paying[-1] if paying else None,
        account=house.settings.billing.bank_account,
        people=people,
        story=story,
        kinds=KINDS,
        steps=steps(found),
        buying=mine,
        may_sign=mine and actor.may(Permission.CONTRACT_ACCEPT) and "accept" in ORDER.verbs(found.state),
        may_cancel=mine and actor.may(Permission.ORDER_PLACE) and "cancel" in ORDER.verbs(found.state),
    )


def _story(view: View, found: Order) -> list[Entry]:
    """全程留痕. The order's entries and its payment's, in order of time."""
    told = history(view, f"order:{found.id}")
    if found.payment_id:
        told += [
            entry
            for entry in history(view, f"payment:{found.payment_id}")
            if entry.kind != "payment.requested"  # the order says so itself
        ]
    return sorted(told, key=lambda entry: (entry.at, entry.id))


def steps(found: Order) -> list[tuple[OrderState, str]]:
    """The way of an order: each state with `done`, `now`, `ahead`, or `ended` where the way broke off."""
    way = [state for state in WAY if found.due_fen or state not in UNPAID]
    if found.state in way:
        here = way.index(found.state)
        over = found.state is OrderState.COMPLETED
        return [
            (state, "done" if i < here or over else "now" if i == here else "ahead")
            for i, state in enumerate(way)
        ]
    passed = 4 if found.payment_id else 2 if found.contract_id else 1
    return [*((state, "done") for state in way[:passed]), (found.state, "ended")]


@router.get("/{order_id}/contract", dependencies=[READ])
def contract(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, order_id: str) -> Response:
    """合同文本 · The whole contract to read, with the hash to accept. Raises ContractNotFound."""
    asked = request.query_params.get("text")
    lang = "zh" if asked == "zh" else "en" if asked == "en" else lang_of(request)
    with house.store.view() as view:
        found = queries.order(view, actor, order_id)
        if found.contract_id is None:
            raise ContractNotFound(order=order_id)
        text = queries.readable_contract(view, actor, found.contract_id)
    return page(
        request,
        "order_contract.html",
        form=form,
        order=found,
        contract=text,
        body=markupsafe.Markup(render_html(text.content, lang)),  # noqa: S704  # escaped by its own template
        shown=lang,
        effective=text.state is ContractState.EFFECTIVE,
        may_sign=found.buyer_id == actor.org
        and actor.may(Permission.CONTRACT_ACCEPT)
        and "accept" in ORDER.verbs(found.state),
    )


@router.post("/{order_id}/acceptance", dependencies=[allow(Permission.CONTRACT_ACCEPT)])
@again(contract)
def accept(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, order_id: str) -> Response:
    """签约 · Accept exactly the text with the hash that was shown."""
    if not form["agree"]:
        words = Words("请阅读合同全文后勾选接受。", "Read the whole contract, then tick that you accept it.")
        raise Invalid(Fault("agree", "required", words))
    key, zone = house.document_key(), house.settings.timezone
    once(
        request,
        house,
        actor,
        form,
        lambda unit: (
            actions.accept_contract(
                unit, actor, order_id, content_hash=form["content_hash"], key=key, zone=zone
            ).id
        ),
    )
    return leave(f"/orders/{order_id}", done="contracted")


@router.post("/{order_id}/cancellation", dependencies=[PLACE])
@again(order)
def cancel(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, order_id: str) -> Response:
    """取消订单 · Withdraw before paying."""
    if faults := reason_faults(form["reason"]):
        raise Invalid(*faults)
    once(
        request,
        house,
        actor,
        form,
        lambda unit: actions.cancel_order(unit, actor, order_id, reason=form["reason"]).id,
    )
    return leave(f"/orders/{order_id}", done="cancelled")
