"""The first cut of the tier rules: what may stand on which side of the line, and who must agree; pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from contracts.terms import DeliveryMode, Tier
from market.identity.rules import OrgKind
from market.policy.inputs import DataGrade, OpenAttr, SupplyKind
from storage.kernel.problem import Fault
from storage.kernel.words import Words

_CLOSE = frozenset({DeliveryMode.API, DeliveryMode.API_CALL, DeliveryMode.COMPUTE, DeliveryMode.VERIFY})
_CLOSEST = frozenset({DeliveryMode.COMPUTE, DeliveryMode.VERIFY})
PACK = "2026.1"  # the version of these rules, kept beside every decision made under them


@dataclass(frozen=True, slots=True)
class Offer:
    """要约要素. What the tier rules look at: the product's own facts and the prices asked (fen, tax included)."""

    tier: Tier
    supply: SupplyKind
    open_attr: OpenAttr
    grade: DataGrade
    delivery: frozenset[DeliveryMode]
    provider_kind: OrgKind
    highest_price_fen: int = 0
    contains_pi: bool = False
    pi_basis: bool = False  # a consent or legal basis for personal information is on file
    mandated: bool = False  # an authorized-operation mandate covers the resource


def tier_faults(offer: Offer) -> list[Fault]:
    """公益商业分界. Every rule the offer breaks, each with its number in the rule pack and its source."""
    return [*_denials(offer), *_prices(offer), *_deliveries(offer)]


def _denials(offer: Offer) -> Iterator[Fault]:
    if offer.grade is DataGrade.CORE:
        yield Fault(
            "grade",
            "T01",
            Words(
                "核心数据不得交易（数据安全法第 21 条）。",
                "Core data is never traded (Data Security Law, Art. 21).",
            ),
        )
    if offer.grade is DataGrade.IMPORTANT:
        yield Fault(
            "grade",
            "T02",
            Words(
                "重要数据未完成风险评估，不得挂牌（网络数据安全管理条例第 31 条）。",
                "Important data is not listed without a filed risk assessment (Network Data Regulation, Art. 31).",
            ),
        )
    if offer.contains_pi and not offer.pi_basis:
        yield Fault(
            "contains_pi",
            "T05",
            Words(
                "含个人信息而无同意或其他合法依据，请先去标识化（个人信息保护法第 13、23 条）。",
                "Personal information without consent or another legal basis: de-identify first (PIPL, Art. 13 and 23).",
            ),
        )
    if (
        offer.supply is not SupplyKind.ENTERPRISE
        and offer.open_attr is OpenAttr.CLOSED
        and not offer.mandated
    ):
        yield Fault(
            "open_attr",
            "T06",
            Words(
                "不予开放的公共数据未经授权运营不得挂牌。",
                "Public data that is not open needs an authorized-operation mandate.",
            ),
        )


def _prices(offer: Offer) -> Iterator[Fault]:
    if not offer.highest_price_fen:
        return
    if offer.provider_kind is OrgKind.DEPARTMENT:
        yield Fault(
            "plans",
            "T08",
            Words(
                "政务部门提供数据不得收费，请改为公益产品或由授权运营机构挂牌。",
                "A government department never charges; list it as public good, or through the authorized operator.",
            ),
        )
    if offer.tier is Tier.PUBLIC_GOOD:
        yield Fault(
            "plans",
            "T10",
            Words(
                "公益产品价格必须为零（发改价格〔2025〕65 号）。",
                "A public-good product costs nothing (NDRC price notice 2025/65).",
            ),
        )


def _deliveries(offer: Offer) -> Iterator[Fault]:
    if not offer.delivery:
        yield Fault(
            "delivery",
            "required",
            Words("请至少选择一种交付方式。", "Choose at least one way of delivery."),
        )
    if offer.grade is DataGrade.G3 and offer.delivery - _CLOSE:
        yield Fault(
            "delivery",
            "T22",
            Words(
                "3 级数据只能以接口、可用不可见计算或核验方式交付（GB/T 43697-2024）。",
                "Level 3 data is delivered by API, computation or verification only (GB/T 43697-2024).",
            ),
        )
    if offer.grade is DataGrade.G4 and offer.delivery - _CLOSEST:
        yield Fault(
            "delivery",
            "T22",
            Words(
                "4 级数据只能以可用不可见计算或核验方式交付（GB/T 43697-2024）。",
                "Level 4 data is delivered by computation or verification only (GB/T 43697-2024).",
            ),
        )


def deciders_needed(tier: Tier, supply: SupplyKind, grade: DataGrade) -> int:
    """四眼原则. 2 for sensitive grades and for commercial products from public data, otherwise 1."""
    from_public = supply is not SupplyKind.ENTERPRISE
    return 2 if grade.sensitive or (tier is Tier.COMMERCIAL and from_public) else 1
