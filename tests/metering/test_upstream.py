"""What may be declared of a provider's API, when an answer is a hit, and where a name may not lead."""

import asyncio
from collections.abc import Sequence
from typing import Any

import httpcore2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.breaker import Breaker
from metering.problems import UpstreamFailed, UpstreamResting
from metering.settings import MeteringSettings
from metering.upstream import Declaration, Hit, declaration_faults, path_fault, secret_faults
from metering.upstream_client import Ask, GuardedNetwork, UpstreamClient, is_public
from metering.words import BreakerState, HitTest, SecretPlace

FINE: dict[str, Any] = {"base_url": "https://api.provider.example/v2", "paths": ("/companies/{code}",)}
SETTINGS = MeteringSettings()


def rules(**changes: Any) -> set[str]:
    return {fault.field for fault in declaration_faults(Declaration(**(FINE | changes)), SETTINGS)}


def test_a_plain_declaration_is_fine() -> None:
    assert rules() == set()
    assert rules(base_url="https://api.provider.example:8443") == set()
    assert rules(base_url=f"https://{'a' * 63}.b-c.1") == set()
    assert rules(base_url="https://[2001:db8::1]/v2") == set()
    assert Declaration(**FINE).host == "api.provider.example"


@pytest.mark.parametrize(
    "address",
    [
        "http://api.provider.example",
        "https://user:pass@api.provider.example",
        "https://api.provider.example/?a=1",
        "https://api.provider.example/#x",
        "https://api.provider.example/../x",
        "https://API.provider.example",
        "https://",
        "https://a b",
        "https://a:99999",
        "https://a\\@b",
        "ftp://a",
        "file:///etc/passwd",
        "https://a/{x}",
        "https://[::1",
        "https://a..b",
        "https://a.-b",
        f"https://{'a' * 64}.example",
        f"https://{'.'.join(['a' * 63] * 4)}",
        "",
    ],
)
def test_only_a_plain_https_address_is_taken(address: str) -> None:
    assert rules(base_url=address) == {"base_url"}


def test_every_other_field_has_its_rule() -> None:
    assert rules(methods=("GET", "DELETE")) == {"methods"}
    assert rules(methods=("GET", "GET")) == {"methods"}
    for path in ("companies", "/a/../b", "/{Code}", "/a//b", "/a?b", "/a%2fb", "/é"):
        assert rules(paths=(path,)) == {"paths"}, path
    assert rules(hit=Hit(pointer="data")) == {"hit.pointer"}
    assert rules(hit=Hit(pointer="/data", test=HitTest.EXISTS, value=1)) == {"hit.value"}
    assert rules(read_seconds=40) == {"total_seconds"}
    assert rules(total_seconds=300) == {"total_seconds"}
    assert rules(most_bytes=2**30) == {"most_bytes"}
    for name in ("Host", "cookie", "Content-Length", "a b", ""):
        assert rules(secret_name=name) == {"secret_name"}, name
    assert rules(secret_in=SecretPlace.QUERY, secret_name="host") == set()
    declared = Declaration(**FINE)
    assert secret_faults(declared, "Bearer abc") == []
    for secret in ("", " a", "a\r\nX: 1", "密钥", "a" * 4097):
        assert secret_faults(declared, secret), secret
    assert secret_faults(Declaration(**FINE, secret_in=SecretPlace.NONE), "") == []


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab/~0", max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(document=json, data=st.data())
def test_a_pointer_finds_exactly_what_it_walks_to(document: Any, data: st.DataObject) -> None:
    pointer, at = "", document
    while isinstance(at, dict | list) and at and data.draw(st.booleans()):
        name = data.draw(st.sampled_from(sorted(at) if isinstance(at, dict) else list(range(len(at)))))
        pointer += "/" + str(name).replace("~", "~0").replace("/", "~1")
        at = at[name]
    assert Hit(pointer=pointer, test=HitTest.EXISTS).holds(document)
    assert Hit(pointer=pointer).holds(document) == (at is not None and at not in ("", [], {}))
    if at is None or isinstance(at, bool | int | str):
        assert Hit(pointer=pointer, test=HitTest.EQUALS, value=at).holds(document)
        assert not Hit(pointer=pointer, test=HitTest.EQUALS, value=f"{at}!").holds(document)
    assert not Hit(pointer=pointer + "/nowhere", test=HitTest.EXISTS).holds(document)


def test_one_is_not_true() -> None:
    assert not Hit(pointer="/n", test=HitTest.EQUALS, value=True).holds({"n": 1})
    assert not Hit(pointer="/n", test=HitTest.EQUALS, value=1).holds({"n": True})


