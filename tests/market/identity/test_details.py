"""The party block over HTTP: who writes it, what is checked again, and that contracts wait for an address."""

from typing import Any

import httpx2
import pytest
from sqlmodel import select
from starlette.testclient import TestClient

from market.house import House
from market.identity.rules import OrgKind, Role, Verification
from market.identity.tables import Party
from storage.journal import Entry
from tests.people import Person, organization, person, sign_in


@pytest.fixture
def head(client: TestClient, house: House) -> Person:
    """An administrator of a verified enterprise, signed in."""
    who = person(
        house.store,
        organization(house.store, OrgKind.ENTERPRISE, "海风科技"),
        "head@a.example",
        Role.ORG_ADMIN,
    )
    sign_in(client, house.store, house.secret, who)
    return who


def put(client: TestClient, body: dict[str, Any], key: str = "one") -> httpx2.Response:
    return client.put("/api/v1/parties/own/details", json=body, headers={"Idempotency-Key": key})


def written(party: Party, **changes: str) -> dict[str, str]:
    return {"name": party.name, "id_number": party.id_number, "address": "青岛市示例路 1 号"} | changes


def test_contact_and_address_need_no_new_check(client: TestClient, house: House, head: Person) -> None:
    body = written(head.party, phone=" 0532-1 ", email="A@B.Example", bank_account="示例银行 1")
    answer = put(client, body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["verification"] == "verified"
    assert (answer.json()["email"], answer.json()["phone"]) == ("a@b.example", "0532-1")
    assert put(client, body).json() == answer.json()  # the same key: once
    with house.store.view() as view:
        entries = view.session.exec(select(Entry).where(Entry.kind == "party.amended")).all()
    assert [entry.data["lines"] for entry in entries] == [["address", "bank_account", "email", "phone"]]
    assert "0532" not in str(entries[0].data)


@pytest.mark.parametrize(
    "changes", [{"name": "海风数据有限公司"}, {"id_number": "91370200ma3certw8x"}], ids=["name", "number"]
)
def test_another_name_or_number_is_checked_again(
    client: TestClient, house: House, head: Person, changes: dict[str, str]
) -> None:
    answer = put(client, written(head.party, **changes))
    assert answer.status_code == 200, answer.text
    assert answer.json()["verification"] == "unverified"
    with house.store.view() as view:
        kept = view.session.get_one(Party, head.party.id)
        entry = view.session.exec(select(Entry).where(Entry.kind == "party.amended")).one()
    assert (kept.evidence, kept.checked_by) == ({}, None)
    assert entry.data["before"] == {name: getattr(head.party, name) for name in changes}
    upload = client.post("/api/v1/parties/own/evidence", content=b"%PDF-1.7 new license")
    assert upload.json()["verification"] == str(Verification.PENDING)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": "  海  "}, "name"),
        ({"id_number": "91370200MA3CERTW8A"}, "id_number"),
        ({"address": "   "}, "address"),
        ({"address": "一\n二"}, "address"),
        ({"email": "nobody"}, "email"),
        ({"phone": "1" * 41}, "phone"),
        ({"verification": "verified"}, "verification"),
    ],
)
def test_bad_details_change_nothing(
    client: TestClient, house: House, head: Person, changes: dict[str, str], field: str
) -> None:
    answer = put(client, written(head.party, **changes))
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["field"] == field
    assert set(answer.json()["errors"][0]["message"]) == {"zh", "en"}
    with house.store.view() as view:
        assert view.session.get_one(Party, head.party.id).address == ""


def test_anothers_number_is_taken(client: TestClient, house: House, head: Person) -> None:
    other = organization(house.store, OrgKind.ENTERPRISE, "另一家公司")
    answer = put(client, written(head.party, id_number=other.id_number))
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/already-registered")


def test_only_an_administrator_writes(client: TestClient, house: House, head: Person) -> None:
    buyer = person(house.store, head.party, "buyer@a.example", Role.BUYER)
    sign_in(client, house.store, house.secret, buyer)
    assert put(client, written(head.party)).status_code == 403
