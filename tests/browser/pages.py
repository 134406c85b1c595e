"""What people fill into pages and press there, and the description of an asset the rules have nothing against."""

from playwright.sync_api import Page

from storage.kernel.numbers import make_uscc
from tests.browser.conftest import Tab

FIELDS = {
    "title_zh": "公共停车场客流量",
    "title_en": "Car park visits",
    "code": "370200-jt-0001",
    "category": "交通/停车/客流",
    "keywords": "停车，客流",
    "provider_name": "青岛数据集团有限公司",
    "provider_code": make_uscc("91370200MA3DATA01"),
    "system": "停车一张网",
    "format": "csv",
    "area": "370200",
    "coverage_from": "2025-01-01",
    "published_on": "2026-01-05",
    "industry": "G54",
    "source_statement": "经营过程中依法采集。",
    "scope_operate": "对外提供",
    "grade_basis": "GB/T 43697 附录 H",
}
CHOICES = {
    "format_kind": "2", "update_cycle": "daily", "share_type": "1", "open_attr": "U", "source_kind": "self_collected",
    "supply": "enterprise", "grade": "G1", "contains_pi": "no", "contains_spi": "no",
}  # fmt: skip


def fill(page: Page, fields: dict[str, str]) -> None:
    for name, value in fields.items():
        page.locator(f'[name="{name}"]').fill(value)


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).first.click()


def said(tab: Tab) -> str:
    return tab.page.get_by_role("main").inner_text()
