"""The register on pages and over the API: notices, objections, applications, the public check, the directory."""

import json
from typing import Any

import pytest
from starlette.testclient import TestClient

from market.house import House
from market.identity.rules import OrgKind, Role
from market.registry import actions, queries
from market.registry.settings import RegistrySettings
from market.registry.tables import Asset
from market.settings import Settings
from storage.kernel.numbers import make_uscc
from tests.market.assets import QUICK, described, stored
from tests.market.web.supply import Browser, company, registrar
from tests.people import Person, organization, person

REASON = "材料齐全，准予登记"
LONG = "该数据由我单位采集，登记主体并无授权，详见附件。"


def citizen(house: House) -> Person:
    party = organization(house.store, OrgKind.ENTERPRISE, "青岛市民数据有限公司")
    return person(house.store, party, "someone@public.example", Role.BUYER)


def waiting(house: House, owner: Person, content: str = "a,b\n1,2\n") -> Asset:
    with house.store.unit(owner.actor.id, owner.actor.org) as unit:
        asset = actions.draft_asset(unit, owner.actor, description=described())
        actions.attach_file(unit, owner.actor, asset.id, stored=stored(content), name="a.csv", format="csv")
        actions.attach_evidence(unit, owner.actor, asset.id, stored=stored("letter"), name="授权书.pdf")
        return actions.submit_asset(unit, owner.actor, asset.id)


def registered(house: House, owner: Person, officer: Person, content: str = "a,b\n1,2\n") -> Asset:
    asset = waiting(house, owner, content)
    with house.store.unit(officer.actor.id, officer.actor.org) as unit:
        actions.accept_asset(unit, officer.actor, asset.id)
        actions.review_asset(unit, officer.actor, asset.id)
        return actions.register_asset(unit, officer.actor, asset.id, reason=REASON, office=QUICK)


@pytest.fixture
def slow_house(house: House) -> House:
    """The same market with an office that gives ten days of notice."""
    house.settings = house.settings.model_copy(update={"registry": RegistrySettings()})
    return house


def test_a_notice_is_read_objected_to_answered_and_dismissed(client: TestClient, slow_house: House) -> None:
    house, owner, officer = slow_house, company(slow_house), registrar(slow_house)
    asset = waiting(house, owner)
    home = f"/assets/{asset.id}"
    desk, who, public = (Browser(client, house, each) for each in (officer, owner, citizen(house)))
    desk.send(f"{home}/acceptance")
    desk.send(f"{home}/review")
    assert "发布公示（10 个工作日）" in desk.see(home)
    desk.send(f"{home}/registration", 409, reason=REASON)
    desk.send(f"{home}/notice", reason=REASON)
    assert "公示期未满" in desk.see(home)
    with house.store.view() as view:
        notice = queries.notice_of(view, asset.id)
    assert notice is not None
    page = f"/notices/{notice.number}"
    client.cookies.clear()
    assert notice.number in client.get("/notices").text
    assert "请先登录" in client.get(page).text
    assert "不能对本公示提出异议" in who.see(page)
    assert 'name="statement"' in public.see(page)
    answer = public.client.post(
        f"{page}/objections",
        data={"csrf": public.csrf, "statement": "短"},
        files={"evidence": ("证据.pdf", b"%PDF proof")},
    )
    assert answer.status_code == 422
    answer = public.client.post(
        f"{page}/objections",
        data={"csrf": public.csrf, "statement": LONG},
        files={"evidence": ("证据.pdf", b"%PDF proof")},
    )
    assert answer.status_code == 303, answer.text[:2000]
    assert LONG in public.see(page)
    assert "异议处理中" in desk.see(home)
    with house.store.view() as view:
        [objection] = queries.objections_of(view, notice.id)
    assert (
        public.see(f"/objections/{objection.id}/evidence/{objection.evidence[0]['sha256']}") == "%PDF proof"
    )
    desk.send(f"/objections/{objection.id}/dismissal", 409, reason=REASON)
    who.send(f"/objections/{objection.id}/answer", answer=LONG)
    desk.send(f"/objections/{objection.id}/dismissal", reason=REASON)
    assert "异议不成立" in public.see(page)
    stranger = Browser(client, house, company(house, "另一家公司", "other@dealer.example"))
    stranger.see(f"/objections/{objection.id}/evidence/{objection.evidence[0]['sha256']}", 404)


