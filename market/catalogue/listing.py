"""挂牌 Submit, decide, suspend, resume and end a listing; the shelf follows in the same Unit."""

from sqlmodel import col, select

from contracts.terms import DeliveryMode, Tier
from market.approvals import actions as approvals
from market.approvals.queries import decided_by, kind_of
from market.approvals.queries import going as waiting_case
from market.approvals.rules import CaseKind, CaseState, Ground, reason_faults
from market.approvals.tables import Case
from market.catalogue import asking, offers, queries, tiering
from market.catalogue.actions import own_product, refuse_locked
from market.catalogue.grounds import grounds
from market.catalogue.problems import AssetNotRegistered, FreeTwinNeeded, OfferDiffers
from market.catalogue.rules import (
    LISTING,
    PRODUCT_STATE,
    Hold,
    ListingState,
    Price,
    ProductState,
    Profile,
    Standing,
    interface_faults,
    profile_faults,
)
from market.catalogue.shelving import put_on_shelf, take_off_shelf
from market.catalogue.tables import Listing, Product
from market.catalogue.tiering import Judged
from market.identity.problems import PartyUnverified
from market.identity.rules import Actor, OrgKind, Permission
from market.lists.actions import steady
from market.policy.queries import in_force
from market.registry.queries import source_of_product
from market.registry.rules import AssetState
from market.screening.queries import screened
from storage.kernel import clock
from storage.kernel.ids import new_id
from storage.kernel.problem import Fault, Invalid, NotFound, Problem
from storage.kernel.words import Words
from storage.unit import Unit, View

CORRECTED = "已按意见补正 corrected as asked"


def submit_listing(
    unit: Unit, actor: Actor, product_id: str, *, standing: Standing, offer_sha256: str, note: str = ""
) -> Listing:
    """申请挂牌. Accept the standing offer and ask for approval; after a return the same case goes on.

    note: what was corrected since the return. offer_sha256: what `offers.standing_hash` gave for the offer shown to the provider, who accepts it
    by this act. Raises Forbidden, PartyUnverified, NotFound, ListingLocked, AssetNotRegistered,
    TemplateNotFound, OfferDiffers, Invalid with every fault at once.
    """
    actor.require(Permission.LISTING_PROPOSE)
    actor.require(Permission.OFFER_ACCEPT)
    steady(unit)
    product = own_product(unit, actor, product_id)
    if not actor.party_verified:
        raise PartyUnverified(party=actor.own_org)
    refuse_locked(unit, product)
    provider_kind = actor.org_kind or OrgKind.ENTERPRISE
    judgments = _check(unit, product, provider_kind, standing)
    plans = queries.plans(unit, product.id)
    drawn = offers.draw(unit, product, plans, standing)
    if (present := offers.hash_of(drawn)) != offer_sha256:
        raise OfferDiffers(offer=present)
    now, rules = clock.now(), in_force(unit).pack.version
    for plan, offer in zip(plans, drawn, strict=True):
        offers.freeze(plan, offer, by=actor.id)
        unit.session.add(plan)
    listing = queries.living_listing(unit, product.id)
    if listing is None:
        listing = Listing(
            id=new_id("lst"),
            product_id=product.id,
            provider_id=product.provider_id,
            provider_kind=provider_kind,
            rules_version=rules,
            standing={},
            offer_sha256=offer_sha256,
            offer_accepted_by=actor.id,
            offer_accepted_at=now,
        )
    listing.state = LISTING.after(listing.state, "submit")
    listing.provider_kind, listing.rules_version = provider_kind, rules
    listing.offer_sha256, listing.offer_accepted_by, listing.offer_accepted_at = offer_sha256, actor.id, now
    listing.standing, listing.submitted_at = standing.model_dump(mode="json"), now
    needs = tiering.approvals_needed(judgments)
    stands_on = ground_of(unit, listing)
    going = waiting_case(unit, f"listing:{listing.id}")
    if going is None:
        case = approvals.open_case(
            unit,
            kind=CaseKind.LISTING,
            subject=f"listing:{listing.id}",
            submitted_by=actor.id,
            submitted_org=actor.own_org,
            needs=needs,
            ground=stands_on,
        )
    else:  # it was returned: the same case goes on
        case = approvals.resubmit(
            unit, actor, going.id, note=note.strip() or CORRECTED, needs=needs, ground=stands_on
        )
    listing.case_id = case.id
    unit.session.add(listing)
    unit.session.flush()
    tiering.keep(unit, listing, "submitted", judgments, by=actor.id)
    unit.record(
        "listing.submitted",
        f"listing:{listing.id}",
        product=product.id,
        case=case.id,
        offer=offer_sha256,
        rules_version=rules,
    )
    return listing


