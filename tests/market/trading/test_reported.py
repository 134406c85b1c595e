"""Use that a provider reports after the end of a license: booked, on the right bill, and before any money goes back."""

import json
from datetime import datetime, timedelta

import orjson
import pytest
from sqlmodel import select

from contracts.rules import LicenseState
from contracts.tables import License
from contracts.terms import DeliveryMode
from market import chores
from market.billing.problems import UsageUnbilled
from market.billing.queries import invoice_lines
from market.billing.tables import Invoice
from market.house import House
from market.registry.rules import AssetState
from market.registry.tables import Asset
from market.trading import actions, closing, refunds
from market.trading.problems import UseStillReported
from market.trading.tables import Order
from metering import actions as metering
from metering.cloudevents import BATCH, LONGEST_AGO, TYPE, items
from metering.problems import PeriodNotOver
from metering.queries import gate
from metering.reporting import Outcome, book_report
from metering.statements import counted_period
from metering.tables import Gate
from storage.kernel import clock
from tests.market.web.trade import CAST, Market


class OnSite:
    """A deal delivered in the provider's own computing room, and the meter there."""

    def __init__(self, house: House) -> None:
        self.market = Market(house, delivery=(DeliveryMode.COMPUTE,))
        self.store = house.store
        self.order: Order = self.market.paid()
        self.license = str(self.order.license_id)
        provider = CAST["provider"]
        with self.store.unit("system:test") as unit:
            kept, _ = metering.keep_credential(
                unit, org_id=provider.own_org, kept_by=provider.id, name="meter"
            )
        self.credential = kept.id
        with self.store.view() as view:
            door = gate(view, self.license)
        assert door.serve_until is not None
        self.begins, self.ends = door.serve_from, door.serve_until

    def used(self, number: int, at: datetime, calls: int = 1) -> Outcome:
        """Report so many calls at this moment."""
        event = {
            "specversion": "1.0",
            "id": f"e{number}",
            "source": "/site",
            "type": TYPE,
            "subject": self.license,
            "time": at.isoformat(),
            "data": {"calls": calls, "rows": 1, "bytes": 1},
        }
        (outcome,) = book_report(
            self.store.database,
            items({"content-type": BATCH}, orjson.dumps([event])),
            org_id=CAST["provider"].own_org,
            credential_id=self.credential,
            zone=self.market.house.settings.timezone,
        )
        return outcome


@pytest.fixture
def site(house: House) -> OnSite:
    return OnSite(house)


def test_use_in_the_term_is_reported_after_the_clock_has_ended_it(site: OnSite) -> None:
    in_term = site.ends - timedelta(hours=1)
    with clock.held(site.ends + timedelta(minutes=2)):
        chores.each_minute(site.market.house)
        chores.each_minute(site.market.house)
        with site.store.view() as view:
            assert view.session.get_one(License, site.license).state is LicenseState.EXPIRED
            assert not gate(view, site.license).in_force
        assert site.used(1, in_term).result == "accepted"
        assert site.used(1, in_term).result == "duplicate"
        outside = site.used(2, site.ends)
        assert (str(outside.result), outside.reason and outside.reason.code) == (
            "rejected",
            "license-not-in-force",
        )
    with clock.held(in_term + LONGEST_AGO + timedelta(seconds=1)):
        late = site.used(3, in_term)
        assert late.reason is not None
        assert late.reason.code == "event.window"


def test_a_license_that_ends_with_its_registration_takes_reports_of_use_before(site: OnSite) -> None:
    end = site.ends - timedelta(days=9)
    with site.store.unit("system:test") as unit:  # as if both had been known to end then
        asset = unit.session.get_one(Asset, site.market.product.asset_id)
        door = unit.session.get_one(Gate, site.license)
        asset.valid_until = unit.session.get_one(License, site.license).serve_until = end
        door.serve_until, door.until_reason = end, "registration_expired"
        unit.record("test.cut", f"asset:{asset.id}")
    with clock.held(end + timedelta(minutes=2)):
        chores.each_minute(site.market.house)
        with site.store.view() as view:
            assert view.session.get_one(Asset, site.market.product.asset_id).state is AssetState.EXPIRED
            door = gate(view, site.license)
        assert (door.shut_reason, door.down_reason, door.ran_out) == (
            "registration_expired",
            "registration_expired",
            True,
        )
        assert site.used(1, end - timedelta(hours=1)).result == "accepted"


def test_a_license_that_was_revoked_takes_no_report_of_use_before(site: OnSite) -> None:
    officer = CAST["compliance"]
    with clock.held(site.begins + timedelta(days=2)):
        with site.store.unit(officer.id, officer.org) as unit:
            actions.revoke_license(unit, officer, site.license, reason="违反约定用途，撤销许可")
        refused = site.used(1, site.begins + timedelta(days=1))
    assert refused.reason is not None
    assert (refused.reason.code, "撤销" in refused.reason.words.zh) == ("license-not-in-force", True)


