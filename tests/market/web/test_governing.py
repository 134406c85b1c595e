"""Lists, mandates, ceilings and caps as pages: public ones without an account, desks by role, on both sides of a decision."""

import re
from datetime import timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from market.house import House
from market.identity.rules import OrgKind, Role
from market.lists.rules import ListKind
from market.mandates.tables import Mandate
from storage.kernel import clock
from tests.market.mandates_made import ceiling, civil, negative, opened, published
from tests.market.mandates_made import signed_mandate as signed
from tests.market.web.supply import Browser
from tests.people import organization, person

ENTRY: dict[str, Any] = {
    "title_zh": "居民逐户用电明细", "title_en": "Household readings", "reason_zh": "识别到户", "reason_en": "Identifies",
    "law": "个人信息保护法", "article": "第 13 条", "effective_from": "2026-01-01", "bar": "trade",
    "words": "逐户用电、household", "c.personal": ["pi", "spi"], "summary": "首次列入",
}  # fmt: skip


def desk(client: TestClient, house: House, kind: OrgKind, role: Role) -> Browser:
    party = organization(house.store, kind, f"机构{kind.value}")
    return Browser(client, house, person(house.store, party, f"{role.value}@desk.example", role))


@pytest.fixture
def mandator(client: TestClient, house: House) -> Browser:
    return desk(client, house, OrgKind.DATA_BUREAU, Role.MANDATOR)


@pytest.fixture
def compliance(client: TestClient, house: House) -> Browser:
    return desk(client, house, OrgKind.MARKET_OPERATOR, Role.COMPLIANCE)


def approve(browser: Browser, title: str) -> None:
    found = re.search(r'href="/approvals/(cas_\w+)"', browser.see("/approvals"))
    assert found
    assert title in browser.see(f"/approvals/{found[1]}")
    fields: dict[str, Any] = {
        "verdict": "approve",
        "reason": "依据充分，同意",
        "version": "1",
        "key": found[1],
    }
    browser.send(f"/approvals/{found[1]}", **fields)


def test_an_edit_goes_from_the_form_over_the_second_person_to_the_public(
    client: TestClient, mandator: Browser, compliance: Browser
) -> None:
    page = mandator.send("/lists/negative/edit", 422, **(ENTRY | {"law": "", "key": "k0"}))
    assert "每一条目都须写明法律依据" in page
    review: dict[str, Any] = {"review_on": f"{civil(200)}"}
    assert "复审日期" in mandator.send("/lists/negative/edit", 422, **(ENTRY | {"key": "k1"}))
    place = mandator.send("/lists/negative/edit", **(ENTRY | review | {"key": "k2"}))
    assert "逐户用电" in mandator.see(place.partition("?")[0])
    assert "清单尚未发布" in client.get("/lists/negative").text
    approve(compliance, "首次列入")
    shown = client.get("/lists/negative").text
    for words in ("FM-0001", "个人信息保护法 第 13 条", "逐户用电、household", "第 1 版"):
        assert words in shown
    assert "FM-0001" in client.get("/lists/negative/difference?before=0&after=1").text
    again: dict[str, Any] = {
        "code": "FM-0001",
        "revision": "1",
        "verb": "revise",
        "article": "第 28 条",
        "key": "k3",
    }
    mandator.send("/lists/negative/edit", **(ENTRY | review | again))
    approve(compliance, "首次列入")
    difference = client.get("/lists/negative/difference?before=1&after=2").text
    assert "第 13 条" in difference
    assert "第 28 条" in difference
    assert "第 13 条" in client.get("/lists/negative?version=1").text
    assert "第 28 条" in client.get("/lists/negative/entries/FM-0001").text
    edit = mandator.see("/lists/negative/edit?code=FM-0001")
    assert 'value="逐户用电、household"' in edit


def test_the_public_pages_need_no_account_and_the_desks_do(client: TestClient, house: House) -> None:
    published(house.store, opened(), kind=ListKind.OPEN)
    published(house.store, negative())
    mandate = signed(house.store)
    ceiling(house.store, "car-parks", "call", "0.003")  # type: ignore[arg-type]  # a value is a member
    for path, words in {
        "/lists": "KF-0001",
        "/lists/open": "公共停车场客流量",
        "/lists/negative": "FM-0001",
        "/mandates": str(mandate.number),
        f"/mandates/{mandate.id}": "公共数据授权运营协议",
        "/ceilings": "0.003",
    }.items():
        answer = client.get(path)
        assert answer.status_code == 200, path
        assert words in answer.text, path
        assert client.get(path, headers={"Accept-Language": "en"}).status_code == 200
    for path in ("/lists/edits", "/lists/negative/edit", "/mandates/new", "/caps"):
        assert client.get(path, follow_redirects=False).status_code in {303, 401}, path
    for path in (
        "/lists/other",
        "/lists/open/entries/KF-9999",
        "/lists/open/difference?before=x&after=1",
        "/mandates/mnd_x",
    ):
        assert client.get(path).status_code == 404, path


