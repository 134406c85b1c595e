"""I7 and I10: a closed month never changes, each event is on exactly one invoice, and what is issued stays as it is."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlmodel import col, select

from contracts.tables import License
from contracts.terms import DeliveryMode
from market.billing.rules import InvoiceKind, LineKind
from market.billing.tables import Invoice, InvoiceLine
from market.house import House
from market.trading.closing import close_month, count_month
from metering import actions as metering
from metering.cloudevents import BATCH, TYPE, items
from metering.gate import Charge, new_charge_key
from metering.reporting import book_report
from metering.statements import counted_period
from metering.tables import Gate, UsageEvent
from metering.till import Till
from metering.words import Kind
from storage.kernel import clock
from tests.market.people import BUYER, PROVIDER
from tests.market.web.trade import CAST, Market

PRICE_FEN = 200  # a call


@dataclass
class Years:
    """A license that goes on, a till and a provider's meter; each walk begins where the last one stopped."""

    house: House
    license_id: str
    product_id: str
    program: str
    meter: str
    at: datetime
    till: Till = field(init=False)
    reported: int = 0

    def __post_init__(self) -> None:
        self.till = Till(self.house.database, self.house.settings.metering, now=lambda: self.at)

    @property
    def zone(self) -> str:
        return self.house.settings.timezone

    def call(self) -> None:
        """One paid call."""
        args = (self.program, "", "internal_business", Kind.ROWS, new_charge_key(), b"f")
        self.till.charge(Charge(self.license_id, self.product_id, *args, calls=1, rows=2, size=9))

    def report(self, days_ago: int, calls: int) -> None:
        """The provider's meter tells of calls some days ago, perhaps of a month that is closed."""
        self.reported += 1
        event = {
            "specversion": "1.0",
            "id": f"e{self.reported}",
            "source": "/site",
            "type": TYPE,
            "subject": self.license_id,
            "time": (self.at - timedelta(days=days_ago)).isoformat(),
            "data": {"calls": calls, "rows": 1, "bytes": 1, "delivery": DeliveryMode.COMPUTE},
        }
        with clock.held(self.at):
            (outcome,) = book_report(
                self.house.database,
                items({"content-type": BATCH}, orjson.dumps([event])),
                org_id=PROVIDER.own_org,
                credential_id=self.meter,
                zone=self.zone,
            )
        assert outcome.result == "accepted", outcome

    def close(self, period: str) -> None:
        """As the page does: counted before the lock, then closed and invoiced in one Unit."""
        finance, billing = CAST["finance"], self.house.settings.billing
        with clock.held(self.at):
            counted = count_month(self.house.store, period, billing)
            with self.house.store.unit(finance.id, finance.org) as unit:
                close_month(unit, finance, period, billing, counted)

    def after(self, period: str) -> str:
        return clock.period_of(clock.period_bounds(period, self.zone)[1], self.zone)

    def papers(self) -> dict[str, tuple[Any, ...]]:
        """Every invoice by its number, down to the bytes."""
        with self.house.store.view() as view:
            rows = view.session.exec(select(Invoice).order_by(col(Invoice.number))).all()
            return {row.number: (row.document, row.sha256, row.gross_fen, row.period) for row in rows}

    def events(self) -> list[UsageEvent]:
        with self.house.store.view() as view:
            return list(
                view.session.exec(select(UsageEvent).where(UsageEvent.license_id == self.license_id)).all()
            )

    def billed_calls(self) -> Counter[str]:
        """The calls on the usage invoices, by the month they are issued for."""
        with self.house.store.view() as view:
            found = view.session.exec(
                select(Invoice.period, InvoiceLine.quantity)
                .join(InvoiceLine, col(InvoiceLine.invoice_id) == col(Invoice.id))
                .where(Invoice.kind == InvoiceKind.USAGE, InvoiceLine.kind == LineKind.CALL)
                .where(Invoice.license_id == self.license_id)
            )
            billed = Counter[str]()
            for period, quantity in found:
                billed[period] += quantity
            return billed

    def root(self, period: str) -> str:
        with self.house.store.view() as view:
            return counted_period(view, self.license_id, period).root


@pytest.fixture
def years(house: House) -> Any:
    market = Market(house, delivery=(DeliveryMode.API, DeliveryMode.COMPUTE))
    order = market.paid()
    far = clock.now() + timedelta(days=365 * 200)
    with house.store.unit("system:test") as unit:
        license_ = unit.session.get_one(License, order.license_id)
        gate = unit.session.get_one(Gate, order.license_id)
        license_.serve_until = gate.serve_until = far
        gate.spend_cap_fen = None
        unit.session.add_all([license_, gate])
        program, _ = metering.keep_credential(unit, org_id=BUYER.own_org, kept_by=BUYER.id, name="program")
        meter, _ = metering.keep_credential(unit, org_id=PROVIDER.own_org, kept_by=PROVIDER.id, name="meter")
    begun = license_.serve_from
    assert begun is not None
    years = Years(house, license_.id, order.product_id, program.id, meter.id, begun + timedelta(days=36))
    yield years
    years.till.close()


steps = st.lists(
    st.sampled_from(["call", "call", "close"])
    | st.tuples(st.just("days"), st.integers(1, 40))
    | st.tuples(st.just("report"), st.integers(0, 35), st.integers(1, 5)),
    max_size=12,
)


@settings(max_examples=25)
@given(plan=steps)
def test_each_event_is_on_one_invoice_and_what_is_closed_or_issued_stays(
    years: Years, plan: list[Any]
) -> None:
    grace = timedelta(hours=years.house.settings.billing.close_after_hours)
    month = clock.period_of(years.at, years.zone)  # the next one to close
    roots: dict[str, str] = {}
    papers = years.papers()

    def close_next() -> None:
        nonlocal month
        years.close(month)
        roots[month] = years.root(month)
        month = years.after(month)

    for step in plan:
        match step:
            case "call":
                years.call()
            case "close":
                if clock.period_bounds(month, years.zone)[1] + grace <= years.at:
                    close_next()
            case ("days", days):
                years.at += timedelta(days=days)
            case ("report", days_ago, calls):
                years.report(days_ago, calls)
        now = years.papers()
        assert {number: now[number] for number in papers} == papers  # I10
        papers = now
        assert {period: years.root(period) for period in roots} == roots  # I7
    last = max([clock.period_of(years.at, years.zone), *(event.period for event in years.events())])
    while month <= last:
        years.at = max(years.at, clock.period_bounds(month, years.zone)[1] + grace)
        close_next()
    years.at = clock.period_bounds(month, years.zone)[0] + grace  # where the next walk begins
    assert {period: years.root(period) for period in roots} == roots
    used = Counter[str]()
    for event in years.events():
        used[event.period] += event.calls
        assert event.period >= clock.period_of(event.at, years.zone)
    assert years.billed_calls() == used
    _numbered_without_a_gap(years.papers())
    assert sum(gross for _, _, gross, _ in years.papers().values()) == PRICE_FEN * used.total()


def _numbered_without_a_gap(papers: dict[str, tuple[Any, ...]]) -> None:
    by_year: dict[str, list[int]] = {}
    for number in papers:
        _, year, serial, *_ = number.split("-")
        by_year.setdefault(year, []).append(int(serial))
    assert all(serials == list(range(1, len(serials) + 1)) for serials in by_year.values()), by_year
