"""订单送审依据 What an approver of an order decides on: facts as they are now, and what is risky in them."""

from typing import Any

from sqlmodel import col, select

from contracts.terms import Purpose, Tier
from market.approvals.rules import Ground, RiskPoint
from market.catalogue import queries as catalogue
from market.catalogue.tables import Product
from market.identity import queries as identity
from market.identity.rules import Verification
from market.policy.inputs import SupplyKind
from market.policy.queries import in_force
from market.trading.rules import OrderState
from market.trading.tables import Order
from storage.kernel.words import Words
from storage.unit import View

SMALL_FEN = 1_000_000  # ¥10,000
LARGE_FEN = 10_000_000  # ¥100,000
FACTS: dict[str, Words] = {
    "purpose": Words("使用目的", "Purpose"),
    "scenario": Words("应用场景", "Scenario"),
    "months": Words("期限（月）", "Months"),
    "fee_fen": Words("月费（分）", "Monthly fee (fen)"),
    "prepay_fen": Words("预付（分）", "Prepaid (fen)"),
    "due_fen": Words("生效前应付（分）", "Due before it starts (fen)"),
    "small": Words("小额", "Small"),
    "buyer": Words("买方", "Buyer"),
    "buyer_verified": Words("买方已核验", "Buyer verified"),
    "known_buyer": Words("曾履约买方", "Has bought before"),
    "tier": Words("公益／商业", "Tier"),
    "grade": Words("数据分级", "Grade"),
    "supply": Words("供给类型", "Supply"),
    "version": Words("数据版本", "Version"),
    "on_offer": Words("要约仍有效且未变", "Still on offer, unchanged"),
    "offer": Words("要约哈希", "Offer hash"),
    "rules_version": Words("规则包版本", "Rule pack"),
}
_DEALT = (OrderState.ACTIVE, OrderState.COMPLETED)


def ground_of(view: View, order: Order) -> Ground:
    """送审依据. What an order stands on now."""
    buyer = identity.party(view, order.buyer_id)
    product = view.session.get_one(Product, order.product_id)
    offered = catalogue.on_offer(view, order.product_id, order.plan_id)
    dealt = select(Order.id).where(Order.buyer_id == order.buyer_id, col(Order.state).in_(_DEALT)).limit(1)
    known = view.session.exec(dealt).first() is not None
    verified = buyer.verification is Verification.VERIFIED
    unchanged = offered is not None and offered.offer.hash == order.offer_hash
    pack = in_force(view).pack.version
    facts: dict[str, Any] = {
        "purpose": str(order.purpose),
        "scenario": order.scenario,
        "months": order.months,
        "fee_fen": order.fee_fen,
        "prepay_fen": order.prepay_fen,
        "due_fen": order.due_fen,
        "small": order.due_fen <= SMALL_FEN,
        "buyer": buyer.id,
        "buyer_verified": verified,
        "known_buyer": known,
        "tier": str(product.tier),
        "grade": str(product.grade),
        "supply": str(product.supply),
        "version": offered.version if offered else None,
        "on_offer": unchanged,
        "offer": offered.offer.hash if offered else None,
        "rules_version": pack,
    }
    from_public = product.tier is Tier.COMMERCIAL and product.supply is not SupplyKind.ENTERPRISE
    risks = [
        _risk(product.grade.sensitive, "grade", 40, "敏感分级", "Sensitive grade"),
        _risk(from_public, "public_commercial", 30, "公共数据商业产品", "Commercial, from public data"),
        _risk(order.purpose is Purpose.RESALE, "resale", 30, "对外经营", "Supply to others"),
        _risk(order.due_fen > LARGE_FEN, "large", 30, "金额超过 10 万元", "More than ¥100,000"),
        _risk(SMALL_FEN < order.due_fen <= LARGE_FEN, "middling", 15, "金额超过 1 万元", "More than ¥10,000"),
        _risk(not known, "new_buyer", 15, "首次购买", "A first purchase"),
        _risk(not verified, "unverified", 60, "买方身份未核验", "The buyer is not verified"),
        _risk(not unchanged, "offer_gone", 60, "要约已变更或下架", "The offer changed or is gone"),
    ]
    return Ground(facts, tuple(risk for risk in risks if risk), pack)


def _risk(there: bool, code: str, points: int, zh: str, en: str) -> RiskPoint | None:  # one line each above
    return RiskPoint(code, points, Words(zh, en)) if there else None
