"""Licenses on pages: who sees them, who stops them, and a secret that is shown once."""

import re
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from sqlmodel import select

from contracts.rules import LicenseState
from contracts.tables import License
from market.house import House
from market.identity.rules import Verification
from market.identity.tables import Party
from market.mandates.tables import Mandate
from market.registry import amending
from market.registry.life import AmendmentKind
from market.trading import holding, registrations
from market.trading.tables import Order
from market.web.licenses import bars
from metering.queries import gate
from metering.rating import Usage
from metering.statements import verify_statement
from metering.tables import Credential
from storage.kernel import clock
from tests.market.assets import QUICK
from tests.market.people import MANDATOR, OTHER_PROVIDER, PROVIDER, REGISTRAR
from tests.market.products import seated
from tests.market.web.trade import Market


@pytest.fixture
def market(house: House) -> Market:
    return Market(house)


@pytest.fixture
def order(market: Market) -> Order:
    return market.paid()


def state(market: Market, order: Order) -> LicenseState:
    with market.house.store.view() as view:
        return view.session.get_one(License, order.license_id).state


def test_both_sides_and_the_desk_see_it_and_nobody_else(market: Market, order: Order) -> None:
    path = f"/licenses/{order.license_id}"
    page = market["buyer"].get(path)
    assert f"license={order.license_id}" in page
    assert "purpose=internal_business" in page
    assert "¥1,000.50" in page
    assert "如何调用" not in market["provider"].get(path)
    for name, listed in (
        ("buyer", "/licenses"),
        ("provider", "/licenses?granted=1"),
        ("compliance", "/licenses"),
    ):
        assert path in market[name].get(listed), name
    assert path in market["provider"].get("/licenses")  # it holds none, so it sees what it granted
    market["rival"].get(path, 404)
    assert path not in market["rival"].get("/licenses")
    market["rival"].post(f"{path}/decision", 404, verb="terminate", reason="不是我们的许可")
    assert path not in market["buyer"].get("/licenses", state="revoked")


def test_compliance_stops_resumes_and_revokes(market: Market, order: Order) -> None:
    path = f"/licenses/{order.license_id}/decision"
    refused = market["compliance"].post(path, 422, reason="短").text
    assert 'id="e-verb"' in refused
    assert 'id="e-reason"' in refused
    for verb, after, open_ in (
        ("suspend", LicenseState.SUSPENDED, False),
        ("resume", LicenseState.ACTIVE, True),
        ("revoke", LicenseState.REVOKED, False),
    ):
        market["compliance"].post(path, verb=verb, reason="发现异常调用，核查处理")
        assert state(market, order) is after
        with market.house.store.view() as view:
            assert gate(view, str(order.license_id)).in_force is open_
    page = market["compliance"].get(f"/licenses/{order.license_id}")
    assert "发现异常调用" in page
    assert 'name="verb"' not in page
    market["compliance"].post(path, 409, verb="resume", reason="撤销之后不能恢复")


def test_a_statement_leaves_signed(market: Market, order: Order) -> None:
    period = clock.period_of(clock.now(), "Asia/Shanghai")
    path = f"/api/v1/licenses/{order.license_id}/statement"
    buyer = market["buyer"].client
    answer = buyer.get(path, params={"period": period})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert f'-{period}.json"' in answer.headers["content-disposition"]
    assert int(answer.headers["content-length"]) == len(answer.content)
    key = market.house.document_key()
    verdict = verify_statement(answer.content, {str(key.kid): key})
    assert verdict.genuine
    assert (verdict.license_id, verdict.period) == (order.license_id, period)
    coming = clock.period_of(clock.period_bounds(period, "Asia/Shanghai")[1], "Asia/Shanghai")
    for wrong in ("2026-13", "２０２６-11", coming, "9999-12"):
        assert buyer.get(path, params={"period": wrong}).status_code == 422
    assert market["rival"].client.get(path, params={"period": period}).status_code == 404


def test_each_verb_belongs_to_its_own_people(market: Market, order: Order) -> None:
    path = f"/licenses/{order.license_id}/decision"
    market["buyer"].post(path, 403, verb="suspend", reason="买方不能中止许可")
    market["provider"].post(path, 403, verb="revoke", reason="提供方不能撤销许可")
    market["compliance"].post(path, 403, verb="terminate", reason="合规不能代为终止")
    assert state(market, order) is LicenseState.ACTIVE
    market["finance"].post(f"/licenses/{order.license_id}/settlement", 409)
    market["buyer"].post(path, verb="terminate", reason="项目结束，提前终止")
    assert state(market, order) is LicenseState.TERMINATED
    answer = market["finance"].post(f"/licenses/{order.license_id}/settlement")
    assert answer.headers["location"].endswith("?done=nothing_due")
    market["buyer"].post(f"/licenses/{order.license_id}/settlement", 403)


def test_a_secret_is_shown_once_and_a_double_click_makes_one(market: Market) -> None:
    key = str(uuid4())
    first = market["buyer"].post("/credentials", 200, key=key, name="生产环境", cidrs="203.0.113.0/24")
    secret = re.search(r"shg_live_[\w-]+", first.text)
    assert secret
    assert first.headers["cache-control"] == "no-store"
    market["buyer"].post("/credentials", 303, key=key, name="生产环境", cidrs="203.0.113.0/24")
    assert market.count(Credential) == 1
    assert secret[0] not in market["buyer"].get("/credentials")
    assert "203.0.113.0/24" in market["buyer"].get("/credentials")
    with market.house.store.view() as view:
        stored = view.session.connection().exec_driver_sql("SELECT answer FROM idempotency_key").fetchall()
    assert secret[0] not in str(stored)


