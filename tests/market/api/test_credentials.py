"""Credentials by the API: rotated once per key, never cutting off who uses one; their networks changed."""

from typing import Any
from uuid import uuid4

import httpx2
import pytest
from sqlmodel import col, select
from starlette.testclient import TestClient

from market.house import House
from market.identity.rules import OrgKind, Role
from storage.idempotency import IdempotencyKey
from storage.journal import Entry
from tests import people

CREDENTIALS = "/api/v1/credentials"


@pytest.fixture
def buyer(house: House, client: TestClient) -> TestClient:
    """The client, signed in as somebody who keeps credentials."""
    party = people.organization(house.store, OrgKind.ENTERPRISE, "青岛甲方数据有限公司")
    keeper = people.person(house.store, party, "keeper@first.example", Role.BUYER)
    people.sign_in(client, house.store, house.secret, keeper)
    return client


def made(buyer: TestClient, **form: Any) -> dict[str, Any]:
    answer = buyer.post(CREDENTIALS, json={"name": "生产环境", **form})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def rotate(buyer: TestClient, client_id: str, key: str = "", **body: Any) -> httpx2.Response:
    headers = {"Idempotency-Key": key or str(uuid4())}
    return buyer.post(f"{CREDENTIALS}/{client_id}/rotation", headers=headers, json=body or None)


def secret_of(answer: httpx2.Response) -> str:
    assert answer.status_code == 200, answer.text
    secret = str(answer.json()["client_secret"])
    assert secret.startswith("shg_live_")
    return secret


def works(buyer: TestClient, client_id: str, *secrets: str) -> list[bool]:
    form = {"grant_type": "client_credentials"}
    answers = [buyer.post("/oauth/token", data=form, auth=(client_id, secret)) for secret in secrets]
    return [answer.status_code == 200 for answer in answers]


def test_a_rotation_sent_again_with_its_key_is_one_rotation(buyer: TestClient, house: House) -> None:
    first, key = made(buyer), str(uuid4())
    answer = rotate(buyer, first["client_id"], key)
    second = secret_of(answer)
    again = rotate(buyer, first["client_id"], key)
    assert again.status_code == 200
    assert again.json() == answer.json() | {"client_secret": None}
    assert works(buyer, first["client_id"], first["client_secret"], second) == [True, True]
    assert rotate(buyer, first["client_id"], key, end="older").status_code == 422  # another request
    assert works(buyer, first["client_id"], first["client_secret"], second) == [True, True]
    with house.store.view() as view:
        kept = [row.answer for row in view.session.exec(select(IdempotencyKey)).all()]
    assert kept
    assert "shg_live_" not in str(kept)


def test_while_two_secrets_are_valid_a_rotation_says_which_one_ends(buyer: TestClient) -> None:
    first = made(buyer)
    name, one = first["client_id"], first["client_secret"]
    assert first["older_until"] is None
    assert buyer.post(f"{CREDENTIALS}/{name}/rotation").json()["type"] == "/problems/idempotency-key-missing"
    two = secret_of(rotate(buyer, name))
    refused = rotate(buyer, name)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/both-secrets-valid")
    (listed,) = buyer.get(CREDENTIALS).json()
    assert refused.json()["older_until"][:19] == listed["older_until"][:19]
    assert rotate(buyer, name, end="both").status_code == 422
    assert works(buyer, name, one, two) == [True, True]
    three = secret_of(rotate(buyer, name, end="newer"))  # the second never arrived
    assert works(buyer, name, one, two, three) == [True, False, True]
    four = secret_of(rotate(buyer, name, end="older"))  # programs have moved on
    assert works(buyer, name, one, two, three, four) == [False, False, True, True]


def test_networks_are_changed_by_their_owner_and_end_tokens_for_others(
    buyer: TestClient, house: House
) -> None:
    first = made(buyer)
    path = f"{CREDENTIALS}/{first['client_id']}/networks"
    form = {"grant_type": "client_credentials"}
    auth = (first["client_id"], first["client_secret"])
    token = buyer.post("/oauth/token", data=form, auth=auth).json()["access_token"]
    program = {"Authorization": f"Bearer {token}"}
    assert buyer.get(CREDENTIALS, headers=program).status_code == 200
    changed = buyer.put(path, json={"cidrs": ["203.0.113.7", "2001:db8::/32"]})
    assert (changed.status_code, changed.json()["cidrs"]) == (200, ["203.0.113.7/32", "2001:db8::/32"])
    ended = buyer.get(CREDENTIALS, headers=program)
    assert (ended.status_code, ended.json()["type"]) == (401, "/problems/networks-changed")
    assert buyer.post("/oauth/token", data=form, auth=auth).status_code == 403  # from elsewhere
    for wrong in (["x"], ["10.0.0.0/8"] * 21):
        assert buyer.put(path, json={"cidrs": wrong}).status_code == 422
    assert buyer.put(path, json={}).status_code == 422
    assert buyer.put(path, json={"cidrs": []}).json()["cidrs"] == []
    assert works(buyer, *auth) == [True]
    with house.store.view() as view:
        kinds = [entry.kind for entry in view.session.exec(select(Entry).order_by(col(Entry.id))).all()]
    assert kinds.count("credential.networks_set") == 2


def test_an_ended_credential_is_changed_no_more(buyer: TestClient) -> None:
    first = made(buyer, cidrs=["10.0.0.0/8"])
    name = first["client_id"]
    assert buyer.delete(f"{CREDENTIALS}/{name}").status_code == 204
    before = buyer.get(CREDENTIALS).json()
    for answer in (
        rotate(buyer, name),
        rotate(buyer, name, end="newer"),
        buyer.put(f"{CREDENTIALS}/{name}/networks", json={"cidrs": []}),
    ):
        assert (answer.status_code, answer.json()["type"]) == (409, "/problems/wrong-state")
        assert (answer.json()["thing"], answer.json()["state"]) == ("credential", "ended")
    assert buyer.get(CREDENTIALS).json() == before
    assert buyer.delete(f"{CREDENTIALS}/{name}").status_code == 204
