"""Paying over Stripe, with the real SDK over real HTTP: twice is once, late is held, forged is refused."""

import itertools
import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import stripe
from pydantic import SecretStr
from sqlmodel import select

from market.billing import actions, books, checkout, queries
from market.billing.ledger import clearing, prepaid, suspense
from market.billing.problems import BankReferenceUsed, RailUnavailable, WebhookRefused
from market.billing.rail_stripe import StripeRail
from market.billing.rail_transfer import TransferRail
from market.billing.rails import Due
from market.billing.reconcile import differences
from market.billing.rules import Purpose, SuspenseReason, SuspenseState, WebhookEffect
from market.billing.settings import StripeSettings
from market.billing.tables import LedgerTransaction, PaymentRequest, StripeCheckout, WebhookInbox
from market.identity.rules import Actor
from storage.kernel.problem import NotFound, WrongState
from storage.unit import SlowInsideUnit, Store
from tests.doubles.stripe_double import StripeDouble

BACK = "https://market.example/orders/ord_1"
DONE = "checkout.session.completed"


@pytest.fixture
def payment(store: Store) -> str:
    with store.unit("usr_buyer", "pty_buyer") as unit:
        return actions.request_payment(
            unit,
            order_id="ord_1",
            payer_id="pty_buyer",
            payee_id="pty_provider",
            amount_fen=12_345,
            purpose=Purpose.PREPAY,
        ).id


@pytest.fixture
def page(store: Store, rail: StripeRail, buyer: Actor, payment: str) -> str:
    way = checkout.open_checkout(store, rail, buyer, payment, back_to=BACK)
    assert way.checkout_id is not None
    return way.checkout_id


def cancel(store: Store, payment: str) -> None:
    with store.unit("system:test") as unit:
        actions.cancel_payment(unit, payment, reason="买方撤回")


def state(store: Store, payment: str) -> str:
    with store.view() as view:
        row = view.session.get(PaymentRequest, payment)
        assert row is not None
        return row.state


def money(store: Store) -> dict[str, int]:
    accounts = {
        "prepaid": prepaid("pty_buyer"),
        "suspense": suspense("stripe"),
        "clearing": clearing("stripe"),
    }
    with store.view() as view:
        assert differences(view) == []
        return {name: books.balance_of(view, account) for name, account in accounts.items()}


def test_a_checkout_asks_for_exactly_the_amount_in_fen(
    store: Store, rail: StripeRail, buyer: Actor, payment: str, stripe_double: StripeDouble
) -> None:
    way = checkout.open_checkout(store, rail, buyer, payment, back_to=BACK)
    session = stripe_double.sessions[way.checkout_id or ""]
    assert (session["amount_total"], session["currency"]) == (12_345, "cny")
    assert (session["metadata"]["payment"], way.url) == (payment, session["url"])
    again = checkout.open_checkout(store, rail, buyer, payment, back_to=BACK)
    assert again == way
    assert stripe_double.requests == [("/v1/checkout/sessions", f"checkout:{payment}:1")]


def test_killed_after_the_page_was_made_the_same_page_is_found_again(
    rail: StripeRail, stripe_double: StripeDouble
) -> None:
    due = Due("pay_1", 500, "SG23456789-X")
    assert rail.open(due, back_to=BACK) == rail.open(due, back_to=BACK)
    assert len(stripe_double.sessions) == 1
    assert rail.open(replace(due, attempt=2), back_to=BACK).checkout_id != "cs_test_000001"
    with pytest.raises(RailUnavailable):  # the key stands for these very parameters
        rail.open(replace(due, amount_fen=501), back_to=BACK)


def test_only_the_payer_opens_a_checkout(
    store: Store, rail: StripeRail, rival: Actor, alice: Actor, payment: str
) -> None:
    for stranger in (rival, alice):
        with pytest.raises(NotFound):
            checkout.open_checkout(store, rail, stranger, payment, back_to=BACK)


def test_paid_is_confirmed_and_any_repetition_changes_nothing(
    store: Store, rail: StripeRail, page: str, payment: str, stripe_double: StripeDouble
) -> None:
    raw, signature = stripe_double.message(DONE, stripe_double.pay(page))
    effects = [checkout.take_webhook(store, rail, raw, signature) for _ in range(3)]
    assert effects == [WebhookEffect.CONFIRMED] * 3  # the first answer is given again
    other = stripe_double.message(DONE, stripe_double.sessions[page])  # same money, another event
    assert checkout.take_webhook(store, rail, *other) is WebhookEffect.IGNORED
    assert state(store, payment) == "confirmed"
    assert money(store) == {"prepaid": 12_345, "suspense": 0, "clearing": -12_345}
    with store.view() as view:
        assert len(view.session.exec(select(WebhookInbox)).all()) == 2
        assert len(view.session.exec(select(LedgerTransaction)).all()) == 1


