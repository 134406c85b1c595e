"""Products on pages: profile, recipe boxes, plans in yuan, the standing offer, and who sees nothing."""

import json
from typing import Any

import pytest
from starlette.testclient import TestClient

from contracts.terms import Tier
from market.catalogue import queries
from market.catalogue.rules import PlanKind, Price
from market.catalogue.tables import Product
from market.house import House
from market.identity.tables import Party
from market.refinery import queries as refinery
from market.registry import actions
from market.web.forms import Form
from market.web.recipes import indexes_of, recipe_of, said
from storage.kernel.problem import Invalid
from storage.tabular.kinds import Column, Kind
from tests.market.assets import QUICK, reviewed
from tests.market.people import REGISTRAR
from tests.market.products import drafted_product, listed_product, ready_product
from tests.market.web.supply import Browser, company, drafted
from tests.people import Person

COLUMNS = [Column("lot_id", Kind.TEXT), Column("visits", Kind.INTEGER), Column("phone", Kind.TEXT)]
PLAN: dict[str, Any] = {"code": "payg", "title_zh": "按次", "title_en": "Payg", "tax_rate_bp": "600"}


@pytest.fixture
def owner(house: House) -> Person:
    return company(house)


@pytest.fixture
def browser(client: TestClient, house: House, owner: Person) -> Browser:
    return Browser(client, house, owner)


def test_a_product_is_drafted_from_its_asset(browser: Browser, house: House, owner: Person) -> None:
    asset = drafted_product(house.store, "other", actor=owner.actor).asset_id
    text = browser.see(f"/products/new?asset={asset}")
    assert 'value="公共停车场客流量"' in text
    form: dict[str, Any] = {
        "asset_id": asset,
        "slug": "Car Parks",
        "title_zh": "客流",
        "kind": "dataset",
        "zone": "parking",
    }
    form |= {"tier": "commercial", "delivery": ["api", "file"], "keywords": "停车，客流"}
    text = browser.send("/products/new", 422, **form)
    assert 'id="e-slug"' in text
    assert 'value="停车，客流"' in text
    assert "该产品标识" not in text
    assert "产品标识已被使用" in browser.send("/products/new", 409, **form | {"slug": "other"})
    assert 'id="e-zone"' in browser.send("/products/new", 422, **form | {"zone": "moon"})
    home = browser.send("/products/new", **form | {"slug": "car-parks"}).split("?")[0]
    text = browser.see(f"{home}/edit")
    assert 'value="停车，客流"' in text
    browser.send(f"{home}/edit", **form | {"summary_zh": "逐小时", "scenarios": "选址"})
    assert "逐小时" in browser.see(home)
    assert "car-parks" in browser.see("/products")


@pytest.mark.parametrize(
    ("tier", "fields", "wrong", "words"),
    [
        (Tier.PUBLIC_GOOD, {"kind": "per_call", "call_fen": "0.02"}, "kind", "公益产品只能免费提供"),
        (Tier.PUBLIC_GOOD, {"kind": "free", "fee_fen": "1"}, "kind", "公益产品只能免费提供"),
        (Tier.COMMERCIAL, {"kind": "per_call", "call_fen": "-1"}, "call_fen", "金额不能为负数"),
        (Tier.COMMERCIAL, {"kind": "per_call", "call_fen": "0.025"}, "call_fen", "金额最多两位小数"),
        (Tier.COMMERCIAL, {"kind": "per_call", "call_fen": "一元"}, "call_fen", "请填写金额"),
        (Tier.COMMERCIAL, {"kind": "per_call"}, "call_fen", "须填写对应单价"),
        (
            Tier.COMMERCIAL,
            {"kind": "per_call", "call_fen": "1", "included_rows": "-5"},
            "included_rows",
            "非负整数",
        ),
        (Tier.COMMERCIAL, {"kind": "per_call", "call_fen": "1", "code": "A B"}, "code", "方案代码"),
        (Tier.COMMERCIAL, {"kind": "barter", "call_fen": "1"}, "kind", "不在可选范围内"),
    ],
)
def test_a_price_that_cannot_be_is_named_beside_its_field(
    browser: Browser, house: House, owner: Person, tier: Tier, fields: dict[str, str], wrong: str, words: str
) -> None:
    product = drafted_product(house.store, actor=owner.actor, tier=tier)
    text = browser.send(f"/products/{product.id}/plans", 422, **PLAN | fields)
    assert f'id="e-{wrong}"' in text
    assert words in text
    assert 'value="Payg"' in text
    with house.store.view() as view:
        assert queries.plans(view, product.id) == []


