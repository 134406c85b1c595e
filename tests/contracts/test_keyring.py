"""Document keys: sealed at rest, end-dated, and old ones still verify what they signed."""

import pytest
from joserfc.jwk import OKPKey

from contracts import keyring
from storage.seal import Seal
from storage.unit import Store

SEAL = Seal("k" * 40, "documents")


def test_the_key_is_made_once_and_opens_only_with_the_house_key(store: Store) -> None:
    first = keyring.signing_key(store, SEAL)
    assert keyring.signing_key(store, SEAL).thumbprint() == first.thumbprint()
    with pytest.raises(RuntimeError, match="another house key"):
        keyring.signing_key(store, Seal("x" * 40, "documents"))


def test_a_new_key_leaves_the_old_one_trusted(store: Store) -> None:
    first = keyring.signing_key(store, SEAL)
    with store.unit("system:test") as unit:
        keyring.make_key(unit, SEAL)
    second = keyring.signing_key(store, SEAL)
    assert second.kid != first.kid
    with store.view() as view:
        trusted = keyring.trusted_keys(view)
    assert [key["kid"] for key in trusted] == [first.kid, second.kid]
    assert trusted[0]["ended_at"] is not None
    assert trusted[1]["ended_at"] is None
    assert all("d" not in key for key in trusted)
    assert OKPKey.import_key({k: v for k, v in trusted[0].items() if not k.endswith("_at")}).kid == first.kid
