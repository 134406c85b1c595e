"""令牌 Signed tokens: one algorithm for each type, our own keys only, exact type, issuer and audience; pure.

What a signature proves is remembered; what time, place and purpose decide is judged on every call.
"""

import binascii
import functools
import hashlib
import hmac
import ipaddress
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any

import orjson
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OctKey, OKPKey
from joserfc.util import urlsafe_b64decode, urlsafe_b64encode

from metering.problems import AddressRefused, InvalidToken, WrongAudience
from storage.kernel.words import Words

ALGORITHM = "Ed25519"
TICKET_ALGORITHM = "HS256"  # who reads a ticket wrote it: nobody else has to be able to check it
ACCESS = "at+jwt"
TICKET = "dl+jwt"
AUD_API = "shugang:api"
AUD_OPEN = "shugang:open"
AUD_COMMERCIAL = "shugang:commercial"
MAX_BYTES = 4096
LEEWAY = timedelta(seconds=5)
REMEMBERED = 20_000
_HEADER = {"alg", "kid", "typ"}
_STANDARD = bytes.maketrans(b"-_", b"+/")


@dataclass(frozen=True, slots=True)
class Access:
    """访问令牌. What a verified access token says."""

    client_id: str
    org: str
    audience: str
    license_id: str | None
    product_id: str | None
    purpose: str
    scope: str
    cidrs: tuple[str, ...]
    jti: str
    issued_at: int
    expires_at: int


@dataclass(slots=True)  # freezing costs, once for every download
class Ticket:
    """下载票据. One file of one purchase: start soon, resume for a day."""

    license_id: str
    product_id: str
    credential_id: str
    jti: str  # of the access token it was bought with: revoking that one ends the ticket
    purpose: str
    version: int
    file: str  # "csv", "parquet", …
    sha256: str
    size: int
    charge_key: str
    fingerprint: str  # hex
    rows: int
    cidrs: tuple[str, ...]
    start_by: int
    expires_at: int


class KeyRing:
    """The keys we sign and verify with: public halves by `kid`, the one that signs, and the secrets of tickets.

    A ticket's secret is made from the private half of the key of the same `kid`, and ends with it.
    """

    def __init__(
        self, public: Mapping[str, OKPKey], signing: OKPKey | None, tickets: Mapping[str, bytes] | None = None
    ) -> None:
        self.public = dict(public)
        self.signing = signing
        self.tickets = dict(tickets or {})

    def jwks(self) -> dict[str, Any]:
        """The public keys as a JWK set (RFC 7517)."""
        return {"keys": [public_jwk(key) for key in self.public.values()]}


def networks_mark(cidrs: Sequence[str]) -> str:
    """What the id of a token says of the networks it was issued for; empty when it was for everywhere."""
    named = " ".join(sorted(set(cidrs)))
    return hashlib.blake2b(named.encode(), digest_size=6).hexdigest() if named else ""


def marked(jti: str, cidrs: Sequence[str]) -> str:
    """The id for a token issued for these networks.

    The id goes wherever the token leads, to tickets and charges, where the list itself does not: so everybody who
    judges it, the till too, knows a token that was issued for other networks than the credential has now.

    >>> marked("tok_1", []), marked("tok_1", ["10.0.0.0/8"]), mark_of(marked("tok_1", ["10.0.0.0/8"]))
    ('tok_1', 'tok_1.3c5762ea5aae', '3c5762ea5aae')
    """
    mark = networks_mark(cidrs)
    return f"{jti}.{mark}" if mark else jti


def mark_of(jti: str) -> str:
    """The mark in the id of a token."""
    return jti.partition(".")[2]


def named_key(token: str) -> str:
    """The `kid` a token names, unverified; empty when it names none."""
    try:
        header = orjson.loads(urlsafe_b64decode(token[:MAX_BYTES].encode("ascii").split(b".", 1)[0]))
    except ValueError:
        return ""
    kid = header.get("kid") if isinstance(header, dict) else None
    return kid if isinstance(kid, str) else ""


def public_jwk(key: OKPKey) -> dict[str, Any]:
    """The public half with its thumbprint as `kid` and the one algorithm it is for."""
    parts = key.as_dict(private=False)
    return {
        "kty": "OKP",
        "crv": parts["crv"],
        "x": parts["x"],
        "kid": key.thumbprint(),
        "alg": ALGORITHM,
        "use": "sig",
    }


def ticket_secret(private: OKPKey) -> bytes:
    """The 32 bytes that tickets of this key's `kid` are signed with."""
    return hashlib.blake2b(private.as_pem(private=True), digest_size=32, person=b"ticket").digest()


