"""Calls to a provider's own API: a real upstream process behind a real gateway, on both databases."""

import shutil
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa
from sqlmodel import select

from metering import actions
from metering.gateway import build_gateway
from metering.keys import Seal
from metering.settings import MeteringSettings
from metering.tables import Gate, RefusalHour, Upstream, UsageEvent
from metering.upstream import Declaration, Hit
from metering.upstream_keeping import declare_upstream, rotate_upstream_secret
from metering.words import HitTest, Kind, SecretPlace
from storage.objects import LocalObjects
from storage.unit import Store
from tests.doubles.upstream import Provider, provider_process
from tests.faults.wire import eventually
from tests.metering.listening import listening
from tests.metering.shelf import BARE, SomePolicy, SomePrice, put_on_shelf
from tests.servers import NO_TLS, free_port

SECRET = "Bearer provider-secret-0123456789"
PATHS = tuple(
    f"/{name}"
    for name in [
        "found",
        "empty",
        "text",
        "moody",
        "away",
        "silent",
        "drip",
        "large",
        "megabyte",
        "slow",
        "huge",
        "torn",
        "unsayable",
        "companies/{code}",
        "a/{b}/",
    ]
)
CALL = "/data/v1/product-1/call"
IMPATIENT = {"connect_seconds": 1, "read_seconds": 1, "total_seconds": 3}


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with provider_process() as provider:
        yield provider


class Served:
    """A gateway behind its server with one product that is a provider's API."""

    def __init__(self, http: httpx2.Client, store: Store, seal: Seal, settings: MeteringSettings) -> None:
        self.http, self.store, self.seal, self.settings = http, store, seal, settings
        with store.unit("system:test") as unit:
            row, self.secret = actions.keep_credential(
                unit, org_id="org_buyer", kept_by="usr_buyer", name="program"
            )
        self.credential = row.id

    def declare(self, base_url: str, **changes: Any) -> None:
        plain: dict[str, Any] = {
            "base_url": f"{base_url}/v2",
            "methods": ("GET", "POST"),
            "paths": PATHS,
            "most_bytes": 8 * 2**20,
        }
        with self.store.unit("system:test") as unit:
            declare_upstream(
                unit,
                self.seal,
                self.settings,
                product_id="prd_1",
                declared=Declaration(**(plain | changes)),
                secret=SECRET,
            )

    def license(self, license_id: str, **policy: Any) -> dict[str, str]:
        """Open a gate and return the header that carries its token."""
        given: dict[str, Any] = {"delivery": ("api_call",), "price": SomePrice(call_fen=3)} | policy
        with self.store.unit("system:test") as unit:
            actions.open_gate(
                unit,
                license_id=license_id,
                product_id="prd_1",
                buyer_id="org_buyer",
                policy=SomePolicy(**given),
            )
        answer = self.http.post(
            "/oauth/token",
            data={"grant_type": "client_credentials", "license": license_id},
            auth=(self.credential, self.secret),
        )
        assert answer.status_code == 200, answer.text
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def events(self) -> list[UsageEvent]:
        with self.store.view() as view:
            return list(view.session.exec(select(UsageEvent)).all())

    def gate(self, license_id: str) -> Gate:
        with self.store.view() as view:
            return view.session.get_one(Gate, license_id)


Serve = Callable[..., AbstractContextManager[Served]]


@pytest.fixture
def serve(store: Store, objects: LocalObjects, provider: Provider, tmp_path: Path) -> Serve:
    """Opens the gateway with these settings changed."""
    put_on_shelf(store, BARE)

    @contextmanager
    def opened(**changed: Any) -> Iterator[Served]:
        plain: dict[str, Any] = {
            "upstream_plain_http": True,
            "upstream_private_hosts": ("127.0.0.1",),
            "breaker_failures": 3,
            "breaker_seconds": 1.0,
            "upstream_request_bytes": 1000,
        }
        settings = MeteringSettings(**(plain | changed)).resolved(tmp_path)
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        gateway = build_gateway(store, objects, settings, public_url=url, folder=tmp_path / "gateway")
        with (
            listening(gateway, port, gateway.at_once),
            httpx2.Client(base_url=url, timeout=20, verify=NO_TLS) as http,
        ):
            house = Served(http, store, Seal(settings), settings)
            house.declare(provider.url)
            yield house

    return opened