@given(path=st.text("ab/.{}%\\?#;é\n ", max_size=30))
def test_what_is_sent_is_below_the_declared_address(path: str) -> None:
    declared = Declaration(base_url="https://a.example/v2", paths=("/a/{b}", "/{a}"))
    path = f"/{path}"
    if path_fault(path) is None and declared.allows("GET", path):
        url, _ = declared.target(path, "", "s")
        sent = httpcore2.URL(url).target.decode()
        assert sent.startswith("/v2/")
        assert sent.count("/") == path.count("/") + 1
        assert not {".", ".."} & set(sent.split("/"))


def test_where_a_name_may_not_lead() -> None:
    inside = (
        "127.0.0.1 10.1.2.3 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1 100.100.100.200 168.63.129.16 "
        "0.0.0.0 224.0.0.1 255.255.255.255 192.0.0.192 198.18.0.1 ::1 :: fe80::1 fc00::1 fd00:ec2::254 "
        "::ffff:10.0.0.1 64:ff9b::a9fe:a9fe 2002:7f00:1:: 2001:0:7f00:1:: ff02::1 2001:db8::1 host"
    )
    assert [address for address in inside.split() if is_public(address)] == []
    assert all(map(is_public, ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"]))


@pytest.mark.parametrize("host", ["a..b", f"{'a' * 64}.example"])
def test_a_name_that_cannot_be_resolved_is_unreachable(host: str) -> None:
    async def connect() -> None:
        await GuardedNetwork(()).connect_tcp(host, 443, 5.0)

    with pytest.raises(httpcore2.ConnectError):
        asyncio.run(connect())


def test_a_name_that_changes_its_answer_gains_nothing() -> None:
    """DNS rebinding: the address that was judged is the one connected to, and a new connection is judged anew."""
    asked: list[str] = []

    async def resolve(host: str, port: int) -> Sequence[str]:  # an answer each time
        asked.append(host)
        return [["93.184.216.34"], ["127.0.0.1"], ["93.184.216.34", "10.0.0.1"]][min(len(asked), 3) - 1]

    connected: list[str] = []

    class Wire(httpcore2.AnyIOBackend):
        async def connect_tcp(self, host: str, *_: Any, **__: Any) -> Any:
            connected.append(host)
            raise httpcore2.ConnectError

    network = GuardedNetwork((), resolve)
    network._network = Wire()

    async def connect() -> None:
        await network.connect_tcp("api.example", 443, 1.0)

    for _ in range(3):
        with pytest.raises(Exception, match=r".*"):
            asyncio.run(connect())
    assert asked == ["api.example"] * 3
    assert connected == ["93.184.216.34"]  # never the name, never what lies inside


def test_a_rebound_name_is_the_upstreams_fault() -> None:
    async def inside(host: str, port: int) -> Sequence[str]:
        return ["10.0.0.1"]

    async def call() -> None:
        client = UpstreamClient((), inside)
        declared = Declaration(**FINE)
        try:
            async with client.ask(declared, Ask("GET", "https://api.example/", [], b"")):
                pass
        finally:
            await client.close()

    with pytest.raises(UpstreamFailed) as refused:
        asyncio.run(call())
    assert refused.value.members["reason"] == "address"


def test_a_breaker_counts_failures_in_a_row_and_tries_one_at_a_time() -> None:
    now = [0.0]
    breaker = Breaker("p", failures=2, seconds=10, parallel=2, now=lambda: now[0])
    for verdict in (breaker.failed, breaker.succeeded, breaker.failed):
        trial = breaker.enter()
        verdict()
        breaker.leave(trial=trial)
    assert str(breaker.state) == BreakerState.CLOSED
    breaker.failed()
    assert str(breaker.state) == BreakerState.OPEN
    with pytest.raises(UpstreamResting) as resting:
        breaker.enter()
    assert resting.value.headers["Retry-After"] == "11"
    now[0] = 10.0
    assert breaker.enter() is True
    with pytest.raises(UpstreamResting):
        breaker.enter()
    breaker.leave(trial=True)  # the buyer went away: no verdict, the next call is the trial
    assert breaker.enter() is True
    breaker.succeeded()
    breaker.leave(trial=True)
    assert str(breaker.state) == BreakerState.CLOSED
    breaker.enter()
    breaker.enter()
    with pytest.raises(UpstreamResting) as busy:
        breaker.enter()
    assert busy.value.members["reason"] == "busy"
