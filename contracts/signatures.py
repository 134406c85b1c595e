"""见证签名 The platform's Ed25519 witness over a contract, and its verification without a database. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from joserfc.jwk import OKPKey

from contracts.detached import Finding, Judged, has_hash, key_id, read_signed, sign_detached, signed_by
from contracts.templates import content_hash
from storage.kernel.words import Worded, Words

FORMAT = "shugang-signed-contract/1"
_HEADER_TYPE = "shugang-contract+jws"
ASSURANCE = {
    "kind": "platform-witnessed",
    "ca": False,
    "zh": "平台见证的电子签名（非CA数字证书签名）",
    "en": "Platform-witnessed electronic signature (non-CA)",
}

SignedDocument = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Acceptance:
    """接受. One party's acceptance of exactly one content hash. `role` is the slot it fills."""

    role: str
    party: str  # party id
    by: str  # user id
    at: datetime
    content_hash: str

    def document(self) -> dict[str, str]:
        """Plain JSON values; the moment in ISO 8601."""
        return {
            "role": self.role,
            "party": self.party,
            "by": self.by,
            "at": self.at.isoformat(),
            "content_hash": self.content_hash,
        }


class Check(Worded):
    """核验项. What is checked of a signed contract, in this order."""

    FORMAT = "format", "文件格式", "File format"
    CONTENT = "content", "合同内容与哈希一致", "The content has the stated hash"
    ACCEPTANCES = "acceptances", "各方均接受同一哈希", "Every party accepted this very hash"
    KEY = "key", "签名密钥受信任", "The signing key is trusted"
    SIGNATURE = "signature", "平台见证签名有效", "The witness signature is valid"


@dataclass(frozen=True, slots=True)
class Verdict(Judged):
    """核验结论. What was found on one signed contract."""

    number: str | None = None
    content_hash: str | None = None


def sign(
    content: Mapping[str, Any], acceptances: Sequence[Acceptance], key: OKPKey, *, at: datetime
) -> SignedDocument:
    """见证. The file that proves what was agreed, by whom, and when the platform witnessed it.

    key: a private Ed25519 key; its kid (or RFC 7638 thumbprint) goes into the file, the key never does.
    """
    document: SignedDocument = {
        "format": FORMAT,
        "content": dict(content),
        "content_hash": content_hash(content),
        "acceptances": [acceptance.document() for acceptance in acceptances],
        "assurance": ASSURANCE,
        "witness": {"kid": key_id(key), "at": at.isoformat()},
    }
    return document | {"signature": sign_detached(_witnessed(document), _HEADER_TYPE, key)}


def verify(document: Any, trusted_keys: Mapping[str, OKPKey]) -> Verdict:
    """核验. Check a signed contract against keys that come from outside, never from the file itself.

    document: the parsed JSON, or the bytes of the file. Never raises on a bad file: it says what failed.
    """
    file = _read(document)
    if file is None:
        note = Words("不是数港签署合同文件，或缺少内容。", "Not a signed contract file, or incomplete.")
        return Verdict((Finding(Check.FORMAT, passed=False, note=note),))
    stated = file["content_hash"]
    kid = str(file["witness"].get("kid"))
    findings = (
        Finding(Check.FORMAT, passed=True),
        Finding(Check.CONTENT, has_hash(file["content"], stated)),
        Finding(Check.ACCEPTANCES, passed=_all_accepted(file, stated)),
        *signed_by(
            _witnessed(file), file["signature"], _HEADER_TYPE, kid, trusted_keys, (Check.KEY, Check.SIGNATURE)
        ),
    )
    return Verdict(findings, str(file["content"].get("number")), stated)


def _witnessed(document: Mapping[str, Any]) -> dict[str, Any]:
    # The content enters by its hash, so that the witness can be checked beside a content kept elsewhere.
    return {k: v for k, v in document.items() if k not in {"content", "signature"}}


def _read(document: Any) -> SignedDocument | None:
    kinds: dict[str, type] = {
        "format": str,
        "content": dict,
        "content_hash": str,
        "acceptances": list,
        "assurance": dict,
        "witness": dict,
        "signature": str,
    }
    return read_signed(document, FORMAT, kinds)


def _all_accepted(file: SignedDocument, stated: str) -> bool:
    parties = [party for party in _parties(file["content"]) if party]
    accepted = {
        (a.get("role"), a.get("party"))
        for a in file["acceptances"]
        if isinstance(a, dict) and a.get("content_hash") == stated and a.get("by") and a.get("at")
    }
    return bool(parties) and accepted == set(parties) and len(file["acceptances"]) == len(parties)


def _parties(content: Mapping[str, Any]) -> list[tuple[str, str] | None]:
    terms = content.get("terms")
    if not isinstance(terms, dict):
        return []
    return [
        (role, terms[role]["id"])
        for role in ("seller", "buyer")
        if isinstance(terms.get(role), dict) and isinstance(terms[role].get("id"), str)
    ]
