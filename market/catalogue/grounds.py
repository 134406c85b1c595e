"""挂牌依据 What a product stands on besides itself: not on the negative list, and for public data a mandate and ceilings."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from contracts.terms import DeliveryMode, Purpose
from market.catalogue.queries import living_listing
from market.catalogue.rules import PRICES, Standing
from market.catalogue.tables import Listing, Plan, Product
from market.lists.matching import Declared, Hit
from market.lists.problems import OnNegativeList
from market.lists.queries import negative_hits
from market.mandates import queries as mandates
from market.mandates.problems import AwaitCeiling, NoMandate
from market.mandates.queries import Cover
from market.mandates.rules import Resource, needs_mandate
from market.registry import barred
from market.registry.queries import source_of_product
from market.registry.tables import Asset
from storage.kernel.problem import Fault
from storage.unit import View

# Purposes that are the market's: what public data costs for them is guided. All others it serves without a price.
SALE = frozenset({Purpose.INDUSTRY, Purpose.SECTOR, Purpose.INTERNAL_BUSINESS, Purpose.RESALE})


@dataclass(frozen=True, slots=True)
class Grounds:
    """挂牌依据. cover: None where no mandate is needed. prices: what is wrong with the plans' prices."""

    hits: tuple[Hit, ...]
    cover: Cover | None
    prices: tuple[Fault, ...]

    def faults(self) -> list[Fault]:
        """Everything that is lacking: T01 for the negative list, T15 for the mandate, T15 and T16 for prices."""
        lacking = self.cover.faults() if self.cover is not None else []
        return [*(hit.fault() for hit in self.hits), *lacking, *self.prices]

    def refuse(self) -> None:
        """Raise OnNegativeList, NoMandate or AwaitCeiling, whichever comes first."""
        if self.hits:
            raise OnNegativeList(self.hits[0].why, rules=[hit.rule.code for hit in self.hits])
        if self.cover is not None and self.cover.mandate is None:
            [fault] = self.cover.faults()
            raise NoMandate(fault.words, gaps=[words.both() for words in self.cover.gaps])
        if self.prices:
            raise AwaitCeiling(self.prices[0].words, rules=[fault.rule for fault in self.prices])


def declared(product: Product, asset: Asset) -> Declared:
    """申报事实. What the asset declares, and what the product adds to it."""
    facts = barred.declared(asset)
    texts = (product.title_zh, product.title_en, product.summary_zh, product.summary_en, *product.keywords)
    return replace(
        facts,
        texts=(*facts.texts, *texts),
        codes=(*facts.codes, product.slug),
        delivery=frozenset(mode for mode in DeliveryMode if mode in product.delivery),
    )


def resource_of(product: Product, asset: Asset) -> Resource:
    """What a mandate is asked about."""
    return Resource(
        number=asset.number or "",
        code=asset.code,
        unit=asset.provider_code,
        category=asset.category,
        industry=asset.industry,
        scenarios=tuple(product.scenarios),
    )


def regulated(product: Product, asset: Asset) -> bool:
    """Whether the product is public data on the commercial side."""
    return needs_mandate(product.tier, asset.supply or product.supply)


def grounds(
    view: View, product: Product, asset: Asset, plans: Sequence[Plan], purposes: Collection[Purpose]
) -> Grounds:
    """挂牌依据. What a product stands on now, offered under these plans for these purposes.

    A purpose that public data serves without a price needs no ceiling, and is not the mandate's to grant.
    """
    hits = tuple(negative_hits(view, declared(product, asset)))
    if not regulated(product, asset):
        return Grounds(hits, None, ())
    cover = mandates.covering(
        view,
        operator_id=product.provider_id,
        resource=resource_of(product, asset),
        purposes=[purpose for purpose in purposes if purpose in SALE],
    )
    sold = any(purpose in SALE for purpose in purposes)
    prices = [{name: getattr(plan, name) for name in PRICES} for plan in plans if sold]
    return Grounds(hits, cover, tuple(mandates.faults_of_prices(view, product.slug, prices)))


def grounds_of_listing(view: View, product: Product, listing: Listing) -> Grounds:
    """What a listed product stands on now, for everything it is offered for; its prices are left aside."""
    asset = source_of_product(view, product.asset_id, product.provider_id)
    return grounds(view, product, asset, (), Standing(**listing.standing).purposes)


def mandated_until(
    view: View, product_id: str, purposes: Collection[Purpose], *, bound: str
) -> datetime | None:
    """授权续接. Until when mandates that follow one another cover a product from now on; None when none does.

    They must cover all it is listed for, as its listing must; `purposes` count when it is listed no more.
    bound: the mandate that counts even while it is suspended.
    """
    product = view.session.get_one(Product, product_id)
    asset = view.session.get_one(Asset, product.asset_id)
    living = living_listing(view, product_id)
    wanted = Standing(**living.standing).purposes if living is not None else purposes
    return mandates.covered_until(
        view,
        operator_id=product.provider_id,
        resource=resource_of(product, asset),
        purposes=[purpose for purpose in wanted if purpose in SALE],
        bound=bound,
    )


def grounds_of_order(view: View, product: Product, plan: Plan, purpose: Purpose) -> Grounds:
    """What an order of one plan for one purpose stands on."""
    asset = source_of_product(view, product.asset_id, product.provider_id)
    return grounds(view, product, asset, [plan], (purpose,))