def test_credentials_are_checked_rotated_and_ended(market: Market) -> None:
    refused = market["buyer"].post("/credentials", 422, name="", cidrs="").text
    assert 'id="e-name"' in refused
    refused = market["buyer"].post("/credentials", 422, name="x", cidrs="not-a-network").text
    assert 'id="e-cidrs"' in refused
    made = market["buyer"].post("/credentials", 200, name="数据仓库", cidrs="")
    found = re.search(r"cli_\w+", made.text)
    assert found
    path = f"/credentials/{found[0]}"
    market["rival"].post(f"{path}/rotation", 404)
    market["rival"].post(f"{path}/end", 404)
    assert "shg_live_" in market["buyer"].post(f"{path}/rotation", 200).text
    assert "旧密钥有效至" in market["buyer"].get("/credentials")
    assert "旧密钥仍然有效" in market["buyer"].post(f"{path}/rotation", 409).text
    assert '<option value="newer">' in market["buyer"].get("/credentials")
    assert "shg_live_" in market["buyer"].post(f"{path}/rotation", 200, end="newer").text
    market["buyer"].post(f"{path}/end")
    assert "已停用" in market["buyer"].get("/credentials")
    market["approver"].get("/credentials", 403)


def test_the_networks_of_a_credential_are_changed_on_its_page(market: Market) -> None:
    made = market["buyer"].post("/credentials", 200, name="数据仓库", cidrs="192.0.2.0/24")
    found = re.search(r"cli_\w+", made.text)
    assert found
    path = f"/credentials/{found[0]}/networks"
    market["rival"].post(path, 404, networks="")
    market["buyer"].post(path, 403, csrf="x", networks="")
    for wrong in ("not-a-network", " ".join(f"10.{n}.0.0/16" for n in range(21))):
        refused = market["buyer"].post(path, 422, networks=wrong).text
        assert f'value="{wrong}"' in refused
        assert refused.count('id="e-networks"') == 1
        assert 'id="e-cidrs"' not in refused
    assert "192.0.2.0/24" in market["buyer"].get("/credentials")
    answer = market["buyer"].post(path, networks="198.51.100.7, 10.0.0.0/8")
    page = market["buyer"].get(answer.headers["location"])
    assert "198.51.100.7/32 10.0.0.0/8" in page
    assert "192.0.2.0/24" not in page
    assert "网段已更改" in page
    market["buyer"].post(path, networks="")
    assert "不限" in market["buyer"].get("/credentials")


def test_days_without_use_are_drawn_as_zero() -> None:
    drawn = bars([("2026-11-20", Usage(3, 3, 30, 300, 6))], datetime(2026, 11, 21, tzinfo=UTC))
    assert len(drawn) == 31
    assert drawn[-2:] == [("11-20", 3), ("11-21", 0)]


def test_who_holds_a_license_still_finds_the_page_of_a_product_off_the_shelf_and_why(market: Market) -> None:
    order = market.paid()
    page = f"/catalog/{market.product.slug}"
    with market.house.store.unit(MANDATOR.id, MANDATOR.org) as unit:
        mandate = unit.session.exec(select(Mandate)).one()
        number = mandate.number
        holding.suspend_mandate(unit, MANDATOR, mandate.id, reason="安全检查期间暂停")
    text = market["buyer"].get(page)
    assert f"授权运营 {number} 已暂停" in text
    assert "安全检查期间暂停" in text
    assert "阅读合同全文" not in text
    license_page = market["buyer"].get(f"/licenses/{order.license_id}")
    assert f"所依据的授权运营已暂停（{number}）" in license_page
    assert "<code>mandate_suspended</code>" in license_page
    market["rival"].get(page, 404)


def test_a_transferred_registration_leaves_the_product_page_to_those_it_concerns(market: Market) -> None:
    order = market.paid()
    store, asset_id = market.house.store, market.product.asset_id
    seated(store, OTHER_PROVIDER)
    with store.unit("system:test") as unit:
        unit.session.get_one(Party, OTHER_PROVIDER.own_org).verification = Verification.VERIFIED
        unit.record("party.verified", f"party:{OTHER_PROVIDER.org}")
    with store.unit(PROVIDER.id, PROVIDER.org) as unit:
        asked = amending.ask_amendment(
            unit, PROVIDER, asset_id, kind=AmendmentKind.TRANSFER, cause="业务整体划转，办理转移",
            office=QUICK, to_party=OTHER_PROVIDER.own_org,
        )  # fmt: skip
    with store.unit(OTHER_PROVIDER.id, OTHER_PROVIDER.org) as unit:
        amending.answer_transfer(unit, OTHER_PROVIDER, asked.id, agree=True)
    with store.unit(REGISTRAR.id, REGISTRAR.org) as unit:
        amending.review_amendment(unit, REGISTRAR, asked.id)
        registrations.apply_amendment(unit, REGISTRAR, asked.id, reason="经核查，依法办理", office=QUICK)
    for name in ("buyer", "provider"):
        text = market[name].get(f"/catalog/{market.product.slug}")
        assert "数据登记已转移至另一登记主体" in text
    assert "数据登记已转移至另一登记主体" in market["provider"].get(f"/products/{market.product.id}")
    assert "产品已下架" in market["buyer"].get(f"/licenses/{order.license_id}")
    market["rival"].get(f"/catalog/{market.product.slug}", 404)
