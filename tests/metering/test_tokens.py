"""Attacks on tokens: algorithms, types, audiences, keys, time, place, size."""

import base64
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc.jwk import OKPKey
from pydantic import SecretStr

from metering.gateway.answers import address_of
from metering.keys import KeyWatch, Seal, drop_key, load_ring, rotate_keys
from metering.problems import AddressRefused, InvalidToken, WrongAudience
from metering.settings import MeteringSettings
from metering.tables import TokenKey
from metering.tokens import (
    ACCESS,
    AUD_COMMERCIAL,
    AUD_OPEN,
    TICKET,
    Access,
    KeyRing,
    Ticket,
    Verifier,
    mint_access,
    mint_ticket,
    public_jwk,
    sign,
    ticket_secret,
)
from storage.unit import Store

NOW = datetime(2026, 6, 1, 8, tzinfo=UTC)
ISSUER = "https://market.example"
KEY = OKPKey.generate_key("Ed25519", auto_kid=False)
OTHER = OKPKey.generate_key("Ed25519", auto_kid=False)


def ring(signing: OKPKey = KEY, *trusted: OKPKey) -> KeyRing:
    keys = {key.thumbprint(): key for key in (signing, *trusted)}
    return KeyRing(keys, signing, {kid: ticket_secret(key) for kid, key in keys.items()})


def an_access(**changes: Any) -> Access:
    at = int(NOW.timestamp())
    values: dict[str, Any] = {
        "client_id": "cli_1", "org": "org_1", "audience": AUD_COMMERCIAL, "license_id": "lic_1", "product_id": "prd_1",
        "purpose": "p", "scope": "data:read", "cidrs": (), "jti": "tok_1", "issued_at": at, "expires_at": at + 3600,
    }  # fmt: skip
    return Access(**(values | changes))


def a_ticket() -> Ticket:
    at = int(NOW.timestamp())
    return Ticket(
        "lic_1", "prd_1", "cli_1", "tok_1", "p", 1, "csv", "0" * 64, 9, "key", "00", 1, (), at + 120, at + 900
    )


def check(token: str, verifier: Verifier | None = None, **changes: Any) -> Access:
    values: dict[str, Any] = {"audience": AUD_COMMERCIAL, "now": NOW, "address": "192.0.2.1"}
    return (verifier or Verifier(ISSUER, ring())).access(token, **(values | changes))


