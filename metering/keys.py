"""密钥环 Token keys at rest: sealed with AES-GCM under the master key of the settings, rotated, dropped."""

import base64
import hashlib
import os
import time
from datetime import timedelta
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from joserfc.jwk import OKPKey
from sqlmodel import col, select

from metering.problems import KeyNotAnnounced
from metering.settings import MeteringSettings
from metering.tables import TokenKey
from metering.tokens import KeyRing, public_jwk, ticket_secret
from metering.turns import KEYS, take_turn
from metering.words import KeyState
from storage.kernel import clock
from storage.kernel.problem import NotFound
from storage.unit import Store, Unit, View

REFRESH_SECONDS = 5.0
UNKNOWN_SECONDS = 0.5  # an unknown key is looked for at once, but not more often than this
ANNOUNCED = timedelta(seconds=90)  # longer than anybody keeps our key set before asking again
TRUST_RETIRED = timedelta(days=8)  # longer than any token or ticket lives


class Seal:
    """Seals small secrets for the database; the name of the secret is bound into the seal."""

    def __init__(self, settings: MeteringSettings) -> None:
        key = base64.b64decode(settings.master_key.get_secret_value(), validate=True)
        if len(key) != 32:
            raise ValueError("the metering master key must be 32 bytes in base64")
        self._cipher = AESGCM(key)
        self.cursor_key = hashlib.blake2b(b"cursor", key=key, digest_size=32).digest()

    def close(self, secret: bytes, name: str) -> bytes:
        """The sealed form."""
        nonce = os.urandom(12)
        return nonce + self._cipher.encrypt(nonce, secret, name.encode())

    def open(self, sealed: bytes, name: str) -> bytes:
        """The secret. Raises RuntimeError when the master key is another one or the row was changed."""
        try:
            return self._cipher.decrypt(sealed[:12], sealed[12:], name.encode())
        except InvalidTag:
            raise RuntimeError(f"token key {name} was sealed with another master key") from None


def make_key(unit: Unit, seal: Seal, state: KeyState) -> TokenKey:
    """生成密钥. A new key pair in `state`."""
    pair = OKPKey.generate_key("Ed25519", auto_kid=False)
    kid = pair.thumbprint()
    row = TokenKey(
        kid=kid,
        public=public_jwk(pair),
        sealed=seal.close(pair.as_pem(private=True), kid),
        state=state,
        made_at=clock.now(),
    )
    unit.session.add(row)
    unit.record("token_key.made", f"token_key:{kid}", state=str(state))
    return row


def ensure_keys(store: Store, seal: Seal) -> None:
    """Make the first current and next key when there is none; several gateways may start at once."""
    with store.view() as view:
        if view.session.exec(select(TokenKey.kid).where(TokenKey.state == KeyState.CURRENT)).first():
            return
    with store.unit("system:keys") as unit:
        take_turn(unit, KEYS)  # a second change must see the keys the first one made
        if unit.session.exec(select(TokenKey.kid).where(TokenKey.state == KeyState.CURRENT)).first() is None:
            make_key(unit, seal, KeyState.CURRENT)
            make_key(unit, seal, KeyState.NEXT)


def rotate_keys(unit: Unit, seal: Seal, *, announced: timedelta = ANNOUNCED) -> TokenKey:
    """轮换密钥. The announced key signs, the signing one is only trusted, a new one is announced.

    Returns the key that signs now. Raises KeyNotAnnounced when the next key was made less than `announced`
    ago: a verifier that does not know it yet would refuse good tokens.
    """
    take_turn(unit, KEYS)  # a second change must see the keys the first one made
    waiting = _in_state(unit, KeyState.NEXT)
    for row in waiting if announced else ():
        if (age := clock.now() - row.made_at) < announced:
            raise KeyNotAnnounced(kid=row.kid, wait_seconds=int((announced - age).total_seconds()) + 1)
    for row in _in_state(unit, KeyState.CURRENT):
        row.state, row.retired_at = KeyState.RETIRED, clock.now()
        unit.record("token_key.retired", f"token_key:{row.kid}")
    signing = waiting[0] if waiting else make_key(unit, seal, KeyState.CURRENT)
    signing.state = KeyState.CURRENT
    unit.record("token_key.promoted", f"token_key:{signing.kid}")
    make_key(unit, seal, KeyState.NEXT)
    return signing


