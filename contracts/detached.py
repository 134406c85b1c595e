"""分离签名 How the house signs: Ed25519 over a document's canonical JSON, the signature beside it; and its check. Pure."""

import base64
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from storage.kernel.canonical import canonical, digest
from storage.kernel.words import Worded, Words


@dataclass(frozen=True, slots=True)
class Finding:
    """One check of a signed file and whether it passed; `note` says more where it failed."""

    check: Worded
    passed: bool
    note: Words | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """核验结论. Every finding on one file; it is genuine only when all passed."""

    findings: tuple[Finding, ...]

    @property
    def genuine(self) -> bool:
        return bool(self.findings) and all(finding.passed for finding in self.findings)

    @property
    def failed(self) -> list[Worded]:
        """The checks that failed."""
        return [finding.check for finding in self.findings if not finding.passed]


def key_id(key: OKPKey) -> str:
    """The key's own kid, or its RFC 7638 thumbprint."""
    return key.kid or key.thumbprint()


def sign_detached(said: Mapping[str, Any], kind: str, key: OKPKey) -> str:
    """A JWS without its payload (RFC 7515, appendix F) over what a document says.

    kind: the `typ` of its header, one for each kind of document, so that none passes for another.
    """
    header = {"alg": "Ed25519", "typ": kind, "kid": key_id(key)}
    token = jws.serialize_compact(header, canonical(said), key, algorithms=["Ed25519"])
    head, _, signature = token.split(".")
    return f"{head}..{signature}"


def holds(said: Mapping[str, Any], signature: str, kind: str, kid: str, key: OKPKey | None) -> bool:
    """Whether this trusted key, named `kid`, signed exactly this as a document of this kind. Never raises."""
    if key is None:
        return False
    head, dots, rest = signature.partition("..")
    try:
        payload = base64.urlsafe_b64encode(canonical(said)).rstrip(b"=").decode()
        opened = jws.deserialize_compact(f"{head}.{payload}.{rest}", key, algorithms=["Ed25519"])
        header = opened.headers()
    except (JoseError, ValueError, TypeError, RecursionError):
        return False
    return bool(dots) and header == {"alg": "Ed25519", "typ": kind, "kid": kid}


def signed_by(
    said: Mapping[str, Any],
    signature: str,
    kind: str,
    kid: str,
    trusted_keys: Mapping[str, OKPKey],
    checks: tuple[Worded, Worded],
) -> tuple[Finding, Finding]:
    """Two findings: whether the key named `kid` is trusted, and whether it signed exactly this. Never raises.

    checks: what each is called in files of this kind.
    """
    key = trusted_keys.get(kid)
    known, signed = checks
    return (
        Finding(known, key is not None, None if key else Words(f"密钥编号 {kid}", f"key {kid}")),
        Finding(signed, holds(said, signature, kind, kid, key)),
    )


def has_hash(content: Mapping[str, Any], stated: str) -> bool:
    """Whether SHA-256 (hex) over the canonical JSON of a content is the stated one. Never raises."""
    try:
        return hmac.compare_digest(digest(content).encode(), stated.encode())
    except (ValueError, TypeError, RecursionError):
        return False


def public_keys(rows: Iterable[Mapping[str, Any]]) -> dict[str, OKPKey]:
    """By their kid, the keys of a JSON Web Key Set with dates. Raises JoseError, AttributeError, TypeError, ValueError."""
    keys = [OKPKey.import_key({k: v for k, v in row.items() if not k.endswith("_at")}) for row in rows]
    return {key_id(key): key for key in keys}


def read_file(document: Any) -> Any:
    """The JSON of a file's bytes or text, or what was parsed already. Raises ValueError, RecursionError."""
    if isinstance(document, bytes | str):
        return json.loads(document, object_pairs_hook=_each_name_once)
    return document


def read_signed(document: Any, form: str, kinds: Mapping[str, type]) -> dict[str, Any] | None:
    """The signed file of this form, with exactly these members of these kinds; None when it is another thing."""
    try:
        file = read_file(document)
    except (ValueError, RecursionError):
        return None
    if not isinstance(file, dict) or file.keys() != kinds.keys() or file["format"] != form:
        return None
    return file if all(isinstance(file[name], kind) for name, kind in kinds.items()) else None


def _each_name_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # A name given twice would let one reader see another document than the one that was checked.
    named = dict(pairs)
    if len(named) != len(pairs):
        raise ValueError("a name occurs twice")
    return named
