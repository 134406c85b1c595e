"""Small products on the shelf of a running market, for tests of what goes wrong."""

import csv
import io
import uuid
from typing import Any

import httpx2

from tests.journeys.actors import ASSET, Cast, cleansed, listed, register
from tests.live import Server

STANDING: dict[str, Any] = {
    "template_slug": "data-provision",
    "template_version": "2026.1",
    "purposes": ["internal_business"],
    "months": 12,
    "min_prepay_fen": 100,
    "slots": {
        "data_content": "停车场逐小时余位",
        "data_scale": "数百条",
        "data_source": "示例数据",
        "time_range": "2026 年",
        "update_cycle": "一次性",
        "quality": [{"metric": "必填缺失率", "target": "≤1%", "method": "全量统计"}],
        "payee_name": "青岛数据集团有限公司",
        "payee_bank": "示例银行青岛分行",
        "payee_account": "3700 0000 0000 0001",
    },
}
OPEN_STANDING: dict[str, Any] = {
    "template_slug": "open-license",
    "template_version": "2026.1",
    "purposes": ["personal", "industry", "research_nonprofit"],
    "months": None,
    "slots": {"data_source": "示例数据", "update_cycle": "每年"},
}


def profile(tier: str) -> dict[str, Any]:
    """What a product page needs."""
    return {
        "title_zh": "停车余位", "title_en": "Parking", "summary_zh": "逐小时余位", "summary_en": "Free places by hour",
        "description": "示例。", "kind": "dataset", "zone": "parking", "tier": tier, "delivery": ["api", "file"],
        "scenarios": ["停车引导"], "keywords": ["停车"],
    }  # fmt: skip


def parking(rows: int, width: int = 0) -> bytes:
    """A table of `rows` parking lots; `width` pads every row by so many characters."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["lot", "district", "free", "note"])
    for number in range(1, rows + 1):
        writer.writerow(
            [number, ("市南", "崂山", "黄岛")[number % 3], number * 7 % 100, f"n{number}".ljust(width, ".")]
        )
    return text.getvalue().encode()


def asset_with_file(cast: Cast, name: str, content: bytes, **more: str) -> tuple[str, dict[str, Any]]:
    """A registered asset under a code of its own, with its file."""
    return register(
        cast,
        ASSET | {"code": f"370200-{name}", "title_zh": f"停车余位 {name}"} | more,
        "parking.csv",
        content,
    )


def commercial(
    cast: Cast, slug: str, content: bytes, price: dict[str, Any], kind: str = "per_call"
) -> tuple[str, str]:
    """A commercial product with one plan. Returns the ids of product and plan."""
    asset, file = asset_with_file(cast, slug, content)
    run = cleansed(cast, asset, file["id"], {"steps": []}, ["district", "lot"])
    plan = {"code": "main", "title_zh": "主方案", "title_en": "Main", "kind": kind, "price": price}
    return listed(cast, asset, run, slug, profile("commercial"), plan, STANDING)


def public_good(cast: Cast, slug: str, content: bytes) -> tuple[str, str]:
    """A free product. Returns the ids of product and plan."""
    asset, file = asset_with_file(cast, slug, content, open_attr="U", grade="G1")
    run = cleansed(cast, asset, file["id"], {"steps": []}, ["district"])
    plan = {"code": "free", "title_zh": "免费", "title_en": "Free", "kind": "free"}
    return listed(cast, asset, run, slug, profile("public_good"), plan, OPEN_STANDING)


def order_form(product: str, plan: str, prepay_fen: int = 10_000) -> dict[str, Any]:
    """An order that is in order."""
    return {
        "product_id": product,
        "plan_id": plan,
        "purpose": "internal_business",
        "scenario": "用于停车引导屏的余位分析与展示",
        "months": 1,
        "prepay_fen": prepay_fen,
    }


def token_answer(url: str, client: dict[str, Any], license_id: str) -> httpx2.Response:
    """What /oauth/token at this address says to this client for this license."""
    return httpx2.post(
        f"{url}/oauth/token",
        data={"grant_type": "client_credentials", "license": license_id, "purpose": "internal_business"},
        auth=(client["client_id"], client["client_secret"]),
        timeout=60,
        trust_env=False,
    )


def token_for(url: str, client: dict[str, Any], license_id: str) -> str:
    """A token for this license, from a client that may have one."""
    answer = token_answer(url, client, license_id)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


def bearer(server: Server, token: str) -> httpx2.Client:
    """A program that carries `token`."""
    headers = {"Authorization": f"Bearer {token}"}
    return httpx2.Client(base_url=server.url, headers=headers, timeout=60, trust_env=False)


def program(server: Server, cast: Cast, license_id: str) -> tuple[str, httpx2.Client]:
    """The buyer's own program with a token for one license. Returns the token and the client."""
    client = cast.buyer.post("/credentials", {"name": "faults"}, status=201)
    token = token_for(server.url, client, license_id)
    return token, bearer(server, token)


def fresh_key() -> dict[str, str]:
    """A new Idempotency-Key."""
    return {"Idempotency-Key": str(uuid.uuid4())}