@pytest.fixture
def served(serve: Serve) -> Iterator[Served]:
    with serve() as house:
        yield house


def test_a_call_is_charged_once_and_each_side_sees_only_its_own(served: Served, provider: Provider) -> None:
    headers = served.license("lic_1", limit_calls=10)
    answer = served.http.post(
        f"{CALL}/companies/青岛 1?q=a%26b&Q=2",
        headers=headers
        | {
            "Cookie": "session=buyer",
            "X-Custom": "x",
            "Content-Type": "application/json",
            "Idempotency-Key": "k1",
        },
        content=b'{"n":1}',
    )
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"data": [1]}
    assert not {"set-cookie", "x-internal"} & set(answer.headers)
    assert answer.headers.get("server") != "secret/1"
    assert "sandbox" in answer.headers["content-security-policy"]
    last = provider.last
    arrived = {name.lower(): value for name, value in last["headers"]}
    assert (last["method"], last["body"]) == ("POST", '{"n":1}')
    assert last["path"] == "/v2/companies/%E9%9D%92%E5%B2%9B%201?q=a%26b&Q=2"
    assert [value for name, value in last["headers"] if name.lower() == "authorization"] == [SECRET]
    assert headers["Authorization"].removeprefix("Bearer ") not in str(last)
    assert arrived["content-type"] == "application/json"
    assert not {"cookie", "x-custom", "idempotency-key", "x-forwarded-for"} & set(arrived)
    (event,) = served.events()
    assert (event.kind, event.calls, event.rows, event.amount_fen) == (Kind.CALL, 1, 0, 3)
    assert event.bytes == len(answer.content)
    assert answer.headers["x-charge-id"] == f"chg_{event.id.hex()}"
    assert answer.headers["x-quota-remaining"] == "9"


def test_the_same_key_calls_again_free_and_marked(served: Served, provider: Provider) -> None:
    headers = served.license("lic_1", limit_calls=1) | {"Idempotency-Key": "k1"}
    before = provider.calls
    assert served.http.get(f"{CALL}/found", headers=headers).status_code == 200
    again = served.http.get(f"{CALL}/found", headers=headers)  # also now that the quota is used up
    assert (again.status_code, again.headers["x-charge-duplicate"]) == (200, "true")
    assert provider.calls == before + 2
    assert len(served.events()) == 1
    other = served.http.get(f"{CALL}/empty", headers=headers)
    assert (other.status_code, other.json()["type"]) == (409, "/problems/charge-key-reused")
    with served.store.unit("system:test") as unit:
        actions.shut_gate(unit, "lic_1", reason="revoked")
    revoked = served.http.get(f"{CALL}/found", headers=headers)
    assert (revoked.status_code, revoked.json()["reason"]) == (403, "revoked")
    assert revoked.json()["receipt"]["calls"] == 1
    assert provider.calls == before + 2


def test_one_purchase_repeated_is_no_way_to_drive_an_api(served: Served, provider: Provider) -> None:
    headers = served.license("lic_1", limit_calls=1) | {"Idempotency-Key": "k1"}
    before = provider.calls
    codes = [served.http.get(f"{CALL}/found", headers=headers).status_code for _ in range(12)]
    assert codes.count(429) >= 3
    assert provider.calls - before == codes.count(200) <= 9


