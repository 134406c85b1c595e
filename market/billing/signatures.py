"""账单签名 An issued invoice as a signed file, and its check without a database. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from joserfc.jwk import OKPKey

from contracts.detached import Finding, Judged, has_hash, holds, read_signed, sign_detached, signed_by
from market.billing.tables import Invoice
from storage.kernel.words import Worded, Words

FORMAT = "shugang-signed-invoice/1"
_HEADER_TYPE = "shugang-invoice+jws"
_KINDS: dict[str, type] = {"format": str, "content": dict, "content_hash": str, "kid": str, "signature": str}
_AMOUNTS = ("net_fen", "tax_fen", "gross_fen")


class Check(Worded):
    """核验项. What is checked of an invoice, in this order."""

    FORMAT = "format", "文件格式", "File format"
    CONTENT = "content", "账单内容与哈希一致", "The content has the stated hash"
    TOTALS = "totals", "合计与各行一致", "The lines add up to the total"
    KEY = "key", "签名密钥受信任", "The signing key is trusted"
    SIGNATURE = "signature", "账单签名有效", "The signature is valid"


@dataclass(frozen=True, slots=True)
class Verdict(Judged):
    """核验结论. Genuine only when every check passed; whether it was paid or taken back is asked of the market."""

    number: str | None = None
    content_hash: str | None = None
    gross_fen: int | None = None
    root: str | None = None  # of the usage statement behind it, to check that one with


def sign(invoice: Invoice, key: OKPKey) -> str:
    """签章. A detached JWS over the invoice's canonical document."""
    return sign_detached(orjson.loads(invoice.document), _HEADER_TYPE, key)


def is_signed(invoice: Invoice, trusted_keys: Mapping[str, OKPKey]) -> bool:
    """Whether the signature kept with an invoice is one of these keys' over its document. Never raises."""
    kid = invoice.key_id or ""
    try:
        said = orjson.loads(invoice.document)
    except ValueError:
        return False
    return holds(said, invoice.signature or "", _HEADER_TYPE, kid, trusted_keys.get(kid))


def signed_file(invoice: Invoice) -> dict[str, Any] | None:
    """签名账单文件. What `verify` reads; None until the invoice is signed, which follows its issue by a moment."""
    if invoice.signature is None:
        return None
    return {
        "format": FORMAT,
        "content": orjson.loads(invoice.document),
        "content_hash": invoice.sha256,
        "kid": invoice.key_id,
        "signature": invoice.signature,
    }


def verify(document: Any, trusted_keys: Mapping[str, OKPKey]) -> Verdict:
    """核验账单. Check an invoice with keys that come from outside, never from the file. Never raises on a bad file."""
    file = read_signed(document, FORMAT, _KINDS)
    if file is None:
        note = Words("不是数港签名账单文件，或缺少内容。", "Not a signed invoice, or incomplete.")
        return Verdict((Finding(Check.FORMAT, passed=False, note=note),))
    said, stated, kid = file["content"], file["content_hash"], file["kid"]
    findings = (
        Finding(Check.FORMAT, passed=True),
        Finding(Check.CONTENT, has_hash(said, stated)),
        Finding(Check.TOTALS, _adds_up(said)),
        *signed_by(said, file["signature"], _HEADER_TYPE, kid, trusted_keys, (Check.KEY, Check.SIGNATURE)),
    )
    if not all(finding.passed for finding in findings):
        return Verdict(findings, content_hash=stated)
    root = next((line["merkle_root"] for line in said.get("lines", []) if line["merkle_root"]), None)
    return Verdict(findings, said["number"], stated, said["total"]["gross_fen"], root)


def _adds_up(said: Mapping[str, Any]) -> bool:
    """Net and tax are the gross amount, of the total and of each line, and the lines are the total."""
    try:
        rows = [said["total"], *said.get("lines", [])]
        total, *lines = [[_fen(row[name]) for name in _AMOUNTS] for row in rows]
    except (KeyError, TypeError):
        return False
    balanced = all(net + tax == gross for net, tax, gross in (total, *lines))
    return balanced and ("lines" not in said or total == [sum(column) for column in zip(*lines, strict=True)])


def _fen(amount: Any) -> int:
    if type(amount) is not int:
        raise TypeError("an amount is a whole number of fen")
    return amount
