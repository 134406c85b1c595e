"""The listing machine and the price rules hold for every input."""

from hypothesis import given
from hypothesis import strategies as st

from contracts.terms import Tier
from market.catalogue.rules import LISTING, PRICES, SLUG, ListingState, PlanKind, Price, Profile, plan_faults
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
