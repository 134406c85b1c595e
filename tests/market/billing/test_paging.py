"""Lists of money are read to their end, a page at a time, and nothing is shown twice."""

from collections.abc import Callable, Sequence
from typing import Any

from market.billing import actions, queries
from market.billing.rules import Purpose, SuspenseState
from market.identity.rules import Actor
from storage.unit import Store, View


def _all(store: Store, read: Callable[[View, str | None], Sequence[Any]]) -> list[str]:
    seen: list[str] = []
    last = None
    while True:
        with store.view() as view:
            page = [row.id for row in read(view, last)]
        seen += page
        if len(page) < 3:
            return seen
        last = page[-1]


def test_every_list_goes_on(store: Store, alice: Actor, buyer: Actor) -> None:
    asked, items = [], []
    with store.unit("usr_alice") as unit:
        for number in range(7):
            asked.append(
                actions.request_payment(
                    unit,
                    order_id=f"ord_{number}",
                    payer_id="pty_buyer",
                    payee_id="pty_provider",
                    amount_fen=100,
                    purpose=Purpose.PREPAY,
                ).id
            )
            items.append(
                actions.book_suspense(unit, alice, amount_fen=5, bank_reference=f"IN{number:04d}").id
            )
    newest = list(reversed(asked))
    assert _all(store, lambda v, last: queries.own_payments(v, buyer, before=last, limit=3)) == newest
    assert _all(store, lambda v, last: queries.payments_queue(v, alice, after=last, limit=3)) == asked
    held = SuspenseState.HELD
    found = _all(store, lambda v, last: queries.suspense_items(v, alice, state=held, before=last, limit=3))
    assert found == list(reversed(items))
