"""Check what was issued, without trusting the server that issued it."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from contracts import keyring, signatures
from contracts.detached import Judged, public_keys
from market.audit import queries as audit
from market.audit.heads import Checked, NotAnExport, check_export
from market.billing import signatures as invoices
from market.chores import sign_head
from market.cli.opening import opened
from market.cli.problems import FileRefused
from market.cli.terminal import JsonFlag, say
from market.registry import certificates
from metering.sealing import broken_seals
from metering.statements import verify_statement
from storage import journal
from storage.kernel.money import yuan
from storage.kernel.words import Words

KeysFile = Annotated[
    Path,
    typer.Option("--keys", help="受信任的公钥文件（keys export） trusted keys, from `shugang keys export`"),
]


def verify_journal(
    file: Annotated[
        Path | None, typer.Argument(help="导出的流水（NDJSON） an export; empty checks the database")
    ] = None,
    keys: Annotated[
        Path | None,
        typer.Option("--keys", help="受信任的公钥文件 trusted keys, to check the signed heads of an export"),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """核验流水 Check the hash chain and its signed heads; names the first thing that does not hold."""
    checked = _checked_file(file, _trusted(keys) if keys else None) if file else _checked_database(as_json)
    verdict = checked.chain
    if not verdict.ok:
        text = f"流水被改动 Journal broken at seq {verdict.broken_at} ({verdict.entry}): {verdict.reason}"
        say(as_json, text, ok=False, broken_at=verdict.broken_at, entry=verdict.entry, reason=verdict.reason)
        raise typer.Exit(1)
    if checked.broken_head is not None:
        text = f"链尾不符 Signed head of {checked.broken_head} does not hold: {checked.reason}"
        say(as_json, text, ok=False, head_of=checked.broken_head, reason=checked.reason)
        raise typer.Exit(1)
    signed = "已验签 signatures checked" if checked.signed else "未验签 signatures not checked (--keys)"
    text = (
        f"流水完整 Journal ok: {verdict.entries} entries, head {verdict.head}; "
        f"每日链尾 signed heads: {checked.heads}" + (f", {signed}" if checked.heads else "")
    )
    say(
        as_json,
        text,
        ok=True,
        entries=verdict.entries,
        head=verdict.head,
        heads=checked.heads,
        signatures_checked=checked.signed,
    )


def _checked_file(file: Path, keys: dict[str, OKPKey] | None) -> Checked:
    try:
        with file.open("rb") as lines:
            return check_export(lines, keys)
    except NotAnExport as error:
        words = Words(f"第 {error.line} 行不是流水或链尾。", f"Line {error.line} is no entry and no head.")
        raise FileRefused(words, path=str(file), line=error.line) from None
    except OSError as error:
        raise FileRefused(path=str(file), reason=error.strerror) from None


def _checked_database(as_json: bool) -> Checked:  # handed through
    with opened() as house:
        verdict = journal.verify_stored(house.store)
        with house.store.view() as view:
            broken = broken_seals(view) if verdict.ok else []
            keys = public_keys(keyring.trusted_keys(view))
            wrong = audit.broken_head(view, keys)
            heads = len(audit.signed_heads(view))
    if broken:
        seals = [{"hour": each.hour, "expected": each.expected, "found": each.found} for each in broken]
        lines = [f"✗ {each.hour}: {each.expected} → {each.found}" for each in broken]
        head = "用量与封存不符 Usage is no longer what was sealed"
        say(as_json, "\n".join([head, *lines]), ok=False, entries=verdict.entries, seals=seals)
        raise typer.Exit(1)
    day, reason = wrong or (None, None)
    return Checked(verdict, heads, signed=True, broken_head=day, reason=reason)


def export_journal(
    file: Annotated[Path, typer.Argument(help="要写入的文件（NDJSON） the file to write")],
    as_json: JsonFlag = False,
) -> None:
    """导出流水 Write every sealed entry and signed head; `shugang verify journal FILE` checks it on any machine."""
    part = file.with_name(f"{file.name}.part")
    lines = 0
    with opened() as house:
        journal.seal(house.store)
        with part.open("wb") as out:
            for line in audit.export(house.store):
                out.write(line)
                lines += 1
    part.replace(file)
    say(as_json, f"已导出 Exported: {lines} lines → {file}", file=str(file), lines=lines)


def journal_head(
    as_json: JsonFlag = False,
    sign_now: Annotated[
        bool, typer.Option("--sign", help="尚未签署时先签署昨日 sign yesterday first")
    ] = False,
) -> None:
    """每日链尾 Print the last signed head, to be kept outside this machine."""
    with opened() as house:
        if sign_now:
            journal.seal(house.store)
            sign_head(house)
        with house.store.view() as view:
            found = audit.signed_heads(view, 1)
    document = found[0].document if found else None
    say(as_json, json.dumps(document, ensure_ascii=False, indent=1), head=document)


def verify_contract(
    file: Annotated[Path, typer.Argument(help="签署合同文件（JSON） a signed contract")],
    keys: KeysFile,
    as_json: JsonFlag = False,
) -> None:
    """核验合同 Check content, acceptances and the platform's witness; trusts only the keys it is given."""
    verdict = signatures.verify(_read(file), _trusted(keys))
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
    verdict = certificates.verify(_read(file), _trusted(keys))
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
    verdict = invoices.verify(_read(file), _trusted(keys))
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
        _read(file), _trusted(keys), root=None if root is None else root.strip().lower()
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


def export_keys(as_json: JsonFlag = False) -> None:
    """导出公钥 The document keys to trust, as a JSON Web Key Set with dates; hand it out by a way you trust."""
    with opened() as house, house.store.view() as view:
        keys = keyring.trusted_keys(view)
    say(as_json, json.dumps({"keys": keys}, indent=1), keys=keys)


def _trusted(path: Path) -> dict[str, OKPKey]:
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