def test_changes_and_cancellation_go_through_pages(client: TestClient, house: House) -> None:
    owner, officer = company(house), registrar(house)
    asset = registered(house, owner, officer)
    home = f"/assets/{asset.id}"
    who, desk = Browser(client, house, owner), Browser(client, house, officer)
    assert f"{home}/amendments/new?kind=change" in who.see(home)
    for kind in ("change", "correction", "renewal", "transfer", "cancellation"):
        assert 'name="cause"' in who.see(f"{home}/amendments/new?kind={kind}")
    who.see(f"{home}/amendments/new?kind=nonsense", 404)
    form: dict[str, Any] = {
        "kind": "change",
        "cause": "口径调整说明",
        **_said(who, home),
        "title_en": "Parking visits",
    }
    path = who.send(f"{home}/amendments/new", **form).split("?")[0]
    assert "Parking visits" in who.see(path)
    assert path in desk.see("/assets")
    desk.send(f"{path}/review")
    desk.send(f"{path}/application", 422, reason="x")
    desk.send(f"{path}/application", reason=REASON)
    assert "Parking visits" in who.see(home)
    who.send(f"{home}/amendments/new", 409, kind="renewal", cause="需要继续使用")
    who.send(f"{home}/amendments/new", 422, kind="cancellation", cause="数据已灭失")
    path = who.send(f"{home}/amendments/new", kind="cancellation", cause="数据已灭失", ground="lost").split(
        "?"
    )[0]
    desk.send(f"{path}/review")
    desk.send(f"{path}/application", reason=REASON)
    assert "已注销" in who.see(home)
    assert "已注销" in client.get(f"/verify/{asset.number}").text
    Browser(client, house, citizen(house)).see(path, 403)
    Browser(client, house, company(house, "另一家公司", "other@dealer.example")).see(path, 404)


def _said(who: Browser, home: str) -> dict[str, Any]:
    """The form of a change as it comes, filled with what is registered."""
    import re

    text = who.see(f"{home}/amendments/new?kind=change")
    values: dict[str, Any] = dict(
        re.findall(r'<input id="f-\w+" name="(\w+)" type="\w+" value="([^"]*)"', text)
    )
    values |= dict(re.findall(r'<textarea id="f-\w+" name="(\w+)"[^>]*>([^<]*)</textarea>', text))
    for name, options in re.findall(r'<select id="f-\w+" name="(\w+)"[^>]*>(.*?)</select>', text, re.DOTALL):
        chosen = re.search(r'value="([^"]*)" selected', options)
        values[name] = chosen[1] if chosen else ""
    values["rights"] = re.findall(r'name="rights" value="(\w+)" checked', text)
    return {name: value for name, value in values.items() if name not in {"cause", "number", "q"}}


def test_anybody_checks_a_number_at_any_time(client: TestClient, house: House) -> None:
    asset = registered(house, company(house), registrar(house))
    house.pulse.beat()
    client.cookies.clear()
    text = client.get(f"/verify/{asset.number}").text
    assert "有效" in text
    assert "平台登记，不替代国家公共数据资源登记" in text
    assert "91370200" not in text.split("<main")[1], "no credit codes"
    english = client.get(f"/verify/{asset.number}", headers={"Accept-Language": "en"}).text
    assert "In force" in english
    found = client.get(f"/verify/{asset.number}", headers={"Accept": "application/json"}).json()
    assert found["status"]["code"] == "in_force"
    early = client.get(f"/verify/{asset.number}?at=2020-01-01", headers={"Accept": "application/json"}).json()
    assert (early["status"]["code"], early["fields"]) == ("not_yet", [])
    assert (
        client.get("/verify", params={"number": str(asset.number)}).headers["location"]
        == f"/verify/{asset.number}"
    )
    wrong = str(asset.number)[:-1] + ("A" if str(asset.number)[-1] != "A" else "B")
    for path, status in (
        (f"/verify/{wrong}", 422),
        (f"/verify?number={wrong}", 422),
        (f"/verify/{asset.number}?at=yesterday", 422),
        ("/verify/%3Cscript%3E", 422),
    ):
        answer = client.get(path)
        assert (answer.status_code, "<script>" in answer.text.split("<main")[1]) == (status, False), path
    refused = client.get(f"/verify/{wrong}", headers={"Accept": "application/json"})
    assert (refused.status_code, refused.json()["errors"][0]["rule"]) == (422, "number.check")


def test_certificates_are_for_those_concerned(client: TestClient, house: House) -> None:
    owner, officer = company(house), registrar(house)
    asset = registered(house, owner, officer)
    house.pulse.beat()
    who = Browser(client, house, owner)
    text = who.see(f"/assets/{asset.id}")
    with house.store.view() as view:
        [held] = queries.certificates(view, owner.actor, asset.id)
    assert f"/api/v1/certificates/{held.id}/pdf" in text
    assert who.client.get(f"/api/v1/certificates/{held.id}/pdf").content[:5] == b"%PDF-"
    assert who.client.get(f"/api/v1/certificates/{held.id}/file").json()["content"]["number"] == asset.number
    other = Browser(client, house, company(house, "另一家公司", "other@dealer.example"))
    assert other.client.get(f"/api/v1/certificates/{held.id}/pdf").status_code == 404