def b64(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def good() -> str:
    return mint_access(an_access(), issuer=ISSUER, ring=ring())


def header(**changes: Any) -> dict[str, Any]:
    return {"alg": "Ed25519", "kid": KEY.thumbprint(), "typ": ACCESS} | changes


def test_what_we_sign_we_read() -> None:
    assert check(good()) == an_access()
    assert (
        Verifier(ISSUER, ring()).ticket(
            mint_ticket(a_ticket(), issuer=ISSUER, ring=ring()), now=NOW, address=""
        )
        == a_ticket()
    )


def forged() -> dict[str, str]:
    payload, signature = good().split(".")[1:]
    public = public_jwk(KEY)
    hs = f"{b64(header(alg='HS256'))}.{payload}"
    secrets = (json.dumps(public).encode(), KEY.as_pem(private=False))
    attacks = {
        "none": f"{b64(header(alg='none'))}.{payload}.",
        "none with signature": f"{b64(header(alg='none'))}.{payload}.{signature}",
        "EdDSA": f"{b64(header(alg='EdDSA'))}.{payload}.{signature}",
        "no kid": f"{b64({'alg': 'Ed25519', 'typ': ACCESS})}.{payload}.{signature}",
        "own jwk": sign_with(OTHER, header(jwk=public_jwk(OTHER)), payload),
        "own jwk and kid": sign_with(OTHER, header(kid=OTHER.thumbprint(), jwk=public_jwk(OTHER)), payload),
        "x5u": f"{b64(header(x5u='https://evil.example/cert'))}.{payload}.{signature}",
        "jku": f"{b64(header(jku='https://evil.example/jwks'))}.{payload}.{signature}",
        "crit": f"{b64(header(crit=['exp']))}.{payload}.{signature}",
        "swapped kid": sign_with(OTHER, header(), payload),
        "unknown kid": sign_with(OTHER, header(kid=OTHER.thumbprint()), payload),
        "changed claims": f"{b64(header())}.{b64({'iss': ISSUER, 'sub': 'cli_2'})}.{signature}",
        "wrong type": sign({"iss": ISSUER}, "JWT", ring()),
        "empty": "",
        "dots": "..",
        "not base64": "é.é.é",
        "not an object": f"{b64([1])}.{payload}.{signature}",
        "too large": good() + "A" * 4096,
        "another issuer": mint_access(an_access(), issuer="https://evil.example", ring=ring()),
        "a ticket": mint_ticket(a_ticket(), issuer=ISSUER, ring=ring()),
        "claims of the wrong kind": sign({"iss": ISSUER, "aud": AUD_COMMERCIAL, "sub": 1}, ACCESS, ring()),
        "claims missing": sign({"iss": ISSUER, "aud": AUD_COMMERCIAL}, ACCESS, ring()),
    }
    for number, secret in enumerate(secrets):
        attacks[f"HS256 with the public key {number}"] = (
            f"{hs}.{b64(hmac.digest(secret, hs.encode(), 'sha256'))}"
        )
    return attacks


def sign_with(key: OKPKey, head: dict[str, Any], payload: str) -> str:
    message = f"{b64(head)}.{payload}"
    private = key.private_key
    assert isinstance(private, Ed25519PrivateKey)
    return f"{message}.{b64(private.sign(message.encode()))}"


@pytest.mark.parametrize("name", sorted(forged()))
def test_a_forged_token_is_refused(name: str) -> None:
    with pytest.raises(InvalidToken):
        check(forged()[name])


def test_the_forgeries_fail_for_their_own_fault_only() -> None:
    payload = good().split(".")[1]
    assert check(sign_with(KEY, header(), payload)) == an_access()


def test_a_tier_never_opens_the_other() -> None:
    token = mint_access(an_access(audience=AUD_OPEN), issuer=ISSUER, ring=ring())
    with pytest.raises(WrongAudience):
        check(token)
    with pytest.raises(WrongAudience):
        check(good(), audience=AUD_OPEN)
    with pytest.raises(WrongAudience):
        check(mint_access(an_access(audience="everything"), issuer=ISSUER, ring=ring()))


def sealed_with(secret: bytes, head: dict[str, Any], payload: str) -> str:
    message = f"{b64(head)}.{payload}"
    return f"{message}.{b64(hmac.digest(secret, message.encode(), 'sha256'))}"


def ticket_header(**changes: Any) -> dict[str, Any]:
    return {"alg": "HS256", "kid": KEY.thumbprint(), "typ": TICKET} | changes


def forged_tickets() -> dict[str, str]:
    written = mint_ticket(a_ticket(), issuer=ISSUER, ring=ring())
    payload, mac = written.split(".")[1:]
    secret, public = ticket_secret(KEY), public_jwk(KEY)
    return {
        "an access token": good(),
        "no signature": f"{b64(ticket_header(alg='none'))}.{payload}.",
        "an empty signature": f"{b64(ticket_header())}.{payload}.",
        "half a signature": f"{b64(ticket_header())}.{payload}.{mac[:20]}",
        "a padded signature": f"{b64(ticket_header())}.{payload}.{mac}=",
        "the signature's bits in other letters": f"{b64(ticket_header())}.{payload}.{mac[:-1]}{chr(ord(mac[-1]) + 1)}",
        "changed claims": f"{b64(ticket_header())}.{b64({'iss': ISSUER})}.{mac}",
        "the public key as secret": sealed_with(json.dumps(public).encode(), ticket_header(), payload),
        "the public bytes as secret": sealed_with(public["x"].encode(), ticket_header(), payload),
        "an empty secret": sealed_with(b"", ticket_header(), payload),
        "another key's secret": sealed_with(ticket_secret(OTHER), ticket_header(), payload),
        "an unknown key": sealed_with(ticket_secret(OTHER), ticket_header(kid=OTHER.thumbprint()), payload),
        "signed as a token": sign_with(KEY, ticket_header(alg="Ed25519"), payload),
        "the wrong type": sealed_with(secret, ticket_header(typ=ACCESS), payload),
        "a header too many": sealed_with(secret, ticket_header(crit=["exp"]), payload),
        "another issuer": mint_ticket(a_ticket(), issuer="https://evil.example", ring=ring()),
        "claims missing": sealed_with(secret, ticket_header(), b64({"iss": ISSUER})),
        "not an object": sealed_with(secret, ticket_header(), b64([1])),
        "not base64": f"{b64(ticket_header())}.{payload}.!",
        "nothing": "",
        "too large": written + "A" * 4096,
    }


@pytest.mark.parametrize("name", sorted(forged_tickets()))
def test_a_forged_ticket_is_refused(name: str) -> None:
    with pytest.raises(InvalidToken):
        Verifier(ISSUER, ring()).ticket(forged_tickets()[name], now=NOW, address="")


def test_the_forged_tickets_fail_for_their_own_fault_only() -> None:
    payload = mint_ticket(a_ticket(), issuer=ISSUER, ring=ring()).split(".")[1]
    by_hand = sealed_with(ticket_secret(KEY), ticket_header(), payload)
    assert Verifier(ISSUER, ring()).ticket(by_hand, now=NOW, address="") == a_ticket()


def test_the_secret_of_tickets_signs_no_token() -> None:
    payload = good().split(".")[1]
    with pytest.raises(InvalidToken):
        check(sealed_with(ticket_secret(KEY), header(alg="HS256"), payload))


def test_time_is_judged_at_every_call_with_five_seconds_of_leeway() -> None:
    verifier = Verifier(ISSUER, ring())
    token = good()
    check(token, verifier)
    check(token, verifier, now=NOW + timedelta(seconds=3604))
    with pytest.raises(InvalidToken):
        check(token, verifier, now=NOW + timedelta(seconds=3605))
    with pytest.raises(InvalidToken):
        check(token, verifier, now=NOW - timedelta(seconds=6))
    with pytest.raises(InvalidToken):
        verifier.ticket(
            mint_ticket(a_ticket(), issuer=ISSUER, ring=ring()), now=NOW + timedelta(seconds=906), address=""
        )


def test_place_is_judged_at_every_call() -> None:
    verifier = Verifier(ISSUER, ring())
    token = mint_access(an_access(cidrs=("192.0.2.0/24", "2001:db8::/32")), issuer=ISSUER, ring=ring())
    for address in ("192.0.2.1", "2001:db8::9", "::ffff:192.0.2.7"):
        check(token, verifier, address=address)
    for address in ("192.0.3.1", "2001:db9::1", "", "unix"):
        with pytest.raises(AddressRefused):
            check(token, verifier, address=address)


def test_a_dropped_key_ends_what_it_signed_also_when_remembered() -> None:
    keys = ring(KEY, OTHER)
    verifier = Verifier(ISSUER, keys)
    token = good()
    check(token, verifier)
    del keys.public[KEY.thumbprint()]
    with pytest.raises(InvalidToken):
        check(token, verifier)


def test_keys_are_sealed_rotated_and_dropped(store: Store, settings: MeteringSettings) -> None:
    seal = Seal(settings)
    watch = KeyWatch(store, seal)
    assert watch.ring.signing is not None
    token = mint_access(an_access(), issuer=ISSUER, ring=watch.ring)
    ticket = mint_ticket(a_ticket(), issuer=ISSUER, ring=watch.ring)
    first = watch.ring.signing.thumbprint()
    with store.view() as view:
        row = view.session.get(TokenKey, first)
        assert row is not None
        assert b"PRIVATE" not in row.sealed
        assert "d" not in row.public
    with store.unit("system:test") as unit:
        rotate_keys(unit, seal, announced=timedelta(0))
    watch.refresh()
    assert watch.ring.signing.thumbprint() != first
    assert len(watch.ring.jwks()["keys"]) == 3
    check(token, Verifier(ISSUER, watch.ring))
    assert Verifier(ISSUER, watch.ring).ticket(ticket, now=NOW, address="") == a_ticket()
    with store.unit("system:test") as unit:
        drop_key(unit, seal, first, reason="leaked")
    watch.refresh()
    with pytest.raises(InvalidToken):
        check(token, Verifier(ISSUER, watch.ring))
    with pytest.raises(InvalidToken):
        Verifier(ISSUER, watch.ring).ticket(ticket, now=NOW, address="")
    other = SecretStr(base64.b64encode(bytes(32)).decode())
    with store.view() as view, pytest.raises(RuntimeError, match="another master key"):
        load_ring(view, Seal(MeteringSettings(master_key=other)))


def test_the_master_key_is_made_once(settings: MeteringSettings, tmp_path: Any) -> None:
    again = MeteringSettings().resolved(tmp_path)
    assert again.master_key == settings.master_key
    assert (tmp_path / "master.key").stat().st_mode & 0o777 == 0o600
    assert "master_key=SecretStr('**********')" in repr(again)


@pytest.mark.parametrize(
    ("peer", "forwarded", "trusted", "address"),
    [
        ("198.51.100.1", "192.0.2.9", (), "198.51.100.1"),
        ("198.51.100.1", "192.0.2.9", ("10.0.0.0/8",), "198.51.100.1"),
        ("10.0.0.1", "192.0.2.9", ("10.0.0.0/8",), "192.0.2.9"),
        ("10.0.0.1", "192.0.2.9, 203.0.113.5", ("10.0.0.0/8",), "203.0.113.5"),
        ("10.0.0.1", "192.0.2.9, 10.1.1.1", ("10.0.0.0/8",), "192.0.2.9"),
        ("10.0.0.1", None, ("10.0.0.0/8",), "10.0.0.1"),
    ],
)
def test_only_trusted_proxies_are_believed(
    peer: str, forwarded: str | None, trusted: tuple[str, ...], address: str
) -> None:
    from starlette.requests import Request

    headers = [(b"x-forwarded-for", forwarded.encode())] if forwarded else []
    request = Request({"type": "http", "headers": headers, "client": (peer, 1)})
    assert address_of(request, trusted) == address
