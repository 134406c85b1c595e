"""规则包 A rule pack as frozen values: rules in four phases, each with its source, its way out and its words; pure."""

import re
from dataclasses import dataclass, field

from contracts.terms import DeliveryMode, Tier
from market.policy.conditions import Condition
from storage.kernel.words import Worded, Words


class Phase(Worded):
    """判定阶段. Denials collect every hit, the first route decides, modifiers narrow, the last watches a license."""

    DENY = "deny", "禁止", "Denials"
    ROUTE = "route", "分流", "Routes"
    MODIFY = "modify", "限制", "Modifiers"
    LIVING = "living", "许可存续", "While the license lives"


class RuleKind(Worded):
    """规则性质. What the law says, or what this market chose and an operator may switch."""

    LEGAL = "legal", "法定规则", "Legal rule"
    DESIGN = "design", "设计选择", "Design choice"


class Decision(Worded):
    """判定结果, from the strictest on."""

    DENY = "deny", "禁止", "Denied"
    HOLD = "hold", "暂缓", "On hold"
    MANUAL = "manual", "人工复核", "Manual review"
    ALLOW = "allow", "允许", "Allowed"


class PriceRule(Worded):
    """定价规则. What may be asked on this side of the line."""

    ZERO = "zero", "免费", "Free"
    GUIDED = "guided", "政府指导价（不高于上限）", "Guided price, up to the ceiling"
    SPLIT = "split", "分项计价，公共部分不高于上限", "Split by component, the public part up to its ceiling"
    MARKET = "market", "市场自主定价", "Market price"


class Charge(Worded):
    """收费处理. What becomes of a price asked where the rule says free."""

    REFUSE = "refuse", "不得收费", "The price is refused"
    WAIVE = "waive", "免收", "The price is waived"


class LicenseClass(Worded):
    """许可类别. Which family of contract the outcome leads to."""

    OPEN = "open", "无条件开放许可", "Open license"
    CONDITIONAL = "conditional", "有条件无偿使用协议", "Conditional use agreement"
    PROVISION = (
        "provision",
        "数据提供合同（参照 GF-2025-2615）",
        "Data provision contract (after GF-2025-2615)",
    )
    FUSION = "fusion", "数据融合开发合同（参照 GF-2025-2617）", "Data fusion contract (after GF-2025-2617)"


class Duty(Worded):
    """附带义务. What goes with an outcome besides the license."""

    USAGE_REPORT = "usage_report", "提交使用情况报告", "Report the use"
    NO_REDISTRIBUTION = "no_redistribution", "不得再传播", "No onward sharing"
    TIME_BOX_30D = "time_box_30d", "期限不超过 30 日", "At most 30 days"
    POST_REVIEW_5D = "post_review_5d", "5 个工作日内补审", "Reviewed afterwards within 5 working days"
    CONSENT_PER_CALL = "consent_per_call", "逐次核验个人同意", "Consent checked at every call"
    NOTIFY_AUDITOR = "notify_auditor", "告知审计", "The auditor is told"
    SHOW_SPLIT = "show_split", "逐项列示分成", "The split shown line by line"
    EQUAL_TERMS = "equal_terms", "同等条件同等价格", "Equal price for equal buyers"
    KEEP_TWIN = "keep_twin", "持续保有公益产品", "Keep the free product"
    PUBLISHED_DISCOUNT = "published_discount", "仅按公布的优惠表减免", "Discount by the published table only"
    SUSPEND = "suspend", "暂停访问", "Suspend access"


@dataclass(frozen=True, slots=True)
class Effect:
    """规则效果. What a rule does when it holds; each phase uses its own part of this."""

    decision: Decision | None = None
    tier: Tier | None = None
    price_rule: PriceRule | None = None
    charge: Charge = Charge.REFUSE
    license_class: LicenseClass | None = None
    delivery: frozenset[DeliveryMode] | None = None
    approvals: int = 0
    waits_for: str = ""
    duties: tuple[Duty, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """规则. One numbered rule, or one part of it; `sources` cite the pack's laws by key and article."""

    id: str
    part: str
    phase: Phase
    kind: RuleKind
    when: Condition
    then: Effect
    sources: tuple[Words, ...]
    words: Words
    remedy: Words
    line: int = field(default=0, compare=False)

    @property
    def key(self) -> str:
        """The rule's own name in its pack: "T22", or "T22/g4" for a part."""
        return f"{self.id}/{self.part}" if self.part else self.id


@dataclass(frozen=True, slots=True)
class Pack:
    """规则包. One version of the rules, with the hash of the very text it was read from."""

    version: str
    title: Words
    rules: tuple[Rule, ...]
    sha256: str
    text: str = field(compare=False, repr=False)

    def phase(self, phase: Phase) -> tuple[Rule, ...]:
        """The rules of one phase, in the pack's order."""
        return tuple(rule for rule in self.rules if rule.phase is phase)

    def design(self) -> frozenset[str]:
        """The numbers of the rules an operator may switch off."""
        return frozenset(rule.id for rule in self.rules if rule.kind is RuleKind.DESIGN)

    def legal(self) -> frozenset[str]:
        """The numbers of the rules that may never be switched."""
        return frozenset(rule.id for rule in self.rules if rule.kind is RuleKind.LEGAL)


RULE_ID = re.compile(r"T\d{2}", re.ASCII)
PART = re.compile(r"[a-z0-9]{1,20}", re.ASCII)
VERSION = re.compile(r"\d{4}\.\d{1,3}(\.\d{1,3})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Change:
    """规则差异. One rule that a newer pack has added, dropped, or changed in the named ways."""

    key: str
    before: Rule | None
    after: Rule | None
    ways: tuple[str, ...]


def differences(before: Pack, after: Pack) -> tuple[Change, ...]:
    """两版差异. What `after` says otherwise than `before`, by rule."""
    old, new = ({rule.key: rule for rule in pack.rules} for pack in (before, after))
    changes = []
    for key in sorted(old.keys() | new.keys()):
        one, other = old.get(key), new.get(key)
        if one is None or other is None:
            changes.append(Change(key, one, other, ("added",) if one is None else ("dropped",)))
            continue
        names = ("phase", "kind", "when", "then", "sources", "words", "remedy")
        if ways := tuple(name for name in names if getattr(one, name) != getattr(other, name)):
            changes.append(Change(key, one, other, ways))
    return tuple(changes)
