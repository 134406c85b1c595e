"""Six things the market must refuse, each tried through the rules, each refusal with its rule, source and way out."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from market.policy.engine import Outcome
from market.policy.inputs import Inputs
from market.policy.queries import InForce
from storage.kernel.words import Words

_USUAL: dict[str, Any] = {
    "supply": "public", "purpose": "industry", "buyer_kind": "enterprise", "open_attr": "N", "product_kind": "cleansed",
    "delivery": ["file"], "price_fen": 100, "grade": "G3", "pi": "none", "reid_level": "4", "value_added": True,
    "registered": True, "source_proven": True, "rights_proven": True, "disputed": False, "secrecy": "passed",
    "negative_hits": [], "provider_verified": True, "buyer_verified": True, "payee_department": False,
    "mandate": True, "ceiling": "in_force", "ceiling_fen": 100, "risk_assessment": False, "consent": False, "pia": False,
    "foreign": False, "export_gate": False, "bonded": False, "permit": "not_needed", "purpose_evidence": "missing",
    "emergency_declared": False, "named_purpose": False, "free_twin": "none", "open_terms": False, "eligible": False,
    "off_purpose": False,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Forbidden:
    """禁止示例. What somebody tries to list, and the facts that matter."""

    title: Words
    facts: dict[str, Any]


SIX = (
    Forbidden(
        Words("个人身份证明细", "Identity card details"),
        {"supply": "enterprise", "grade": "G4", "pi": "spi", "reid_level": "1"},
    ),
    Forbidden(
        Words("医保结算明细（未脱敏）", "Medical insurance settlements, not masked"),
        {"grade": "G4", "pi": "spi", "reid_level": "1", "permit": "missing"},
    ),
    Forbidden(
        Words("军港水深高精度栅格", "Depth grid of a naval port"),
        {"grade": "IMPORTANT", "secrecy": "refused"},
    ),
    Forbidden(
        Words("居民逐户用电", "Electricity household by household"),
        {"supply": "enterprise", "grade": "G4", "pi": "pi", "reid_level": "1"},
    ),
    Forbidden(
        Words("未开放不动产登记全量", "The whole land register, not open"),
        {"mandate": False, "ceiling": "none", "ceiling_fen": 0},
    ),
    Forbidden(
        Words("爬取的社交账号画像", "Profiles crawled from social accounts"),
        {
            "supply": "enterprise",
            "source_proven": False,
            "rights_proven": False,
            "pi": "pi",
            "reid_level": "1",
        },
    ),
)


def tried(rules: InForce) -> Iterator[tuple[Forbidden, Outcome]]:
    """Each of the six with what the rules in force say of it."""
    for each in SIX:
        yield each, rules.decide(Inputs.of(_USUAL | each.facts))
