import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import OKPKey

from contracts.detached import key_id
from contracts.signatures import Acceptance, Check, sign, verify
from contracts.templates import content_hash
from tests.contracts.samples import content

KEY = OKPKey.generate_key("Ed25519")
OTHER = OKPKey.generate_key("Ed25519")
TRUSTED = {key_id(KEY): KEY}
AT = datetime(2026, 3, 2, 4, tzinfo=UTC)


def signed(**changes: Any) -> dict[str, Any]:
    made = content()
    agreed = content_hash(made)
    both = [
        Acceptance("seller", "pty_seller", "usr_1", AT, agreed),
        Acceptance("buyer", "pty_buyer", "usr_2", AT, agreed),
    ]
    return sign(made, changes.get("acceptances", both), changes.get("key", KEY), at=AT)


FILE = json.dumps(signed(), ensure_ascii=False).encode()


def test_a_signed_contract_verifies_from_its_file_alone() -> None:
    verdict = verify(FILE, TRUSTED)
    assert verdict.genuine
    assert verdict.number == "HT-2615-2026-000001-X"
    assert [finding.check for finding in verdict.findings] == list(Check)


def test_the_file_says_it_is_no_ca_signature_and_holds_no_private_key() -> None:
    assert signed()["assurance"]["ca"] is False
    assert "非CA" in signed()["assurance"]["zh"]
    assert str(KEY.as_dict(private=True)["d"]).encode() not in FILE


@given(place=st.integers(0, len(FILE) - 1), flip=st.integers(1, 255))
def test_a_changed_byte_never_verifies_as_something_else(place: int, flip: int) -> None:
    changed = bytearray(FILE)
    changed[place] ^= flip
    verdict = verify(bytes(changed), TRUSTED)
    # Only a change that JSON does not see (such as a space for a tab) may pass, and then nothing was altered.
    try:
        same = json.loads(bytes(changed)) == json.loads(FILE)
    except ValueError:
        same = False
    assert verdict.genuine == same
    assert same or verdict.failed


@pytest.mark.parametrize(
    ("change", "failed"),
    [
        (lambda d: d["content"]["terms"].update(prepay_fen=1), [Check.CONTENT]),
        (lambda d: d["content"]["text"]["zh"].update(title="x"), [Check.CONTENT]),
        (lambda d: d["acceptances"].pop(), [Check.ACCEPTANCES, Check.SIGNATURE]),
        (lambda d: d["acceptances"][0].update(by="usr_9"), [Check.SIGNATURE]),
        (lambda d: d["acceptances"][0].update(content_hash="0" * 64), [Check.ACCEPTANCES, Check.SIGNATURE]),
        (lambda d: d["witness"].update(at="2020-01-01T00:00:00+00:00"), [Check.SIGNATURE]),
        (lambda d: d["witness"].update(kid="other"), [Check.KEY, Check.SIGNATURE]),
        (lambda d: d.update(content_hash="0" * 64), [Check.CONTENT, Check.ACCEPTANCES, Check.SIGNATURE]),
        (lambda d: d["assurance"].update(ca=True), [Check.SIGNATURE]),
        (lambda d: d.update(signature="x..y"), [Check.SIGNATURE]),
        (lambda d: d.pop("signature"), [Check.FORMAT]),
        (lambda d: d.update(jwk=KEY.as_dict(private=False)), [Check.FORMAT]),
        (lambda d: d.update(format="other/1"), [Check.FORMAT]),
        (lambda d: d["content"].update(x=1.5), [Check.CONTENT]),
    ],
)
def test_the_verdict_names_what_failed(change: Any, failed: list[Check]) -> None:
    document = json.loads(FILE)
    change(document)
    assert verify(document, TRUSTED).failed == failed


def test_a_key_from_elsewhere_is_not_trusted() -> None:
    assert verify(signed(key=OTHER), TRUSTED).failed == [Check.KEY, Check.SIGNATURE]
    # Even one that borrows the name of a trusted key.
    named = OKPKey.import_key(OTHER.as_dict(private=True) | {"kid": key_id(KEY)})
    assert verify(signed(key=named), TRUSTED).failed == [Check.SIGNATURE]


@pytest.mark.parametrize(
    "nothing", [b"", b"[]", b"{}", b"\xff", None, 7, "x", b"[" * 100_000, b'{"format": 1, ' + FILE[1:]]
)
def test_a_file_that_is_no_contract_fails_in_silence(nothing: Any) -> None:
    assert verify(nothing, TRUSTED).failed == [Check.FORMAT]


def test_an_acceptance_by_somebody_else_does_not_count() -> None:
    agreed = content_hash(content())
    strangers = [
        Acceptance("seller", "pty_seller", "usr_1", AT, agreed),
        Acceptance("buyer", "pty_stranger", "usr_2", AT, agreed),
    ]
    assert verify(signed(acceptances=strangers), TRUSTED).failed == [Check.ACCEPTANCES]
