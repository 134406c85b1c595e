"""Draft products, publish versions, keep plans. Listing them is in `listing`."""

from collections.abc import Sequence

from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from contracts.terms import DeliveryMode
from market.catalogue import offers, queries
from market.catalogue.grounds import grounds
from market.catalogue.problems import (
    AssetNotRegistered,
    ListingLocked,
    PlanCodeTaken,
    RunPublished,
    SlugTaken,
    TierFixed,
)
from market.catalogue.rules import (
    ListingState,
    Meaning,
    Output,
    PlanKind,
    Price,
    ProductState,
    Profile,
    Standing,
    code_faults,
    manifest,
    plan_faults,
    public_sample,
    slug_faults,
    version_faults,
)
from market.catalogue.shelving import put_on_shelf
from market.catalogue.tables import Listing, Plan, Product, Version
from market.identity.rules import Actor, OrgKind, Permission
from market.lists.actions import steady
from market.registry.queries import source_of_product
from market.registry.rules import AssetState
from storage.kernel import clock
from storage.kernel.ids import new_id
from storage.kernel.problem import Fault, Invalid, NotFound, WrongState, invalid
from storage.kernel.words import Words
from storage.objects import Stored, keep
from storage.unit import Unit


def draft_product(unit: Unit, actor: Actor, *, slug: str, asset_id: str, profile: Profile) -> Product:
    """起草产品. A product made from a registered asset of the actor's organization.

    Raises Forbidden, NotFound (asset), AssetNotRegistered, Invalid (slug), SlugTaken.
    """
    actor.require(Permission.PRODUCT_BUILD)
    if faults := slug_faults(slug):
        raise Invalid(*faults)
    asset = source_of_product(unit, asset_id, actor.own_org)
    if asset.state is not AssetState.REGISTERED or asset.grade is None or asset.supply is None:
        raise AssetNotRegistered(asset=asset_id, state=str(asset.state))
    if unit.session.exec(select(Product.id).where(Product.slug == slug)).first():
        raise SlugTaken(slug=slug)
    product = Product(
        id=new_id("prd"),
        slug=slug,
        asset_id=asset.id,
        provider_id=actor.own_org,
        grade=asset.grade,
        supply=asset.supply,
        created_by=actor.id,
        created_at=clock.now(),
        **profile.columns(),
    )
    unit.session.add(product)
    try:
        unit.session.flush()
    except IntegrityError as error:
        raise SlugTaken(slug=slug) from error
    unit.record("product.drafted", f"product:{product.id}", slug=slug, asset=asset_id, tier=str(product.tier))
    return product


def edit_product(unit: Unit, actor: Actor, product_id: str, *, profile: Profile) -> Product:
    """修改产品. Only the fields set in `profile` change; drafts only, and not while they wait for approval.

    Raises Forbidden, NotFound, ListingLocked, TierFixed.
    """
    actor.require(Permission.PRODUCT_BUILD)
    product = own_product(unit, actor, product_id)
    refuse_locked(unit, product)
    changed = profile.columns(only_set=True)
    if changed.get("tier", product.tier) != product.tier and queries.plans(
        unit, product.id, active_only=False
    ):
        raise TierFixed(product=product.id)
    for name, value in changed.items():
        setattr(product, name, value)
    unit.session.add(product)
    unit.record("product.edited", f"product:{product.id}", fields=sorted(changed))
    return product


def publish_version(
    unit: Unit,
    actor: Actor,
    product_id: str,
    *,
    output: Output,
    dictionary: Sequence[Meaning] | None = None,
) -> Version:
    """发布版本. Make a finished run the newest version; a listed product serves it from this commit on.

    dictionary: None takes over the last version's. Raises Forbidden, NotFound, WrongState (delisted),
    ListingLocked (waiting for approval), Invalid, RunPublished.
    """
    actor.require(Permission.PRODUCT_BUILD)
    product = own_product(unit, actor, product_id)
    if product.state is ProductState.DELISTED:
        raise WrongState(thing="product", state=str(product.state), verb="publish", allowed=[])
    if product.state is ProductState.DRAFT:
        refuse_locked(unit, product)
    if DeliveryMode.API_CALL in product.delivery:
        raise invalid(
            "delivery",
            "interface.alone",
            "供方接口产品没有数据版本，请申报接口。",
            "A product of a provider's API has no cleansed versions: declare the API.",
        )
    before = queries.newest_version(unit, product.id)
    if dictionary is None:
        dictionary = [Meaning(**entry) for entry in before.dictionary] if before else []
    if faults := version_faults(product.asset_id, output, dictionary):
        raise Invalid(*faults)
    if held := queries.version_of_run(unit, product.id, output.run_id):
        raise RunPublished(version=held.number)
    now, number = clock.now(), before.number + 1 if before else 1
    version = Version(
        id=new_id("ver"),
        product_id=product.id,
        number=number,
        run_id=output.run_id,
        rows=output.rows,
        columns=[column.model_dump() for column in output.columns],
        manifest=manifest(output, number, now),
        sample=public_sample(product.grade, output.sample),
        dictionary=[meaning.model_dump() for meaning in dictionary],
        published_by=actor.id,
        published_at=now,
    )
    keep(unit, *(Stored(file.sha256, file.size) for file in output.files.values()))
    product.current_version = number
    unit.session.add_all([version, product])
    unit.session.flush()
    unit.record(
        "version.published",
        f"product:{product.id}",
        version=number,
        run=output.run_id,
        rows=output.rows,
        files={name: file.sha256 for name, file in output.files.items()},
    )
    if product.state is ProductState.LISTED:
        put_on_shelf(unit, product, version)
    return version


