"""The decision table, row by row: each rule met alone, the order of the routes, and what would change a decision."""

from typing import Any

import pytest

from contracts.terms import DeliveryMode, Tier
from market.policy.engine import decide, watch
from market.policy.explain import flips
from market.policy.inputs import Inputs
from market.policy.packs import Charge, Decision, Duty, LicenseClass, PriceRule
from market.policy.reading import built_in, built_in_text, read
from tests.market.policy.cases import facts, sold

PACK = built_in()
ENTERPRISE: dict[str, Any] = {"supply": "enterprise", "open_attr": "N", "mandate": False, "ceiling": "none"}


@pytest.mark.parametrize(
    ("given", "rule", "part"),
    [
        (facts(grade="CORE"), "T01", "core"),
        (facts(secrecy="refused"), "T01", "secrecy"),
        (facts(negative_hits=["N03"]), "T01", "list"),
        (sold(grade="IMPORTANT", delivery=["compute"]), "T02", ""),
        (sold(grade="IMPORTANT", risk_assessment=True, delivery=["api"]), "T02", ""),
        (facts(source_proven=False), "T03", "source"),
        (facts(rights_proven=False), "T03", "rights"),
        (facts(disputed=True), "T03", "dispute"),
        (facts(registered=False), "T03", "registration"),
        (facts(provider_verified=False), "T04", "provider"),
        (sold(buyer_verified=False), "T04", "buyer"),
        (facts(pi="pi"), "T05", ""),
        (facts(pi="spi", consent=True), "T05", ""),
        (sold(open_attr="N", mandate=False), "T06", ""),
        (sold(foreign=True), "T07", ""),
        (sold(foreign=True, bonded=True, grade="G3", delivery=["compute"]), "T07", ""),
        (sold(payee_department=True), "T08", ""),
        (sold(permit="missing"), "T09", ""),
    ],
)
def test_each_denial_alone(given: Inputs, rule: str, part: str) -> None:
    outcome = decide(given, PACK)
    assert outcome.decision is Decision.DENY
    assert [(hit.rule, hit.part, hit.presumed) for hit in outcome.hits] == [(rule, part, False)]


@pytest.mark.parametrize(
    ("given", "rule", "tier", "price", "license_class", "approvals"),
    [
        (facts(), "T10", "public_good", "zero", "open", 0),
        (facts(purpose="emergency", emergency_declared=True, open_attr="K"), "T11", "public_good", "zero", "conditional", 0),
        (sold(purpose="public_welfare", purpose_evidence="proven"), "T12", "public_good", "zero", "conditional", 1),
        (sold(purpose="governance", purpose_evidence="proven", grade="G3"), "T12", "public_good", "zero", "conditional", 2),
        (sold(purpose="personal"), "T14", "public_good", "zero", "conditional", 1),
        (sold(named_purpose=True), "T14", "public_good", "zero", "conditional", 1),
        (sold(), "T15", "commercial", "guided", "provision", 2),
        (sold(ceiling="trial"), "T15", "commercial", "guided", "provision", 2),
        (sold(supply="mixed"), "T21", "commercial", "split", "fusion", 2),
        (facts(**ENTERPRISE, open_terms=True), "T18", "public_good", "zero", "open", 1),
        (facts(**ENTERPRISE), "T18", "commercial", "market", "provision", 1),
        (facts(**ENTERPRISE, price_fen=600_000), "T19", "commercial", "market", "provision", 1),
    ],
)  # fmt: skip
def test_each_route_that_allows(
    given: Inputs, rule: str, tier: str, price: str, license_class: str, approvals: int
) -> None:
    outcome = decide(given, PACK)
    assert outcome.decision is Decision.ALLOW
    assert (outcome.rule_ids[0], outcome.tier, outcome.price_rule) == (rule, Tier(tier), PriceRule(price))
    assert (outcome.license_class, outcome.approvals) == (LicenseClass(license_class), approvals)


@pytest.mark.parametrize(
    ("given", "rule", "decision", "waits_for"),
    [
        (sold(purpose="governance"), "T13", Decision.MANUAL, ""),
        (sold(purpose="public_welfare", purpose_evidence="doubtful"), "T13", Decision.MANUAL, ""),
        (sold(ceiling="none"), "T16", Decision.HOLD, "ceiling"),
        (sold(ceiling="expired"), "T16", Decision.HOLD, "ceiling"),
        (sold(supply="mixed", ceiling="none"), "T16", Decision.HOLD, "ceiling"),
        (sold(price_fen=51), "T15", Decision.HOLD, "price"),
        (sold(value_added=False, free_twin="kept"), "T17", Decision.DENY, ""),
        (facts(price_fen=1), "T10", Decision.DENY, ""),
        (sold(free_twin="withdrawn"), "T20", Decision.HOLD, "free_twin"),
        (sold(mandate=False), "T26", Decision.MANUAL, ""),
        (sold(supply="mixed", purpose="governance", purpose_evidence="proven"), "T26", Decision.MANUAL, ""),
    ],
)
def test_what_waits_and_what_is_refused(given: Inputs, rule: str, decision: Decision, waits_for: str) -> None:
    outcome = decide(given, PACK)
    assert (outcome.decision, rule in outcome.rule_ids) == (decision, True)
    assert not waits_for or outcome.waits_for == waits_for
    assert outcome.approvals == 2


