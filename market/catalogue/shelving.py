"""上架与撤架 What is listed stands on the gateway's shelf and in the search, what is not does neither."""

from typing import Any

from market.catalogue.search import index_product, remove_product
from market.catalogue.tables import Product, Version
from metering import actions as metering
from storage.unit import Unit


def put_on_shelf(unit: Unit, product: Product, version: Version, *, license_note: dict[str, Any]) -> None:
    """上架. Write the product's current version downward to the gateway, and into the search.

    license_note: what the gateway says beside the data ({"tier", "open", "asset"}).
    """
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
        license_note=license_note,
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


def take_off_shelf(unit: Unit, product: Product, *, reason: str) -> None:
    """撤架. The very next request at the gateway is refused, and the search forgets the product."""
    metering.unshelve(unit, product.id, reason=reason)
    remove_product(unit, product.id)
