"""Products come from registered assets, versions never change, and the database itself keeps public-good free."""

from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from contracts.terms import Tier
from market.catalogue import actions, queries
from market.catalogue.problems import (
    AssetNotRegistered,
    PlanCodeTaken,
    RunPublished,
    SlugTaken,
    TierFixed,
)
from market.catalogue.rules import PlanKind, Price, Profile
from market.catalogue.tables import Plan, Version
from market.identity.problems import Forbidden
from storage.kernel import clock
from storage.kernel.problem import Invalid, NotFound
from storage.objects import StoredObject
from storage.unit import Store
from tests.market.assets import registered, submitted
from tests.market.people import BUYER, OTHER_PROVIDER, PROVIDER
from tests.market.products import DICTIONARY, PROFILE, drafted_product, output, ready_product


def test_only_ones_own_registered_asset_becomes_a_product(store: Store) -> None:
    waiting = submitted(store)
    with pytest.raises(AssetNotRegistered), store.unit(PROVIDER.id, PROVIDER.org) as unit:
        actions.draft_product(unit, PROVIDER, slug="too-soon", asset_id=waiting.id, profile=Profile())
    asset = registered(store, content="other")
    with pytest.raises(NotFound), store.unit(OTHER_PROVIDER.id, OTHER_PROVIDER.org) as unit:
        actions.draft_product(unit, OTHER_PROVIDER, slug="not-mine", asset_id=asset.id, profile=Profile())
    with pytest.raises(Forbidden), store.unit(BUYER.id, BUYER.org) as unit:
        actions.draft_product(unit, BUYER, slug="no-role", asset_id=asset.id, profile=Profile())


def test_a_slug_has_one_owner(store: Store) -> None:
    product = drafted_product(store)
    with pytest.raises(SlugTaken):
        drafted_product(store, asset_id=product.asset_id)
    for slug in ("ab", "-abc", "abc-", "a--b", "ABC", "停车", "a b c", "a" * 61, "abc\n"):
        with pytest.raises(Invalid):
            drafted_product(store, slug, asset_id=product.asset_id)


def test_an_edit_changes_only_what_it_names(store: Store) -> None:
    product = drafted_product(store)
    with store.unit(PROVIDER.id, PROVIDER.org) as unit:
        edited = actions.edit_product(unit, PROVIDER, product.id, profile=Profile(keywords=("停车",)))
    assert edited.keywords == ["停车"]
    assert edited.title_zh == PROFILE["title_zh"]


def test_the_tier_is_fixed_once_there_are_plans(store: Store) -> None:
    product = drafted_product(store)
    for tier in (Tier.COMMERCIAL, Tier.PUBLIC_GOOD):
        with store.unit(PROVIDER.id, PROVIDER.org) as unit:
            assert actions.edit_product(unit, PROVIDER, product.id, profile=Profile(tier=tier)).tier is tier
    with store.unit(PROVIDER.id, PROVIDER.org) as unit:
        actions.add_plan(
            unit,
            PROVIDER,
            product.id,
            code="f",
            title_zh="免费",
            title_en="Free",
            kind=PlanKind.FREE,
            price=Price(),
        )
    with pytest.raises(TierFixed), store.unit(PROVIDER.id, PROVIDER.org) as unit:
        actions.edit_product(unit, PROVIDER, product.id, profile=Profile(tier=Tier.COMMERCIAL))