@pytest.mark.parametrize(
    ("given", "delivery", "refused"),
    [
        (sold(grade="G3", delivery=["file", "api"]), {"api"}, {"file"}),
        (sold(grade="G4", delivery=["api", "verify"]), {"verify"}, {"api"}),
        (sold(grade="IMPORTANT", risk_assessment=True, delivery=["compute"]), {"compute"}, set()),
        (sold(reid_level="2", delivery=["file", "compute"]), {"compute"}, {"file"}),
        (facts(grade="G3", delivery=["file"]), set(), {"file"}),
    ],
)
def test_grade_and_risk_narrow_the_delivery(given: Inputs, delivery: set[str], refused: set[str]) -> None:
    outcome = decide(given, PACK)
    assert (set(outcome.delivery), set(outcome.refused)) == (delivery, refused)
    assert bool(delivery) == (outcome.decision is Decision.ALLOW)


def test_duties_go_with_the_outcome() -> None:
    assert (
        Duty.NOTIFY_AUDITOR
        in decide(sold(grade="IMPORTANT", risk_assessment=True, delivery=["compute"]), PACK).duties
    )
    assert Duty.KEEP_TWIN in decide(sold(free_twin="kept"), PACK).duties
    assert Duty.PUBLISHED_DISCOUNT in decide(sold(eligible=True), PACK).duties
    assert Duty.SHOW_SPLIT in decide(sold(supply="mixed"), PACK).duties


def test_bonded_compute_is_the_one_way_abroad_without_the_gate() -> None:
    assert decide(sold(foreign=True, bonded=True, delivery=["compute"]), PACK).decision is Decision.ALLOW
    assert decide(sold(foreign=True, bonded=True, delivery=["api"]), PACK).decision is Decision.DENY


def test_a_stranger_takes_open_data_and_nothing_else() -> None:
    assert decide(facts(buyer_verified=False, buyer_kind="citizen"), PACK).decision is Decision.ALLOW
    assert decide(sold(buyer_verified=False), PACK).rule_ids == ("T04",)


@pytest.mark.parametrize(
    "name", ["grade", "pi", "secrecy", "registered", "negative_hits", "mandate", "delivery"]
)
def test_the_unknown_is_looked_at_by_people(name: str) -> None:
    outcome = decide(sold(open_attr="N", **{name: None}), PACK)
    assert outcome.decision is Decision.MANUAL
    assert outcome.tier is None
    assert name in outcome.unknown


def test_what_does_not_matter_may_stay_unknown() -> None:
    assert (
        decide(sold(export_gate=None, bonded=None, emergency_declared=None), PACK).decision is Decision.ALLOW
    )


@pytest.mark.parametrize(
    ("given", "switched", "then"),
    [
        (facts(purpose="emergency", emergency_declared=True, open_attr="K"), "T11", "T26"),
        (sold(purpose="governance"), "T13", "T26"),
        (sold(value_added=False, free_twin="kept"), "T17", "T26"),
        (facts(**ENTERPRISE), "T18", "T26"),
        (sold(free_twin="withdrawn"), "T20", "T15"),
        (sold(mandate=False), "T26", "T26"),
    ],
)
def test_switching_a_design_rule_off_leads_to_the_next_rule(given: Inputs, switched: str, then: str) -> None:
    assert switched in decide(given, PACK).rule_ids
    assert decide(given, PACK, {switched}).rule_ids == (then,)


def test_a_legal_rule_cannot_be_switched() -> None:
    assert decide(facts(grade="CORE"), PACK, {"T01"}).decision is Decision.DENY


def test_a_living_license_is_watched() -> None:
    assert [hit.rule for hit in watch(sold(off_purpose=True), PACK)] == ["T24"]
    assert watch(sold(), PACK) == ()
    assert watch(sold(off_purpose=True), PACK, {"T24"}) == ()


def test_a_legal_rule_of_a_living_license_cannot_be_switched() -> None:
    text = built_in_text()
    head, living = text[: text.index("  - id: T24")], text[text.index("  - id: T24") :]
    stricter = read(head + living.replace("kind: design", "kind: legal", 1))
    assert [hit.rule for hit in watch(sold(off_purpose=True), stricter, {"T24"})] == ["T24"]


def test_a_modifier_of_one_side_leaves_the_other_alone() -> None:
    free = decide(facts(free_twin="withdrawn"), PACK)
    assert (free.decision, free.rule_ids) == (Decision.ALLOW, ("T10",))


