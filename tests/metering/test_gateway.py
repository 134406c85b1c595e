"""The gateway behind a real server: tokens, rows, downloads, open data, refusals."""

import asyncio
import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pysqlite3
import pytest
import uvicorn
from sqlmodel import select

from metering import actions
from metering.gate import new_charge_key
from metering.gateway import ROUTES, Gateway, build_gateway
from metering.settings import MeteringSettings
from metering.tables import Delivery, Gate, OpenUsage, UsageEvent
from metering.words import Kind
from storage.objects import LocalObjects
from storage.unit import Store
from tests.metering.shelf import SomePolicy, SomePrice
from tests.servers import free_port

ROWS = 250
KINDS = [
    ("编号", "integer", None, None, "编号"),
    ("名称", "text", None, None, "名称"),
    ("温度", "double", None, None, "温度"),
    ("日期", "date", None, None, "日期"),
    ("有效", "boolean", None, None, "有效"),
    ("单价", "decimal", 10, 2, "单价#"),
]
FILE = ("编号,名称\n" + "".join(f"{n},站点{n % 7}\n" for n in range(1, 60_000))).encode()


def rows_of_file() -> list[tuple[Any, ...]]:
    return [
        (n, None if n % 50 == 0 else f"站点{n % 7}", n / 4, f"2026-01-{n % 28 + 1:02d}", n % 2, f"{n}.50")
        for n in range(1, ROWS + 1)
    ]


def serving_file(path: Path) -> Path:
    """The layout that the refinery builds."""
    lite = pysqlite3.connect(path, isolation_level=None)
    lite.execute(
        'CREATE TABLE data (_row INTEGER PRIMARY KEY, "编号" INTEGER, "名称" TEXT, "温度" REAL, "日期" TEXT, '
        '"有效" INTEGER, "单价" TEXT, "单价#" INTEGER)'
    )
    lite.execute(
        "CREATE TABLE columns (position INTEGER PRIMARY KEY, name TEXT, kind TEXT, precision INTEGER, "
        "scale INTEGER, filter TEXT)"
    )
    lite.executemany("INSERT INTO columns VALUES (?,?,?,?,?,?)", [(i, *kind) for i, kind in enumerate(KINDS)])
    stored = [(i, *row, i * 100 + 50) for i, row in enumerate(rows_of_file(), 1)]
    lite.executemany("INSERT INTO data VALUES (?,?,?,?,?,?,?,?)", stored)
    lite.execute('CREATE INDEX data_0 ON data ("名称")')
    lite.close()
    return path


@pytest.fixture
def manifest(objects: LocalObjects, tmp_path: Path) -> dict[str, Any]:
    serving = objects.put_file(serving_file(tmp_path / "serving.db"))
    file = objects.put_bytes(FILE)
    return {
        "version": 1,
        "rows": 59_999,
        "columns": [{"name": kind[0], "type": kind[1]} for kind in KINDS],
        "query_columns": ["名称"],
        "files": {
            "csv": {"sha256": file.sha256, "size": file.size, "name": "气象站点.csv"},
            "serving": {"sha256": serving.sha256, "size": serving.size, "name": "serving.db"},
        },
        "published_at": "2026-01-01T00:00:00Z",
    }


@dataclass
class Served:
    """A gateway behind uvicorn, and a buyer with a credential."""

    gateway: Gateway
    http: httpx2.Client
    store: Store
    credential: str
    secret: str

    def token(self, license_id: str = "lic_1", **form: str) -> str:
        answer = self.http.post(
            "/oauth/token",
            data={"grant_type": "client_credentials", "license": license_id, **form},
            auth=(self.credential, self.secret),
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def bearer(self, license_id: str = "lic_1") -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(license_id)}"}

    def events(self) -> list[UsageEvent]:
        with self.store.view() as view:
            return list(view.session.exec(select(UsageEvent)).all())

    def open_gate(self, license_id: str, product_id: str = "prd_1", **policy: Any) -> None:
        with self.store.unit("system:test") as unit:
            actions.open_gate(
                unit,
                license_id=license_id,
                product_id=product_id,
                buyer_id="org_buyer",
                policy=SomePolicy(**policy),
            )


