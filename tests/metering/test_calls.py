"""Calls to a provider's own API: a real upstream process behind a real gateway, on both databases."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
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
from tests.metering.listening import listening
from tests.metering.shelf import BARE, SomePolicy, SomePrice, put_on_shelf
from tests.servers import free_port

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
        "huge",
        "torn",
        "companies/{code}",
        "a/{b}/",
    ]
)
CALL = "/data/v1/product-1/call"


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
            "connect_seconds": 1,
            "read_seconds": 1,
            "total_seconds": 3,
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


@pytest.fixture
def served(store: Store, objects: LocalObjects, provider: Provider, tmp_path: Path) -> Iterator[Served]:
    settings = MeteringSettings(
        upstream_plain_http=True,
        upstream_private_hosts=("127.0.0.1",),
        breaker_failures=3,
        breaker_seconds=1.0,
        upstream_request_bytes=1000,
    ).resolved(tmp_path)
    put_on_shelf(store, BARE)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    gateway = build_gateway(store, objects, settings, public_url=url, folder=tmp_path / "gateway")
    with listening(gateway, port, gateway.at_once), httpx2.Client(base_url=url, timeout=20) as http:
        house = Served(http, store, Seal(settings), settings)
        house.declare(provider.url)
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
    assert arrived["authorization"] == SECRET
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
    ],
)
def test_a_failing_upstream_costs_nothing_and_says_whose_fault_it_is(
    served: Served, path: str, status: int, slug: str, members: dict[str, Any]
) -> None:
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


def test_the_breaker_opens_rests_and_closes_again(served: Served, provider: Provider) -> None:
    headers = served.license("lic_1")
    provider.mood(500)
    before = provider.calls
    for _ in range(3):
        assert served.http.get(f"{CALL}/moody", headers=headers).status_code == 502
    resting = served.http.get(f"{CALL}/moody", headers=headers)
    assert (resting.status_code, resting.json()["type"]) == (503, "/problems/upstream-resting")
    assert resting.headers["retry-after"] in {"1", "2"}
    assert provider.calls == before + 3
    time.sleep(1.1)
    assert served.http.get(f"{CALL}/moody", headers=headers).status_code == 502  # tried once, rests again
    assert served.http.get(f"{CALL}/moody", headers=headers).status_code == 503
    assert provider.calls == before + 4
    provider.mood(200)
    time.sleep(1.1)
    assert [served.http.get(f"{CALL}/moody", headers=headers).status_code for _ in range(3)] == [200] * 3
    assert len(served.events()) == 3


def test_a_large_answer_is_streamed_and_a_torn_one_is_not_taken_for_the_whole(served: Served) -> None:
    headers = served.license("lic_1")
    answer = served.http.get(f"{CALL}/large", headers=headers)
    assert answer.content == b"".join(bytes([n]) * 64 * 1024 for n in range(64))
    assert len(served.events()) == 1
    with pytest.raises(httpx2.RemoteProtocolError):
        served.http.get(f"{CALL}/torn", headers=headers | {"Idempotency-Key": "k"})
    assert len(served.events()) == 2  # what had begun was charged; the same key is free
    with pytest.raises(httpx2.RemoteProtocolError):
        served.http.get(f"{CALL}/torn", headers=headers | {"Idempotency-Key": "k"})
    assert len(served.events()) == 2


def test_an_answer_over_the_cap_is_cut(served: Served, provider: Provider) -> None:
    served.declare(provider.url, most_bytes=2**20)
    headers = served.license("lic_1")
    with pytest.raises(httpx2.RemoteProtocolError):
        served.http.get(f"{CALL}/large", headers=headers)
    whole = served.license(
        "lic_bytes", limit_bytes=10**9
    )  # a limit of bytes needs the size before it is sent
    refused = served.http.get(f"{CALL}/large", headers=whole)
    assert (refused.status_code, refused.json()["reason"]) == (502, "too_large")
    assert served.gate("lic_bytes").used_calls == 0


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
