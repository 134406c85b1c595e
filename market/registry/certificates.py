"""登记凭证 The content of a registration certificate, its Ed25519 signature, and its check without a database. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from joserfc.jwk import OKPKey

from contracts.detached import Finding, Judged, has_hash, key_id, read_signed, sign_detached, signed_by
from market.registry.rules import number_faults
from storage.kernel.canonical import digest
from storage.kernel.words import Worded, Words

FORMAT = "shugang-registration-certificate/1"
_HEADER_TYPE = "shugang-certificate+jws"
DISCLAIMER = Words(
    "平台登记，不替代国家公共数据资源登记",
    "A registration with this platform; it does not replace the national registration of public data resources",
)


class Check(Worded):
    """核验项. What is checked of a certificate, in this order."""

    FORMAT = "format", "文件格式", "File format"
    NUMBER = "number", "登记编号校验码", "Check character of the number"
    CONTENT = "content", "凭证内容与哈希一致", "The content has the stated hash"
    KEY = "key", "签名密钥受信任", "The signing key is trusted"
    SIGNATURE = "signature", "登记签名有效", "The signature is valid"


@dataclass(frozen=True, slots=True)
class Verdict(Judged):
    """核验结论. Genuine only when every check passed; whether it still stands is asked of the register."""

    number: str | None = None
    content_hash: str | None = None


def content_hash(content: Mapping[str, Any]) -> str:
    """SHA-256 (hex) over the canonical JSON of a certificate's content."""
    return digest(content)


def sign(content: Mapping[str, Any], key: OKPKey, *, at: datetime) -> dict[str, Any]:
    """签章. The certificate as a file; the key's id goes into it, the key never does."""
    document: dict[str, Any] = {
        "format": FORMAT,
        "content": dict(content),
        "content_hash": content_hash(content),
        "signed": {"kid": key_id(key), "at": at.isoformat()},
    }
    return document | {"signature": sign_detached(_signed(document), _HEADER_TYPE, key)}


def verify(document: Any, trusted_keys: Mapping[str, OKPKey]) -> Verdict:
    """核验. Check a certificate with keys that come from outside, never from the file. Never raises on a bad file."""
    file = _read(document)
    if file is None:
        note = Words("不是数港登记凭证文件，或缺少内容。", "Not a registration certificate, or incomplete.")
        return Verdict((Finding(Check.FORMAT, passed=False, note=note),))
    stated, number = file["content_hash"], str(file["content"].get("number"))
    kid = str(file["signed"].get("kid"))
    findings = (
        Finding(Check.FORMAT, passed=True),
        Finding(Check.NUMBER, passed=not number_faults(number)),
        Finding(Check.CONTENT, has_hash(file["content"], stated)),
        *signed_by(
            _signed(file), file["signature"], _HEADER_TYPE, kid, trusted_keys, (Check.KEY, Check.SIGNATURE)
        ),
    )
    return Verdict(findings, number, stated)


def schema_hash(items: Sequence[Mapping[str, Any]]) -> str:
    """结构指纹. SHA-256 over names and types of the data items, in any order."""
    return digest(sorted([str(item["name"]), str(item.get("type") or "")] for item in items))


def _signed(document: Mapping[str, Any]) -> dict[str, Any]:
    # The content enters by its hash, so that a signature can be checked beside a content kept elsewhere.
    return {k: v for k, v in document.items() if k not in {"content", "signature"}}


def _read(document: Any) -> dict[str, Any] | None:
    kinds = {"format": str, "content": dict, "content_hash": str, "signed": dict, "signature": str}
    return read_signed(document, FORMAT, kinds)
