"""From an objection during the public notice to a token that is refused when the mandate ends, in a real browser.

The market runs under libfaketime: its clock is put forward over the notice, the mandate's notice and the
mandate's end, so that every term is the real one and every sweep is the market's own.
"""

import json
import re
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Page
from sqlmodel import select

from market.identity.rules import OrgKind, Role
from market.mandates.rules import ZONE
from market.mandates.tables import Mandate
from market.registry.tables import Notice
from storage import journal
from tests.browser.conftest import Tab, Visitors
from tests.browser.pages import CHOICES, FIELDS, fill, press, said
from tests.clockwork import Clock
from tests.journeys.actors import Cast, Person, bought, cleansed, listed
from tests.live import Server, live_server

pytestmark = [pytest.mark.browser, pytest.mark.faketime]

TITLE = "公共停车场客流量"
SLUG = "car-park-visits"
CSV = "lot_id,hour,visits\n" + "".join(f"P{n % 7},{n % 24},{n}\n" for n in range(200))
OBJECTION = "该停车场的采集设备由我单位建设，权属尚有争议，请暂缓登记。"
ANSWER = "采集设备已于 2025 年整体移交，移交协议见来源佐证，权属清楚。"
RULING = "移交协议有效，异议人未能证明权属，异议不成立"
PROFILE: dict[str, Any] = {
    "title_zh": TITLE, "title_en": "Car park visits", "summary_zh": "逐小时进出车次",
    "summary_en": "Arrivals and departures by hour", "description": "清洗后的逐小时记录。", "kind": "dataset",
    "zone": "parking", "tier": "commercial", "delivery": ["api"], "scenarios": ["选址"], "keywords": ["停车"],
}  # fmt: skip
PLAN: dict[str, Any] = {
    "code": "payg", "title_zh": "按量计费", "title_en": "Pay as you go", "kind": "per_call",
    "price": {"call_fen": 20},
}  # fmt: skip
STANDING: dict[str, Any] = {
    "template_slug": "data-provision", "template_version": "2026.1",
    "purposes": ["industry", "internal_business"], "months": 12, "min_prepay_fen": 10_000,
    "slots": {
        "data_content": "逐小时进出车次", "data_scale": "二百条", "data_source": "停车一张网",
        "time_range": "2025 年", "update_cycle": "每日",
        "quality": [{"metric": "必填缺失率", "target": "≤1%", "method": "全量统计"}],
        "payee_name": "青岛数据集团有限公司", "payee_bank": "示例银行青岛分行", "payee_account": "3700 0000 0000 0001",
    },
}  # fmt: skip


@pytest.fixture
def clockwork(tmp_path: Path) -> Clock:
    return Clock(tmp_path)


@pytest.fixture
def server(tmp_path: Path, clockwork: Clock) -> Iterator[Server]:
    with live_server(
        tmp_path / "var", environment=clockwork.environment, REGISTRY__NOTICE_DAYS="1"
    ) as server:
        yield server


class Town:
    """Everybody of the journey, signed in anew after each jump of the clock, for sessions end within the day."""

    def __init__(self, server: Server, visitors: Visitors, clock: Clock, cast: Cast) -> None:
        self.server, self.visitors, self.clock, self.cast = server, visitors, clock, cast
        bureau = server.institution("青岛市大数据发展管理局", OrgKind.DATA_BUREAU, "11370200MB1BUREA1")
        cast.secrets["mandator"] = server.person("mandator@journey.example", "周授权", bureau, Role.MANDATOR)

    def tab(self, name: str, lang: str = "zh-CN", *, phone: bool = False) -> Tab:
        with self.clock.held():
            session = self.server.session(f"{name}@journey.example", self.cast.secrets[name])
        return self.visitors.tab(lang, phone=phone, session=session)

    def jump(self, moment: datetime) -> None:
        self.clock.forward(moment, self.server.url)
        with self.clock.held():
            for person in self.cast.people.values():
                person.sign_in()

    def looks(self, name: str, path: str, shot: str) -> None:
        """The same page in English and on a phone, for `name` or for anybody."""
        english, phone = (
            (self.tab(name, "en-US"), self.tab(name, phone=True))
            if name
            else (self.visitors.tab("en-US"), self.visitors.tab(phone=True))
        )
        english.see(path, shot=f"{shot}-en")
        phone.see(path, shot=f"{shot}-phone")