def test_who_may_not_call_never_reaches_the_provider(served: Served, provider: Provider) -> None:
    before = provider.calls
    used_up = served.license("lic_used", limit_calls=1)
    assert served.http.get(f"{CALL}/found", headers=used_up).status_code == 200
    poor = served.license("lic_poor", spend_cap_fen=2)
    rows = served.license("lic_rows", delivery=("api", "file"))
    shut = served.license("lic_shut")
    with served.store.unit("system:test") as unit:
        actions.shut_gate(unit, "lic_shut", reason="suspended")
    for headers, problem in (
        (used_up, "quota-exhausted"),
        (poor, "spend-cap-reached"),
        (rows, "delivery-refused"),
        (shut, "license-not-in-force"),
        ({}, "invalid-token"),
        ({"Authorization": "Bearer a.b.c"}, "invalid-token"),
    ):
        answer = served.http.get(f"{CALL}/found", headers=headers)
        assert answer.json()["type"] == f"/problems/{problem}", answer.text
        assert answer.status_code in {401, 403}
    with served.store.unit("system:test") as unit:
        actions.end_credential(unit, served.credential, org_id="org_buyer", reason="leaked")
    assert served.http.get(f"{CALL}/found", headers=used_up).status_code == 401
    assert provider.calls == before + 1
    assert len(served.events()) == 1


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/elsewhere", 404),
        ("/companies", 404),
        ("/companies/a/b", 404),
        ("/companies/", 404),
        ("/found/../../admin", 404),
        ("/companies/%2e%2e", 422),
        ("/companies/..%2fadmin", 422),
        ("/companies/%252e%252e", 422),
        ("/companies/a%5cb", 422),
        ("/companies/%0d%0aX:1", 422),
        ("//found", 422),
        ("/companies/%ff", 422),
        ("/found?q=%C9%BD%CB", 422),
        ("/companies/a%00b", 404),
    ],
)
def test_only_declared_paths_are_called(served: Served, provider: Provider, path: str, status: int) -> None:
    headers = served.license("lic_1")
    before = provider.calls
    answer = served.http.get(f"{CALL}{path}", headers=headers)
    assert answer.status_code == status, answer.text
    assert provider.calls == before
    assert served.events() == []


def test_a_method_that_is_not_declared_and_a_body_too_large_stay_here(
    served: Served, provider: Provider
) -> None:
    headers = served.license("lic_1")
    before = provider.calls
    too_large = served.http.post(f"{CALL}/found", headers=headers, content=b"x" * 1001)
    assert (too_large.status_code, too_large.json()["limit_bytes"]) == (413, 1000)
    served.declare(provider.url, methods=("GET",))
    assert served.http.post(f"{CALL}/found", headers=headers, content=b"x").status_code == 404
    assert provider.calls == before


def test_a_secret_in_the_query_cannot_be_shadowed_and_is_used_from_its_rotation_on(
    served: Served, provider: Provider
) -> None:
    served.declare(provider.url, secret_in=SecretPlace.QUERY, secret_name="key")
    headers = served.license("lic_1")
    sent = f"{CALL}/found?a=1;key=mine&KEY=mine&k%65y=mine&b="
    assert served.http.get(sent, headers=headers).status_code == 200
    found = provider.last["path"]
    assert found == "/v2/found?a=1%3Bkey%3Dmine&b=&key=Bearer+provider-secret-0123456789"
    assert "authorization" not in {name.lower() for name, _ in provider.last["headers"]}
    with served.store.unit("system:test") as unit:
        rotate_upstream_secret(unit, served.seal, product_id="prd_1", secret="another")
    assert served.http.get(f"{CALL}/found", headers=headers).status_code == 200
    assert provider.last["path"] == "/v2/found?key=another"


def test_a_secret_opens_only_for_the_address_it_was_given_for(served: Served, provider: Provider) -> None:
    headers = served.license("lic_1")
    with served.store.unit("system:test") as unit:
        row = unit.session.get_one(Upstream, "prd_1")
        assert SECRET.encode() not in row.sealed
        row.declaration = row.declaration | {"base_url": f"{provider.url}/elsewhere"}
        unit.session.add(row)
        unit.record("row.tampered", "upstream:prd_1")
    before = provider.calls
    assert served.http.get(f"{CALL}/found", headers=headers).status_code == 500
    assert provider.calls == before


