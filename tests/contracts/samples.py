"""A commercial deal and an open one, as the tests of this package use them."""

from datetime import date
from typing import Any

from contracts.templates import Template, compose, latest
from contracts.terms import Terms
from storage.kernel.numbers import make_uscc

SELLER: dict[str, Any] = {
    "id": "pty_seller",
    "name": "青岛数据集团有限公司",
    "name_en": "Qingdao Data Group Co., Ltd.",
    "identity_number": make_uscc("91370200MA3CERTW8"),
    "address": "山东省青岛市市南区香港中路10号",
    "legal_representative": "王海",
    "contact": "李岚",
    "phone": "0532-80000000",
}
BUYER: dict[str, Any] = {
    "id": "pty_buyer",
    "name": "某某海上风电运维（青岛）有限公司",
    "identity_number": make_uscc("91370211MA3ABCDE1"),
    "address": "山东省青岛市黄岛区漓江西路1号",
}
SLOTS: dict[str, Any] = {
    "data_content": "近海1公里网格逐小时波高、周期和流速预报",
    "data_scale": {"zh": "每次约40万条记录", "en": "about 400,000 records a run"},
    "data_source": "公共海洋观测数据经授权运营加工形成",
    "time_range": "2024年1月1日至今",
    "update_cycle": {"zh": "每6小时", "en": "every 6 hours"},
    "payee_name": "青岛数据集团有限公司",
    "payee_bank": "青岛银行股份有限公司香港中路支行",
    "payee_account": "80200000000000000",
    "quality": [
        {
            "metric": {"zh": "必填缺失率", "en": "Missing required values"},
            "target": "≤ 0.5%",
            "method": {"zh": "平台质量检测", "en": "Platform quality run"},
        }
    ],
}
OPEN_SLOTS: dict[str, Any] = {"data_source": "海洋发展局", "update_cycle": "每日"}
NUMBER = "HT-2615-2026-000001-X"
DAY = date(2026, 3, 2)


def commercial(**changes: Any) -> Terms:
    fields: dict[str, Any] = {
        "tier": "commercial",
        "product": {
            "id": "prd_sea",
            "slug": "nearshore-sea-state",
            "title": {"zh": "近海精细化海况预报", "en": "Nearshore sea-state forecast"},
        },
        "version": "3",
        "version_rule": "latest",
        "purposes": ["industry", "internal_business"],
        "scenario": "海上风电运维船舶的出海窗口评估",
        "delivery": ["api", "file"],
        "quota": {"calls": 100_000, "rows": 2_000_000},
        "price": {"call_fen": 8},
        "prepay_fen": 1_280_000,
        "term": {"months": 12},
        "seller": SELLER,
        "buyer": BUYER,
    }
    return Terms(**(fields | changes))


def open_terms(**changes: Any) -> Terms:
    fields: dict[str, Any] = {
        "tier": "public_good",
        "product": {
            "id": "prd_beach",
            "slug": "beach-water",
            "title": {"zh": "海水浴场水质与水温", "en": "Bathing water quality and temperature"},
        },
        "version": "2026-03-01",
        "version_rule": "latest",
        "purposes": ["personal", "industry"],
        "scenario": "任何用途",
        "territory": "worldwide",
        "delivery": ["file", "api"],
        "seller": SELLER,
    }
    return Terms(**(fields | changes))


def provision() -> Template:
    return latest("data-provision")


def content(terms: Terms | None = None, **slots: Any) -> dict[str, Any]:
    return compose(provision(), terms or commercial(), SLOTS | slots, number=NUMBER, dated=DAY)


def open_content() -> dict[str, Any]:
    return compose(latest("open-license"), open_terms(), OPEN_SLOTS, number="XK-OPEN-1", dated=DAY)


def conditional_content() -> dict[str, Any]:
    terms = open_terms(
        purposes=["research_nonprofit"],
        scenario="城市出行规律研究",
        territory="mainland",
        buyer=BUYER,
        term={"months": 6},
    )
    slots = OPEN_SLOTS | {"data_content": "按小时汇总的分区出行量"}
    return compose(latest("conditional-open"), terms, slots, number="HT-COND-2026-000001-X", dated=DAY)


def everything_printed(text: dict[str, Any]) -> str:
    """All words of one language of a contract, in order."""
    words = [text["title"], text["note"], *text["preamble"], *text["closing"]]
    words += [value for row in text["cover"] for value in row]
    words += [value for party in text["parties"] for row in party["rows"] for value in row]
    for section in text["articles"] + text["annexes"]:
        words += [section["number"], section["heading"]]
        for clause in section["clauses"]:
            words += [clause["number"], clause["text"], *clause["points"]]
            table = clause["table"] or {"head": [], "rows": []}
            words += table["head"] + [cell for row in table["rows"] for cell in row]
    return "\n".join(words)
