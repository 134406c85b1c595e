"""判定事实 Every fact a tier decision about a product looks at, gathered from where it is kept: the one place."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlmodel import col, select

from contracts.terms import DeliveryMode, Purpose, RightKind, Territory, Tier
from market.catalogue.grounds import SALE as SALE
from market.catalogue.grounds import declared, resource_of
from market.catalogue.rules import PERMIT_ZONES, ProductState
from market.catalogue.tables import Plan, Product
from market.identity.queries import verified
from market.identity.rules import OrgKind
from market.lists.queries import negative_hits, open_entry
from market.mandates import queries as mandates
from market.mandates.prices import PRICE_OF, Limit
from market.policy.inputs import (
    BuyerKind,
    CeilingState,
    Evidence,
    Inputs,
    PermitState,
    PersonalInfo,
    ProductForm,
    ReidLevel,
    Secrecy,
    SupplyKind,
    TwinState,
)
from market.registry.rules import AssetState
from market.registry.tables import Asset
from market.screening.filings import in_dispute
from market.screening.queries import in_force, screened
from market.screening.rules import FilingKind, day_of
from storage.kernel import clock
from storage.unit import View


@dataclass(frozen=True, slots=True)
class Grounds:
    """依据. What mandates, ceilings and the published lists say of a product; money in fen."""

    negative_hits: tuple[str, ...] | None
    mandate: bool | None
    ceiling: CeilingState | None
    price_fen: int
    ceiling_fen: int | None
    named_purpose: bool | None


@dataclass(frozen=True, slots=True)
class Buying:
    """使用方. Who asks and what they showed; at listing, any verified buyer with every paper in order."""

    kind: BuyerKind = BuyerKind.ENTERPRISE
    verified: bool | None = True
    evidence: Evidence = Evidence.PROVEN


def facts_of(
    view: View,
    product: Product,
    asset: Asset,
    plans: Sequence[Plan],
    purpose: Purpose,
    *,
    provider_kind: OrgKind,
    territory: Territory = Territory.MAINLAND,
    buying: Buying | None = None,
) -> Inputs:
    """判定事实. What is known of `product`, used for `purpose` under `plans`; unknown facts stay unknown."""
    who = buying or Buying()
    seen = screened(view, asset)
    ground = grounds_of(view, product, asset, plans, purpose)
    today = day_of(clock.now())
    papers = in_force(view, asset.id, today)
    personal = _personal(asset)
    form = product.form or (
        ProductForm.RAW_OPEN if product.tier is Tier.PUBLIC_GOOD else ProductForm.CLEANSED
    )
    return Inputs(
        supply=asset.supply,
        purpose=purpose,
        buyer_kind=who.kind,
        open_attr=asset.open_attr,
        product_kind=form,
        delivery=frozenset(mode for mode in DeliveryMode if mode in product.delivery),
        price_fen=ground.price_fen if asset.supply is not SupplyKind.ENTERPRISE else highest_price(plans),
        grade=seen.grade,
        pi=personal,
        reid_level=ReidLevel.CLEAR if personal is PersonalInfo.NONE else ReidLevel.DIRECT,
        value_added=form is not ProductForm.RAW_OPEN,
        registered=_registered(asset),
        source_proven=bool(asset.source_kind and asset.source_statement.strip() and asset.source_evidence),
        rights_proven=any(right["kind"] == RightKind.OPERATE for right in asset.rights),
        disputed=in_dispute(view, asset.id, today),
        secrecy=seen.secrecy,
        negative_hits=ground.negative_hits,
        provider_verified=verified(view, product.provider_id),
        buyer_verified=who.verified,
        payee_department=provider_kind is OrgKind.DEPARTMENT,
        mandate=ground.mandate,
        ceiling=ground.ceiling,
        ceiling_fen=ground.ceiling_fen,
        risk_assessment=FilingKind.RISK_ASSESSMENT in papers,
        consent=bool(asset.pi_basis.strip()),
        pia=FilingKind.IMPACT_ASSESSMENT in papers,
        foreign=territory is Territory.WORLDWIDE,
        export_gate=seen.export and seen.secrecy is Secrecy.PASSED,
        bonded=False,  # this market keeps no bonded zone
        permit=_permit(product),
        purpose_evidence=who.evidence,
        emergency_declared=False,  # until a compliance officer establishes it for an order
        named_purpose=ground.named_purpose,
        free_twin=_twin(view, product),
        open_terms=product.tier is Tier.PUBLIC_GOOD,
        eligible=False,  # established likewise, for a verified buyer
        off_purpose=False,  # a living license's: `trading.living`
    )


def grounds_of(
    view: View, product: Product, asset: Asset, plans: Sequence[Plan], purpose: Purpose
) -> Grounds:
    """依据. What the published lists, the mandates and the price ceilings say of a product now."""
    hits = tuple(hit.rule.code for hit in negative_hits(view, declared(product, asset)))
    cover = mandates.covering(
        view,
        operator_id=product.provider_id,
        resource=resource_of(product, asset),
        purposes=(purpose,),
    )
    entry = open_entry(view, asset.code, asset.number or "", product.slug)
    state, price_fen, ceiling_fen = _ceiling(plans, mandates.limits(view, product.slug))
    return Grounds(
        negative_hits=hits,
        mandate=cover.mandate is not None,
        ceiling=state,
        price_fen=price_fen,
        ceiling_fen=ceiling_fen,
        named_purpose=entry is not None and purpose in entry.entry().purposes,
    )


def _ceiling(plans: Sequence[Plan], limits: Sequence[Limit]) -> tuple[CeilingState, int, int]:
    """The price that stands worst against its ceiling, with that ceiling (whole fen, rounded down)."""
    known = {limit.unit: limit for limit in limits}
    asked = [(getattr(plan, name), known.get(unit)) for plan in plans for unit, name in PRICE_OF.items()]
    priced = [(price, limit) for price, limit in asked if price]
    if not priced or any(limit is None for _, limit in priced):
        return CeilingState.NONE, highest_price(plans), 0
    pairs = [(price, int(limit.max_fen), limit.trial) for price, limit in priced if limit is not None]
    price, most, _ = max(pairs, key=lambda pair: pair[0] - pair[1])
    trial = any(one[2] for one in pairs)
    return CeilingState.TRIAL if trial else CeilingState.IN_FORCE, price, most


def highest_price(plans: Sequence[Plan]) -> int:
    """The highest price any of the plans asks, in fen with tax."""
    return max(
        (max(plan.call_fen, plan.row_fen, plan.download_fen, plan.fee_fen) for plan in plans), default=0
    )


def evidenced(given: Inputs, found: dict[str, object]) -> Inputs:
    """复核认定. The facts with what people established about them."""
    if not given.buyer_verified:
        found = found | {"eligible": False}  # nobody gets a discount who is not verified
    return replace(given, **found)  # type: ignore[arg-type]  # each value was read as its own term's


def _personal(asset: Asset) -> PersonalInfo | None:
    if asset.contains_spi:
        return PersonalInfo.SPI
    if asset.contains_pi is None:
        return None
    return PersonalInfo.PI if asset.contains_pi else PersonalInfo.NONE


def _registered(asset: Asset) -> bool:
    ended = asset.valid_until is not None and asset.valid_until <= clock.now()
    return asset.state is AssetState.REGISTERED and not ended


def _permit(product: Product) -> PermitState:
    if product.zone not in PERMIT_ZONES:
        return PermitState.NOT_NEEDED
    return PermitState.HELD if product.permit.strip() else PermitState.MISSING


def _twin(view: View, product: Product) -> TwinState:
    """The free product of the same asset, if one was ever listed."""
    states = view.session.exec(
        select(Product.state).where(
            Product.asset_id == product.asset_id,
            Product.id != product.id,
            col(Product.tier) == Tier.PUBLIC_GOOD,
            col(Product.listed_at).is_not(None),
        )
    ).all()
    if not states:
        return TwinState.NONE
    return TwinState.KEPT if ProductState.LISTED in states else TwinState.WITHDRAWN