@pytest.fixture
def town(server: Server, visitors: Visitors, clockwork: Clock) -> Iterator[Town]:
    with closing(Cast(server)) as cast:
        yield Town(server, visitors, clockwork, cast)


def path_of(town: Town, page: Page) -> str:
    return page.url.split("?")[0].removeprefix(town.server.url)


def until(page: Page, done: Callable[[], bool], seconds: int = 30) -> None:
    """Reload until `done`; what a sweep or a worker does comes a little later."""
    for _ in range(seconds * 2):
        page.reload()
        if done():
            return
        page.wait_for_timeout(500)
    raise AssertionError(f"waited in vain at {page.url}: {page.get_by_role('main').inner_text()}")


# ------------------------------------------------------------------ the register


def applied(town: Town, folder: Path) -> str:
    """The supplier fills in the form, attaches the data and the proof of its source, and submits. The asset's path."""
    tab = town.tab("provider")
    page = tab.see("/assets/new")
    fill(page, FIELDS | {"title_zh": TITLE, "abstract_zh": "全市公共停车场逐小时进出车次，按进场时间统计。"})
    choices = CHOICES | {"supply": "public", "open_attr": "K", "grade": "G2"}
    for name, value in choices.items():
        page.locator(f'[name="{name}"]').select_option(value)
    fill(
        page,
        {"items": "lot_id text 停车场\nhour integer 小时\nvisits integer 车次", "open_condition": "注明来源"},
    )
    page.get_by_label("数据经营权", exact=True).check()
    page.get_by_label("登记承诺书").check()
    press(page, "保存")
    page.get_by_text("草稿已保存").wait_for()
    table, paper = folder / "客流.csv", folder / "移交协议.pdf"
    table.write_text(CSV, "utf-8")
    paper.write_bytes(b"%PDF-1.7 handed over in 2025")
    page.get_by_label("上传数据文件").set_input_files(table)
    press(page, "上传数据")
    page.get_by_text("文件已上传并完成检视").wait_for()
    page.locator('[name="evidence"]').set_input_files(paper)
    press(page, "上传佐证")
    page.get_by_text("来源佐证已上传").wait_for()
    press(page, "提交登记")
    page.get_by_text("已提交登记机构审核").wait_for()
    return path_of(town, page)


def announced(town: Town, asset: str) -> str:
    """The registrar accepts, reviews and publishes. The notice's path."""
    desk = town.tab("registrar")
    page = desk.see(asset)
    press(page, "受理")
    press(page, "开始审核")
    page.get_by_label("登记意见").fill("材料齐全，审核通过")
    assert page.get_by_role("button", name="登记赋码").count() == 0
    press(page, "发布公示（1 个工作日）")
    page.get_by_role("link", name=re.compile(r"^GS-")).wait_for()
    desk.see(shot="notice-desk")
    anybody = town.visitors.tab()
    public = anybody.see("/notices", shot="notices")
    public.get_by_role("link", name=re.compile(r"^GS-")).click()
    assert "1 个工作日" in anybody.see(shot="notice").get_by_role("main").inner_text()
    assert "请先登录" in said(anybody)
    notice = path_of(town, public)
    town.looks("", notice, "notice")
    town.looks("", "/notices", "notices")
    return notice


def notice_of(town: Town, notice: str) -> Notice:
    with town.server.house.store.view() as view:
        return view.session.exec(
            select(Notice).where(Notice.number == notice.rsplit("/", maxsplit=1)[-1])
        ).one()


