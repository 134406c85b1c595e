"""From counted usage to invoices: roots are computed while paid calls go on, and hold every event all the same."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import select

from contracts.tables import License
from market.billing.rules import InvoiceKind
from market.billing.tables import Invoice, InvoiceLine
from market.house import House
from market.identity.rules import Actor
from market.trading import refunds
from market.trading.closing import close_month, count_license, count_month, settle_license
from market.trading.tables import Order
from metering import actions as metering
from metering.gate import Charge, new_charge_key
from metering.merkle import EMPTY
from metering.statements import counted_period
from metering.tables import Gate, UsageEvent
from metering.till import Till
from metering.words import Kind, Settled
from storage.kernel import clock
from storage.unit import SlowInsideUnit
from tests.market.people import BUYER
from tests.market.web.trade import CAST, Market

FINANCE: Actor = replace(CAST["finance"], second_factor=True)


@dataclass
class Used:
    """A license that was served last month, and a till whose clock can be set."""

    market: Market
    order: Order
    credential: str
    at: datetime
    till: Till = field(init=False)

    def __post_init__(self) -> None:
        house = self.market.house
        self.till = Till(house.database, house.settings.metering, now=lambda: self.at)

    @property
    def license_id(self) -> str:
        return str(self.order.license_id)

    @property
    def period(self) -> str:
        return clock.period_of(self.at, self.market.house.settings.timezone)

    def call(self) -> Settled:
        """One paid call."""
        key = new_charge_key()
        args = (
            self.order.product_id,
            self.credential,
            "",
            "internal_business",
            Kind.ROWS,
            key,
            b"f",
            1,
            2,
            9,
        )
        return self.till.charge(Charge(self.license_id, *args)).outcome

    def root(self, period: str) -> str:
        with self.market.house.store.view() as view:
            return counted_period(view, self.license_id, period).root

    def invoiced(self, period: str) -> list[tuple[int, str | None]]:
        """Quantity and root of the lines of the month's invoice."""
        with self.market.house.store.view() as view:
            found = view.session.exec(
                select(InvoiceLine.quantity, InvoiceLine.merkle_root)
                .join(Invoice, Invoice.id == InvoiceLine.invoice_id)  # type: ignore[arg-type]  # an expression
                .where(Invoice.license_id == self.license_id, Invoice.period == period)
                .where(Invoice.kind == InvoiceKind.USAGE)
            )
            return [(quantity, root) for quantity, root in found]


@pytest.fixture
def used(house: House) -> Iterator[Used]:
    market = Market(house)
    order = market.paid()
    first = clock.now() - timedelta(days=45)
    with house.store.unit("system:test") as unit:
        license_ = unit.session.get_one(License, order.license_id)
        gate = unit.session.get_one(Gate, order.license_id)
        license_.serve_from = gate.serve_from = first
        unit.session.add_all([license_, gate])
        credential, _ = metering.keep_credential(unit, org_id=BUYER.own_org, kept_by=BUYER.id, name="program")
    used = Used(market, order, credential.id, first)
    yield used
    used.till.close()


@dataclass
class Reading:
    """The raw events of a month are asked for: how often, and when it may go on."""

    begun: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)
    times: int = 0