def test_versions_count_up_and_take_over_the_dictionary(store: Store) -> None:
    product = drafted_product(store)
    with pytest.raises(Invalid) as refusal, store.unit(PROVIDER.id, PROVIDER.org) as unit:
        actions.publish_version(unit, PROVIDER, product.id, output=output(product.asset_id))
    assert [fault.rule for fault in refusal.value.faults] == ["version.dictionary"]
    with store.unit(PROVIDER.id, PROVIDER.org) as unit:
        first = actions.publish_version(
            unit, PROVIDER, product.id, output=output(product.asset_id), dictionary=DICTIONARY
        )
    with store.unit(PROVIDER.id, PROVIDER.org) as unit:
        second = actions.publish_version(unit, PROVIDER, product.id, output=output(product.asset_id, "run_2"))
    assert (first.number, second.number, second.dictionary) == (1, 2, first.dictionary)
    assert second.manifest["version"] == 2
    assert len(second.sample) == 20
    with pytest.raises(RunPublished) as twice, store.unit(PROVIDER.id, PROVIDER.org) as unit:
        actions.publish_version(unit, PROVIDER, product.id, output=output(product.asset_id))
    assert twice.value.members["version"] == 1
    with store.view() as view:
        kept = view.session.get(StoredObject, second.manifest["files"]["csv"]["sha256"])
        assert queries.version(view, product.id, 1).run_id == "run_1"
        with pytest.raises(NotFound):
            queries.version(view, product.id, 3)
    assert kept is not None


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"succeeded": False}, "version.cleansed"),
        ({"asset_id": "ast_other"}, "version.asset"),
        ({"files": {}}, "version.files"),
        ({"columns": ()}, "version.columns"),
        ({"query_columns": ("nothing",)}, "version.columns"),
    ],
)
def test_only_a_whole_cleansed_run_is_published(store: Store, changes: dict[str, Any], rule: str) -> None:
    product = drafted_product(store)
    made = output(product.asset_id).model_copy(update=changes)
    with pytest.raises(Invalid) as refusal, store.unit(PROVIDER.id, PROVIDER.org) as unit:
        actions.publish_version(unit, PROVIDER, product.id, output=made, dictionary=DICTIONARY)
    assert rule in {fault.rule for fault in refusal.value.faults}


def test_a_version_never_changes(store: Store) -> None:
    product = ready_product(store)
    with pytest.raises(RuntimeError, match="immutable"), store.unit("system:test") as unit:
        version = queries.newest_version(unit, product.id)
        assert version is not None
        version.rows = 99
        unit.session.add(version)
        unit.record("version.changed", f"product:{product.id}")
    with store.view() as view:
        assert view.session.get(Version, queries.version(view, product.id, 1).id).rows == 2  # type: ignore[union-attr]


def test_plans_have_their_own_codes_and_prices(store: Store) -> None:
    product = ready_product(store, tier=Tier.COMMERCIAL, kind=PlanKind.PER_ROW, price=Price(row_fen=3))
    for code, kind, price, refusal in (
        ("std", PlanKind.PER_CALL, Price(call_fen=1), PlanCodeTaken),
        ("b", PlanKind.PER_CALL, Price(row_fen=1), Invalid),
        ("c", PlanKind.FREE, Price(fee_fen=1), Invalid),
        ("Not a code", PlanKind.FREE, Price(), Invalid),
    ):
        with pytest.raises(refusal), store.unit(PROVIDER.id, PROVIDER.org) as unit:
            actions.add_plan(
                unit,
                PROVIDER,
                product.id,
                code=code,
                title_zh="方案",
                title_en="Plan",
                kind=kind,
                price=price,
            )
    with pytest.raises(NotFound), store.unit(OTHER_PROVIDER.id, OTHER_PROVIDER.org) as unit:
        actions.add_plan(
            unit,
            OTHER_PROVIDER,
            product.id,
            code="x",
            title_zh="方案",
            title_en="P",
            kind=PlanKind.FREE,
            price=Price(),
        )


@pytest.mark.parametrize("field", ["call_fen", "row_fen", "download_fen", "fee_fen"])
def test_the_database_keeps_public_good_free(store: Store, field: str) -> None:
    product = drafted_product(store)
    row: dict[str, Any] = {
        "id": "pln_x",
        "product_id": product.id,
        "code": "x",
        "title_zh": "方案",
        "title_en": "Plan",
        "created_at": clock.now(),
    }
    refused: tuple[dict[str, Any], ...] = (
        {"tier": Tier.PUBLIC_GOOD, "kind": PlanKind.PER_CALL, field: 1},
        {"tier": Tier.PUBLIC_GOOD, "kind": PlanKind.FREE, field: 1},
        {"tier": Tier.COMMERCIAL, "kind": PlanKind.PER_CALL, field: 1},  # the product is public-good
        {"tier": Tier.PUBLIC_GOOD, "kind": PlanKind.FREE, field: -1},
    )
    for changes in refused:
        with pytest.raises(DBAPIError), store.unit("system:test") as unit:
            unit.session.add(Plan(**row, **changes))
            unit.record("plan.added", f"product:{product.id}")
            unit.session.flush()
