"""The line between public-good and commercial: what must hold of the engine for every input there can be."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from contracts.terms import DeliveryMode, Purpose, Tier
from market.policy.engine import Outcome, decide
from market.policy.inputs import (
    TERMS,
    BuyerKind,
    CeilingState,
    DataGrade,
    Evidence,
    Inputs,
    OpenAttr,
    PermitState,
    PersonalInfo,
    ReidLevel,
    Secrecy,
    SupplyKind,
)
from market.policy.packs import Decision, LicenseClass, Phase, PriceRule
from market.policy.reading import built_in
from tests.market.policy.cases import any_inputs, known_inputs, sold

PACK = built_in()
THOROUGH = settings(max_examples=120, deadline=None)
switches = st.frozensets(st.sampled_from(sorted(PACK.design())))
SALE = {Purpose.INDUSTRY, Purpose.SECTOR, Purpose.INTERNAL_BUSINESS, Purpose.RESALE}
# From the harmless to the riskiest: a step to the right never opens anything.
RISKS: dict[str, tuple[Any, ...]] = {
    "grade": tuple(DataGrade),
    "pi": (PersonalInfo.NONE, PersonalInfo.PI, PersonalInfo.SPI),
    "reid_level": (ReidLevel.CLEAR, ReidLevel.SAFE, ReidLevel.RISKY, ReidLevel.DIRECT),
    "registered": (True, False),
    "source_proven": (True, False),
    "rights_proven": (True, False),
    "disputed": (False, True),
    "secrecy": (Secrecy.PASSED, Secrecy.PENDING, Secrecy.REFUSED),
    "negative_hits": ((), ("N01",)),
    "provider_verified": (True, False),
    "buyer_verified": (True, False),
    "payee_department": (False, True),
    "mandate": (True, False),
    "ceiling": (CeilingState.IN_FORCE, CeilingState.EXPIRED, CeilingState.NONE),
    "risk_assessment": (True, False),
    "consent": (True, False),
    "pia": (True, False),
    "foreign": (False, True),
    "export_gate": (True, False),
    "permit": (PermitState.HELD, PermitState.MISSING),
    "purpose_evidence": (Evidence.PROVEN, Evidence.DOUBTFUL, Evidence.MISSING),
    "value_added": (True, False),
}
RANK = {Decision.DENY: 0, Decision.HOLD: 1, Decision.MANUAL: 1, Decision.ALLOW: 2}


def opens_more(risky: Outcome, safe: Outcome) -> bool:
    """Whether the riskier case may do anything the safer one may not."""
    if RANK[risky.decision] > RANK[safe.decision]:
        return True
    return risky.decision is Decision.ALLOW and (
        not set(risky.delivery) <= set(safe.delivery) or risky.approvals < safe.approvals
    )


@THOROUGH
@given(any_inputs, switches)
def test_public_good_costs_nothing_and_is_never_a_sale(facts: Inputs, off: frozenset[str]) -> None:
    outcome = decide(facts, PACK, off)
    if outcome.tier is Tier.PUBLIC_GOOD:
        assert outcome.most_fen == 0
        assert outcome.price_rule is PriceRule.ZERO
        assert outcome.license_class in {LicenseClass.OPEN, LicenseClass.CONDITIONAL}


@THOROUGH
@given(any_inputs, switches)
def test_a_commercial_route_never_opens_without_a_license_agreed_to(
    facts: Inputs, off: frozenset[str]
) -> None:
    outcome = decide(facts, PACK, off)
    if outcome.tier is Tier.COMMERCIAL:
        assert outcome.license_class in {LicenseClass.PROVISION, LicenseClass.FUSION}
        assert outcome.approvals >= 1
    if outcome.decision is not Decision.ALLOW:
        assert (outcome.tier, outcome.price_rule, outcome.delivery) == (None, None, ())


@THOROUGH
@given(any_inputs, switches)
@example(sold(price_fen=51), frozenset())
@example(sold(mandate=False), frozenset())
@example(sold(supply="mixed", mandate=False), frozenset())
@example(sold(ceiling="none"), frozenset())
@example(sold(supply="mixed", ceiling="expired"), frozenset())
def test_public_supply_is_sold_only_under_mandate_and_ceiling(facts: Inputs, off: frozenset[str]) -> None:
    outcome = decide(facts, PACK, off)
    if outcome.tier is Tier.COMMERCIAL and facts.supply is not SupplyKind.ENTERPRISE:
        assert facts.mandate is True
        assert facts.ceiling in {CeilingState.IN_FORCE, CeilingState.TRIAL}
        assert facts.price_fen is not None
        assert facts.ceiling_fen is not None
        assert facts.price_fen <= facts.ceiling_fen == outcome.most_fen


@THOROUGH
@given(known_inputs)
def test_the_two_sides_never_meet_in_one_outcome(facts: Inputs) -> None:
    """Public-good and commercial lead to licenses, prices and ledgers that have nothing in common."""
    outcome = decide(facts, PACK)
    free = {LicenseClass.OPEN, LicenseClass.CONDITIONAL}
    if outcome.decision is Decision.ALLOW:
        assert (outcome.tier is Tier.PUBLIC_GOOD) == (outcome.license_class in free)
        assert (outcome.tier is Tier.PUBLIC_GOOD) == (outcome.price_rule is PriceRule.ZERO)


@THOROUGH
@given(any_inputs, switches)
def test_the_same_facts_give_the_same_outcome(facts: Inputs, off: frozenset[str]) -> None:
    again = Inputs.of(facts.canonical())
    assert again == facts
    assert decide(again, PACK, off) == decide(facts, PACK, off)


@THOROUGH
@given(known_inputs, st.sampled_from(BuyerKind))
def test_equal_buyers_pay_the_same_whoever_they_are(facts: Inputs, other: BuyerKind) -> None:
    one, two = decide(facts, PACK), decide(replace(facts, buyer_kind=other), PACK)
    assert (one.decision, one.price_rule, one.most_fen) == (two.decision, two.price_rule, two.most_fen)


@pytest.mark.parametrize("name", sorted(RISKS))
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_a_greater_risk_never_opens_more(name: str, data: st.DataObject) -> None:
    facts = data.draw(known_inputs)
    values = RISKS[name]
    place = data.draw(st.integers(0, len(values) - 2))
    later = data.draw(st.integers(place + 1, len(values) - 1))
    safe = decide(replace(facts, **{name: values[place]}), PACK)
    risky = decide(replace(facts, **{name: values[later]}), PACK)
    assert not opens_more(risky, safe), (safe.rule_ids, risky.rule_ids)


@THOROUGH
@given(known_inputs, st.sampled_from(sorted(TERMS)))
@example(sold(), "mandate")
@example(sold(), "ceiling")
def test_not_knowing_never_opens_more(facts: Inputs, name: str) -> None:
    """What passes although something is unknown would pass with any answer to it, and in the same way."""
    unknown = decide(replace(facts, **{name: None}), PACK)
    if unknown.decision is not Decision.ALLOW:
        return
    for value in (getattr(facts, name), *TERMS[name].values()):
        known = decide(replace(facts, **{name: value}), PACK)
        assert known.decision is Decision.ALLOW
        assert not opens_more(unknown, known)


@THOROUGH
@given(any_inputs)
def test_every_no_names_rule_source_and_way_out(facts: Inputs) -> None:
    outcome = decide(facts, PACK)
    if outcome.decision is Decision.ALLOW:
        return
    assert outcome.hits
    assert outcome.against == outcome.hits
    for hit in outcome.hits:
        assert hit.rule
        assert hit.sources
        for words in (hit.words, hit.remedy, *hit.sources):
            assert words.zh
            assert words.en


@THOROUGH
@given(known_inputs)
def test_every_denial_that_applies_is_told(facts: Inputs) -> None:
    """Two wrongs give two hits: nobody corrects one and is refused for the other."""
    first = decide(replace(facts, source_proven=False), PACK)
    both = decide(replace(facts, source_proven=False, disputed=True), PACK)
    keys = {(hit.rule, hit.part) for hit in both.hits}
    assert {("T03", "source"), ("T03", "dispute")} <= keys
    assert {(hit.rule, hit.part) for hit in first.hits} <= keys


@THOROUGH
@given(known_inputs, st.booleans())
def test_a_discount_is_the_same_for_all_who_qualify_and_moves_no_line(facts: Inputs, eligible: bool) -> None:
    one, two = decide(replace(facts, eligible=eligible), PACK), decide(replace(facts, eligible=False), PACK)
    assert (one.decision, one.tier, one.price_rule, one.most_fen) == (
        two.decision, two.tier, two.price_rule, two.most_fen,
    )  # fmt: skip


@THOROUGH
@given(any_inputs, switches)
def test_legal_rules_hold_whatever_is_switched(facts: Inputs, off: frozenset[str]) -> None:
    legal_denials = {hit.rule for hit in decide(facts, PACK).hits if hit.phase is Phase.DENY}
    outcome = decide(facts, PACK, off | PACK.legal())
    assert legal_denials == {hit.rule for hit in outcome.hits if hit.phase is Phase.DENY}


@THOROUGH
@given(any_inputs)
def test_open_data_of_the_state_asks_nobody(facts: Inputs) -> None:
    """Unconditionally open and raw: free for any purpose, also for industry, as long as no price is asked."""
    outcome = decide(facts, PACK)
    raw = facts.supply is SupplyKind.PUBLIC and facts.open_attr is OpenAttr.UNCONDITIONAL
    if raw and outcome.rule_ids and outcome.rule_ids[0] == "T10" and outcome.decision is Decision.ALLOW:
        assert outcome.price_rule is PriceRule.ZERO
        assert outcome.approvals == 0 or facts.grade is None or facts.grade.sensitive


@THOROUGH
@given(known_inputs)
def test_nothing_is_delivered_that_was_not_asked_or_not_allowed(facts: Inputs) -> None:
    outcome = decide(facts, PACK)
    assume(outcome.decision is Decision.ALLOW)
    asked = facts.delivery or frozenset()
    assert set(outcome.delivery) | set(outcome.refused) == asked
    if facts.grade is DataGrade.G4:
        assert set(outcome.delivery) <= {DeliveryMode.COMPUTE, DeliveryMode.VERIFY}
        assert outcome.approvals == 2


@THOROUGH
@given(known_inputs)
def test_important_and_core_data_stay_inside(facts: Inputs) -> None:
    outcome = decide(replace(facts, grade=DataGrade.CORE), PACK)
    assert outcome.decision is Decision.DENY
    outcome = decide(replace(facts, grade=DataGrade.IMPORTANT), PACK)
    if outcome.decision is Decision.ALLOW:
        assert outcome.delivery == (DeliveryMode.COMPUTE,)
        assert facts.foreign is False
        assert facts.risk_assessment is True
