"""A deal in a real browser: order, approval, contract, two finance people, license, credential."""

import re
import uuid
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Page

from market.identity import passwords
from market.identity.queries import party, user_by_login
from market.identity.rules import OrgKind, Role
from tests.browser.conftest import Tab, Visitors
from tests.journeys.actors import ASSET, Cast, cleansed, listed, register
from tests.live import PASSWORD, Server

pytestmark = pytest.mark.browser

CSV = "lot_id,hour,visits\n" + "".join(f"P{n % 7},{n % 24},{n}\n" for n in range(200))
PROFILE: dict[str, Any] = {
    "title_zh": "公共停车场客流量", "title_en": "Car park visits", "summary_zh": "逐小时进出车次",
    "summary_en": "Arrivals and departures by hour", "description": "清洗后的逐小时记录。", "kind": "dataset",
    "zone": "parking", "tier": "commercial", "delivery": ["api", "file"], "scenarios": ["选址"], "keywords": ["停车"],
}  # fmt: skip
PLAN: dict[str, Any] = {
    "code": "payg", "title_zh": "按量计费", "title_en": "Pay as you go", "kind": "per_call",
    "price": {"call_fen": 20, "download_fen": 5000},
}  # fmt: skip
STANDING: dict[str, Any] = {
    "template_slug": "data-provision", "template_version": "2026.1",
    "purposes": ["industry", "internal_business"], "months": 12, "min_prepay_fen": 10_000,
    "slots": {
        "data_content": "逐小时进出车次", "data_scale": "二百条", "data_source": "企业自有系统",
        "time_range": "2025 年", "update_cycle": "每日",
        "quality": [{"metric": "必填缺失率", "target": "≤1%", "method": "全量统计"}],
        "payee_name": "青岛数据集团有限公司", "payee_bank": "示例银行青岛分行", "payee_account": "3700 0000 0000 0001",
    },
}  # fmt: skip


@pytest.fixture
def cast(server: Server) -> Iterator[Cast]:
    cast = Cast(server)
    yield cast
    cast.close()


@pytest.fixture
def offered(cast: Cast) -> tuple[str, str]:
    """A product on the shelf and its plan."""
    asset, file = register(cast, ASSET, "visits.csv", CSV.encode())
    run = cleansed(cast, asset, file["id"], {"steps": [{"step": "dedupe"}]}, ["lot_id"])
    return listed(cast, asset, run, "car-parks", PROFILE, PLAN, STANDING)


class Office:
    """People of the market and their windows."""

    def __init__(self, visitors: Visitors, server: Server) -> None:
        self.visitors, self.server = visitors, server
        self.secrets: dict[str, str] = {}

    def join(self, name: str, party: str, role: Role) -> None:
        self.secrets[name] = self.server.person(f"{name}@office.example", name, party, role)

    def tab(self, name: str, lang: str = "zh-CN", *, phone: bool = False) -> Tab:
        session = self.server.session(f"{name}@office.example", self.secrets[name])
        return self.visitors.tab(lang, phone=phone, session=session)

    def looks(self, name: str, path: str, shot: str) -> None:
        """The same page in English and on a phone."""
        self.tab(name, "en-US").see(path, shot=f"{shot}-en")
        self.tab(name, phone=True).see(path, shot=f"{shot}-phone")


@pytest.fixture
def office(visitors: Visitors, server: Server, cast: Cast) -> Office:
    office = Office(visitors, server)
    operator = server.institution("海港数据交易中心", OrgKind.MARKET_OPERATOR, "91370200MA3D0PER8")
    buyer = server.institution("青岛海风数据应用有限公司", OrgKind.ENTERPRISE, "91370200MA3CERTW8")
    with server.house.store.unit("system:test") as unit:
        owner = party(unit, buyer)
        owner.address = "山东省青岛市崂山区海风路 8 号"
        unit.session.add(owner)
        unit.record("party.changed", f"party:{buyer}")
    office.join("buyer", buyer, Role.BUYER)
    for name, role in (
        ("approver", Role.APPROVER),
        ("finance", Role.FINANCE),
        ("finance2", Role.FINANCE),
        ("compliance", Role.COMPLIANCE),
        ("auditor", Role.AUDITOR),
    ):
        office.join(name, operator, role)
    return office


