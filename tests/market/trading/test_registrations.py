"""What happens to a registration is felt downward in the same Unit: listings, licenses, gates."""

from datetime import datetime, timedelta

import pytest

from contracts.rules import LicenseState
from contracts.tables import License
from market import chores
from market.catalogue import listing, queries
from market.catalogue.problems import AssetNotRegistered
from market.catalogue.rules import ProductState
from market.house import House
from market.registry import amending
from market.registry.life import AmendmentKind, CancelGround
from market.registry.rules import AssetState, Description
from market.registry.tables import Asset
from market.trading import actions, registrations
from market.trading.problems import RegistrationEnded
from metering.tables import Gate
from storage.kernel import clock
from storage.kernel.problem import WrongState
from storage.unit import Store
from tests.market.assets import QUICK
from tests.market.mandates_made import civil, signed_mandate
from tests.market.people import COMPLIANCE, PROVIDER, REGISTRAR
from tests.market.products import listed_product
from tests.market.web.trade import CAST, Market

REASON = "经核查，依法办理"


def test_expiry_suspends_the_listing_in_the_same_unit(store: Store) -> None:
    product = listed_product(store)
    with store.view() as view:
        until = view.session.get_one(Asset, product.asset_id).valid_until
    assert until is not None
    with clock.held(until):
        with store.unit("system:clock") as unit:
            registrations.expire_registration(unit, product.asset_id)
            kinds = [entry.kind for entry in unit.entries]
        assert {"asset.expired", "listing.suspended"} <= set(kinds)
        with store.view() as view:
            assert queries.product(view, PROVIDER, product.id).state is ProductState.SUSPENDED
        with pytest.raises(AssetNotRegistered), store.unit(COMPLIANCE.id, COMPLIANCE.org) as unit:
            listing.resume_listing(unit, COMPLIANCE, product.id, reason=REASON)
        with pytest.raises(WrongState), store.unit("system:clock") as unit:
            registrations.expire_registration(unit, product.asset_id)


def test_a_change_that_breaks_a_listing_suspends_it_and_one_that_does_not_leaves_it(store: Store) -> None:
    product = listed_product(store)
    for changes, state in (
        (Description(title_en="Another name"), ProductState.LISTED),
        (Description(open_attr="N", open_condition="涉及国家秘密"), ProductState.SUSPENDED),
    ):
        with store.unit(PROVIDER.id, PROVIDER.org) as unit:
            asked = amending.ask_amendment(
                unit,
                PROVIDER,
                product.asset_id,
                kind=AmendmentKind.CHANGE,
                cause=REASON,
                office=QUICK,
                changes=changes,
            )
        with store.unit(REGISTRAR.id, REGISTRAR.org) as unit:
            amending.review_amendment(unit, REGISTRAR, asked.id)
            registrations.apply_amendment(unit, REGISTRAR, asked.id, reason=REASON, office=QUICK)
        with store.view() as view:
            assert queries.product(view, PROVIDER, product.id).state is state


@pytest.fixture
def market(house: House) -> Market:
    return Market(house)


@pytest.fixture
def deal(market: Market) -> tuple[Market, str, str]:
    """A running market with an active license: its asset and license."""
    order = market.paid()
    assert order.license_id is not None
    return market, market.product.asset_id, order.license_id


def gate(market: Market, license_id: str) -> tuple[bool, LicenseState]:
    with market.house.store.view() as view:
        row = view.session.get_one(Gate, license_id)
        return row.in_force, view.session.get_one(License, license_id).state