def sign(claims: Mapping[str, Any], typ: str, ring: KeyRing) -> str:
    """A compact JWS over `claims` by the current key. Raises RuntimeError when the ring cannot sign."""
    key: OKPKey | OctKey | None = ring.signing
    if key is None:
        raise RuntimeError("no current token key")
    algorithm, kid = ALGORITHM, key.thumbprint()
    if typ == TICKET:
        algorithm, key = TICKET_ALGORITHM, OctKey.import_key(ring.tickets[kid])
    header = {"alg": algorithm, "kid": kid, "typ": typ}
    return jws.serialize_compact(header, orjson.dumps(dict(claims)), key, algorithms=[algorithm])


def mint_access(access: Access, *, issuer: str, ring: KeyRing) -> str:
    """签发访问令牌. The signed form of `access` (RFC 9068)."""
    claims = {
        "iss": issuer,
        "sub": access.client_id,
        "client_id": access.client_id,
        "org": access.org,
        "aud": access.audience,
        "iat": access.issued_at,
        "exp": access.expires_at,
        "jti": access.jti,
        "scope": access.scope,
        "lic": access.license_id,
        "prd": access.product_id,
        "pur": access.purpose,
        "cidr": list(access.cidrs),
    }
    return sign({name: value for name, value in claims.items() if value is not None}, ACCESS, ring)


def mint_ticket(ticket: Ticket, *, issuer: str, ring: KeyRing) -> str:
    """签发下载票据. The signed form of `ticket`."""
    claims = {
        "iss": issuer,
        "aud": AUD_COMMERCIAL,
        "sub": ticket.credential_id,
        "jti": ticket.jti,
        "lic": ticket.license_id,
        "prd": ticket.product_id,
        "pur": ticket.purpose,
        "ver": ticket.version,
        "fil": ticket.file,
        "sha256": ticket.sha256,
        "siz": ticket.size,
        "key": ticket.charge_key,
        "fpr": ticket.fingerprint,
        "row": ticket.rows,
        "cidr": list(ticket.cidrs),
        "nbs": ticket.start_by,
        "exp": ticket.expires_at,
    }
    return sign(claims, TICKET, ring)


class Verifier:
    """验证 Checks tokens of one issuer; remembers verified signatures, never verdicts about time or place."""

    def __init__(self, issuer: str, ring: KeyRing) -> None:
        self.issuer = issuer
        self.ring = ring
        self._seen: OrderedDict[bytes, tuple[str, Access]] = OrderedDict()
        self._guard = threading.Lock()

    def access(self, token: str, *, audience: str, now: datetime, address: str) -> Access:
        """The token's content. Raises InvalidToken, WrongAudience, AddressRefused."""
        access = self.read(token, now=now)
        if access.audience != audience:
            raise WrongAudience
        refuse_address(access.cidrs, address)
        return access

    def read(self, token: str, *, now: datetime) -> Access:
        """What the token says when its signature and time hold, wherever it is used. Raises InvalidToken."""
        access = self.signed(token)
        _refuse_outside(access.issued_at, access.expires_at, now)
        return access

    def ticket(self, token: str, *, now: datetime, address: str) -> Ticket:
        """The ticket's content. Raises InvalidToken, also after its resume time, and AddressRefused."""
        ticket = self._read_ticket(_bytes(token))
        _refuse_outside(0, ticket.expires_at, now)
        refuse_address(ticket.cidrs, address)
        return ticket

    def signed(self, token: str) -> Access:
        """What the token says when its signature holds, whatever the time. Raises InvalidToken."""
        raw = _bytes(token)
        name = hashlib.blake2b(raw, digest_size=16).digest()
        with self._guard:
            if found := self._seen.get(name):
                kid, access = found
                if kid in self.ring.public:  # a dropped key ends what it signed
                    self._seen.move_to_end(name)
                    return access
                del self._seen[name]
        kid, access = self._read(raw)
        with self._guard:
            self._seen[name] = (kid, access)
            if len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)
        return access

    def _read(self, raw: bytes) -> tuple[str, Access]:
        try:
            kid = _named(raw, ALGORITHM, ACCESS)
            key = self.ring.public.get(kid)
            if key is None:
                raise _unknown_key()
            claims = orjson.loads(jws.deserialize_compact(raw, key, algorithms=[ALGORITHM]).payload)
            return kid, _access(self._ours(claims))
        except (JoseError, ValueError, KeyError, TypeError):
            raise InvalidToken from None

    def _read_ticket(self, raw: bytes) -> Ticket:
        """Signed by HMAC-SHA-256 (RFC 7515 A.1); checked here because every download's start waits for it."""
        try:
            secret = self.ring.tickets.get(_named(raw, TICKET_ALGORITHM, TICKET))
            if secret is None:
                raise _unknown_key()
            signed, _, given = raw.rpartition(b".")
            mac = _begun(secret).copy()
            mac.update(signed)
            if not hmac.compare_digest(urlsafe_b64encode(mac.digest()), given):
                raise InvalidToken
            payload = signed.partition(b".")[2].translate(
                _STANDARD
            )  # written by us: what is in it is in order
            return _ticket(self._ours(orjson.loads(binascii.a2b_base64(payload + b"=="))))
        except (ValueError, KeyError, TypeError):
            raise InvalidToken from None

    def _ours(self, claims: dict[str, Any]) -> dict[str, Any]:
        if claims["iss"] != self.issuer:
            raise InvalidToken
        return claims