def rotate_when_due(unit: Unit, seal: Seal, *, days: int) -> TokenKey | None:
    """定期轮换. Rotate when the last rotation, which made the next key, is `days` ago; None when it is not."""
    take_turn(unit, KEYS)
    waiting = _in_state(unit, KeyState.NEXT)
    if waiting and clock.now() - waiting[0].made_at >= timedelta(days=days):
        return rotate_keys(unit, seal)
    return None


def drop_key(unit: Unit, seal: Seal, kid: str, *, reason: str) -> TokenKey:
    """紧急吊销密钥. Stop trusting a key at once; tokens it signed end with it, and its private half is gone.

    Dropped twice is dropped once. Raises NotFound.
    """
    take_turn(unit, KEYS)
    row = unit.session.get(TokenKey, kid)
    if row is None:
        raise NotFound(token_key=kid)
    was = row.state
    if was is KeyState.DROPPED:
        return row
    row.state, row.sealed, row.retired_at = KeyState.DROPPED, b"", row.retired_at or clock.now()
    unit.session.add(row)
    unit.record("token_key.dropped", f"token_key:{kid}", reason=reason, was=str(was))
    unit.session.flush()
    if was is KeyState.CURRENT:
        rotate_keys(unit, seal, announced=timedelta(0))
    elif was is KeyState.NEXT:
        make_key(unit, seal, KeyState.NEXT)
    return row


def _in_state(view: View, state: KeyState) -> list[TokenKey]:
    return list(view.session.exec(select(TokenKey).where(TokenKey.state == state)).all())


def token_keys(view: View) -> list[TokenKey]:
    """令牌密钥. Every key there ever was, the newest first."""
    query = select(TokenKey).order_by(col(TokenKey.made_at).desc(), col(TokenKey.kid))
    return list(view.session.exec(query).all())


def described(row: TokenKey) -> dict[str, Any]:
    """A key as it is shown: which, in what state, since when and until when."""
    return {
        "kid": row.kid,
        "state": str(row.state),
        "state_words": row.state.words.both(),
        "made_at": row.made_at.isoformat(),
        "ended_at": row.retired_at.isoformat() if row.retired_at else None,
    }


def load_ring(view: View, seal: Seal) -> KeyRing:
    """The keys as they are now."""
    public, tickets, signing = {}, {}, None
    trusted = select(TokenKey).where(TokenKey.state != KeyState.DROPPED).order_by(col(TokenKey.made_at))
    for row in view.session.exec(trusted).all():
        if row.state is KeyState.RETIRED and row.retired_at and row.retired_at < clock.now() - TRUST_RETIRED:
            continue
        public[row.kid] = OKPKey.import_key(row.public)
        private = OKPKey.import_key(seal.open(row.sealed, row.kid))
        tickets[row.kid] = ticket_secret(private)
        if row.state is KeyState.CURRENT:
            signing = private
    return KeyRing(public, signing, tickets)


class KeyWatch:
    """Keeps a ring fresh: read again every few seconds, so that a rotation or a dropped key reaches us."""

    def __init__(self, store: Store, seal: Seal) -> None:
        self._store, self._seal = store, seal
        ensure_keys(store, seal)
        self.ring = KeyRing({}, None)
        self._read_at = 0.0
        self.refresh()

    @property
    def stale(self) -> bool:
        """Whether the last reading is old."""
        return self._age() >= REFRESH_SECONDS

    @property
    def aging(self) -> bool:
        """Whether the last reading will be old within a second: time to read again beside the work."""
        return self._age() >= REFRESH_SECONDS - 1

    def unknown(self, kid: str) -> bool:
        """Whether somebody names a key that the last reading did not find."""
        return bool(kid) and kid not in self.ring.public

    def unsure(self, kid: str) -> bool:
        """Whether a key we do not know may have been made since the last reading."""
        return self.unknown(kid) and self._age() >= UNKNOWN_SECONDS

    def _age(self) -> float:
        """Seconds since the last reading."""
        return time.monotonic() - self._read_at

    def refresh(self) -> None:
        """Read the keys anew; changes the ring in place."""
        with self._store.view() as view:
            fresh = load_ring(view, self._seal)
        self.ring.public, self.ring.signing, self.ring.tickets = fresh.public, fresh.signing, fresh.tickets
        self._read_at = time.monotonic()
