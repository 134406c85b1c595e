"""Rows under a license: filters, pages, charges, refusals."""

import threading
import time

import httpx2
import pytest

from metering import actions
from metering.gate import new_charge_key
from metering.tables import Gate
from tests.metering.gatehouse import ROWS, Served
from tests.servers import NO_TLS


def test_a_buyer_queries_rows_and_each_answer_is_one_event(served: Served) -> None:
    headers = served.bearer()
    answer = served.http.get(
        "/data/v1/product-1/rows",
        params={
            "名称": "eq.站点3",
            "单价": "ge.10.50",
            "order": "温度.desc",
            "limit": "5",
            "select": "编号,有效,单价",
        },
        headers=headers,
    )
    assert answer.status_code == 200, answer.text
    rows = answer.json()["rows"]
    assert [row["编号"] for row in rows] == [248, 241, 234, 227, 220]
    assert rows[0] == {"编号": 248, "有效": False, "单价": "248.50"}
    assert answer.headers["x-data-version"] == "1"
    (event,) = served.events()
    assert f"chg_{event.id.hex()}" == answer.headers["x-charge-id"]
    assert (event.calls, event.rows, event.bytes, event.amount_fen) == (1, 5, len(answer.content), 8)
    table = served.http.get("/data/v1/product-1/rows?limit=2", headers=headers | {"Accept": "text/csv"})
    assert table.text.splitlines()[:2] == [
        "编号,名称,温度,日期,有效,单价",
        "1,站点1,0.25,2026-01-02,true,1.50",
    ]
    assert served.http.head("/data/v1/product-1/rows", headers=headers).status_code == 200
    assert len(served.events()) == 2


