"""The page where everybody may ask which side of the line a case falls on, and the rules it answers by."""

import pytest
from starlette.testclient import TestClient

SOLD = {
    "supply": "public",
    "open_attr": "K",
    "product_kind": "modelled",
    "purpose": "industry",
    "price_fen": "50",
}


def test_the_usual_case_is_shown_without_an_account(client: TestClient) -> None:
    text = client.get("/policy/explain").text
    assert "无条件开放的公共数据" in text
    assert "T10" in text
    english = client.get("/policy/explain", headers={"Accept-Language": "en"}).text
    assert "Unconditionally open public data" in english


def test_what_is_left_open_is_unknown_and_goes_to_people(client: TestClient) -> None:
    answer = client.get("/policy/explain", params=SOLD | {"asked": "yes", "delivery": "api"})
    assert answer.status_code == 200
    assert "人工复核" in answer.text
    assert "推定" in answer.text


@pytest.mark.parametrize(
    "wrong",
    [{"grade": "G9"}, {"price_fen": "-1"}, {"price_fen": "x"}, {"foreign": "maybe"}, {"delivery": "pigeon"}],
)
def test_what_cannot_be_is_refused_in_words(client: TestClient, wrong: dict[str, str]) -> None:
    answer = client.get("/policy/explain", params=SOLD | wrong | {"asked": "yes"})
    assert answer.status_code == 422
    assert client.post("/api/v1/policy/explain", json={"inputs": wrong}).status_code == 422


def test_the_rules_in_force_are_published(client: TestClient) -> None:
    text = client.get("/policy/rules").text
    assert "T26" in text
    assert "采用新的规则包" not in text
    plain = client.get("/api/v1/policy/rules").json()
    assert plain["version"] == "2026.1"
    assert {rule["id"] for rule in plain["rules"]} == {f"T{number:02d}" for number in range(1, 27)}
    assert client.get("/policy/rules", params={"against": "2019.9"}).status_code == 404


def test_an_explanation_names_what_would_change_it(client: TestClient) -> None:
    facts = {"supply": "public", "open_attr": "U", "product_kind": "raw_open", "price_fen": 0}
    told = client.post("/api/v1/policy/explain", json={"inputs": facts}).json()
    assert told["outcome"]["decision"] == "manual"
    assert "grade" in told["outcome"]["unknown"]
    assert told["pack_version"] == "2026.1"
