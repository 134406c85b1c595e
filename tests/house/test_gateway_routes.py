"""The gateway's one table of routes: each has its door, and a closed door stays closed without a proof."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from market.app import build_api
from metering.gateway import ROUTES, Door, Route, build_gateway
from metering.settings import MeteringSettings
from storage.objects import LocalObjects
from storage.unit import Store
from tests.house.routes import contexts

# Name → why anybody may ask. An entry that is not public any more fails, too.
PUBLIC = {
    "open_metadata": "what open data is, and under which license, is said to everybody",
    "metadata": "where tokens are got, before one has any",
    "resource": "who issues the tokens that are asked for, before one has any",
    "jwks": "public keys, to verify tokens with",
    "healthz": "for the machine that restarts us",
    "readyz": "for the balancer in front of us",
}
GUARDED = {Door.TOKEN, Door.TICKET, Door.CREDENTIAL}


def door_faults(routes: tuple[Route, ...]) -> list[str]:
    """Routes open without a reason, and guarded ones whose token could be anybody's."""
    faults = [
        f"{route.name}: public, but not on the list"
        for route in routes
        if route.door is Door.PUBLIC and route.name not in PUBLIC
    ]
    return faults + [
        f"{route.name}: no audience, so a token for something else would do"
        for route in routes
        if route.door in {Door.TOKEN, Door.TICKET, Door.OPEN} and not route.audience
    ]


def test_every_route_has_its_door() -> None:
    assert door_faults(ROUTES) == []
    assert len(ROUTES) >= 13
    assert {route.name for route in ROUTES if route.door is Door.PUBLIC} == set(PUBLIC)
    assert len({route.name for route in ROUTES}) == len(ROUTES)


def test_an_open_door_is_caught() -> None:
    rows = next(route for route in ROUTES if route.name == "rows")
    planted = (replace(rows, door=Door.PUBLIC), replace(rows, audience=None))
    assert len(door_faults(planted)) == 2
    print(f"every gateway route has its door → caught: {door_faults(planted)}")


@pytest.fixture
def gate(store: Store, tmp_path: Path) -> Iterator[TestClient]:
    app = build_gateway(
        store,
        LocalObjects(tmp_path / "objects"),
        MeteringSettings(),
        public_url="http://127.0.0.1:8000",
        folder=tmp_path / "gateway",
    )
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def test_nobody_gets_through_a_guarded_door(gate: TestClient) -> None:
    tried = 0
    for route in ROUTES:
        if route.door not in GUARDED:
            continue
        for method in route.methods:
            url = re.sub(r"{\w+}", "unknown", route.path)
            for headers in ({}, {"authorization": "Bearer a.b.c"}, {"authorization": "Basic YTpi"}):
                answer = gate.request(method, url, headers=headers)
                tried += 1
                assert answer.status_code in {400, 401, 403, 404}, f"{method} {url}: {answer.status_code}"
    assert tried >= 20


def test_a_method_that_is_not_in_the_table_is_refused(gate: TestClient) -> None:
    for route in ROUTES:
        url = re.sub(r"{\w+}", "unknown", route.path)
        assert gate.request("DELETE", url).status_code == 405, route.name


def test_market_and_gateway_share_no_path() -> None:
    served = [re.sub(r"{[^}]+}", "x", context.path or "") for context in contexts(build_api())]
    clashes = [path for path in served for route in ROUTES if route.pattern().fullmatch(path)]
    assert set(clashes) <= {"/healthz", "/readyz"}  # ours know more; the gateway answers when it runs alone