@pytest.fixture
def served(
    store: Store,
    objects: LocalObjects,
    settings: MeteringSettings,
    manifest: dict[str, Any],
    shelve: Callable[..., None],
    tmp_path: Path,
) -> Iterator[Served]:
    shelve(manifest)
    shelve(manifest, product_id="prd_open", tier="public_good")
    with store.unit("system:test") as unit:
        credential, secret = actions.keep_credential(
            unit, org_id="org_buyer", kept_by="usr_buyer", name="program"
        )
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    gateway = build_gateway(store, objects, settings, public_url=url, folder=tmp_path / "gateway")
    server = uvicorn.Server(
        uvicorn.Config(gateway, host="127.0.0.1", port=port, log_level="warning", lifespan="on", ws="none")
    )
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    with httpx2.Client(base_url=url, timeout=20) as http:
        house = Served(gateway, http, store, credential.id, secret)
        house.open_gate("lic_1", price=SomePrice(call_fen=3, row_fen=1))
        yield house
    server.should_exit = True
    thread.join(20)


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


@pytest.mark.parametrize(
    ("query", "field", "rule"),
    [
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
    ],
)
def test_a_bad_filter_is_named_and_costs_nothing(served: Served, query: str, field: str, rule: str) -> None:
    answer = served.http.get(f"/data/v1/product-1/rows?{query}", headers=served.bearer())
    assert answer.status_code == 422, answer.text
    assert [(e["field"], e["rule"]) for e in answer.json()["errors"]] == [(field, rule)]
    assert answer.headers["content-type"] == "application/problem+json"
    assert served.events() == []


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


def ticket(served: Served, license_id: str = "lic_1", **headers: str) -> httpx2.Response:
    return served.http.post(
        "/data/v1/product-1/downloads",
        json={"file": "csv"},
        headers=served.bearer(license_id) | {"Idempotency-Key": new_charge_key()} | headers,
    )


def test_a_download_is_charged_once_resumed_free_and_known_to_be_delivered(served: Served) -> None:
    served.open_gate("lic_dl", limit_downloads=1, price=SomePrice(download_fen=500))
    answer = ticket(served, "lic_dl")
    assert answer.status_code == 201, answer.text
    assert served.events() == []
    url = answer.json()["url"]
    head = served.http.head(url)
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(FILE)))
    assert "filename*=UTF-8''%E6%B0%94" in head.headers["content-disposition"]
    assert served.http.get(url, headers={"Range": f"bytes={len(FILE)}-"}).status_code == 416
    assert served.http.get(url, headers={"If-None-Match": head.headers["etag"]}).status_code == 304
    assert served.events() == []
    part = served.http.get(url, headers={"Range": "bytes=0-99999"})
    assert (part.status_code, part.content) == (206, FILE[:100_000])
    assert part.headers["content-range"] == f"bytes 0-99999/{len(FILE)}"
    rest = served.http.get(url, headers={"Range": "bytes=100000-", "If-Range": head.headers["etag"]})
    assert rest.headers["x-charge-duplicate"] == "true"
    assert part.content + rest.content == FILE
    stale = served.http.get(url, headers={"Range": "bytes=5-", "If-Range": '"other"'})
    assert (stale.status_code, len(stale.content)) == (200, len(FILE))
    digest = base64.b64encode(hashlib.sha256(FILE).digest()).decode()
    assert stale.headers["repr-digest"] == f"sha-256=:{digest}:"
    (event,) = served.events()
    assert (event.kind, event.rows, event.bytes, event.amount_fen) == ("download", 59_999, len(FILE), 500)
    with served.store.view() as view:
        (delivery,) = view.session.exec(select(Delivery)).all()
    assert delivery.event_id == event.id
    assert delivery.ranges == [[0, len(FILE)]]
    assert delivery.delivered_at is not None
    second = ticket(served, "lic_dl")
    assert (second.status_code, second.json()["unit"]) == (403, "downloads")


