"""对账单 A usage statement anybody can check offline: the events, their sums, and a Merkle root over them.

Leaves and nodes are hashed as in RFC 6962, so that a leaf can never be passed off as a node.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from metering.queries import events_of_period
from metering.tables import UsageEvent
from storage.kernel.canonical import digest
from storage.unit import View

FORMAT = "shugang-usage-statement/1"
PROVED_LINES = 20_000  # in a longer statement the proofs would outweigh the lines
EMPTY = hashlib.sha256(b"").hexdigest()
_SUMMED = ("calls", "rows", "bytes", "amount_fen")


def leaf(line: Mapping[str, Any]) -> bytes:
    """The hash of one event line: its id and everything that is billed, without its proof."""
    billed = {name: value for name, value in line.items() if name != "proof"}
    return hashlib.sha256(b"\x00" + bytes.fromhex(digest(billed))).digest()


def merkle_root(leaves: Sequence[bytes]) -> str:
    """The Merkle tree hash (hex) over leaf hashes in order."""
    if not leaves:
        return EMPTY
    level = list(leaves)
    while len(level) > 1:
        pairs = [
            hashlib.sha256(b"\x01" + level[i] + level[i + 1]).digest() for i in range(0, len(level) - 1, 2)
        ]
        # An odd one moves up alone: for a left-full tree this is the tree of RFC 6962.
        level = pairs + level[len(level) & ~1 :]
    return level[0].hex()


def proofs(leaves: Sequence[bytes]) -> list[list[str]]:
    """For each leaf, the hashes (hex) beside its path to the root, from the bottom up (RFC 6962, 2.1.1)."""
    paths: list[list[str]] = [[] for _ in leaves]
    level = [(leaf_hash, [index]) for index, leaf_hash in enumerate(leaves)]
    while len(level) > 1:
        above = []
        for i in range(0, len(level) - 1, 2):
            (left, under_left), (right, under_right) = level[i], level[i + 1]
            for index in under_left:
                paths[index].append(right.hex())
            for index in under_right:
                paths[index].append(left.hex())
            above.append((hashlib.sha256(b"\x01" + left + right).digest(), under_left + under_right))
        level = above + level[len(level) & ~1 :]
    return paths


def root_by_proof(leaf_hash: bytes, index: int, count: int, path: Sequence[str]) -> str:
    """The root (hex) a leaf leads to with its proof; another one than the tree's when either was altered.

    Raises ValueError for a proof of the wrong length.
    """
    beside = [bytes.fromhex(each) for each in path]
    last = count - 1
    while last:
        if index & 1 or index < last:  # else it moves up alone
            if not beside:
                raise ValueError("the proof is too short")
            other = beside.pop(0)
            pair = other + leaf_hash if index & 1 else leaf_hash + other
            leaf_hash = hashlib.sha256(b"\x01" + pair).digest()
        index, last = index >> 1, last >> 1
    if beside:
        raise ValueError("the proof is too long")
    return leaf_hash.hex()


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
