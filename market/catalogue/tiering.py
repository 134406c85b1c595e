"""分界判定 Ask the tier engine about a listing: once for every purpose it is offered for, and keep what it said."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from contracts.terms import Purpose, Tier
from market.catalogue import queries
from market.catalogue.facts import SALE, facts_of
from market.catalogue.grounds import Grounds, grounds
from market.catalogue.rules import Standing
from market.catalogue.tables import Listing, Plan, Product
from market.identity.rules import OrgKind
from market.policy import actions as policy
from market.policy.engine import Outcome
from market.policy.inputs import Inputs
from market.policy.packs import Decision
from market.policy.problems import TierUndecided
from market.policy.queries import in_force
from market.registry.queries import source_of_product
from market.registry.tables import Asset
from storage.kernel.problem import Fault
from storage.kernel.words import Words
from storage.unit import Unit, View

# Which field of the form a rule speaks about, so that its words stand there.
_FIELDS = {
    "T01": "grade", "T02": "grade", "T05": "contains_pi", "T06": "open_attr", "T08": "plans", "T10": "plans",
    "T15": "plans", "T16": "plans", "T22": "delivery", "T23": "delivery",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Judged:
    """逐目的判定. What the engine says of one purpose, and on which facts."""

    purpose: Purpose
    given: Inputs
    outcome: Outcome


def judged(
    view: View,
    product: Product,
    asset: Asset,
    plans: Sequence[Plan],
    standing: Standing,
    provider_kind: OrgKind,
) -> tuple[Judged, ...]:
    """逐目的判定. Every purpose the offer covers, decided under the rules in force."""
    rules = in_force(view)
    found = []
    for purpose in standing.purposes:
        given = facts_of(
            view, product, asset, plans, purpose, provider_kind=provider_kind, territory=standing.territory
        )
        found.append(Judged(purpose, given, rules.decide(given)))
    return tuple(found)


def tier_faults(product: Product, judgments: Collection[Judged]) -> list[Fault]:
    """公益商业分界. What stands against listing the product as it is offered; a review is not against it."""
    faults: dict[tuple[str, Words], Fault] = {}
    for each in judgments:
        outcome = each.outcome
        if outcome.decision in {Decision.DENY, Decision.HOLD}:
            for fault in hit_faults(outcome):
                faults.setdefault((fault.rule, fault.words), fault)
        elif outcome.decision is Decision.ALLOW:
            for fault in (*_refused_delivery(outcome), *_other_side(product, each)):
                faults.setdefault((fault.rule, fault.words), fault)
    return list(faults.values())


def hit_faults(outcome: Outcome) -> list[Fault]:
    """Each hit as a fault of the field it speaks about: what is wrong, by which law, and the way out."""
    found = []
    for hit in outcome.hits:
        zh = f"{hit.words.zh}（{'、'.join(source.zh for source in hit.sources)}）{hit.remedy.zh}"
        en = f"{hit.words.en} ({'; '.join(source.en for source in hit.sources)}) {hit.remedy.en}"
        found.append(Fault(_FIELDS.get(hit.rule, "tier"), hit.rule, Words(zh, en)))
    return found


def _refused_delivery(outcome: Outcome) -> list[Fault]:
    if not outcome.refused:
        return []
    narrowing = [fault for fault in hit_faults(outcome) if fault.field == "delivery"]
    if narrowing:
        return narrowing
    zh = "、".join(mode.words.zh for mode in outcome.refused)
    en = ", ".join(mode.words.en for mode in outcome.refused)
    rule = outcome.rule_ids[0]
    return [Fault("delivery", rule, Words(f"不得以此方式交付：{zh}。", f"Not delivered this way: {en}."))]


def _other_side(product: Product, each: Judged) -> list[Fault]:
    """A product stands on one side of the line; for a free purpose a commercial one is free by itself."""
    tier = each.outcome.tier
    if tier is product.tier or (tier is Tier.PUBLIC_GOOD and each.purpose not in SALE):
        return []
    hit = each.outcome.hits[0]
    words = Words(
        f"用于{each.purpose.words.zh}时应列为{tier.words.zh if tier else ''}：{hit.words.zh}",
        f"For {each.purpose.words.en.lower()} it belongs on the other side: {hit.words.en}",
    )
    return [Fault("tier", hit.rule, words)]


def broken_rules(view: View, product: Product, provider_kind: OrgKind, standing: Standing) -> list[Fault]:
    """不符之处. What of the tier rules, the negative list, the mandate and the ceilings a product breaks now."""
    asset = source_of_product(view, product.asset_id, product.provider_id)
    plans = queries.plans(view, product.id)
    judgments = judged(view, product, asset, plans, standing, provider_kind)
    return broken(product, judgments, grounds(view, product, asset, plans, standing.purposes))


def broken(product: Product, judgments: Collection[Judged], found: Grounds) -> list[Fault]:
    """What the grounds say in detail, and of the rules what the grounds have not said."""
    lacking = found.faults()
    said = {fault.rule.partition(".")[0] for fault in lacking}
    return [*lacking, *(fault for fault in tier_faults(product, judgments) if fault.rule not in said)]


def approvals_needed(judgments: Collection[Judged]) -> int:
    """四眼原则. How many must approve the listing: what the strictest purpose asks, one at least."""
    return max((each.outcome.approvals for each in judgments), default=1) or 1


def refuse_undecided(judgments: Collection[Judged]) -> None:
    """Raise TierUndecided while a purpose is still in manual review: nothing is listed by default."""
    waiting = [each for each in judgments if each.outcome.decision is Decision.MANUAL]
    if waiting:
        raise TierUndecided(
            purposes=[str(each.purpose) for each in waiting],
            unknown=sorted({name for each in waiting for name in each.outcome.unknown}),
            hits=[hit.document() for hit in waiting[0].outcome.hits],
        )


def keep(unit: Unit, listing: Listing, moment: str, judgments: Collection[Judged], *, by: str) -> None:
    """判定留痕. Keep every purpose's decision with its facts, pack and switches."""
    for each in judgments:
        policy.judge(unit, f"listing:{listing.id}", moment, each.given, by=by)
