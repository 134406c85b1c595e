"""每日链尾 A signed head of the journal for each day, and the check of an exported journal on any machine; pure.

Whoever keeps one head (a print, a mail, another archive) can show later that nothing before it was
changed, removed or put in: the chain must run through it.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from joserfc.jwk import OKPKey

from contracts.detached import holds, key_id, sign_detached
from storage import journal
from storage.kernel.canonical import digest

FORMAT = "shugang-journal-head/1"
_TYPE = "shugang-journal-head+jws"


def sign_head(
    *, day: str, zone: str, seq: int, head: str, previous: str, key: OKPKey, at: datetime
) -> dict[str, Any]:
    """签署链尾. The head of the chain as of `at`, signed with the platform's document key.

    day: the local day (`YYYY-MM-DD` in `zone`) that is over. previous: the digest of the head before it,
    64 zeros for the first.
    """
    document: dict[str, Any] = {
        "format": FORMAT,
        "day": day,
        "zone": zone,
        "seq": seq,
        "hash": head,
        "previous": previous,
        "signed_at": at.isoformat(),
        "kid": key_id(key),
    }
    return document | {"signature": sign_detached(document, _TYPE, key)}


def digest_of(head: Mapping[str, Any]) -> str:
    """What the next head names as `previous`."""
    return digest(dict(head))


def is_signed(head: Mapping[str, Any], keys: Mapping[str, OKPKey]) -> bool:
    """Whether one of the trusted keys signed exactly this head. Never raises on a bad one."""
    kid = str(head.get("kid"))
    said = {name: value for name, value in head.items() if name != "signature"}
    signed = holds(said, str(head.get("signature", "")), _TYPE, kid, keys.get(kid))
    return signed and head.get("format") == FORMAT


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found in an export: the chain, and which signed heads it runs through."""

    chain: journal.Verdict
    heads: int = 0
    signed: bool = False  # whether the signatures were checked, against keys from outside
    broken_head: str | None = None  # the day of the first head that does not hold
    reason: str | None = None

    @property
    def ok(self) -> bool:
        """Whether everything holds."""
        return self.chain.ok and self.broken_head is None


@dataclass(slots=True)
class _Reading:
    """An export while it is read: entries pass through, heads and the hashes they speak of stay."""

    lines: Iterator[bytes]
    heads: list[dict[str, Any]] = field(default_factory=list)
    hashes: dict[int, str] = field(default_factory=dict)
    number: int = 0

    def rows(self) -> Iterator[dict[str, Any]]:
        """The entries in order; heads stand before them. Raises NotAnExport with the line that is none."""
        spoken_of: set[Any] = set()
        for line in self.lines:
            self.number += 1
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError:
                raise NotAnExport(self.number) from None
            if (
                isinstance(row, dict)
                and isinstance(row.get("head"), dict)
                and not isinstance(row["head"].get("seq"), list | dict)
            ):
                self.heads.append(row["head"])
                spoken_of.add(row["head"].get("seq"))
            elif (
                isinstance(row, dict) and {"seq", "id", "hash"} <= row.keys() and isinstance(row["seq"], int)
            ):
                if row["seq"] in spoken_of:
                    self.hashes[row["seq"]] = str(row["hash"])
                yield row
            else:
                raise NotAnExport(self.number)


class NotAnExport(ValueError):
    """A line of the file is neither an entry nor a head."""

    def __init__(self, line: int) -> None:
        super().__init__(f"line {line} is neither an entry nor a head")
        self.line = line


def check_export(lines: Iterator[bytes], keys: Mapping[str, OKPKey] | None = None) -> Checked:
    """核验导出. The chain and its signed heads, without a database; names the first thing that does not hold.

    keys: the public keys one trusts, by their kid, from outside; without them signatures are not checked.
    Raises NotAnExport.
    """
    reading = _Reading(lines)
    chain = journal.verify(reading.rows())
    if not chain.ok:
        return Checked(chain)
    previous = journal.GENESIS
    for head in reading.heads:
        day = str(head.get("day"))
        reason = None
        if head.get("previous") != previous:
            reason = "it does not follow the head before it"
        elif head.get("seq") and reading.hashes.get(head["seq"]) != head.get("hash"):
            reason = f"the chain does not run through it at seq {head['seq']}"
        elif keys is not None and not is_signed(head, keys):
            reason = "no trusted key signed it"
        if reason:
            return Checked(chain, len(reading.heads), keys is not None, day, reason)
        previous = digest_of(head)
    return Checked(chain, len(reading.heads), keys is not None)
