"""Late use stands on lines of its own: nothing is lost by it, and no line is rounded more than once."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from market.billing.rules import LineKind, PricedLine, Tariff, UsageTotals, price_lines, price_months

PERIOD = "2026-11"
MONTHS = ("2026-09", "2026-10", PERIOD)
PRICED = {"calls": LineKind.CALL, "rows": LineKind.ROW, "downloads": LineKind.DOWNLOAD}

counts = st.integers(0, 10**6)
events = st.lists(
    st.tuples(
        st.sampled_from(MONTHS),
        st.builds(UsageTotals, calls=counts, rows=counts, downloads=counts, bytes=counts),
    ),
    max_size=12,
)
whole = st.integers(0, 500).map(Fraction)
parts = st.fractions(0, 50, max_denominator=1000)


def tariffs(price: st.SearchStrategy[Fraction]) -> st.SearchStrategy[Tariff]:
    return st.builds(Tariff, price, price, price, whole)


def summed(usages: Sequence[UsageTotals]) -> UsageTotals:
    return UsageTotals(
        *(sum(getattr(each, name) for each in usages) for name in ("calls", "rows", "downloads", "bytes"))
    )


def billed(happened: Sequence[tuple[str, UsageTotals]], tariff: Tariff) -> list[PricedLine]:
    months = {
        month: summed([use for at, use in happened if at == month]) for month in {at for at, _ in happened}
    }
    return price_months(months, PERIOD, lambda _month: tariff, "root")


@given(happened=events, tariff=tariffs(parts))
def test_lines_hold_what_the_events_hold(happened: list[tuple[str, UsageTotals]], tariff: Tariff) -> None:
    lines = billed(happened, tariff)
    places = [(line.kind, line.period) for line in lines]
    assert len(places) == len(set(places))  # one line for each month and kind, so one rounding
    assert {line.period for line in lines} <= {None, *MONTHS[:-1]}  # its own month goes without saying
    quantities = Counter[LineKind]()
    for line in lines:
        quantities[line.kind] += line.quantity
        assert abs(line.gross_fen - line.quantity * line.unit_price) <= Fraction(1, 2)
        assert (line.merkle_root, line.tariff_id) == (
            "root" if line.kind is not LineKind.FEE else None,
            tariff.id,
        )
    used = summed([use for _, use in happened])
    for name, kind in PRICED.items():
        assert quantities[kind] == (getattr(used, name) if getattr(tariff, f"{kind}_fen") else 0)
    assert quantities[LineKind.FEE] == bool(tariff.fee_fen)  # due once, and not again for a late month
    exact = used.calls * tariff.call_fen + used.rows * tariff.row_fen + used.downloads * tariff.download_fen
    owed = sum(line.gross_fen for line in lines)
    assert abs(owed - exact - tariff.fee_fen) <= Fraction(len(lines), 2)


@given(happened=events, tariff=tariffs(whole))
def test_at_prices_in_whole_fen_the_split_changes_nothing(
    happened: list[tuple[str, UsageTotals]], tariff: Tariff
) -> None:
    together = price_lines(summed([use for _, use in happened]), tariff, "root")
    assert sum(line.gross_fen for line in billed(happened, tariff)) == sum(
        line.gross_fen for line in together
    )


@given(happened=events, tariff=tariffs(parts))
def test_use_in_its_own_month_is_billed_as_ever(
    happened: list[tuple[str, UsageTotals]], tariff: Tariff
) -> None:
    in_time = [(PERIOD, use) for _, use in happened]
    assert billed(in_time, tariff) == price_lines(summed([use for _, use in in_time]), tariff, "root")
    late = [replace(line, period=None) for line in billed([(MONTHS[0], use) for _, use in happened], tariff)]
    assert late == billed(in_time, tariff)  # the same prices, the fee once
