"""A data company brings data to the shelf, by clicking: registration, cleansing, plans, the standing offer."""

import re
from pathlib import Path
from typing import Any

import pytest

from market.catalogue import listing, queries
from market.identity.rules import Actor, OrgKind, Role
from tests.browser.conftest import Tab, Visitors
from tests.browser.pages import CHOICES, FIELDS, fill, press, said
from tests.live import Server

pytestmark = pytest.mark.browser
TABLE = "lot_id,visits,phone,note\n" + "".join(f"P{n % 7},{n},1390000{n:04d}, 好 \n" for n in range(40))
ROWS = TABLE + "P1,,13900000001,缺\n" + "P3,3,13900000003, 好 \n"  # one without visits, one twice


class Cast:
    """Who supplies and who registers."""

    def __init__(self, server: Server) -> None:
        company = server.institution("青岛数据集团有限公司", OrgKind.STATE_DATA_COMPANY, "91370200MA3DATA01")
        registrar = server.institution("青岛市数据登记中心", OrgKind.REGISTRAR, "12370200MB1RE61AT")
        self.operator = server.institution("海港数据交易中心", OrgKind.MARKET_OPERATOR, "91370200MA3D0PER8")
        with server.house.store.unit("system:test") as unit:
            from market.identity.queries import party

            party(unit, company).address = "山东省青岛市市南区 1 号"
            unit.record("party.edited", f"party:{company}")
        self.provider = server.session(
            "data@company.example", server.person("data@company.example", "陈数据", company, Role.OPERATOR)
        )
        self.registrar = server.session(
            "desk@registrar.example",
            server.person("desk@registrar.example", "刘登记", registrar, Role.REGISTRAR),
        )


def shown_contract(tab: Tab) -> str:
    """The address of the contract of the only plan."""
    page = tab.see("/catalog/car-parks")
    return page.get_by_role("link", name="阅读合同全文").get_attribute("href") or ""


def approve(server: Server, operator: str, slug: str) -> None:
    """Two approvers agree to the listing; their own pages are tested elsewhere."""
    with server.house.store.view() as view:
        product_id = view.session.exec(_by_slug(slug)).one()
        living = queries.living_listing(view, product_id)
        assert living is not None
        assert living.case_id is not None
        case = living.case_id
    actor = Actor(
        "usr_a",
        operator,
        frozenset({Role.APPROVER}),
        OrgKind.MARKET_OPERATOR,
        second_factor=True,
        party_verified=True,
    )
    with server.house.store.unit(actor.id, actor.org) as unit:
        listing.decide_listing(unit, actor, case, approve=True, reason="要约与材料一致")


def _by_slug(slug: str) -> Any:
    from sqlmodel import select

    from market.catalogue.tables import Product

    return select(Product.id).where(Product.slug == slug)


