"""Tokens, questions and charge keys that open nothing and cost nothing, over real HTTP."""

import json
from base64 import urlsafe_b64encode
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from joserfc import jws
from joserfc.jwk import OKPKey
from joserfc.util import urlsafe_b64decode

from metering import keys
from metering.queries import events_of_period, gate
from metering.tokens import ACCESS, ALGORITHM, AUD_API, AUD_OPEN, Access, KeyRing, Verifier, mint_access
from storage.kernel import clock
from tests.faults import goods
from tests.faults.refusals import refusal, rules
from tests.journeys.actors import bought
from tests.journeys.crowded import Market
from tests.live import Server


def used(market: Market, license_id: str) -> tuple[int, int]:
    """Calls the gate has counted, and events written, for a license."""
    with market.server.house.store.view() as view:
        counted = gate(view, license_id).used_calls
        return counted, len(list(events_of_period(view, license_id, f"{clock.now():%Y-%m}")))


class Forger:
    """Signs tokens with the market's own key, or with one of its own."""

    def __init__(self, server: Server) -> None:
        settings = server.house.settings
        seal = keys.Seal(settings.metering.resolved(server.data_dir / "cache"))
        with server.house.store.view() as view:
            self.ring = keys.load_ring(view, seal)
        self.issuer = settings.public_url
        assert self.ring.signing is not None
        stranger = OKPKey.generate_key("Ed25519", auto_kid=False)
        self.strange = KeyRing({}, stranger)
        self.kid = self.ring.signing.thumbprint()

    def real(self, token: str, **changes: Any) -> Access:
        """What a token of the market says, with changes."""
        access = Verifier(self.issuer, self.ring).read(token, now=clock.now())
        return replace(access, **changes)

    def resigned(self, token: str) -> str:
        """The same claims under the market's key id, signed by a stranger."""
        assert self.strange.signing is not None
        _header, payload, _mac = token.split(".")
        header = {"alg": ALGORITHM, "kid": self.kid, "typ": ACCESS}
        return jws.serialize_compact(
            header, urlsafe_b64decode(payload.encode()), self.strange.signing, algorithms=[ALGORITHM]
        )


def test_tokens_that_open_nothing(market: Market) -> None:
    """Missing, damaged, unsigned, expired, too early, foreign, of another door: each refused, none counted."""
    server, token = market.server, market.token
    forger, before = Forger(server), used(market, market.license)
    now = int(clock.now().timestamp())
    header, payload, mac = token.split(".")

    def minted(ring: KeyRing | None = None, issuer: str = "", **changes: Any) -> str:
        return mint_access(
            forger.real(token, **changes), issuer=issuer or forger.issuer, ring=ring or forger.ring
        )

    none = urlsafe_b64encode(json.dumps({"alg": "none", "kid": forger.kid, "typ": ACCESS}).encode()).decode()
    bad = {
        "damaged": f"{header}.{payload}.{mac[::-1]}",
        "other claims": f"{header}.{payload[:-4]}AAAA.{mac}",
        "unsigned": f"{none}.{payload}.",
        "expired": minted(issued_at=now - 7200, expires_at=now - 3600),
        "too early": minted(issued_at=now + 3600, expires_at=now + 7200),
        "stranger's key": minted(ring=forger.strange),
        "stranger's key under our kid": forger.resigned(token),
        "foreign market": minted(issuer="https://another.example"),
        "not a token": "x.y.z",
        "too long": "a" * 5000,
    }
    for name, forged in bad.items():
        with goods.bearer(server, forged) as program:
            answer = program.get("/data/v1/parking/rows", headers=goods.fresh_key())
            assert answer.status_code == 401, f"{name}: {answer.status_code} {answer.text}"
            refusal(answer, 401, "invalid-token")
            assert "invalid_token" in answer.headers["www-authenticate"]
            refusal(
                program.post("/data/v1/parking/downloads", json={"file": "csv"}, headers=goods.fresh_key()),
                401,
                "invalid-token",
            )
            refusal(program.get("/api/v1/orders"), 401, "invalid-token")
            refusal(program.get(f"/d/{forged}"), 401, "invalid-token")
    with httpx2.Client(base_url=server.url, trust_env=False) as nobody:
        refusal(nobody.get("/data/v1/parking/rows"), 401, "invalid-token")
        refusal(nobody.get(f"/d/{token}"), 401, "invalid-token")  # an access token is no ticket
    for audience in (AUD_OPEN, AUD_API):
        with goods.bearer(server, minted(audience=audience)) as program:
            refusal(program.get("/data/v1/parking/rows", headers=goods.fresh_key()), 401, "wrong-audience")
    with goods.bearer(server, token) as program:
        refusal(program.get("/api/v1/orders"), 401, "wrong-audience")
    assert used(market, market.license) == before