@pytest.mark.parametrize("how", ["revoke", "cancel"])
def test_the_very_next_request_is_refused_after_the_registration_ended(
    deal: tuple[Market, str, str], how: str
) -> None:
    market, asset_id, license_id = deal
    store, registrar = market.house.store, REGISTRAR
    assert gate(market, license_id) == (True, LicenseState.ACTIVE)
    with store.view() as view:
        assert len(registrations.affected_licenses(view, asset_id)) == 1
    if how == "revoke":
        with store.unit(registrar.id, registrar.org) as unit:
            registrations.revoke_registration(unit, registrar, asset_id, reason="提供虚假来源证明")
    else:
        provider = CAST["provider"]
        with store.unit(provider.id, provider.org) as unit:
            asked = amending.ask_amendment(
                unit,
                provider,
                asset_id,
                kind=AmendmentKind.CANCELLATION,
                cause=REASON,
                office=QUICK,
                ground=CancelGround.WAIVED,
            )
        with store.unit(registrar.id, registrar.org) as unit:
            amending.review_amendment(unit, registrar, asked.id)
            registrations.apply_amendment(unit, registrar, asked.id, reason=REASON, office=QUICK)
    assert gate(market, license_id) == (False, LicenseState.SUSPENDED)
    officer = CAST["compliance"]
    with pytest.raises(RegistrationEnded), store.unit(officer.id, officer.org) as unit:
        actions.resume_license(unit, officer, license_id, reason=REASON)
    assert gate(market, license_id)[0] is False


def cut_short(market: Market, asset_id: str, license_id: str, end: datetime) -> None:
    """As if the registration, and the license with it, ended then."""
    with market.house.store.unit("system:test") as unit:
        unit.session.get_one(Asset, asset_id).valid_until = end
        unit.session.get_one(License, license_id).serve_until = end
        unit.session.get_one(Gate, license_id).serve_until = end
        unit.record("test.cut", f"asset:{asset_id}")


def renewed(market: Market, asset_id: str, at: datetime) -> None:
    store, provider = market.house.store, CAST["provider"]
    with clock.held(at):
        with store.unit(provider.id, provider.org) as unit:
            asked = amending.ask_amendment(
                unit, provider, asset_id, kind=AmendmentKind.RENEWAL, cause=REASON, office=QUICK
            )
        with store.unit(REGISTRAR.id, REGISTRAR.org) as unit:
            amending.review_amendment(unit, REGISTRAR, asked.id)
            registrations.apply_amendment(unit, REGISTRAR, asked.id, reason=REASON, office=QUICK)


def test_a_renewal_lengthens_only_what_the_old_end_had_cut(deal: tuple[Market, str, str]) -> None:
    market, asset_id, license_id = deal
    store = market.house.store
    with store.view() as view:
        agreed = view.session.get_one(License, license_id).serve_until
    assert agreed is not None
    cut = agreed - timedelta(days=3)
    cut_short(market, asset_id, license_id, cut)
    renewed(market, asset_id, cut - timedelta(days=2))
    with store.view() as view:
        assert view.session.get_one(License, license_id).serve_until == agreed
        assert view.session.get_one(Gate, license_id).serve_until == agreed


def test_a_renewal_does_not_reach_past_the_end_of_the_mandate(house: House) -> None:
    mandate = signed_mandate(house.store, last_day=civil(20))
    market = Market(house)
    license_id = str(market.paid().license_id)
    cut = mandate.valid_until - timedelta(days=3)
    cut_short(market, market.product.asset_id, license_id, cut)
    renewed(market, market.product.asset_id, cut - timedelta(days=2))
    with house.store.view() as view:
        gate = view.session.get_one(Gate, license_id)
        assert view.session.get_one(License, license_id).serve_until == mandate.valid_until
    assert (gate.serve_until, gate.until_reason) == (mandate.valid_until, "mandate_expired")


def test_the_clock_ends_what_is_due(deal: tuple[Market, str, str]) -> None:
    market, asset_id, _license_id = deal
    with market.house.store.view() as view:
        until = view.session.get_one(Asset, asset_id).valid_until
    assert until is not None
    with clock.held(until + timedelta(seconds=1)):
        chores.each_minute(market.house)
        chores.each_minute(market.house)
    with market.house.store.view() as view:
        assert view.session.get_one(Asset, asset_id).state is AssetState.EXPIRED