@pytest.mark.parametrize("order", [None, "名称.desc", "名称.asc", "单价.desc", "有效"])
def test_pages_by_cursor_are_the_whole_file_once(served: Served, order: str | None) -> None:
    headers, seen, cursor = served.bearer(), [], None
    while True:
        params = {"limit": "37", "select": "编号"} | ({"order": order} if order else {})
        params |= {"cursor": cursor} if cursor else {}
        page = served.http.get("/data/v1/product-1/rows", params=params, headers=headers).json()
        seen += [row["编号"] for row in page["rows"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert sorted(seen) == list(range(1, ROWS + 1))
    if order is None:
        assert seen == sorted(seen)


def test_a_cursor_is_good_for_its_own_query_only(served: Served) -> None:
    headers = served.bearer()
    cursor = served.http.get("/data/v1/product-1/rows?limit=3", headers=headers).json()["next"]
    for query in (
        f"limit=3&cursor={cursor}&order=编号.desc",
        f"limit=3&cursor={cursor[:-2]}AA",
        "cursor=%00",
    ):
        answer = served.http.get(f"/data/v1/product-1/rows?{query}", headers=headers)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "cursor")
    assert (
        served.http.get(f"/data/v1/product-1/rows?limit=4&cursor={cursor}", headers=headers).status_code
        == 200
    )


BAD = [
    ("无此列=eq.1", "无此列", "column.unknown"),
    ("名称=like.1", "名称", "filter.operator"),
    ("名称=1", "名称", "filter.operator"),
    ("编号=eq.abc", "编号", "type.integer"),
    ("编号=eq.99999999999999999999", "编号", "type.integer"),
    ("单价=eq.1.234", "单价", "type.decimal"),
    ("温度=gt.nan", "温度", "type.double"),
    ("日期=eq.2026-13-01", "日期", "type.date"),
    ("有效=eq.maybe", "有效", "type.boolean"),
    ("编号=between.(1)", "编号", "filter.between"),
    ("编号=in.1,2", "编号", "filter.list"),
    ("编号=prefix.1", "编号", "filter.prefix"),
    ("名称=is.nothing", "名称", "filter.is"),
    ("order=_row", "order", "column.unknown"),
    ("select=编号,secret", "select", "column.unknown"),
    ("limit=1000000", "limit", "limit"),
    ("limit=1&limit=2", "limit", "once"),
    ("format=xml", "format", "format"),
    ("名称=eq.a%00b", "名称", "text"),
    ("limit=3&%E5%90%8D%E7%A7%B0=eq.%C9%BD%CB", "名称", "encoding"),
    ("%E5%90%8D%E7%A7%B0=eq.%ff", "名称", "encoding"),
    ("%ff=eq.1", "\ufffd", "encoding"),
    ("编号=in.(" + ",".join("1" * 201) + ")", "编号", "filter.list_many"),
    ("order=编号,名称.desc", "order", "order.one"),
    ("a&" * 64 + "a", "query", "parameters.many"),
]


def test_a_bad_filter_is_named_and_costs_nothing(served: Served, subtests: pytest.Subtests) -> None:
    headers = served.bearer()
    for query, field, rule in BAD:
        with subtests.test(query=query[:40]):
            answer = served.http.get(f"/data/v1/product-1/rows?{query}", headers=headers)
            assert answer.status_code == 422, answer.text
            assert [(e["field"], e["rule"]) for e in answer.json()["errors"]] == [(field, rule)]
            assert answer.headers["content-type"] == "application/problem+json"
    assert served.events() == []


def test_what_was_allowed_a_moment_ago_is_read_as_strictly(served: Served) -> None:
    headers = served.bearer()
    assert served.http.get("/data/v1/product-1/rows?limit=1", headers=headers).status_code == 200
    unreadable = "/data/v1/product-1/rows?limit=1&%E5%90%8D%E7%A7%B0=eq.%ff"
    assert [served.http.get(unreadable, headers=headers).status_code for _ in range(2)] == [422, 422]
    assert len(served.events()) == 1


def test_a_question_of_64_parameters_is_read_and_20_faults_are_told(served: Served) -> None:
    address = "/open/v1/product-open/rows?"
    twenty = "&".join(["%E7%BC%96%E5%8F%B7=gt.1"] * 20)
    assert served.http.get(address + twenty + "&" * 44).status_code == 200
    answer = served.http.get(address + "a&" * 63 + "a")
    assert (answer.status_code, len(answer.json()["errors"])) == (422, 20)


def test_refusals_say_why(served: Served) -> None:
    served.open_gate("lic_few", limit_calls=1)
    served.open_gate("lic_file", delivery=("file",))
    few = served.bearer("lic_few")
    assert served.http.get("/data/v1/product-1/rows?limit=1", headers=few).headers["x-quota-remaining"] == "0"
    used_up = served.http.get("/data/v1/product-1/rows?limit=1", headers=few | {"Accept-Language": "en"})
    assert used_up.status_code == 403
    assert used_up.json()["type"] == "/problems/quota-exhausted"
    assert used_up.json()["title"] == "The license's quota is used up"
    refused = served.http.get("/data/v1/product-1/rows", headers=served.bearer("lic_file"))
    assert refused.json()["type"] == "/problems/delivery-refused"
    nobody = served.http.get("/data/v1/product-1/rows")
    assert nobody.status_code == 401
    assert nobody.headers["www-authenticate"].startswith("Bearer")
    assert served.http.get("/data/v1/nothing/rows", headers=few).status_code == 404
    assert served.http.get("/data/v1/product-open/rows", headers=few).status_code == 404
    assert served.http.delete("/data/v1/product-1/rows").status_code == 405
    assert served.http.get("/nowhere").json()["type"] == "/problems/not-found"


def test_the_same_idempotency_key_is_charged_once(served: Served) -> None:
    headers = served.bearer() | {"Idempotency-Key": new_charge_key()}
    first = served.http.get("/data/v1/product-1/rows?limit=3", headers=headers)
    again = served.http.get("/data/v1/product-1/rows?limit=3", headers=headers)
    assert again.content == first.content
    assert again.headers["x-charge-id"] == first.headers["x-charge-id"]
    assert again.headers["x-charge-duplicate"] == "true"
    other = served.http.get("/data/v1/product-1/rows?limit=4", headers=headers)
    assert (other.status_code, other.json()["type"]) == (409, "/problems/charge-key-reused")
    assert len(served.events()) == 1
    bad = served.http.get("/data/v1/product-1/rows", headers=headers | {"Idempotency-Key": "a b"})
    assert bad.status_code == 400


def test_who_is_revoked_is_told_what_was_charged_under_the_key(served: Served) -> None:
    bearer, url = served.bearer(), "/data/v1/product-1/rows"
    headers = bearer | {"Idempotency-Key": new_charge_key()}
    paid = served.http.get(f"{url}?limit=3", headers=headers).headers["x-charge-id"]
    with served.store.unit("system:test") as unit:
        actions.shut_gate(unit, "lic_1", reason="revoked")
    time.sleep(1.1)  # until nobody remembers that it was in force
    refused = [
        served.http.get(f"{url}?limit=3", headers=headers),
        served.http.get(url, headers=headers | {"If-None-Match": '"x"'}),
        served.http.post("/data/v1/product-1/downloads", headers=headers),
    ]
    assert {answer.status_code for answer in refused} == {403}
    assert {answer.json()["receipt"]["charge_id"] for answer in refused} == {paid}
    for without in (bearer, bearer | {"Idempotency-Key": new_charge_key()}):
        assert "receipt" not in served.http.get(url, headers=without).json()


def test_a_revoked_license_is_refused_at_the_next_request(served: Served) -> None:
    headers = served.bearer()
    assert served.http.get("/data/v1/product-1/rows", headers=headers).status_code == 200
    with served.store.unit("system:test") as unit:
        actions.shut_gate(unit, "lic_1", reason="revoked")
    refused = served.http.get("/data/v1/product-1/rows", headers=headers)
    assert (refused.status_code, refused.json()["reason"]) == (403, "revoked")
    token = served.http.post(
        "/oauth/token",
        data={"grant_type": "client_credentials", "license": "lic_1"},
        auth=(served.credential, served.secret),
    )
    assert (token.status_code, token.json()["error"]) == (403, "invalid_target")


def test_parallel_calls_are_all_counted(served: Served) -> None:
    headers = served.bearer()

    def work() -> None:
        with httpx2.Client(base_url=str(served.http.base_url), headers=headers, verify=NO_TLS) as http:
            for number in range(20):
                assert http.get(f"/data/v1/product-1/rows?limit=1&编号=eq.{number}").status_code == 200

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with served.store.view() as view:
        gate = view.session.get(Gate, "lic_1")
    assert gate is not None
    assert gate.used_calls == len(served.events()) == 120
