"""法定底线 What no pack may open, whatever an operator writes: probed with cases before a pack is adopted; pure."""

from typing import Any

from market.policy.engine import decide
from market.policy.inputs import Inputs
from market.policy.packs import Decision, Pack
from market.policy.reading import built_in
from storage.kernel.words import Words

SOLD: dict[str, Any] = {
    "supply": "public", "purpose": "industry", "buyer_kind": "enterprise", "open_attr": "K", "product_kind": "modelled",
    "delivery": ["compute"], "price_fen": 50, "grade": "G2", "pi": "none", "reid_level": "4", "value_added": True,
    "registered": True, "source_proven": True, "rights_proven": True, "disputed": False, "secrecy": "passed",
    "negative_hits": [], "provider_verified": True, "buyer_verified": True, "payee_department": False, "mandate": True,
    "ceiling": "in_force", "ceiling_fen": 50, "risk_assessment": False, "consent": False, "pia": False,
    "foreign": False, "export_gate": False, "bonded": False, "permit": "not_needed", "purpose_evidence": "missing",
    "emergency_declared": False, "named_purpose": False, "free_twin": "none", "open_terms": False, "eligible": False,
    "off_purpose": False,
}  # fmt: skip
# What is changed in a case that passes, and the law it must then stop at.
PROBES: tuple[tuple[dict[str, Any], Words], ...] = (
    ({"grade": "CORE"}, Words("核心数据", "core data")),
    ({"grade": "IMPORTANT"}, Words("未评估的重要数据", "important data without assessment")),
    ({"secrecy": "refused"}, Words("未通过保密审查的数据", "data that failed the secrecy review")),
    ({"negative_hits": ["N01"]}, Words("负面清单内的数据", "data on the negative list")),
    ({"source_proven": False}, Words("来源不明的数据", "data without a source")),
    ({"rights_proven": False}, Words("无权提供的数据", "data without the right to supply")),
    ({"registered": False}, Words("未登记的数据", "unregistered data")),
    ({"provider_verified": False}, Words("未核验的提供方", "an unverified provider")),
    ({"buyer_verified": False}, Words("未核验的买方", "an unverified buyer")),
    ({"pi": "spi"}, Words("无依据的个人信息", "personal information without a basis")),
    (
        {"open_attr": "N", "mandate": False},
        Words("未授权的不开放公共数据", "closed public data without mandate"),
    ),
    ({"foreign": True, "grade": "G3"}, Words("未过出境关的数据", "data that has not passed the export gate")),
    ({"payee_department": True}, Words("政务部门收费", "a department that charges")),
    ({"permit": "missing"}, Words("无证经营", "a sale without its sector permit")),
    ({"mandate": False}, Words("未授权而出售公共数据", "public data sold without mandate")),
    ({"ceiling": "none"}, Words("无上限标准而收费", "public data sold without ceiling")),
    ({"price_fen": 51}, Words("高于上限的价格", "a price above the ceiling")),
    (
        {"open_attr": "U", "product_kind": "raw_open", "value_added": False},
        Words("出售无条件开放的数据", "unconditionally open data sold"),
    ),
)


def floor_faults(pack: Pack) -> list[Words]:
    """Where a pack falls below the floor: a legal rule it lost or softened, a case it lets pass."""
    faults = [
        Words(f"缺少法定规则 {number}", f"legal rule {number} is missing")
        for number in sorted(built_in().legal() - pack.legal())
    ]
    for changes, words in PROBES:
        if decide(Inputs.of(SOLD | changes), pack).decision is Decision.ALLOW:
            faults.append(Words(f"该规则包会放行：{words.zh}", f"the pack would let pass: {words.en}"))
    return faults