def decide_listing(
    unit: Unit,
    actor: Actor,
    case_id: str,
    *,
    approve: bool,
    reason: str,
    expected_version: int | None = None,
) -> Listing:
    """审批挂牌. The approval that decides puts the product on the shelf; a rejection returns the listing.

    Raises what `approvals.decide` raises; Invalid or AssetNotRegistered when the ground has gone
    since submission; TierUndecided while a purpose is in manual review.
    """
    if kind_of(unit, case_id) is not CaseKind.LISTING:
        actor.require(Permission.LISTING_APPROVE)
        raise NotFound(case=case_id)
    steady(unit)
    case = approvals.decide(
        unit, actor, case_id, approve=approve, reason=reason, expected_version=expected_version
    )
    return settle_listing(unit, case, reason)


def settle_listing(unit: Unit, case: Case, reason: str) -> Listing:
    """办结挂牌审批. What a case's outcome does to its listing; nothing while a second decision is missing.

    Raises Invalid or AssetNotRegistered when the ground of an approval has gone since submission.
    """
    listing, product = _locked(unit, case.subject.removeprefix("listing:"))
    if case.state is CaseState.WAITING:
        return listing  # the first of two
    listing.reason = reason.strip()
    if case.state is CaseState.CANCELLED:
        verb = "withdraw" if listing.state is ListingState.SUBMITTED else None
        if verb:
            _move(unit, listing, product, verb, reason=listing.reason)
        return listing
    if case.state is not CaseState.APPROVED:
        if listing.state is ListingState.SUBMITTED:
            _move(unit, listing, product, "return", reason=listing.reason)
        return listing
    _judge_again(unit, decided_by(unit, case), listing, product, "approved")
    listing.listed_at = product.listed_at = clock.now()
    _move(unit, listing, product, "approve", reason=listing.reason)
    return listing


def withdraw_listing(unit: Unit, actor: Actor, product_id: str) -> Listing:
    """撤回送审. The provider takes the listing back before it is decided.

    Raises Forbidden, NotFound, AlreadyDecided, WrongState.
    """
    actor.require(Permission.LISTING_PROPOSE)
    waiting = queries.living_listing(unit, product_id)
    if waiting is None or waiting.provider_id != actor.own_org or waiting.case_id is None:
        raise NotFound(product=product_id)
    going = waiting_case(unit, f"listing:{waiting.id}")
    if going is None or going.state is CaseState.WAITING:
        LISTING.after(waiting.state, "withdraw")
    case = approvals.cancel_case(unit, waiting.case_id)  # the case is locked first, as in a decision
    return settle_listing(unit, case, "")


def suspend_listing(unit: Unit, actor: Actor, product_id: str, *, reason: str) -> Listing:
    """暂停挂牌. Compliance takes the product off the shelf at once.

    Raises Forbidden, NotFound, WrongState, Invalid (reason).
    """
    actor.require(Permission.LICENSE_SUSPEND)
    return _end(unit, product_id, "suspend", reason)


def resume_listing(unit: Unit, actor: Actor, product_id: str, *, reason: str) -> Listing:
    """恢复挂牌. Compliance puts it back, if everything that was checked still holds.

    Raises Forbidden, NotFound, WrongState, Invalid, AssetNotRegistered, TierUndecided.
    """
    actor.require(Permission.LICENSE_SUSPEND)
    steady(unit)
    listing, product = _locked_of(unit, product_id)
    LISTING.after(listing.state, "resume")
    why = _reasoned(reason)
    _judge_again(unit, actor.id, listing, product, "resumed")
    listing.reason = why
    _move(unit, listing, product, "resume", reason=why)
    return listing


def hold_listing(unit: Unit, product_id: str, hold: Hold, *, reason: str, code: str) -> Listing:
    """自动暂停. The ground a listed product stood on is gone: it leaves the shelf in this Unit.

    code: what license holders are told as the gate's reason. Raises NotFound, WrongState.
    """
    listing, product = _locked_of(unit, product_id)
    LISTING.after(listing.state, "suspend")
    listing.reason, listing.hold = reason[:500], hold
    _move(unit, listing, product, "suspend", reason=listing.reason, code=code)
    return listing