@contextmanager
def reading_of_events(*, waits: bool = False) -> Iterator[Reading]:
    """See every reading of a month's events before the database is asked; the first one waits, if so said."""
    reading = Reading()

    def ask(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "FROM usage_event" in statement and "usage_event.period =" in statement:
            reading.times += 1
            reading.begun.set()
            if waits and reading.times == 1:
                assert reading.go_on.wait(60)

    sa.event.listen(sa.Engine, "before_cursor_execute", ask)
    try:
        yield reading
    finally:
        reading.go_on.set()
        sa.event.remove(sa.Engine, "before_cursor_execute", ask)


def close_on_the_page(used: Used, period: str) -> None:
    used.market["finance"].post("/periods", period=period)


def test_paid_calls_go_on_while_a_month_is_counted_and_are_billed(used: Used) -> None:
    """Counting stands still in the middle: calls are charged, also one of the month that is closed."""
    period = used.period
    used.call()
    before = used.root(period)
    with ThreadPoolExecutor(1) as pool, reading_of_events(waits=True) as reading:
        closing = pool.submit(close_on_the_page, used, period)
        assert reading.begun.wait(30)
        assert used.call() is Settled.CHARGED
        used.at = clock.now()
        assert used.call() is Settled.CHARGED
        reading.go_on.set()
        closing.result(60)
        assert reading.times == 2  # before the lock, and once more because of the event in between
    assert used.root(period) != before
    assert used.invoiced(period) == [(2, used.root(period))]


def test_what_nothing_entered_is_not_counted_again_under_the_lock(used: Used) -> None:
    period = used.period
    for _ in range(3):
        used.call()
    with reading_of_events() as reading:
        close_on_the_page(used, period)
        assert reading.times == 1
    assert used.invoiced(period) == [(3, used.root(period))]
    with reading_of_events() as reading:  # closed: refused before anything is counted
        used.market["finance"].post("/periods", 409, period=period)
        assert reading.times == 0


@pytest.mark.parametrize("between", [0, 1, 2])
def test_an_event_between_counting_and_the_lock_is_under_the_root(used: Used, between: int) -> None:
    period, house = used.period, used.market.house
    used.call()
    told: list[tuple[int, int]] = []
    settings = house.settings.billing
    counted = count_month(house.store, period, settings, lambda done, of: told.append((done, of)))
    assert told == [(1, 1)]
    assert counted[used.license_id].root != EMPTY
    for _ in range(between):
        used.call()
    with reading_of_events() as reading, house.store.unit(FINANCE.id, FINANCE.org) as unit:
        close_month(unit, FINANCE, period, settings, counted)
        assert reading.times == (1 if between else 0)
    assert used.invoiced(period) == [(1 + between, used.root(period))]


def test_a_license_nobody_counted_before_is_counted_under_the_lock(used: Used) -> None:
    used.call()
    period, house = used.period, used.market.house
    with house.store.unit(FINANCE.id, FINANCE.org) as unit:
        close_month(unit, FINANCE, period, house.settings.billing, {})
    assert used.invoiced(period) == [(1, used.root(period))]


def test_a_month_that_runs_or_is_none_is_not_counted(used: Used) -> None:
    house = used.market.house
    used.call()
    with reading_of_events() as reading:
        for period in (
            clock.period_of(clock.now(), "Asia/Shanghai"),
            "2999-01",
            "soon",
            "2026-13",
            "9999-12",
            "0001-01",
            "",
        ):
            assert count_month(house.store, period, house.settings.billing) == {}
        assert reading.times == 0


def ended(used: Used) -> None:
    path = f"/licenses/{used.license_id}/decision"
    used.market["buyer"].post(path, verb="terminate", reason="项目结束，提前终止")


def reported(used: Used) -> None:
    """One more event of what was used before the end, as a provider's report books it."""
    house = used.market.house
    with house.store.view() as view:
        row = view.session.exec(select(UsageEvent)).first()
        assert row is not None
        known = row.model_dump()
    with house.store.unit("system:test") as unit:
        unit.session.execute(sa.insert(UsageEvent), [known | {"id": b"\xff" * 16}])
        unit.session.execute(
            sa.text(
                "UPDATE usage_hour SET events = events + 1, calls = calls + 1, amount_fen = amount_fen + 200"
            )
        )
        unit.record("usage.reported", f"license:{used.license_id}")


@pytest.mark.parametrize("late", [False, True])
def test_an_ended_license_is_settled_with_what_came_in_meanwhile(used: Used, late: bool) -> None:
    house, settings = used.market.house, used.market.house.settings.billing
    used.at = clock.now()
    used.call()
    assert count_license(house.store, used.license_id, settings) is None  # it can still be used
    ended(used)
    counted = count_license(house.store, used.license_id, settings)
    if late:
        reported(used)
    with reading_of_events() as reading, house.store.unit(FINANCE.id, FINANCE.org) as unit:
        invoice = settle_license(unit, FINANCE, used.license_id, settings, counted)
        assert reading.times == int(late)
        assert invoice is not None
        if not house.database.is_sqlite:  # there nobody else writes anyway
            with house.database.engine.connect() as other, pytest.raises(sa.exc.OperationalError):
                held = "SELECT 1 FROM gate WHERE license_id = :id FOR NO KEY UPDATE NOWAIT"
                other.execute(sa.text(held), {"id": used.license_id})
    assert used.invoiced(used.period) == [(1 + late, used.root(used.period))]


def test_settling_on_the_page_counts_before_the_lock(used: Used) -> None:
    used.at = clock.now()
    used.call()
    ended(used)
    with ThreadPoolExecutor(1) as pool, reading_of_events(waits=True) as reading:
        path = f"/licenses/{used.license_id}/settlement"
        settling = pool.submit(used.market["finance"].post, path)
        assert reading.begun.wait(30)
        with used.market.house.store.unit("system:test") as unit:  # another writer
            metering.hold_gate(unit, used.license_id)
            unit.record("test.wrote", f"license:{used.license_id}")
        reading.go_on.set()
        settling.result(60)
        assert reading.times == 1
    assert used.invoiced(used.period) == [(1, used.root(used.period))]


def test_nothing_is_counted_for_a_refund(used: Used) -> None:
    """What is unbilled is known from the sums."""
    used.at = clock.now()
    used.call()
    ended(used)
    with reading_of_events() as reading, used.market.house.store.view() as view:
        row = view.session.get_one(License, used.license_id)
        assert refunds._unbilled(view, row, used.market.house.settings.billing) == used.period
        assert reading.times == 0


@pytest.mark.parametrize("count", [count_month, count_license])
def test_counting_inside_a_unit_is_refused(house: House, count: Callable[..., Any]) -> None:
    with pytest.raises(SlowInsideUnit), house.store.unit("system:test"):
        count(house.store, "2026-10", house.settings.billing)
