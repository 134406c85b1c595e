"""对账单 A usage statement anybody can check offline: the events, their sums, and a Merkle root over them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from metering.merkle import leaf_hash, merkle_root, proofs, root_by_proof
from metering.queries import events_of_period
from metering.tables import UsageEvent
from storage.kernel.canonical import digest
from storage.unit import View

FORMAT = "shugang-usage-statement/1"
PROVED_LINES = 20_000  # in a longer statement the proofs would outweigh the lines
_SUMMED = ("calls", "rows", "bytes", "amount_fen")


def leaf(line: Mapping[str, Any]) -> bytes:
    """The hash of one event line: its id and everything that is billed, without its proof."""
    billed = {name: value for name, value in line.items() if name != "proof"}
    return leaf_hash(bytes.fromhex(digest(billed)))


def line_of(event: UsageEvent) -> dict[str, Any]:
    """One event as a statement shows it."""
    return {
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


def root_of_period(view: View, license_id: str, period: str) -> tuple[int, str]:
    """The number of events billed to a license in a period, and their Merkle root (hex)."""
    events = events_of_period(view, license_id, period)
    return len(events), merkle_root([leaf(line_of(event)) for event in events])


def statement(view: View, license_id: str, period: str) -> dict[str, Any]:
    """出具对账单. The statement of a license and a period (`YYYY-MM`)."""
    lines = [line_of(event) for event in events_of_period(view, license_id, period)]
    leaves = [leaf(line) for line in lines]
    if len(lines) <= PROVED_LINES:
        for line, path in zip(lines, proofs(leaves), strict=True):
            line["proof"] = path
    return {
        "format": FORMAT,
        "license": license_id,
        "period": period,
        "count": len(lines),
        "totals": _totals(lines),
        "root": merkle_root(leaves),
        "events": lines,
    }


def _totals(lines: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    listed = list(lines)
    return {name: sum(int(line[name]) for line in listed) for name in _SUMMED}


@dataclass(frozen=True, slots=True)
class StatementVerdict:
    """What checking a statement found; `reason` is None when everything agrees."""

    count: int
    root: str
    reason: str | None = None
    altered: tuple[str, ...] = ()  # charge ids of lines that do not lead to the root

    @property
    def ok(self) -> bool:
        """Whether the statement holds."""
        return self.reason is None


def verify_statement(document: Mapping[str, Any], *, root: str | None = None) -> StatementVerdict:
    """核验对账单. Recompute count, sums and root of a statement; `root` is the one printed on the invoice."""
    try:
        lines = list(document["events"])
        found = merkle_root([leaf(line) for line in lines])
        ids = [line["charge_id"] for line in lines]
        altered = _altered(lines, root or document["root"])
        checks = (
            (document["format"] == FORMAT, "unknown format"),
            (not altered, f"altered: {', '.join(altered[:10])}"),
            (ids == sorted(set(ids)), "events are repeated or out of order"),
            (document["count"] == len(lines), "the count does not match the events"),
            (document["totals"] == _totals(lines), "the totals do not match the events"),
            (document["root"] == found, "the Merkle root does not match the events"),
            (root is None or root == found, "the invoice names another Merkle root"),
        )
    except (KeyError, TypeError, ValueError) as error:
        return StatementVerdict(0, "", f"not a statement: {error!r}")
    wrong = next((reason for good, reason in checks if not good), None)
    return StatementVerdict(len(lines), found, wrong, altered)


def _altered(lines: Sequence[Mapping[str, Any]], root: str) -> tuple[str, ...]:
    """The lines whose proof does not lead to the root: only what was altered, when the rest was left alone."""
    if not all("proof" in line for line in lines):
        return ()
    wrong = []
    for index, line in enumerate(lines):
        try:
            led_to = root_by_proof(leaf(line), index, len(lines), line["proof"])
        except ValueError:
            led_to = ""
        if led_to != root:
            wrong.append(str(line["charge_id"]))
    # When no line leads there, it is the root or the number of lines that is another one.
    return tuple(wrong) if len(wrong) < len(lines) or len(lines) == 1 else ()