def release_listing(unit: Unit, product_id: str, *, reason: str) -> Listing | None:
    """自动恢复. The ground is back: a product held by itself returns, if everything else still holds too.

    Returns None when it stays where it is; compliance then looks at it.
    """
    listing, product = _locked_of(unit, product_id)
    if listing.state is not ListingState.SUSPENDED or listing.hold is None:
        return None
    try:
        tiering.refuse_undecided(_check(unit, product, listing.provider_kind, Standing(**listing.standing)))
    except Problem as lacking:
        unit.record("listing.kept_held", f"listing:{listing.id}", product=product.id, problem=lacking.slug())
        return None
    listing.reason = reason[:500]
    _move(unit, listing, product, "resume", reason=listing.reason)
    return listing


def delist(unit: Unit, actor: Actor, product_id: str, *, reason: str) -> Listing:
    """摘牌. The provider (or compliance) ends the listing for good.

    Raises Forbidden, NotFound, WrongState, Invalid, FreeTwinNeeded (rule T20).
    """
    if not actor.may(Permission.LICENSE_SUSPEND):
        actor.require(Permission.LISTING_PROPOSE)
        own_product(unit, actor, product_id)
    return _end(unit, product_id, "delist", reason)


def suspend_groundless(unit: Unit, product_id: str, *, reason: str, code: str | None = None) -> bool:
    """登记终止停牌. The ground a listing stands on is gone: off the shelf at once. Says whether it was listed.

    code: what license holders are told as the gate's reason, instead of `taken_down`.
    """
    living = queries.living_listing(unit, product_id)
    if living is None:
        return False
    listing, product = _locked(unit, living.id)
    if listing.state is not ListingState.LISTED:
        return False
    listing.reason = reason
    _move(unit, listing, product, "suspend", reason=reason, code=code)
    return True


def recheck_listing(unit: Unit, product_id: str) -> list[str]:
    """变更后复核. Look again at what a listing stands on; what no longer holds suspends it. Returns the rules broken."""
    living = queries.living_listing(unit, product_id)
    if living is None or living.state is not ListingState.LISTED:
        return []
    listing, product = _locked(unit, living.id)
    before = (product.grade, product.supply)
    try:
        _check(unit, product, listing.provider_kind, Standing(**listing.standing))
    except (Invalid, NotFound, AssetNotRegistered) as problem:
        product.grade, product.supply = before  # what was sold under stays written as it was
        broken = (
            [fault.rule for fault in problem.faults] if isinstance(problem, Invalid) else [problem.slug()]
        )
        listing.reason = (
            "登记变更后复核未通过 no longer in order after a change of the registration: " + ", ".join(broken)
        )
        _move(unit, listing, product, "suspend", reason=listing.reason)
        return broken
    unit.session.add(product)
    unit.record("listing.rechecked", f"listing:{listing.id}", product=product.id)
    return []


def _end(unit: Unit, product_id: str, verb: str, reason: str) -> Listing:
    listing, product = _locked_of(unit, product_id)
    LISTING.after(listing.state, verb)
    why = _reasoned(reason)
    if verb == "delist" and product.tier is Tier.PUBLIC_GOOD:
        _refuse_lonely_commercial(unit, product)
    listing.reason = why
    if verb == "delist":
        listing.ended_at = clock.now()
    _move(unit, listing, product, verb, reason=why)
    return listing


def _move(
    unit: Unit, listing: Listing, product: Product, verb: str, *, reason: str, code: str | None = None
) -> None:
    """One step of the listing; product, shelf and search follow in the same Unit."""
    listing.state = LISTING.after(listing.state, verb)
    if verb != "suspend":
        listing.hold = None
    before, product.state = product.state, PRODUCT_STATE[listing.state]
    unit.session.add_all([listing, product])
    unit.session.flush()
    past = {"withdraw": "withdrawn", "resume": "resumed"}.get(verb, str(listing.state))
    hold = {"hold": str(listing.hold)} if listing.hold else {}
    unit.record(f"listing.{past}", f"listing:{listing.id}", product=product.id, reason=reason, **hold)
    if product.state is ProductState.LISTED:
        version = queries.newest_version(unit, product.id)
        assert version is not None  # checked before every move to the shelf
        put_on_shelf(unit, product, version)
    elif before is ProductState.LISTED:
        take_off_shelf(unit, product, reason=reason, code=code)


