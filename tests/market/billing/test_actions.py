"""Two finance people, one transfer, one booking: on both databases, also when two click at once."""

import threading
from datetime import timedelta

import pytest
from sqlmodel import select

from market.billing import actions, books, queries
from market.billing.ledger import AccountKind, Posting, Transaction, clearing, prepaid, received, suspense
from market.billing.problems import (
    AmountDiffers,
    BankReferenceUsed,
    LedgerConflict,
    NotEnough,
    SecondPersonNeeded,
)
from market.billing.reconcile import differences
from market.billing.rules import PaymentState, Purpose, RailKind, SuspenseReason, SuspenseState
from market.billing.tables import LedgerPosting, PaymentRequest
from market.identity.problems import Forbidden, OwnDecision
from market.identity.rules import Actor, Role
from storage.journal import Entry
from storage.kernel import clock
from storage.kernel.problem import Conflict, Invalid, NotFound, Problem, WrongState
from storage.unit import Store


def ask(store: Store, amount_fen: int = 50_000, order: str = "ord_1", **more: object) -> str:
    with store.unit("usr_buyer", "pty_buyer") as unit:
        return actions.request_payment(
            unit,
            order_id=order,
            payer_id="pty_buyer",
            payee_id="pty_provider",
            amount_fen=amount_fen,
            purpose=Purpose.PREPAY,
            **more,  # type: ignore[arg-type]
        ).id


def report(
    store: Store, actor: Actor, payment: str, amount_fen: int = 50_000, bank_reference: str = "ICBC 2026-1"
) -> None:
    with store.unit(actor.id, actor.org) as unit:
        actions.report_received(unit, actor, payment, amount_fen=amount_fen, bank_reference=bank_reference)


def confirm(store: Store, actor: Actor, payment: str) -> None:
    with store.unit(actor.id, actor.org) as unit:
        actions.confirm_payment(unit, actor, payment)


def stands(store: Store, payment: str) -> PaymentState:
    with store.view() as view:
        row = view.session.get(PaymentRequest, payment)
        assert row is not None
        return row.state


def no_differences(store: Store) -> bool:
    with store.view() as view:
        return differences(view) == []


def test_a_transfer_seen_by_two_people_becomes_prepaid_money(
    store: Store, alice: Actor, bob: Actor, buyer: Actor
) -> None:
    payment = ask(store)
    report(store, alice, payment)
    confirm(store, bob, payment)
    with store.view() as view:
        assert queries.balance(view, buyer, "pty_buyer") == queries.Balance(50_000, 0, 0)
        assert books.balance_of(view, clearing("bank_transfer")) == -50_000
        row = queries.payment(view, buyer, payment)
        assert (row.state, row.received_by, row.confirmed_by) == ("confirmed", alice.id, bob.id)
        entry = view.session.exec(select(Entry).where(Entry.kind == "payment.confirmed")).one()
        assert entry.subject == f"payment:{payment}"
        assert (entry.data["order"], entry.data["amount_fen"]) == ("ord_1", 50_000)
    assert no_differences(store)


def test_nobody_confirms_what_they_reported(store: Store, alice: Actor) -> None:
    payment = ask(store)
    report(store, alice, payment)
    with pytest.raises(SecondPersonNeeded):
        confirm(store, alice, payment)
    assert stands(store, payment) is PaymentState.RECEIVED


def test_the_payers_own_finance_person_decides_nothing(store: Store, alice: Actor, bob: Actor) -> None:
    payment = ask(store)
    own = Actor("usr_own", "pty_buyer", frozenset({Role.FINANCE}))
    with pytest.raises(OwnDecision):
        report(store, own, payment)
    report(store, alice, payment)
    with pytest.raises(OwnDecision):
        confirm(store, own, payment)


def test_a_buyer_may_not_touch_payments(store: Store, buyer: Actor) -> None:
    payment = ask(store)
    with pytest.raises(Forbidden):
        report(store, buyer, payment)
    with pytest.raises(Forbidden):
        confirm(store, buyer, payment)


