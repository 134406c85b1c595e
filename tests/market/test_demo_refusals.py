"""The six things the demo must not sell are applied for in earnest; the market itself stops each, twice alike."""

from pathlib import Path

import pytest
from sqlmodel import select

from market.catalogue.tables import Product
from market.demo import cast, forbidden, governing
from market.house import House
from market.registry.rules import AssetState
from market.registry.tables import Asset
from market.settings import Settings


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(Settings(data_dir=tmp_path / "var"))
    house.migrate()
    cast.invite(house)
    governing.govern(house)
    return house


def test_each_is_stopped_by_the_market_and_again_when_it_is_tried_again(house: House) -> None:
    first, second = list(forbidden.tried(house)), list(forbidden.tried(house))
    house.close()
    told = {each.title.zh: (each.stage, {rule.partition(".")[0] for rule in each.rule_ids}) for each in first}
    assert [each.rule_ids for each in first] == [each.rule_ids for each in second]
    assert {zh for zh, (stage, _) in told.items() if stage is forbidden.REGISTRATION} == {
        "军港水深高精度栅格",
        "爬取的社交账号画像",
    }
    assert all("T01" in rules for _, rules in told.values())
    assert told["个人身份证明细"][1] >= {"T01", "T05"}
    assert told["居民逐户用电"][1] >= {"T01", "T05"}
    for each in first:
        for ground in each.grounds:
            assert ground.words.zh
            assert ground.words.en
            assert ground.remedy.zh or "（" in ground.words.zh, (
                "a source and a way out stand with every ground"
            )


def test_what_is_left_behind_is_no_listed_product(house: House) -> None:
    list(forbidden.tried(house))
    with house.store.view() as view:
        states = {row.code: row.state for row in view.session.exec(select(Asset))}
        products = view.session.exec(select(Product)).all()
    house.close()
    assert states["370200-demo-refused-harbor-depths"] is AssetState.DRAFT
    assert states["370200-demo-refused-household-power"] is AssetState.REGISTERED
    assert len(products) == 4
    assert not [product for product in products if product.listed_at]
