"""上架与撤架 What is listed stands on the gateway's shelf and in the search, what is not does neither."""

from typing import Any

from contracts.offers import Offer
from contracts.terms import Tier
from market.catalogue.offers import open_license
from market.catalogue.queries import plans
from market.catalogue.search import index_product, remove_product
from market.catalogue.tables import Product, Version
from market.policy.inputs import OpenAttr
from market.registry.queries import source_of_product
from metering import actions as metering
from storage.unit import Unit


def put_on_shelf(unit: Unit, product: Product, version: Version) -> None:
    """上架. Write the product's current version downward to the gateway, and into the search."""
    metering.shelve(
        unit,
        product_id=product.id,
        slug=product.slug,
        tier=str(product.tier),
        title_zh=product.title_zh,
        title_en=product.title_en,
        provider_id=product.provider_id,
        version=version.number,
        manifest=version.manifest,
        delivery=product.delivery,
        license_note=_license_note(unit, product, version),
    )
    columns = " ".join(f"{entry['name']} {entry['zh']} {entry['en']}" for entry in version.dictionary)
    index_product(
        unit,
        product.id,
        title=f"{product.title_zh} {product.title_en}",
        words=" ".join(
            [
                *product.keywords,
                *product.scenarios,
                product.zone.words.zh,
                product.zone.words.en,
                product.slug,
            ]
        ),
        body=f"{product.summary_zh} {product.summary_en} {product.description} {columns}",
    )


def take_off_shelf(unit: Unit, product: Product, *, reason: str, code: str | None = None) -> None:
    """撤架. The very next request at the gateway is refused, and the search forgets the product.

    code: what license holders are told as the gate's reason, instead of `taken_down`.
    """
    metering.unshelve(unit, product.id, reason=reason, code=code)
    remove_product(unit, product.id)


def _license_note(unit: Unit, product: Product, version: Version) -> dict[str, Any]:
    """许可提示. What the gateway says beside the data; public-good data carries its whole license."""
    asset = source_of_product(unit, product.asset_id, product.provider_id)
    note: dict[str, Any] = {
        "tier": str(product.tier),
        "open": str(asset.open_attr or ""),
        "asset": asset.number or "",
    }
    accepted = next((plan.offer for plan in plans(unit, product.id) if plan.offer is not None), None)
    if product.tier is Tier.PUBLIC_GOOD and accepted is not None:
        note |= open_license(Offer(**accepted), version.number)
        note["conditional"] = asset.open_attr is OpenAttr.CONDITIONAL
    return note