def test_half_a_download_is_not_called_delivered(served: Served) -> None:
    url = ticket(served).json()["url"]
    served.http.get(url, headers={"Range": "bytes=10-19"})
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        with served.store.view() as view:
            if found := view.session.exec(select(Delivery)).all():
                break
    assert (found[0].ranges, found[0].delivered_at) == ([[10, 20]], None)


def test_a_ticket_dies_with_its_license_and_cannot_be_forged(served: Served) -> None:
    url = ticket(served).json()["url"]
    assert served.http.get(url[:-6] + "AAAAAA").status_code == 401
    assert served.http.get("/d/" + served.token()).status_code == 401  # an access token is no ticket
    assert served.http.post("/data/v1/product-1/downloads", headers=served.bearer()).status_code == 400
    with served.store.unit("system:test") as unit:
        actions.shut_gate(unit, "lic_1", reason="suspended")
    assert served.http.get(url).json()["reason"] == "suspended"
    assert served.http.head(url).status_code == 403
    assert served.events() == []


def test_open_data_needs_no_account_and_never_meets_the_till(served: Served) -> None:
    about = served.http.get("/open/v1/product-open").json()
    assert about["license"]["id"] == "od-1.0"
    assert set(about["files"]) == {"csv"}
    assert len(served.http.get("/open/v1/product-open/rows?limit=5").json()["rows"]) == 5
    file = served.http.get(about["files"]["csv"]["url"])
    assert file.content == FILE
    assert served.http.get(about["files"]["csv"]["url"], headers={"Range": "bytes=-5"}).content == FILE[-5:]
    tag = {"If-None-Match": file.headers["etag"]}
    assert served.http.get(about["files"]["csv"]["url"], headers=tag).status_code == 304
    assert served.http.get("/open/v1/product-open/files/serving").status_code == 404
    assert served.http.get("/open/v1/product-1/rows").status_code == 404
    assert served.gateway.plane is not None
    served.gateway.plane.open_count.flush()
    with served.store.view() as view:
        kept = {row.kind: (row.calls, row.rows) for row in view.session.exec(select(OpenUsage)).all()}
    assert kept[Kind.ROWS] == (1, 5)
    assert kept[Kind.DOWNLOAD][0] == 2
    assert served.events() == []
    with served.store.unit("system:test") as unit:
        actions.unshelve(unit, "prd_open", reason="negative list")
    assert served.http.get("/open/v1/product-open/rows").status_code == 404


def test_conditional_open_data_asks_for_an_open_token(
    served: Served, manifest: dict[str, Any], shelve: Callable[..., None]
) -> None:
    shelve(manifest, product_id="prd_cond", tier="public_good", conditional=True)
    served.open_gate("lic_open", product_id="prd_cond", tier="public_good")
    assert served.http.get("/open/v1/product-cond").status_code == 200
    assert served.http.get("/open/v1/product-cond/rows").status_code == 401
    commercial = served.http.get("/open/v1/product-cond/rows", headers=served.bearer("lic_1"))
    assert commercial.json()["type"] == "/problems/wrong-audience"
    accepted = served.bearer("lic_open")
    assert served.http.get("/open/v1/product-cond/rows", headers=accepted).status_code == 200
    paid = served.http.get("/data/v1/product-1/rows", headers=accepted)
    assert paid.json()["type"] == "/problems/wrong-audience"


