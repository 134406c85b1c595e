"""The public catalogue: search, one product's page, and what compliance may do to a listing."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from contracts.offers import Offer
from contracts.terms import DeliveryMode, Tier
from market.catalogue import listing, queries
from market.catalogue.rules import LISTING, ProductState, Zone
from market.http.render import page
from market.http.who import ActorDep, HouseDep, VisitorDep, allow
from market.identity.problems import Unauthenticated
from market.identity.queries import parties
from market.identity.rules import Actor, Permission
from market.registry.queries import asset_behind
from market.web.drafts import draft_texts
from market.web.forms import GUARDED, FormDep, again, leave
from market.web.prices import limited, priced
from market.web.values import page_number, picked
from storage.kernel.problem import NotFound
from storage.tabular.kinds import Kind

router = APIRouter(prefix="/catalog", dependencies=GUARDED)
STOP = allow(Permission.LICENSE_SUSPEND)


@router.get("")
def catalog(request: Request, house: HouseDep, form: FormDep) -> Response:
    """数据产品 · Search with facets; what cannot be read in the address is left aside."""
    tier, zone = picked(Tier, form["tier"]), picked(Zone, form["zone"])
    provider = form["provider"][:40] or None
    text, number = form["q"][:200], page_number(form["page"])
    with house.store.view() as view:
        found = queries.search(view, text, tier=tier, zone=zone, provider=provider, page=number)
        known = set(found.facets["provider"]) | {row.provider_id for row in found.products}
        providers = parties(view, known)
    facets = {
        "tier": [(item.value, item.words, found.facets["tier"].get(item.value, 0)) for item in Tier],
        "zone": [(name, Zone(name).words, count) for name, count in found.facets["zone"].items()],
        "provider": [
            (name, providers[name].name, count)
            for name, count in found.facets["provider"].items()
            if name in providers
        ],
    }
    return page(
        request,
        "catalog.html",
        found=found,
        providers=providers,
        facets=facets,
        chosen={"tier": tier and tier.value, "zone": zone and zone.value, "provider": provider},
        text=text,
        last=max(-(-found.total // queries.PAGE), 1),
    )


@router.get("/{slug}")
def product(request: Request, house: HouseDep, caller: VisitorDep, form: FormDep, slug: str) -> Response:
    """产品页 · Everything one can know before ordering."""
    with house.store.view() as view:
        shown = queries.product_page(view, caller.actor, slug)
        found = shown.product
        asset = asset_behind(view, found.asset_id)
        provider = parties(view, {found.provider_id}).get(found.provider_id)
    versions = [
        (row, {kind: file for kind, file in row.manifest["files"].items() if kind != "serving"})
        for row in shown.versions
    ]
    listed = found.state is ProductState.LISTED
    free = listed and found.tier is Tier.PUBLIC_GOOD
    return page(
        request,
        "catalog_product.html",
        form=form,
        product=found,
        shown=shown,
        versions=versions,
        plans=[(plan, priced(plan), limited(plan)) for plan in shown.plans],
        held=asset,
        provider=provider,
        listed=listed,
        free=free,
        Kind=Kind,
        delivery=[DeliveryMode(mode) for mode in found.delivery],
        verbs=_verbs(caller.actor, shown),
        address=f"{house.settings.public_url}/catalog/{found.slug}",
        dataset=_dataset(shown, provider.name if provider else "", house.settings.public_url)
        if listed
        else None,
    )


@router.get("/{slug}/contract")
def contract(request: Request, house: HouseDep, caller: VisitorDep, form: FormDep, slug: str) -> Response:
    """合同全文 · The accepted offer of a plan; a commercial one names bank accounts, so one signs in first."""
    with house.store.view() as view:
        shown = queries.product_page(view, caller.actor, slug)
    found = shown.product
    if found.tier is Tier.COMMERCIAL and caller.actor is None:
        raise Unauthenticated
    plan = next((row for row in shown.plans if row.id == form["plan"] and row.offer), None)
    if plan is None or plan.offer is None:
        raise NotFound(plan=form["plan"])
    texts = draft_texts(Offer(**plan.offer), str(found.current_version or 1), house.settings.timezone)
    return page(request, "catalog_contract.html", product=found, plan=plan, texts=texts)


def _verbs(actor: Actor | None, shown: queries.Page) -> set[str]:
    if actor is None or not actor.may(Permission.LICENSE_SUSPEND) or shown.listing is None:
        return set()
    return set(LISTING.verbs(shown.listing.state)) & {"suspend", "resume", "delist"}


def _dataset(shown: queries.Page, provider: str, base: str) -> dict[str, Any]:
    """The schema.org description of a listed product, for machines that read pages."""
    product = shown.product
    free = product.tier is Tier.PUBLIC_GOOD
    out: dict[str, Any] = {
        "@context": "https://schema.org",
        "@type": "Dataset",
        "name": [
            {"@language": "zh", "@value": product.title_zh},
            {"@language": "en", "@value": product.title_en},
        ],
        "description": product.summary_zh,
        "url": f"{base}/catalog/{product.slug}",
        "identifier": product.id,
        "keywords": product.keywords,
        "isAccessibleForFree": free,
        "creator": {"@type": "Organization", "name": provider},
        "license": f"{base}/open/v1/{product.slug}" if free else f"{base}/catalog/{product.slug}",
    }
    if shown.versions:
        out["version"] = str(shown.versions[0].number)
        out["dateModified"] = shown.versions[0].published_at.isoformat()
    if free:
        out["distribution"] = [
            {
                "@type": "DataDownload",
                "encodingFormat": {"csv": "text/csv"}.get(kind, "application/vnd.apache.parquet"),
                "contentUrl": f"{base}/open/v1/{product.slug}/files/{kind}",
            }
            for kind in ("csv", "parquet")
        ]
    return out


@router.post("/{slug}/suspension", dependencies=[STOP])
@again(product)
def suspend(
    request: Request, house: HouseDep, actor: ActorDep, caller: VisitorDep, form: FormDep, slug: str
) -> Response:
    """暂停挂牌 · Off the shelf at once."""
    with house.store.unit(actor.id, actor.org) as unit:
        found = queries.product(unit, actor, slug)
        listing.suspend_listing(unit, actor, found.id, reason=form["reason"][:500])
    return leave(f"/catalog/{slug}", done="listing_suspended")


@router.post("/{slug}/resumption", dependencies=[STOP])
@again(product)
def resume(
    request: Request, house: HouseDep, actor: ActorDep, caller: VisitorDep, form: FormDep, slug: str
) -> Response:
    """恢复挂牌 · Back on the shelf."""
    with house.store.unit(actor.id, actor.org) as unit:
        found = queries.product(unit, actor, slug)
        listing.resume_listing(unit, actor, found.id, reason=form["reason"][:500])
    return leave(f"/catalog/{slug}", done="listing_resumed")


@router.post("/{slug}/delisting", dependencies=[STOP])
@again(product)
def delist(
    request: Request, house: HouseDep, actor: ActorDep, caller: VisitorDep, form: FormDep, slug: str
) -> Response:
    """摘牌 · End the listing."""
    with house.store.unit(actor.id, actor.org) as unit:
        found = queries.product(unit, actor, slug)
        listing.delist(unit, actor, found.id, reason=form["reason"][:500])
    return leave(f"/catalog/{slug}", done="listing_ended")