def objected(town: Town, notice: str, folder: Path) -> None:
    """Another organization objects with evidence, and the clock of the notice stands still."""
    paper = folder / "设备合同.pdf"
    paper.write_bytes(b"%PDF-1.7 we built the sensors")
    tab = town.tab("rival")
    page = tab.see(notice, shot="objection-form")
    page.get_by_label("事实与理由").fill("权属有争议")
    page.get_by_label("证据材料").set_input_files(paper)
    press(page, "提交异议")
    assert "10 至 4000 字" in tab.see(shot="objection-refused").get_by_role("main").inner_text()
    page.get_by_label("事实与理由").fill(OBJECTION)
    page.get_by_label("证据材料").set_input_files(paper)
    press(page, "提交异议")
    page.get_by_text("暂停，剩余 1 个工作日").wait_for()
    assert OBJECTION in tab.see(shot="objection-raised").get_by_role("main").inner_text()
    town.looks("rival", notice, "objection-raised")
    assert notice_of(town, notice).paused_at is not None
    anybody = town.visitors.tab()
    assert OBJECTION not in anybody.see(notice).content()  # what is said is for the two sides and the desk


def heard(town: Town, asset: str, notice: str) -> None:
    """The registrar does not decide before the other side is heard; then the objection is dismissed."""
    desk = town.tab("registrar")
    office = desk.see(asset, shot="objection-desk")
    with office.expect_download() as paper:
        office.get_by_role("link", name="设备合同.pdf").click()
    assert paper.value.path().read_bytes() == b"%PDF-1.7 we built the sensors"
    assert office.get_by_role("button", name="登记赋码").count() == 0
    office.get_by_label("裁定理由").fill(RULING)
    press(office, "异议不成立")
    early = desk.see(shot="objection-too-early").get_by_role("main").inner_text()
    assert "答复" in early
    assert notice_of(town, notice).paused_at is not None

    tab = town.tab("provider")
    page = tab.see(asset, shot="objection-applicant")
    assert OBJECTION in said(tab)
    page.get_by_label("答复", exact=True).fill(ANSWER)
    press(page, "提交答复")
    page.get_by_text("登记主体答复").first.wait_for()
    tab.see(shot="objection-answered")

    office.goto(town.server.url + asset)
    assert ANSWER in said(desk)
    office.get_by_label("裁定理由").fill(RULING)
    press(office, "异议不成立")
    office.get_by_text("异议不成立").first.wait_for()
    desk.see(shot="objection-dismissed")
    assert office.get_by_role("button", name="公示期未满").is_disabled()
    town.looks("registrar", asset, "objection-dismissed")
    going = notice_of(town, notice)
    assert going.paused_at is None
    assert going.ends_at > town.clock.now()
    assert RULING in town.tab("rival").see(notice, shot="objection-ruled").content()


def numbered(town: Town, asset: str, notice: str) -> str:
    """The notice ends, and the registrar registers. The registration number."""
    town.jump(notice_of(town, notice).ends_at + timedelta(minutes=1))
    desk = town.tab("registrar")
    office = desk.see(asset)
    office.get_by_label("登记意见").fill("公示期满，异议不成立，准予登记")
    press(office, "登记赋码")
    office.get_by_text("已登记并赋码").wait_for()
    found = re.search(r"SG-370200-R-\d{4}-\d{6}-\w", said(desk))
    assert found
    anybody = town.visitors.tab()
    assert "不再受理异议" in anybody.see(notice, shot="notice-over").get_by_role("main").inner_text()
    return found[0]


