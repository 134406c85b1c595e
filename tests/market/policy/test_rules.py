"""The line between public-good and commercial: more risk never makes an outcome more permissive."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from contracts.terms import DeliveryMode, Tier
from market.identity.rules import OrgKind
from market.policy.inputs import DataGrade, OpenAttr, SupplyKind
from market.policy.rules import Offer, deciders_needed, tier_faults

offers = st.builds(
    Offer,
    tier=st.sampled_from(Tier),
    supply=st.sampled_from(SupplyKind),
    open_attr=st.sampled_from(OpenAttr),
    grade=st.sampled_from(DataGrade),
    delivery=st.frozensets(st.sampled_from(DeliveryMode), min_size=1),
    provider_kind=st.sampled_from(OrgKind),
    highest_price_fen=st.integers(0, 10**9),
    contains_pi=st.booleans(),
    pi_basis=st.booleans(),
    mandated=st.booleans(),
)
FREE = Offer(
    Tier.PUBLIC_GOOD,
    SupplyKind.PUBLIC,
    OpenAttr.UNCONDITIONAL,
    DataGrade.G1,
    frozenset({DeliveryMode.FILE, DeliveryMode.API}),
    OrgKind.DEPARTMENT,
)


def rules(offer: Offer) -> set[str]:
    return {fault.rule for fault in tier_faults(offer)}


def test_open_data_of_a_department_passes() -> None:
    assert rules(FREE) == set()


@given(offers)
def test_public_good_with_a_price_never_passes(offer: Offer) -> None:
    priced = offer.tier is Tier.PUBLIC_GOOD and offer.highest_price_fen > 0
    assert ("T10" in rules(offer)) == priced


@given(offers)
def test_a_department_never_charges(offer: Offer) -> None:
    assert ("T08" in rules(replace(offer, provider_kind=OrgKind.DEPARTMENT))) == (offer.highest_price_fen > 0)


@given(offers)
def test_core_and_important_data_never_pass(offer: Offer) -> None:
    assert "T01" in rules(replace(offer, grade=DataGrade.CORE))
    assert "T02" in rules(replace(offer, grade=DataGrade.IMPORTANT))


@given(offers)
def test_sensitive_grades_never_leave_as_files(offer: Offer) -> None:
    with_file = replace(offer, delivery=offer.delivery | {DeliveryMode.FILE})
    for grade in (DataGrade.G3, DataGrade.G4):
        assert "T22" in rules(replace(with_file, grade=grade))


@given(offers)
def test_adding_a_risk_flag_never_helps(offer: Offer) -> None:
    for riskier in (
        replace(offer, contains_pi=True),
        replace(offer, pi_basis=False),
        replace(offer, mandated=False),
        replace(offer, open_attr=OpenAttr.CLOSED),
    ):
        assert bool(rules(riskier)) >= bool(rules(offer))
    assert deciders_needed(offer.tier, offer.supply, DataGrade.G3) >= deciders_needed(
        offer.tier, offer.supply, DataGrade.G1
    )


@given(offers)
def test_every_fault_names_its_rule_in_both_languages(offer: Offer) -> None:
    for fault in tier_faults(offer):
        assert fault.rule
        assert fault.words.zh
        assert fault.words.en


def test_who_needs_two_deciders() -> None:
    assert deciders_needed(Tier.PUBLIC_GOOD, SupplyKind.PUBLIC, DataGrade.G1) == 1
    assert deciders_needed(Tier.COMMERCIAL, SupplyKind.ENTERPRISE, DataGrade.G2) == 1
    assert deciders_needed(Tier.COMMERCIAL, SupplyKind.PUBLIC, DataGrade.G1) == 2
    assert deciders_needed(Tier.COMMERCIAL, SupplyKind.MIXED, DataGrade.G1) == 2
    assert deciders_needed(Tier.PUBLIC_GOOD, SupplyKind.PUBLIC, DataGrade.G3) == 2


def test_each_numbered_rule_can_be_met_alone() -> None:
    paid = replace(FREE, tier=Tier.COMMERCIAL, highest_price_fen=1, provider_kind=OrgKind.DEALER)
    assert rules(paid) == set()
    assert rules(replace(FREE, contains_pi=True)) == {"T05"}
    assert rules(replace(FREE, contains_pi=True, pi_basis=True)) == set()
    assert rules(replace(FREE, open_attr=OpenAttr.CLOSED)) == {"T06"}
    assert rules(replace(FREE, open_attr=OpenAttr.CLOSED, mandated=True)) == set()
    assert rules(replace(FREE, supply=SupplyKind.ENTERPRISE, open_attr=OpenAttr.CLOSED)) == set()
    assert rules(replace(FREE, delivery=frozenset())) == {"required"}