@functools.lru_cache(maxsize=16)
def _begun(secret: bytes) -> hmac.HMAC:
    """A MAC to be copied: beginning one takes OpenSSL eight times as long."""
    return hmac.new(secret, digestmod="sha256")


def _bytes(token: str) -> bytes:
    raw = token.encode("ascii", errors="replace")
    if len(raw) > MAX_BYTES:
        raise InvalidToken(Words("令牌超过 4 KB。", "The token is larger than 4 KB."))
    return raw


def _named(raw: bytes, algorithm: str, typ: str) -> str:
    """The `kid` of a header that says exactly this; jwk, jku, x5u, crit: nothing of the kind is ever looked at."""
    return _kid(raw.partition(b".")[0], algorithm, typ)


@functools.lru_cache(maxsize=64)
def _kid(header: bytes, algorithm: str, typ: str) -> str:
    said = orjson.loads(urlsafe_b64decode(header))
    if not isinstance(said, dict) or set(said) != _HEADER:
        raise InvalidToken
    kid = said["kid"]
    if said["alg"] != algorithm or said["typ"] != typ or not isinstance(kid, str):
        raise InvalidToken
    return kid


def _unknown_key() -> InvalidToken:
    return InvalidToken(Words("未知的签名密钥。", "Unknown signing key."))


def _access(claims: dict[str, Any]) -> Access:
    if claims["aud"] not in {AUD_API, AUD_OPEN, AUD_COMMERCIAL}:
        raise WrongAudience
    return Access(
        client_id=_text(claims["sub"]),
        org=_text(claims["org"]),
        audience=claims["aud"],
        license_id=claims.get("lic"),
        product_id=claims.get("prd"),
        purpose=_text(claims.get("pur", "")),
        scope=_text(claims.get("scope", "")),
        cidrs=tuple(map(_text, claims.get("cidr", ()))),
        jti=_text(claims["jti"]),
        issued_at=_whole(claims["iat"]),
        expires_at=_whole(claims["exp"]),
    )


_TICKET_TEXTS = itemgetter("lic", "prd", "sub", "jti", "pur", "fil", "sha256", "key", "fpr")
_TICKET_NUMBERS = itemgetter("ver", "siz", "row", "nbs", "exp")


def _ticket(claims: dict[str, Any]) -> Ticket:
    if claims["aud"] != AUD_COMMERCIAL:
        raise WrongAudience
    texts, numbers = _TICKET_TEXTS(claims), _TICKET_NUMBERS(claims)
    if set(map(type, texts)) != {str} or set(map(type, numbers)) != {int}:  # a boolean is no number
        raise InvalidToken
    license_id, product_id, credential_id, jti, purpose, file, sha256, charge_key, fingerprint = texts
    version, size, rows, start_by, expires_at = numbers
    return Ticket(
        license_id,
        product_id,
        credential_id,
        jti,
        purpose,
        version,
        file,
        sha256,
        size,
        charge_key,
        fingerprint,
        rows,
        tuple(map(_text, claims["cidr"])),
        start_by,
        expires_at,
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidToken
    return value


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidToken
    return value


def _refuse_outside(issued_at: int, expires_at: int, now: datetime) -> None:
    moment, leeway = now.timestamp(), LEEWAY.total_seconds()
    if moment >= expires_at + leeway:
        raise InvalidToken(Words("令牌已过期。", "The token has expired."))
    if moment < issued_at - leeway:
        raise InvalidToken(Words("令牌尚未生效。", "The token is from the future."))


def refuse_address(cidrs: Sequence[str], address: str) -> None:
    """Raise AddressRefused when `address` lies in none of `cidrs`; no list allows every address."""
    if cidrs and not any(inside(address, network) for network in cidrs):
        raise AddressRefused(address=address)


def inside(address: str, network: str) -> bool:
    """Whether an address lies in a network; what cannot be read lies nowhere.

    >>> inside("10.1.2.3", "10.0.0.0/8"), inside("::ffff:10.1.2.3", "10.0.0.0/8"), inside("", "0.0.0.0/0")
    (True, True, False)
    """
    try:
        parsed = ipaddress.ip_address(address)
        net = ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
        parsed = parsed.ipv4_mapped
    return parsed.version == net.version and parsed in net