def ground_of(view: View, listing: Listing) -> Ground:
    """送审依据. What a listing stands on now, for the one who decides and to compare with what was submitted."""
    product = view.session.get_one(Product, listing.product_id)
    asset = source_of_product(view, product.asset_id, product.provider_id)
    plans = queries.plans(view, product.id)
    broken = tiering.broken_rules(view, product, listing.provider_kind, Standing(**listing.standing))
    version = queries.newest_version(view, product.id)
    return asking.ground(product, asset, plans, version, listing, broken, in_force(view).pack.version)


def _judge_again(unit: Unit, by: str, listing: Listing, product: Product, moment: str) -> None:
    """What held at submission must hold now, under the rules that are in force now."""
    judgments = _check(unit, product, listing.provider_kind, Standing(**listing.standing))
    tiering.refuse_undecided(judgments)
    listing.rules_version = in_force(unit).pack.version
    tiering.keep(unit, listing, moment, judgments, by=by)


def _check(unit: Unit, product: Product, provider_kind: OrgKind, standing: Standing) -> tuple[Judged, ...]:
    """Everything a listing stands on, all faults in one Invalid; returns what the tier engine said."""
    asset = source_of_product(unit, product.asset_id, product.provider_id)
    if asset.state is not AssetState.REGISTERED or asset.grade is None or asset.supply is None:
        raise AssetNotRegistered(asset=asset.id, state=str(asset.state))
    if asset.valid_until is not None and asset.valid_until <= clock.now():
        raise AssetNotRegistered(asset=asset.id, state="expired")
    product.grade, product.supply = screened(unit, asset).grade or asset.grade, asset.supply
    plans = queries.plans(unit, product.id)
    profile = Profile.model_validate(product)
    faults = profile_faults(profile)
    version = queries.newest_version(unit, product.id)
    faults += interface_faults(
        profile,
        [(plan.kind, Price.model_validate(plan, from_attributes=True)) for plan in plans],
        queries.interface(unit, product.id),
        released=version is not None and "interface" in version.manifest,
    )
    if version is None and DeliveryMode.API_CALL not in product.delivery:
        words = Words("请先发布至少一个清洗后的版本。", "Publish at least one cleansed version first.")
        faults.append(Fault("version", "listing.version", words))
    if not plans:
        words = Words("请至少设置一个计价方案。", "Add at least one plan.")
        faults.append(Fault("plans", "listing.plan", words))
    if not product.delivery:
        words = Words("请至少选择一种交付方式。", "Choose at least one way of delivery.")
        faults.append(Fault("delivery", "required", words))
    judgments = tiering.judged(unit, product, asset, plans, standing, provider_kind)
    found = grounds(unit, product, asset, plans, standing.purposes)
    if faults := [*faults, *tiering.broken(product, judgments, found)]:
        raise Invalid(*faults)
    return judgments


def _refuse_lonely_commercial(unit: Unit, product: Product) -> None:
    siblings = unit.session.exec(
        select(Product).where(
            Product.asset_id == product.asset_id,
            Product.id != product.id,
            col(Product.state).in_([ProductState.LISTED, ProductState.SUSPENDED]),
        )
    ).all()
    sold = [sibling.slug for sibling in siblings if sibling.tier is Tier.COMMERCIAL]
    free = [sibling.slug for sibling in siblings if sibling.tier is Tier.PUBLIC_GOOD]
    if sold and not free:
        raise FreeTwinNeeded(product=product.id, commercial=sold)


def _locked(unit: Unit, listing_id: str) -> tuple[Listing, Product]:
    # Always the product before its listing, so that two movers wait and never deadlock.
    fresh = {"populate_existing": True}
    owner = select(Listing.product_id).where(Listing.id == listing_id).scalar_subquery()
    product = select(Product).where(Product.id == owner).with_for_update()
    found = unit.session.exec(product.execution_options(**fresh)).one()
    listing = select(Listing).where(Listing.id == listing_id).with_for_update()
    return unit.session.exec(listing.execution_options(**fresh)).one(), found


def _locked_of(unit: Unit, product_id: str) -> tuple[Listing, Product]:
    living = queries.living_listing(unit, product_id)
    if living is None:
        raise NotFound(product=product_id)
    return _locked(unit, living.id)


def _reasoned(reason: str) -> str:
    if faults := reason_faults(reason):
        raise Invalid(*faults)
    return reason.strip()
