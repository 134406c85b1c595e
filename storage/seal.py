"""Small secrets sealed for the database with AES-GCM; the name of a secret is bound into its seal."""

import hashlib
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


class Seal:
    """封装. Seals under one house key; another purpose gives another key."""

    def __init__(self, house_key: str, purpose: str) -> None:
        if len(house_key) < 32:
            raise ValueError("the house key has at least 32 characters")
        self.derived = hashlib.blake2b(purpose.encode(), key=house_key.encode()[:64], digest_size=32).digest()
        self._cipher = AESGCM(self.derived)

    def close(self, secret: bytes, name: str) -> bytes:
        """The sealed form, for a column."""
        nonce = os.urandom(12)
        return nonce + self._cipher.encrypt(nonce, secret, name.encode())

    def open(self, sealed: bytes, name: str) -> bytes:
        """The secret. Raises RuntimeError when the house key is another one or the row was changed."""
        try:
            return self._cipher.decrypt(sealed[:12], sealed[12:], name.encode())
        except InvalidTag:
            raise RuntimeError(f"{name} was sealed with another house key, or changed") from None
