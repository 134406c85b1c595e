"""The only door to argon2, TOTP and the seal that keeps TOTP secrets."""

import base64
import functools
import hashlib
import hmac
import unicodedata

import pyotp
from cryptography.fernet import Fernet, InvalidToken
from pwdlib import PasswordHash

from storage.kernel import clock
from storage.unit import slow

_argon2 = PasswordHash.recommended()


@functools.cache
def _nobody() -> str:
    """Compared when the login is unknown, so that the time taken does not tell."""
    return _argon2.hash("nobody's password")


def hash_password(password: str) -> str:
    """The argon2 hash to keep. A slow door (about 50 ms)."""
    slow("password hashing")
    return _argon2.hash(password)


def password_matches(password: str, kept: str | None) -> bool:
    """Whether `password` is the one kept; takes as long for nobody as for somebody."""
    slow("password hashing")
    matches = _argon2.verify(password, kept or _nobody())
    return matches and kept is not None


def hash_secret(secret: str) -> str:
    """SHA-256 of a 256-bit secret: enough, since it cannot be guessed."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _box(key: str) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(b"totp:" + key.encode()).digest()))


def seal_totp(secret: str, key: str) -> str:
    """The TOTP secret sealed with the house key."""
    return _box(key).encrypt(secret.encode()).decode()


def new_totp() -> str:
    """A new TOTP secret in base 32."""
    return pyotp.random_base32()


def totp_uri(secret: str, login: str) -> str:
    """The `otpauth://` address that authenticator apps read."""
    return pyotp.TOTP(secret).provisioning_uri(name=login, issuer_name="Shugang 数港")


def totp_now(secret: str) -> str:
    """The code of this moment, for the demo's helper page and tests."""
    return pyotp.TOTP(secret).at(clock.now())


def accepted_step(code: str, sealed: str, key: str, last_step: int) -> int | None:
    """The time step `code` belongs to, or None when wrong, stale or already used."""
    try:
        secret = _box(key).decrypt(sealed.encode()).decode()
    except InvalidToken:
        return None
    totp = pyotp.TOTP(secret)
    given = unicodedata.normalize("NFKC", code).strip().encode()  # a Chinese keyboard types １２３
    present = int(clock.now().timestamp()) // totp.interval
    for step in (present - 1, present, present + 1):
        if step > last_step and hmac.compare_digest(totp.generate_otp(step).encode(), given):
            return step
    return None
