"""登记变动的后果 What a registration's end, change or renewal does to listings, licenses and gates, in the same Unit."""

from contracts import actions as contracts
from contracts.queries import licenses_open
from contracts.rules import LicenseState
from market.catalogue import listing
from market.catalogue.queries import products_of_asset
from market.identity.rules import Actor
from market.registry import amending, ending
from market.registry.life import AmendmentKind
from market.registry.rules import ENDED
from market.registry.settings import RegistrySettings
from market.registry.tables import Amendment, Asset
from market.trading.span import settle_span
from metering import actions as metering
from metering.words import Shut
from storage.unit import Unit, View

_TRANSFERRED = "数据登记已转移至另一登记主体 the registration was transferred to another registrant"


def apply_amendment(
    unit: Unit, actor: Actor, amendment_id: str, *, reason: str, office: RegistrySettings
) -> Amendment:
    """办结登记申请. What it changes is felt downward at once. Raises what `amending.apply_amendment` raises."""
    asked, asset = amending.apply_amendment(unit, actor, amendment_id, reason=reason, office=office)
    if asset.state in ENDED:
        _stop(unit, asset, "数据登记已注销 the registration was cancelled")
    else:
        for product_id in products_of_asset(unit, asset.id):
            if asked.kind is AmendmentKind.TRANSFER:
                listing.suspend_groundless(unit, product_id, reason=_TRANSFERRED)
            else:
                listing.recheck_listing(unit, product_id)
        if asked.kind is AmendmentKind.RENEWAL:
            _extend(unit, asset, office.timezone)
    return asked


def revoke_registration(unit: Unit, actor: Actor, asset_id: str, *, reason: str) -> Asset:
    """撤销登记. The very next request for its data is refused. Raises what `ending.revoke_asset` raises."""
    asset = ending.revoke_asset(unit, actor, asset_id, reason=reason)
    _stop(unit, asset, f"数据登记已撤销 the registration was revoked: {asset.reason}")
    return asset


def expire_registration(unit: Unit, asset_id: str) -> Asset:
    """登记到期. Listings end with it; licenses were frozen to end with it by themselves."""
    asset = ending.expire_asset(unit, asset_id)
    for product_id in products_of_asset(unit, asset.id):
        listing.suspend_groundless(
            unit,
            product_id,
            reason="数据登记已到期 the registration has expired",
            code=Shut.REGISTRATION_EXPIRED,
        )
    return asset


def affected_licenses(view: View, asset_id: str) -> list[str]:
    """受影响许可. The numbers of licenses that have not ended on the products of an asset."""
    return [
        row.number for product in products_of_asset(view, asset_id) for row in licenses_open(view, product)
    ]


def _stop(unit: Unit, asset: Asset, reason: str) -> None:
    for product_id in products_of_asset(unit, asset.id):
        listing.suspend_groundless(unit, product_id, reason=reason)
        for held in licenses_open(unit, product_id):
            if held.state is LicenseState.ACTIVE:
                metering.shut_gate(unit, held.id, reason="suspended")
                contracts.suspend_license(unit, held.id, reason=reason)


def _extend(unit: Unit, asset: Asset, zone: str) -> None:
    """A license that the old end had cut short serves as long as agreed, and as its mandate lets it."""
    for product_id in products_of_asset(unit, asset.id):
        for held in licenses_open(unit, product_id):
            settle_span(unit, held.id, zone)
