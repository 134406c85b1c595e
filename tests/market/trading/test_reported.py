"""Use that a provider reports after the end of a license: booked when it lies in the term."""

from datetime import datetime, timedelta

import orjson
import pytest

from contracts.rules import LicenseState
from contracts.tables import License
from contracts.terms import DeliveryMode
from market import chores
from market.house import House
from market.trading import actions
from market.trading.tables import Order
from metering import actions as metering
from metering.cloudevents import BATCH, LONGEST_AGO, TYPE, items
from metering.queries import gate
from metering.reporting import Outcome, book_report
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


def test_a_license_that_was_revoked_takes_no_report_of_use_before(site: OnSite) -> None:
    officer = CAST["compliance"]
    with clock.held(site.begins + timedelta(days=2)):
        with site.store.unit(officer.id, officer.org) as unit:
            actions.revoke_license(unit, officer, site.license, reason="违反约定用途，撤销许可")
        refused = site.used(1, site.begins + timedelta(days=1))
    assert refused.reason is not None
    assert (refused.reason.code, "撤销" in refused.reason.words.zh) == ("license-not-in-force", True)
