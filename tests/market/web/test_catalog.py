"""The public catalogue: what anybody sees, what compliance may stop, and what a search may hold."""

import json
import re

import pytest
from starlette.testclient import TestClient

from contracts.terms import Tier
from market.catalogue.rules import PlanKind, Price
from market.house import House
from market.identity.rules import OrgKind, Role
from tests.market.products import drafted_product, listed_product
from tests.market.web.supply import Browser, company
from tests.people import organization, person


def test_the_portal_tells_public_good_from_commercial(client: TestClient, house: House) -> None:
    assert "首批产品正在登记" in client.get("/").text
    owner = company(house).actor
    listed_product(house.store, "car-parks", actor=owner)
    listed_product(
        house.store,
        "parks-api",
        actor=owner,
        tier=Tier.COMMERCIAL,
        kind=PlanKind.PER_CALL,
        price=Price(call_fen=2),
    )
    text = client.get("/").text
    assert re.search(r'href="/catalog\?tier=public_good"><strong>1</strong>', text)
    assert re.search(r'href="/catalog\?tier=commercial"><strong>1</strong>', text)
    assert 'class="tier public_good">公益 · 免费' in text
    assert 'class="tier commercial">商业<' in text


def test_search_with_facets_and_odd_addresses(client: TestClient, house: House) -> None:
    owner = company(house)
    listed_product(house.store, "car-parks", actor=owner.actor)
    drafted_product(house.store, "hidden", actor=owner.actor)
    text = client.get("/catalog", params={"q": "停车", "tier": "public_good", "zone": "parking"}).text
    assert "/catalog/car-parks" in text
    assert owner.party.name in text
    assert "/catalog/hidden" not in client.get("/catalog").text
    assert "没有找到产品" in client.get("/catalog", params={"tier": "commercial"}).text
    for odd in (
        "tier=nothing",
        "page=x",
        "page=-1",
        "page=99999999999999999999",
        "zone=%00",
        "provider=' OR 1",
        'q=%00*"(',
    ):
        assert client.get(f"/catalog?{odd}").status_code == 200, odd
    text = client.get("/catalog", params={"q": "<script>alert(1)</script>"}).text
    assert "<script>alert" not in text


def test_a_public_good_product_is_downloaded_without_an_account(client: TestClient, house: House) -> None:
    owner = company(house)
    listed_product(house.store, "car-parks", actor=owner.actor, title_en='A "</script>" park')
    text = client.get("/catalog/car-parks").text
    for link in ("/open/v1/car-parks/files/csv", "/open/v1/car-parks/files/parquet", "/open/v1/car-parks"):
        assert f'href="{link}"' in text
    assert "/orders/new" not in text
    assert "停车场编号" in text
    [path] = re.findall(r'href="(/catalog/car-parks/contract[^"]+)"', text)
    assert "公共数据无条件开放许可" in client.get(path).text
    assert client.get("/catalog/car-parks/contract?plan=pln_x").status_code == 404
    assert "SG-370200-R-" in text
    [data] = re.findall(r'<script type="application/ld\+json">(.*?)</script>', text, re.DOTALL)
    told = json.loads(data)
    assert (told["@type"], told["isAccessibleForFree"]) == ("Dataset", True)
    assert told["name"][1]["@value"] == 'A "</script>" park'
    assert "inline" not in client.get("/catalog/car-parks").headers["content-security-policy"]


def test_a_commercial_product_shows_its_prices_and_the_way_to_order(client: TestClient, house: House) -> None:
    owner = company(house)
    product = listed_product(
        house.store, "parks-api", actor=owner.actor, tier=Tier.COMMERCIAL, kind=PlanKind.PER_CALL,
        price=Price(call_fen=2, included_calls=1000),
    )  # fmt: skip
    text = client.get("/catalog/parks-api").text
    assert "<strong>¥0.02</strong> 每次调用" in text
    assert "最多调用 1,000 次" in text
    assert f'href="/orders/new?product={product.id}&amp;plan=pln_' in text
    assert "/open/v1" not in text
    [path] = re.findall(r'href="(/catalog/parks-api/contract[^"]+)"', text)
    assert client.get(path).headers["location"].startswith("/login?next="), "it names a bank account"
    contract = Browser(client, house, owner).see(path)
    assert "数据提供合同" in contract
    assert "6222000000000000" in contract
    assert client.get("/catalog/parks-api/contract?plan=pln_x").status_code in {303, 404}
    english = client.get("/catalog/parks-api", headers={"Accept-Language": "en"}).text
    assert "per call" in english


@pytest.mark.parametrize("slug", ["nothing", "%00", "x" * 300])
def test_an_unknown_product_is_not_found(client: TestClient, slug: str) -> None:
    assert client.get(f"/catalog/{slug}").status_code == 404


def test_compliance_stops_a_listing_and_puts_it_back(client: TestClient, house: House) -> None:
    owner = company(house)
    listed_product(house.store, "car-parks", actor=owner.actor)
    provider = Browser(client, house, owner)
    provider.send("/catalog/car-parks/suspension", 403, reason="收到投诉")
    operator = organization(house.store, OrgKind.MARKET_OPERATOR, "海港数据交易中心")
    officer = Browser(client, house, person(house.store, operator, "c@market.example", Role.COMPLIANCE))
    assert "4 至 500 字" in officer.send("/catalog/car-parks/suspension", 422, reason="停")
    officer.send("/catalog/car-parks/suspension", reason="收到投诉，核查中")
    assert client.get("/catalog/car-parks").status_code == 404
    assert "未上架" in officer.see("/catalog/car-parks")
    officer.send("/catalog/car-parks/resumption", reason="核查完毕，恢复")
    assert client.get("/catalog/car-parks").status_code == 200
    officer.send("/catalog/car-parks/delisting", reason="提供方要求终止")
    assert client.get("/catalog/car-parks").status_code == 404
