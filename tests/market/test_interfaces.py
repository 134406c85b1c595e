"""A provider's own API from declaration to a paid call, and reports from outside, over HTTP on both databases."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest
from http_message_signatures import HTTPMessageSigner, MappingKeyResolver, algorithms
from sqlmodel import select
from starlette.testclient import TestClient

from contracts.terms import DeliveryMode, Tier
from market.app import Front
from market.catalogue.rules import PlanKind, Price
from market.catalogue.tables import Product
from market.house import House
from market.identity.rules import OrgKind, Role
from market.settings import Settings
from metering import actions as metering
from metering.cloudevents import BATCH, SINGLE
from metering.gateway.table import ROUTES
from metering.report_keys import end_report_key
from metering.settings import MeteringSettings
from metering.tables import Upstream, UsageEvent
from storage.journal import Entry
from storage.kernel.problem import Invalid
from storage.settings import StorageSettings
from tests import people
from tests.doubles.upstream import Provider, provider_process
from tests.market.people import APPROVER, COMPLIANCE
from tests.market.products import approve, drafted_product, ready_product, submit
from tests.metering.shelf import SomePolicy, SomePrice
from tests.metering.test_reporting import KEY, X, event

SECRET = "Bearer provider-secret-0123456789"
HOST = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def upstream() -> Iterator[Provider]:
    with provider_process() as provider:
        yield provider


@pytest.fixture
def house(database_url: str, tmp_path: Path) -> Iterator[House]:
    house = House(
        Settings(
            data_dir=tmp_path / "var",
            storage=StorageSettings(
                database_url=database_url, objects_url=f"file://{tmp_path}/objects", pool_size=4
            ),
            metering=MeteringSettings(upstream_plain_http=True, upstream_private_hosts=("127.0.0.1",)),
        )
    )
    yield house
    house.close()


@pytest.fixture
def client(house: House) -> Iterator[TestClient]:
    with TestClient(Front(house, background=False), base_url=HOST) as client:
        yield client


@pytest.fixture
def seller(house: House, client: TestClient) -> people.Person:
    """Somebody of the state data company, signed in."""
    company = people.organization(house.store, OrgKind.STATE_DATA_COMPANY, "青岛数据公司")
    with house.store.unit("system:test") as unit:
        row = unit.session.merge(company)
        row.address = "青岛市市南区 1 号"
        unit.record("party.edited", f"party:{row.id}")
    person = people.person(house.store, company, "seller@company.example", Role.OPERATOR, Role.PROVIDER)
    people.sign_in(client, house.store, house.secret, person)
    return person


def drafted(house: House, seller: people.Person, slug: str = "companies", **changes: Any) -> Product:
    given = {"tier": Tier.COMMERCIAL, "delivery": (DeliveryMode.API_CALL,)} | changes
    return drafted_product(house.store, slug, actor=seller.actor, **given)


def declaration(upstream: Provider, **changes: Any) -> dict[str, Any]:
    plain = {"base_url": f"{upstream.url}/v2", "methods": ["GET"], "paths": ["/companies/{code}", "/empty"]}
    return plain | {"hit": {"pointer": "/data", "test": "non_empty"}} | changes


def token(
    client: TestClient, house: House, org_id: str, kept_by: str = "usr_buyer", **form: str
) -> dict[str, str]:
    with house.store.unit("system:test") as unit:
        row, secret = metering.keep_credential(unit, org_id=org_id, kept_by=kept_by, name="program")
    answer = client.post(
        "/oauth/token", data={"grant_type": "client_credentials", **form}, auth=(row.id, secret)
    )
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def test_a_declared_approved_interface_is_called_and_its_secret_stays_unseen(
    house: House, client: TestClient, seller: people.Person, upstream: Provider
) -> None:
    product = drafted(house, seller)
    path = f"/api/v1/products/{product.id}/interface"
    assert client.get(path).status_code == 404
    told = client.put(path, json={"declaration": declaration(upstream), "secret": SECRET})
    assert told.status_code == 200, told.text
    assert told.json()["version"] == 1
    plan = {
        "code": "hit",
        "title_zh": "按查得",
        "title_en": "Per hit",
        "kind": "per_call",
        "price": {"call_fen": 80, "per_hit": True},
    }
    added = client.post(f"/api/v1/products/{product.id}/plans", json=plan, headers={"Idempotency-Key": "p"})
    assert added.status_code == 201, added.text
    case_id = submit(house.store, product, seller.actor)
    locked = client.put(path, json={"declaration": declaration(upstream), "secret": SECRET})
    assert (locked.status_code, locked.json()["type"]) == (409, "/problems/listing-locked")
    for by in (APPROVER, COMPLIANCE):
        approve(house.store, case_id, by)
    with house.store.unit("system:test") as unit:
        metering.open_gate(
            unit,
            license_id="lic_1",
            product_id=product.id,
            buyer_id="org_buyer",
            policy=SomePolicy(delivery=("api_call",), price=SomePrice(call_fen=80, per_hit=True)),
        )
    bearer = token(client, house, "org_buyer", license="lic_1")
    found = client.get(f"/data/v1/{product.slug}/call/companies/9137", headers=bearer)
    assert (found.status_code, found.headers["x-hit"]) == (200, "true")
    assert client.get(f"/data/v1/{product.slug}/call/empty", headers=bearer).headers["x-hit"] == "false"
    assert client.put(f"{path}/secret", json={"secret": "rotated"}).status_code == 204
    assert client.get(f"/data/v1/{product.slug}/call/empty", headers=bearer).status_code == 200
    assert ["Authorization", "rotated"] in upstream.last["headers"]
    with house.store.view() as view:
        assert sorted(row.amount_fen for row in view.session.exec(select(UsageEvent))) == [0, 0, 80]
        written = orjson.dumps([entry.data for entry in view.session.exec(select(Entry))])
        row = view.session.get_one(Upstream, product.id)
    assert b"upstream" not in row.sealed
    public = client.get(f"/api/v1/products/{product.slug}").text
    for shown in (told.text, client.get(path).text, public, written.decode(), str(row.declaration)):
        assert "provider-secret" not in shown
        assert 'rotated"' not in shown
    assert upstream.url not in public
    assert "/companies/{code}" in public


def test_a_declaration_says_everything_that_is_wrong(
    house: House, client: TestClient, seller: people.Person, upstream: Provider
) -> None:
    product = drafted(house, seller)
    path = f"/api/v1/products/{product.id}/interface"
    wrong = declaration(upstream, base_url="ftp://a", paths=["x"], secret_name="Host")
    answer = client.put(path, json={"declaration": wrong, "secret": "a\nb"})
    assert answer.status_code == 422
    assert {error["field"] for error in answer.json()["errors"]} == {
        "base_url",
        "paths",
        "secret_name",
        "secret",
    }
    assert all({"zh", "en"} <= set(error["message"]) for error in answer.json()["errors"])
    rows = drafted(house, seller, "rows", delivery=(DeliveryMode.API,))
    alone = client.put(
        f"/api/v1/products/{rows.id}/interface", json={"declaration": declaration(upstream), "secret": SECRET}
    )
    assert alone.json()["errors"][0]["rule"] == "interface.alone"
    assert client.put(f"{path}/secret", json={"secret": "x"}).status_code == 404


def test_a_listing_needs_what_its_kind_needs(house: House, seller: people.Person) -> None:
    bare = drafted(house, seller, "bare", tier=Tier.PUBLIC_GOOD)
    with pytest.raises(Invalid) as refused:
        submit(house.store, bare, seller.actor)
    rules = {fault.rule for fault in refused.value.faults}
    assert {"interface.tier", "interface.declared", "listing.plan"} <= rules
    with pytest.raises(Invalid) as no_runs:
        ready_product(
            house.store,
            "runs",
            actor=seller.actor,
            tier=Tier.COMMERCIAL,
            delivery=(DeliveryMode.API_CALL,),
            kind=PlanKind.PER_CALL,
            price=Price(call_fen=1),
        )
    assert no_runs.value.faults[0].rule == "interface.alone"


class Outside:
    """A provider's meter beside the market: it signs reports with its registered key."""

    def __init__(self, client: TestClient, bearer: dict[str, str], kid: str) -> None:
        self.client, self.bearer, self.kid = client, bearer, kid
        self.method, self.url = "POST", f"{HOST}/api/v1/usage-events"
        self.headers: dict[str, str] = {}

    def send(self, media: str, body: bytes, *, tamper: bytes = b"", **attributes: str) -> Any:
        self.headers = {"Content-Type": media} | {f"ce-{name}": value for name, value in attributes.items()}
        resolver = MappingKeyResolver(public_keys={}, private_keys={self.kid: KEY})
        HTTPMessageSigner(signature_algorithm=algorithms.ED25519, key_resolver=resolver).sign(
            self,
            key_id=self.kid,
            created=datetime.now(UTC),
            covered_component_ids=[
                "@method",
                "@path",
                "content-type",
                *(f"ce-{name}" for name in attributes),
            ],
            body=body,
        )
        path = urlsplit(self.url).path
        self.client.cookies.clear()
        return self.client.post(path, content=body + tamper, headers=self.headers | self.bearer)