def sign_in_with_code(tab: Tab, office: Office, name: str, then: str) -> Page:
    """Sign in by password and one-time code on the page that `then` leads to."""
    login = f"{name}@office.example"
    with office.server.house.store.unit("system:test") as unit:
        user = user_by_login(unit, login)
        assert user is not None
        user.totp_step = 0
        unit.record("user.totp_step_reset", f"user:{user.id}")
    page = tab.see(then)
    page.get_by_label("邮箱").fill(login)
    page.get_by_label("密码", exact=True).fill(PASSWORD)
    page.get_by_label("动态口令").fill(passwords.totp_now(office.secrets[name]))
    page.get_by_role("button", name="登录").click()
    return page


def test_a_deal_from_order_to_license(office: Office, offered: tuple[str, str], visitors: Visitors) -> None:
    product, plan = offered
    buyer = office.tab("buyer")
    buyer.see("/orders", shot="orders-empty")
    page = buyer.see(f"/orders/new?product={product}&plan={plan}", shot="order-new")
    office.looks("buyer", f"/orders/new?product={product}&plan={plan}", "order-new")
    page.get_by_label("内部经营").check()
    page.get_by_label("应用场景").fill("短")
    page.get_by_label("预付金额").fill("20")
    page.get_by_role("button", name="提交订单").click()
    refused = buyer.see(shot="order-refused")
    assert "请阅读并接受交易规则" in refused.locator("#e-rules_version").inner_text()
    assert "最低 ¥100.00" in refused.locator("#e-prepay_fen").inner_text()
    page.get_by_label("我已阅读并接受").check()
    page.get_by_label("应用场景").fill("用于本单位停车场周转率分析与选址")
    page.get_by_label("预付金额").fill("1,280")
    page.get_by_role("button", name="提交订单").dblclick()
    page.get_by_text("订单已提交").wait_for()
    order = page.url.split("?")[0].removeprefix(office.server.url)
    buyer.see(shot="order-submitted")

    approver = visitors.tab()
    desk = sign_in_with_code(approver, office, "approver", "/approvals")
    approver.see(shot="approvals")
    office.looks("approver", "/approvals", "approvals")
    desk.get_by_role("link", name="办理 公共停车场客流量").click()
    approver.see(shot="approval")
    office.looks("approver", desk.url.removeprefix(office.server.url), "approval")
    desk.get_by_role("button", name="提交意见").click()
    approver.see(shot="approval-refused")
    desk.get_by_label("同意", exact=True).check()
    desk.locator("#f-reason").fill("用途明确，买方已核验，同意")
    desk.get_by_role("button", name="提交意见").click()
    desk.get_by_text("审批意见已记录").wait_for()
    approver.see(shot="approvals-empty")

    page.goto(office.server.url + order)
    buyer.see(shot="order-approved")
    page.get_by_role("link", name="阅读并签署合同").click()
    buyer.see(shot="contract")
    office.looks("buyer", f"{order}/contract", "contract")
    page.get_by_label("我已阅读并代表本单位接受").check()
    page.get_by_role("button", name="接受并签署").click()
    page.get_by_text("合同已签署并由平台见证").wait_for()
    assert "壹仟贰佰捌拾元整" in buyer.see(shot="order-payment").get_by_role("main").inner_text()
    office.looks("buyer", order, "order-payment")
    page.get_by_role("link", name="付款单与其他付款方式").click()
    buyer.see(shot="payment-buyer")

    first = visitors.tab()
    till = sign_in_with_code(first, office, "finance", "/payments")
    first.see(shot="payments")
    office.looks("finance", "/payments", "payments")
    till.locator("tbody a").first.click()
    first.see(shot="payment-report")
    till.get_by_label("到账金额").fill("1280.00")
    till.get_by_label("银行流水号").fill("BANK20261122001")
    till.get_by_role("button", name="登记到账").click()
    till.get_by_text("到账已登记，等待").wait_for()
    assert till.get_by_role("button", name="确认到账").count() == 0
    first.see(shot="payment-same-person")
    second = office.tab("finance2")
    other = second.see(till.url.split("?")[0].removeprefix(office.server.url), shot="payment-confirm")
    other.get_by_label("我已独立核对").check()
    other.get_by_role("button", name="确认到账").click()
    other.get_by_text("到账已复核").wait_for()

    for _ in range(100):
        page.goto(office.server.url + order)
        if page.get_by_role("link", name="查看许可").count():
            break
        page.wait_for_timeout(100)
    buyer.see(shot="order-active")
    page.get_by_role("link", name="查看许可").click()
    license_path = page.url.removeprefix(office.server.url)
    page.locator("main a[href='/credentials']").click()
    buyer.see(shot="credentials-empty")
    page.get_by_label("名称").fill("生产环境")
    page.get_by_role("button", name="创建").click()
    shown = buyer.see(shot="credential-secret").get_by_role("main").inner_text()
    secret = re.search(r"shg_live_[\w-]+", shown)
    client = re.search(r"cli_\w+", shown)
    assert secret
    assert client
    _use(office.server.url, license_path.split("/")[-1], client[0], secret[0])
    assert secret[0] not in buyer.see("/credentials", shot="credentials").content()
    office.looks("buyer", "/credentials", "credentials")
    used = buyer.see(license_path, shot="license").get_by_role("main").inner_text()
    assert "¥0.40" in used
    office.looks("buyer", license_path, "license")
    buyer.see("/licenses", shot="licenses")
    buyer.see("/orders", shot="orders")
    office.looks("buyer", "/orders", "orders")

    officer = office.tab("compliance")
    stop = officer.see(license_path, shot="license-compliance")
    stop.get_by_label("撤销").check()
    stop.get_by_label("理由").fill("核查发现用途不符，撤销许可")
    stop.get_by_role("button", name="提交").click()
    stop.get_by_text("许可状态已变更").wait_for()
    officer.see(shot="license-revoked")
    till.goto(office.server.url + license_path)
    till.get_by_role("button", name="结清").click()
    till.get_by_text("已结清并开具账单").wait_for()
    first.see(shot="invoice")
    office.looks("buyer", till.url.split("?")[0].removeprefix(office.server.url), "invoice")
    first.see("/periods", shot="periods")
    office.looks("finance", "/periods", "periods")
    buyer.see("/invoices", shot="invoices")
    office.looks("buyer", "/invoices", "invoices")

    auditor = office.tab("auditor")
    auditor.see("/journal?verify=yes", shot="journal")
    assert "核验通过" in auditor.page.get_by_role("main").inner_text()
    office.looks("auditor", "/journal", "journal")
    auditor.see(f"/journal/order:{order.split('/')[-1]}", shot="journal-subject")
    buyer.see("/rules", shot="rules")
    office.looks("buyer", "/rules", "rules")


def _use(url: str, license_id: str, client: str, secret: str) -> None:
    """Two paid calls, as the page explains them."""
    answer = httpx2.post(
        f"{url}/oauth/token",
        data={"grant_type": "client_credentials", "license": license_id, "purpose": "internal_business"},
        auth=(client, secret),
        trust_env=False,
    )
    assert answer.status_code == 200, answer.text
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    for _ in range(2):
        headers["Idempotency-Key"] = str(uuid.uuid4())
        rows = httpx2.get(f"{url}/data/v1/car-parks/rows?limit=5", headers=headers, trust_env=False)
        assert rows.status_code == 200, rows.text
