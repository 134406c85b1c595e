"""The page of the party block, and the way to it from an order and an offer that wait for the address."""

from typing import Any

import pytest
from sqlmodel import select
from starlette.testclient import TestClient

from market.house import House
from market.identity.rules import OrgKind, Role, Verification
from market.identity.tables import Membership, Party
from market.trading.tables import Order
from tests.market.web.supply import Browser
from tests.market.web.trade import Market
from tests.people import organization, person


def test_an_administrator_writes_the_block(client: TestClient, house: House) -> None:
    party = organization(house.store, OrgKind.ENTERPRISE, "海风科技")
    head = Browser(client, house, person(house.store, party, "head@a.example", Role.ORG_ADMIN))
    page = head.see("/organization")
    assert 'href="/organization/details"' in page
    form = head.see("/organization/details")
    assert f'value="{party.id_number}"' in form
    fields: dict[str, Any] = {
        "name": party.name,
        "id_number": party.id_number,
        "address": "青岛市示例路 2 号",
        "contact": "李海",
    }
    refused = head.send("/organization/details", 422, **fields | {"address": "", "key": "k1"})
    assert 'id="e-address"' in refused
    assert 'value="李海"' in refused
    assert head.send("/organization/details", **fields, key="k2") == "/organization?done=details_kept"
    assert "青岛市示例路 2 号" in head.see("/organization")
    renamed = head.send("/organization/details", **fields | {"name": "海风数据", "key": "k3"})
    assert renamed == "/organization?done=details_renamed"
    with house.store.view() as view:
        kept = view.session.get_one(Party, party.id)
    assert (kept.name, kept.verification) == ("海风数据", Verification.UNVERIFIED)
    assert "营业执照或登记证书" in head.see("/organization")


def test_others_read_who_may_write(client: TestClient, house: House) -> None:
    party = organization(house.store, OrgKind.ENTERPRISE, "海风科技")
    person(house.store, party, "head@a.example", Role.ORG_ADMIN)
    buyer = Browser(client, house, person(house.store, party, "buyer@a.example", Role.BUYER))
    page = buyer.see("/organization/details")
    assert "请联系本组织管理员：head" in page
    assert 'name="address"' not in page
    buyer.send("/organization/details", 403, name="x", key="k1")


@pytest.fixture
def market(house: House) -> Market:
    return Market(house)


def without_address(market: Market, party_id: str) -> None:
    with market.house.store.unit("system:test") as unit:
        unit.session.get_one(Party, party_id).address = ""
        unit.record("test.set", f"party:{party_id}")


def test_a_buyer_without_address_is_shown_the_way(market: Market) -> None:
    without_address(market, "pty_buyer")
    page = market["buyer"].get("/orders/new", product=market.product.id, plan=market.plan.id)
    assert 'href="/organization/details"' in page
    refused = market["buyer"].post("/orders/new", 409, **market.form()).text
    assert "本单位尚未填写住所" in refused
    assert 'href="/organization/details"' in refused
    assert market.count(Order) == 0
    with market.house.store.unit("system:test") as unit:
        row = unit.session.get_one(Party, "pty_buyer")
        number, name = row.id_number, row.name
        seat = unit.session.exec(select(Membership).where(Membership.user_id == "usr_buyer")).one()
        seat.roles = ["buyer", "org_admin"]
        unit.session.add(seat)
        unit.record("test.set", f"party:{row.id}")
    market["buyer"].post("/organization/details", name=name, id_number=number, address="青岛市示例路 3 号")
    market["buyer"].post("/orders/new", **market.form())
    assert market.count(Order) == 1
