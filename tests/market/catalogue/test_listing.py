"""A product reaches the shelf only through people of another organization, and leaves it in the same Unit."""

import threading
from typing import Any

import pytest
from sqlmodel import col, select

from contracts.terms import DeliveryMode, Purpose, Tier
from market.approvals.problems import AlreadyDecided, CaseMoved
from market.catalogue import actions, listing, offers, queries
from market.catalogue.problems import AssetNotRegistered, FreeTwinNeeded, ListingLocked, OfferDiffers
from market.catalogue.rules import ListingState, PlanKind, Price, ProductState, Profile
from market.catalogue.tables import Plan, Product
from market.identity.problems import Forbidden, OwnDecision, PartyUnverified
from market.identity.rules import Actor, OrgKind, Role
from market.policy import queries as policy
from market.policy.inputs import DataGrade, OpenAttr, SupplyKind
from market.registry.rules import AssetState
from market.registry.tables import Asset
from metering.tables import ShelfItem
from storage.journal import Entry
from storage.kernel.problem import Invalid, NotFound, WrongState
from storage.unit import Store
from tests.market.assets import registered, screen
from tests.market.people import (
    APPROVER,
    BUYER,
    COMPLIANCE,
    DEPARTMENT,
    OTHER_PROVIDER,
    PROVIDER,
    SECOND_APPROVER,
)
from tests.market.products import (
    DICTIONARY,
    approve,
    drafted_product,
    listed_product,
    output,
    ready_product,
    seated,
    submit,
    terms_of,
)

PER_CALL: dict[str, Any] = {"tier": Tier.COMMERCIAL, "kind": PlanKind.PER_CALL, "price": Price(call_fen=50)}


def states(store: Store, product_id: str) -> tuple[str, str | None]:
    with store.view() as view:
        product = view.session.get(Product, product_id)
        living = queries.living_listing(view, product_id)
    assert product is not None
    return str(product.state), str(living.state) if living else None


def kinds(store: Store, prefix: str) -> list[str]:
    with store.view() as view:
        query = select(Entry.kind).where(col(Entry.kind).startswith(prefix)).order_by(col(Entry.id))
        return list(view.session.exec(query))


def shelf(store: Store, product: Product) -> tuple[bool, int]:
    """Whether the gateway serves the product, and in which version."""
    with store.view() as view:
        item = view.session.get(ShelfItem, product.id)
    assert item is not None
    return item.served, item.current_version


def plan_of(store: Store, product: Product) -> Plan:
    with store.view() as view:
        return queries.plans(view, product.id)[0]


def test_an_approved_product_is_seen_found_and_shelved(store: Store) -> None:
    product = ready_product(store)
    case_id = submit(store, product)
    assert states(store, product.id) == ("draft", "submitted")
    with pytest.raises(NotFound), store.view() as view:
        queries.product_page(view, BUYER, product.slug)
    approve(store, case_id)
    assert states(store, product.id) == ("listed", "listed")
    with store.view() as view:
        page = queries.product_page(view, None, product.slug)
        assert [found.slug for found in queries.search(view, "客流").products] == [product.slug]
    assert len(page.sample) == 20
    assert [entry["name"] for entry in page.dictionary] == ["lot_id", "visits"]
    assert page.versions[0].manifest["files"].keys() == {"csv", "parquet"}
    assert len(page.plans) == 1
    assert shelf(store, product) == (True, 1)


def test_commercial_from_public_supply_needs_two_people(store: Store) -> None:
    product = ready_product(store, **PER_CALL)
    case_id = submit(store, product)
    approve(store, case_id)
    assert states(store, product.id) == ("draft", "submitted")
    approve(store, case_id, COMPLIANCE)
    assert states(store, product.id) == ("listed", "listed")


def test_public_data_is_not_listed_before_its_secrecy_review(store: Store) -> None:
    asset = registered(store, screened=False)
    product = ready_product(store, asset_id=asset.id)
    with pytest.raises(Invalid) as refusal:
        submit(store, product)
    assert [fault.rule for fault in refusal.value.faults] == ["T01"]
    assert "保密审查" in refusal.value.faults[0].words.zh
    screen(store, asset)
    approve(store, submit(store, product))
    assert states(store, product.id) == ("listed", "listed")


