"""Money in random order: it sums to zero, and prepaid is paid in less spent, refunded and set aside; never negative."""

import contextlib
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from uuid import uuid4

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlmodel import select

from market.billing import actions, books, ledger, refunding
from market.billing.problems import NothingToInvoice
from market.billing.reconcile import differences
from market.billing.rules import InvoiceKind, LineKind, Parties, PricedLine, Purpose
from market.billing.settings import BillingSettings
from market.billing.tables import AccountBalance, Refund
from market.identity.rules import Actor, OrgKind, Role
from storage.kernel.problem import Problem
from storage.unit import Store, Unit

ALICE, BOB = (
    Actor(name, "pty_market", frozenset({Role.FINANCE}), OrgKind.MARKET_OPERATOR)
    for name in ("usr_alice", "usr_bob")
)
VERBS = (
    "pay", "invoice", "ask", "withdraw", "refuse", "send", "send_back", "settle", "settle_self",
    "book", "return",
)  # fmt: skip
STEPS = st.lists(
    st.tuples(st.sampled_from(VERBS), st.integers(1, 3000), st.integers(0, 3)), min_size=1, max_size=25
)


class Book:
    """What one buyer's account should stand at, kept beside the real verbs."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.buyer = Actor("usr_b", f"pty_{uuid4().hex[:12]}", frozenset({Role.BUYER}), OrgKind.ENTERPRISE)
        self.sums: Counter[str] = Counter()
        self.refunds: list[str] = []
        self.items: list[str] = []

    @property
    def org(self) -> str:
        return self.buyer.own_org

    def do(self, verb: str, fen: int, place: int) -> None:
        act: Callable[[int, int], None] = getattr(self, f"_{verb}")
        before = self.stands()
        try:
            act(fen, place)
        except (Problem, IndexError):  # refused: nothing moved
            assert self.stands() == before, verb

    def stands(self) -> tuple[int, int]:
        """Prepaid and set aside (fen)."""
        with self.store.view() as view:
            return (
                books.balance_of(view, ledger.prepaid(self.org)),
                books.balance_of(view, ledger.hold(self.org)),
            )

    def _pay(self, fen: int, _place: int) -> None:
        with self.store.unit("system:test") as unit:
            row = actions.request_payment(
                unit, payer_id=self.org, payee_id="pty_p", amount_fen=fen, purpose=Purpose.PREPAY,
                order_id=f"ord_{uuid4().hex}",
            )  # fmt: skip
            actions.report_received(unit, ALICE, row.id, amount_fen=fen, bank_reference=f"B{uuid4().hex}")
        with self.store.unit("usr_bob") as unit:
            actions.confirm_payment(unit, BOB, row.id)
        self.sums["paid"] += fen

    def _invoice(self, fen: int, _place: int) -> None:
        before, _held = self.stands()
        blocks = [
            {"id": party, "name": "某企业", "id_number": "91370200MA3C00000X"}
            for party in (self.org, "pty_p")
        ]
        with self.store.unit("system:test") as unit, contextlib.suppress(NothingToInvoice):
            actions.issue_invoice(
                unit,
                kind=InvoiceKind.FEE,
                charge=f"fee:{uuid4().hex}",
                period="2026-11",
                parties=Parties(blocks[0], blocks[1], blocks[1]),
                lines=[PricedLine(LineKind.FEE, 1, Fraction(fen), fen, "t")],
                settings=BillingSettings(),
            )
        self.sums["spent"] += min(before, fen)  # the rest is owed, not drawn

    def _ask(self, fen: int, _place: int) -> None:
        license_id = f"lic_{uuid4().hex}"
        with self.store.unit("usr_b", self.org) as unit:
            row = refunding.open_refund(
                unit,
                self.buyer,
                license_id=license_id,
                order_id="ord_x",
                amount_fen=fen,
                bank_account="甲行 1",
            )
            again = refunding.open_refund(
                unit,
                self.buyer,
                license_id=license_id,
                order_id="ord_x",
                amount_fen=fen,
                bank_account="甲行 1",
            )
            assert again.id == row.id
        self.refunds.append(row.id)
        self.sums["held"] += fen

    def _move(self, place: int, act: Callable[[Unit, str], Refund]) -> int:
        with self.store.unit("usr_someone") as unit:
            moved: int = act(unit, self.refunds[place]).amount_fen
            return moved

    def _withdraw(self, _fen: int, place: int) -> None:
        self.sums["held"] -= self._move(place, lambda u, r: refunding.withdraw_refund(u, self.buyer, r))

    def _refuse(self, _fen: int, place: int) -> None:
        self.sums["held"] -= self._move(
            place, lambda u, r: refunding.refuse_refund(u, ALICE, r, reason="不予退款")
        )

    def _send(self, _fen: int, place: int) -> None:
        number = f"R{uuid4().hex}"
        self._move(place, lambda u, r: refunding.send_refund(u, ALICE, r, bank_reference=number))

    def _send_back(self, _fen: int, place: int) -> None:
        self._move(place, lambda u, r: refunding.send_back_refund(u, BOB, r, reason="查无此款"))

    def _settle(self, _fen: int, place: int) -> None:
        fen = self._move(place, lambda u, r: refunding.settle_refund(u, BOB, r))
        self.sums["held"] -= fen
        self.sums["refunded"] += fen

    def _settle_self(self, _fen: int, place: int) -> None:
        self._move(place, lambda u, r: refunding.settle_refund(u, ALICE, r))
        raise AssertionError("whoever sent it settled it")

    def _book(self, fen: int, _place: int) -> None:
        with self.store.unit("usr_alice") as unit:
            item = actions.book_suspense(unit, ALICE, amount_fen=fen, bank_reference=f"S{uuid4().hex}")
        self.items.append(item.id)

    def _return(self, _fen: int, place: int) -> None:
        with self.store.unit("usr_bob") as unit:
            actions.return_suspense(unit, BOB, self.items[place], reason="退回")

    def check(self) -> None:
        prepaid, held = self.stands()
        expected = self.sums["paid"] - self.sums["spent"] - self.sums["refunded"] - self.sums["held"]
        assert (prepaid, held) == (expected, self.sums["held"])
        assert min(prepaid, held) >= 0
        with self.store.view() as view:
            assert sum(view.session.exec(select(AccountBalance.balance_fen)).all()) == 0


@settings(max_examples=25)
@given(STEPS)
def test_money_in_any_order_keeps_its_sums(store: Store, steps: list[tuple[str, int, int]]) -> None:
    book = Book(store)
    for verb, fen, place in steps:
        book.do(verb, fen, place)
        book.check()
    with store.view() as view:
        assert differences(view) == []
