"""What an agreement must say, what it covers, and the exact arithmetic of shares, ceilings and caps."""

from datetime import date
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.terms import Purpose, Tier
from market.mandates.prices import (
    PRICE_OF,
    CapStep,
    CeilingForm,
    ChargeUnit,
    Limit,
    Span,
    carried,
    ceiling_faults,
    exact_fen,
    left_fen,
    price_faults,
    step_of,
    yuan_of,
)
from market.mandates.rules import (
    Bracket,
    MandateKind,
    Resource,
    Scope,
    agreement_faults,
    gaps,
    needs_mandate,
    shared,
)
from market.policy.inputs import SupplyKind
from storage.kernel.numbers import make_uscc
from storage.kernel.problem import Invalid
from tests.market.mandates_made import agreement, civil

TODAY = date(2026, 11, 22)
UNIT = make_uscc("11370200MB2846751")
PARKING = Resource("SG-1", "370200-jt-0001", UNIT, "交通/停车/客流", "G54", ("周转率分析",))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"title": ""}, "title"),
        ({"duties": " "}, "duties"),
        ({"exit_terms": ""}, "exit_terms"),
        ({"purposes": ()}, "purposes"),
        ({"first_day": None}, "first_day"),
        ({"last_day": None}, "last_day"),
        ({"last_day": date(2025, 1, 1), "first_day": date(2026, 1, 1)}, "last_day"),
        ({"last_day": date(2026, 11, 21), "first_day": date(2026, 1, 1)}, "last_day"),
        ({"redelegation": True}, "redelegation"),
        ({"kind": MandateKind.SECTOR}, "scope"),
        ({"kind": MandateKind.SCENARIO}, "scope"),
        ({"scope": Scope(units=("91370200MA3CERTW8H",))}, "scope"),
        ({"brackets": (Bracket(from_fen=5, share_bp=100),)}, "brackets"),
        ({"brackets": (Bracket(from_fen=0, share_bp=100), Bracket(from_fen=0, share_bp=200))}, "brackets"),
    ],
)
def test_an_agreement_says_everything(changes: dict[str, Any], field: str) -> None:
    assert field in [fault.field for fault in agreement_faults(agreement(**changes), TODAY)]


@pytest.mark.parametrize(
    ("first", "last", "allowed"),
    [
        (date(2026, 1, 1), date(2030, 12, 31), True),
        (date(2026, 1, 1), date(2031, 1, 1), False),
        (date(2028, 2, 29), date(2033, 2, 27), True),
        (date(2028, 2, 29), date(2033, 2, 28), False),
    ],
)
def test_five_years_at_most(first: date, last: date, allowed: bool) -> None:
    faults = agreement_faults(agreement(first_day=first, last_day=last), TODAY)
    assert ([fault.rule for fault in faults] == []) is allowed
    assert allowed or [fault.rule for fault in faults] == ["mandate.years"]


@pytest.mark.parametrize(
    ("scope", "covered"),
    [
        (Scope(), True),
        (Scope(resources=("370200-jt-0001",)), True),
        (Scope(resources=("SG-1",)), True),
        (Scope(resources=("370200-jt-0002",)), False),
        (Scope(units=(UNIT,)), True),
        (Scope(units=(make_uscc("11370200MB2846752"),)), False),
        (Scope(sectors=("交通",)), True),
        (Scope(sectors=("G5",)), True),
        (Scope(sectors=("医疗",)), False),
        (Scope(scenarios=("周转率分析", "引导")), True),
        (Scope(scenarios=("引导",)), False),
        (Scope(resources=("SG-1",), sectors=("医疗",)), False),
    ],
)
def test_a_scope_covers_what_it_names(scope: Scope, covered: bool) -> None:
    assert (gaps(agreement(scope=scope), PARKING, [Purpose.INDUSTRY]) == []) is covered


def test_a_scenario_mandate_never_covers_a_product_without_scenario() -> None:
    bare = Resource("SG-1", "370200-jt-0001", UNIT, "交通", "G54")
    assert gaps(agreement(scope=Scope(scenarios=("引导",))), bare, []) != []


def test_a_purpose_left_out_is_a_gap_that_names_it() -> None:
    [gap] = gaps(agreement(purposes=(Purpose.INDUSTRY,)), PARKING, [Purpose.INDUSTRY, Purpose.RESALE])
    assert "对外经营" in gap.zh
    assert "Supply to others" in gap.en


def test_who_needs_a_mandate() -> None:
    asked = {(tier, supply): needs_mandate(tier, supply) for tier in Tier for supply in (*SupplyKind, None)}
    assert {pair for pair, needed in asked.items() if needed} == {
        (Tier.COMMERCIAL, SupplyKind.PUBLIC),
        (Tier.COMMERCIAL, SupplyKind.MIXED),
        (Tier.COMMERCIAL, None),
    }


# ------------------------------------------------------------------ shares

_STEPS = st.lists(st.tuples(st.integers(1, 10**9), st.integers(0, 10_000)), max_size=5)