@pytest.mark.parametrize(
    ("path", "status", "slug", "members"),
    [
        (
            "away",
            502,
            "upstream-failed",
            {"reason": "redirected", "upstream_status": 302, "fault": "upstream"},
        ),
        ("silent", 504, "upstream-timed-out", {"reason": "read", "fault": "upstream"}),
        ("drip", 504, "upstream-timed-out", {"reason": "total", "fault": "upstream"}),
        ("huge", 502, "upstream-failed", {"reason": "too_large", "fault": "upstream"}),
        ("torn", 502, "upstream-failed", {"reason": "broken", "fault": "upstream"}),
    ],
)
def test_a_failing_upstream_costs_nothing_and_says_whose_fault_it_is(
    served: Served, provider: Provider, path: str, status: int, slug: str, members: dict[str, Any]
) -> None:
    served.declare(provider.url, **IMPATIENT)
    headers = served.license("lic_1")
    answer = served.http.get(f"{CALL}/{path}", headers=headers)
    document = answer.json()
    assert (answer.status_code, document["type"]) == (status, f"/problems/{slug}")
    assert document | members | {"charged": False} == document
    assert served.events() == []
    assert SECRET not in answer.text


@pytest.mark.parametrize(
    ("mood", "slug", "fault"),
    [
        (404, "upstream-refused", "request"),
        (401, "upstream-refused", "upstream"),
        (429, "upstream-refused", "upstream"),
        (500, "upstream-failed", "upstream"),
        (503, "upstream-failed", "upstream"),
    ],
)
def test_refusals_of_the_upstream_are_never_billed(
    served: Served, provider: Provider, mood: int, slug: str, fault: str
) -> None:
    headers = served.license("lic_1")
    provider.mood(mood)
    answer = served.http.get(f"{CALL}/moody", headers=headers)
    assert answer.status_code == 502
    assert (answer.json()["type"], answer.json()["fault"]) == (f"/problems/{slug}", fault)
    assert answer.json()["upstream_status"] == mood
    assert served.events() == []


def test_an_answer_that_cannot_be_sent_on_is_never_billed(served: Served) -> None:
    answer = served.http.get(f"{CALL}/unsayable", headers=served.license("lic_1"))
    assert (answer.status_code, answer.json()["type"]) == (502, "/problems/upstream-failed")
    assert (answer.json()["reason"], answer.json()["charged"]) == ("unreadable", False)
    assert served.events() == []


def test_a_repeat_that_fails_does_not_say_that_nothing_was_charged(
    served: Served, provider: Provider
) -> None:
    headers = served.license("lic_1") | {"Idempotency-Key": "k1"}
    provider.mood(200)
    paid = served.http.get(f"{CALL}/moody", headers=headers).headers["x-charge-id"]
    for mood in (500, 404):
        provider.mood(mood)
        told = served.http.get(f"{CALL}/moody", headers=headers).json()
        assert (told["status"], told["charged"], told["receipt"]["charge_id"]) == (502, True, paid)
    assert len(served.events()) == 1


def test_the_breaker_opens_rests_and_closes_again(serve: Serve, provider: Provider) -> None:
    with serve(breaker_seconds=3.0) as served:
        headers = served.license("lic_1")
        provider.mood(500)
        before = provider.calls
        for _ in range(3):
            assert served.http.get(f"{CALL}/moody", headers=headers).status_code == 502
        resting = served.http.get(f"{CALL}/moody", headers=headers)
        assert (resting.status_code, resting.json()["type"]) == (503, "/problems/upstream-resting")
        assert resting.headers["retry-after"] in {"1", "2", "3", "4"}
        assert provider.calls == before + 3
        time.sleep(3.1)
        assert served.http.get(f"{CALL}/moody", headers=headers).status_code == 502  # tried once, rests again
        assert served.http.get(f"{CALL}/moody", headers=headers).status_code == 503
        assert provider.calls == before + 4
        provider.mood(200)
        time.sleep(3.1)
        assert [served.http.get(f"{CALL}/moody", headers=headers).status_code for _ in range(3)] == [200] * 3
        assert len(served.events()) == 3