def registered(visitors: Visitors, cast: Cast, tmp_path: Path) -> Tab:
    """From an empty form to a number, with one return on the way; every page is looked at."""
    tab = visitors.tab(session=cast.provider)
    page = tab.see("/assets", shot="assets-empty")
    page.get_by_role("link", name="新建资产").click()
    tab.see(shot="asset-new")
    page.locator('[name="title_zh"]').fill("公共停车场客流量")
    page.locator('[name="scale"]').fill("三百")
    press(page, "保存")
    assert "非负整数" in tab.see(shot="asset-new-refused").locator("#e-scale").inner_text()
    assert page.locator('[name="title_zh"]').input_value() == "公共停车场客流量"
    page.locator('[name="scale"]').fill("")
    press(page, "保存")
    page.get_by_text("草稿已保存").wait_for()

    ragged = tmp_path / "ragged.csv"
    ragged.write_text("a,b\n1,2\n1,2,3\n", "utf-8")
    page.get_by_label("上传数据文件").set_input_files(ragged)
    press(page, "上传数据")
    assert "3" in tab.see(shot="asset-ragged").get_by_role("alert").inner_text()
    table = tmp_path / "客流.csv"
    table.write_text(ROWS, "utf-8")
    page.get_by_label("上传数据文件").set_input_files(table)
    press(page, "上传数据")
    page.get_by_text("文件已上传并完成检视").wait_for()
    assert "42 行" in said(tab)
    press(page, "按此文件填写信息项")
    page.get_by_text("已按文件填写信息项").wait_for()
    press(page, "提交登记")
    problems = tab.see(shot="asset-incomplete").get_by_role("alert")
    assert "来源佐证" in problems.inner_text()
    problems.get_by_role("link", name="请填写摘要").click()
    assert "请填写摘要" in tab.see(shot="asset-checked").locator("#e-abstract_zh").inner_text()
    assert "visits integer" in page.locator('[name="items"]').input_value()
    fill(page, FIELDS | {"abstract_zh": "停车。"})
    for name, value in CHOICES.items():
        page.locator(f'[name="{name}"]').select_option(value)
    page.get_by_label("数据经营权", exact=True).check()
    page.get_by_label("登记承诺书").check()
    press(page, "保存")
    page.get_by_text("修改已保存").wait_for()
    paper = tmp_path / "采集说明.pdf"
    paper.write_bytes(b"%PDF-1.7 collected")
    page.locator('[name="evidence"]').set_input_files(paper)
    press(page, "上传佐证")
    page.get_by_text("来源佐证已上传").wait_for()
    press(page, "提交登记")
    page.get_by_text("已提交登记机构审核").wait_for()
    tab.see(shot="asset-submitted")

    desk = visitors.tab(session=cast.registrar)
    office = desk.see("/assets", shot="desk-queue")
    office.get_by_role("link", name="公共停车场客流量").click()
    desk.see(shot="desk-asset")
    with office.expect_download() as download:
        office.get_by_role("link", name="采集说明.pdf").click()
    assert download.value.path().read_bytes() == b"%PDF-1.7 collected"
    office.get_by_label("需要补正的内容").fill("摘要：写明统计口径")
    office.get_by_label("理由").fill("摘")
    press(office, "退回补正")
    assert "4 至 500 字" in desk.see(shot="desk-refused").locator("#e-reason").inner_text()
    assert office.get_by_label("需要补正的内容").input_value() == "摘要：写明统计口径"
    office.get_by_label("理由").fill("摘要过于简略")
    press(office, "退回补正")
    office.get_by_text("已退回申请方补正").wait_for()

    page.reload()
    assert "写明统计口径" in tab.see(shot="asset-returned").get_by_role("main").inner_text()
    page.get_by_role("link", name="摘要").click()
    page.locator('[name="abstract_zh"]').fill("全市公共停车场逐小时进出车次，按进场时间统计。")
    tab.see(shot="asset-edit")
    press(page, "保存")
    press(page, "提交登记")
    page.get_by_text("已提交登记机构审核").wait_for()

    office.reload()
    press(office, "受理")
    office.get_by_text("已受理").first.wait_for()
    press(office, "开始审核")
    office.get_by_text("已开始审核").wait_for()
    office.get_by_label("登记意见").fill("材料齐全，准予登记")
    desk.see(shot="desk-accepted")
    press(office, "登记赋码")
    office.get_by_text("已登记并赋码").wait_for()
    desk.see("/assets?tab=decided", shot="desk-decided")
    return tab


def cleansed(tab: Tab) -> None:
    """From the product's page through a run to a published version."""
    page = tab.page
    page.get_by_role("link", name="数据清洗").first.click()
    tab.see(shot="runs")
    page.get_by_text("高级：直接填写配方").click()
    page.locator('[name="recipe"]').fill('{"steps": [{"step": "drop", "columns": ["nothing"]}]}')
    press(page, "开始清洗")
    assert "没有名为“nothing”的列" in tab.see(shot="runs-refused").locator("#e-recipe").inner_text()
    page.locator('[name="recipe"]').fill("")
    page.get_by_label("visits 不得为空").check()
    page.get_by_label("phone 的脱敏").select_option("first3last4")
    page.get_by_label("删除 note").check()
    page.get_by_label("按 lot_id 查询").check()
    press(page, "开始清洗")
    page.get_by_role("heading", name="发布为版本").wait_for(timeout=60_000)
    assert "已完成" in tab.see(shot="run-done").locator("#progress [role=status]").inner_text()
    table = page.get_by_role("table", name="配方的步骤").inner_text()
    assert re.search(r"筛选行.*\t1\n", table), table
    press(page, "发布版本")
    assert "数据字典缺少字段说明" in tab.see(shot="run-refused").get_by_role("alert").inner_text()
    for name, meaning in {"lot_id": "停车场", "visits": "车次", "phone": "电话（遮盖）"}.items():
        page.get_by_label(f"{name} 的中文含义").fill(meaning)
    press(page, "发布版本")
    page.get_by_text("新版本已发布").wait_for()


