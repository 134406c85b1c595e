"""Every route has a permission or is public for a written reason, and a second tenant gets nothing by an id."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi import FastAPI
from sqlmodel import select
from starlette.testclient import TestClient

from contracts.terms import Tier
from market.app import build_api
from market.approvals.rules import AUTO_RULES
from market.billing.rules import InvoiceKind
from market.house import House
from market.http.describe import gateway_paths
from market.http.shell import Shell
from market.http.who import ActorDep, allow
from market.identity.rules import ROLES_OF, OrgKind, Permission, Role
from market.identity.tables import Membership
from storage.kernel.ids import new_id
from tests import people
from tests.house.planting import Planter
from tests.house.routes import contexts, permissions_by_route

# Method and path → why nobody needs to be known here. An entry without a route fails, too.
PUBLIC = {
    "POST /api/v1/policy/explain": "the line between free and paid is public; it answers from what is asked alone",
    "GET /api/v1/policy/rules": "the rules everybody is judged by are published",
    "GET /policy/explain": "the line between free and paid is public; it answers from what is asked alone",
    "GET /policy/rules": "the rules everybody is judged by are published",
    "GET /catalog": "anybody may look for data",
    "GET /catalog/{slug}": "anybody may read about a listed product before buying",
    "GET /catalog/{slug}/contract": "and the whole contract it is offered under, before ordering",
    "GET /rules": "the trading rules are published on the site (E-Commerce Law, Art. 33)",
    "GET /rules/{version}/{lang}": "and can be downloaded",
    "GET /lists": "the open list is published",
    "GET /lists/{kind}": "and so is the negative list, in every version",
    "GET /lists/{kind}/difference": "with what changed between versions",
    "GET /lists/{kind}/entries/{code}": "and the history of each entry",
    "GET /api/v1/lists/{kind}": "the lists are published for programs, too",
    "GET /api/v1/lists/{kind}/versions": "with every version",
    "GET /api/v1/lists/{kind}/difference": "and their differences",
    "GET /api/v1/lists/{kind}/entries/{code}": "and the history of each entry",
    "POST /api/v1/lists/negative/hits": "anybody may ask whether data would be caught; nothing is kept",
    "GET /mandates": "mandates are public from their notice on; drafts are not among them",
    "GET /mandates/{mandate_id}": "a published mandate; a draft answers 404 to others",
    "GET /ceilings": "what public data may cost is published (NDRC price notice 2025/65)",
    "GET /api/v1/mandates": "mandates are public from their notice on; drafts are not among them",
    "GET /api/v1/mandates/{mandate_id}": "a published mandate; a draft answers 404 to others",
    "GET /api/v1/price-ceilings": "what public data may cost is published (NDRC price notice 2025/65)",
    "GET /docs": "the API's own documentation, offline",
    "GET /docs/oauth2-redirect": "part of the documentation page",
    "GET /redoc": "the API's own documentation, offline",
    "POST /api/v1/session": "this is how one becomes known",
    "POST /api/v1/parties/enterprises": "an enterprise registers itself",
    "POST /api/v1/password-reset": "somebody who forgot the password cannot sign in; the answer never tells",
    "POST /api/v1/password-link": "the one-time link is the proof",
    "GET /api/v1/assets/{asset_id}": "the register of assets is open; a draft answers 404 to others",
    "GET /api/v1/document-keys": "public keys, to verify documents with",
    "GET /api/v1/products": "the catalogue is open; what is not listed is not in it",
    "GET /api/v1/products/{product_id}": "the catalogue is open; a draft answers 404 to others",
    "GET /api/v1/directory": "the directory of public data resources is open",
    "GET /api/v1/directory/entries": "its entries too; what is not opened is described with its reason",
    "GET /api/v1/directory/entries/{entry_id}": "one entry of the open directory",
    "GET /api/v1/directory/inventory": "and the figures over it",
    "GET /api/v1/directory/items": "which data item has which authoritative source is open",
    "GET /api/v1/notices": "a public notice is read by the public",
    "GET /api/v1/notices/{number}": "a public notice is read by the public",
    "GET /directory": "the directory of public data resources is open",
    "GET /directory/entries/{entry_id}": "one entry of the open directory",
    "GET /directory/items": "which data item has which authoritative source is open",
    "GET /notices": "a public notice is read by the public",
    "GET /notices/{number}": "a public notice is read by the public",
    "GET /verify": "anybody who is shown a certificate checks its number",
    "GET /verify/{number}": "anybody who is shown a certificate checks it; public fields only",
    "GET /healthz": "for the machine that restarts us",
    "GET /readyz": "for the balancer in front of us",
    "POST /webhooks/stripe": "the signature of the message is the proof",
    "GET /": "the front page",
    "GET /lang/{lang}": "chooses the language of the pages",
    "GET /login": "the page where one becomes known",
    "POST /login": "this is how one becomes known",
    "GET /register": "the page where an enterprise registers itself",
    "POST /register": "an enterprise registers itself",
    "GET /forgot": "somebody who forgot the password cannot sign in",
    "POST /forgot": "the answer never tells whether there is such a login",
    "GET /link/{secret}": "the one-time link is the proof",
    "POST /link/{secret}": "the one-time link is the proof",
    "GET /inbox": "embedded mode on loopback only: messages that would have been mailed",
    "GET /metrics": "figures for callers on the loopback address; a 404 for everybody else",
    "GET /problems/{slug}": "what a refusal means is no secret",
}


def unguarded(app: FastAPI) -> set[str]:
    """`METHOD /path` of every route that asks no permission."""
    return {route for route, permissions in permissions_by_route(app).items() if not permissions}


@pytest.fixture
def app() -> FastAPI:
    return build_api()


def test_the_walk_sees_what_openapi_sees(app: FastAPI) -> None:
    seen = {
        (method.lower(), context.path_format)
        for context in contexts(app)
        if context.include_in_schema
        for method in context.methods or ()
    }
    documented = {(method, path) for path, item in app.openapi()["paths"].items() for method in item}
    data_plane = {(method, path) for path, item in gateway_paths().items() for method in item}
    assert len(data_plane) >= 10
    assert not seen & data_plane
    assert seen | data_plane == documented
    assert len(documented) >= 80


def test_every_route_has_a_permission_or_a_reason(app: FastAPI) -> None:
    bare = unguarded(app)
    surprising = "\n".join(f'    "{route}": "…",' for route in sorted(bare - set(PUBLIC)))
    assert not bare - set(PUBLIC), (
        f"give these allow(...), or add them to PUBLIC with a reason:\n{surprising}"
    )
    assert not set(PUBLIC) - bare, "on the public list, but guarded or gone"
    assert all(len(reason) >= 10 for reason in PUBLIC.values())


def test_a_route_without_permission_is_caught(app: FastAPI) -> None:
    @app.get("/api/v1/planted")
    def planted() -> None: ...

    assert unguarded(app) - set(PUBLIC) == {"GET /api/v1/planted"}
    print("every route has a permission → caught: GET /api/v1/planted")


# ------------------------------------------------------------------ the second tenant


class World:
    """A house with one organization that owns things, and a stranger who holds every role of an enterprise."""

    def __init__(self, house: House) -> None:
        self.house = house
        store = house.store
        self.owner = people.organization(store, OrgKind.ENTERPRISE, "青岛甲方数据有限公司")
        self.owner_member = people.person(
            store, self.owner, "owner@first.example", Role.ORG_ADMIN, Role.BUYER
        )
        self.planter = Planter(store, self.owner.id, self.owner_member.user.id)
        other = people.organization(store, OrgKind.ENTERPRISE, "青岛乙方数据有限公司")
        self.stranger = people.person(
            store, other, "stranger@second.example", *sorted(ROLES_OF[OrgKind.ENTERPRISE])
        )


def _membership(world: World) -> str:
    with world.house.store.view() as view:
        return view.session.exec(select(Membership.id).where(Membership.party_id == world.owner.id)).one()


def _row(table: str, **given: Any) -> Callable[[World], str]:
    return lambda world: world.planter.id_of(table, **given)


def _mandate(world: World) -> str:
    if "mandate" in world.planter.made:
        return str(world.planter.made["mandate"]["id"])
    bureau = people.organization(world.house.store, OrgKind.DATA_BUREAU, "青岛市大数据发展管理局（测试）")
    ends = datetime(2027, 1, 5, tzinfo=UTC)
    return world.planter.id_of("mandate", mandator_id=bureau.id, valid_until=ends)


# Path parameter → the id of something that exists and belongs to `world.owner`.
IDS: dict[str, Callable[[World], str]] = {
    "amendment_id": _row("asset_amendment"),
    "asset_id": _row("asset"),
    "case_id": _row("approval_case"),
    "ceiling_id": _row("price_ceiling", valid_until=datetime(2027, 1, 5, tzinfo=UTC)),
    "certificate_id": _row("certificate"),
    "check_id": _row("cross_check"),
    "client_id": _row("credential"),
    "code": lambda _world: AUTO_RULES[0].code,
    "contract_id": _row("contract"),
    "delegation_id": _row("approval_delegation", person="usr_away", deputy="usr_deputy"),
    "data_item_id": _row("data_item"),
    "decision_id": _row("tier_decision"),
    "edit_id": _row("list_edit"),
    "entry_id": _row("directory_entry"),
    "file_id": _row("asset_file"),
    "rule": lambda _world: "T11",
    "hold_id": _row("legal_hold"),
    "user_id": lambda world: world.owner_member.user.id,
    "invoice_id": _row("invoice", kind=InvoiceKind.FEE, tier=Tier.COMMERCIAL, gross_fen=2),
    "kid": _row("report_key"),
    "license_id": _row("license"),
    "mandate_id": _mandate,
    "membership_id": _membership,
    "number": lambda world: str(world.planter.row("public_notice")["number"]),
    "objection_id": _row("objection"),
    "order_id": _row("trade_order"),
    "party_id": lambda world: world.owner.id,
    "payment_id": _row("payment_request"),
    "plan_id": _row("plan"),
    "product_id": _row("product"),
    "item_id": _row("suspense_item"),
    "refund_id": _row("refund"),
    "review_id": _row("secrecy_review"),
    "filing_id": _row("asset_filing"),
    "run_id": _row("refinery_run"),
    "source_id": _row("item_source"),
}
# `METHOD /path` → a body, where one made from the schema is not good enough to get past validation.
BODIES: dict[str, dict[str, Any]] = {}
# Patterns and names of texts that a made-up one would not fit.
TEXTS = {"^[0-9a-f]{64}$": "0" * 64, "period": "2026-01"}
# `METHOD /path` → why a signed-in stranger may see this by its id after all.
SHARED: dict[str, str] = {
    "GET /api/v1/lists/{kind}": "published; `kind` is a choice of two, no id",
    "GET /api/v1/lists/{kind}/versions": "published; `kind` is a choice of two, no id",
    "GET /api/v1/lists/{kind}/difference": "published; `kind` is a choice of two, no id",
    "GET /api/v1/lists/{kind}/entries/{code}": "published; a code belongs to no tenant",
    "GET /api/v1/directory/entries/{entry_id}": "the directory is open to everybody",
    "GET /api/v1/notices/{number}": "a notice is public",
    "POST /api/v1/notices/{number}/objections": "anybody who is identified may object",
}
REFUSED = {403, 404}
PLANTED = ("/api/v1/planted", "/api/v1/unknown")


def example(schema: dict[str, Any], components: dict[str, Any]) -> Any:
    """The least value a JSON schema accepts."""
    if "$ref" in schema:
        return example(components[schema["$ref"].rpartition("/")[2]], components)
    if schema.get("pattern") in TEXTS:
        return TEXTS[schema["pattern"]]
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    if schema.get("examples"):
        return schema["examples"][0]
    if schema.get("enum"):
        return schema["enum"][0]
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            return example(schema[key][0], components)
    match schema.get("type"):
        case "object":
            properties = schema.get("properties", {})
            return {name: example(properties[name], components) for name in schema.get("required", ())}
        case "array":
            return [example(schema["items"], components)] * max(1, schema.get("minItems", 0))
        case "integer" | "number":
            return schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
        case "boolean":
            return True
        case _:
            formats = {"date": "2027-01-31", "date-time": "2027-01-31T00:00:00Z", "email": "a@b.example"}
            return formats.get(schema.get("format", ""), "理由充分" * (1 + schema.get("minLength", 1) // 4))


def by_id(app: FastAPI) -> list[tuple[str, str, dict[str, Any]]]:
    """Every documented control-API operation whose path holds an id."""
    operations = app.openapi()["paths"]
    return [
        (method, path, operations.get(path, {}).get(method.lower(), {}))
        for context in contexts(app)
        if (path := context.path_format or "").startswith("/api/v1/") and "{" in path
        for method in sorted(context.methods or ())
        if f"{method} {path}" not in SHARED
    ]


def leaks(app: FastAPI, world: World) -> list[str]:
    """What the stranger was given, operation by operation."""
    components = app.openapi()["components"]["schemas"]
    complaints = []
    shell = Shell(app, world.house)
    with TestClient(shell, base_url="http://127.0.0.1:8000", raise_server_exceptions=False) as client:
        people.sign_in(client, world.house.store, world.house.secret, world.stranger)
        for method, path, operation in by_id(app):
            missing = set(re.findall(r"{(\w+)(?::\w+)?}", path)) - set(IDS)
            if missing:
                complaints.append(f"{method} {path}: no fixture for {sorted(missing)}; add it to IDS")
                continue
            url = re.sub(r"{(\w+)(?::\w+)?}", lambda match: IDS[match[1]](world), path)
            content = operation.get("requestBody", {}).get("content", {})
            body: dict[str, Any] = {}
            if f"{method} {path}" in BODIES:
                body = {"json": BODIES[f"{method} {path}"]}
            elif "application/json" in content:
                body = {"json": example(content["application/json"]["schema"], components)}
            elif method in {"POST", "PUT", "PATCH"}:
                body = {"content": b"a,b\n1,2\n", "headers": {"content-type": "application/octet-stream"}}
            body["params"] = {
                each["name"]: TEXTS.get(each["name"]) or example(each["schema"], components)
                for each in operation.get("parameters", ())
                if each["in"] == "query" and each.get("required")
            }
            headers = {"Idempotency-Key": new_id("key"), **body.pop("headers", {})}
            answer = client.request(method, url, headers=headers, **body)
            if answer.status_code not in REFUSED:
                complaints.append(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
    return complaints


@pytest.fixture
def world(house: House) -> World:
    return World(house)


def test_a_second_tenant_gets_nothing_by_an_id(world: World) -> None:
    app = build_api()
    assert len(by_id(app)) >= 50
    assert leaks(app, world) == []


def test_a_route_that_shows_others_things_is_caught(world: World) -> None:
    app = build_api()

    @app.get("/api/v1/planted/{party_id}", dependencies=[allow(Permission.SELF)])
    def planted(party_id: str, actor: ActorDep) -> str:
        return f"{party_id} {actor.id}"

    @app.get("/api/v1/unknown/{thing_id}", dependencies=[allow(Permission.SELF)])
    def unknown(thing_id: str) -> str:
        return thing_id

    app.openapi_schema = None
    seen = [complaint for complaint in leaks(app, world) if complaint.partition(" ")[2].startswith(PLANTED)]
    assert [complaint.partition(":")[0] for complaint in seen] == [
        "GET /api/v1/planted/{party_id}",
        "GET /api/v1/unknown/{thing_id}",
    ]
    print(f"a second tenant gets nothing → caught: {seen[0]}")
