"""The journal, the rules and the demo's people on pages."""

import hashlib
import re
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from market.app import Front
from market.house import House
from market.identity import actions
from market.identity.queries import user_by_login
from market.identity.rules import Role
from market.identity.tables import Party
from market.settings import Settings
from market.trading.rules import RULES_VERSION
from tests.market.people import APPROVER, BUYER
from tests.market.products import seated
from tests.market.web.trade import HOST, OWN, Market


def test_the_auditor_searches_verifies_and_follows(house: House) -> None:
    market = Market(house)
    order = market.placed()
    house.pulse.beat()
    auditor = market["auditor"]
    page = auditor.get("/journal", kind="order.")
    assert f"order:{order.id}" in page
    assert "listing.submitted" not in page
    assert "核验通过" in auditor.get("/journal", verify="yes")
    found = auditor.client.get("/journal", params={"subject": f"order:{order.id}"})
    assert found.headers["location"] == f"/journal/order:{order.id}"
    page = auditor.get(f"/journal/order:{order.id}")
    assert "提交订单" in page
    assert f'href="/orders/{order.id}"' in page
    auditor.get("/journal/order:none", 404)
    last = re.findall(r'<td class="num">(\d+)</td>', auditor.get("/journal"))[-1]
    assert f'<td class="num">{last}</td>' not in auditor.get("/journal", before=last)
    auditor.get("/journal", before="x")
    auditor.get("/journal", before="9" * 5000)
    for name in ("buyer", "approver", "finance", "provider"):
        market[name].get("/journal", 403)
        market[name].get(f"/journal/order:{order.id}", 403)


def test_a_changed_entry_is_shown_as_broken(house: House) -> None:
    market = Market(house)
    house.pulse.beat()
    with house.database.writing() as connection:
        connection.exec_driver_sql("UPDATE journal_entry SET actor = 'usr_other' WHERE seq = 3")
    assert "第 3 条起不一致" in market["auditor"].get("/journal", verify="yes")


def test_the_rules_are_public_and_have_their_hash(client: TestClient) -> None:
    page = client.get("/rules").text
    assert f"{RULES_VERSION} 版" in page
    file = client.get(f"/rules/{RULES_VERSION}/zh")
    assert hashlib.sha256(file.content).hexdigest() in page
    assert "Trading rules" in client.get("/rules", headers={"Accept-Language": "en"}).text
    assert client.get(f"/rules/{RULES_VERSION}/fr").status_code == 404
    assert client.get("/rules/1999.1/zh").status_code == 404


@pytest.fixture
def demo(tmp_path: Path) -> TestClient:
    house = House(Settings(data_dir=tmp_path / "demo", demo=True))
    house.migrate()
    for actor, login in ((APPROVER, "shen@demo.shugang.example"), (BUYER, "real@buyer.example")):
        seated(house.store, actor)
        with house.store.unit("system:test") as unit:
            user = actions.create_user(unit, login=login, name=login[:4])
            owner = unit.session.get_one(Party, actor.own_org)
            actions.add_member(unit, user.id, owner, frozenset(actor.roles), invited_by="system:test")
    return TestClient(
        Front(house, background=False),
        base_url=HOST,
        headers=OWN,
        follow_redirects=False,
        client=("127.0.0.1", 5),
    )


def test_demo_people_sign_in_with_one_click(demo: TestClient) -> None:
    page = demo.get("/login").text
    ids = re.findall(r'name="user" value="(usr_\w+)"', page)
    assert len(ids) == 1  # those of the demo only
    assert Role.APPROVER.words.zh in page
    evil = {"Origin": "http://evil.example:8000", "Host": "evil.example:8000"}
    assert demo.post("/demo/login", data={"user": ids[0]}, headers=evil).status_code == 404
    assert demo.post("/demo/login", data={"user": "usr_none"}).status_code == 404
    answer = demo.post("/demo/login", data={"user": ids[0], "next": "//evil.example"})
    assert answer.headers["location"] == "/"
    assert demo.get("/approvals").status_code == 200  # the second factor is taken as given


def test_only_the_demos_own_people_can_be_chosen(demo: TestClient) -> None:
    assert isinstance(demo.app, Front)
    with demo.app.house.store.view() as view:
        real = user_by_login(view, "real@buyer.example")
    assert real is not None
    assert demo.post("/demo/login", data={"user": real.id}).status_code == 404


def test_without_a_demo_there_is_no_such_door(client: TestClient) -> None:
    assert "演示账户" not in client.get("/login").text
    assert client.post("/demo/login", data={"user": "usr_1"}).status_code == 404