def test_token_on_the_wrong_product(market: Market) -> None:
    """A license opens one product; the tiers have doors of their own."""
    before = used(market, market.license)
    other, _plan = goods.commercial(market.cast, "parking-two", goods.parking(62), {"call_fen": 2})
    body = refusal(
        market.program.get("/data/v1/parking-two/rows", headers=goods.fresh_key()),
        403,
        "license-not-in-force",
    )
    assert body["reason"] == "other_product"
    ticket = market.program.post(
        "/data/v1/parking-two/downloads", json={"file": "csv"}, headers=goods.fresh_key()
    )
    assert refusal(ticket, 403, "license-not-in-force")["reason"] == "other_product"
    refusal(market.program.get("/data/v1/parking-open/rows", headers=goods.fresh_key()), 404, "not-on-shelf")
    with httpx2.Client(base_url=market.server.url, trust_env=False) as nobody:
        refusal(nobody.get("/open/v1/parking/rows"), 404, "not-on-shelf")
        refusal(nobody.get("/open/v1/parking/files/csv"), 404, "not-on-shelf")
        refusal(nobody.get("/open/v1/parking-open/files/serving"), 404, "not-on-shelf")
    assert used(market, market.license) == before
    assert other != market.product


@pytest.mark.parametrize("door", ["/data/v1/parking/rows", "/open/v1/parking-open/rows"])
def test_questions_that_cannot_be_asked(market: Market, door: str) -> None:
    """Unknown columns, operators and cursors are named and cost nothing; SQL is only ever a value."""
    before = used(market, market.license)
    huge = urlsafe_b64encode(b"0" * 12 + b"[1e300,1,1]").decode().rstrip("=")
    for query, rule in (
        ({"phone": "eq.1"}, "column.unknown"),
        ({"lot; DROP TABLE data --": "eq.1"}, "column.unknown"),
        ({'lot" OR 1=1 --': "eq.1"}, "column.unknown"),
        ({"_row": "eq.1"}, "column.unknown"),
        ({"select": "lot,(SELECT sql FROM sqlite_master)"}, "column.unknown"),
        ({"order": "lot;DROP TABLE data"}, "column.unknown"),
        ({"lot": "1 OR 1=1"}, "filter.operator"),
        ({"lot": "eq.1 OR 1=1"}, "type.integer"),
        ({"lot": "eq." + "9" * 30}, "type.integer"),
        ({"lot": "in.(1,2"}, "filter.list"),
        ({"district": "eq.\0"}, "text"),
        ({"cursor": "AAAA"}, "cursor"),
        ({"cursor": huge}, "cursor"),
        ({"cursor": "中"}, "cursor"),
        ({"limit": "1000000"}, None),
        ({"limit": "-1"}, None),
        ({"format": "exe"}, "format"),
    ):
        answer = market.program.get(door, params=query, headers=goods.fresh_key())
        assert answer.status_code == 422, f"{query}: {answer.status_code} {answer.text}"
        told = {rule for _, rule in rules(refusal(answer, 422, "invalid"))}
        assert rule is None or rule in told, (query, told)
    for value in (
        "x' OR '1'='1",
        "'; DROP TABLE data; --",
        "市南' UNION SELECT 1,2,3,4 --",
        'x" OR 1=1',
        "%",
        "_",
    ):
        answer = market.program.get(door, params={"district": f"eq.{value}"}, headers=goods.fresh_key())
        assert answer.status_code == 200, answer.text
        assert answer.json()["rows"] == []
    asked = 6 if door.startswith("/data") else 0
    assert used(market, market.license) == (before[0] + asked, before[1] + asked)
    assert (
        len(market.program.get(door, params={"limit": "100"}, headers=goods.fresh_key()).json()["rows"]) >= 60
    )


