"""对账单 A signed usage statement anybody can check offline: the events, their sums, and a Merkle root over them.

The platform's document key signs the header; the events are bound by the root in it. A long month is read,
hashed and written line by line.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, Any

import orjson
from joserfc.jwk import OKPKey

from contracts.detached import Finding, Judged, key_id, read_file, read_signed, sign_detached, signed_by
from metering.merkle import Tree, leaf_hash, merkle_root, proofs, root_by_proof
from metering.queries import events_of_period, totals_of_period
from metering.rating import Usage
from metering.words import Kind
from storage.kernel import clock
from storage.kernel.canonical import digest
from storage.kernel.problem import invalid
from storage.kernel.words import Worded, Words
from storage.unit import View

FORMAT = "shugang-usage-statement/2"
_UNSIGNED = "shugang-usage-statement/1"
_HEADER_TYPE = "shugang-usage-statement+jws"
PROVED_LINES = 20_000  # in a longer statement the proofs would outweigh the lines
_IN_MEMORY = 8 << 20  # bytes of lines; more wait in a file
_SUMMED = ("calls", "rows", "bytes", "amount_fen")
_KINDS: dict[str, type] = {
    "format": str,
    "license": str,
    "period": str,
    "count": int,
    "totals": dict,
    "root": str,
    "issued_at": str,
    "kid": str,
    "signature": str,
    "events": list,
}


def leaf(line: Mapping[str, Any]) -> bytes:
    """The hash of one event line: its id and everything that is billed, without its proof."""
    billed = {name: value for name, value in line.items() if name != "proof"}
    return leaf_hash(bytes.fromhex(digest(billed)))


def lines_of_period(view: View, license_id: str, period: str) -> Iterator[dict[str, Any]]:
    """The events billed to a license in a period as a statement shows them, in order; never all in memory."""
    for event in events_of_period(view, license_id, period):
        yield {
            "charge_id": f"chg_{event.id.hex()}",
            "at": event.at.isoformat(),
            "kind": str(event.kind),
            "purpose": event.purpose,
            "credential": event.credential_id,
            "calls": event.calls,
            "rows": event.rows,
            "bytes": event.bytes,
            "amount_fen": event.amount_fen,
        }


# ------------------------------------------------------------------ for the invoice


@dataclass(frozen=True, slots=True)
class CountedPeriod:
    """账期计数. What a license used in a period by kind, and the Merkle root (hex) over its events."""

    license_id: str
    period: str
    used: Mapping[Kind, Usage]
    root: str


def counted_period(
    view: View, license_id: str, period: str, before: CountedPeriod | None = None
) -> CountedPeriod:
    """账期计数. The sums of a license and period, and the root over its events, which may be many.

    before: counted a while ago; taken over as it is when nothing has entered since. Each event adds to its
    hourly sums in its own transaction, and the sums are read first: equal sums are the same events.
    """
    used = totals_of_period(view, license_id, period)
    if before is not None and (before.license_id, before.period, before.used) == (license_id, period, used):
        return before
    root = merkle_root(map(leaf, lines_of_period(view, license_id, period)))
    return CountedPeriod(license_id, period, used, root)


# ------------------------------------------------------------------ for the file


@dataclass(frozen=True, slots=True)
class Statement:
    """对账单. A signed header, and its lines as JSON, waiting to be sent. Close it."""

    header: Mapping[str, Any]
    lines: IO[bytes]
    size: int  # of the whole file

    def parts(self) -> Iterator[bytes]:
        """The file, the header first."""
        self.lines.seek(0)
        yield _head(self.header)
        while part := self.lines.read(1 << 16):
            yield part
        yield _END

    def close(self) -> None:
        """Let the lines go."""
        self.lines.close()


_END = b"]}"


def _head(header: Mapping[str, Any]) -> bytes:
    return orjson.dumps(header)[:-1] + b',"events":['


def issue_statement(
    view: View,
    license_id: str,
    period: str,
    *,
    key: OKPKey,
    zone: str,
    folder: Path | None = None,
    proved: int = PROVED_LINES,
) -> Statement:
    """出具对账单. The statement of a license and a period (`YYYY-MM`), signed with the document key.

    view: a snapshot. zone: where months begin. folder: where a long month waits to be sent. proved: up to so many
    lines, each carries the proof that it is under the root. Raises Invalid for a month that has not begun.
    """
    if period > clock.period_of(clock.now(), zone):
        raise invalid("period", "future", "该月份尚未开始。", "This month has not begun.")
    lines = lines_of_period(view, license_id, period)
    first = list(islice(lines, proved + 1))
    if len(first) <= proved:
        for line, path in zip(first, proofs([leaf(line) for line in first]), strict=True):
            line["proof"] = path
    tree, totals, between = Tree(), dict.fromkeys(_SUMMED, 0), b""
    where = None if folder is None else str(folder)
    written: IO[bytes] = SpooledTemporaryFile(_IN_MEMORY, dir=where)  # noqa: SIM115  # whoever sends it closes it
    for line in chain(first, lines):
        tree.add(leaf(line))
        for name in _SUMMED:
            totals[name] += line[name]
        written.write(between + orjson.dumps(line))
        between = b","
    header = {
        "format": FORMAT,
        "license": license_id,
        "period": period,
        "count": tree.count,
        "totals": totals,
        "root": tree.root(),
        "issued_at": clock.now().isoformat(),
        "kid": key_id(key),
    }
    signed = header | {"signature": sign_detached(header, _HEADER_TYPE, key)}
    return Statement(signed, written, len(_head(signed)) + written.tell() + len(_END))


# ------------------------------------------------------------------ whether a file is one


class Check(Worded):
    """核验项. What is checked of a usage statement, in this order."""

    FORMAT = "format", "文件格式", "File format"
    LINES = "lines", "逐条用量未被改动", "Every line leads to the Merkle root"
    ORDER = "order", "用量不重复且依次排列", "Every event once and in order"
    COUNT = "count", "条数与用量一致", "The count is that of the events"
    TOTALS = "totals", "合计与用量一致", "The totals are those of the events"
    ROOT = "root", "默克尔根与用量一致", "The Merkle root is that of the events"
    INVOICE = "invoice", "与发票所载默克尔根一致", "It is the Merkle root of the invoice"
    KEY = "key", "签名密钥受信任", "The signing key is trusted"
    SIGNATURE = "signature", "对账单签名有效", "The signature is valid"


@dataclass(frozen=True, slots=True)
class Verdict(Judged):
    """核验结论. What was found on one statement; `root` is the one of its events."""

    license_id: str | None = None
    period: str | None = None
    count: int = 0
    root: str | None = None
    altered: tuple[str, ...] = ()  # charge ids of lines that do not lead to the root


def verify_statement(
    document: Any, trusted_keys: Mapping[str, OKPKey], *, root: str | None = None
) -> Verdict:
    """核验对账单. Check a statement against keys that come from outside, never from the file itself.

    document: the parsed JSON, or the bytes of the file. root: the one printed on the invoice; without it the
    statement is not compared with an invoice. Never raises on a bad file: it says what failed.
    """
    file = read_signed(document, FORMAT, _KINDS)
    read = None if file is None else _read_lines(file["events"])
    if file is None or read is None:
        return Verdict((Finding(Check.FORMAT, passed=False, note=_other(document)),))
    ids, hashes, sums = read
    found = merkle_root(hashes)
    astray = _astray(file["events"], hashes, root or file["root"])
    # When no line leads there, it is the root or the number of lines that is another one.
    altered = tuple(ids[n] for n in astray) if len(astray) < len(ids) or len(ids) == 1 else ()
    named = ", ".join(altered[:10])
    kid = file["kid"]
    header = {name: value for name, value in file.items() if name not in {"events", "signature"}}
    findings = [
        Finding(Check.FORMAT, passed=True),
        Finding(Check.LINES, not astray, Words(f"被改动 {named}", f"altered: {named}") if altered else None),
        Finding(Check.ORDER, ids == sorted(set(ids))),
        Finding(Check.COUNT, file["count"] == len(ids)),
        Finding(Check.TOTALS, file["totals"] == sums),
        Finding(Check.ROOT, file["root"] == found),
        Finding(Check.INVOICE, found == root),
        *signed_by(header, file["signature"], _HEADER_TYPE, kid, trusted_keys, (Check.KEY, Check.SIGNATURE)),
    ]
    asked = tuple(each for each in findings if root is not None or each.check is not Check.INVOICE)
    return Verdict(asked, file["license"], file["period"], len(ids), found, altered)


def _read_lines(lines: Sequence[Any]) -> tuple[list[str], list[bytes], dict[str, int]] | None:
    """The charge ids, hashes and sums of the lines; None when one is no line."""
    try:
        ids = [str(line["charge_id"]) for line in lines]
        sums = {name: sum(int(line[name]) for line in lines) for name in _SUMMED}
        return ids, [leaf(line) for line in lines], sums
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError, RecursionError):
        return None


def _astray(lines: Sequence[Mapping[str, Any]], hashes: Sequence[bytes], root: str) -> list[int]:
    """The places of lines whose proof does not lead to the root; a long statement has no proofs at all."""
    if not any("proof" in line for line in lines):
        return []
    astray = []
    for place, (line, hashed) in enumerate(zip(lines, hashes, strict=True)):
        try:
            led_to = root_by_proof(hashed, place, len(lines), line["proof"])
        except (KeyError, TypeError, ValueError):
            led_to = ""
        if led_to != root:
            astray.append(place)
    return astray


def _other(document: Any) -> Words:
    """What the file is instead."""
    try:
        file = read_file(document)
    except (ValueError, RecursionError):
        file = None
    form = file.get("format") if isinstance(file, dict) else None
    if form == _UNSIGNED:
        return Words(
            f"未知格式 {form}：旧格式没有签名，请重新下载对账单。",
            f"unknown format {form}: it carried no signature; download the statement again",
        )
    if isinstance(form, str) and form != FORMAT:
        return Words(f"未知格式 {form}", f"unknown format {form}")
    return Words("不是数港用量对账单，或内容不完整。", "Not a usage statement, or incomplete.")
