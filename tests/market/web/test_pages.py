"""Pages refuse what other sites send, keep what was written, and never send anybody away."""

import re

import pytest
from starlette.testclient import TestClient

from market.app import build_api
from market.house import House
from market.web import account, forms
from market.web.frame import DESK, PUBLIC
from market.web.portal import linked
from storage.kernel.numbers import make_uscc

PASSWORD = "long enough for anybody"
FORM = {
    "name": "青岛海风数据应用有限公司",
    "id_number": make_uscc("91370200MA3CERTW8"),
    "person": "王小海",
    "login": "wang@haifeng.example",
    "password": PASSWORD,
    "repeat": PASSWORD,
    "agree": "yes",
}


def arrive(client: TestClient) -> str:
    """Register and sign in; returns the session's token against forgery."""
    assert client.post("/register", data=FORM).status_code == 303
    answer = client.post("/login", data={"login": FORM["login"], "password": PASSWORD})
    assert answer.status_code == 303
    found = re.search(r'name="csrf" value="([^"]+)"', client.get("/account").text)
    assert found
    return found[1]


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_another_site_cannot_sign_anybody_in(client: TestClient, headers: dict[str, str]) -> None:
    client.post("/register", data=FORM)
    answer = client.post("/login", data={"login": FORM["login"], "password": PASSWORD}, headers=headers)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_a_form_without_any_sign_of_its_page_is_refused(client: TestClient) -> None:
    del client.headers["origin"], client.headers["sec-fetch-site"]
    assert client.post("/register", data=FORM).status_code == 403
    assert client.post("/register", data=FORM, headers={"Origin": "http://127.0.0.1:8000"}).status_code == 303


def test_head_is_answered_like_get_without_a_body(client: TestClient) -> None:
    asked, got = client.head("/"), client.get("/")
    assert (asked.status_code, asked.content) == (got.status_code, b"")
    assert asked.headers["content-type"] == got.headers["content-type"]
    assert client.head("/nowhere").status_code == 404


def test_a_session_writes_only_with_its_own_token(client: TestClient) -> None:
    token = arrive(client)
    invitation = {"login": "li@haifeng.example", "name": "李小风", "roles": "buyer"}
    assert client.post("/organization/members", data=invitation).status_code == 403
    assert client.post("/organization/members", data=invitation | {"csrf": token + "x"}).status_code == 403
    file = {"file": ("a.pdf", b"%PDF-1.7")}
    assert client.post("/organization/evidence", files=file).status_code == 403
    assert client.post("/organization/members", data=invitation | {"csrf": token}).status_code == 303
    assert client.post("/organization/evidence", data={"csrf": token}, files=file).status_code == 303


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil.example", "javascript:alert(1)",
        "/\t/evil.example", " //evil.example", "/\n/evil.example", "evil.example",
    ],
)  # fmt: skip
def test_nobody_is_sent_to_another_site(client: TestClient, target: str) -> None:
    client.post("/register", data=FORM)
    answer = client.post("/login", data={"login": FORM["login"], "password": PASSWORD, "next": target})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert client.get("/lang/en", params={"next": target}).headers["location"] == "/"


def test_signing_in_leads_to_where_one_wanted_to_go(client: TestClient) -> None:
    asked = client.get("/organization/members?page=2&x=a b")
    assert asked.headers["location"] == "/login?next=/organization/members%3Fpage%3D2%26x%3Da%2520b"
    client.post("/register", data=FORM)
    form = client.get(asked.headers["location"]).text
    found = re.search(r'name="next" value="([^"]+)"', form)
    assert found
    target = found[1].replace("&amp;", "&")
    answer = client.post("/login", data={"login": FORM["login"], "password": PASSWORD, "next": target})
    assert answer.headers["location"] == "/organization/members?page=2&x=a%20b"


def test_a_refused_form_comes_back_with_values_and_messages(client: TestClient) -> None:
    answer = client.post("/register", data=FORM | {"id_number": "91", "name": '<b>"风"'})
    assert answer.status_code == 422
    assert 'value="&lt;b&gt;&#34;风&#34;"' in answer.text
    assert 'id="e-id_number"' in answer.text
    assert 'aria-invalid="true"' in answer.text
    assert PASSWORD not in answer.text


def test_a_second_registration_is_a_conflict_in_the_form(client: TestClient) -> None:
    client.post("/register", data=FORM)
    answer = client.post("/register", data=FORM)
    assert answer.status_code == 409
    assert FORM["name"] in answer.text


def test_unknown_pages_answer_in_the_readers_language(client: TestClient) -> None:
    chinese = client.get("/nowhere")
    assert (chinese.status_code, "未找到" in chinese.text) == (404, True)
    english = client.get("/nowhere", headers={"Accept-Language": "en"})
    assert '<html lang="en">' in english.text
    machine = client.get("/nowhere", headers={"Accept": "application/json"})
    assert machine.json()["type"] == "/problems/not-found"
    assert client.get("/problems/not-found").status_code == 200


def test_the_language_is_kept(client: TestClient) -> None:
    answer = client.get("/lang/en?next=/login")
    assert answer.headers["location"] == "/login"
    assert '<html lang="en">' in client.get("/login").text
    assert client.get("/lang/fr").status_code == 404


def test_a_spent_link_says_so(client: TestClient) -> None:
    assert client.get("/link/unknown").status_code == 410
    assert client.post("/link/unknown", data={"password": PASSWORD, "repeat": PASSWORD}).status_code == 410


def test_pages_allow_no_inline_code_and_files_are_cached(client: TestClient) -> None:
    answer = client.get("/login")
    assert "unsafe-inline" not in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)", answer.text)
    for address in re.findall(r'(?:href|src)="(/(?:static|vendor)/[^"]+)"', answer.text):
        file = client.get(address)
        assert (file.status_code, "immutable" in file.headers["cache-control"]) == (200, True), address


def test_the_inbox_is_for_this_machine_only(client: TestClient, house: House) -> None:
    assert client.get("/inbox").status_code == 200
    far = TestClient(client.app, base_url="http://127.0.0.1:8000", client=("10.0.0.9", 5000))
    assert far.get("/inbox").status_code == 404


def test_letters_are_escaped_and_their_addresses_linked() -> None:
    assert linked('<b> http://a.example/x"y') == (
        '&lt;b&gt; <a href="http://a.example/x">http://a.example/x</a>&#34;y'
    )


def test_a_qr_code_scales_and_carries_no_style() -> None:
    picture = account.qr("otpauth://totp/Shugang:a@b.example?secret=" + "A" * 32)
    assert re.search(r'viewBox="0 0 (\d+) \1"', picture)
    assert "style" not in picture
    assert 'width="' not in picture


def test_the_navigation_names_each_place_once() -> None:
    build_api()
    paths = [place.path for place in PUBLIC + DESK]
    assert len(paths) == len(set(paths))


def test_a_page_that_cannot_come_back_is_found_when_it_is_written() -> None:
    def show(request: object, form: object, thing: str) -> None:
        """Needs `thing`."""

    def act(request: object, form: object) -> None:
        """Has none."""

    with pytest.raises(TypeError, match="thing"):
        forms.again(show)(act)  # type: ignore[arg-type]