def test_charge_keys(market: Market) -> None:
    """One key is one purchase: repeated it is free, for another question it is refused."""
    before = used(market, market.license)
    key = goods.fresh_key()
    door = "/data/v1/parking/rows"
    first = market.program.get(door, params={"limit": "5"}, headers=key)
    again = market.program.get(door, params={"limit": "5"}, headers=key)
    assert first.status_code == again.status_code == 200
    assert first.content == again.content
    assert again.headers["x-charge-duplicate"] == "true"
    assert again.headers["x-charge-id"] == first.headers["x-charge-id"]
    refusal(market.program.get(door, params={"limit": "6"}, headers=key), 409, "charge-key-reused")
    refusal(market.program.get(door, headers={"Idempotency-Key": "two words"}), 400, "invalid-charge-key")
    refusal(
        market.program.post("/data/v1/parking/downloads", json={"file": "csv"}), 400, "invalid-charge-key"
    )
    for body in (b"{", b"[]", b'{"file": 1}', b'{"file": "serving"}', b" " * 5000):
        answer = market.program.post("/data/v1/parking/downloads", content=body, headers=goods.fresh_key())
        refusal(answer, 422, "invalid")
    answer = market.program.post(
        "/data/v1/parking/downloads", json={"file": "exe"}, headers=goods.fresh_key()
    )
    refusal(answer, 404, "not-on-shelf")
    refused = market.program.delete(door)
    refusal(refused, 405, "method-not-allowed")
    assert "GET" in refused.headers["allow"]
    assert used(market, market.license) == (before[0] + 1, before[1] + 1)


def test_quota_used_up_in_a_page_run(market: Market) -> None:
    """Five calls are included: five pages come, the sixth does not, and the books say five."""
    price = {"call_fen": 2, "included_calls": 5}
    product, plan = goods.commercial(market.cast, "parking-five", goods.parking(63), price)
    order = bought(market.cast, product, plan, prepay_fen=10_000)
    _token, program = goods.program(market.server, market.cast, order["license_id"])
    rows: list[dict[str, Any]] = []
    cursor = None
    with program:
        for _page in range(5):
            query = {"limit": "10"} | ({"cursor": cursor} if cursor else {})
            answer = program.get("/data/v1/parking-five/rows", params=query, headers=goods.fresh_key())
            assert answer.status_code == 200, answer.text
            rows += answer.json()["rows"]
            cursor = answer.json()["next"]
        assert answer.headers["x-quota-remaining"] == "0"
        assert cursor is not None
        for _again in range(2):
            answer = program.get(
                "/data/v1/parking-five/rows",
                params={"limit": "10", "cursor": cursor},
                headers=goods.fresh_key(),
            )
            body = refusal(answer, 403, "quota-exhausted")
            assert (body["unit"], body["left"]) == ("calls", 0)
    assert [row["lot"] for row in rows] == list(range(1, 51))
    assert used(market, order["license_id"]) == (5, 5)
    usage = market.cast.buyer.get(f"/licenses/{order['license_id']}/usage")
    assert (usage["used_calls"], usage["spent_fen"]) == (5, 10)