def _ladder(steps: list[tuple[int, int]]) -> list[Bracket]:
    start, rows = 0, []
    for width, share in steps:
        rows.append(Bracket(from_fen=start, share_bp=share))
        start += width
    return rows


@given(amount=st.integers(-(10**12), 10**12), steps=_STEPS)
def test_a_share_is_never_more_than_what_came_in(amount: int, steps: list[tuple[int, int]]) -> None:
    assert 0 <= shared(amount, _ladder(steps)) <= max(amount, 0)


@given(amount=st.integers(0, 10**12), more=st.integers(0, 10**9), steps=_STEPS)
def test_more_revenue_never_shares_less(amount: int, more: int, steps: list[tuple[int, int]]) -> None:
    assert shared(amount + more, _ladder(steps)) >= shared(amount, _ladder(steps))


@given(amount=st.integers(0, 10**12), bp=st.integers(0, 10_000))
def test_one_bracket_is_its_percentage(amount: int, bp: int) -> None:
    share = shared(amount, [Bracket(from_fen=0, share_bp=bp)])
    assert abs(share * 10_000 - amount * bp) < 10_000


def test_brackets_share_the_part_inside_them() -> None:
    ladder = [
        Bracket(from_fen=0, share_bp=1000),
        Bracket(from_fen=100_00, share_bp=3000),
        Bracket(from_fen=200_00, share_bp=5000),
    ]
    assert [shared(fen, ladder) for fen in (100_00, 150_00, 300_00)] == [10_00, 25_00, 90_00]


# ------------------------------------------------------------------ ceilings


@given(units=st.integers(1, 10**13))
def test_a_ceiling_reads_back_exactly(units: int) -> None:
    fen = Fraction(units, 10**6)  # eight decimals of a yuan
    assert exact_fen(yuan_of(fen)) == fen


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "0.000000001", "1e3", "abc", "１２", "1.2.3", "99999999999999"]
)
def test_what_is_no_ceiling_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        exact_fen(text)


@given(
    asked=st.integers(0, 10**9),
    most=st.fractions(min_value=Fraction(1, 10**6), max_value=10**9, max_denominator=10**6),
    unit=st.sampled_from(ChargeUnit),
)
def test_a_price_stands_exactly_when_it_is_not_above_its_ceiling(
    asked: int, most: Fraction, unit: ChargeUnit
) -> None:
    limit = Limit("cei_1", unit, most, "青发改价 1 号", trial=False)
    faults = price_faults({PRICE_OF[unit]: asked}, [limit])
    assert bool(faults) is (asked > most)
    assert {fault.rule for fault in price_faults({PRICE_OF[unit]: asked}, [])} == (
        {"T16.await_ceiling"} if asked else set()
    )


def test_every_unit_of_charge_has_its_own_ceiling() -> None:
    prices = {"call_fen": 5, "row_fen": 1, "download_fen": 0, "fee_fen": 700}
    known = [Limit("a", ChargeUnit.CALL, Fraction(5), "1", trial=False)]
    assert [fault.rule for fault in price_faults(prices, known)] == ["T16.await_ceiling"] * 2


def test_a_trial_comes_with_its_document() -> None:
    form = CeilingForm(
        product="car-parks", unit=ChargeUnit.CALL, max_yuan="1", decided_by="发改委", document_no="1 号",
        first_day=civil(), last_day=civil(9), trial=True,
    )  # fmt: skip
    assert [fault.rule for fault in ceiling_faults(form)] == ["ceiling.trial"]
    assert list(ceiling_faults(form.model_copy(update={"document_sha256": "0" * 64}))) == []


# ------------------------------------------------------------------ caps

_SPANS = st.lists(
    st.builds(Span, cap_fen=st.integers(0, 10**9), collected_fen=st.integers(-(10**6), 10**9)), max_size=8
)


@given(spans=_SPANS)
def test_nothing_collected_too_much_is_lost_or_counted_twice(spans: list[Span]) -> None:
    """The overdraft after each period is exactly what no later cap has paid for yet."""
    taken = carried(spans)
    assert taken[:1] in ([], [0])
    for index, (span, over) in enumerate(zip(spans, taken, strict=True)):
        left = left_fen(span.cap_fen, over, span.collected_fen)
        if index + 1 < len(spans):
            assert taken[index + 1] == max(0, -left)


@given(spans=_SPANS.filter(bool), more=st.integers(1, 10**9))
def test_collecting_more_never_leaves_more_later(spans: list[Span], more: int) -> None:
    first = Span(spans[0].cap_fen, spans[0].collected_fen + more)
    before, after = carried(spans), carried([first, *spans[1:]])
    assert all(then >= now for now, then in zip(before, after, strict=True))


@given(cap=st.integers(0, 10**12), over=st.integers(0, 10**12), got=st.integers(-(10**12), 10**12))
def test_a_step_is_exact(cap: int, over: int, got: int) -> None:
    step = step_of(cap, over, got)
    assert (step is CapStep.STOPPED) is (left_fen(cap, over, got) <= 0)
    if step is not CapStep.STOPPED:
        assert (step is CapStep.WARNED) is (Fraction(got) >= Fraction(cap - over) * Fraction(8, 10))
