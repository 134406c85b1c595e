"""Tokens at the served gateway: issued, introspected, revoked, bound to networks; health and routes."""

import base64
import json

from metering import actions
from metering.gateway import ROUTES
from tests.metering.gatehouse import Served


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


def test_who_is_refused_without_a_token_finds_where_to_get_one(served: Served) -> None:
    base = str(served.http.base_url).rstrip("/")
    there = f'resource_metadata="{base}/.well-known/oauth-protected-resource"'
    ticket = served.ticket().json()["url"]
    other = served.bearer()
    with served.store.unit("system:test") as unit:
        actions.end_credential(unit, served.credential, org_id="org_buyer", reason="leaked")
    for path, headers, error in (
        ("/data/v1/product-1/rows", {}, ""),
        ("/data/v1/product-1/rows", {"Authorization": "Bearer a.b.c"}, 'error="invalid_token", '),
        ("/data/v1/product-1/rows", other, 'error="invalid_token", '),
        ("/data/v1/product-1/call/x", {}, ""),
        ("/d/a.b.c", {}, 'error="invalid_token", '),
        (ticket, {}, 'error="invalid_token", '),
    ):
        answer = served.http.get(path, headers=headers)
        assert answer.status_code == 401, path
        expected = f'Bearer realm="shugang", {error}{there}'
        assert answer.headers.get_list("www-authenticate") == [expected], path
    assert served.http.head("/data/v1/product-1/rows").headers["www-authenticate"].endswith(there)
    described = served.http.get("/.well-known/oauth-protected-resource")
    assert described.headers["content-type"] == "application/json"
    about = described.json()
    assert about["resource"] == base
    assert about["bearer_methods_supported"] == ["header"]
    (issuer,) = about["authorization_servers"]
    server = served.http.get("/.well-known/oauth-authorization-server").json()
    assert (server["issuer"], server["scopes_supported"]) == (issuer, about["scopes_supported"])


def test_a_trial_without_tls_issues_tokens(served: Served) -> None:
    plane = served.gateway.plane
    assert plane is not None
    plane.public_url = (
        "http://10.20.30.40:8000"  # production's settings refuse this; a trial in a local network may
    )
    form = {"grant_type": "client_credentials", "license": "lic_1"}
    answer = served.http.post("/oauth/token", data=form, auth=(served.credential, served.secret))
    assert answer.status_code == 200, answer.text


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


def test_a_change_of_networks_is_felt_by_the_very_next_request(served: Served) -> None:
    rows = "/data/v1/product-1/rows?limit=1"

    def networks(*cidrs: str) -> None:
        with served.store.unit("system:test") as unit:
            actions.set_networks(unit, served.credential, org_id="org_buyer", cidrs=cidrs)

    def refused(headers: dict[str, str]) -> None:
        answer = served.http.get(rows, headers=headers)
        assert (answer.status_code, answer.json()["type"]) == (401, "/problems/networks-changed")
        assert served.http.head(rows, headers=headers).status_code == 401

    anywhere = served.bearer()
    ticket = served.ticket().json()["url"]
    for _ in range(3):  # until it is remembered
        page = served.http.get(rows, headers=anywhere)
        assert page.status_code == 200
    networks("203.0.113.0/24")
    refused(anywhere)
    known = anywhere | {"If-None-Match": page.headers["etag"]}
    assert served.http.get(rows, headers=known).status_code == 401
    for method in ("GET", "HEAD"):
        assert served.http.request(method, ticket).status_code == 401
    form = {"grant_type": "client_credentials", "license": "lic_1"}
    client = (served.credential, served.secret)
    assert served.http.post("/oauth/token", data=form, auth=client).status_code == 403
    asked = {"token": anywhere["Authorization"].partition(" ")[2]}
    networks("127.0.0.0/8")
    assert served.http.post("/oauth/introspect", data=asked, auth=client).json() == {"active": False}
    refused(anywhere)
    here = served.bearer()
    again = served.ticket().json()["url"]
    networks("127.0.0.0/8")  # the same: nothing ends
    assert served.http.get(rows, headers=here).status_code == 200
    assert served.http.get(again).status_code == 200
    networks()
    refused(here)
    assert served.http.get(rows, headers=served.bearer()).status_code == 200
    assert len(served.events()) == 6


def test_health_and_the_route_table(served: Served) -> None:
    assert served.http.get("/healthz").json() == {"alive": True, "durability": "local"}
    assert served.http.get("/readyz").json()["ready"] is True
    assert len({route.path for route in ROUTES}) == len(ROUTES)
    assert served.gateway.serves("/d/abc")
    assert not served.gateway.serves("/api/v1/whoami")
