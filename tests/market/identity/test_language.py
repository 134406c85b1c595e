"""Mails are written in the language somebody registered, was invited, or chose in."""

import pytest
from sqlmodel import col, select
from starlette.testclient import TestClient

from market.house import House
from market.identity import postman
from market.identity.queries import user_by_login
from market.identity.rules import OrgKind, Role
from market.identity.tables import Mail
from tests.people import organization, person, sign_in

OURS = {"Origin": "http://127.0.0.1:8000", "Sec-Fetch-Site": "same-origin"}
FORM = {
    "name": "青岛海风数据应用有限公司",
    "id_number": "91370200MA3CERTW8X",
    "login": "li@example.cn",
    "person": "Li Hai",
    "password": "correct horse 9",
}


def last_mail(house: House) -> tuple[str, str]:
    """Language and subject of the newest mail."""
    with house.store.view() as view:
        mail = view.session.exec(select(Mail).order_by(col(Mail.id).desc())).first()
    assert mail is not None
    return mail.lang, str(postman.letter(house.store, house.settings, mail)["Subject"])


def test_the_language_of_the_page_is_kept_at_registration(client: TestClient, house: House) -> None:
    client.cookies.set("shugang_lang", "en")
    sent = FORM | {"repeat": FORM["password"], "agree": "yes"}
    assert client.post("/register", data=sent, headers=OURS, follow_redirects=False).status_code == 303
    client.cookies.clear()
    client.post("/api/v1/password-reset", json={"login": FORM["login"]})
    lang, subject = last_mail(house)
    assert lang == "en"
    assert subject.isascii()


@pytest.mark.parametrize(
    ("body", "header", "lang"), [({"lang": "en"}, "zh", "en"), ({}, "en-GB", "en"), ({}, "zh-CN", "zh")]
)
def test_a_program_names_it_or_its_header_does(
    client: TestClient, house: House, body: dict[str, str], header: str, lang: str
) -> None:
    answer = client.post("/api/v1/parties/enterprises", json=FORM | body, headers={"Accept-Language": header})
    assert answer.status_code == 201, answer.text
    with house.store.view() as view:
        user = user_by_login(view, FORM["login"])
    assert user is not None
    assert user.lang == lang


def test_somebody_chooses_another(client: TestClient, house: House) -> None:
    head = person(
        house.store, organization(house.store, OrgKind.ENTERPRISE, "海风"), "head@a.example", Role.ORG_ADMIN
    )
    sign_in(client, house.store, house.secret, head)
    assert client.put("/api/v1/language", json={"lang": "fr"}).status_code == 422
    assert client.put("/api/v1/language", json={"lang": "en"}).status_code == 204
    client.post("/api/v1/password-reset", json={"login": "head@a.example"})
    assert last_mail(house)[0] == "en"
    page = client.post(
        "/account/language",
        data={"csrf": client.headers["X-CSRF-Token"], "lang": "zh"},
        headers=OURS,
        follow_redirects=False,
    )
    assert page.headers["location"] == "/account?done=language_chosen"
    client.post("/api/v1/password-reset", json={"login": "head@a.example"})
    assert last_mail(house)[0] == "zh"


def test_an_invitation_is_written_as_its_sender_reads(client: TestClient, house: House) -> None:
    head = person(
        house.store, organization(house.store, OrgKind.ENTERPRISE, "海风"), "head@a.example", Role.ORG_ADMIN
    )
    sign_in(client, house.store, house.secret, head)
    client.headers["Accept-Language"] = "en"
    body = {"login": "new@a.example", "name": "New", "roles": ["buyer"]}
    answer = client.post("/api/v1/parties/own/members", json=body, headers={"Idempotency-Key": "one"})
    assert answer.status_code == 201, answer.text
    assert last_mail(house)[0] == "en"
