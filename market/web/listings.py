"""The standing offer of a product: write it, read the contract it makes, accept it by its hash."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from contracts import templates
from contracts.offers import Offer
from contracts.slots import Slot
from contracts.terms import Purpose, RightKind, Territory, Tier, VersionRule
from market.catalogue import listing, offers, queries
from market.catalogue.rules import PlanKind, Standing
from market.catalogue.tables import Product
from market.http.render import page
from market.http.who import ActorDep, HouseDep, allow
from market.identity.rules import Actor, Permission
from market.policy.inputs import OpenAttr
from market.registry import queries as registry
from market.registry.tables import Asset
from market.web.drafts import draft_texts
from market.web.forms import GUARDED, Form, FormDep, again, leave
from market.web.slots import slot_field, slot_value
from market.web.values import at_fields, build, fen, gathered, whole
from storage.kernel.problem import Invalid
from storage.unit import View

router = APIRouter(
    prefix="/products/{product_id}/listing", dependencies=[*GUARDED, allow(Permission.LISTING_PROPOSE)]
)
ENUMS: dict[str, Any] = {
    "Purpose": Purpose,
    "RightKind": RightKind,
    "Territory": Territory,
    "VersionRule": VersionRule,
}
_CONTRACTS = {Tier.PUBLIC_GOOD: ("open-license", "conditional-open"), Tier.COMMERCIAL: ("data-provision",)}


def _template(form: Form, product: Product, asset: Asset) -> templates.Template:
    """The contract chosen, or the one that suits the asset's openness."""
    offered = _CONTRACTS[product.tier]
    fitting = offered[-1] if asset.open_attr is OpenAttr.CONDITIONAL else offered[0]
    return templates.latest(form["template"] if form["template"] in offered else fitting)


def _ours(template: templates.Template) -> list[Slot]:
    """The blanks that are the provider's to fill."""
    return [slot for slot in template.to_fill() if slot.source != "order"]


@router.get("")
def offer(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, product_id: str) -> Response:
    """挂牌要约 · The form of what every buyer is offered alike."""
    with house.store.view() as view:
        product, asset = _own(view, actor, product_id)
        living = queries.living_listing(view, product.id)
        plans = queries.plans(view, product.id)
    template = _template(form, product, asset)
    slots = _ours(template)
    if request.method == "GET":
        form = _filled(form, slots, product, asset, living.standing if living else {})
    paid = any(plan.kind is not PlanKind.FREE for plan in plans)
    return page(
        request,
        "product_listing.html",
        form=form,
        product=product,
        living=living,
        plans=plans,
        template=template,
        choices=[templates.latest(slug) for slug in _CONTRACTS[product.tier]],
        needed=[slot for slot in slots if _is_needed(slot, paid=paid)],
        others=[slot for slot in slots if not _is_needed(slot, paid=paid)],
        paid=paid,
        **ENUMS,
    )


def _own(view: View, actor: Actor, product_id: str) -> tuple[Product, Asset]:
    product = queries.own_product(view, actor, product_id)
    return product, registry.source_of_product(view, product.asset_id, actor.own_org)


def _is_needed(slot: Slot, *, paid: bool) -> bool:
    return slot.default is None and (slot.required or (paid and slot.required_when == "paid"))


def _filled(
    form: Form, slots: Sequence[Slot], product: Product, asset: Asset, before: dict[str, Any]
) -> Form:
    """What was offered last time; else what the asset already says."""
    known = {
        "data_content": asset.abstract_zh,
        "data_scale": f"{asset.scale} {asset.scale_unit}".strip() if asset.scale else "",
        "data_source": asset.source_kind.words.zh if asset.source_kind else "",
        "update_cycle": asset.update_cycle.words.zh if asset.update_cycle else "",
        "registration": asset.number or "",
        "time_range": f"{asset.coverage_from} 至 {asset.coverage_until or '今'}"
        if asset.coverage_from
        else "",
        "grade": str(product.grade),
    }
    given = before.get("slots", {})
    values = {
        f"slots.{slot.name}": slot_field(slot, given.get(slot.name, known.get(slot.name) or slot.default))
        for slot in slots
    }
    commercial = product.tier is Tier.COMMERCIAL
    usual = (
        [Purpose.INDUSTRY, Purpose.INTERNAL_BUSINESS]
        if commercial
        else [Purpose.GOVERNANCE, Purpose.PUBLIC_WELFARE, Purpose.RESEARCH_NONPROFIT, Purpose.PERSONAL]
    )
    least = before.get("min_prepay_fen", 0)
    return form.filled(
        **values,
        purposes=before.get("purposes") or [purpose.value for purpose in usual],
        rights=before.get("rights") or [RightKind.USE.value],
        territory=before.get("territory", Territory.MAINLAND.value),
        version_rule=before.get("version_rule", VersionRule.LATEST.value),
        months=str(before.get("months", 12 if commercial else "") or ""),
        min_prepay_fen=f"{least // 100}.{least % 100:02d}" if least else "",
    )


def _standing(form: Form, template: templates.Template) -> Standing:
    """The form as a standing offer. Raises Invalid with every fault of form."""
    slots = _ours(template)

    def filled(slot: Slot) -> tuple[str, Any]:
        return slot.name, slot_value(slot, form)

    months, least, *pairs = gathered(
        partial(whole, form, "months"),
        partial(fen, form, "min_prepay_fen"),
        *(partial(filled, slot) for slot in slots),
    )
    return build(
        Standing,
        {
            "template_slug": template.slug,
            "template_version": template.version,
            "purposes": form.all("purposes"),
            "rights": form.all("rights"),
            "territory": form["territory"],
            "version_rule": form["version_rule"],
            "months": months,
            "min_prepay_fen": least,
            "slots": {name: value for name, value in pairs if value is not None},
        },
    )


@router.post("/change")
def change(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, product_id: str) -> Response:
    """修改要约 · Back from the preview to the form, with everything that was written."""
    return offer(request, house, actor, form, product_id)


@router.post("/preview")
@again(offer)
def preview(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, product_id: str) -> Response:
    """要约预览 · The contract as a buyer will read it, in both languages, and the hash that is accepted."""
    with house.store.view() as view:
        product, asset = _own(view, actor, product_id)
        template = _template(form, product, asset)
        standing = _standing(form, template)
        plans = queries.plans(view, product.id)
        drawn = _drawn(view, product, plans, standing)
    texts = {}
    if drawn:
        texts = draft_texts(drawn[0], str(product.current_version or 1), house.settings.timezone)
    return page(
        request,
        "product_offer.html",
        form=form,
        product=product,
        plans=plans,
        standing=standing,
        template=template,
        texts=texts,
        offer_sha256=offers.hash_of(drawn),
    )


def _drawn(view: View, product: Product, plans: Sequence[Any], standing: Standing) -> list[Offer]:
    try:
        return offers.draw(view, product, plans, standing)
    except Invalid as wrong:
        raise Invalid(*at_fields(wrong.faults, 2)) from wrong


@router.post("")
@again(offer)
def submit(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, product_id: str) -> Response:
    """申请挂牌 · Accept the standing offer with this hash and ask for approval."""
    with house.store.view() as view:
        product, asset = _own(view, actor, product_id)
    standing = _standing(form, _template(form, product, asset))
    try:
        with house.store.unit(actor.id, actor.org) as unit:
            listing.submit_listing(
                unit, actor, product_id, standing=standing, offer_sha256=form["offer_sha256"]
            )
    except Invalid as wrong:
        raise Invalid(*at_fields(wrong.faults, 2)) from wrong
    return leave(f"/products/{product_id}", done="listing_submitted")