def test_plans_are_priced_in_yuan(browser: Browser, house: House, owner: Person) -> None:
    product = drafted_product(house.store, actor=owner.actor, tier=Tier.COMMERCIAL)
    form = PLAN | {
        "kind": "per_call",
        "call_fen": "0.02",
        "download_fen": "¥1,234.5",
        "included_calls": "10,000",
    }
    browser.send(f"/products/{product.id}/plans", **form)
    with house.store.view() as view:
        [plan] = queries.plans(view, product.id)
    assert (plan.call_fen, plan.download_fen, plan.included_calls, plan.tax_rate_bp) == (
        2,
        123_450,
        10_000,
        600,
    )
    text = browser.see(f"/products/{product.id}/plans")
    assert "¥0.02 每次调用" in text
    assert "¥1,234.50 每次下载" in text
    assert "已有相同代码" in browser.send(f"/products/{product.id}/plans", 409, **form)
    browser.send(f"/products/{product.id}/plans/{plan.id}/retirement")
    assert "已停用" in browser.see(f"/products/{product.id}/plans")


def test_the_boxes_make_the_recipe_in_a_fixed_order() -> None:
    form = Form(
        {
            "trim": ["yes"], "dedupe": ["yes"], "filled": ["1"], "drop": ["0"], "mask_2": ["first3last4"],
            "mask_0": ["redact"], "rename_2": ["tel"], "index": ["0", "1", "2"], "nulls": ["NA"],
        }
    )  # fmt: skip
    recipe = recipe_of(form, COLUMNS)
    assert [step.step for step in recipe.steps] == ["trim", "filter", "dedupe", "mask", "drop", "rename"]
    assert recipe.nulls == ("", "NA")
    assert [said(step).zh for step in recipe.document()["steps"]] == [
        "lot_id、phone", "visits 不得为空", "整行", "phone：留前 3 后 4（手机号）", "lot_id", "phone → tel",
    ]  # fmt: skip
    assert indexes_of(form, COLUMNS) == ["visits", "tel"]


@pytest.mark.parametrize("written", ["{", "[]", '{"steps": [{"step": "sql"}]}', "[" * 5000, '{"steps": 1.5}'])
def test_a_recipe_in_json_is_checked(written: str) -> None:
    with pytest.raises(Invalid) as refused:
        recipe_of(Form({"recipe": [written]}), COLUMNS)
    assert {fault.field for fault in refused.value.faults} == {"recipe"}


def test_a_run_is_asked_for_followed_and_published(browser: Browser, house: House, owner: Person) -> None:
    asset = _registered(browser, house, owner)
    home = browser.send(
        "/products/new", asset_id=asset, slug="car-parks", title_zh="客流", kind="dataset", zone="parking",
        tier="public_good", delivery=["file"],
    ).split("?")[0]  # fmt: skip
    text = browser.see(f"{home}/runs")
    assert "lot_id" in text
    file = text.split('name="file" value="')[1].split('"')[0]
    drop_all = {"file": file, "drop": ["0", "1"]}
    assert "没有列了" in browser.send(f"{home}/runs", 422, **drop_all)
    recipe = json.dumps({"steps": [{"step": "trim", "columns": ["visits"]}]})
    assert "第 1 步" in browser.send(f"{home}/runs", 422, file=file, recipe=recipe)
    browser.send(f"{home}/runs", 404, file="fil_x")
    path = browser.send(f"{home}/runs", file=file, dedupe="yes", index="0").split("?")[0]
    assert "hx-get" in browser.see(path)
    with house.store.view() as view:
        run = refinery.run(view, path.rsplit("/", 1)[1])
    assert (run.indexes, run.file_name) == (["lot_id"], "客流.csv")
    assert "清洗未成功" in browser.send(f"{path}/version", 422)


def _registered(browser: Browser, house: House, owner: Person) -> str:
    """An asset with a real file, registered by hand."""
    asset = drafted(house, owner).id
    browser.upload(f"/assets/{asset}/files", "客流.csv", b"lot_id,visits\nP1,3\nP2,4\n")
    browser.upload(f"/assets/{asset}/evidence", "授权书.pdf", b"%PDF-1.7 letter")
    browser.send(f"/assets/{asset}/submission")
    with house.store.unit(REGISTRAR.id, REGISTRAR.org) as unit:
        reviewed(unit, asset)
        actions.register_asset(unit, REGISTRAR, asset, reason="材料齐全", office=QUICK)
    return asset