def closed(site: OnSite, period: str, *, early: timedelta = timedelta(0)) -> datetime:
    """Close the month as soon as it may be; returns when."""
    house, finance = site.market.house, CAST["finance"]
    at = clock.period_bounds(period, house.settings.timezone)[1] + timedelta(hours=72) - early
    billing = house.settings.billing
    with clock.held(at):
        counted = closing.count_month(site.store, period, billing)
        with site.store.unit(finance.id, finance.org) as unit:
            closing.close_month(unit, finance, period, billing, counted)
    return at


def invoiced(site: OnSite, period: str) -> tuple[Invoice, list[tuple[str, str, int, int]]]:
    """The invoice of a month, and kind, month of use, quantity and amount of its lines."""
    with site.store.view() as view:
        query = select(Invoice).where(Invoice.charge == f"usage:{site.license}:{period}")
        found = view.session.exec(query).one()
        lines = invoice_lines(view, found.id)
        root = counted_period(view, site.license, period).root
    assert {line.merkle_root for line in lines} == {root}
    said = json.loads(found.document)["lines"]
    assert [line["period"] for line in said] == [line.period for line in lines]
    return found, [(str(line.kind), line.period, line.quantity, line.gross_fen) for line in lines]


def month_after(site: OnSite, period: str) -> str:
    zone = site.market.house.settings.timezone
    return clock.period_of(clock.period_bounds(period, zone)[1], zone)


def test_use_reported_after_a_close_stands_on_its_own_line_of_the_next_bill(site: OnSite) -> None:
    zone = site.market.house.settings.timezone
    month = clock.period_of(site.begins, zone)
    following = month_after(site, month)
    over = clock.period_bounds(month, zone)[1]
    with clock.held(over + timedelta(hours=71)):  # over, and still open
        in_grace = site.used(1, site.begins, calls=2)
        assert (in_grace.period, in_grace.late) == (month, False)
    with pytest.raises(PeriodNotOver):
        closed(site, month, early=timedelta(seconds=1))
    at = closed(site, month)
    assert invoiced(site, month)[1] == [("call", month, 2, 400)]
    with clock.held(at + timedelta(hours=1)):
        late = site.used(2, site.begins, calls=3)
        assert (late.period, late.late) == (following, True)
        assert site.used(3, at, calls=5).late is False
    closed(site, following)
    invoice, lines = invoiced(site, following)
    assert lines == [("call", following, 5, 1000), ("call", month, 3, 600)]
    assert "迟报" in site.market["buyer"].get(f"/invoices/{invoice.id}")
    assert "迟报" not in site.market["buyer"].get(f"/invoices/{invoiced(site, month)[0].id}")
    with site.store.view() as view:
        door = gate(view, site.license)
        bills = view.session.exec(select(Invoice).where(Invoice.license_id == site.license)).all()
    assert sum(bill.gross_fen for bill in bills) == door.spent_fen == 2000


def test_late_use_of_an_ended_license_is_billed_though_it_is_in_force_no_more(site: OnSite) -> None:
    house, finance, buyer = site.market.house, CAST["finance"], CAST["buyer"]
    billing = house.settings.billing
    use = site.ends - timedelta(hours=1)
    month = clock.period_of(use, billing.timezone)
    following = month_after(site, month)
    with clock.held(site.ends + timedelta(minutes=2)):
        chores.each_minute(house)
    at = closed(site, month)
    with clock.held(at):
        assert site.used(1, use, calls=4).period == following
    with clock.held(site.ends + LONGEST_AGO + timedelta(seconds=1)):
        with pytest.raises(UsageUnbilled) as told, site.store.unit(buyer.id, buyer.org) as unit:
            refunds.ask_refund(unit, buyer, site.license, billing)
        assert told.value.members["period"] == following
    closed(site, following)
    assert invoiced(site, following)[1] == [("call", month, 4, 800)]
    with clock.held(site.ends + timedelta(days=100)), site.store.unit(finance.id, finance.org) as unit:
        assert closing.settle_license(unit, finance, site.license, billing, None) is None  # nothing is left
        unit.record("test.looked", f"license:{site.license}")


def test_money_goes_back_only_when_nothing_can_be_reported_any_more(site: OnSite) -> None:
    house, finance, buyer = site.market.house, CAST["finance"], CAST["buyer"]
    billing = house.settings.billing
    with clock.held(site.ends + timedelta(minutes=2)):
        chores.each_minute(house)
        site.used(1, site.ends - timedelta(hours=1), calls=3)
        with pytest.raises(UseStillReported) as told, site.store.unit(finance.id, finance.org) as unit:
            closing.settle_license(unit, finance, site.license, billing, None)
        with pytest.raises(UseStillReported), site.store.unit(buyer.id, buyer.org) as unit:
            refunds.ask_refund(unit, buyer, site.license, billing)
    assert told.value.members["until"] == (site.ends + LONGEST_AGO).isoformat()
    with clock.held(site.ends + LONGEST_AGO + timedelta(seconds=1)):
        counted = closing.count_license(site.store, site.license, billing)
        with site.store.unit(finance.id, finance.org) as unit:
            invoice = closing.settle_license(unit, finance, site.license, billing, counted)
        assert invoice is not None
        assert invoice.gross_fen == 600