def test_reports_from_outside_are_signed_and_booked_once(
    house: House, client: TestClient, seller: people.Person
) -> None:
    with house.store.unit("system:test") as unit:
        metering.shelve(
            unit,
            product_id="prd_1",
            slug="on-site",
            tier="commercial",
            title_zh="现场计算",
            title_en="On site",
            provider_id=seller.party.id,
            version=1,
            manifest={"version": 1, "files": {}, "columns": []},
            delivery=["compute"],
            license_note={},
        )
        for license_id, mode in (("lic_1", "compute"), ("lic_api", "api")):
            metering.open_gate(
                unit,
                license_id=license_id,
                product_id="prd_1",
                buyer_id="org_buyer",
                policy=SomePolicy(delivery=(mode,), price=SomePrice(call_fen=2), limit_calls=3),
            )
    keys = "/api/v1/usage-events/keys"
    kept = client.post(keys, json={"name": "现场", "x": X}, headers={"Idempotency-Key": "k"})
    assert kept.status_code == 201, kept.text
    taken = client.post(keys, json={"name": "再来", "x": X}, headers={"Idempotency-Key": "k2"})
    assert (taken.status_code, taken.json()["type"]) == (409, "/problems/report-key-known")
    person = client.post("/api/v1/usage-events", content=b"[]", headers={"Content-Type": BATCH})
    assert (person.status_code, person.json()["type"]) == (403, "/problems/program-needed")

    now = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    meter = Outside(client, token(client, house, seller.party.id, seller.user.id), kept.json()["kid"])
    one, data = event(1, time=now, data={"calls": 1}), b'{"calls":1}'
    unsigned = client.post(
        "/api/v1/usage-events", content=b"[]", headers=meter.bearer | {"Content-Type": BATCH}
    )
    assert (unsigned.status_code, unsigned.json()["type"]) == (401, "/problems/invalid-signature")
    body = orjson.dumps([one, one, one | {"data": {"calls": 2}}, event(2, "lic_api", time=now), {"id": "x"}])
    assert meter.send(BATCH, body, tamper=b" ").status_code == 401
    answer = meter.send(BATCH, body)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert [each["result"] for each in told["results"]] == [
        "accepted", "duplicate", "conflict", "rejected", "rejected",
    ]  # fmt: skip
    assert [told[name] for name in ("accepted", "duplicate", "conflict", "rejected")] == [1, 1, 1, 2]
    assert told["results"][4]["reason"]["zh"]
    assert told["results"][4]["index"] == 4
    assert meter.send(SINGLE, orjson.dumps(one)).json()["duplicate"] == 1
    binary = {name: value for name, value in one.items() if name not in {"data", "id"}}
    assert meter.send("application/json", data, id="e1", **binary).json()["duplicate"] == 1
    assert meter.send("application/json", data, id="e3", **binary).status_code == 200
    assert meter.send("application/json", b'{"calls":9}', id="e3", **binary).status_code == 409
    assert meter.send(SINGLE, orjson.dumps(event(4, time=now, data={"calls": 2}))).status_code == 422
    assert meter.send("text/plain", b"x").status_code == 422
    assert meter.send(BATCH, b"[" + b" " * 2**20 + b"]").status_code == 413
    other = people.organization(house.store, OrgKind.DEALER, "青岛他方数商有限公司")
    stranger = people.person(house.store, other, "other@dealer.example", Role.DEALER)
    foreign = Outside(client, token(client, house, other.id, stranger.user.id), kept.json()["kid"])
    assert foreign.send(BATCH, body).status_code == 401  # another organization's key
    with house.store.view() as view:
        booked = view.session.exec(select(UsageEvent)).all()
    assert [(row.license_id, row.calls, row.amount_fen) for row in booked] == [("lic_1", 1, 2)] * 2
    with house.store.unit("system:test") as unit:
        end_report_key(unit, kept.json()["kid"], org_id=seller.party.id)
    assert meter.send(SINGLE, orjson.dumps(one)).status_code == 401


def test_the_routes_of_both_paths_are_described(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert {"get", "post"} <= set(paths["/data/v1/{product}/call/{path}"])
    assert any(route.name == "call" for route in ROUTES)
    content = paths["/api/v1/usage-events"]["post"]["requestBody"]["content"]
    assert {SINGLE, BATCH, "application/json"} == set(content)
