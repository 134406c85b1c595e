"""Signing in over HTTP: lockout, second factor, CSRF, links, other people's organizations."""

import pytest
from sqlmodel import select
from starlette.testclient import TestClient

from market.house import House
from market.identity import actions, passwords
from market.identity.rules import OrgKind, Role
from market.identity.tables import Mail, User
from storage.journal import Entry
from storage.kernel import clock
from tests.people import PASSWORD, organization, person, sign_in

ENTERPRISE = {
    "name": "青岛海风数据应用有限公司",
    "id_number": "91370200MA3CERTW8X",
    "login": "Li@Example.cn",
    "person": "李海",
    "password": "correct horse 9",
}


def test_an_enterprise_registers_and_signs_in(client: TestClient) -> None:
    assert client.post("/api/v1/parties/enterprises", json=ENTERPRISE).status_code == 201
    answer = client.post("/api/v1/session", json={"login": "li@example.CN", "password": "correct horse 9"})
    assert answer.status_code == 201
    assert "httponly" in answer.headers["set-cookie"].lower()
    me = client.get("/api/v1/whoami").json()
    assert me["roles"] == ["buyer", "org_admin"]
    assert client.get("/api/v1/parties/own").json()["verification"] == "unverified"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"id_number": "91370200MA3CERTW8A"}, "id_number"),
        ({"login": "not an address"}, "login"),
        ({"password": "short"}, "password"),
        ({"password": "aaaaaaaaaaaaaaa"}, "password"),
        ({"name": ""}, "name"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_bad_registrations_name_the_field_in_both_languages(
    client: TestClient, house: House, change: dict[str, str], field: str
) -> None:
    answer = client.post("/api/v1/parties/enterprises", json=ENTERPRISE | change)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    error = answer.json()["errors"][0]
    assert error["field"] == field
    assert set(error["message"]) == {"zh", "en"}
    with house.store.view() as view:
        assert view.session.exec(select(User)).all() == []


def test_the_same_enterprise_twice_is_a_conflict(client: TestClient) -> None:
    client.post("/api/v1/parties/enterprises", json=ENTERPRISE)
    again = client.post("/api/v1/parties/enterprises", json=ENTERPRISE | {"login": "other@example.cn"})
    assert again.status_code == 409


def test_five_wrong_passwords_lock_and_the_lock_ends(client: TestClient, house: House) -> None:
    who = person(house.store, organization(house.store, OrgKind.ENTERPRISE, "甲公司"), "a@x.cn", Role.BUYER)
    for _ in range(5):
        answer = client.post(
            "/api/v1/session", json={"login": who.user.login, "password": "wrong wrong wrong"}
        )
        assert answer.status_code == 401
    good = {"login": who.user.login, "password": PASSWORD}
    assert client.post("/api/v1/session", json=good).status_code == 429
    with house.store.unit("system:test") as unit:
        user = unit.session.get_one(User, who.user.id)
        assert user.locked_until is not None
        user.locked_until = clock.now()
        unit.record("lock.lifted", f"user:{user.id}")
    assert client.post("/api/v1/session", json=good).status_code == 201


def test_a_code_works_once(client: TestClient, house: House) -> None:
    who = person(
        house.store, organization(house.store, OrgKind.MARKET_OPERATOR, "平台"), "f@x.cn", Role.FINANCE
    )
    secret = passwords.new_totp()
    with house.store.unit(who.user.id) as unit:
        actions.keep_totp(unit, who.actor, sealed=passwords.seal_totp(secret, house.secret), step=0)
    form = {"login": "f@x.cn", "password": PASSWORD, "code": passwords.totp_now(secret)}
    assert client.post("/api/v1/session", json=form | {"code": ""}).status_code == 401
    assert client.post("/api/v1/session", json=form).status_code == 201
    assert client.post("/api/v1/session", json=form).status_code == 401


def test_writes_need_the_sessions_own_token(client: TestClient, house: House) -> None:
    owner = organization(house.store, OrgKind.ENTERPRISE, "甲公司")
    sign_in(
        client, house.store, house.secret, person(house.store, owner, "a@x.cn", Role.ORG_ADMIN, Role.BUYER)
    )
    good = client.headers.pop("X-CSRF-Token")
    body = {"login": "b@x.cn", "name": "乙", "roles": ["buyer"]}
    key = {"Idempotency-Key": "k1"}
    assert client.post("/api/v1/parties/own/members", json=body, headers=key).status_code == 403
    forged = key | {"X-CSRF-Token": "x" * 43}
    assert client.post("/api/v1/parties/own/members", json=body, headers=forged).status_code == 403
    right = {"X-CSRF-Token": good}
    missing = client.post("/api/v1/parties/own/members", json=body, headers=right)
    assert missing.status_code == 400
    assert missing.json()["type"] == "/problems/idempotency-key-missing"
    assert client.post("/api/v1/parties/own/members", json=body, headers=right | key).status_code == 201
    assert client.post("/api/v1/parties/own/members", json=body, headers=right | key).status_code == 201
    other = client.post("/api/v1/parties/own/members", json=body | {"name": "丙"}, headers=right | key)
    assert other.status_code == 422
    assert len(client.get("/api/v1/parties/own/members").json()) == 2
    with house.store.view() as view:
        assert len(view.session.exec(select(Mail)).all()) == 1


def test_another_organizations_member_is_not_there(client: TestClient, house: House) -> None:
    ours, theirs = (organization(house.store, OrgKind.ENTERPRISE, name) for name in ("甲公司", "乙公司"))
    person(house.store, theirs, "b@x.cn", Role.BUYER)
    sign_in(client, house.store, house.secret, person(house.store, ours, "a@x.cn", Role.ORG_ADMIN))
    with house.store.view() as view:
        foreign = view.session.exec(select(Entry).where(Entry.subject == f"party:{theirs.id}")).all()
    assert foreign
    assert client.delete("/api/v1/parties/own/members/mem_unknown").status_code == 404


def test_identity_check_by_compliance(client: TestClient, house: House) -> None:
    operator = organization(house.store, OrgKind.MARKET_OPERATOR, "平台")
    ours = organization(house.store, OrgKind.ENTERPRISE, "甲公司", verified=False)
    admin = person(house.store, ours, "a@x.cn", Role.ORG_ADMIN)
    officer = person(house.store, operator, "c@x.cn", Role.COMPLIANCE)
    sign_in(client, house.store, house.secret, admin)
    sent = client.post(
        "/api/v1/parties/own/evidence", content=b"%PDF-1.7 license", headers={"X-File-Name": "l.pdf"}
    )
    assert sent.json()["verification"] == "pending"
    decision = {"verify": True, "reason": "执照核对一致"}
    refused = client.post(
        f"/api/v1/parties/{ours.id}/decision", json=decision, headers={"Idempotency-Key": "1"}
    )
    assert refused.status_code == 403
    assert refused.json()["permission"] == "party:verify"
    with TestClient(client.app) as other:
        sign_in(other, house.store, house.secret, officer)
        assert [p["id"] for p in other.get("/api/v1/parties/waiting").json()] == [ours.id]
        url = f"/api/v1/parties/{ours.id}/decision"
        assert other.post(url, json=decision, headers={"Idempotency-Key": "2"}).status_code == 200
        assert other.post(url, json=decision, headers={"Idempotency-Key": "3"}).status_code == 409


def test_links_work_once_and_end_every_session(client: TestClient, house: House) -> None:
    who = person(house.store, organization(house.store, OrgKind.ENTERPRISE, "甲公司"), "a@x.cn", Role.BUYER)
    sign_in(client, house.store, house.secret, who)
    assert client.post("/api/v1/password-reset", json={"login": "nobody@x.cn"}).status_code == 202
    assert client.post("/api/v1/password-reset", json={"login": "a@x.cn"}).status_code == 202
    with house.store.view() as view:
        (mail,) = view.session.exec(select(Mail)).all()
    body = {"link": mail.data["secret"], "password": "another long one 7"}
    assert client.post("/api/v1/password-link", json=body).status_code == 204
    assert client.get("/api/v1/whoami").status_code == 401
    assert client.post("/api/v1/password-link", json=body).status_code == 410


def test_a_removed_member_is_out_at_once(client: TestClient, house: House) -> None:
    ours = organization(house.store, OrgKind.ENTERPRISE, "甲公司")
    admin = person(house.store, ours, "a@x.cn", Role.ORG_ADMIN)
    worker = person(house.store, ours, "b@x.cn", Role.BUYER)
    sign_in(client, house.store, house.secret, worker)
    with TestClient(client.app) as boss:
        sign_in(boss, house.store, house.secret, admin)
        member = next(m for m in boss.get("/api/v1/parties/own/members").json() if m["login"] == "b@x.cn")
        assert boss.delete(f"/api/v1/parties/own/members/{member['id']}").status_code == 204
    assert client.get("/api/v1/whoami").status_code == 401


def test_a_body_above_the_limit_is_refused(client: TestClient) -> None:
    answer = client.post(
        "/api/v1/session", content=b"x" * (2 << 20), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 413
    assert answer.json()["type"] == "/problems/body-too-large"