def certified(town: Town, asset: str, folder: Path) -> None:
    """Both certificates come from the page; the file is checked with nothing but the exported keys."""
    tab = town.tab("provider")
    page = tab.see(asset)
    until(page, lambda: page.get_by_role("link", name="签名文件").count() > 0)
    tab.see(shot="registered")
    town.looks("provider", asset, "registered")
    with page.expect_download() as download:
        page.get_by_role("link", name="签名文件").click()
    certificate = folder / "certificate.json"
    certificate.write_bytes(download.value.path().read_bytes())
    address = page.get_by_role("link", name="PDF", exact=True).get_attribute("href")
    printed = page.request.get(town.server.url + str(address))
    assert printed.headers["content-type"] == "application/pdf"
    assert printed.body().startswith(b"%PDF-")
    keys = folder / "keys.json"
    keys.write_text(town.server.program("keys", "export"))
    done = offline(folder, certificate, keys)
    assert (done.returncode, "凭证真实" in done.stdout) == (0, True), done.stdout + done.stderr
    plain = certificate.read_bytes()
    place = plain.index(TITLE.encode())
    forged = folder / "forged.json"
    forged.write_bytes(plain[:place] + bytes([plain[place] ^ 1]) + plain[place + 1 :])
    assert offline(folder, forged, keys).returncode == 1
    document = json.loads(plain)
    document["content"]["number"] = "SG-370200-R-2026-999999-0"
    forged.write_text(json.dumps(document, ensure_ascii=False))
    refused = offline(folder, forged, keys)
    assert (refused.returncode, "凭证未通过核验" in refused.stdout) == (1, True)


