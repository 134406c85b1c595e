"""Check what was issued, without trusting the server that issued it."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from contracts import signatures
from contracts.detached import Judged, public_keys
from market.billing import signatures as invoices
from market.cli.problems import FileRefused
from market.cli.terminal import JsonFlag, say
from market.registry import certificates
from metering.statements import verify_statement
from storage.kernel.money import yuan
from storage.kernel.words import Words

KeysFile = Annotated[
    Path,
    typer.Option("--keys", help="受信任的公钥文件（keys export） trusted keys, from `shugang keys export`"),
]


def verify_contract(
    file: Annotated[Path, typer.Argument(help="签署合同文件（JSON） a signed contract")],
    keys: KeysFile,
    as_json: JsonFlag = False,
) -> None:
    """核验合同 Check content, acceptances and the platform's witness; trusts only the keys it is given."""
    verdict = signatures.verify(_read(file), trusted(keys))
    end = (
        "合同真实有效 The contract is genuine"
        if verdict.genuine
        else "合同未通过核验 The contract does not hold"
    )
    _tell_numbered(verdict, end, as_json=as_json)


def verify_certificate(
    file: Annotated[Path, typer.Argument(help="登记凭证文件（JSON） a registration certificate")],
    keys: KeysFile,
    as_json: JsonFlag = False,
) -> None:
    """核验登记凭证 Check number, content and signature offline; what it is worth today is asked at /verify/{number}."""
    verdict = certificates.verify(_read(file), trusted(keys))
    end = (
        "凭证真实，现时效力请查 The certificate is genuine; whether it still stands: /verify/"
        if verdict.genuine
        else "凭证未通过核验 The certificate does not hold"
    )
    _tell_numbered(verdict, end, as_json=as_json)


def verify_invoice(
    file: Annotated[Path, typer.Argument(help="签名账单文件（JSON） a signed invoice")],
    keys: KeysFile,
    as_json: JsonFlag = False,
) -> None:
    """核验账单 Check hash, sums and signature of an invoice offline; prints the root to check its statement with."""
    verdict = invoices.verify(_read(file), trusted(keys))
    end = f"账单未通过核验 The invoice does not hold: {verdict.content_hash or '—'}"
    if verdict.genuine:
        root = f"，用量根 usage root {verdict.root}" if verdict.root else ""
        end = f"账单真实无误 The invoice is genuine: {verdict.number} ¥{yuan(verdict.gross_fen or 0)}{root}"
    _tell(
        verdict,
        end,
        as_json=as_json,
        number=verdict.number,
        content_hash=verdict.content_hash,
        gross_fen=verdict.gross_fen,
        root=verdict.root,
    )


def _tell_numbered(verdict: signatures.Verdict | certificates.Verdict, end: str, *, as_json: bool) -> None:
    _tell(
        verdict,
        f"{end}: {verdict.number or '—'} {verdict.content_hash or ''}".rstrip(),
        as_json=as_json,
        number=verdict.number,
        content_hash=verdict.content_hash,
    )


def _tell(verdict: Judged, end: str, *, as_json: bool, **data: Any) -> None:
    """Every check with its mark, then the verdict; a file that does not hold ends with 1."""
    checks = [
        {
            "check": str(finding.check),
            **finding.check.words.both(),
            "passed": finding.passed,
            "note": finding.note.both() if finding.note else None,
        }
        for finding in verdict.findings
    ]
    lines = [
        f"{'✓' if finding.passed else '✗'} {finding.check.words.zh} {finding.check.words.en}"
        + (f"（{finding.note.zh} {finding.note.en}）" if finding.note else "")
        for finding in verdict.findings
    ]
    say(as_json, "\n".join([*lines, end]), ok=verdict.genuine, **data, checks=checks)
    if not verdict.genuine:
        raise typer.Exit(1)


def verify_usage(
    file: Annotated[Path, typer.Argument(help="用量对账单（JSON） a usage statement")],
    keys: KeysFile,
    root: Annotated[
        str | None, typer.Option(help="发票所载的默克尔根 the Merkle root printed on the invoice")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """核验对账单 Check lines, sums, Merkle root and signature of a usage statement; trusts only the keys it is given."""
    verdict = verify_statement(
        _read(file), trusted(keys), root=None if root is None else root.strip().lower()
    )
    compared = "" if root is not None else "；未与发票核对 not compared with an invoice (--root)"
    end = (
        f"对账单真实无误 The statement is genuine: {verdict.license_id} {verdict.period}, "
        f"{verdict.count} 条 events, 根 root {verdict.root}{compared}"
        if verdict.genuine
        else "对账单未通过核验 The statement does not hold"
    )
    wrong = [
        f"{finding.check}: {finding.note.en}" if finding.note else str(finding.check)
        for finding in verdict.findings
        if not finding.passed
    ]
    _tell(
        verdict,
        "".join(f"✗ 被改动 altered: {charge}\n" for charge in verdict.altered) + end,
        as_json=as_json,
        license=verdict.license_id,
        period=verdict.period,
        count=verdict.count,
        root=verdict.root,
        reason=wrong[0] if wrong else None,
        altered=list(verdict.altered),
    )


def trusted(path: Path) -> dict[str, OKPKey]:
    """The public keys of a file, by their ids. Raises FileRefused."""
    try:
        found = _json(path)
        rows: Any = found.get("keys") if isinstance(found, dict) else found
        return public_keys(rows)
    except (JoseError, AttributeError, TypeError, ValueError, KeyError):
        raise FileRefused(Words("不是公钥文件。", "Not a file of public keys."), path=str(path)) from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileRefused(path=str(path), reason=error.strerror) from None


def _json(path: Path) -> Any:
    try:
        return json.loads(_read(path))
    except ValueError:
        raise FileRefused(Words("不是 JSON 文件。", "Not a JSON file."), path=str(path)) from None
