"""What the OAuth doors refuse, and how they say so: credentials, forms, hints, tokens of others and of before."""

import base64
from itertools import product
from typing import Any

import httpx2
import pytest

from tests.metering.gatehouse import Served

DOORS = ("token", "revoke", "introspect")
FORM = "application/x-www-form-urlencoded"


def ask(served: Served, door: str, **form: Any) -> httpx2.Response:
    """A whole request of this door, with what a test changes; None leaves a field out."""
    given = {"grant_type": "client_credentials", "token": "a.b.c"} | form
    named = {name: value for name, value in given.items() if value is not None}
    return served.http.post(f"/oauth/{door}", data=named, auth=(served.credential, served.secret))


def send(served: Served, door: str, body: bytes, content_type: str = FORM) -> httpx2.Response:
    return served.http.post(
        f"/oauth/{door}",
        content=body,
        headers={"Content-Type": content_type},
        auth=(served.credential, served.secret),
    )


def refused(answer: httpx2.Response, status: int, error: str) -> str:
    """The description of a refusal, which is plain ASCII (RFC 6749 5.2)."""
    assert (answer.status_code, answer.json()["error"]) == (status, error), answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    said = str(answer.json()["error_description"])
    assert said.isascii()
    assert "[" not in said
    return said


def unknown(answer: httpx2.Response) -> None:
    refused(answer, 401, "invalid_client")
    assert answer.headers.get_list("www-authenticate") == ['Basic realm="shugang", charset="UTF-8"']


def basic(pair: bytes) -> bytes:
    return b"Basic " + base64.b64encode(pair)


NOBODY = [
    b"Basic //46/w==",
    b"Basic \xe9",
    b"Basic \xa0",
    b"Basic",
    b"Basic ====",
    basic("凭证:密钥".encode("gbk")),
    basic("凭证:密钥".encode()),
    basic(b"nobody"),
    basic(b"a\0b:secret"),
    basic(b"a%00b:secret"),
]


def test_credentials_nobody_has_are_refused_alike(served: Served, subtests: pytest.Subtests) -> None:
    form = {"grant_type": "client_credentials", "token": "a.b.c"}
    for door, header in product(DOORS, NOBODY):
        with subtests.test(door=door, header=header):
            unknown(served.http.post(f"/oauth/{door}", data=form, headers={b"Authorization": header}))


def test_a_wrong_secret_and_none_at_all_are_refused_alike(served: Served, subtests: pytest.Subtests) -> None:
    form = {"grant_type": "client_credentials", "token": "a.b.c"}
    wrong = {"client_id": served.credential, "client_secret": "wrong"}
    for door in DOORS:
        path = f"/oauth/{door}"
        with subtests.test(door=door):
            unknown(served.http.post(path, data=form))
            unknown(served.http.post(path, data=form, auth=(served.credential, "wrong")))
            unknown(served.http.post(path, data=form | wrong))


def test_a_secret_is_told_in_one_way(served: Served, subtests: pytest.Subtests) -> None:
    for door in DOORS:
        with subtests.test(door=door):
            twice = ask(served, door, client_id=served.credential, client_secret=served.secret)
            assert "not in both" in refused(twice, 400, "invalid_request")
            assert ask(served, door, client_id=served.credential).status_code == 200


NAMED: list[tuple[str, dict[str, Any], str]] = [
    ("token", {"grant_type": None}, "the parameter grant_type is missing"),
    ("token", {"grant_type": ""}, "the parameter grant_type is missing"),
    ("token", {"grant_type": ["client_credentials"] * 2}, "the parameter grant_type is repeated"),
    ("token", {"license": ["lic_1", "lic_2"]}, "the parameter license is repeated"),
    ("token", {"license": "\0"}, "the parameter license has a NUL character"),
    ("token", {"purpose": "a\0b"}, "the parameter purpose has a NUL character"),
    ("token", {"client_id": "a\0b"}, "the parameter client_id has a NUL character"),
    ("revoke", {"token": None}, "the parameter token is missing"),
    ("revoke", {"token": ["a.b.c", "d.e.f"]}, "the parameter token is repeated"),
    ("introspect", {"token": ""}, "the parameter token is missing"),
    ("introspect", {"token": "a\0b"}, "the parameter token has a NUL character"),
]


def test_a_parameter_that_is_missing_or_repeated_or_no_text_is_named(
    served: Served, subtests: pytest.Subtests
) -> None:
    for door, form, said in NAMED:
        with subtests.test(door=door, form=form):
            assert refused(ask(served, door, **form), 400, "invalid_request") == said


def test_a_grant_of_another_kind_is_not_supported(served: Served) -> None:
    answer = ask(served, "token", grant_type="password")
    assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_grant_type")


def test_what_the_doors_do_not_know_is_passed_over(served: Served) -> None:
    assert ask(served, "token", resource=["https://a.example", "https://b.example"]).status_code == 200


NO_FORMS = [
    (b'{"grant_type": "client_credentials"}', "application/json"),
    (b"--x\r\nbroken", "multipart/form-data; boundary=x"),
    (b"grant_type=client_credentials&token=%ff", FORM),
    (b"grant_type=client_credentials&token=\xff", FORM),
    (b"grant_type=client_credentials&token=" + b"a" * 20_000, FORM),
    (b"grant_type=client_credentials&token=a&" + b"&".join([b"x=1"] * 20), FORM),
]


def test_a_body_that_is_no_form_is_refused_as_oauth_has_it(served: Served, subtests: pytest.Subtests) -> None:
    for door, (body, content_type) in product(DOORS, NO_FORMS):
        with subtests.test(door=door, body=body[:60]):
            refused(send(served, door, body, content_type), 400, "invalid_request")


def test_a_form_may_name_its_charset(served: Served) -> None:
    answer = send(served, "token", b"grant_type=client_credentials", f"{FORM}; charset=UTF-8")
    assert answer.status_code == 200
