"""Fair use at the served gateway: who shares an allowance, what takes from it, and what the refusal says."""

from pathlib import Path
from typing import Any

import httpx2
import pytest

from metering import actions
from metering.gate import new_charge_key
from metering.settings import MeteringSettings
from tests.metering.gatehouse import Served

ROWS, OPEN = "/data/v1/product-1/rows?limit=1", "/open/v1/product-open"
OPEN_DOORS = [OPEN, f"{OPEN}/rows?limit=1", f"{OPEN}/files/csv"]


@pytest.fixture
def settings(tmp_path: Path) -> MeteringSettings:
    """One request at once, the next one six seconds later."""
    few = MeteringSettings(open_per_minute=10, paid_per_minute=10, trusted_proxies=("127.0.0.1",))
    return few.resolved(tmp_path)


def ask(served: Served, path: str, address: str, method: str = "GET", **more: Any) -> httpx2.Response:
    headers = {"X-Forwarded-For": address} | more.pop("headers", {})
    return served.http.request(method, path, headers=headers, **more)


def exchange(
    served: Served, address: str, path: str = "token", client: tuple[str, str] | None = None, **form: str
) -> httpx2.Response:
    """One of the doors of OAuth."""
    given = {"grant_type": "client_credentials", "license": "lic_1"} | form
    auth = client or (served.credential, served.secret)
    return ask(served, f"/oauth/{path}", address, "POST", data=given, auth=auth)


def bearer(served: Served, address: str, client: tuple[str, str] | None = None) -> dict[str, str]:
    answer = exchange(served, address, client=client)
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def another(served: Served) -> tuple[str, str]:
    with served.store.unit("system:test") as unit:
        row, secret = actions.keep_credential(
            unit, org_id="org_buyer", kept_by="usr_buyer", name="another program"
        )
    return row.id, secret


def refused(answer: httpx2.Response, name: str) -> None:
    assert answer.status_code == 429, answer.text
    if answer.request.method != "HEAD":
        assert answer.json()["type"] == "/problems/too-many-requests"
    assert 1 <= int(answer.headers["retry-after"]) <= 6
    assert answer.headers["ratelimit-policy"] == f'"{name}";q=1;w=6'
    assert answer.headers["ratelimit"].startswith(f'"{name}";r=0;t=')


# ------------------------------------------------------------------ open data


@pytest.mark.parametrize("path", OPEN_DOORS)
def test_a_subscriber_of_ipv6_has_one_allowance_of_open_data(served: Served, path: str) -> None:
    answer = ask(served, path, "2001:db8:1:1::1")
    assert (answer.status_code, answer.headers["ratelimit-policy"]) == (200, '"open";q=1;w=6')
    refused(ask(served, path, "2001:db8:1:1:ffff::2"), "open")
    assert ask(served, path, "2001:db8:1:2::1").status_code == 200
    assert ask(served, path, "192.0.2.1").status_code == 200
    refused(ask(served, path, "::ffff:192.0.2.1"), "open")
    assert ask(served, path, "192.0.2.2").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        *(("GET", path, 200) for path in OPEN_DOORS),
        *(("HEAD", path, 200) for path in OPEN_DOORS),
        ("GET", "/open/v1/nothing/rows", 404),
    ],
)
def test_all_doors_of_open_data_take_from_one_allowance(
    served: Served, method: str, path: str, status: int
) -> None:
    assert ask(served, path, "192.0.2.1", method).status_code == status
    for then in ("GET", "HEAD"):
        refused(ask(served, OPEN_DOORS[1], "192.0.2.1", then), "open")


def test_open_data_takes_nothing_from_other_doors(served: Served) -> None:
    here = "192.0.2.1"
    ask(served, OPEN, here)
    refused(ask(served, OPEN, here), "open")
    for path in ("/healthz", "/readyz", "/.well-known/jwks.json", "/.well-known/jwks.json"):
        assert ask(served, path, here).status_code == 200
    assert ask(served, ROWS, here, headers=bearer(served, here)).status_code == 200


# ------------------------------------------------------------------ a credential


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_credential_has_one_burst_wherever_it_calls_from(served: Served, method: str) -> None:
    headers = bearer(served, "192.0.2.1")
    first = ask(served, ROWS, "192.0.2.1", method, headers=headers)
    assert (first.status_code, first.headers["ratelimit-policy"]) == (200, '"calls";q=1;w=6')
    charged = len(served.events())
    refused(ask(served, ROWS, "2001:db8::1", headers=headers), "calls")
    refused(ask(served, ROWS, "192.0.2.1", "HEAD", headers=headers), "calls")
    ticket = {"Idempotency-Key": new_charge_key()} | headers
    refused(ask(served, "/data/v1/product-1/downloads", "192.0.2.1", "POST", headers=ticket), "calls")
    assert len(served.events()) == charged == (1 if method == "GET" else 0)
    other = bearer(served, "192.0.2.2", another(served))
    assert ask(served, ROWS, "192.0.2.1", headers=other).status_code == 200
    assert ask(served, OPEN, "192.0.2.1").status_code == 200


def test_a_ticket_takes_from_the_burst_of_its_credential(served: Served) -> None:
    headers = bearer(served, "192.0.2.1") | {"Idempotency-Key": new_charge_key()}
    ticket = ask(served, "/data/v1/product-1/downloads", "192.0.2.1", "POST", headers=headers)
    assert ticket.status_code == 201
    for method in ("GET", "HEAD"):
        refused(ask(served, ticket.json()["url"], "192.0.2.1", method), "calls")
    assert served.events() == []


# ------------------------------------------------------------------ the token doors


@pytest.mark.parametrize("path", ["token", "revoke", "introspect"])
def test_the_token_doors_share_the_allowance_of_a_subscriber(served: Served, path: str) -> None:
    wrong = (served.credential, "wrong")
    assert exchange(served, "2001:db8:1:1::1", path, wrong, token="x.y.z").status_code == 401
    for then in ("token", "revoke", "introspect"):
        refused(exchange(served, "2001:db8:1:1::2", then, token="x.y.z"), "token")
    assert exchange(served, "2001:db8:1:2::1").status_code == 200
    assert ask(served, OPEN, "2001:db8:1:1::1").status_code == 200