def test_a_modifier_that_may_hold_is_looked_at_and_is_no_hold() -> None:
    outcome = decide(sold(free_twin=None), PACK)
    assert (outcome.decision, outcome.waits_for) == (Decision.MANUAL, "")
    assert [hit.presumed for hit in outcome.hits if hit.rule == "T20"] == [True, True]


def test_the_market_has_no_ceiling_and_an_unknown_price_none_to_pass() -> None:
    assert decide(facts(**ENTERPRISE, price_fen=600_000), PACK).most_fen is None
    assert decide(sold(price_fen=None), PACK).decision is Decision.MANUAL
    assert decide(sold(ceiling_fen=None), PACK).decision is Decision.MANUAL


def test_what_a_route_asks_for_goes_with_it() -> None:
    """Emergency use is boxed in time and reviewed afterwards; free use is reported and not passed on."""
    emergency = decide(facts(purpose="emergency", emergency_declared=True, open_attr="K"), PACK)
    assert emergency.duties == (Duty.NO_REDISTRIBUTION, Duty.TIME_BOX_30D, Duty.POST_REVIEW_5D)
    for given in (sold(purpose="public_welfare", purpose_evidence="proven"), sold(purpose="personal")):
        assert decide(given, PACK).duties == (Duty.USAGE_REPORT, Duty.NO_REDISTRIBUTION)
    assert decide(facts(**ENTERPRISE, price_fen=5), PACK).duties == (Duty.EQUAL_TERMS,)
    assert Duty.CONSENT_PER_CALL in decide(sold(grade="G4", delivery=["verify"]), PACK).duties


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        (facts(purpose="emergency", emergency_declared=False, open_attr="K"), "T26"),
        (sold(purpose="personal", open_attr="N"), "T26"),
        (sold(supply="mixed", open_attr="N", mandate=False), "T06"),
        (sold(supply="mixed", mandate=False), "T26"),
        (sold(purpose="public_welfare", purpose_evidence="doubtful"), "T13"),
        (sold(free_twin="degraded"), "T20"),
        (sold(value_added=False, free_twin="degraded"), "T17"),
        (facts(buyer_verified=False, price_fen=1), "T04"),
        (sold(reid_level="1"), "T23"),
        (sold(grade="IMPORTANT", risk_assessment=True, delivery=["compute"], foreign=True), "T02"),
        (facts(pi="pi", pia=True, grade="G2"), "T05"),
        (sold(payee_department=True, price_fen=1, ceiling_fen=1), "T08"),
        (facts(delivery=["compute"]), "T10"),
    ],
)
def test_the_edges_of_the_rules(given: Inputs, rule: str) -> None:
    outcome = decide(given, PACK)
    assert outcome.decision is not Decision.ALLOW
    assert rule in outcome.rule_ids


def test_four_eyes_on_level_four_and_one_pair_on_the_market() -> None:
    g4 = sold(purpose="personal", grade="G4", delivery=["verify"])
    assert decide(g4, PACK).approvals == 2
    assert decide(facts(**ENTERPRISE, price_fen=5), PACK).approvals == 1


def test_flips_respect_the_switches_and_see_more_than_the_decision() -> None:
    given = sold(free_twin="withdrawn")
    assert any(flip.term.name == "free_twin" for flip in flips(given, PACK))
    assert not any(flip.term.name == "free_twin" for flip in flips(given, PACK, {"T20"}))
    modes = {str(flip.after) for flip in flips(sold(), PACK) if flip.term.name == "grade"}
    assert "G3" not in modes, "two approve public data anyway, and an API stays an API"
    own = facts(**ENTERPRISE, price_fen=5, delivery=["api"])
    assert "G3" in {str(flip.after) for flip in flips(own, PACK) if flip.term.name == "grade"}


def test_flips_name_what_would_change_the_decision() -> None:
    found = {(flip.term.name, str(flip.after)) for flip in flips(sold(ceiling="none"), PACK)}
    assert {("ceiling", "in_force"), ("ceiling", "trial"), ("grade", "CORE")} <= found
    assert not any(term in {"eligible", "off_purpose", "buyer_kind"} for term, _ in found)
    [twin] = [flip for flip in flips(sold(), PACK) if flip.term.name == "price_fen" and flip.after == 51]
    assert twin.outcome.decision is Decision.HOLD


def test_words_of_a_charge_that_is_waived() -> None:
    """The provider asks 50 of industry; welfare pays nothing of it."""
    industry, welfare = (
        decide(sold(), PACK),
        decide(sold(purpose="public_welfare", purpose_evidence="proven"), PACK),
    )
    assert (industry.most_fen, welfare.most_fen) == (50, 0)
    assert {rule.then.charge for rule in PACK.rules if rule.id in {"T11", "T12", "T14"}} == {Charge.WAIVE}
    assert DeliveryMode.API in welfare.delivery