def test_a_mandate_is_drafted_reviewed_noticed_and_signed_in_pages(
    client: TestClient, house: House, mandator: Browser, compliance: Browser
) -> None:
    party = organization(house.store, OrgKind.STATE_DATA_COMPANY, "青岛数据集团有限公司")
    operator = Browser(client, house, person(house.store, party, "run@company.example", Role.OPERATOR))
    form: dict[str, Any] = {
        "title": "交通领域授权", "operator_id": party.id, "kind": "sector", "sectors": "交通，G5", "first_day": f"{civil()}",
        "last_day": f"{civil(365 * 7)}", "purposes": ["industry", "sector"], "duties": "按月更新", "charging": "不高于上限",
        "exit_terms": "移交并销毁", "from.1": "0", "share.1": "10", "from.2": "100000", "share.2": "20",
    }  # fmt: skip
    assert "最长 5 年" in mandator.send("/mandates", 422, **(form | {"key": "a"}))
    place = mandator.send("/mandates", **(form | {"last_day": f"{civil(700)}", "key": "b"})).partition("?")[0]
    assert client.get(place).status_code == 404
    assert 'value="交通、G5"' in mandator.see(f"{place}/edit")
    mandator.send(f"{place}/step", verb="submit", minutes_no="纪要 1 号", minutes_on=f"{civil()}", key="c")
    approve(compliance, "交通领域授权")
    assert "公示期满后即可签署" in operator.see(place)
    with house.store.unit("system:test") as unit:  # the notice began long enough ago
        row = unit.session.get_one(Mandate, place.rpartition("/")[2])
        row.notice_until = clock.now() - timedelta(hours=1)
        unit.session.add(row)
        unit.record("test.aged", f"mandate:{row.id}")
    sha256 = re.search(r'name="sha256" value="([0-9a-f]{64})"', operator.see(place))
    assert sha256
    operator.send(f"{place}/step", verb="sign", sha256=sha256[1], key="d")
    assert "运营中" in client.get(place).text
    assert "理由" in mandator.send(f"{place}/step", 422, verb="suspend", reason="", key="e")
    mandator.send(f"{place}/step", verb="suspend", reason="安全检查期间暂停", key="f")
    mandator.send(f"{place}/step", verb="terminate", reason="严重违约，终止", key="g")
    assert "终止" in client.get(place).text


def test_ceilings_and_caps_are_set_at_the_mandators_desk(
    client: TestClient, house: House, mandator: Browser
) -> None:
    form: dict[str, Any] = {
        "product": "car-parks", "unit": "call", "max_yuan": "0.08", "decided_by": "市发改委", "document_no": "1 号",
        "first_day": f"{civil(-1)}", "last_day": f"{civil(300)}", "key": "a",
    }  # fmt: skip
    assert "大于零的金额" in mandator.send("/ceilings", 422, **(form | {"max_yuan": "-1", "key": "z"}))
    mandator.send("/ceilings", **form)
    assert "0.08" in client.get("/ceilings?of=car-parks").text
    assert "该时段已有上限" in mandator.send("/ceilings", 409, **(form | {"key": "b"}))
    party = organization(house.store, OrgKind.DEALER, "胶州湾数据商有限公司")
    cap: dict[str, Any] = {
        "operator_id": party.id, "first_day": "2026-01-01", "last_day": "2026-12-31", "cap_fen": "10,000.50",
        "decided_by": "市发改委", "document_no": "2 号", "key": "c",
    }  # fmt: skip
    assert "某月末日" in mandator.send("/caps", 422, **(cap | {"last_day": "2026-12-30", "key": "d"}))
    mandator.send("/caps", **cap)
    assert "¥10,000.50" in mandator.see("/caps")


def test_the_api_says_the_same(client: TestClient, house: House) -> None:
    published(house.store, negative())
    published(house.store, opened(), kind=ListKind.OPEN)
    shown = client.get("/api/v1/lists/negative").json()
    assert shown["version"]["number"] == 1
    assert [each["code"] for each in shown["entries"]] == ["FM-0001"]
    assert shown["entries"][0]["in_force"] is True
    [hit] = client.post("/api/v1/lists/negative/hits", json={"texts": ["全市逐户用电"]}).json()
    assert hit["code"] == "FM-0001"
    assert "第 13 条" in hit["why"]["zh"]
    assert client.post("/api/v1/lists/negative/hits", json={"texts": "x"}).status_code == 422
    assert client.get("/api/v1/lists/negative?version=7").status_code == 404
    assert client.get("/api/v1/lists/other").status_code == 422
    [change] = client.get("/api/v1/lists/open/difference?before=0&after=1").json()
    assert (change["kind"], change["code"]) == ("add", "KF-0001")
    number = signed(house.store).number
    assert client.get(f"/api/v1/mandates/{number}").json()["state"] == "active"
    assert client.get("/api/v1/price-ceilings").json() == []
    assert client.get("/api/v1/revenue-caps").status_code == 401
