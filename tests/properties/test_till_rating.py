"""I8: rating is order-, batch- and split-invariant, monotone, never negative; deltas sum to the total."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.gate import Charge, GateState, meterable
from metering.rating import (
    Ladder,
    LineKind,
    Measure,
    Quantities,
    Step,
    Tariff,
    UnitPrice,
    Usage,
    delta_fen,
    quantities,
    rate,
    share_revenue,
    total_fen,
)
from metering.words import Kind
from storage.kernel import clock
from storage.kernel.problem import Invalid

counts = st.integers(0, 10**7)
prices = st.tuples(st.integers(0, 10**5), st.integers(1, 1000))


@st.composite
def tariffs(draw: st.DrawFn) -> Tariff:
    found = []
    for measure in draw(st.sets(st.sampled_from(list(Measure)))):
        bounds = sorted(draw(st.sets(st.integers(1, 10**6), max_size=4)))
        steps = [Step(bound, *draw(prices)) for bound in [*bounds, None]]
        ladder = draw(st.sampled_from(Ladder))
        found.append(UnitPrice(measure, tuple(steps), draw(st.integers(0, 1000)), ladder))
    return Tariff(tuple(found), draw(st.integers(0, 10**6)), draw(st.integers(0, 10**6)))


usages = st.builds(Quantities, counts, counts, counts, st.fractions(0, 3, max_denominator=31))


@given(tariff=tariffs(), parts=st.lists(usages, min_size=1, max_size=6), draw=st.data())
def test_order_batches_and_splits_do_not_matter(
    tariff: Tariff, parts: list[Quantities], draw: st.DataObject
) -> None:
    whole = sum(parts, Quantities())
    shuffled = draw.draw(st.permutations(parts))
    assert rate(sum(shuffled, Quantities()), tariff) == rate(whole, tariff)
    before, deltas = Quantities(), 0
    for part in parts:
        step = delta_fen(before, part, tariff)
        assert step >= 0  # monotone
        deltas += step
        before += part
    assert deltas + total_fen(rate(Quantities(), tariff)) == total_fen(rate(whole, tariff))


@given(tariff=tariffs(), usage=usages)
def test_no_line_is_negative_and_the_minimum_is_reached(tariff: Tariff, usage: Quantities) -> None:
    lines = rate(usage, tariff)
    assert all(line.amount_fen >= 0 and line.quantity > 0 for line in lines)
    assert total_fen(lines) >= tariff.minimum_fen


@given(tariff=tariffs())
def test_a_tariff_survives_its_document(tariff: Tariff) -> None:
    assert Tariff.of(tariff.document()) == tariff


def test_volume_prices_stand_still_until_the_cheaper_step_has_caught_up() -> None:
    price = UnitPrice(Measure.ROW, (Step(100, 10), Step(None, 5)), ladder=Ladder.VOLUME)
    # 100 rows at 10 fen are 1000; 101 at 5 would be 505, so nothing is added up to 200
    assert [price.cost(n) for n in (1, 100, 101, 200, 201, 300)] == [10, 1000, 1000, 1000, 1005, 1500]


@given(tariff=tariffs(), parts=st.lists(st.integers(0, 2000), max_size=30))
def test_the_gate_counts_by_steps_what_the_whole_costs(tariff: Tariff, parts: list[int]) -> None:
    """However the use is cut into calls, the till charges what one bill over all of it says."""
    try:
        counted = meterable(tariff)
    except Invalid:
        assert len(tariff.prices) > 1
        return
    gate = GateState(
        "lic", "prd", "commercial", True, None, False, False, None, clock.now(), None, None, None, None, None, None, None,
        0, 0, 0, 0, 0, 9, 9, 9, False, None, [], counted,
    )  # fmt: skip
    for rows in parts:
        _calls, amount = gate.admit(Charge("lic", "prd", "c", "", "", Kind.ROWS, "k", b"", 1, rows, 5))
        assert amount >= 0
    lines = rate(Quantities(len(parts), sum(parts)), Tariff(tariff.prices))
    assert total_fen(lines) == gate.spent_fen


@given(fen=st.integers(0, 10**6), free=st.integers(0, 500), used=st.integers(0, 10**6))
def test_a_ladder_of_equal_steps_is_one_price(fen: int, free: int, used: int) -> None:
    ladder = UnitPrice(Measure.ROW, (Step(10, fen), Step(1000, fen), Step(None, fen)), free)
    assert ladder.cost(used) == max(0, used - free) * fen


@given(
    events=st.lists(st.tuples(st.sampled_from(list(Kind)), st.integers(0, 50)), max_size=30),
    call_fen=st.integers(0, 9),
    row_fen=st.integers(0, 9),
    download_fen=st.integers(0, 900),
)
def test_the_till_and_the_bill_agree_to_the_fen(
    events: list[tuple[Kind, int]], call_fen: int, row_fen: int, download_fen: int
) -> None:
    gate = GateState(
        "lic", "prd", "commercial", True, None, False, False, None, clock.now(), None, None, None, None, None, None, None,
        0, 0, 0, 0, 0, call_fen, row_fen, download_fen, False, None, [],
    )  # fmt: skip
    used: dict[Kind, Usage] = {}
    for kind, rows in events:
        charge = Charge("lic", "prd", "c", "", "", kind, "k", b"", 1, rows, 5, int(kind is Kind.DOWNLOAD))
        calls, amount = gate.admit(charge)
        used[kind] = used.get(kind, Usage()) + Usage(1, calls, rows, 5, amount)
    tariff = Tariff.flat(call_fen=call_fen, row_fen=row_fen, download_fen=download_fen)
    assert total_fen(rate(quantities(used, tariff), tariff)) == gate.spent_fen


def test_graduated_free_and_prorated_by_hand() -> None:
    tariff = Tariff(
        (UnitPrice(Measure.CALL, (Step(100, 10), Step(None, 1, 2)), free=50),), fee_fen=9_999, minimum_fen=0
    )
    lines = rate(Quantities(calls=201, months=Fraction(1, 2)), tariff)
    # 201 calls, 50 free, 100 at 10 fen, 51 at half a fen = 1025.5 -> half even 1026; 4999.5 -> 5000
    assert [(line.kind, line.quantity, line.amount_fen) for line in lines] == [
        (LineKind.CALL, 201, 1026),
        (LineKind.SUBSCRIPTION, 1, 5000),
    ]
    assert tariff.id == Tariff(tariff.prices, 9_999, 0).id != Tariff(tariff.prices, 9_998, 0).id


@pytest.mark.parametrize(
    "steps",
    [
        (),
        (Step(10, 1),),
        (Step(10, 1), Step(5, 1), Step(None, 1)),
        (Step(None, -1),),
        (Step(None, 1), Step(None, 1)),
    ],
)
def test_a_ladder_that_makes_no_sense_is_refused(steps: tuple[Step, ...]) -> None:
    with pytest.raises(Invalid):
        UnitPrice(Measure.CALL, steps)


@given(amount=st.integers(0, 10**9), shares=st.lists(st.integers(0, 99), min_size=1, max_size=5))
def test_shares_lose_nothing(amount: int, shares: list[int]) -> None:
    if sum(shares):
        named = {str(number): share for number, share in enumerate(shares)}
        assert sum(share_revenue(amount, named).values()) == amount
