"""上报签名 The keys providers sign their usage reports with, and the check of a signature (RFC 9421, RFC 9530)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from http_message_signatures import HTTPMessageVerifier, HTTPSignatureKeyResolver, algorithms
from http_message_signatures.exceptions import HTTPMessageSignaturesException
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from joserfc.util import urlsafe_b64decode
from sqlmodel import col, select

from metering.problems import InvalidSignature
from metering.tables import ReportKey
from storage.kernel import clock
from storage.kernel.problem import Conflict, NotFound, invalid
from storage.kernel.words import Words
from storage.unit import Unit, View

MAX_AGE = timedelta(minutes=5)
_ALWAYS = ("@method", "@path", "content-type", "content-digest")


class ReportKeyKnown(Conflict):
    """公钥重复. This public key is registered already, here or by another organization."""

    title = Words("该公钥已登记", "This key is registered already")
    remedy = Words("请生成新的密钥对。", "Make a new key pair.")


def keep_report_key(unit: Unit, *, org_id: str, name: str, x: str) -> ReportKey:
    """登记上报公钥. The public half of an Ed25519 pair; x: base64url, as in its JWK.

    Raises Invalid, ReportKeyKnown.
    """
    try:
        kid = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": x}).thumbprint()
        _public(x)
    except (JoseError, ValueError, TypeError):
        raise invalid(
            "x",
            "report_key",
            "请填写 Ed25519 公钥的 x（base64url）。",
            "Give the x of an Ed25519 JWK (base64url).",
        ) from None
    if unit.session.get(ReportKey, kid) is not None:
        raise ReportKeyKnown(kid=kid)
    row = ReportKey(kid=kid, org_id=org_id, name=name, x=x, kept_at=clock.now())
    unit.session.add(row)
    unit.record("report_key.kept", f"report_key:{kid}", owner=org_id)
    return row


def end_report_key(unit: Unit, kid: str, *, org_id: str) -> ReportKey:
    """停用上报公钥. Reports signed with it are refused from the next one on. Raises NotFound."""
    row = unit.session.get(ReportKey, kid, with_for_update=True)
    if row is None or row.org_id != org_id:
        raise NotFound(key=kid)
    row.ended_at = row.ended_at or clock.now()
    unit.session.add(row)
    unit.record("report_key.ended", f"report_key:{kid}")
    return row


def report_keys(view: View, org_id: str) -> list[ReportKey]:
    """上报公钥. An organization's keys, oldest first, those ended included."""
    query = select(ReportKey).where(ReportKey.org_id == org_id).order_by(col(ReportKey.kept_at))
    return list(view.session.exec(query).all())


def live_report_keys(view: View, org_id: str) -> dict[str, str]:
    """The keys that still count, as kid → x."""
    return {row.kid: row.x for row in report_keys(view, org_id) if row.ended_at is None}


@dataclass(frozen=True, slots=True)
class Message:
    """The signed request as the signature library sees it; header names in lower case."""

    method: str
    url: str
    headers: Mapping[str, str]


class _Keys(HTTPSignatureKeyResolver):
    def __init__(self, keys: Mapping[str, str]) -> None:
        self._keys = keys

    def resolve_public_key(self, key_id: str) -> Ed25519PublicKey | None:
        return _public(self._keys[key_id]) if key_id in self._keys else None


def _public(x: str) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(urlsafe_b64decode(x.encode()))


def check_signature(message: Message, body: bytes, keys: Mapping[str, str]) -> str:
    """验签. Returns the kid whose signature covers method, path, type, body and every `ce-` header.

    Raises InvalidSignature, also for a signature older than five minutes. A report sent twice books nothing
    twice, so no nonce is kept.
    """
    told = tuple(sorted(name for name in message.headers if name.startswith("ce-")))
    verifier = HTTPMessageVerifier(signature_algorithm=algorithms.ED25519, key_resolver=_Keys(keys))
    try:
        (result,) = verifier.verify(message, max_age=MAX_AGE, require_components=(*_ALWAYS, *told), body=body)
    except (HTTPMessageSignaturesException, ValueError) as error:
        raise InvalidSignature(why=str(error)[:200]) from None
    return str(result.parameters["keyid"])