def test_every_decision_is_kept_and_replays_under_its_own_pack(store: Store) -> None:
    product = listed_product(store)
    with store.view() as view:
        living = queries.living_listing(view, product.id)
        assert living is not None
        kept = policy.decisions(view, f"listing:{living.id}")
        assert [(row.moment, row.inputs["purpose"]) for row in kept] == [
            ("submitted", "industry"), ("submitted", "internal_business"),
            ("approved", "industry"), ("approved", "internal_business"),
        ]  # fmt: skip
        assert all(policy.replayed(view, row)[1] for row in kept)
        assert {row.outcome["rule_ids"][0] for row in kept} == {"T10"}
    assert kinds(store, "tier.") == ["tier.decided"] * 4


def test_enterprise_supply_needs_one(store: Store) -> None:
    asset = registered(store, supply=SupplyKind.ENTERPRISE, open_attr=OpenAttr.CLOSED)
    product = ready_product(store, asset_id=asset.id, **PER_CALL)
    approve(store, submit(store, product))
    assert states(store, product.id) == ("listed", "listed")


def test_two_approvers_at_once_one_is_told(store: Store) -> None:
    product = ready_product(store)
    case_id = submit(store, product)
    outcomes: dict[str, str | None] = {}
    gate = threading.Barrier(2)

    def work(actor: Actor) -> None:
        gate.wait()
        try:
            with store.unit(actor.id, actor.org) as unit:
                listing.decide_listing(
                    unit, actor, case_id, approve=True, reason="符合挂牌要求", expected_version=1
                )
            outcomes[actor.id] = "decided"
        except (AlreadyDecided, CaseMoved) as refusal:
            outcomes[actor.id] = refusal.members["by"]

    threads = [threading.Thread(target=work, args=(actor,)) for actor in (APPROVER, SECOND_APPROVER)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes in (
        {APPROVER.id: "decided", SECOND_APPROVER.id: APPROVER.id},
        {SECOND_APPROVER.id: "decided", APPROVER.id: SECOND_APPROVER.id},
    )
    assert kinds(store, "shelf.") == ["shelf.shelved"]


def test_own_listing_wrong_role_and_foreign_product(store: Store) -> None:
    product = ready_product(store)
    case_id = submit(store, product)
    colleague = Actor("usr_c", PROVIDER.org, frozenset({Role.APPROVER}), OrgKind.MARKET_OPERATOR)
    with pytest.raises(OwnDecision):
        approve(store, case_id, colleague)
    for stranger in (BUYER, COMPLIANCE):
        with pytest.raises(Forbidden):
            approve(store, case_id, stranger)
    with pytest.raises(NotFound):
        approve(store, "cas_none")
    with pytest.raises(NotFound), store.unit(OTHER_PROVIDER.id, OTHER_PROVIDER.org) as unit:
        listing.withdraw_listing(unit, OTHER_PROVIDER, product.id)
    with pytest.raises(NotFound), store.unit(OTHER_PROVIDER.id, OTHER_PROVIDER.org) as unit:
        actions.edit_product(unit, OTHER_PROVIDER, product.id, profile=Profile(title_en="mine"))
    with store.view() as view:
        assert queries.product(view, APPROVER, product.slug).id == product.id
        for reader in (OTHER_PROVIDER, BUYER, None):
            with pytest.raises(NotFound):
                queries.product(view, reader, product.id)


def test_a_rejection_returns_it_and_it_may_come_again(store: Store) -> None:
    product = ready_product(store)
    approve(store, submit(store, product), agreed=False)
    assert states(store, product.id) == ("draft", "returned")
    with store.unit(PROVIDER.id, PROVIDER.org) as unit:
        actions.edit_product(unit, PROVIDER, product.id, profile=Profile(summary_zh="补充说明"))
    approve(store, submit(store, product))
    assert states(store, product.id) == ("listed", "listed")


def test_what_waits_or_is_listed_is_not_edited(store: Store) -> None:
    product = ready_product(store)
    case_id = submit(store, product)
    for _ in range(2):
        with pytest.raises(ListingLocked), store.unit(PROVIDER.id, PROVIDER.org) as unit:
            actions.edit_product(unit, PROVIDER, product.id, profile=Profile(title_zh="改"))
        if states(store, product.id)[0] == "draft":
            with pytest.raises(ListingLocked), store.unit(PROVIDER.id, PROVIDER.org) as unit:
                actions.publish_version(unit, PROVIDER, product.id, output=output(product.asset_id, "run_2"))
            approve(store, case_id)


def test_a_withdrawn_listing_closes_its_case(store: Store) -> None:
    product = ready_product(store)
    case_id = submit(store, product)
    with store.unit(PROVIDER.id, PROVIDER.org) as unit:
        listing.withdraw_listing(unit, PROVIDER, product.id)
    with pytest.raises(AlreadyDecided):
        approve(store, case_id)
    with pytest.raises(WrongState), store.unit(PROVIDER.id, PROVIDER.org) as unit:
        listing.withdraw_listing(unit, PROVIDER, product.id)
    assert states(store, product.id) == ("draft", "returned")


def test_everything_missing_is_told_at_once(store: Store) -> None:
    product = drafted_product(store, title_en="", delivery=())
    with pytest.raises(Invalid) as refusal, store.unit(PROVIDER.id, PROVIDER.org) as unit:
        listing.submit_listing(unit, PROVIDER, product.id, standing=terms_of(product), offer_sha256="")
    assert {fault.field for fault in refusal.value.faults} == {"title_en", "version", "plans", "delivery"}


def test_the_accepted_hash_must_be_of_the_present_offer(store: Store) -> None:
    product = ready_product(store)
    seated(store, PROVIDER)
    with store.view() as view:
        seen = offers.standing_hash(view, PROVIDER, product.id, terms_of(product))
    changed = terms_of(product).model_copy(update={"months": 6})
    with pytest.raises(OfferDiffers), store.unit(PROVIDER.id, PROVIDER.org) as unit:
        listing.submit_listing(unit, PROVIDER, product.id, standing=changed, offer_sha256=seen)
    empty = terms_of(product).model_copy(update={"slots": {"nonsense": 1}})
    with pytest.raises(Invalid) as refusal, store.unit(PROVIDER.id, PROVIDER.org) as unit:
        listing.submit_listing(unit, PROVIDER, product.id, standing=empty, offer_sha256=seen)
    assert {"slots.nonsense", "slots.data_source"} <= {fault.field for fault in refusal.value.faults}
    with pytest.raises(NotFound), store.view() as view:
        offers.standing_hash(view, OTHER_PROVIDER, product.id, terms_of(product))


def test_a_priced_offer_names_where_to_pay(store: Store) -> None:
    product = ready_product(store, **PER_CALL)
    seated(store, PROVIDER)
    slots = {name: value for name, value in terms_of(product).slots.items() if not name.startswith("payee")}
    standing = terms_of(product).model_copy(update={"slots": slots})
    with pytest.raises(Invalid) as refusal, store.view() as view:
        offers.standing_hash(view, PROVIDER, product.id, standing)
    fields = {fault.field for fault in refusal.value.faults}
    assert fields == {"slots.payee_name", "slots.payee_bank", "slots.payee_account"}


def test_public_good_asks_for_no_money_ahead_and_resale_needs_its_right(store: Store) -> None:
    free = ready_product(store, "free-parks")
    seated(store, PROVIDER)
    for product, changes, rule in (
        (free, {"min_prepay_fen": 1}, "offer.prepay"),
        (free, {"purposes": (Purpose.RESALE,)}, "rights.resale"),
    ):
        standing = terms_of(product).model_copy(update=changes)
        with pytest.raises(Invalid) as refused, store.unit(PROVIDER.id, PROVIDER.org) as unit:
            listing.submit_listing(unit, PROVIDER, product.id, standing=standing, offer_sha256="0" * 64)
        assert rule in {fault.rule for fault in refused.value.faults}
    assert states(store, free.id)[1] is None


def test_an_unverified_party_cannot_list(store: Store) -> None:
    product = ready_product(store)
    nobody = Actor(PROVIDER.id, PROVIDER.org, PROVIDER.roles, PROVIDER.org_kind)
    with pytest.raises(PartyUnverified), store.unit(nobody.id, nobody.org) as unit:
        listing.submit_listing(unit, nobody, product.id, standing=terms_of(product), offer_sha256="")


def test_a_department_never_charges(store: Store) -> None:
    product = drafted_product(store, actor=DEPARTMENT, tier=Tier.COMMERCIAL)
    with pytest.raises(Invalid) as refusal, store.unit(DEPARTMENT.id, DEPARTMENT.org) as unit:
        actions.add_plan(
            unit,
            DEPARTMENT,
            product.id,
            code="pay",
            title_zh="付费",
            title_en="Paid",
            kind=PlanKind.PER_CALL,
            price=Price(call_fen=1),
        )
    assert [fault.rule for fault in refusal.value.faults] == ["T08"]
    free = ready_product(store, "free-data", actor=DEPARTMENT)
    approve(store, submit(store, free, DEPARTMENT))
    assert states(store, free.id) == ("listed", "listed")


@pytest.mark.parametrize(
    ("grade", "rule"), [(DataGrade.G3, "T22"), (DataGrade.G4, "T22"), (DataGrade.IMPORTANT, "T02")]
)
def test_sensitive_grades_do_not_leave_as_files(store: Store, grade: DataGrade, rule: str) -> None:
    asset = registered(store, grade=grade)
    product = ready_product(store, asset_id=asset.id)
    with pytest.raises(Invalid) as refusal, store.unit(PROVIDER.id, PROVIDER.org) as unit:
        listing.submit_listing(unit, PROVIDER, product.id, standing=terms_of(product), offer_sha256="")
    assert rule in {fault.rule for fault in refusal.value.faults}


def test_grade_three_by_api_needs_two_and_shows_no_sample(store: Store) -> None:
    asset = registered(store, grade=DataGrade.G3)
    product = ready_product(store, asset_id=asset.id, delivery=(DeliveryMode.API,))
    case_id = submit(store, product)
    approve(store, case_id)
    assert states(store, product.id) == ("draft", "submitted")
    approve(store, case_id, COMPLIANCE)
    with store.view() as view:
        assert queries.product_page(view, None, product.slug).sample == []


def test_the_ground_is_checked_again_at_approval(store: Store) -> None:
    product = ready_product(store)
    case_id = submit(store, product)
    with store.unit("system:test") as unit:
        asset = unit.session.get(Asset, product.asset_id)
        assert asset is not None
        asset.state = AssetState.WITHDRAWN
        unit.record("asset.withdrawn", f"asset:{asset.id}")
    with pytest.raises(AssetNotRegistered):
        approve(store, case_id)
    assert states(store, product.id) == ("draft", "submitted")


def test_a_suspended_product_is_gone_and_comes_back(store: Store) -> None:
    product = listed_product(store)
    with pytest.raises(Forbidden), store.unit(PROVIDER.id, PROVIDER.org) as unit:
        listing.suspend_listing(unit, PROVIDER, product.id, reason="自行暂停")
    with store.unit(COMPLIANCE.id, COMPLIANCE.org) as unit:
        listing.suspend_listing(unit, COMPLIANCE, product.id, reason="来源存疑，暂停核查")
    assert states(store, product.id) == ("suspended", "suspended")
    assert shelf(store, product) == (False, 1)
    with store.view() as view:
        assert queries.search(view, "客流").total == 0
        assert queries.on_offer(view, product.id, plan_of(store, product).id) is None
        with pytest.raises(NotFound):
            queries.product(view, BUYER, product.slug)
    with store.unit(COMPLIANCE.id, COMPLIANCE.org) as unit:
        listing.resume_listing(unit, COMPLIANCE, product.id, reason="核查通过，恢复")
    with store.view() as view:
        assert queries.search(view, "客流").total == 1
    assert shelf(store, product) == (True, 1)
    assert kinds(store, "listing.") == [
        "listing.submitted",
        "listing.listed",
        "listing.suspended",
        "listing.resumed",
    ]


def test_the_free_twin_stays_while_a_commercial_one_is_sold(store: Store) -> None:
    free = listed_product(store)
    sold = listed_product(store, "car-parks-api", asset_id=free.asset_id, **PER_CALL)
    with pytest.raises(FreeTwinNeeded), store.unit(PROVIDER.id, PROVIDER.org) as unit:
        listing.delist(unit, PROVIDER, free.id, reason="不再提供")
    for product in (sold, free):
        with store.unit(PROVIDER.id, PROVIDER.org) as unit:
            listing.delist(unit, PROVIDER, product.id, reason="不再提供")
        assert states(store, product.id) == ("delisted", None)
    with pytest.raises(WrongState), store.unit(PROVIDER.id, PROVIDER.org) as unit:
        actions.publish_version(unit, PROVIDER, free.id, output=output(free.asset_id, "run_9"))
    with pytest.raises(NotFound), store.unit(OTHER_PROVIDER.id, OTHER_PROVIDER.org) as unit:
        listing.delist(unit, OTHER_PROVIDER, free.id, reason="不是我的")


def test_what_is_on_offer_is_what_was_accepted(store: Store) -> None:
    product = listed_product(store, **PER_CALL)
    plan = plan_of(store, product)
    with store.view() as view:
        offered = queries.on_offer(view, product.id, plan.id)
        assert queries.on_offer(view, "prd_other", plan.id) is None
    assert offered is not None
    assert (offered.accepted_by, offered.version, offered.supply) == (PROVIDER.id, 1, SupplyKind.PUBLIC)
    assert offered.offer.hash == plan.offer_hash
    assert offered.offer.price.call_fen == 50
    assert offered.offer.seller.id == PROVIDER.org


def test_a_plan_added_to_a_listed_product_is_on_offer_at_once(store: Store) -> None:
    product = listed_product(store, **PER_CALL)
    with store.unit(PROVIDER.id, PROVIDER.org) as unit:
        plan = actions.add_plan(
            unit,
            PROVIDER,
            product.id,
            code="month",
            title_zh="包月",
            title_en="Monthly",
            kind=PlanKind.SUBSCRIPTION,
            price=Price(fee_fen=99_900, included_calls=10_000),
        )
    with store.view() as view:
        offered = queries.on_offer(view, product.id, plan.id)
    assert offered is not None
    assert (offered.offer.price.fee_fen, offered.offer.quota.calls) == (99_900, 10_000)
    with store.unit(PROVIDER.id, PROVIDER.org) as unit:
        actions.retire_plan(unit, PROVIDER, plan.id)
    with store.view() as view:
        assert queries.on_offer(view, product.id, plan.id) is None
    with pytest.raises(Invalid), store.unit(PROVIDER.id, PROVIDER.org) as unit:
        actions.retire_plan(unit, PROVIDER, plan_of(store, product).id)


def test_a_new_version_of_a_listed_product_is_shelved_at_once(store: Store) -> None:
    product = listed_product(store)
    with store.unit(PROVIDER.id, PROVIDER.org) as unit:
        version = actions.publish_version(
            unit, PROVIDER, product.id, output=output(product.asset_id, "run_2"), dictionary=DICTIONARY
        )
    assert version.number == 2
    assert shelf(store, product) == (True, 2)


def test_states_of_product_and_listing_move_together() -> None:
    from market.catalogue.rules import LISTING, PRODUCT_STATE

    assert set(PRODUCT_STATE) == set(ListingState)
    for (_, verb), after in LISTING.moves.items():
        assert (PRODUCT_STATE[after] is ProductState.LISTED) == (verb in {"approve", "resume"})