OFFER: dict[str, Any] = {
    "purposes": ["governance", "public_welfare"], "rights": ["use"], "territory": "mainland",
    "version_rule": "latest", "slots.data_source": "履职采集", "slots.update_cycle": "每日",
}  # fmt: skip


def test_the_standing_offer_is_read_and_accepted_by_its_hash(
    browser: Browser, house: House, owner: Person
) -> None:
    product = ready_product(house.store, actor=owner.actor)
    home = f"/products/{product.id}"
    assert 'name="slots.data_source"' in browser.see(f"{home}/listing")
    text = browser.send(f"{home}/listing/preview", 422, **OFFER | {"slots.data_source": ""})
    assert 'id="e-slots.data_source"' in text
    assert 'id="e-months"' in browser.send(f"{home}/listing/preview", 422, **OFFER | {"months": "-1"})
    assert 'id="e-purposes"' in browser.send(f"{home}/listing/preview", 422, **OFFER | {"purposes": []})
    text = browser.send(f"{home}/listing/preview", 200, **OFFER)
    assert "公共数据无条件开放许可" in text
    assert "Open License for Public Data" in text
    seen = text.split('name="offer_sha256" value="')[1].split('"')[0]
    assert "您接受的要约与当前内容不一致" in browser.send(
        f"{home}/listing", 409, offer_sha256="0" * 64, **OFFER
    )
    assert "履职采集" in browser.send(f"{home}/listing/change", 200, **OFFER)
    browser.send(f"{home}/listing", offer_sha256=seen, **OFFER)
    text = browser.see(home)
    assert seen in text
    assert "等待审批" in text
    assert "送审或已挂牌的产品不能修改" in browser.send(
        f"{home}/edit", 409, title_zh="x", kind="dataset", zone="parking", tier="public_good"
    )
    browser.send(f"{home}/withdrawal")
    assert "已退回" in browser.see(home)


def test_an_offer_without_address_shows_the_way(browser: Browser, house: House, owner: Person) -> None:
    product = ready_product(house.store, actor=owner.actor)
    with house.store.unit("system:test") as unit:
        unit.session.get_one(Party, owner.party.id).address = ""
        unit.record("test.set", f"party:{owner.party.id}")
    text = browser.send(f"/products/{product.id}/listing/preview", 409, **OFFER)
    assert "本单位尚未填写住所" in text
    assert 'href="/organization/details"' in text


def test_a_table_of_a_contract_has_all_its_parts(browser: Browser, house: House, owner: Person) -> None:
    product = _commercial(house, owner)
    form = OFFER | {"purposes": "industry", "slots.quality": "缺失率 | 1%"}
    text = browser.send(f"/products/{product.id}/listing/preview", 422, **form)
    assert 'id="e-slots.quality"' in text
    assert "每行须有 3 项" in text


def _commercial(house: House, owner: Person) -> Product:
    return ready_product(
        house.store, actor=owner.actor, tier=Tier.COMMERCIAL, kind=PlanKind.PER_CALL, price=Price(call_fen=2)
    )


def test_a_provider_ends_its_listing_with_a_reason(browser: Browser, house: House, owner: Person) -> None:
    product = listed_product(house.store, actor=owner.actor)
    home = f"/products/{product.id}"
    assert f"/catalog/{product.slug}" in browser.see(home)
    assert "4 至 500 字" in browser.send(f"{home}/delisting", 422, reason="好")
    browser.send(f"{home}/delisting", reason="数据停止更新")
    assert "已下架" in browser.see(home)


def test_another_organization_finds_nothing(client: TestClient, house: House, owner: Person) -> None:
    product = drafted_product(house.store, actor=owner.actor)
    other = Browser(client, house, company(house, "另一家数据公司", "other@dealer.example"))
    home = f"/products/{product.id}"
    for path in ("", "/edit", "/runs", "/plans", "/listing"):
        other.see(f"{home}{path}", 404)
    profile = {"title_zh": "x", "kind": "dataset", "zone": "parking", "tier": "public_good"}
    for path in (
        "/edit",
        "/runs",
        "/plans",
        "/listing",
        "/listing/preview",
        "/listing/change",
        "/withdrawal",
        "/delisting",
    ):
        other.send(
            f"{home}{path}", 404, **profile | PLAN | {"kind": "free" if "plans" in path else "dataset"}
        )
    assert product.title_zh not in other.see("/products")