def test_tokens_are_issued_introspected_and_revoked(served: Served) -> None:
    form = {"grant_type": "client_credentials", "license": "lic_1"}
    body = {"client_id": served.credential, "client_secret": served.secret}
    posted = served.http.post("/oauth/token", data=form | body)
    assert posted.status_code == 200
    assert (posted.json()["token_type"], posted.json()["expires_in"]) == ("Bearer", 3600)
    wrong = served.http.post("/oauth/token", data=form, auth=(served.credential, "wrong"))
    unknown = served.http.post("/oauth/token", data=form, auth=("cli_nobody", "wrong"))
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() == unknown.json()
    other = served.http.post("/oauth/token", data=form | body | {"license": "lic_none"})
    assert (other.status_code, other.json()["error"]) == (400, "invalid_target")
    purpose = served.http.post("/oauth/token", data=form | body | {"purpose": "resale"})
    assert purpose.json()["error"] == "invalid_target"
    token = posted.json()["access_token"]
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert (claims["aud"], claims["lic"], claims["pur"]) == (
        "shugang:commercial",
        "lic_1",
        "internal_business",
    )
    kid = json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))["kid"]
    jwks = served.http.get("/.well-known/jwks.json").json()["keys"]
    assert kid in {key["kid"] for key in jwks}
    assert all("d" not in key for key in jwks)
    asked = served.http.post("/oauth/introspect", data=body | {"token": token}).json()
    assert (asked["active"], asked["lic"]) == (True, "lic_1")
    assert served.http.post("/oauth/introspect", data=body | {"token": "x.y.z"}).json() == {"active": False}
    assert served.http.post("/oauth/introspect", data={"token": token}).status_code == 401
    assert served.http.post("/oauth/revoke", data=body | {"token": token}).status_code == 200
    assert served.http.post("/oauth/revoke", data=body | {"token": "garbage"}).status_code == 200
    assert served.http.post("/oauth/introspect", data=body | {"token": token}).json() == {"active": False}
    refused = served.http.get("/data/v1/product-1/rows", headers={"Authorization": f"Bearer {token}"})
    assert refused.status_code == 401
    found = served.http.get("/.well-known/oauth-authorization-server").json()
    assert found["token_endpoint"].endswith("/oauth/token")


def test_an_older_secret_works_for_a_while_and_an_ended_credential_never(served: Served) -> None:
    with served.store.unit("system:test") as unit:
        _, fresh = actions.rotate_credential(unit, served.credential, org_id="org_buyer", kept_by="usr_buyer")
    headers = served.bearer()
    served.secret = fresh
    served.bearer()
    with served.store.unit("system:test") as unit:
        actions.end_credential(unit, served.credential, org_id="org_buyer", reason="leaked")
    assert served.http.get("/data/v1/product-1/rows", headers=headers).status_code == 401
    form = {"grant_type": "client_credentials"}
    assert served.http.post("/oauth/token", data=form, auth=(served.credential, fresh)).status_code == 401


def test_a_token_used_from_elsewhere_is_refused(served: Served) -> None:
    with served.store.unit("system:test") as unit:
        row, secret = actions.keep_credential(
            unit, org_id="org_buyer", kept_by="usr_buyer", name="far", cidrs=["203.0.113.0/24"]
        )
    form = {"grant_type": "client_credentials", "license": "lic_1"}
    answer = served.http.post("/oauth/token", data=form, auth=(row.id, secret))
    assert (answer.status_code, answer.json()["error"]) == (403, "invalid_target")


def test_health_and_the_route_table(served: Served) -> None:
    assert served.http.get("/healthz").json() == {"alive": True}
    assert served.http.get("/readyz").json()["ready"] is True
    assert len({route.path for route in ROUTES}) == len(ROUTES)
    assert served.gateway.serves("/d/abc")
    assert not served.gateway.serves("/api/v1/whoami")


def test_parallel_calls_are_all_counted(served: Served) -> None:
    headers = served.bearer()

    def work() -> None:
        with httpx2.Client(base_url=str(served.http.base_url), headers=headers) as http:
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