def add_plan(
    unit: Unit,
    actor: Actor,
    product_id: str,
    *,
    code: str,
    title_zh: str,
    title_en: str,
    kind: PlanKind,
    price: Price,
) -> Plan:
    """增加计价方案. Prices are for everybody alike (T19). A listed product may gain plans, not a waiting one.

    Beside a listing the new price keeps to its ceilings as the others do (T15, T16).
    Raises Forbidden, NotFound, ListingLocked, Invalid, PlanCodeTaken.
    """
    actor.require(Permission.LISTING_PROPOSE)
    actor.require(Permission.OFFER_ACCEPT)
    steady(unit)
    product = own_product(unit, actor, product_id)
    if product.state is ProductState.DRAFT:
        refuse_locked(unit, product)
    faults = plan_faults(product.tier, kind, price)
    if actor.org_kind is OrgKind.DEPARTMENT and price.highest_fen:
        faults.append(
            Fault("kind", "T08", Words("政务部门提供数据不得收费。", "A department never charges."))
        )
    faults += [
        Fault(name, "required", Words("请填写方案名称。", "Name the plan in both languages."))
        for name, title in (("title_zh", title_zh), ("title_en", title_en))
        if not 1 <= len(title.strip()) <= 100
    ]
    if faults := [*faults, *code_faults(code)]:
        raise Invalid(*faults)
    if any(plan.code == code for plan in queries.plans(unit, product.id, active_only=False)):
        raise PlanCodeTaken(code=code)
    plan = Plan(
        id=new_id("pln"),
        product_id=product.id,
        tier=product.tier,
        code=code,
        title_zh=title_zh.strip(),
        title_en=title_en.strip(),
        kind=kind,
        created_at=clock.now(),
        **price.model_dump(),
    )
    living = queries.living_listing(unit, product.id)
    if product.state is not ProductState.DRAFT and living is not None:
        asset = source_of_product(unit, product.asset_id, product.provider_id)
        standing = Standing(**living.standing)
        if lacking := grounds(unit, product, asset, [plan], standing.purposes).faults():
            raise Invalid(*lacking)
        # What stands beside an accepted offer is offered on the same terms, accepted by adding it.
        [offer] = offers.draw(unit, product, [plan], standing)
        offers.freeze(plan, offer, by=actor.id)
    unit.session.add(plan)
    unit.session.flush()
    unit.record(
        "plan.added",
        f"product:{product.id}",
        plan=plan.id,
        code=code,
        offer=plan.offer_hash,
        **price.model_dump(),
    )
    return plan


def retire_plan(unit: Unit, actor: Actor, plan_id: str) -> Plan:
    """停用计价方案. No new orders by it; running licenses keep their frozen price.

    Raises Forbidden, NotFound, ListingLocked (the product waits for approval), WrongState, and
    Invalid for the last plan of a listed product.
    """
    actor.require(Permission.LISTING_PROPOSE)
    found = unit.session.get(Plan, plan_id)
    if found is None:
        raise NotFound(plan=plan_id)
    product = own_product(unit, actor, found.product_id)
    if product.state is ProductState.DRAFT:
        refuse_locked(unit, product)
    if not found.active:
        raise WrongState(thing="plan", state="retired", verb="retire", allowed=[])
    if product.state is ProductState.LISTED and len(queries.plans(unit, product.id)) == 1:
        raise invalid(
            "plan", "plan.last", "在架产品至少保留一个方案。", "A listed product keeps at least one plan."
        )
    found.active, found.retired_at = False, clock.now()
    unit.session.add(found)
    unit.record("plan.retired", f"product:{product.id}", plan=found.id, code=found.code)
    return found


def own_product(unit: Unit, actor: Actor, product_id: str) -> Product:
    """The actor's organization's product, locked until the Unit ends. Raises NotFound."""
    query = select(Product).where(Product.id == product_id, Product.provider_id == actor.own_org)
    found = unit.session.exec(query.with_for_update()).first()
    if found is None:
        raise NotFound(product=product_id)
    return found


def refuse_locked(unit: Unit, product: Product) -> None:
    """Raise ListingLocked for a product that waits for approval or is past its draft."""
    waiting = unit.session.exec(
        select(Listing.id).where(
            Listing.product_id == product.id, col(Listing.state) == ListingState.SUBMITTED
        )
    ).first()
    if waiting or product.state is not ProductState.DRAFT:
        raise ListingLocked(product=product.id, listing=waiting, state=str(product.state))
