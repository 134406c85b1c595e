"""挂牌送审依据 What an approver of a listing decides on: plain facts, and what is risky in them; pure."""

from collections.abc import Sequence
from typing import Any

from contracts.terms import Tier
from market.approvals.rules import Ground, RiskPoint
from market.catalogue.tables import Listing, Plan, Product, Version
from market.policy.inputs import SupplyKind
from market.registry.tables import Asset
from storage.kernel.problem import Fault
from storage.kernel.words import Words

DEAR_FEN = 100_000  # ¥1,000 for one call, row, download or month
FACTS: dict[str, Words] = {
    "title_zh": Words("产品名称", "Title"),
    "summary_zh": Words("产品简介", "Summary"),
    "tier": Words("公益／商业", "Tier"),
    "delivery": Words("交付方式", "Delivery"),
    "grade": Words("数据分级", "Grade"),
    "supply": Words("供给类型", "Supply"),
    "open_attr": Words("开放属性", "Open attribute"),
    "asset_state": Words("资产登记状态", "Registration"),
    "asset_valid_until": Words("登记有效期至", "Registered until"),
    "personal": Words("含个人信息", "Personal information"),
    "version": Words("数据版本", "Version"),
    "rows": Words("数据行数", "Rows"),
    "free": Words("全部免费", "Free"),
    "offer": Words("要约哈希", "Offer hash"),
    "broken_rules": Words("不符合的规则", "Rules broken"),
    "rules_version": Words("规则包版本", "Rule pack"),
}


def ground(
    product: Product,
    asset: Asset,
    plans: Sequence[Plan],
    version: Version | None,
    listing: Listing,
    broken: Sequence[Fault],
    pack: str,
) -> Ground:
    """送审依据. The facts of a listing as they are now, prices in fen by plan, and its risks."""
    grade, supply = asset.grade or product.grade, asset.supply or product.supply
    personal = bool(asset.contains_pi or asset.contains_spi)
    highest = max((max(p.call_fen, p.row_fen, p.download_fen, p.fee_fen) for p in plans), default=0)
    facts: dict[str, Any] = {
        "title_zh": product.title_zh,
        "summary_zh": product.summary_zh,
        "tier": str(product.tier),
        "delivery": sorted(str(mode) for mode in product.delivery),
        "grade": str(grade),
        "supply": str(supply),
        "open_attr": str(asset.open_attr) if asset.open_attr else None,
        "asset_state": str(asset.state),
        "asset_valid_until": asset.valid_until.date().isoformat() if asset.valid_until else None,
        "personal": personal,
        "version": version.number if version else None,
        "rows": version.rows if version else None,
        "free": highest == 0,
        "offer": listing.offer_sha256,
        "broken_rules": sorted(fault.rule for fault in broken),
        "rules_version": pack,
    }
    for plan in plans:
        facts[f"plan {plan.code}"] = {
            "kind": str(plan.kind),
            "call_fen": plan.call_fen,
            "row_fen": plan.row_fen,
            "download_fen": plan.download_fen,
            "fee_fen": plan.fee_fen,
        }
    risks = [
        RiskPoint("grade", 40, Words("敏感分级", "Sensitive grade")) if grade.sensitive else None,
        RiskPoint("personal", 30, Words("含个人信息", "Personal information")) if personal else None,
        RiskPoint("public_commercial", 30, Words("公共数据商业产品", "Commercial, from public data"))
        if product.tier is Tier.COMMERCIAL and supply is not SupplyKind.ENTERPRISE
        else None,
        RiskPoint("dear", 15, Words("单价较高", "High price")) if highest >= DEAR_FEN else None,
        RiskPoint("rules", 60, Words("不符合分界或分级规则", "Breaks tier or grade rules"))
        if broken
        else None,
    ]
    return Ground(facts, tuple(risk for risk in risks if risk), pack)