def test_a_large_answer_is_charged_when_it_is_whole(served: Served) -> None:
    answer = served.http.get(f"{CALL}/large", headers=served.license("lic_1"))
    assert answer.content == b"".join(bytes([n]) * 64 * 1024 for n in range(64))
    assert answer.headers["content-length"] == str(len(answer.content))
    assert [event.bytes for event in served.events()] == [len(answer.content)]


def test_an_answer_over_the_cap_costs_nothing_and_rests_nobody(served: Served, provider: Provider) -> None:
    served.declare(provider.url, most_bytes=2**20)
    for headers in (served.license("lic_1"), served.license("lic_bytes", limit_bytes=10**9)):
        for _ in range(2):  # four in a row, which would be enough for the breaker
            refused = served.http.get(f"{CALL}/large", headers=headers)
            assert (refused.status_code, refused.json()["reason"]) == (502, "too_large")
    assert served.http.get(f"{CALL}/megabyte", headers=headers).status_code == 200
    assert served.gate("lic_bytes").used_bytes == 2**20
    assert len(served.events()) == 1


def test_no_byte_leaves_before_the_charge_is_durable(served: Served, provider: Provider) -> None:
    headers = served.license("lic_1")
    before = provider.calls

    def begun() -> float:
        with served.http.stream("GET", f"{CALL}/large", headers=headers) as answer:
            moment = time.monotonic()
            answer.read()
            assert answer.status_code == 200
        return moment

    with ThreadPoolExecutor(1) as pool:
        with served.store.database.writing() as connection:
            connection.execute(sa.update(Gate).values(used_calls=0))  # its row is ours
            asked = pool.submit(begun)
            eventually(lambda: provider.calls > before)
            time.sleep(0.5)
            let_go = time.monotonic()
        assert asked.result(20) > let_go
    assert len(served.events()) == 1


def test_who_is_revoked_while_the_provider_answers_gets_nothing(served: Served, provider: Provider) -> None:
    headers = served.license("lic_1")
    before = provider.calls
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(served.http.get, f"{CALL}/slow", headers=headers)
        eventually(lambda: provider.calls > before)
        with served.store.unit("system:test") as unit:
            actions.shut_gate(unit, "lic_1", reason="revoked")
        assert (asked.result(20).status_code, asked.result().json()["reason"]) == (403, "revoked")
    assert served.events() == []


@pytest.mark.parametrize(
    ("policy", "paid"),
    [({"limit_calls": 1}, 1), ({"limit_calls": 3}, 3), ({"spend_cap_fen": 8}, 2)],
    ids=["one call", "three calls", "money for two"],
)
def test_at_the_edge_nobody_drives_the_provider_for_more_than_can_be_paid(
    served: Served, provider: Provider, policy: dict[str, int], paid: int
) -> None:
    headers = served.license("lic_1", **policy)
    before = provider.calls
    with ThreadPoolExecutor(12) as pool:
        answers = list(
            pool.map(lambda _: served.http.get(f"{CALL}/slow", headers=headers).status_code, range(12))
        )
    assert sorted(answers) == [200] * paid + [403] * (12 - paid)
    assert provider.calls - before == paid


def test_a_failed_call_leaves_its_place_to_the_next(served: Served, provider: Provider) -> None:
    served.declare(provider.url, read_seconds=1)
    headers = served.license("lic_1", limit_calls=1)
    before = provider.calls
    with ThreadPoolExecutor(2) as pool:
        silent = pool.submit(served.http.get, f"{CALL}/silent", headers=headers)
        eventually(lambda: provider.calls > before)
        assert served.http.get(f"{CALL}/found", headers=headers).status_code == 200
        assert silent.result(20).status_code == 504
    assert served.gate("lic_1").used_calls == 1


def test_bytes_that_do_not_reach_for_an_answer_are_not_tried_again_at_once(
    served: Served, provider: Provider
) -> None:
    headers = served.license("lic_1", limit_bytes=2**20)
    before = provider.calls
    for _ in range(5):
        answer = served.http.get(f"{CALL}/large", headers=headers)
        assert (answer.status_code, answer.json()["unit"]) == (403, "bytes")
        assert answer.json()["wanted"] == 2**22
    assert provider.calls == before + 1
    assert served.events() == []


