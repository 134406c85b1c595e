"""An enterprise arrives: registration, identity check, members, in a real browser."""

import re
from pathlib import Path

import pytest

from market.identity import passwords
from market.identity.queries import user_by_login
from market.identity.rules import OrgKind, Role
from storage.kernel.numbers import make_uscc
from tests.browser.conftest import Tab, Visitors
from tests.live import PASSWORD, Server

pytestmark = pytest.mark.browser
USCC = make_uscc("91370200MA3CERTW8")


def sign_in(tab: Tab, login: str, password: str, secret: str = "") -> None:
    page = tab.see("/login")
    page.get_by_label("邮箱").fill(login)
    page.get_by_label("密码", exact=True).fill(password)
    if secret:
        page.get_by_label("动态口令").fill(passwords.totp_now(secret))
    page.get_by_role("button", name="登录").click()


def test_an_enterprise_registers_is_verified_and_invites_a_colleague(
    visitors: Visitors, server: Server, tmp_path: Path
) -> None:
    operator = server.institution("海港数据交易中心", OrgKind.MARKET_OPERATOR, "91370200MA3D0PER8")
    secret = server.person("checker@market.example", "孙合规", operator, Role.COMPLIANCE)
    buyer = visitors.tab()

    page = buyer.see("/", shot="portal")
    page.get_by_role("link", name="企业注册").first.click()
    page.get_by_label("企业名称").fill("青岛海风数据应用有限公司")
    page.get_by_label("统一社会信用代码").fill(USCC[:-1] + ("A" if USCC[-1] != "A" else "B"))
    page.get_by_label("姓名").fill("王小海")
    page.get_by_label("邮箱（登录名）").fill("wang@haifeng.example")
    page.get_by_label("密码", exact=True).fill(PASSWORD)
    page.get_by_label("再次输入密码").fill(PASSWORD)
    page.get_by_label("我已阅读并同意").check()
    page.get_by_role("button", name="注册").click()
    buyer.see(shot="register-refused")
    assert page.get_by_label("企业名称").input_value() == "青岛海风数据应用有限公司"
    assert page.get_by_label("密码", exact=True).input_value() == ""
    assert "校验码" in page.locator("#e-id_number").inner_text()
    page.get_by_label("统一社会信用代码").fill(USCC)
    page.get_by_label("密码", exact=True).fill(PASSWORD)
    page.get_by_label("再次输入密码").fill(PASSWORD)
    page.get_by_role("button", name="注册").click()
    page.get_by_text("注册成功").wait_for()
    buyer.see(shot="login")

    assert page.get_by_label("邮箱").input_value() == "wang@haifeng.example"
    page.get_by_label("密码", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="登录").click()
    buyer.see(shot="portal-unverified").get_by_role("link", name="提交企业身份材料").click()
    document = tmp_path / "license.pdf"
    document.write_bytes(b"MZ not a document")
    page.get_by_label("营业执照").set_input_files(document)
    page.get_by_role("button", name="提交核验").click()
    assert "PDF、PNG 或 JPEG" in buyer.see(shot="organization-refused").locator("#e-file").inner_text()
    document.write_bytes(b"%PDF-1.7 a business license")
    page.get_by_label("营业执照").set_input_files(document)
    page.get_by_role("button", name="提交核验").click()
    page.get_by_text("正在等待合规人员核验").wait_for()
    buyer.see(shot="organization-pending")

    officer = visitors.tab()
    sign_in(officer, "checker@market.example", PASSWORD, secret)
    desk = officer.see("/compliance/parties", shot="compliance-queue")
    desk.get_by_role("link", name="核验 青岛海风").click()
    officer.see(shot="compliance-party")
    with desk.expect_download() as download:
        desk.get_by_role("link", name="下载身份材料").click()
    assert download.value.path().read_bytes() == b"%PDF-1.7 a business license"
    desk.get_by_label("通过", exact=True).check()
    desk.get_by_label("理由").fill("好")
    desk.get_by_role("button", name="提交结论").click()
    assert "4 个字" in officer.see(shot="compliance-refused").locator("#e-reason").inner_text()
    assert desk.get_by_label("通过", exact=True).is_checked()
    desk.get_by_label("理由").fill("营业执照与登记信息一致")
    desk.get_by_role("button", name="提交结论").click()
    desk.get_by_text("没有待核验的主体").wait_for()
    officer.see(shot="compliance-empty")

    buyer.see("/organization", shot="organization-verified")
    assert "营业执照与登记信息一致" in page.get_by_role("main").inner_text()
    buyer.see("/organization/members")
    page.get_by_label("姓名").fill("李小风")
    page.get_by_label("邮箱").fill("li@haifeng.example")
    page.get_by_role("button", name="发送邀请").click()
    assert "至少选择一个角色" in buyer.see(shot="members-refused").locator("#e-roles").inner_text()
    page.get_by_label("买方").check()
    page.get_by_role("button", name="发送邀请").click()
    page.get_by_text("邀请邮件已发出").wait_for()
    buyer.see(shot="members")

    colleague = visitors.tab()
    for _ in range(50):
        letters = colleague.see("/inbox")
        if letters.get_by_text("青岛海风数据应用有限公司 邀请您加入数港").count():
            break
        letters.wait_for_timeout(100)
    colleague.see(shot="inbox")
    letters.locator("a", has_text="/link/").first.click()
    letters.get_by_label("新密码").fill("another long sentence")
    letters.get_by_label("再次输入").fill("another long sentence")
    colleague.see(shot="link")
    letters.get_by_role("button", name="设置密码").click()
    sign_in(colleague, "li@haifeng.example", "another long sentence")
    colleague.see("/account", shot="account")
    assert "李小风" in letters.get_by_role("main").inner_text()

    page.reload()
    page.get_by_role("button", name="移除 李小风").click()
    page.get_by_text("成员已移除").wait_for()
    letters.goto(server.url + "/organization")
    assert letters.url.startswith(server.url + "/login"), "the session of a removed member ends at once"
    sign_in(colleague, "li@haifeng.example", "another long sentence")
    letters.goto(server.url + "/organization")
    assert "请先加入" in colleague.see(shot="forbidden").get_by_role("main").inner_text()