def offline(folder: Path, certificate: Path, keys: Path) -> subprocess.CompletedProcess[str]:
    """`shugang verify certificate` on a machine that has neither market nor database."""
    away = folder / "another-machine"
    away.mkdir(exist_ok=True)
    command = [
        sys.executable,
        "-m",
        "market.cli",
        "verify",
        "certificate",
        str(certificate),
        "--keys",
        str(keys),
    ]
    done = subprocess.run(
        command,
        cwd=away,
        env={
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
            "LANG": "C.UTF-8",
            "SHUGANG_STORAGE__DATABASE_URL": "postgresql+psycopg://nobody@127.0.0.1:9/nothing",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert not list(away.iterdir()), "checking a certificate leaves nothing behind"
    return done


def verified(town: Town, number: str, shot: str) -> None:
    """Anybody asks the register, in both languages."""
    zh, en = town.visitors.tab(), town.visitors.tab("en-US")
    page = zh.see("/verify")
    page.get_by_label("登记编号").fill(number)
    press(page, "查验")
    assert f"{number}：有效" in zh.see(shot=shot).get_by_role("main").inner_text()
    assert (
        f"{number}: In force"
        in en.see(f"/verify/{number}", shot=f"{shot}-en").get_by_role("main").inner_text()
    )
    town.visitors.tab(phone=True).see(f"/verify/{number}", shot=f"{shot}-phone")


# ------------------------------------------------------------------ the mandate


def mandated(town: Town) -> Mandate:
    """The bureau drafts, compliance checks, the public notice runs, the operator signs: all in pages."""
    tab = town.tab("mandator")
    page = tab.see("/mandates/new", shot="mandate-new")
    first = town.clock.now().astimezone(ZONE).date()
    fill(
        page,
        {
            "title": "青岛市停车领域公共数据授权运营协议",
            "first_day": first.isoformat(),
            "last_day": (first + timedelta(days=20)).isoformat(),
            "duties": "按日更新；落实分类分级与脱敏",
            "charging": "不高于上限收费标准",
            "exit_terms": "期满后三十日内移交数据与接口，销毁副本",
        },
    )
    page.locator('[name="operator_id"]').select_option(label="青岛数据集团有限公司")
    page.get_by_role("radio", name="整体授权").check()
    for box in page.locator('[name="purposes"]').all():
        box.check()
    press(page, "保存草案")
    page.get_by_label("会议纪要编号").fill("青数纪〔2026〕12 号")
    page.get_by_label("审议日期").fill(first.isoformat())
    press(page, "提交复核")
    page.get_by_text("集体审议").first.wait_for()
    address = path_of(town, page)
    second = town.tab("compliance")
    desk = second.see("/approvals")
    desk.locator("main a[href^='/approvals/cas_']").first.click()
    second.see(shot="mandate-case")
    desk.get_by_label("同意", exact=True).check()
    desk.locator("#f-reason").fill("集体审议纪要齐全，同意")
    press(desk, "提交意见")
    desk.get_by_text("审批意见已记录").wait_for()
    with town.server.house.store.view() as view:
        noticed = view.session.get_one(Mandate, address.split("/")[-1])
    assert noticed.notice_until is not None
    waiting = town.tab("provider")
    assert (
        "公示期满后即可签署" in waiting.see(address, shot="mandate-notice").get_by_role("main").inner_text()
    )
    town.jump(noticed.notice_until + timedelta(minutes=1))
    operator = town.tab("provider")
    signing = operator.see(address)
    press(signing, "代表运营机构签署")
    signing.get_by_text("运营中").first.wait_for()
    operator.see(shot="mandate-signed")
    town.looks("", address, "mandate-signed")
    with town.server.house.store.view() as view:
        return view.session.get_one(Mandate, noticed.id)


def capped(town: Town) -> None:
    """The bureau publishes the ceiling that the price stays under."""
    with town.clock.held():
        bureau = Person(town.server, "mandator@journey.example", town.cast.secrets["mandator"])
    with closing(bureau):
        today = town.clock.now().astimezone(ZONE).date()
        ceiling = {
            "product": SLUG, "unit": "call", "max_yuan": "0.3", "decided_by": "青岛市发展和改革委员会",
            "document_no": "青发改价〔2026〕1 号", "first_day": today.isoformat(),
            "last_day": (today + timedelta(days=700)).isoformat(),
        }  # fmt: skip
        bureau.post("/price-ceilings", ceiling, status=201)


def screened(town: Town, asset_id: str) -> None:
    """Public data passes its secrecy review by somebody of another organization."""
    asked = {"statement": "不含个人信息与涉密内容，按小时汇总。", "personal": False, "export": False}
    review = town.cast.provider.post(f"/assets/{asset_id}/secrecy-reviews", asked, status=201)["id"]
    verdict = {"passing": True, "reason": "经审查不涉密", "evidence": "青密审〔2026〕1 号"}
    town.cast.compliance.post(f"/secrecy-reviews/{review}/decision", verdict)


def sold(town: Town, asset: str) -> dict[str, Any]:
    """A product on the shelf and a license in force; the pages of these steps have tests of their own."""
    capped(town)
    asset_id = asset.rsplit("/", maxsplit=1)[-1]
    screened(town, asset_id)
    file = town.cast.provider.get(f"/assets/{asset_id}/files")[0]["id"]
    run = cleansed(town.cast, asset_id, file, {"steps": [{"step": "dedupe"}]}, ["lot_id"])
    product, plan = listed(town.cast, asset_id, run, SLUG, PROFILE, PLAN, STANDING)
    return bought(town.cast, product, plan, prepay_fen=10_000, months=3)


class Program:
    """A program of the buyer: its credential, and the token it holds."""

    def __init__(self, town: Town, license_id: str) -> None:
        self.url, self.license = town.server.url, license_id
        made = town.cast.buyer.post("/credentials", {"name": "运力调度"}, status=201)
        self.credential = (made["client_id"], made["client_secret"])

    def token(self) -> httpx2.Response:
        form = {"grant_type": "client_credentials", "license": self.license, "purpose": "internal_business"}
        return httpx2.post(f"{self.url}/oauth/token", data=form, auth=self.credential, trust_env=False)

    def rows(self, token: str) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": str(uuid.uuid4())}
        return httpx2.get(f"{self.url}/data/v1/{SLUG}/rows?limit=5", headers=headers, trust_env=False)


def test_from_an_objection_to_a_token_refused_when_the_mandate_ends(
    town: Town, server: Server, tmp_path: Path
) -> None:
    asset = applied(town, tmp_path)
    notice = announced(town, asset)
    objected(town, notice, tmp_path)
    heard(town, asset, notice)
    number = numbered(town, asset, notice)
    certified(town, asset, tmp_path)
    verified(town, number, "verify")

    mandate = mandated(town)
    order = sold(town, asset)
    license_page = f"/licenses/{order['license_id']}"
    town.tab("buyer").see(license_page, shot="license-served")
    town.jump(mandate.valid_until - timedelta(seconds=90))
    program = Program(town, order["license_id"])
    token = program.token().json()["access_token"]
    served = program.rows(token)
    assert (served.status_code, len(served.json()["rows"])) == (200, 5), served.text

    town.clock.forward(mandate.valid_until + timedelta(seconds=1), server.url)
    refused = program.rows(token)
    assert refused.status_code == 403, refused.text
    assert refused.json()["reason"] == "mandate_expired"
    assert refused.json()["details"] == {
        "zh": f"所依据的授权运营已到期（{mandate.number}）",
        "en": f"the mandate it stands on has expired ({mandate.number})",
    }
    off_the_shelf(town, program, mandate, order)
    verified(town, number, "verify-after")

    auditor = town.tab("auditor")
    auditor.see("/journal?verify=yes", shot="journal-verified")
    assert "核验通过" in said(auditor)
    assert journal.verify_stored(server.house.store).ok
    assert "server fault" not in server.log(), server.log()[-4000:]


def off_the_shelf(town: Town, program: Program, mandate: Mandate, order: dict[str, Any]) -> None:
    """The market's own sweep: listing held with its reason, license noted as over, nothing new is sold or served."""
    buyer = town.tab("buyer")
    page = buyer.see(f"/catalog/{SLUG}")
    until(page, lambda: "未上架" in said(buyer))
    assert f"授权运营 {mandate.number} 已到期" in said(buyer)
    buyer.see(shot="product-held")
    town.looks("buyer", f"/catalog/{SLUG}", "product-held")
    assert page.get_by_role("link", name=re.compile("下单")).count() == 0
    license_page = f"/licenses/{order['license_id']}"
    assert (
        f"所依据的授权运营已到期（{mandate.number}）"
        in buyer.see(license_page, shot="license-over").content()
    )
    town.looks("buyer", license_page, "license-over")
    provider = town.tab("provider")
    held = provider.see(f"/products/{order['product_id']}", shot="product-held-provider")
    assert f"授权运营 {mandate.number} 已到期" in held.get_by_role("main").inner_text()
    anybody = town.visitors.tab()
    assert TITLE not in anybody.see("/catalog", shot="catalog-after").get_by_role("main").inner_text()
    assert TITLE not in anybody.see("/", shot="portal-after").get_by_role("main").inner_text()
    assert (
        "到期" in anybody.see(f"/mandates/{mandate.id}", shot="mandate-over").get_by_role("main").inner_text()
    )

    again = program.token()
    assert again.status_code == 403, again.text
    assert str(mandate.number) in again.json()["error_description"]
    form = {
        "product_id": order["product_id"], "plan_id": order["plan_id"], "purpose": "internal_business",
        "scenario": "用于航班准点率分析与内部运力调度", "months": 1, "prepay_fen": 10_000,
    }  # fmt: skip
    lacking = town.cast.buyer.post("/orders", form, status=403)
    assert lacking["type"] == "/problems/no-mandate"
    assert str(mandate.number) in lacking["details"]["zh"]
    buyer.see(
        f"/orders/new?product={order['product_id']}&plan={order['plan_id']}", shot="order-refused-after"
    )
    assert buyer.page.get_by_role("button", name="提交订单").count() == 0
