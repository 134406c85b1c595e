"""The auditor reads everything and changes nothing: by the permissions of every route, and by asking each."""

import re

from fastapi import FastAPI
from starlette.testclient import TestClient

from market.app import build_api
from market.house import House
from market.http.shell import Shell
from market.http.who import allow
from market.identity.rules import GRANTS, OrgKind, Permission, Role
from storage.kernel.ids import new_id
from tests import people
from tests.house.routes import contexts, permissions_by_route

WRITES = ("POST", "PUT", "PATCH", "DELETE")
ORIGIN = "http://127.0.0.1:8000"


def writable(app: FastAPI) -> list[str]:
    """Routes that change something and that an auditor's permissions open, their own account left aside."""
    return sorted(
        route
        for route, asked in permissions_by_route(app).items()
        if route.startswith(WRITES) and set(asked) & (GRANTS[Role.AUDITOR] - {Permission.SELF})
    )


def test_no_writing_route_opens_to_an_auditor() -> None:
    app = build_api()
    assert len([route for route in permissions_by_route(app) if route.startswith(WRITES)]) >= 100
    assert writable(app) == []

    @app.post("/api/v1/planted", dependencies=[allow(Permission.JOURNAL_READ)])
    def planted() -> None: ...

    assert writable(app) == ["POST /api/v1/planted"]
    print("the auditor changes nothing → caught: POST /api/v1/planted")


def test_every_writing_route_refuses_an_auditor(house: House) -> None:
    app = build_api()
    operator = people.organization(house.store, OrgKind.MARKET_OPERATOR, "青岛数港运营有限公司")
    auditor = people.person(house.store, operator, "audit@x.cn", Role.AUDITOR)
    asked, given = 0, []
    with TestClient(Shell(app, house), base_url=ORIGIN, raise_server_exceptions=False) as client:
        people.sign_in(client, house.store, house.secret, auditor)
        csrf = str(client.headers["X-CSRF-Token"])
        for context in contexts(app):
            for method in sorted((context.methods or set()) & set(WRITES)):
                permissions = permissions_by_route(app)[f"{method} {context.path}"]
                if not permissions or Permission.SELF in permissions:
                    continue  # public, or one's own account
                path = re.sub(r"{\w+(?::\w+)?}", "thing_1", context.path_format or "")
                headers = {
                    "Idempotency-Key": new_id("key"),
                    "Origin": ORIGIN,
                    "Sec-Fetch-Site": "same-origin",
                }
                sent = (
                    {"json": {}} if path.startswith("/api/") else {"data": {"csrf": csrf, "key": new_id("k")}}
                )
                answer = client.request(method, path, headers=headers, follow_redirects=False, **sent)  # type: ignore[arg-type]
                asked += 1
                if not 400 <= answer.status_code < 500:
                    given.append(f"{method} {path}: {answer.status_code}")
    print(f"an auditor was refused by {asked} writing routes")
    assert asked >= 80
    assert given == []


def test_an_auditor_reads_the_trail(house: House) -> None:
    app = build_api()
    operator = people.organization(house.store, OrgKind.MARKET_OPERATOR, "青岛数港运营有限公司")
    auditor = people.person(house.store, operator, "audit@x.cn", Role.AUDITOR)
    with TestClient(Shell(app, house), base_url=ORIGIN) as client:
        people.sign_in(client, house.store, house.secret, auditor)
        for path in (
            "/api/v1/journal",
            "/api/v1/journal/heads",
            "/api/v1/journal/export",
            "/api/v1/journal/verification",
            "/api/v1/orders",
            "/api/v1/desk/delegations",
            "/api/v1/desk/rules",
            "/journal",
            "/desk/rules",
            "/desk/away",
            "/orders",
            "/licenses",
            "/payments",
            "/invoices",
            "/refunds",
        ):
            answer = client.get(path)
            assert answer.status_code == 200, f"{path}: {answer.status_code}"
