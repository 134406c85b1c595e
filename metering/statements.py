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
EMPTY = hashlib.sha256(b"").hexdigest()
_SUMMED = ("calls", "rows", "bytes", "amount_fen")


def leaf(line: Mapping[str, Any]) -> bytes:
    """The hash of one event line: its id and everything that is billed."""
    return hashlib.sha256(b"\x00" + bytes.fromhex(digest(dict(line)))).digest()


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
    return {
        "format": FORMAT,
        "license": license_id,
        "period": period,
        "count": len(lines),
        "totals": _totals(lines),
        "root": merkle_root([leaf(line) for line in lines]),
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
        checks = (
            (document["format"] == FORMAT, "unknown format"),
            (ids == sorted(set(ids)), "events are repeated or out of order"),
            (document["count"] == len(lines), "the count does not match the events"),
            (document["totals"] == _totals(lines), "the totals do not match the events"),
            (document["root"] == found, "the Merkle root does not match the events"),
            (root is None or root == found, "the invoice names another Merkle root"),
        )
    except (KeyError, TypeError, ValueError) as error:
        return StatementVerdict(0, "", f"not a statement: {error!r}")
    wrong = next((reason for good, reason in checks if not good), None)
    return StatementVerdict(len(lines), found, wrong)
