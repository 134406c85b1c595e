"""The pages of a provider's own API: declare it, never see the secret again, decide on it knowing host and paths."""

from typing import Any

import pytest

from contracts.terms import DeliveryMode, Tier
from market.catalogue import actions
from market.catalogue.rules import PlanKind, Price
from market.house import House
from tests.market.people import PROVIDER
from tests.market.products import drafted_product, submit
from tests.market.web.trade import Market

FORM = {
    "base_url": "https://api.provider.example/v2",
    "methods": "GET",
    "paths": "/companies/{code}\n/people/{id}",
    "secret_in": "header",
    "secret_name": "X-Api-Key",
    "secret": "very-secret-0123456789",
    "hit_pointer": "/code",
    "hit_test": "equals",
    "hit_value": "200",
    "connect_seconds": "5",
    "read_seconds": "15",
    "total_seconds": "30",
    "most_bytes": "1048576",
}


@pytest.fixture
def market(house: House) -> Market:
    return Market(house)


def product_of(market: Market, slug: str = "companies", **changes: Any) -> str:
    given = {"tier": Tier.COMMERCIAL, "delivery": (DeliveryMode.API_CALL,)} | changes
    return drafted_product(market.house.store, slug, **given).id


def test_a_provider_declares_and_rotates_and_nobody_sees_the_secret(market: Market) -> None:
    product_id = product_of(market)
    provider, home = market["provider"], f"/products/{product_id}/interface"
    assert "申报接口" in provider.get(home)
    assert home in provider.get(f"/products/{product_id}")
    wrong = provider.post(home, 422, **(FORM | {"base_url": "http://a", "hit_pointer": "code"})).text
    assert 'id="e-base_url"' in wrong
    assert "very-secret" not in wrong
    assert "申报接口" in provider.post(home, 422, **(FORM | {"read_seconds": "many"})).text
    provider.post(home, **FORM)
    page = provider.get(home)
    for words in ("api.provider.example", "/people/{id}", "X-Api-Key", "/code 等于 200"):
        assert words in page, words
    assert "very-secret" not in page
    provider.post(f"{home}/secret", secret="another-one")
    provider.post(f"{home}/secret", 422, secret="")
    assert "another-one" not in provider.get(home)
    market["rival"].get(home, 403)
    market["buyer"].get(home, 403)


def test_an_approver_decides_knowing_host_and_paths(market: Market) -> None:
    product_id = product_of(market)
    market["provider"].post(f"/products/{product_id}/interface", **FORM)
    store = market.house.store
    with store.unit(PROVIDER.id, PROVIDER.org) as unit:
        actions.add_plan(
            unit,
            PROVIDER,
            product_id,
            code="hit",
            title_zh="按查得",
            title_en="Per hit",
            kind=PlanKind.PER_CALL,
            price=Price(call_fen=80, per_hit=True),
        )
        product = actions.own_product(unit, PROVIDER, product_id)
    case = submit(store, product)
    page = market["approver"].get(f"/approvals/{case}")
    for words in ("供方接口", "https://api.provider.example/v2", "/companies/{code}", "X-Api-Key"):
        assert words in page, words
    assert "very-secret" not in page
    assert "重新申报" not in market["provider"].get(f"/products/{product_id}/interface")
    version = {"verdict": "approve", "reason": "主机与路径明确"}
    market["approver"].post(f"/approvals/{case}", version="1", **version)
    market["compliance"].post(f"/approvals/{case}", version="2", **version)
    public = market["buyer"].get(f"/catalog/{product.slug}")
    assert "/companies/{code}" in public
    assert "api.provider.example" not in public


def test_a_product_of_another_kind_has_no_interface(market: Market) -> None:
    product_id = product_of(market, "rows", delivery=(DeliveryMode.FILE,))
    home = f"/products/{product_id}/interface"
    assert "本产品不以供方接口交付" in market["provider"].get(home)
    market["provider"].post(home, 422, **FORM)