def test_a_commercial_product_from_an_empty_form_to_the_shelf(
    visitors: Visitors, server: Server, tmp_path: Path
) -> None:
    cast = Cast(server)
    tab = registered(visitors, cast, tmp_path)
    page = tab.page
    page.reload()
    assert re.search(
        r"SG-370200-R-\d{4}-\d{6}-", tab.see(shot="asset-registered").get_by_role("main").inner_text()
    )
    page.get_by_role("link", name="制作数据产品").click()
    assert page.locator('[name="title_en"]').input_value() == "Car park visits"
    fill(page, {"slug": "Car Parks", "summary_zh": "逐小时进出车次", "summary_en": "Arrivals by hour"})
    page.get_by_label("专区").select_option("parking")
    page.get_by_role("radio", name="商业").check()
    press(page, "保存")
    assert "小写字母" in tab.see(shot="product-refused").locator("#e-slug").inner_text()
    page.locator('[name="slug"]').fill("car-parks")
    press(page, "保存")
    page.get_by_text("产品草稿已建立").wait_for()
    tab.see(shot="product-new")
    cleansed(tab)

    page.get_by_role("link", name="计价方案").first.click()
    fill(page, {"code": "payg", "title_zh": "按次", "title_en": "Pay as you go", "call_fen": "0.025"})
    press(page, "增加方案")
    assert "两位小数" in tab.see(shot="plans-refused").locator("#e-call_fen").inner_text()
    page.locator('[name="call_fen"]').fill("0.02")
    press(page, "增加方案")
    page.get_by_text("计价方案已增加").wait_for()
    assert "¥0.02 每次调用" in tab.see(shot="plans").get_by_role("main").inner_text()

    page.get_by_role("link", name="挂牌要约").first.click()
    tab.see(shot="offer")
    press(page, "预览合同")
    assert "必填" in tab.see(shot="offer-refused").get_by_role("alert").inner_text()
    page.get_by_label("质量标准").fill("必填缺失率 | ≤ 1% | 全量统计")
    page.get_by_label("收款户名").fill("青岛数据集团有限公司")
    page.get_by_label("开户银行").fill("示例银行")
    page.get_by_label("银行账号").fill("3700 0000 0000 0001")
    page.get_by_label("最低预付").fill("100")
    press(page, "预览合同")
    assert "必填缺失率" in tab.see(shot="offer-preview").locator(".contract").first.inner_text()
    press(page, "返回修改")
    assert page.get_by_label("收款户名").input_value() == "青岛数据集团有限公司"
    press(page, "预览合同")
    press(page, "接受要约并申请挂牌")
    page.get_by_text("挂牌申请已提交审批").wait_for()
    tab.see(shot="product-submitted")
    tab.see("/products", shot="products")
    approve(server, cast.operator, "car-parks")

    public = visitors.tab()
    shown = public.see("/catalog", shot="catalog")
    shown.get_by_role("link", name="公共停车场客流量").click()
    assert "¥0.02" in public.see(shot="catalog-product").get_by_role("main").inner_text()
    order = shown.get_by_role("link", name="下单：按次").get_attribute("href")
    assert re.fullmatch(r"/orders/new\?product=prd_\w+&plan=pln_\w+", order or "")
    public.see("/catalog?q=没有这种东西", shot="catalog-empty")
    public.see("/", shot="portal-full")

    product = page.url.split("?")[0] if "/products/prd" in page.url else ""
    first = page.get_by_role("link", name="公共停车场客流量").get_attribute("href") or product
    with server.house.store.view() as view:
        asset = queries.product(view, None, "car-parks").asset_id
    contract = shown_contract(public)
    pages = [first, f"{first}/edit", f"{first}/runs", f"{first}/plans", f"{first}/listing", "/products", "/products/new",
             "/assets", "/assets/new", f"/assets/{asset}", f"/assets/{asset}/edit", "/catalog", "/catalog/car-parks", contract, "/"]  # fmt: skip
    phone, english = (
        visitors.tab(phone=True, session=cast.provider),
        visitors.tab("en-US", session=cast.provider),
    )
    for path in pages:
        name = re.sub(r"(prd|ast)_\w+", r"\1", path).replace("/", "-")
        phone.see(path, shot=f"phone{name}")
        english.see(path, shot=f"en{name}")
