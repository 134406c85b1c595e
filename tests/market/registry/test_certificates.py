"""A certificate is frozen with its step, signed, printed, and verified offline; a flipped byte fails."""

import copy
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import OKPKey
from sqlmodel import select

from contracts import keyring
from market import chores
from market.house import House
from market.registry import certificates, ending, queries
from market.registry.certificate_face import face_lines
from market.registry.certificates import Check
from market.registry.rules import base_number, number_faults, renewed_number
from market.registry.tables import Certificate
from market.registry.verification import verified
from storage.kernel import clock
from storage.kernel.numbers import with_check
from storage.kernel.problem import Invalid, NotFound
from storage.unit import Store
from tests.market.assets import registered
from tests.market.people import BUYER, PROVIDER, REGISTRAR

KEY = OKPKey.generate_key("Ed25519", auto_kid=True)
TRUSTED = {str(KEY.kid): KEY}
NUMBER = with_check("SG-370200-R-2026-000001")
CONTENT: dict[str, Any] = {"number": NUMBER, "name": {"zh": "停车", "en": "Parking"}, "serial": 1}
SIGNED = certificates.sign(CONTENT, KEY, at=datetime(2026, 11, 22, tzinfo=UTC))


def test_what_was_signed_is_genuine_and_names_its_number() -> None:
    verdict = certificates.verify(json.dumps(SIGNED).encode(), TRUSTED)
    assert verdict.genuine
    assert (verdict.number, verdict.content_hash) == (NUMBER, SIGNED["content_hash"])
    assert "private" not in json.dumps(SIGNED)


@given(st.integers(0, len(json.dumps(SIGNED)) - 1), st.integers(0, 7))
def test_a_flipped_bit_is_never_genuine(place: int, bit: int) -> None:
    raw = bytearray(json.dumps(SIGNED).encode())
    raw[place] ^= 1 << bit
    if json_equal(bytes(raw)):
        return  # white space or another spelling of the same JSON
    assert not certificates.verify(bytes(raw), TRUSTED).genuine


def json_equal(raw: bytes) -> bool:
    try:
        return bool(json.loads(raw) == SIGNED)
    except ValueError:
        return False


@pytest.mark.parametrize(
    ("path", "value", "failed"),
    [
        (("content", "serial"), 2, Check.CONTENT),
        (("content", "number"), NUMBER[:-1] + ("A" if NUMBER[-1] != "A" else "B"), Check.NUMBER),
        (("signed", "at"), "2020-01-01T00:00:00+00:00", Check.SIGNATURE),
        (("signed", "kid"), "nobody", Check.KEY),
        (("format",), "something/2", Check.FORMAT),
    ],
)
def test_each_check_tells_what_failed(path: tuple[str, ...], value: Any, failed: Check) -> None:
    document = copy.deepcopy(SIGNED)
    inner = document
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = value
    assert failed in certificates.verify(document, TRUSTED).failed


def test_another_key_and_rubbish_are_refused_without_an_exception() -> None:
    other = OKPKey.generate_key("Ed25519", auto_kid=True)
    assert not certificates.verify(SIGNED, {str(KEY.kid): other}).genuine
    for rubbish in (
        b"",
        b"{}",
        b"[1]",
        "x" * 10,
        b"\xff",
        None,
        {"format": certificates.FORMAT},
        "[" * 100_000,
    ):
        assert not certificates.verify(rubbish, TRUSTED).genuine
    twice = json.dumps(SIGNED).replace('"content":', '"content": {}, "content":', 1)
    assert not certificates.verify(twice, TRUSTED).genuine


def test_a_certificate_is_signed_and_printed_soon_after_and_once(house: House) -> None:
    asset = registered(house.store)
    with house.store.view() as view:
        assert queries.certificates(view, PROVIDER, asset.id)[0].document is None
    chores.each_minute(house)  # what a killed process left is found by the clock
    house.pulse.beat()
    with house.store.view() as view:
        [held] = queries.certificates(view, PROVIDER, asset.id)
        keys = {
            row["kid"]: OKPKey.import_key({k: v for k, v in row.items() if not k.endswith("_at")})
            for row in keyring.trusted_keys(view)
        }
    assert held.pdf_sha256 is not None
    with house.objects.open(held.pdf_sha256) as file:
        assert file.read(5) == b"%PDF-"
    verdict = certificates.verify(held.document, keys)
    assert (verdict.genuine, verdict.number) == (True, asset.number)
    assert held.content["disclaimer"]["zh"] == "平台登记，不替代国家公共数据资源登记"
    house.pulse.beat()
    with house.store.view() as view:
        assert queries.certificates(view, PROVIDER, asset.id)[0].document == held.document
        with pytest.raises(NotFound):
            queries.certificate(view, BUYER, held.id)


def test_the_public_sees_no_codes_no_contents_no_limits(store: Store) -> None:
    asset = registered(store)
    with store.view() as view:
        content = view.session.exec(select(Certificate)).one().content
        told = json.dumps([[label.zh, value.zh] for label, value in face_lines(content)], ensure_ascii=False)
        document = json.dumps(verified(view, str(asset.number), clock.now()).document(), ensure_ascii=False)
    for secret in (content["contents"][0], content["schema_hash"], "履职过程中依法采集", "对外提供"):
        assert secret not in told
        assert secret not in document


def test_wrong_numbers_are_refused_before_any_lookup(store: Store) -> None:
    number = str(registered(store).number)
    wrong = number[:-1] + ("A" if number[-1] != "A" else "B")
    for text in (wrong, f"{wrong}-R1", f"{number}-R0", f"{number}-X", number.lower(), "", "' OR 1=1 --"):
        with pytest.raises(Invalid):
            verified(Blind(), text, clock.now())  # type: ignore[arg-type]  # touching it would raise
    with store.view() as view, pytest.raises(NotFound):
        verified(view, with_check("SG-370200-R-2026-999999"), clock.now())


class Blind:
    """A view that cannot be looked through."""

    @property
    def session(self) -> None:
        raise AssertionError("looked up before the check")


@given(st.integers(0, 999))
def test_a_renewed_number_is_read_back(renewals: int) -> None:
    stem, renewal = base_number(renewed_number(NUMBER, renewals))
    assert (stem, renewal or 0) == (NUMBER, renewals)
    assert number_faults(renewed_number(NUMBER, renewals)) == []


def test_a_cancelled_one_shows_cancelled_while_its_file_stays_genuine(house: House) -> None:
    asset = registered(house.store)
    house.pulse.beat()
    with house.store.unit(REGISTRAR.id, REGISTRAR.org) as unit:
        ending.revoke_asset(unit, REGISTRAR, asset.id, reason="提供虚假来源证明")
    with house.store.view() as view:
        seen = verified(view, str(asset.number), clock.now())
        [held] = queries.certificates(view, PROVIDER, asset.id)
    assert seen.standing.value == "revoked"
    assert seen.document()["certificate"]["content_hash"] == held.content_hash
