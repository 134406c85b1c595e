"""Check what was issued, without trusting the server that issued it."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from contracts import keyring, signatures
from market.cli.opening import opened
from market.cli.problems import FileRefused
from market.cli.terminal import JsonFlag, say
from market.registry import certificates
from metering.sealing import broken_seals
from metering.statements import verify_statement
from storage import journal
from storage.kernel.words import Words

KeysFile = Annotated[
    Path,
    typer.Option("--keys", help="受信任的公钥文件（keys export） trusted keys, from `shugang keys export`"),
]


def verify_journal(
    file: Annotated[
        Path | None, typer.Argument(help="导出的流水（NDJSON） an export; empty checks the database")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """核验流水 Check the hash chain; names the first entry that does not hold."""
    if file:
        verdict = journal.verify(iter(_rows(file)))
    else:
        with opened() as house:
            verdict = journal.verify_stored(house.store)
            with house.store.view() as view:
                broken = broken_seals(view) if verdict.ok else []
        if broken:
            seals = [{"hour": each.hour, "expected": each.expected, "found": each.found} for each in broken]
            lines = [f"✗ {each.hour}: {each.expected} → {each.found}" for each in broken]
            head = "用量与封存不符 Usage is no longer what was sealed"
            say(as_json, "\n".join([head, *lines]), ok=False, entries=verdict.entries, seals=seals)
            raise typer.Exit(1)
    if verdict.ok:
        text = f"流水完整 Journal ok: {verdict.entries} entries, head {verdict.head}"
        say(as_json, text, ok=True, entries=verdict.entries, head=verdict.head)
        return
    text = f"流水被改动 Journal broken at seq {verdict.broken_at} ({verdict.entry}): {verdict.reason}"
    say(as_json, text, ok=False, broken_at=verdict.broken_at, entry=verdict.entry, reason=verdict.reason)
    raise typer.Exit(1)


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
    _tell(verdict, end, as_json=as_json)


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
    _tell(verdict, end, as_json=as_json)


def _tell(verdict: signatures.Verdict | certificates.Verdict, end: str, *, as_json: bool) -> None:
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
    say(
        as_json,
        "\n".join([*lines, f"{end}: {verdict.number or '—'} {verdict.content_hash or ''}".rstrip()]),
        ok=verdict.genuine,
        number=verdict.number,
        content_hash=verdict.content_hash,
        checks=checks,
    )
    if not verdict.genuine:
        raise typer.Exit(1)


def verify_usage(
    file: Annotated[Path, typer.Argument(help="用量对账单（JSON） a usage statement")],
    root: Annotated[
        str | None, typer.Option(help="发票所载的默克尔根 the Merkle root printed on the invoice")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """核验对账单 Recompute count, sums and Merkle root of a usage statement."""
    document = _json(file)
    verdict = verify_statement(document if isinstance(document, dict) else {}, root=root)
    data = {
        "ok": verdict.ok,
        "count": verdict.count,
        "root": verdict.root,
        "reason": verdict.reason,
        "altered": list(verdict.altered),
    }
    if verdict.ok:
        say(as_json, f"对账单无误 Statement ok: {verdict.count} events, root {verdict.root}", **data)
        return
    text = "".join(f"✗ 被改动 altered: {charge}\n" for charge in verdict.altered)
    say(as_json, f"{text}对账单不符 Statement does not hold: {verdict.reason}", **data)
    raise typer.Exit(1)


def export_keys(as_json: JsonFlag = False) -> None:
    """导出公钥 The document keys to trust, as a JSON Web Key Set with dates; hand it out by a way you trust."""
    with opened() as house, house.store.view() as view:
        keys = keyring.trusted_keys(view)
    say(as_json, json.dumps({"keys": keys}, indent=1), keys=keys)


def _trusted(path: Path) -> dict[str, OKPKey]:
    found = _json(path)
    rows: Any = found.get("keys") if isinstance(found, dict) else found
    try:
        keys = [OKPKey.import_key({k: v for k, v in row.items() if not k.endswith("_at")}) for row in rows]
        return {signatures.key_id(key): key for key in keys}
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


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        rows = [json.loads(line) for line in _read(path).splitlines() if line.strip()]
    except ValueError:
        rows = [None]
    if not all(isinstance(row, dict) and {"seq", "id", "hash"} <= row.keys() for row in rows):
        raise FileRefused(Words("不是流水导出文件。", "Not an export of the journal."), path=str(path))
    return rows