def test_a_one_time_code_is_set_up_and_then_needed(visitors: Visitors, server: Server) -> None:
    operator = server.institution("海港数据交易中心", OrgKind.MARKET_OPERATOR, "91370200MA3D0PER8")
    secret = server.person("pay@market.example", "钱出纳", operator, Role.FINANCE)
    tab = visitors.tab(session=server.session("pay@market.example", secret))
    page = tab.see("/account/totp", shot="totp")
    page.get_by_label("动态口令").fill("000000")
    page.get_by_role("button", name="确认绑定").click()
    assert "不正确" in tab.see().locator("#e-code").inner_text()
    fresh = page.locator(".copy code").inner_text()
    page.get_by_label("动态口令").fill(passwords.totp_now(fresh))
    page.get_by_role("button", name="确认绑定").click()
    page.get_by_text("动态口令已绑定").wait_for()
    page.locator(".menu summary").click()
    tab.see(shot="menu")
    page.get_by_role("button", name="退出登录").click()
    page.get_by_text("您已安全退出").wait_for()
    with server.house.store.unit("system:test") as unit:
        user = user_by_login(unit, "pay@market.example")
        assert user is not None
        user.totp_step = 0  # the code of this half minute was used to bind it
        unit.record("user.totp_step_reset", f"user:{user.id}")
    sign_in(tab, "pay@market.example", PASSWORD)
    tab.see().get_by_text("账号、密码或验证码不正确").first.wait_for()
    sign_in(tab, "pay@market.example", PASSWORD, fresh)
    page.locator(".menu summary").wait_for()


def test_the_english_switch_and_a_phone(visitors: Visitors, server: Server) -> None:
    operator = server.institution("海港数据交易中心", OrgKind.MARKET_OPERATOR, "91370200MA3D0PER8")
    bureau = server.institution("海港数据局", OrgKind.DATA_BUREAU, "11370200MB2B0REA0")
    secret = server.person("many@market.example", "周多岗", operator, Role.ORG_ADMIN, Role.COMPLIANCE)
    server.person("many@market.example", "周多岗", bureau, Role.ORG_ADMIN)
    cookie = server.session("many@market.example", secret)

    desk = visitors.tab(session=cookie)
    page = desk.see("/organization/members")
    page.get_by_role("link", name="English").click()
    assert page.url == server.url + "/organization/members"
    assert page.get_by_role("heading", level=1).inner_text() == "Members"
    for path in ("/", "/login", "/register", "/forgot", "/account", "/organization", "/organization/members"):
        desk.see(path, shot=f"en{path.replace('/', '-')}")
        left = (
            page.locator("main")
            .evaluate("e => e.innerText")
            .replace("海港数据交易中心", "")
            .replace("周多岗", "")
        )
        assert not re.search(r"[一-鿿]", left), f"{path}: {left}"

    phone = visitors.tab(phone=True, session=cookie)
    for path in (
        "/",
        "/login",
        "/register",
        "/organization",
        "/organization/members",
        "/account",
        "/nowhere",
    ):
        phone.see(path, shot=f"phone{path.replace('/', '-')}")
    phone.page.goto(server.url + "/")
    phone.page.locator(".menu summary").click()
    phone.see(shot="phone-menu")
    phone.page.get_by_role("button", name="海港数据局").click()
    phone.page.get_by_text("已切换组织").wait_for()
    assert "海港数据局" in phone.page.locator(".menu-org").inner_text()
