"""The listing machine and the price rules hold for every input."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.terms import Tier
from market.catalogue.rules import (
    LISTING,
    PRICES,
    SLUG,
    ListingState,
    PlanKind,
    Price,
    Profile,
    Standing,
    plan_faults,
    standing_faults,
)
from market.catalogue.tables import Product
from storage.kernel.problem import WrongState

VERBS = sorted({verb for _, verb in LISTING.moves})
prices = st.builds(Price, **{name: st.integers(0, 10**6) for name in PRICES})


@given(st.lists(st.sampled_from(VERBS), max_size=40))
def test_nothing_is_listed_without_approval_and_the_delisted_stay_so(verbs: list[str]) -> None:
    state, approved = ListingState.DRAFT, False
    for verb in verbs:
        before = state
        try:
            state = LISTING.after(state, verb)
        except WrongState:
            continue
        assert before is not ListingState.DELISTED
        approved = approved or verb == "approve"
        if state in {ListingState.LISTED, ListingState.SUSPENDED}:
            assert approved


@given(st.sampled_from(Tier), st.sampled_from(PlanKind), prices)
def test_public_good_passes_only_free_and_no_paid_plan_without_its_price(
    tier: Tier, kind: PlanKind, price: Price
) -> None:
    passed = not plan_faults(tier, kind, price)
    if passed and tier is Tier.PUBLIC_GOOD:
        assert price.highest_fen == 0
    if passed:
        assert (kind is PlanKind.FREE) == (price.highest_fen == 0)


@given(st.text(max_size=70))
def test_a_slug_is_plain(text: str) -> None:
    if SLUG.fullmatch(text):
        assert text.isascii()
        assert 3 <= len(text) <= 60
        assert "--" not in text
        assert text == text.strip("-").lower()


def test_every_field_of_a_profile_is_kept() -> None:
    assert set(Profile.model_fields) <= set(Product.model_fields)


@pytest.mark.parametrize(
    ("tier", "changes", "held", "told"),
    [
        (Tier.PUBLIC_GOOD, {"min_prepay_fen": 1}, {"use"}, [("min_prepay_fen", "offer.prepay")]),
        (Tier.PUBLIC_GOOD, {}, {"use"}, []),
        (Tier.COMMERCIAL, {"min_prepay_fen": 1}, {"use"}, []),
        (Tier.COMMERCIAL, {"purposes": ["resale"]}, {"operate"}, [("rights", "rights.resale")]),
        (
            Tier.COMMERCIAL,
            {"purposes": ["resale"], "rights": ["operate"]},
            {"hold", "use"},
            [("purposes", "rights.held")],
        ),
        (Tier.COMMERCIAL, {"rights": ["use", "operate"]}, {"use"}, [("rights", "rights.held")]),
        (Tier.COMMERCIAL, {"purposes": ["resale"], "rights": ["use", "operate"]}, {"operate"}, []),
    ],
)
def test_what_a_standing_offer_may_ask_and_give(
    tier: Tier, changes: dict[str, Any], held: set[str], told: list[tuple[str, str]]
) -> None:
    given = {"template_slug": "x", "template_version": "1", "purposes": ["industry"]} | changes
    faults = standing_faults(tier, Standing(**given), held)
    assert [(fault.field, fault.rule) for fault in faults] == told
    assert all(fault.words.zh and fault.words.en for fault in faults)