def test_the_directory_is_brought_in_and_read_by_anybody(client: TestClient, house: House) -> None:
    officer = registrar(house)
    desk = Browser(client, house, officer)
    code = make_uscc("11370200MB2846751")
    rows = "信息资源代码,信息资源名称,提供方,提供方代码,共享类型,是否向社会开放,不予开放理由,所属系统\n"
    rows += f"j-1,停车场目录,交通局,{code},1,是,,停车系统\nj-2,涉密路网,交通局,{code},1,否,涉及国家秘密,\nj-3,坏行,交通局,1,1,是,,\n"
    desk.upload("/directory/imports", "目录.csv", rows.encode("gb18030"))
    assert "新增 2" in desk.see("/directory/imports")
    assert "j-3" in desk.see("/directory/imports")
    desk.upload("/directory/imports", "空.csv", b"", 422)
    client.cookies.clear()
    text = client.get("/directory").text
    assert "交通局" in text
    assert "50.00 %" in text
    found = client.get("/api/v1/directory/entries", params={"open_attr": "N"}).json()
    assert (found["total"], found["entries"][0]["open_condition"]) == (1, "涉及国家秘密")
    entry = client.get(f"/directory/entries/{found['entries'][0]['id']}").text
    assert "仅公布目录信息" in entry
    assert "涉及国家秘密" in client.get("/directory", params={"open": "N"}).text
    assert client.get("/api/v1/directory/inventory").json()["resources"] == 2
    assert client.get("/api/v1/directory").json()[0]["resources"] == 2
    assert client.get("/directory/imports").status_code == 303
    answer = desk.client.post(
        "/api/v1/directory/imports?detail=true",
        content=json.dumps([{"code": "j-1"}]).encode(),
        headers={
            "X-CSRF-Token": desk.csrf,
            "X-File-Name": "x.json",
            "Content-Type": "application/octet-stream",
        },
    )
    assert (answer.json()["refused"], answer.json()["report"][0]["outcome"]) == (1, "refused")


def test_items_sources_and_a_cross_check_on_pages(client: TestClient, house: House) -> None:
    officer, owners = registrar(house), [company(house), company(house, "另一家公司", "other@dealer.example")]
    desk = Browser(client, house, officer)
    desk.send("/directory/items", code="lot.id", name_zh="停车场编号", name_en="Car park")
    desk.send("/directory/items", 409, code="lot.id", name_zh="停车场编号", name_en="Car park")
    with house.store.view() as view:
        from market.registry import sources

        [(item, _none)] = sources.items(view)
    for number, owner in enumerate(owners):
        content = f"lot_id,name\nP1,甲{number}\nP2,乙\n".encode()
        kept = house.objects.put_bytes(content)
        asset = registered(house, owner, officer, content.decode())
        assert kept.sha256
        who = Browser(client, house, owner)
        who.send("/directory/items/sources", 422, item=item.id, asset=asset.id, field="nothing")
        who.send(
            "/directory/items/sources",
            item=item.id, asset=asset.id, field="lot_id", collector="交通局", approver="交通局", provider="大数据局",
        )  # fmt: skip
    with house.store.view() as view:
        held = sources.item(view, item.id)[1]
        files = [queries.files_of(view, asset.id)[0].id for _source, asset in held]
    desk.send(f"/directory/sources/{held[0][0].id}/authority", reason="来源最为权威")
    assert "一数一源" in desk.send(
        f"/directory/sources/{held[1][0].id}/authority", 409, reason="来源最为权威"
    )
    path = desk.send("/directory/checks", left=files[0], right=files[1], key="lot_id", fields="name")
    assert "50.00 %" in desk.see(path)
    desk.send("/directory/checks", 422, left=files[0], right=files[1], key="", fields="name")
    client.cookies.clear()
    assert "停车场编号" in client.get("/directory/items").text
    assert client.get("/api/v1/directory/items").json()[0]["sources"][0]["authoritative"] is True


def test_the_demo_waits_for_nobody_and_the_office_knows_its_zone() -> None:
    assert Settings(demo=True, host="127.0.0.1")._office().notice_days == 0
    assert Settings(demo=True, registry=RegistrySettings(notice_days=3))._office().notice_days == 3
    office = Settings(timezone="Asia/Urumqi", area_code="110000")._office()
    assert (office.notice_days, office.timezone, office.area_code) == (10, "Asia/Urumqi", "110000")
