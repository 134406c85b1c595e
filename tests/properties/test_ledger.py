"""The ledger as values: sums are zero, balances are the fold, nothing is lost when money is shared."""

import contextlib
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.billing import ledger
from market.billing.ledger import Account, AccountKind, Posting, Shares, Transaction, fold
from market.billing.rules import (
    LineKind,
    Tariff,
    UsageTotals,
    new_reference,
    price_lines,
    read_reference,
    shares,
    tax_lines,
    total,
)
from storage.kernel.problem import Invalid

accounts = st.sampled_from(
    [ledger.PLATFORM_FEE, ledger.TAX, *(f("a") for f in (ledger.prepaid, ledger.receivable, ledger.payable))]
)
amounts = st.integers(1, 10**12)
postings = st.builds(
    lambda pair, fen: Posting(pair[0], pair[1], fen),
    st.tuples(accounts, accounts).filter(lambda pair: pair[0] != pair[1]),
    amounts,
)
parts = st.builds(Shares, *(st.integers(0, 10**9) for _ in range(3))).filter(
    lambda s: s.fee_fen + s.tax_fen + s.provider_fen > 0
)
prices = st.fractions(min_value=0, max_value=10**6, max_denominator=1000)
counts = st.integers(0, 10**9)
usages = st.builds(UsageTotals, counts, counts, counts, counts)
tariffs = st.builds(Tariff, prices, prices, prices, prices)


@given(st.lists(postings, min_size=1, max_size=20))
def test_a_transaction_sums_to_zero_and_its_order_does_not_matter(moves: list[Posting]) -> None:
    assert sum(Transaction("t", tuple(moves)).changes().values()) == 0
    assert fold(moves) == fold(reversed(moves))


@given(st.lists(postings, min_size=1, max_size=20), st.integers(0, 20))
def test_balances_are_the_fold_however_the_postings_are_cut(moves: list[Posting], cut: int) -> None:
    first, second, whole = fold(moves[:cut]), fold(moves[cut:]), fold(moves)
    assert {a: first.get(a, 0) + second.get(a, 0) for a in whole} == whole


@given(postings)
def test_going_back_undoes(move: Posting) -> None:
    assert set(fold([move, move.reversed()]).values()) == {0}


@pytest.mark.parametrize("amount", [0, -1, 1.0, True, 10**15 + 1, "1"])
def test_an_amount_is_a_positive_whole_number_of_fen(amount: int) -> None:
    with pytest.raises(ValueError):
        Posting(ledger.TAX, ledger.PLATFORM_FEE, amount)


@given(parts, st.data())
def test_an_invoice_gives_everybody_their_share_from_prepaid_and_receivable(
    given_shares: Shares, data: st.DataObject
) -> None:
    gross = given_shares.fee_fen + given_shares.tax_fen + given_shares.provider_fen
    drawn = data.draw(st.integers(0, gross))
    provider = ledger.payable("seller")
    booking = ledger.invoiced("FP-1", "buyer", provider, drawn, given_shares)
    changes = booking.changes()
    assert changes.get(ledger.prepaid("buyer"), 0) == -drawn
    assert changes.get(ledger.receivable("buyer"), 0) == drawn - gross
    assert changes.get(ledger.TAX, 0) == given_shares.tax_fen
    assert changes.get(ledger.PLATFORM_FEE, 0) == given_shares.fee_fen
    assert changes.get(provider, 0) == given_shares.provider_fen
    paid_later = data.draw(st.integers(0, gross - drawn))
    open_fen = gross - drawn - paid_later
    back = ledger.credited("HZ-1", booking, "buyer", open_fen).changes()
    assert back[provider] == -given_shares.provider_fen if given_shares.provider_fen else provider not in back
    assert back.get(ledger.receivable("buyer"), 0) == open_fen
    assert back.get(ledger.prepaid("buyer"), 0) == gross - open_fen


@given(usages, tariffs, st.integers(0, 10_000), st.integers(0, 10_000))
def test_lines_sum_to_the_total_and_the_shares_to_the_lines(
    usage: UsageTotals, tariff: Tariff, rate_bp: int, fee_bp: int
) -> None:
    lines = tax_lines(price_lines(usage, tariff, "root"), rate_bp)
    summed = total(lines)
    assert all(x.net_fen + x.tax_fen == x.line.gross_fen and x.tax_fen >= 0 for x in lines)
    assert summed.gross_fen == summed.net_fen + summed.tax_fen
    cut = shares(summed, fee_bp)
    assert cut.fee_fen + cut.tax_fen + cut.provider_fen == summed.gross_fen
    assert min(cut.fee_fen, cut.tax_fen, cut.provider_fen) >= 0
    exact = (
        usage.calls * tariff.call_fen
        + usage.rows * tariff.row_fen
        + usage.downloads * tariff.download_fen
        + tariff.fee_fen
    )
    assert abs(summed.gross_fen - exact) <= Fraction(len(lines), 2)


def test_price_lines_name_what_was_counted_and_skip_what_is_free() -> None:
    tariff = Tariff(call_fen=Fraction(12), row_fen=Fraction(3, 1000))
    lines = price_lines(UsageTotals(calls=10, rows=1500, downloads=7), tariff, "r00t")
    assert [(x.kind, x.quantity, x.gross_fen, x.merkle_root) for x in lines] == [
        (LineKind.CALL, 10, 120, "r00t"),
        (LineKind.ROW, 1500, 4, "r00t"),  # 4.5 fen, half to even
    ]
    assert tariff.id != Tariff(call_fen=Fraction(12)).id
    assert price_lines(UsageTotals(calls=10**9), Tariff()) == []


@given(st.integers(0, 10), st.sampled_from("23456789ABCDEFGHJKMNPQRSTUVWXYZ"))
def test_a_mistyped_reference_is_noticed(place: int, char: str) -> None:
    code = new_reference()
    plain = code.replace("-", "")
    assert read_reference(f" {plain[:4].lower()} {plain[4:]} ") == code
    wrong = plain[:place] + char + plain[place + 1 :]
    if wrong != plain:
        with pytest.raises(Invalid):
            read_reference(wrong)


@given(st.text(max_size=40))
def test_any_text_is_a_reference_or_is_refused(text: str) -> None:
    with contextlib.suppress(Invalid):
        assert read_reference(text).startswith("SG")


@pytest.mark.parametrize("kind", list(AccountKind))
def test_accounts_are_read_back_as_written(kind: AccountKind) -> None:
    account = Account(kind, "" if kind in ledger.SINGLE else "pty_1")
    assert Account.parse(str(account)) == account
    with pytest.raises(ValueError):
        Account(kind, "pty_1" if kind in ledger.SINGLE else "")


def test_an_unknown_account_is_refused() -> None:
    with pytest.raises(ValueError, match="no account"):
        Account.parse("pocket:me")