def test_the_second_click_of_two_is_told(store: Store, alice: Actor, bob: Actor) -> None:
    carol = Actor("usr_carol", "pty_market", frozenset({Role.FINANCE}))
    payment = ask(store)
    report(store, alice, payment)
    outcomes: list[object] = []
    ready = threading.Barrier(2)

    def click(actor: Actor) -> None:
        ready.wait()
        try:
            confirm(store, actor, payment)
            outcomes.append("confirmed")
        except Problem as problem:
            outcomes.append(problem)

    threads = [threading.Thread(target=click, args=(actor,)) for actor in (bob, carol)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (told,) = [outcome for outcome in outcomes if outcome != "confirmed"]
    assert outcomes.count("confirmed") == 1
    assert isinstance(told, WrongState)
    assert told.members["state"] == "confirmed"
    with store.view() as view:
        assert books.balance_of(view, prepaid("pty_buyer")) == 50_000
        assert len(view.session.exec(select(LedgerPosting)).all()) == 1


def test_killed_before_the_commit_and_confirmed_again_posts_once(
    store: Store, alice: Actor, bob: Actor
) -> None:
    payment = ask(store)
    report(store, alice, payment)
    with pytest.raises(KeyboardInterrupt), store.unit(bob.id, bob.org) as unit:
        actions.confirm_payment(unit, bob, payment)
        raise KeyboardInterrupt
    assert stands(store, payment) is PaymentState.RECEIVED
    confirm(store, bob, payment)
    with pytest.raises(WrongState):
        confirm(store, bob, payment)
    with store.view() as view:
        assert books.balance_of(view, prepaid("pty_buyer")) == 50_000
    assert no_differences(store)


def test_the_same_transaction_twice_is_once_and_another_one_is_refused(store: Store) -> None:
    booking = received("bank_transfer", "B1", prepaid("pty_buyer"), 7)
    for first in (True, False):
        with store.unit("system:test") as unit:
            unit.record("thing.made", "thing:1")
            assert books.post(unit, booking, subject="thing:1") is first
    other = received("bank_transfer", "B1", prepaid("pty_buyer"), 8)
    with pytest.raises(LedgerConflict), store.unit("system:test") as unit:
        books.post(unit, other, subject="thing:1")
    with store.view() as view:
        assert books.balance_of(view, prepaid("pty_buyer")) == 7
        assert books.load(view, booking.id) == booking


def test_prepaid_money_cannot_be_spent_twice(store: Store) -> None:
    spend = Transaction("t", (Posting(prepaid("pty_buyer"), clearing("bank_transfer"), 1),))
    with pytest.raises(NotEnough), store.unit("system:test") as unit:
        books.post(unit, spend, subject="thing:1")


def test_rival_postings_in_any_order_of_accounts_all_arrive(store: Store) -> None:
    def work(mine: int) -> None:
        for n in range(10):
            accounts = [clearing("a"), clearing("b")][:: 1 if mine % 2 else -1]
            with store.unit("system:test") as unit:
                unit.record("thing.made", "thing:1")
                booking = Transaction(f"t:{mine}:{n}", (Posting(accounts[0], accounts[1], 1),))
                books.post(unit, booking, subject="thing:1")

    threads = [threading.Thread(target=work, args=(mine,)) for mine in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.view() as view:
        assert len(view.session.exec(select(LedgerPosting)).all()) == 40
        assert books.balance_of(view, clearing("a")) == 0
        assert [d for d in differences(view) if d.check.startswith(("ledger", "balance"))] == []


@pytest.mark.parametrize("amount", [49_999, 50_001])
def test_another_amount_is_not_the_payment(store: Store, alice: Actor, amount: int) -> None:
    payment = ask(store)
    with pytest.raises(AmountDiffers):
        report(store, alice, payment, amount)
    with store.unit(alice.id, alice.org) as unit:
        item = actions.book_suspense(unit, alice, amount_fen=amount, bank_reference="B-77", payment=payment)
    assert item.reason is SuspenseReason.AMOUNT
    assert stands(store, payment) is PaymentState.AWAITING
    with store.view() as view:
        assert books.balance_of(view, suspense("bank_transfer")) == amount
    assert no_differences(store)


@pytest.mark.parametrize("amount", [0, -5, 1.5, True, "50000"])
def test_money_is_whole_fen_above_zero(store: Store, alice: Actor, amount: int) -> None:
    payment = ask(store)
    with pytest.raises(Invalid):
        ask(store, amount, order="ord_2")
    with pytest.raises(Invalid):
        report(store, alice, payment, amount)


def test_one_transfer_is_booked_once(store: Store, alice: Actor, bob: Actor) -> None:
    first, second = ask(store), ask(store, order="ord_2")
    report(store, alice, first, bank_reference="icbc-9")
    with pytest.raises(BankReferenceUsed):
        report(store, bob, second, bank_reference=" ICBC-9 ")
    confirm(store, bob, first)
    with pytest.raises(BankReferenceUsed), store.unit(alice.id, alice.org) as unit:
        actions.book_suspense(unit, alice, amount_fen=1, bank_reference="ICBC-9")


def test_the_same_transfer_reported_twice_in_one_instant_is_booked_once(
    store: Store, alice: Actor, bob: Actor
) -> None:
    payments = [ask(store), ask(store, order="ord_2")]
    outcomes: list[str] = []
    ready = threading.Barrier(2)

    def click(actor: Actor, payment: str) -> None:
        ready.wait()
        try:
            report(store, actor, payment)
            outcomes.append("reported")
        except BankReferenceUsed:
            outcomes.append("told")

    threads = [threading.Thread(target=click, args=pair) for pair in zip((alice, bob), payments, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["reported", "told"]


def test_a_wrong_report_goes_back_and_the_transfer_is_free_again(
    store: Store, alice: Actor, bob: Actor
) -> None:
    first, second = ask(store), ask(store, order="ord_2")
    report(store, alice, first)
    with store.unit(bob.id, bob.org) as unit:
        actions.send_back_payment(unit, bob, first, reason="流水属于另一笔订单")
    report(store, alice, second)
    confirm(store, bob, second)
    assert (stands(store, first), stands(store, second)) == ("awaiting", "confirmed")


def test_asked_again_while_open_it_is_the_same_request(store: Store) -> None:
    payment = ask(store)
    with pytest.raises(Conflict):
        ask(store, 60_000)
    with store.unit("usr_buyer") as unit:
        again = actions.request_payment(
            unit,
            order_id="ord_1",
            payer_id="pty_buyer",
            payee_id="pty_provider",
            amount_fen=50_000,
            purpose=Purpose.PREPAY,
        )
        assert again.id == payment


def test_a_cancelled_order_takes_no_money_and_late_money_is_held(
    store: Store, alice: Actor, bob: Actor
) -> None:
    payment = ask(store)
    with store.unit("system:test") as unit:
        actions.cancel_order_payments(unit, "ord_1", reason="买方撤回")
    with pytest.raises(WrongState):
        report(store, alice, payment)
    with store.unit(alice.id, alice.org) as unit:
        item = actions.book_suspense(
            unit, alice, amount_fen=50_000, bank_reference="BANK-9", payment=payment
        ).id
    with pytest.raises(SecondPersonNeeded), store.unit(alice.id, alice.org) as unit:
        actions.return_suspense(unit, alice, item, reason="已退款")
    with store.unit(bob.id, bob.org) as unit:
        done = actions.return_suspense(unit, bob, item, reason="已退款")
        assert (done.reason, done.state) == (SuspenseReason.CLOSED, SuspenseState.RETURNED)
    with pytest.raises(WrongState), store.unit(bob.id, bob.org) as unit:
        actions.return_suspense(unit, bob, item, reason="再退一次")
    with store.view() as view:
        assert books.balance_of(view, suspense("bank_transfer")) == 0
        assert books.balance_of(view, clearing("bank_transfer")) == 0
    assert no_differences(store)


def test_money_that_fits_is_not_put_aside(store: Store, alice: Actor) -> None:
    payment = ask(store)
    with pytest.raises(WrongState), store.unit(alice.id, alice.org) as unit:
        actions.book_suspense(unit, alice, amount_fen=50_000, bank_reference="BANK-9", payment=payment)


def test_an_order_with_reported_money_is_not_cancelled_away(store: Store, alice: Actor) -> None:
    payment = ask(store)
    report(store, alice, payment)
    with pytest.raises(WrongState), store.unit("system:test") as unit:
        actions.cancel_order_payments(unit, "ord_1", reason="买方撤回")
    assert stands(store, payment) is PaymentState.RECEIVED


def test_requests_expire_when_their_time_is_up(store: Store) -> None:
    soon = clock.now() + timedelta(days=3)
    timed, open_ended = ask(store, expires_at=soon), ask(store, order="ord_2")
    for at, expired in ((soon - timedelta(seconds=1), []), (soon, [timed]), (soon, [])):
        with store.unit("system:clock") as unit:
            assert [row.id for row in actions.expire_payments(unit, at=at)] == expired
    assert (stands(store, timed), stands(store, open_ended)) == ("expired", "awaiting")


def test_another_organization_learns_nothing(store: Store, rival: Actor, buyer: Actor, alice: Actor) -> None:
    payment = ask(store)
    with store.view() as view:
        with pytest.raises(NotFound):
            queries.payment(view, rival, payment)
        with pytest.raises(NotFound):
            queries.balance(view, rival, "pty_buyer")
        now = clock.now()
        with pytest.raises(NotFound):
            queries.statement(
                view, rival, "pty_buyer", AccountKind.PREPAID, since=now, until=now + timedelta(days=1)
            )
        with pytest.raises(Forbidden):
            queries.payments_queue(view, buyer)
        assert queries.own_payments(view, rival) == []
        assert queries.payments_of_order(view, rival, "ord_1") == []
        assert [row.id for row in queries.own_payments(view, buyer)] == [payment]
        assert [row.id for row in queries.payments_queue(view, alice)] == [payment]
        reference = queries.payment(view, buyer, payment).reference
        assert queries.payment_by_reference(view, alice, reference.replace("-", " ")).id == payment
        assert queries.payment(view, alice, payment).rail is RailKind.BANK_TRANSFER


def test_a_statement_runs_from_opening_to_closing(
    store: Store, alice: Actor, bob: Actor, buyer: Actor
) -> None:
    start = clock.now()
    for n, day in enumerate((0, 1, 2)):
        with clock.held(start + timedelta(days=day)):
            payment = ask(store, 1000 * (n + 1), order=f"ord_{n}")
            report(store, alice, payment, 1000 * (n + 1), f"BANK-{n}")
            confirm(store, bob, payment)
    with store.view() as view:
        said = queries.statement(
            view,
            buyer,
            "pty_buyer",
            AccountKind.PREPAID,
            since=start + timedelta(days=1),
            until=start + timedelta(days=2),
        )
    assert (said.opening_fen, said.closing_fen) == (1000, 3000)
    assert [(line.amount_fen, line.balance_fen) for line in said.lines] == [(2000, 3000)]
