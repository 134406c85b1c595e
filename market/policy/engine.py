"""公益商业判定 The tier engine: a pure function of the facts, a rule pack and its switches to one explained outcome."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from contracts.terms import DeliveryMode, Tier
from market.policy.conditions import Truth, holds
from market.policy.inputs import Inputs
from market.policy.packs import (
    Charge,
    Decision,
    Duty,
    LicenseClass,
    Pack,
    Phase,
    PriceRule,
    Rule,
    RuleKind,
)
from storage.kernel.words import Words

FALLBACK = "T26"  # nothing matched: people look at it, whatever a pack says or leaves out


@dataclass(frozen=True, slots=True)
class Hit:
    """命中规则. A rule that holds, or may hold because something is unknown (`presumed`), with its way out."""

    rule: str
    part: str
    phase: Phase
    kind: RuleKind
    presumed: bool
    words: Words
    sources: tuple[Words, ...]
    remedy: Words

    def document(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "rule": self.rule,
            "part": self.part,
            "phase": str(self.phase),
            "kind": str(self.kind),
            "presumed": self.presumed,
            "words": self.words.both(),
            "sources": [source.both() for source in self.sources],
            "remedy": self.remedy.both(),
        }


@dataclass(frozen=True, slots=True)
class Outcome:
    """判定结论. Which side of the line, at what price, delivered how, agreed to by how many, and why.

    most_fen: the most that may be asked (fen); None where the market decides. refused: what was asked
    and is not among `delivery`. tier and what follows from it are None while the decision is open.
    """

    decision: Decision
    tier: Tier | None
    price_rule: PriceRule | None
    most_fen: int | None
    license_class: LicenseClass | None
    delivery: tuple[DeliveryMode, ...]
    refused: tuple[DeliveryMode, ...]
    approvals: int
    duties: tuple[Duty, ...]
    waits_for: str
    unknown: tuple[str, ...]
    hits: tuple[Hit, ...]
    pack_version: str

    @property
    def rule_ids(self) -> tuple[str, ...]:
        """The numbers of the rules that were hit, each once, in order."""
        return tuple(dict.fromkeys(hit.rule for hit in self.hits))

    @property
    def against(self) -> tuple[Hit, ...]:
        """What stands in the way: denials, a hold, or the reasons for a review."""
        return () if self.decision is Decision.ALLOW else self.hits

    def document(self) -> dict[str, Any]:
        """Plain JSON, as it is kept with a decision and answered by the API."""
        return {
            "decision": str(self.decision),
            "tier": self.tier and str(self.tier),
            "price_rule": self.price_rule and str(self.price_rule),
            "most_fen": self.most_fen,
            "license_class": self.license_class and str(self.license_class),
            "delivery": [str(mode) for mode in self.delivery],
            "refused": [str(mode) for mode in self.refused],
            "approvals": self.approvals,
            "duties": [str(duty) for duty in self.duties],
            "waits_for": self.waits_for,
            "unknown": list(self.unknown),
            "rule_ids": list(self.rule_ids),
            "hits": [hit.document() for hit in self.hits],
            "pack_version": self.pack_version,
        }


def decide(given: Inputs, pack: Pack, off: Collection[str] = ()) -> Outcome:
    """判定. The outcome of `given` under `pack` with the design rules in `off` switched off.

    Legal rules ignore `off`. The same arguments give the same outcome, always.
    """
    rules = tuple(rule for rule in pack.rules if rule.kind is RuleKind.LEGAL or rule.id not in off)
    denials = _met(rules, Phase.DENY, given)
    if denials:
        certain = [hit for hit in denials if not hit.presumed]
        return _closed(Decision.DENY if certain else Decision.MANUAL, denials, given, pack)
    chosen, hit = _route(rules, given)
    if chosen is None or hit.presumed:
        return _closed(Decision.MANUAL, [hit], given, pack)
    effect = chosen.then
    if effect.decision in {Decision.DENY, Decision.HOLD, Decision.MANUAL}:
        return _closed(effect.decision, [hit], given, pack, waits_for=effect.waits_for)
    if refusal := _price_refused(chosen, given):
        return _closed(refusal, [hit], given, pack, waits_for="price" if refusal is Decision.HOLD else "")
    return _narrowed(rules, chosen, hit, given, pack)


def watch(given: Inputs, pack: Pack, off: Collection[str] = ()) -> tuple[Hit, ...]:
    """存续检查. Which rules of a living license are broken by how it is used."""
    rules = tuple(rule for rule in pack.rules if rule.kind is RuleKind.LEGAL or rule.id not in off)
    return tuple(_met(rules, Phase.LIVING, given))


def _hit(rule: Rule, truth: Truth) -> Hit:
    presumed = truth is None
    return Hit(rule.id, rule.part, rule.phase, rule.kind, presumed, rule.words, rule.sources, rule.remedy)


def _met(rules: tuple[Rule, ...], phase: Phase, given: Inputs) -> list[Hit]:
    found = [(rule, holds(rule.when, given)) for rule in rules if rule.phase is phase]
    return [_hit(rule, truth) for rule, truth in found if truth is not False]


def _route(rules: tuple[Rule, ...], given: Inputs) -> tuple[Rule | None, Hit]:
    """The first route that holds; one that may hold stops the search, because what follows is a guess."""
    for rule in rules:
        if rule.phase is Phase.ROUTE and (truth := holds(rule.when, given)) is not False:
            return rule, _hit(rule, truth)
    nothing = Hit(
        FALLBACK,
        "",
        Phase.ROUTE,
        RuleKind.DESIGN,
        presumed=False,
        words=Words("没有规则适用，须人工复核。", "No rule applies: people decide."),
        sources=(Words("平台设计", "this market's design"),),
        remedy=Words("由合规与审批人员复核。", "Ask compliance and an approver."),
    )
    return None, nothing


def _price_refused(rule: Rule, given: Inputs) -> Decision | None:
    """What the asked price makes of a route that allows: free data is never sold, a price above the ceiling waits."""
    effect, price = rule.then, given.price_fen
    if effect.price_rule is PriceRule.ZERO and effect.charge is Charge.WAIVE:
        return None
    if effect.price_rule is PriceRule.MARKET:
        return None
    most = _most(rule, given)
    if price is None or most is None:
        return Decision.MANUAL
    if price <= most:
        return None
    return Decision.DENY if effect.price_rule is PriceRule.ZERO else Decision.HOLD


def _most(rule: Rule, given: Inputs) -> int | None:
    if rule.then.price_rule is PriceRule.ZERO:
        return 0
    return None if rule.then.price_rule is PriceRule.MARKET else given.ceiling_fen


def _narrowed(rules: tuple[Rule, ...], chosen: Rule, first: Hit, given: Inputs, pack: Pack) -> Outcome:
    """Phase three: every modifier that holds narrows what the route allows; so does one that may hold."""
    effect, hits, unsure = chosen.then, [first], False
    asked = given.delivery
    allowed = frozenset(DeliveryMode) if effect.delivery is None else effect.delivery
    approvals, duties = effect.approvals, list(effect.duties)
    worst, waits_for = Decision.ALLOW, ""
    for rule in rules:
        if rule.phase is not Phase.MODIFY:
            continue
        truth = holds(rule.when, given)
        if truth is False or (rule.then.tier is not None and rule.then.tier is not effect.tier):
            continue
        if truth is None:
            unsure = True
        hits.append(_hit(rule, truth))
        allowed &= rule.then.delivery if rule.then.delivery is not None else allowed
        approvals = max(approvals, rule.then.approvals)
        duties += rule.then.duties
        if rule.then.decision is not None and truth is True:
            worst, waits_for = rule.then.decision, rule.then.waits_for or waits_for
    if worst is not Decision.ALLOW:
        return _closed(worst, hits, given, pack, waits_for=waits_for)
    if unsure or asked is None:
        return _closed(Decision.MANUAL, hits, given, pack)
    left = tuple(mode for mode in DeliveryMode if mode in asked & allowed)
    if not left:  # every way asked for is refused; the offer waits until another is chosen
        return _closed(Decision.HOLD, hits, given, pack, waits_for="delivery")
    return Outcome(
        decision=Decision.ALLOW,
        tier=effect.tier,
        price_rule=effect.price_rule,
        most_fen=_most(chosen, given),
        license_class=effect.license_class,
        delivery=left,
        refused=tuple(mode for mode in DeliveryMode if mode in asked - allowed),
        approvals=approvals,
        duties=tuple(duty for duty in Duty if duty in duties),
        waits_for="",
        unknown=given.unknown(),
        hits=tuple(hits),
        pack_version=pack.version,
    )


def _closed(
    decision: Decision, hits: list[Hit], given: Inputs, pack: Pack, *, waits_for: str = ""
) -> Outcome:
    """An outcome that opens nothing: neither tier nor price nor delivery is said."""
    return Outcome(
        decision=decision,
        tier=None,
        price_rule=None,
        most_fen=0,
        license_class=None,
        delivery=(),
        refused=tuple(mode for mode in DeliveryMode if mode in (given.delivery or ())),
        approvals=2,
        duties=(),
        waits_for=waits_for,
        unknown=given.unknown(),
        hits=tuple(hits),
        pack_version=pack.version,
    )
