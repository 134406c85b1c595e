"""挂牌要约 The standing offer of each plan: drawn up, hashed, and frozen when the provider accepts it."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from contracts import templates
from contracts.offers import Offer
from contracts.pages import plain_text
from contracts.templates import compose, content_hash
from contracts.terms import Price, Quota, Terms
from contracts.terms import Product as Licensed
from market.catalogue import queries
from market.catalogue.rules import PlanKind, Standing, standing_faults
from market.catalogue.tables import Plan, Product
from market.identity.queries import party
from market.identity.rules import Actor
from market.registry.queries import source_of_product
from storage.kernel import clock
from storage.kernel.canonical import digest
from storage.kernel.problem import Fault, Invalid
from storage.kernel.words import Words
from storage.unit import View

_ASK = Words(
    "有条件开放：提交订单并写明用途，经审核后签订使用协议，不收取费用。",
    "Conditionally open: place an order that says the purpose; after a review an agreement is signed, free of charge.",
)


def draw(view: View, product: Product, plans: Sequence[Plan], standing: Standing) -> list[Offer]:
    """拟定要约. One offer per plan, in their order.

    Raises TemplateNotFound, AddressMissing, and Invalid for terms or slots that cannot be offered.
    """
    asset = source_of_product(view, product.asset_id, product.provider_id)
    if faults := standing_faults(product.tier, standing, [right["kind"] for right in asset.rights]):
        raise Invalid(*faults)
    template = templates.load(standing.template_slug, standing.template_version)
    if faults := slot_faults(template, standing, paid=any(plan.kind is not PlanKind.FREE for plan in plans)):
        raise Invalid(*faults)
    seller = party(view, product.provider_id).signatory()
    licensed = Licensed(id=product.id, slug=product.slug, title=Words(product.title_zh, product.title_en))
    return [
        Offer(
            template_slug=template.slug,
            template_version=template.version,
            template_sha256=template.sha256,
            tier=product.tier,
            product=licensed,
            version_rule=standing.version_rule,
            purposes=standing.purposes,
            territory=standing.territory,
            delivery=tuple(product.delivery),
            rights=standing.rights,
            quota=Quota(
                calls=plan.included_calls, rows=plan.included_rows, downloads=plan.included_downloads
            ),
            price=Price(
                call_fen=plan.call_fen,
                row_fen=plan.row_fen,
                download_fen=plan.download_fen,
                fee_fen=plan.fee_fen,
                per_hit=plan.per_hit,
                tax_rate_bp=plan.tax_rate_bp,
            ),
            min_prepay_fen=standing.min_prepay_fen,
            months=standing.months,
            seller=seller,
            slots=standing.slots,
        )
        for plan in plans
    ]


def slot_faults(template: templates.Template, standing: Standing, *, paid: bool) -> list[Fault]:
    """What is wrong with the blanks the provider fills in; the buyer's own are filled at the order.

    paid: whether any plan has a price; then the payee's account is asked for.
    """
    ours = {slot.name: slot for slot in template.to_fill() if slot.source != "order"}
    faults = [
        Fault(f"slots.{name}", "extra_forbidden", Words("没有这个要素。", "There is no such slot."))
        for name in sorted(standing.slots.keys() - ours.keys())
    ]
    for name, slot in ours.items():
        value = standing.slots.get(name, slot.default)
        needed = slot.required or (paid and slot.required_when == "paid")
        faults += slot.check(value, f"slots.{name}", required=needed)
    return faults


def hash_of(offers: Sequence[Offer]) -> str:
    """要约哈希. SHA-256 (hex) over the hashes of the plans' offers: what a provider accepts at listing."""
    return digest([offer.hash for offer in offers])


def standing_hash(view: View, actor: Actor, product_id: str, standing: Standing) -> str:
    """The hash to show beside the offer before it is accepted. Raises NotFound, and what `draw` raises."""
    product = queries.own_product(view, actor, product_id)
    return hash_of(draw(view, product, queries.plans(view, product.id), standing))


def open_license(offer: Offer, version: int) -> dict[str, Any]:
    """开放许可. The license anybody accepts by taking public-good data: names, whole text, and its hash.

    The text follows from the frozen offer and the version alone, so the same data always says the same.
    """
    template = templates.load(offer.template_slug, offer.template_version)
    if "buyer" in template.parties:  # an agreement with each user: its text is made when one asks for it
        return {
            "number": f"{template.code}-{offer.product.slug}",
            "name": template.title.both(),
            "sha256": template.sha256,
            "text": _ASK.both(),
        }
    terms = Terms(
        tier=offer.tier,
        product=offer.product,
        version=str(version),
        version_rule=offer.version_rule,
        purposes=offer.purposes,
        scenario="按许可文本向社会开放 open to everybody under this license",
        territory=offer.territory,
        delivery=offer.delivery,
        rights=offer.rights,
        seller=offer.seller,
    )
    number = f"{template.code}-{offer.product.slug}-{version}"
    # A license for everybody has no day of signing: it counts from the version it covers.
    content = compose(template, terms, offer.slots, number=number, dated=date(2026, 1, 1))
    return {
        "number": number,
        "name": template.title.both(),
        "sha256": content_hash(content),
        "text": {lang: plain_text(content, lang) for lang in ("zh", "en")},
    }


def freeze(plan: Plan, offer: Offer, *, by: str) -> None:
    """接受要约. Keep the offer with the plan as it was accepted; orders refer to it by its hash."""
    plan.offer, plan.offer_hash = offer.document(), offer.hash
    plan.offer_accepted_by, plan.offer_accepted_at = by, clock.now()