def test_who_left_without_a_key_does_not_pay(served: Served, provider: Provider) -> None:
    headers = served.license("lic_1")
    before = provider.calls
    address = served.http.base_url
    with socket.create_connection((address.host, address.port or 0)) as leaving:
        lines = [f"GET {CALL}/slow HTTP/1.1", "Host: h", f"Authorization: {headers['Authorization']}"]
        leaving.sendall("\r\n".join([*lines, "", ""]).encode())
        eventually(lambda: provider.calls > before)
    time.sleep(1.2)  # the provider answers after half of it
    assert served.events() == []
    assert served.http.get(f"{CALL}/found", headers=headers).status_code == 200


def test_a_buyer_who_does_not_read_holds_no_place_at_the_provider(serve: Serve) -> None:
    with serve(upstream_parallel=1) as served:
        headers = served.license("lic_1")
        address = served.http.base_url
        with socket.create_connection((address.host, address.port or 0)) as lazy:
            lines = [f"GET {CALL}/large HTTP/1.1", "Host: h", f"Authorization: {headers['Authorization']}"]
            lazy.sendall("\r\n".join([*lines, "", ""]).encode())
            eventually(lambda: len(served.events()) == 1)
            assert served.http.get(f"{CALL}/found", headers=headers).status_code == 200


def test_one_license_has_its_share_of_the_calls_under_way(serve: Serve, provider: Provider) -> None:
    with serve(upstream_share=2) as served, ThreadPoolExecutor(5) as pool:
        headers, other = served.license("lic_1"), served.license("lic_2")
        before = provider.calls
        asked = [pool.submit(served.http.get, f"{CALL}/slow", headers=headers) for _ in range(5)]
        eventually(lambda: provider.calls == before + 2)
        assert served.http.get(f"{CALL}/found", headers=other).status_code == 200
        answers = [each.result(20) for each in asked]
        assert sorted(answer.status_code for answer in answers) == [200, 200, 503, 503, 503]
        busy = next(answer for answer in answers if answer.status_code == 503)
        assert (busy.json()["reason"], busy.headers["retry-after"]) == ("share", "1")
        assert busy.json()["charged"] is False


def test_a_repeat_beyond_the_share_does_not_say_that_nothing_was_charged(
    serve: Serve, provider: Provider
) -> None:
    with serve(upstream_share=1) as served, ThreadPoolExecutor(1) as pool:
        headers = served.license("lic_1")
        once = headers | {"Idempotency-Key": "k1"}
        paid = served.http.get(f"{CALL}/found", headers=once).headers["x-charge-id"]
        before = provider.calls
        slow = pool.submit(served.http.get, f"{CALL}/slow", headers=headers)
        eventually(lambda: provider.calls == before + 1)
        told = served.http.get(f"{CALL}/found", headers=once).json()
        assert (told["reason"], told["charged"], told["receipt"]["charge_id"]) == ("share", True, paid)
        assert slow.result(20).status_code == 200


def test_one_purchase_is_repeated_so_often_and_no_more(serve: Serve, provider: Provider) -> None:
    with serve(repeats_per_purchase=3) as served:
        headers = served.license("lic_1") | {"Idempotency-Key": "k1"}
        before = provider.calls
        codes = [served.http.get(f"{CALL}/found", headers=headers).status_code for _ in range(6)]
        assert codes == [200, 200, 200, 200, 409, 409]
        assert provider.calls == before + 4


