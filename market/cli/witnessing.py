"""The journal and the public keys: written out, and checked."""

import json
from pathlib import Path
from typing import Annotated

import typer
from joserfc.jwk import OKPKey

from contracts import keyring
from contracts.detached import public_keys
from market.audit import queries as audit
from market.audit.heads import Checked, NotAnExport, check_export
from market.cli.environment import opened_store
from market.cli.problems import FileRefused
from market.cli.terminal import JsonFlag, say
from market.cli.verifying import trusted
from metering.sealing import broken_seals
from storage import journal
from storage.kernel.words import Words


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
    checked = _checked_file(file, trusted(keys) if keys else None) if file else _checked_database(as_json)
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
    with opened_store() as (store, _):
        verdict = journal.verify_stored(store)
        with store.view() as view:
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
    with opened_store() as (store, _):
        journal.seal(store)
        with part.open("wb") as out:
            for line in audit.export(store):
                out.write(line)
                lines += 1
    part.replace(file)
    say(as_json, f"已导出 Exported: {lines} lines → {file}", file=str(file), lines=lines)


def export_keys(as_json: JsonFlag = False) -> None:
    """导出公钥 The document keys to trust, as a JSON Web Key Set with dates; hand it out by a way you trust."""
    with opened_store() as (store, _), store.view() as view:
        keys = keyring.trusted_keys(view)
    say(as_json, json.dumps({"keys": keys}, indent=1), keys=keys)