def test_the_same_message_in_four_hands_at_once_is_taken_once(
    store: Store, rail: StripeRail, page: str, stripe_double: StripeDouble
) -> None:
    raw, signature = stripe_double.message(DONE, stripe_double.pay(page))
    effects: list[WebhookEffect] = []
    ready = threading.Barrier(4)

    def deliver() -> None:
        ready.wait()
        effects.append(checkout.take_webhook(store, rail, raw, signature))

    threads = [threading.Thread(target=deliver) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert effects == [WebhookEffect.CONFIRMED] * 4
    assert money(store)["prepaid"] == 12_345


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_messages_in_any_order_end_the_same(
    store: Store, rail: StripeRail, page: str, stripe_double: StripeDouble, order: tuple[int, ...]
) -> None:
    pending = dict(stripe_double.sessions[page]) | {"status": "complete"}
    paid = dict(stripe_double.pay(page))
    messages = [
        stripe_double.message(DONE, pending),
        stripe_double.message("checkout.session.async_payment_succeeded", paid),
        stripe_double.message("checkout.session.expired", paid | {"status": "expired"}),
    ]
    for index in order:
        checkout.take_webhook(store, rail, *messages[index])
    assert money(store) == {"prepaid": 12_345, "suspense": 0, "clearing": -12_345}
    with store.view() as view:
        kept = view.session.get(StripeCheckout, page)
        assert kept is not None
        assert kept.state == "complete"


def forged(double: StripeDouble, raw: bytes) -> tuple[bytes, str]:
    return raw, double.sign(raw, secret="whsec_other")


def old(double: StripeDouble, raw: bytes) -> tuple[bytes, str]:
    return raw, double.sign(raw, at=int(time.time()) - 301)


def changed(double: StripeDouble, raw: bytes) -> tuple[bytes, str]:
    return raw.replace(b"12345", b"99999"), double.sign(raw)


def unsigned(_double: StripeDouble, raw: bytes) -> tuple[bytes, str]:
    return raw, ""


def not_json(double: StripeDouble, _raw: bytes) -> tuple[bytes, str]:
    return b"{", double.sign(b"{")


def not_an_event(double: StripeDouble, _raw: bytes) -> tuple[bytes, str]:
    body = json.dumps({"object": "event", "id": "evt_x", "type": DONE, "data": None}).encode()
    return body, double.sign(body)


def not_text(double: StripeDouble, _raw: bytes) -> tuple[bytes, str]:
    return b"\xff\xfe", double.sign(b"\xff\xfe")


Forger = Callable[[StripeDouble, bytes], tuple[bytes, str]]


@pytest.mark.parametrize("forge", [forged, old, changed, unsigned, not_json, not_an_event, not_text])
def test_a_message_that_is_not_genuine_and_fresh_is_refused(
    store: Store, rail: StripeRail, page: str, stripe_double: StripeDouble, forge: Forger
) -> None:
    raw, _signature = stripe_double.message(DONE, stripe_double.pay(page))
    assert b"12345" in raw
    with pytest.raises(WebhookRefused) as refusal:
        checkout.take_webhook(store, rail, *forge(stripe_double, raw))
    assert refusal.value.status == 400
    assert money(store) == {"prepaid": 0, "suspense": 0, "clearing": 0}
    with store.view() as view:
        assert view.session.exec(select(WebhookInbox)).all() == []


@pytest.mark.parametrize("amount", [12_344, 12_346, 1])
def test_another_amount_is_held_and_never_confirmed(
    store: Store,
    rail: StripeRail,
    page: str,
    stripe_double: StripeDouble,
    amount: int,
) -> None:
    payment = stripe_double.sessions[page]["client_reference_id"]
    message = stripe_double.message(DONE, stripe_double.pay(page, amount_total=amount))
    assert checkout.take_webhook(store, rail, *message) is WebhookEffect.SUSPENSE
    assert state(store, payment) == "awaiting"
    assert money(store) == {"prepaid": 0, "suspense": amount, "clearing": -amount}


def test_another_currency_is_not_booked_but_shown(
    store: Store, rail: StripeRail, page: str, stripe_double: StripeDouble
) -> None:
    message = stripe_double.message(DONE, stripe_double.pay(page, currency="usd"))
    assert checkout.take_webhook(store, rail, *message) is WebhookEffect.UNBOOKED
    with store.view() as view:
        assert [d.check for d in differences(view)] == ["webhook.unbooked"]


def test_late_money_for_a_cancelled_order_is_held_and_goes_back(
    store: Store, rail: StripeRail, page: str, alice: Actor, stripe_double: StripeDouble
) -> None:
    payment = stripe_double.sessions[page]["client_reference_id"]
    cancel(store, payment)
    session = stripe_double.pay(page)
    assert checkout.take_webhook(store, rail, *stripe_double.message(DONE, session)) == "suspense"
    assert state(store, payment) == "cancelled"
    assert money(store)["suspense"] == 12_345
    with store.view() as view:
        (item,) = queries.suspense_items(view, alice, state=SuspenseState.HELD)
    assert (item.reason, item.payment_id) == (SuspenseReason.CLOSED, payment)
    key = f"return:{item.id}"
    rail.refund(session["payment_intent"], amount_fen=12_345, key=key)  # then the process was killed
    checkout.refund_suspense(store, rail, alice, item.id, reason="已原路退回")
    with pytest.raises(WrongState):
        checkout.refund_suspense(store, rail, alice, item.id, reason="再退一次")
    assert len(stripe_double.refunds) == 1
    with pytest.raises(RailUnavailable):  # no more than was paid
        rail.refund(session["payment_intent"], amount_fen=1, key="more")
    assert money(store) == {"prepaid": 0, "suspense": 0, "clearing": 0}


def test_paid_on_two_pages_the_second_money_is_held(
    store: Store, rail: StripeRail, page: str, alice: Actor, stripe_double: StripeDouble
) -> None:
    payment = stripe_double.sessions[page]["client_reference_id"]
    second = rail.open(Due(payment, 12_345, "SG23456789-X", attempt=9), back_to=BACK).checkout_id
    assert second is not None
    for session in (page, second):  # the second page was never kept here: the metadata names the payment
        checkout.take_webhook(store, rail, *stripe_double.message(DONE, stripe_double.pay(session)))
    assert money(store) == {"prepaid": 12_345, "suspense": 12_345, "clearing": -24_690}
    with store.view() as view:
        (item,) = queries.suspense_items(view, alice, state=SuspenseState.HELD)
    checkout.refund_suspense(store, rail, alice, item.id, reason="重复支付")
    assert money(store) == {"prepaid": 12_345, "suspense": 0, "clearing": -12_345}
    assert [refund["amount"] for refund in stripe_double.refunds] == [12_345]


def test_paid_by_transfer_and_by_page_only_one_is_taken(
    store: Store,
    rail: StripeRail,
    page: str,
    alice: Actor,
    stripe_double: StripeDouble,
) -> None:
    payment = stripe_double.sessions[page]["client_reference_id"]
    with store.unit(alice.id, alice.org) as unit:
        actions.report_received(unit, alice, payment, amount_fen=12_345, bank_reference="BANK-1")
    message = stripe_double.message(DONE, stripe_double.pay(page))
    assert checkout.take_webhook(store, rail, *message) is WebhookEffect.SUSPENSE
    bob = replace(alice, id="usr_bob")
    with store.unit(bob.id, bob.org) as unit:
        actions.confirm_payment(unit, bob, payment)
    assert money(store) == {"prepaid": 12_345, "suspense": 12_345, "clearing": -12_345}
    with pytest.raises(BankReferenceUsed), store.unit(alice.id, alice.org) as unit:
        actions.book_suspense(unit, alice, amount_fen=5, bank_reference="BANK-1")


def test_strangers_money_and_other_messages_are_ignored(
    store: Store, rail: StripeRail, stripe_double: StripeDouble
) -> None:
    paid: dict[str, Any] = {
        "id": "cs_foreign",
        "payment_status": "paid",
        "amount_total": 5,
        "currency": "cny",
    }
    assert checkout.take_webhook(store, rail, *stripe_double.message(DONE, paid)) is WebhookEffect.IGNORED
    refund = {"id": "re_1", "object": "refund", "metadata": None}
    assert checkout.take_webhook(store, rail, *stripe_double.message("refund.created", refund)) == "ignored"
    lost = paid | {"id": "cs_lost", "metadata": {"payment": "pay_unknown"}}
    assert checkout.take_webhook(store, rail, *stripe_double.message(DONE, lost)) is WebhookEffect.SUSPENSE
    assert money(store)["suspense"] == 5


def test_open_pages_are_closed_when_the_payment_is_over(
    store: Store, rail: StripeRail, page: str, buyer: Actor, stripe_double: StripeDouble
) -> None:
    payment = stripe_double.sessions[page]["client_reference_id"]
    cancel(store, payment)
    assert [checkout.close_checkouts(store, rail, payment) for _ in range(2)] == [1, 0]
    assert stripe_double.sessions[page]["status"] == "expired"
    with pytest.raises(WrongState):
        checkout.open_checkout(store, rail, buyer, payment, back_to=BACK)


def test_a_page_paid_a_moment_ago_cannot_be_closed_and_its_money_is_not_lost(
    store: Store, rail: StripeRail, page: str, payment: str, stripe_double: StripeDouble
) -> None:
    session = stripe_double.pay(page)
    cancel(store, payment)
    checkout.close_checkouts(store, rail, payment)
    message = stripe_double.message(DONE, session)
    assert checkout.take_webhook(store, rail, *message) is WebhookEffect.SUSPENSE
    assert money(store)["suspense"] == 12_345


def test_cancelled_while_the_page_was_being_made_the_page_is_closed_again(
    store: Store,
    rail: StripeRail,
    payment: str,
    buyer: Actor,
    stripe_double: StripeDouble,
) -> None:
    really = rail.open

    def meanwhile(due: Due, *, back_to: str) -> Any:
        way = really(due, back_to=back_to)
        cancel(store, payment)
        return way

    rail.open = meanwhile  # type: ignore[method-assign]
    with pytest.raises(WrongState):
        checkout.open_checkout(store, rail, buyer, payment, back_to=BACK)
    (session,) = stripe_double.sessions.values()
    assert session["status"] == "expired"


def test_stripe_is_never_asked_inside_a_unit(store: Store, rail: StripeRail) -> None:
    with store.unit("system:test") as unit:
        unit.record("thing.made", "thing:1")
        with pytest.raises(SlowInsideUnit):
            rail.open(Due("pay_1", 500, "SG23456789-X"), back_to=BACK)


def test_stripes_trouble_is_said_as_ours(
    store: Store, rail: StripeRail, payment: str, buyer: Actor, stripe_double: StripeDouble
) -> None:
    stripe_double.down = True
    with pytest.raises(RailUnavailable) as refusal:
        checkout.open_checkout(store, rail, buyer, payment, back_to=BACK)
    assert refusal.value.status == 503
    with store.view() as view:
        assert view.session.exec(select(StripeCheckout)).all() == []


def test_without_keys_there_is_no_stripe() -> None:
    with pytest.raises(RailUnavailable):
        StripeRail(StripeSettings(api_key=SecretStr("sk_test_x")))


def test_a_bank_transfer_needs_no_network(store: Store, buyer: Actor, payment: str) -> None:
    rail = TransferRail("户名：某公司\n账号：1234")
    way = checkout.open_checkout(store, rail, buyer, payment, back_to=BACK)
    assert (way.amount_fen, way.bank_account, way.url) == (12_345, "户名：某公司\n账号：1234", None)
    assert way.reference.startswith("SG")
    with pytest.raises(WebhookRefused):
        checkout.take_webhook(store, rail, b"{}", "")


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"mode": "paymnet"}, "must be one of"),
        ({"mode": "payment", "line_item": [{"quantity": 1}]}, "unknown parameter: line_item"),
        ({"line_items": [{"price_data": {"curency": "cny"}}]}, r"unknown parameter: line_items\[0\]"),
        ({"line_items": [{"price_data": {"unit_amount": 5}}]}, r"Missing .*\[currency\]"),
        ({"line_items": [{"quantity": "1.5"}]}, "Invalid integer"),
    ],
)
def test_the_double_refuses_what_stripe_would(
    stripe_double: StripeDouble, params: dict[str, Any], said: str
) -> None:
    http = stripe.RequestsClient()
    client = stripe.StripeClient("sk_test_x", base_addresses={"api": stripe_double.url}, http_client=http)
    with pytest.raises(stripe.InvalidRequestError, match=said):
        client.v1.checkout.sessions.create(params)  # type: ignore[arg-type]
    http.close()  # type: ignore[no-untyped-call]