def test_without_room_for_an_answer_nothing_is_charged(serve: Serve, tmp_path: Path) -> None:
    with serve(upstream_waiting_bytes=2**22) as served:  # a license has a quarter of it
        headers = served.license("lic_1")
        full = served.http.get(f"{CALL}/large", headers=headers)
        assert (full.status_code, full.json()["type"]) == (503, "/problems/no-room-for-answer")
        assert served.events() == []
        codes = {served.http.get(f"{CALL}/megabyte", headers=headers).status_code for _ in range(4)}
        assert codes == {200}  # each gives its room back
        shutil.rmtree(tmp_path / "gateway" / "answers")
        assert served.http.get(f"{CALL}/megabyte", headers=headers).status_code == 503
        assert served.http.get(f"{CALL}/found", headers=headers).status_code == 200
    assert len(served.events()) == 5


def test_per_hit_only_what_was_found_is_paid(served: Served, provider: Provider) -> None:
    served.declare(provider.url, hit=Hit(pointer="/data", test=HitTest.NON_EMPTY))
    headers = served.license("lic_1", price=SomePrice(call_fen=5, per_hit=True), limit_calls=1)
    missed = served.http.get(f"{CALL}/empty", headers=headers)
    assert (missed.status_code, missed.headers["x-hit"]) == (200, "false")
    assert missed.headers["x-quota-remaining"] == "1"
    found = served.http.get(f"{CALL}/found", headers=headers)
    assert (found.status_code, found.headers["x-hit"], found.headers["x-quota-remaining"]) == (
        200,
        "true",
        "0",
    )
    assert sorted((event.calls, event.amount_fen) for event in served.events()) == [(0, 0), (1, 5)]
    assert served.gate("lic_1").spent_fen == 5
    before = provider.calls
    assert served.http.get(f"{CALL}/empty", headers=headers).status_code == 403
    assert provider.calls == before
    other = served.license("lic_2", price=SomePrice(call_fen=5, per_hit=True))
    unreadable = served.http.get(f"{CALL}/text", headers=other)
    assert (unreadable.status_code, unreadable.json()["reason"]) == (502, "unreadable")
    assert len(served.events()) == 2


def test_a_miss_that_was_free_buys_no_hit_later(served: Served, provider: Provider) -> None:
    served.declare(provider.url, hit=Hit(pointer="/mood", test=HitTest.EQUALS, value=201))
    headers = served.license("lic_1", price=SomePrice(call_fen=5, per_hit=True))
    once = headers | {"Idempotency-Key": "k1"}
    for mood, status in ((200, 200), (200, 200), (201, 409)):
        provider.mood(mood)
        assert served.http.get(f"{CALL}/moody", headers=once).status_code == status
    assert served.http.get(f"{CALL}/moody", headers=headers).headers["x-hit"] == "true"
    assert sorted(event.amount_fen for event in served.events()) == [0, 5]


def test_an_upstream_inside_is_not_reached_unless_it_is_named(served: Served, provider: Provider) -> None:
    headers = served.license("lic_1")
    port = provider.url.rpartition(":")[2]
    before = provider.calls
    for host in ("localhost", "169.254.169.254", "[::ffff:127.0.0.1]"):
        served.declare(f"http://{host}:{port}")
        answer = served.http.get(f"{CALL}/found", headers=headers)
        assert (answer.status_code, answer.json()["reason"]) == (502, "address"), (host, answer.text)
    assert provider.calls == before
    assert served.events() == []


def test_asking_for_what_is_not_declared_is_counted_as_probing(served: Served, provider: Provider) -> None:
    headers = served.license("lic_1")
    served.declare(provider.url, methods=("GET",))
    assert served.http.get(f"{CALL}/found", headers=headers).status_code == 200
    for method, path in (("GET", "admin"), ("GET", "found/1"), ("POST", "found")):
        refused = served.http.request(method, f"{CALL}/{path}", headers=headers)
        assert (refused.status_code, refused.json()["type"]) == (404, "/problems/call-refused")
    counted: list[tuple[str, int]] = []
    until = time.monotonic() + 10
    while counted != [(served.credential, 3)] and time.monotonic() < until:
        time.sleep(0.1)  # written down within a second
        with served.store.view() as view:
            counted = [
                (row.credential_id, row.refusals) for row in view.session.exec(select(RefusalHour)).all()
            ]
    assert counted == [(served.credential, 3)]
