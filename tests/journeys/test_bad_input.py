"""Bad input over real HTTP: each is refused in both languages, and nothing is lost or half-written."""

import csv
import io
import json
import threading
import uuid
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest
from sqlmodel import select

from market.identity.rules import Role
from market.trading.tables import Order
from storage.kernel import clock
from tests.faults import goods
from tests.faults.refusals import refusal, rules, untouched
from tests.journeys.actors import Person, cleansed
from tests.journeys.crowded import GOOD, Market, put_in, send


def bomb(*, lie: bool = False) -> bytes:
    """A workbook of some kilobytes that unpacks to 64 MiB; `lie` makes its directory say ten bytes."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
        archive.writestr("xl/worksheets/sheet1.xml", b"\0" * (64 << 20))
    content = bytearray(packed.getvalue())
    if lie:
        size = (64 << 20).to_bytes(4, "little")
        while (at := content.find(size)) >= 0:
            content[at : at + 4] = (10).to_bytes(4, "little")
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "query", "status", "slug", "said"),
    [
        pytest.param("停车场,余位\n市南,3\n".encode("gb18030"), {"encoding": "utf-8"}, 422, "wrong-encoding",
                     {"line": 1}, id="declared utf-8, is gb18030"),
        pytest.param(b"lot,name\n1,caf\xff\xff\n", {"encoding": "gb18030"}, 422, "wrong-encoding",
                     {"line": 2}, id="declared gb18030, is neither"),
        pytest.param("lot,余位\n1,3\n".encode("utf-16"), {}, 422, "wrong-encoding", {"line": 1}, id="utf-16"),
        pytest.param(GOOD, {"encoding": "latin-1"}, 422, "invalid", {}, id="unknown encoding"),
        pytest.param(b"a,b\n1,2\n3\n4,5\n", {}, 422, "ragged-row", {"line": 3, "expected": 2, "found": 1},
                     id="short row"),
        pytest.param(b"a,b\n1,2\n3,4\n5,6,7\n", {}, 422, "ragged-row", {"line": 4, "found": 3}, id="long row"),
        pytest.param(b'a,b\n1,"2\n3,4\n', {}, 422, "ragged-row", {}, id="quote never closed"),
        pytest.param(b"lot,free,LOT\n1,2,3\n", {}, 422, "duplicate-column", {"column": 3}, id="duplicate column"),
        pytest.param(b"lot,,free\n1,2,3\n", {}, 422, "bad-column-name", {"column": 2}, id="empty column name"),
        pytest.param(b"lot,free\n", {}, 422, "no-rows", {}, id="no rows"),
        pytest.param(b"\n\n \n", {}, 422, "no-columns", {}, id="white space"),
        pytest.param(b"", {}, 422, "invalid", {}, id="empty file"),
        pytest.param(b"lot,free\n1,\0\n", {}, 422, "nul-bytes", {"line": 2}, id="nul byte"),
        pytest.param(b"%PDF-1.7\n1 0 obj\n", {}, 422, "not-tabular", {"found": "PDF"}, id="pdf renamed csv"),
        pytest.param(b'[{"a": 1}, 2]', {}, 422, "bad-json", {"record": 2}, id="json of no objects"),
        pytest.param(b"PAR1" + b"\0" * 40, {}, 422, "broken-parquet", {}, id="parquet cut short"),
    ],
)  # fmt: skip
def test_unreadable_files(
    market: Market, content: bytes, query: dict[str, str], status: int, slug: str, said: dict[str, Any]
) -> None:
    with untouched(market.server):
        body = refusal(put_in(market, content, **query), status, slug)
    assert {name: body[name] for name in said} == said
    assert market.cast.provider.get(f"/assets/{market.draft}/files") == []


@pytest.mark.parametrize(
    ("lie", "status", "slug"), [(False, 413, "oversized-workbook"), (True, 422, "broken-workbook")]
)
def test_zip_bombs(market: Market, lie: bool, status: int, slug: str) -> None:
    content = bomb(lie=lie)
    assert len(content) < 1 << 20
    with untouched(market.server):
        refusal(put_in(market, content, name="bomb.xlsx"), status, slug)


def test_recipe_naming_a_missing_column(market: Market) -> None:
    provider, asset = market.cast.provider, market.cast.provider.get("/products/parking")["asset_id"]
    file = provider.get(f"/assets/{asset}/files")[0]["id"]
    recipe = {
        "steps": [
            {"step": "dedupe"},
            {"step": "mask", "column": "phone", "by": {"method": "keep", "first": 1, "last": 0}},
        ]
    }
    with untouched(market.server):
        body = refusal(
            send(provider, f"/assets/{asset}/runs", {"file_id": file, "recipe": recipe}), 422, "invalid"
        )
        assert rules(body) == {("steps.1.column", "recipe.missing_column")}
        body = refusal(
            send(
                provider,
                f"/assets/{asset}/runs",
                {"file_id": file, "recipe": {"steps": []}, "indexes": ["phone"]},
            ),
            422,
            "invalid",
        )
        assert rules(body) == {("indexes.0", "missing_column")}
        refusal(
            send(provider, f"/assets/{asset}/runs", {"file_id": file, "recipe": {"steps": "all"}}),
            422,
            "invalid",
        )


@pytest.mark.parametrize("price", [0.5, 2.0, "1.5", "2", -1, True, None, 10**30, "¥2"])
@pytest.mark.parametrize("name", ["call_fen", "fee_fen"])
def test_prices_are_whole_fen(market: Market, name: str, price: Any) -> None:
    plan = {
        "code": "bad",
        "title_zh": "错",
        "title_en": "Bad",
        "kind": "per_call",
        "price": {"call_fen": 2} | {name: price},
    }
    with untouched(market.server):
        answer = send(market.cast.provider, f"/products/{market.product}/plans", plan)
        body = refusal(answer, 422, "invalid")
    assert {field for field, _ in rules(body)} == {f"price.{name}"}


@pytest.mark.parametrize("price", [0.5, "100", -1, 10**30])
def test_prepayments_and_receipts_are_whole_fen(market: Market, price: Any) -> None:
    with untouched(market.server):
        form = goods.order_form(market.product, market.plan) | {"prepay_fen": price}
        assert "prepay_fen" in {
            field for field, _ in rules(refusal(send(market.cast.buyer, "/orders", form), 422, "invalid"))
        }
        receipt = {"amount_fen": price, "bank_reference": "BANK0001"}
        payment = market.order["payment_id"]
        answer = send(market.cast.finance, f"/payments/{payment}/receipt", receipt)
        assert answer.status_code in {409, 422}, answer.text
        refusal(answer, answer.status_code, answer.json()["type"].rsplit("/", 1)[-1])


def test_public_good_has_no_price(market: Market) -> None:
    paid = {
        "code": "paid",
        "title_zh": "收费",
        "title_en": "Paid",
        "kind": "per_call",
        "price": {"call_fen": 1},
    }
    hidden = {
        "code": "free2",
        "title_zh": "免费",
        "title_en": "Free",
        "kind": "free",
        "price": {"fee_fen": 1},
    }
    with untouched(market.server):
        for plan in (paid, hidden):
            body = refusal(send(market.cast.provider, f"/products/{market.free}/plans", plan), 422, "invalid")
            assert ("kind", "T10") in rules(body)


def orders_of(market: Market) -> int:
    """How many orders the database holds."""
    with market.server.house.store.view() as view:
        return len(view.session.exec(select(Order.id)).all())


def test_double_submit_is_one_order(market: Market) -> None:
    """The same key twice, and five times at once, is one order; with another body it is refused."""
    buyer, form, before = market.cast.buyer, goods.order_form(market.product, market.plan), orders_of(market)
    key = str(uuid.uuid4())
    first, second = send(buyer, "/orders", form, key), send(buyer, "/orders", form, key)
    assert first.status_code == second.status_code == 201
    assert first.json() == second.json()
    refusal(send(buyer, "/orders", form | {"prepay_fen": 20_000}, key), 422, "idempotency-key-reused")
    refusal(
        send(buyer, f"/orders/{first.json()['id']}/cancellation", {"reason": "同一个键"}, key),
        422,
        "idempotency-key-reused",
    )
    key = str(uuid.uuid4())
    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda _: send(buyer, "/orders", form, key), range(5)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    made = {answer.json()["id"] for answer in answers if answer.status_code == 201}
    assert len(made) == 1
    for answer in answers:
        if answer.status_code == 409:
            refusal(answer, 409, "conflict")
    assert orders_of(market) == before + 2


@pytest.mark.parametrize(
    ("key", "status", "slug"), [(None, 400, "idempotency-key-missing"), ("k" * 201, 422, "invalid")]
)
def test_idempotency_key_is_needed(market: Market, key: str | None, status: int, slug: str) -> None:
    with untouched(market.server):
        refusal(
            send(market.cast.buyer, "/orders", goods.order_form(market.product, market.plan), key),
            status,
            slug,
        )


def test_two_approvers_at_once(market: Market) -> None:
    """One wins; the other is told by whom, and the order is decided once."""
    cast = market.cast
    order = cast.buyer.post("/orders", goods.order_form(market.product, market.plan), status=201)
    together = threading.Barrier(2)
    ids = {who: cast.people[who].get("/whoami")["id"] for who in ("approver", "approver2")}

    def decide(who: str) -> httpx2.Response:
        together.wait()
        return send(
            cast.people[who],
            f"/cases/{order['case_id']}/decision",
            {"approve": True, "reason": "用途明确，同意"},
        )

    with ThreadPoolExecutor(2) as pool:
        answers = dict(zip(ids, pool.map(decide, ids), strict=True))
    won = next(who for who in ids if answers[who].status_code == 200)
    lost = next(who for who in ids if who != won)
    body = refusal(answers[lost], 409, "already-decided")
    assert body["by"] == ids[won]
    assert [row["by"] for row in cast.approver.get(f"/cases/{order['case_id']}")["decisions"]] == [ids[won]]


def test_stale_decision_is_told_who_was_first(market: Market) -> None:
    """A decider who read an older version of a case does not overwrite the decision in between."""
    cast = market.cast
    order = cast.buyer.post("/orders", goods.order_form(market.product, market.plan), status=201)
    path = f"/cases/{order['case_id']}/decision"
    with untouched(market.server):
        answer = send(cast.approver, path, {"approve": True, "reason": "用途明确，同意", "version": 99})
        refusal(answer, 409, "case-moved")
    assert cast.buyer.get(f"/orders/{order['id']}")["state"] == "submitted"


@pytest.mark.parametrize(
    ("who", "path", "body"),
    [
        ("buyer", "/cases/{case}/decision", {"approve": True, "reason": "自己批准自己"}),
        ("provider", "/assets/{draft}/registration", {"reason": "自己登记自己"}),
        ("buyer", "/payments/{payment}/confirmation", {}),
        ("finance", "/licenses/{license}/revocation", {"reason": "财务越权撤销"}),
        ("approver", "/payments/{payment}/receipt", {"amount_fen": 100, "bank_reference": "BANK0002"}),
        ("buyer", "/licenses/{license}/revocation", {"reason": "买方越权撤销"}),
        ("auditor", "/orders", {"product_id": "{product}", "plan_id": "x", "purpose": "industry",
                                "scenario": "审计人员不能下单购买数据", "months": 1}),
        ("buyer", "/products/{product}/suspension", {"reason": "买方越权下架"}),
    ],
)  # fmt: skip
def test_wrong_role(market: Market, who: str, path: str, body: dict[str, Any]) -> None:
    names = {"case": market.order["case_id"], "draft": market.draft, "payment": market.order["payment_id"],
             "license": market.license, "product": market.product}  # fmt: skip
    with untouched(market.server):
        body = refusal(send(market.cast.people[who], path.format(**names), body), 403, "forbidden")
    assert body["permission"]
    assert body["roles"]


def test_who_decides_refunds_decides_no_orders(market: Market) -> None:
    path = f"/cases/{market.order['case_id']}/decision"
    with untouched(market.server):
        answer = send(market.cast.finance, path, {"approve": True, "reason": "财务越权审批"})
        body = refusal(answer, 403, "not-yours")
    assert (body["allowed"], body["roles"]) == ([], ["approver", "compliance"])


def test_nobody_signs_in_by_asking(market: Market) -> None:
    with untouched(market.server):
        answer = httpx2.post(f"{market.server.url}/api/v1/orders", json={}, trust_env=False)
        refusal(answer, 401, "unauthenticated")
        no_csrf = market.cast.buyer.http.post("/api/v1/orders", json={}, headers={"X-CSRF-Token": "guess"})
        refusal(no_csrf, 403, "csrf-missing")


def test_own_approval(market: Market) -> None:
    """Somebody who is buyer in one organization and approver in another cannot approve the own order."""
    server, cast = market.server, market.cast
    buyer_org, operator = cast.buyer.get("/whoami")["org"], cast.approver.get("/whoami")["org"]
    secret = server.person("both@journey.example", "both", buyer_org, Role.BUYER)
    server.person("both@journey.example", "both", operator, Role.APPROVER)
    both = Person(server, "both@journey.example", secret)

    def act_for(party: str) -> None:
        answer = both.http.put("/api/v1/session/party", json={"party": party})
        assert answer.status_code == 204, answer.text

    act_for(buyer_org)
    order = both.post("/orders", goods.order_form(market.product, market.plan), status=201)
    act_for(operator)
    with untouched(server):
        answer = send(
            both, f"/cases/{order['case_id']}/decision", {"approve": True, "reason": "自己的订单自己批"}
        )
        refusal(answer, 403, "own-decision")
    assert cast.buyer.get(f"/orders/{order['id']}")["state"] == "submitted"
    both.close()


def test_one_finance_person_is_not_two(market: Market) -> None:
    cast = market.cast
    order = cast.buyer.post("/orders", goods.order_form(market.product, market.plan), status=201)
    cast.approver.post(f"/cases/{order['case_id']}/decision", {"approve": True, "reason": "用途明确，同意"})
    text = cast.buyer.get(f"/orders/{order['id']}/contract")
    with untouched(market.server):
        refusal(
            send(cast.buyer, f"/orders/{order['id']}/acceptance", {"content_hash": "0" * 64}),
            409,
            "contract-text-differs",
        )
    order = cast.buyer.post(f"/orders/{order['id']}/acceptance", {"content_hash": text["content_hash"]})
    receipt = {"amount_fen": order["due_fen"], "bank_reference": "BANK-TWO-PEOPLE"}
    cast.finance.post(f"/payments/{order['payment_id']}/receipt", receipt)
    with untouched(market.server):
        answer = send(cast.finance, f"/payments/{order['payment_id']}/confirmation", {})
        assert answer.status_code == 403, answer.text
        refusal(answer, 403, answer.json()["type"].rsplit("/", 1)[-1])
    assert cast.buyer.get(f"/orders/{order['id']}")["state"] == "awaiting_payment"


def test_anothers_things_are_not_found(market: Market) -> None:
    rival, order = market.cast.rival, market.order
    month = f"{clock.now():%Y-%m}"
    with untouched(market.server):
        for path in (
            f"/orders/{order['id']}", f"/orders/{order['id']}/contract", f"/orders/{order['id']}/history",
            f"/contracts/{order['contract_id']}", f"/contracts/{order['contract_id']}/pdf", f"/licenses/{market.license}",
            f"/licenses/{market.license}/usage", f"/licenses/{market.license}/statement?period={month}",
            "/orders/ord_unknown", "/licenses/lic_unknown",
        ):  # fmt: skip
            answer = rival.http.get(f"/api/v1{path}")
            assert answer.status_code == 404, f"{path}: {answer.status_code}"
            refusal(answer, 404, answer.json()["type"].rsplit("/", 1)[-1])
        for path, body in (
            (f"/orders/{order['id']}/cancellation", {"reason": "取消别人的订单"}),
            (f"/orders/{order['id']}/acceptance", {"content_hash": "0" * 64}),
            (f"/licenses/{market.license}/termination", {"reason": "终止别人的许可"}),
        ):
            answer = send(rival, path, body)
            assert answer.status_code == 404, f"{path}: {answer.status_code} {answer.text}"
            refusal(answer, 404, answer.json()["type"].rsplit("/", 1)[-1])
    client = rival.post("/credentials", {"name": "rival"}, status=201)
    told = goods.token_answer(market.server.url, client, market.license)  # RFC 6749 gives this its own shape
    assert (told.status_code, told.json()["error"]) == (400, "invalid_target")


def test_malformed_requests(market: Market) -> None:
    """Broken JSON, wrong types, unknown fields, half characters, huge numbers, wrong methods: never our fault."""
    buyer = market.cast.buyer.http
    form = goods.order_form(market.product, market.plan)
    json_type = {"Content-Type": "application/json"}
    with untouched(market.server):
        for content in (b"{", b"[1", b"\xff\xfe", b"null", b"[]", b'"text"', b'{"months": NaN}', b"[" * 5000):
            answer = buyer.post("/api/v1/orders", content=content, headers=json_type | goods.fresh_key())
            assert answer.status_code in {400, 422}, answer.text
            refusal(answer, answer.status_code, "invalid" if answer.status_code == 422 else "body-malformed")
        for change in (
            {"months": 10**30}, {"months": "1e3"}, {"scenario": "x"}, {"scenario": "\ud800" * 20}, {"scenario": "\ud800" * 20}, {"surplus": 1},
            {"purpose": "world_domination"}, {"product_id": ["x"]},
        ):  # fmt: skip
            content = json.dumps(form | change).encode()
            answer = buyer.post("/api/v1/orders", content=content, headers=json_type | goods.fresh_key())
            refusal(answer, 422, "invalid")
        refusal(buyer.request("PATCH", "/api/v1/orders"), 405, "method-not-allowed")
        refusal(buyer.get("/api/v1/nothing-here"), 404, "not-found")
        refusal(buyer.get("/api/v1/orders", params={"limit": "all"}), 422, "invalid")
        long = buyer.post("/api/v1/orders", content=b" " * (2 << 20), headers=json_type | goods.fresh_key())
        refusal(long, 413, "body-too-large")


@pytest.mark.parametrize("path", ["/api/v1/orders/files/acceptance", "/organization/evidence"])
def test_only_uploads_may_be_large(market: Market, path: str) -> None:
    """An address that merely looks like an upload gets no more room than any other."""
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Origin": market.server.url,
    } | goods.fresh_key()
    answer = market.cast.buyer.http.post(path, content=b"a=" + b"x" * (2 << 20), headers=headers)
    refusal(answer, 413, "body-too-large")


def test_formulas_are_defused_in_exports(market: Market) -> None:
    """Text that a spreadsheet would run gets an apostrophe; numbers and the Parquet copy stay as they are."""
    cast = market.cast
    cells = ["=1+1", "+1", "-cmd|' /C calc'!A0", "@SUM(A1)", "\tx", "plain", "a=b"]
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["=lot", "free", "note"])
    writer.writerows([f"{number}", f"{-number}", cell] for number, cell in enumerate(cells, 1))
    asset, file = goods.asset_with_file(cast, "formulas", text.getvalue().encode())
    run = cleansed(cast, asset, file["id"], {"steps": []}, [])
    made = next(output for output in run["outputs"] if output["kind"] == "csv")
    path = market.server.data_dir / "objects" / made["sha256"][:2] / made["sha256"]
    rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"), newline="")))
    assert rows[0] == ["'=lot", "free", "note"]
    assert [row[2] for row in rows[1:]] == ["'" + cell for cell in cells[:5]] + cells[5:]
    assert [row[1] for row in rows[1:]] == [str(-number) for number in range(1, 8)]
